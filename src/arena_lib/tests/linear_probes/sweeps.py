"""Judge of the sweep over layers.

Shapes:  statements and labels "n_statements" -> accuracies, one a layer
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.extraction import extract_activations
from arena_lib.interp.probes.sweeps import layer_sweep_accuracy
from arena_lib.tests.linear_probes.tiny_models import WORDS, make_model, make_tokenizer

__test__ = False


def sweep_cases(generator: torch.Generator) -> list[Case]:
    """Statements of random words whose label hangs on one of them; sizes where the split does not come out even."""

    def statements(n: int) -> tuple[list[str], Tensor]:
        texts, labels = [], []
        for _ in range(n):
            length = int(torch.randint(2, 6, (1,), generator=generator))
            words = [WORDS[int(i)] for i in torch.randint(1, len(WORDS), (length,), generator=generator)]
            texts.append(" ".join(words))
            labels.append(int(WORDS.index(words[-1]) + WORDS.index(words[0]) > len(WORDS)))
        return texts, torch.tensor(labels)

    sorted_texts, sorted_labels = statements(23)
    order = sorted_labels.argsort(stable=True)
    calls: dict[str, tuple[Any, ...]] = {
        "four layers": (*statements(39), [0, 1, 2, 3]),
        "another share for training": (*statements(32), [2, 0], 0.55, 7),
        "statements sorted by label": ([sorted_texts[int(i)] for i in order], sorted_labels[order], [1, 3], 0.7),
        "another seed": (*statements(29), [1, 2], 0.6, 25, 5),
    }
    return [
        Case(
            label=label,
            given={"call": (texts, labels, layers, rest)},
            call=f"{len(texts)} statements, labels, model, tokenizer, layers={layers}"
            + "".join(
                f", {name}={value}" for name, value in zip(("train_frac", "batch_size", "seed"), rest, strict=False)
            ),
            axes=dict.fromkeys(("train_acc", "test_acc"), "layer"),
        )
        for label, (texts, labels, layers, *rest) in calls.items()
    ]


def swept(function: Callable[..., Any], case: Case) -> Observations:
    """The accuracies as plain numbers, by part and place."""
    texts, labels, layers, rest = case.given["call"]
    own_labels = labels.clone()
    result = function(list(texts), own_labels, make_model(3), make_tokenizer(), list(layers), *rest)
    if not isinstance(result, dict) or set(result) != {"train_acc", "test_acc"}:
        got = sorted(map(str, result)) if isinstance(result, dict) else type(result).__name__
        raise Unfit(f"layer_sweep_accuracy must return a dictionary with the keys train_acc and test_acc: got {got}.")
    accuracies = {part: [float(value) for value in result[part]] for part in ("train_acc", "test_acc")}
    return accuracies | {"labels changed in place": not torch.equal(own_labels, labels)}


def sweep_by_distance(
    statements: Any,
    labels: Tensor,
    model: Any,
    tokenizer: Any,
    layers: Any,
    train_frac: float = 0.8,
    batch_size: int = 25,
    seed: int = 0,
) -> dict[str, list[Any]]:
    """Says 1 where the mean of class 1 is the nearer one, which is the same; one layer after the other."""
    shuffled = torch.randperm(len(statements), generator=torch.Generator().manual_seed(seed)).tolist()
    n_train = int(train_frac * len(statements))
    accuracies: dict[str, list[Any]] = {"train_acc": [], "test_acc": []}
    for layer in layers:
        x = extract_activations([statements[i] for i in shuffled], model, tokenizer, [layer], batch_size)[
            layer
        ].double()
        y = labels[shuffled].bool()
        means = [x[:n_train][y[:n_train] == value].mean(0) for value in (False, True)]
        guess = (x - means[1]).norm(dim=1) < (x - means[0]).norm(dim=1)
        right = (guess == y).float()
        accuracies["train_acc"].append(right[:n_train].mean())
        accuracies["test_acc"].append(right[n_train:].mean())
    return accuracies


test_layer_sweep_accuracy = exercise(
    reference=layer_sweep_accuracy,
    cases=sweep_cases,
    observe=swept,
    accepts=[sweep_by_distance],
    free={"batch_size": "only memory: the accuracies don't hang on it"},
    equivalent=dict.fromkeys(
        (f"is_right[{part}].double().mean().item()" for part in ("train", "test")),
        "a tensor without axes serves where a float does",
    )
    | {"is_right = (scores > 0) == (y == 1) -> is_right = (scores >= 0) == (y == 1)": "no score is exactly 0"},
    mistakes=[
        *instead_of(
            "torch.randperm(n_statements, generator=torch.Generator().manual_seed(seed))",
            {
                "torch.arange(n_statements)": (
                    "does not shuffle",
                    "without shuffling, a list sorted by label or topic is trained on one kind and tested on another",
                ),
                "torch.randperm(n_statements)": (
                    "shuffles without the seed",
                    "the order comes from a generator with the argument seed, so that the same split can be made again",
                ),
                "torch.randperm(n_statements, generator=torch.Generator().manual_seed(0))": (
                    "ignores the seed",
                    "another seed must give another split, to show how much the accuracy depends on the split",
                ),
            },
        ),
        *instead_of(
            "train, test = order[:n_train], order[n_train:]",
            {
                "train, test = order[:n_train], order[:n_train]": (
                    "tests on what it trained on",
                    "the accuracy is measured on statements that the probe was not fitted on",
                ),
                "test, train = order[:n_train], order[n_train:]": (
                    "trains on the last part of the shuffled statements",
                    "the first int(train_frac * n) of the shuffled statements are for training",
                ),
                "test, train = order[:-n_train], order[-n_train:]": (
                    "trains on the last train_frac of the shuffled statements",
                    "the first int(train_frac * n) of the shuffled statements are for training",
                ),
                "train, test = order, order[n_train:]": (
                    "trains on all statements",
                    "the probe must not see the statements that it is tested on",
                ),
                "train, test = order[:n_train], order": (
                    "tests on all statements",
                    "the accuracy is measured on statements that the probe was not fitted on",
                ),
            },
        ),
        Mistake(
            "trains on the test statements too",
            "split_by_label(x[train], y[train])",
            "split_by_label(x, y)",
            why="the means come only from the training part, so that the test statements are new",
        ),
        *instead_of(
            "(x - (mean_1 + mean_0) / 2) @",
            {
                "x @": ("uses 0 as the threshold", "the threshold is halfway between the two means"),
                "(x - mean_0) @": (
                    "uses the mean of label 0 as the threshold",
                    "the threshold is halfway between the two means",
                ),
                "(x - mean_1) @": (
                    "uses the mean of label 1 as the threshold",
                    "the threshold is halfway between the two means",
                ),
                "(x - x[train].mean(dim=0)) @": (
                    "uses the mean of all training statements as the threshold",
                    "with more statements of one label their mean is nearer to that label: the threshold is that of (mu_1 + mu_0) / 2",
                ),
                "(x - x.mean(dim=0)) @": (
                    "centres the test activations with their own mean",
                    "the threshold comes only from the two means of the training part",
                ),
            },
        ),
        Mistake(
            "subtracts the means in the wrong order",
            "@ (mean_1 - mean_0)",
            "@ (mean_0 - mean_1)",
            why="a positive score means label 1, so the direction leads to the mean of label 1",
        ),
        *instead_of(
            "int(train_frac * n_statements)",
            {
                "-int(-train_frac * n_statements // 1)": (
                    "rounds the number of training statements up",
                    "int(train_frac * n) statements are for training: int rounds down",
                ),
                "round(train_frac * n_statements)": (
                    "rounds the number of training statements",
                    "int(train_frac * n) statements are for training: int rounds down",
                ),
            },
        ),
        *instead_of(
            "for layer in layers:",
            {
                "for layer in sorted(layers):": (
                    "sorts the layers",
                    "the result is in the order of the argument layers",
                ),
                "generator = torch.Generator().manual_seed(seed)\n    for layer in layers:\n"
                "        order = torch.randperm(n_statements, generator=generator)\n"
                "        train, test = order[:n_train], order[n_train:]": (
                    "makes a new split at each layer",
                    "the split is the same at every layer, so that their accuracies can be compared",
                ),
            },
        ),
    ],
)
