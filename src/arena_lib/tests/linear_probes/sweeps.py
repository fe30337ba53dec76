"""Judge of the sweep over layers.

Shapes:  statements and labels "n_statements" -> accuracies, one a layer
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
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
    calls = {
        "four layers": (*statements(39), [0, 1, 2, 3], 0.8, 25),
        "another share for training": (*statements(31), [2, 0], 0.55, 7),
        "statements sorted by label": ([sorted_texts[int(i)] for i in order], sorted_labels[order], [1, 3], 0.7, 25),
    }
    return [Case(label=label, given={"call": call}) for label, call in calls.items()]


def swept(function: Callable[..., Any], case: Case) -> Observations:
    """The accuracies as plain numbers, by part and place."""
    texts, labels, layers, train_frac, batch_size = case.given["call"]
    given = labels.clone()
    found = function(list(texts), given, make_model(3), make_tokenizer(), list(layers), train_frac, batch_size)
    if not isinstance(found, dict) or set(found) != {"train_acc", "test_acc"}:
        got = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise Unfit(f"layer_sweep_accuracy must return a dictionary with the keys train_acc and test_acc: got {got}.")
    accuracies = {part: [float(value) for value in found[part]] for part in ("train_acc", "test_acc")}
    return accuracies | {"labels changed in place": not torch.equal(given, labels)}


def sweep_by_distance(
    statements: Any,
    labels: Tensor,
    model: Any,
    tokenizer: Any,
    layers: Any,
    train_frac: float = 0.8,
    batch_size: int = 25,
) -> dict[str, list[Any]]:
    """Says 1 where the mean of class 1 is the nearer one, which is the same; one layer after the other."""
    shuffled = torch.randperm(len(statements), generator=torch.Generator().manual_seed(0)).tolist()
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
    mistakes=[
        Mistake(
            "does not shuffle",
            "order = torch.randperm(n_statements, generator=torch.Generator().manual_seed(seed))",
            "order = torch.arange(n_statements)",
            why="a list that is sorted by label or topic would be trained on one kind and tested on another",
        ),
        Mistake(
            "tests on what it trained on",
            "train, test = order[:n_train], order[n_train:]",
            "train, test = order[:n_train], order[:n_train]",
            why="only statements that the probe hasn't seen show what it has learned",
        ),
        Mistake(
            "trains on the tests",
            "split_by_label(x[train], y[train])",
            "split_by_label(x, y)",
            why="the means come from the training part alone, or the test is no test",
        ),
        Mistake(
            "trains on the smaller part",
            "train, test = order[:n_train], order[n_train:]",
            "test, train = order[:n_train], order[n_train:]",
            why="the first train_frac of the shuffled statements are for training",
        ),
        Mistake(
            "puts the threshold at zero",
            "(x - (mean_1 + mean_0) / 2) @",
            "x @",
            why="activations are not centred: the boundary lies halfway between the two means",
        ),
        Mistake(
            "puts the threshold at one of the means",
            "(mean_1 + mean_0) / 2",
            "mean_0",
            why="the boundary lies halfway between the two means",
        ),
        Mistake(
            "takes the difference the wrong way round",
            "@ (mean_1 - mean_0)",
            "@ (mean_0 - mean_1)",
            why="a positive score means label 1, so the direction leads to the mean of label 1",
        ),
        Mistake(
            "rounds the number of training statements up",
            "n_train = int(train_frac * n_statements)",
            "n_train = -int(-train_frac * n_statements // 1)",
            why="int(train_frac * n) statements are for training",
        ),
        Mistake(
            "reports the layers sorted",
            "for layer in layers:",
            "for layer in sorted(layers):",
            why="the accuracies stand in the order of the layers asked for",
        ),
    ],
)
