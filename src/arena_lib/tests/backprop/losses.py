"""Judge of the cross-entropy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier import networks
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import describe_tensor, draw

__test__ = False


def logit_cases(generator: torch.Generator) -> list[Case]:
    """Usual logits, huge ones, tiny ones, every class; one example, two classes."""
    rng = np.random.default_rng(26)

    def case(label: str, logits: Any, labels: list[int]) -> Case:
        logits = np.asarray(logits)
        return Case(
            label=label,
            given={"logits": logits, "labels": labels, "grad": draw(rng, len(labels))},
            call=f"logits, Tensor({labels})",
        )

    return [
        case("usual logits", 3 * rng.standard_normal((4, 5)), [1, 4, 0, 1]),
        case("as many examples as classes", 2 * rng.standard_normal((3, 3)), [2, 2, 0]),
        case("one example", rng.standard_normal((1, 6)), [3]),
        case("huge logits", [[1000.0, 1001.0, 999.5], [-1000.0, 0.0, 1000.0]], [1, 0]),
        case("logits far below 0", [[-1000.0, -1001.0, -1003.0], [-900.0, -901.0, -900.5]], [1, 0]),
        case("equal logits", np.full((2, 4), 7.0), [0, 3]),
        case("rows of other sizes", [[500.0, 498.0, 499.0], [0.0, 2.0, -1.0], [-700.0, -700.0, -699.0]], [2, 0, 1]),
    ]


def losses_and_gradient(function: Callable[..., Any], case: Case) -> Observations:
    """The losses, and the gradient that arrives at the logits."""
    logits, labels = Tensor(case.given["logits"].copy(), requires_grad=True), Tensor(np.array(case.given["labels"]))
    with np.errstate(all="ignore"):
        losses = function(logits, labels)
        seen = describe_tensor(losses)
        if seen.get("requires_grad") and losses.shape == case.given["grad"].shape:
            backprop(losses, Tensor(case.given["grad"]))
            seen["logits.grad"] = None if logits.grad is None else np.array(logits.grad.array)
    return seen | {"logits are as before": np.array_equal(logits.array, case.given["logits"])}


def entropy_by_one_hot(logits: Tensor, true_labels: Tensor) -> Tensor:
    """With a table of zeros and ones."""
    n_classes = logits.shape[1]
    one_hot = np.eye(n_classes)[true_labels.array]
    shifted = logits - Tensor(np.max(logits.array, axis=1)[:, None])
    true_logits = (shifted * one_hot).sum(dim=1)
    return shifted.exp().sum(dim=1).log() - true_logits


def entropy_row_by_row(logits: Tensor, true_labels: Tensor) -> Tensor:
    """With the true logit as what is subtracted where that is safe."""
    rows = np.arange(len(logits))
    largest = logits.array.max(axis=1)
    shifted = logits - largest.reshape(-1, 1)
    return -(shifted[(rows, true_labels.array)] - shifted.exp().sum(1).log())


def _probabilities(logits: Tensor) -> Tensor:
    exps = (logits - logits.array.max(axis=1, keepdims=True)).exp()
    return exps / exps.sum(dim=1, keepdim=True)


def entropy_of_probabilities(logits: Tensor, true_labels: Tensor) -> Tensor:
    """Probabilities first: those of unlikely classes become 0."""
    return -_probabilities(logits)[np.arange(len(logits)), true_labels.array].log()


def entropy_of_raised_probabilities(logits: Tensor, true_labels: Tensor) -> Tensor:
    """The same with something small added, so that no logarithm is infinite."""
    return -(_probabilities(logits)[np.arange(len(logits)), true_labels.array] + 1e-12).log()


def one_minus_probability(logits: Tensor, true_labels: Tensor) -> Tensor:
    """How much is missing to 1."""
    return 1.0 - _probabilities(logits)[np.arange(len(logits)), true_labels.array]


PICKED = "-log_probs[np.arange(len(log_probs)), true_labels.array]"
BITS = ("counts in bits", "the logarithm is the natural one: the loss is in nats")
CUT_OFF = ("cuts the gradient off", "gradients flow to the logits: calculate with the tensor itself")
OF_PROBABILITIES = (
    "takes the logarithm of a probability that has become 0",
    "a probability of exp(-1000) is 0 to a computer: subtract log(sum(exp)) from the logit, and divide nothing",
)

test_cross_entropy = exercise(
    reference=networks.cross_entropy,
    cases=logit_cases,
    observe=losses_and_gradient,
    accepts=[entropy_by_one_hot, entropy_row_by_row],
    mistakes=[
        *instead_of(
            "shifted = logits - logits.array.max(axis=1, keepdims=True)",
            {
                "shifted = logits": (
                    "overflows for large logits",
                    "exp(1000) is infinite: subtract each example's maximum first",
                ),
                "shifted = logits - logits.array.max()": (
                    "subtracts one maximum from all examples",
                    "each example has a maximum of its own: below another's its exps may all be 0",
                ),
                "shifted = logits - logits.array.max(axis=0, keepdims=True)": (
                    "subtracts the maximum of each class",
                    "the maximum is that of an example's logits, along the classes",
                ),
                "shifted = logits.detach() - logits.array.max(axis=1, keepdims=True)": CUT_OFF,
            },
        ),
        *instead_of(
            PICKED,
            {
                f"Tensor({PICKED.replace('log_probs[', 'log_probs.array[')})": CUT_OFF,
                f"{PICKED} / np.log(2)": BITS,
                f"({PICKED}).sum()": ("adds the losses up", "every example keeps its own loss"),
                "-log_probs.sum(dim=1)": ("adds up all classes", "the loss is that of the true label alone"),
                "-log_probs[:, true_labels.array]": (
                    "picks a table",
                    "each example has one label: the pairs (row, label) are picked",
                ),
                PICKED.replace("array]", "array - 1]"): ("counts labels from 1", "labels are whole numbers from 0"),
                "log_probs[np.arange(len(log_probs)), true_labels.array]": (
                    "has the wrong sign",
                    "the loss is minus the log-probability: it's never below 0",
                ),
                "-log_probs[np.arange(len(log_probs)), true_labels.array].mean()": (
                    "takes the mean",
                    "every example keeps its own loss",
                ),
                "-log_probs[np.arange(len(log_probs)), log_probs.array.argmax(axis=1)]": (
                    "takes the likeliest class for the true one",
                    "the loss is that of the true label",
                ),
                "-log_probs[:, true_labels.array].sum(dim=1)": (
                    "adds up the labels of all examples",
                    "each example has one label: the pairs (row, label) are picked",
                ),
                "-log_probs.exp()[np.arange(len(log_probs)), true_labels.array]": (
                    "takes probabilities without a logarithm",
                    "the loss is minus the logarithm of the probability",
                ),
            },
        ),
        *instead_of(
            "shifted.exp().sum(dim=1, keepdim=True).log()",
            {
                "shifted.exp().mean(dim=1, keepdim=True).log()": (
                    "divides by the number of classes",
                    "probabilities are exp(logit) over the sum of all exp(logit)",
                ),
                "shifted.exp().sum().log()": (
                    "adds up over all examples",
                    "the probabilities of each example add up to 1",
                ),
                "shifted.exp().sum(dim=1, keepdim=True).log() / np.log(2)": BITS,
                "shifted.exp().sum(dim=0, keepdim=True).log()": (
                    "adds up over the examples",
                    "the probabilities of each example add up to 1: the sum is over its classes",
                ),
                "shifted.exp().sum(dim=1, keepdim=True)": (
                    "forgets the logarithm of the sum",
                    "a log-probability is the logit minus the logarithm of the sum",
                ),
                "np.log(np.exp(shifted.array).sum(axis=1, keepdims=True))": (
                    "cuts the gradient off at the sum",
                    "the sum depends on the logits too: calculate it with tensors",
                ),
            },
        ),
        *(
            Mistake(OF_PROBABILITIES[0], function=wrong, why=OF_PROBABILITIES[1])
            for wrong in (entropy_of_probabilities, entropy_of_raised_probabilities)
        ),
        Mistake(
            "takes the probability from 1",
            function=one_minus_probability,
            why="the loss is minus the logarithm of the probability",
        ),
    ],
)
