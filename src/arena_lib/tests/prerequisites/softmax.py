"""Judges of logsumexp, softmax, their logarithms and the loss made of them, for numbers of any size."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.puzzles import probabilities
from arena_lib.tests.prerequisites.tensors import calls, floats, whole

__test__ = False


def logits_cases(generator: torch.Generator) -> list[Case]:
    """Small numbers, very large ones, very negative ones, a square, one class; rows of different size."""
    return calls(_logits(generator), "batch n_classes")


def _logits(generator: torch.Generator) -> dict[str, tuple[Tensor]]:
    return {
        "small numbers": (floats(generator, 3, 5),),
        "as many rows as columns": (floats(generator, 4, 4),),
        "one class": (floats(generator, 2, 1),),
        "large numbers": (1000 + floats(generator, 2, 4),),
        "very negative numbers": (-1000 + floats(generator, 3, 2),),
        "a large row and a small one": (torch.tensor([[500.0, 499.0, 0.0], [-500.0, -501.0, -500.5]]),),
    }


def rows_cases(generator: torch.Generator) -> list[Case]:
    """As for softmax, with one number for each row."""
    return calls(_logits(generator), "batch")


def overflows(seen: Sequence[Observations]) -> bool:
    """Whether large numbers alone give inf or NaN."""
    isn_finite = [not bool(torch.as_tensor(case["output"]).isfinite().all()) for case in seen if "output" in case]
    return isn_finite[:3] == [False] * 3 and isn_finite[3]


OVERFLOW = "exp of a large number is infinite: take the largest entry of the row out first"
EACH_ROW = "each row is by itself: dim=1 is the axis that is summed over"


def taken_from(matrix: Tensor) -> Tensor:
    """Each row's largest entry, which is taken from the matrix in place."""
    largest = matrix.detach().max(dim=1, keepdim=True).values
    matrix -= largest
    return largest


def logsumexp_in_place(matrix: Tensor) -> Tensor:
    """Writes into the argument."""
    return taken_from(matrix)[:, 0] + matrix.exp().sum(dim=1).log()


def softmax_in_place(matrix: Tensor) -> Tensor:
    """Writes into the argument."""
    taken_from(matrix)
    return matrix.exp() / matrix.exp().sum(dim=1, keepdim=True)


def logsoftmax_in_place(matrix: Tensor) -> Tensor:
    """Writes into the argument."""
    taken_from(matrix)
    return matrix - matrix.exp().sum(dim=1, keepdim=True).log()


def changes_the_matrix(wrong: Callable[[Tensor], Tensor]) -> Mistake:
    """That a learner takes the largest entries off with -=."""
    return Mistake(
        "changes the matrix itself",
        function=wrong,
        why="the caller's matrix stays as it is: matrix - m makes a new one, matrix -= m doesn't",
        shows=changes_an_argument,
    )


test_batched_logsumexp = exercise(
    reference=probabilities.batched_logsumexp,
    cases=rows_cases,
    observe=outputs_and_gradients,
    accepts=[
        lambda matrix: matrix.logsumexp(dim=1),
        lambda matrix: matrix.amax(1) + torch.log(torch.exp(matrix - matrix.amax(1)[:, None]).sum(1)),
    ],
    mistakes=[
        Mistake(
            "overflows for large numbers",
            "largest.squeeze(1) + (matrix - largest).exp().sum(dim=1).log()",
            "matrix.exp().sum(dim=1).log()",
            why=OVERFLOW,
            shows=overflows,
        ),
        *instead_of(
            "largest.squeeze(1) + (matrix - largest).exp().sum(dim=1).log()",
            {
                "(matrix - largest).exp().sum(dim=1).log()": (
                    "does not add the largest entry again",
                    "what was taken out comes back: m + log sum exp(x - m)",
                ),
                "largest.squeeze(1) + (matrix - largest).exp().mean(dim=1).log()": ("takes the mean", "exps are added"),
                "largest.squeeze(1) + (matrix - largest).exp().sum(dim=1)": ("forgets the log", "the log comes last"),
                "largest.squeeze(1)": ("returns the largest entry", "the other entries count too"),
                "largest + (matrix - largest).exp().sum(dim=1, keepdim=True).log()": (
                    "keeps an axis of size 1",
                    "there is one number for each row: a result without the axis that was summed over",
                ),
                "largest + (matrix - largest).exp().sum(dim=1).log()": (
                    "adds a column to a row",
                    "largest has the shape (batch, 1) and the logs (batch,), which makes a matrix: squeeze largest first",
                ),
            },
        ),
        Mistake("goes through the columns", function=lambda matrix: matrix.logsumexp(dim=0), why=EACH_ROW),
        Mistake(
            "takes the mean out, not the largest entry",
            "matrix.max(dim=1, keepdim=True).values",
            "matrix.mean(dim=1, keepdim=True)",
            why="where one entry is far above the mean, its exp is still infinite",
        ),
        changes_the_matrix(logsumexp_in_place),
        Mistake(
            "takes the largest entry of the whole matrix out",
            "matrix.max(dim=1, keepdim=True).values",
            "matrix.max().expand(len(matrix), 1)",
            why="where rows differ much, the exps of a small row are all 0: each row has its own largest",
        ),
    ],
)

EXPS = "(matrix - matrix.max(dim=1, keepdim=True).values).exp()"

test_batched_softmax = exercise(
    reference=probabilities.batched_softmax,
    cases=logits_cases,
    observe=outputs_and_gradients,
    accepts=[lambda matrix: matrix.softmax(dim=1), lambda matrix: matrix.log_softmax(dim=-1).exp()],
    mistakes=[
        Mistake("overflows for large numbers", EXPS, "matrix.exp()", why=OVERFLOW, shows=overflows),
        Mistake("takes the softmax of columns", function=lambda matrix: matrix.softmax(dim=0), why=EACH_ROW),
        changes_the_matrix(softmax_in_place),
        *instead_of(
            "exps / exps.sum(dim=1, keepdim=True)",
            {
                "exps / exps.sum(dim=0, keepdim=True)": ("takes the softmax of columns", EACH_ROW),
                "exps / exps.sum()": ("divides by the sum of all rows", EACH_ROW),
                "exps": ("does not divide by the sum", "probabilities sum to one"),
                "exps / exps.norm(dim=1, keepdim=True)": ("divides by the length", "exps are divided by their sum"),
                "(exps / exps.sum(dim=1, keepdim=True)).detach()": (
                    "cuts the gradient",
                    "a softmax is trained through: no detach",
                ),
            },
        ),
        *instead_of(
            EXPS,
            {
                "matrix.abs() + 1e-30": ("leaves exp out", "the exponentials are divided by their sum"),
                f"(2 * {EXPS.removesuffix('.exp()')}).exp()": ("doubles the numbers", "exp of the numbers themselves"),
            },
        ),
    ],
)

SHIFT = "shifted = matrix - matrix.max(dim=1, keepdim=True).values"
CANCELS = "the same number taken from a whole row cancels; only digits are lost"
OF_LARGE_DIFFERENCES = dict.fromkeys(
    ("output", "gradient of matrix", "gradient of logits"), Tolerance(rtol=1e-4, atol=3e-4)
)
"""Who subtracts the logsumexp from numbers around 1000 loses digits: float32 has steps of 0.00006 there."""

test_batched_logsoftmax = exercise(
    reference=probabilities.batched_logsoftmax,
    cases=logits_cases,
    observe=outputs_and_gradients,
    tolerance=OF_LARGE_DIFFERENCES,
    accepts=[
        lambda matrix: matrix.log_softmax(dim=1),
        lambda matrix: matrix - matrix.logsumexp(dim=1, keepdim=True),
    ],
    mistakes=[
        *instead_of(
            "shifted - batched_logsumexp(shifted)[:, None]",
            {
                "batched_softmax(matrix).clamp(min=1e-12).log()": (
                    "takes the log of probabilities that were rounded",
                    "a small probability becomes 0 in a softmax: take the logsumexp from the entries",
                ),
                "shifted + batched_logsumexp(shifted)[:, None]": (
                    "adds the logsumexp",
                    "the log of a quotient is a difference",
                ),
                "batched_softmax(matrix)": ("forgets the log", "the logarithms of the probabilities are asked for"),
                "-shifted + batched_logsumexp(shifted)[:, None]": (
                    "turns the sign",
                    "log-probabilities are never above 0",
                ),
            },
        ),
        Mistake("takes the softmax of columns", function=lambda matrix: matrix.log_softmax(dim=0), why=EACH_ROW),
        changes_the_matrix(logsoftmax_in_place),
        Mistake(
            "takes the log of a probability that was rounded to 0",
            "shifted - batched_logsumexp(shifted)[:, None]",
            "batched_softmax(matrix).log()",
            why="a small probability becomes 0 in a softmax and its log -inf: take the logsumexp from the entries",
            shows=lambda seen: (
                [bool(torch.as_tensor(case["output"]).isinf().any()) for case in seen][3:] == [False, False, True]
            ),
        ),
    ],
    equivalent={
        f"{SHIFT} -> shifted = matrix": CANCELS,
        f"{SHIFT} -> {SHIFT.replace('max', 'min')}": CANCELS,
        f"{SHIFT} -> {SHIFT.replace(' - ', ' + ')}": CANCELS,
    },
)


def labelled_cases(generator: torch.Generator) -> list[Case]:
    """As for softmax, with a label for each row; labels of every class."""
    return calls(
        {
            label: (logits, whole(generator, logits.shape[1], len(logits)))
            for label, (logits,) in _logits(generator).items()
        },
        "batch",
    )


OF_LABELS = "-logprobs[torch.arange(len(logits)), true_labels]"

test_batched_cross_entropy_loss = exercise(
    reference=probabilities.batched_cross_entropy_loss,
    cases=labelled_cases,
    observe=outputs_and_gradients,
    tolerance=OF_LARGE_DIFFERENCES,
    accepts=[
        lambda logits, true_labels: logits.logsumexp(1) - logits[torch.arange(len(logits)), true_labels],
        lambda logits, true_labels: F.cross_entropy(logits, true_labels, reduction="none"),
        lambda logits, true_labels: -logits.log_softmax(dim=1).gather(1, true_labels[:, None])[:, 0],
    ],
    mistakes=[
        *instead_of(
            OF_LABELS,
            {
                OF_LABELS.removeprefix("-"): ("forgets the minus sign", "a loss falls as the label becomes likelier"),
                f"({OF_LABELS}).mean()": ("takes the mean", "each example has a loss of its own"),
                "-logprobs[:, true_labels]": (
                    "pairs every example with every label",
                    "an index for the examples is needed too: torch.arange(batch)",
                ),
                "-logprobs.max(dim=1).values": ("takes the likeliest class", "the true label's log-probability counts"),
                f"({OF_LABELS}).detach()": ("cuts the gradient", "training needs the gradient of the loss"),
                "-logprobs.mean(dim=1)": ("averages over all classes", "only the true label counts"),
            },
        ),
        *instead_of(
            "batched_logsoftmax(logits)",
            {
                "logits": ("leaves the softmax out", "logits become log-probabilities by batched_logsoftmax"),
                "batched_softmax(logits)": ("takes the softmax without the log", "log-probabilities are asked for"),
            },
        ),
    ],
)
