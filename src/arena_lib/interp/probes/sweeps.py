"""Which layer knows it? One probe for each layer, judged on statements that it wasn't fitted on.

Shapes:  statements and labels "n_statements" -> accuracies, one a layer
Raises:  ConfigError for a split that leaves a side empty or a class out; what `extract_activations` raises.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 4.
"""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes.extraction import extract_activations
from arena_lib.interp.probes.mean_difference import split_by_label
from arena_lib.wording import counted


def layer_sweep_accuracy(
    statements: list[str],
    labels: Int[Tensor, " n_statements"] | Bool[Tensor, " n_statements"],
    model: Any,
    tokenizer: Any,
    layers: list[int],
    train_frac: float = 0.8,
    batch_size: int = 25,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Accuracy of a difference-of-means classifier at each of `layers`, in their order.

    The statements are shuffled once, `torch.randperm(n, generator=torch.Generator().manual_seed(seed))`; the
    first int(train_frac * n) of that order are for training, the rest for testing, the same at every layer.
    At each layer the classifier has the direction theta = mu_1 - mu_0 (difference of the class means of the
    training activations), and says 1 where x . theta is above the threshold m . theta, with
    m = (mu_1 + mu_0) / 2 the point halfway between the means.

    Returns {"train_acc": [...], "test_acc": [...]}, floats between 0 and 1, one for each layer.
    """
    n_statements = len(statements)
    if len(labels) != n_statements:
        raise ShapeError(
            f"each statement must have one label: got {counted(n_statements, 'statement')} and {counted(len(labels), 'label')}."
        )
    n_train = int(train_frac * n_statements)
    if not 0 < n_train < n_statements:
        raise ConfigError(
            f"train_frac must leave statements on both sides: got {train_frac} of {n_statements}, which trains on "
            f"{n_train}. Take a share between 0 and 1, and more statements."
        )
    order = torch.randperm(n_statements, generator=torch.Generator().manual_seed(seed))
    train, test = order[:n_train], order[n_train:]
    acts = extract_activations(statements, model, tokenizer, layers, batch_size)
    found: dict[str, list[float]] = {"train_acc": [], "test_acc": []}
    for layer in layers:
        x, y = acts[layer], labels.to(acts[layer].device)
        positive, negative = split_by_label(x[train], y[train])
        mean_1, mean_0 = positive.mean(dim=0), negative.mean(dim=0)
        scores = (x - (mean_1 + mean_0) / 2) @ (mean_1 - mean_0)
        is_right = (scores > 0) == (y == 1)
        found["train_acc"].append(is_right[train].double().mean().item())
        found["test_acc"].append(is_right[test].double().mean().item())
    return found
