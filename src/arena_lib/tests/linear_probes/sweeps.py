"""Judge of the sweep over layers.

Shapes:  statements and labels "n_statements" -> accuracies, one a layer
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.sweeps import layer_sweep_accuracy
from arena_lib.tests.linear_probes.tiny_models import WORDS, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import AFTER_FINAL_NORM, BEFORE_FINAL_NORM, last_token, read

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
        "another seed, the last layer": (*statements(29), [1, 4], 0.6, 25, 5),
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


def _sweep_by_distance(entry: int = 1, *, reads_blocks: bool = True, sorts_labels: bool = True) -> Callable[..., Any]:
    """Says 1 where the mean of class 1 is the nearer one, which is the same; right or wrong by what it reads and sorts."""

    def sweep(
        statements: Any,
        labels: Tensor,
        model: Any,
        tokenizer: Any,
        layers: Any,
        train_frac: float = 0.8,
        batch_size: int = 25,
        seed: int = 0,
    ) -> dict[str, list[Any]]:
        shuffled = torch.randperm(len(statements), generator=torch.Generator().manual_seed(seed)).tolist()
        n_train = int(train_frac * len(statements))
        accuracies: dict[str, list[Any]] = {"train_acc": [], "test_acc": []}
        inputs = tokenizer([statements[i] for i in shuffled], return_tensors="pt", padding=True, padding_side="right")
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with torch.no_grad():
            output = read(model, ids) if reads_blocks else model(ids, output_hidden_states=True)
        for layer in layers:
            x = last_token(output.hidden_states[layer + entry], ids, mask).double()
            y = (labels[shuffled] if sorts_labels else labels).bool()
            means = [x[:n_train][y[:n_train] == value].mean(0) for value in (False, True)]
            guess = (x - means[1]).norm(dim=1) < (x - means[0]).norm(dim=1)
            right = (guess == y).float()
            accuracies["train_acc"].append(right[:n_train].mean())
            accuracies["test_acc"].append(right[n_train:].mean())
        return accuracies

    return sweep


IS_TEST = "torch.isin(torch.arange(n_statements), test)[:, None]"

test_layer_sweep_accuracy = exercise(
    reference=layer_sweep_accuracy,
    cases=sweep_cases,
    observe=swept,
    accepts=[_sweep_by_distance()],
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
                    "uses the mean of all statements as the threshold",
                    "the threshold comes only from the two means of the training part",
                ),
                f"(x - torch.where({IS_TEST}, x[test].mean(dim=0), x[train].mean(dim=0))) @": (
                    "centres both parts with their own mean",
                    "the threshold comes only from the two means of the training part",
                ),
                f"(x - torch.where({IS_TEST}, x[test].mean(dim=0), (mean_1 + mean_0) / 2)) @": (
                    "centres the test activations with their own mean",
                    "the threshold comes only from the two means of the training part",
                ),
                "(x - (mean_1 + mean_0)) @": (
                    "does not halve the sum of the means",
                    "the threshold is halfway between the two means, (mu_1 + mu_0) / 2",
                ),
                "(x - (mean_1 - mean_0) / 2) @": (
                    "halves the difference of the means for the threshold",
                    "the threshold is halfway between the two means, half of their sum",
                ),
            },
        ),
        *instead_of(
            "scores > 0",
            {
                "scores > scores[train].median()": (
                    "uses the median score as the threshold",
                    "the threshold is halfway between the two means",
                ),
                "torch.cosine_similarity(x, mean_1[None]) > torch.cosine_similarity(x, mean_0[None])": (
                    "compares cosines with the two means",
                    "the classifier compares a dot product with theta with the threshold m . theta",
                ),
            },
        ),
        *instead_of(
            "return found",
            {
                'return {"train_acc": found["test_acc"], "test_acc": found["train_acc"]}': (
                    "swaps the training and the test accuracies",
                    "train_acc is the accuracy on the statements of training",
                ),
                "return {part: [100 * value for value in values] for part, values in found.items()}": (
                    "returns percent",
                    "accuracies are floats between 0 and 1",
                ),
                'return {"train_acc": [n_train * value for value in found["train_acc"]], '
                '"test_acc": [(n_statements - n_train) * value for value in found["test_acc"]]}': (
                    "counts the right predictions",
                    "an accuracy is a share between 0 and 1",
                ),
            },
        ),
        Mistake(
            "shuffles the statements but not their labels",
            function=_sweep_by_distance(sorts_labels=False),
            why="each label belongs to its statement, so both are brought into the same order",
        ),
        Mistake(
            "counts the embedding as layer 0",
            function=_sweep_by_distance(entry=0),
            why="the activations of layer l are block l's output: entry l + 1 of hidden_states, as entry 0 is the embedding",
        ),
        Mistake(AFTER_FINAL_NORM, function=_sweep_by_distance(reads_blocks=False), why=BEFORE_FINAL_NORM),
        Mistake(
            "reads the first layers, not those in layers",
            "acts = extract_activations(statements, model, tokenizer, layers, batch_size)",
            "acts = extract_activations(statements, model, tokenizer, list(range(len(layers))), batch_size)\n"
            "    acts = {layer: acts[i] for i, layer in enumerate(layers)}",
            why="entry i of the result belongs to layers[i]",
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
                "int(0.8 * n_statements)": (
                    "ignores train_frac",
                    "train_frac is an argument, and 0.8 only its default",
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
                "for layer in reversed(layers):": (
                    "reverses the layers",
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
