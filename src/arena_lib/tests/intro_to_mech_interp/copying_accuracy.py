"""Judge of how often a circuit copies: the share of rows whose diagonal entry is the largest.

Shapes:  a circuit "d_vocab d_vocab", as two factors -> a number.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.weights import circuits
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.intro_to_mech_interp.factored import BUILT, LargestTensor, builds_nothing_large

__test__ = False


def top_1_acc_cases(generator: torch.Generator) -> list[Case]:
    """Batches of several sizes, the last one smaller, and circuits that copy nothing."""

    def case(label: str, batch_size: int | None, n: int = 23, copying: float = 1.0, shift: int = 0) -> Case:
        A = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        B = copying * A.roll(-shift, dims=0).mT + 0.9 * torch.randn(4, n, generator=generator, dtype=torch.float64)
        is_small = batch_size is not None and batch_size < n
        return Case(
            label=label,
            call="full_OV_circuit" + ("" if batch_size is None else f", batch_size={batch_size}"),
            given={
                "factors": (A, B),
                "rest": () if batch_size is None else (batch_size,),
                "too many": n * n if is_small else 10**9,
            },
        )

    return [
        case("a last batch that is smaller", 5),
        case("rows one by one", 1),
        case("a large batch and a small one", 16),
        case("more rows in a batch than there are", 50),
        case("the default batch size", None, n=17),
        case("a circuit that copies nothing", 6, copying=-1.0),
        case("a circuit that moves to the token 8 before", 8, shift=8),
    ]


def accuracy(function: Any, case: Case) -> Observations:
    """The accuracy as a number, and whether all rows were multiplied out at once."""
    with LargestTensor() as largest:
        share = function(FactoredMatrix(*case.given["factors"]), *case.given["rest"])
    share = share.item() if isinstance(share, Tensor) and share.numel() == 1 else share
    return {"output": share, BUILT: largest.in_words(case.given["too many"])}


def top_1_by_splitting(full_OV_circuit: Any, batch_size: int = 1000) -> Tensor:
    """Splits the first factor, and compares the diagonal with the row's largest."""
    hits = []
    for i, A in enumerate(full_OV_circuit.A.split(batch_size)):
        hits.append(_hits(A @ full_OV_circuit.B, i * batch_size))
    return torch.cat(hits).double().mean()


def _hits(logits: Tensor, start: int) -> Tensor:
    return logits.diagonal(offset=start) >= logits.max(dim=1).values


def _of_batch(which: int) -> Callable[..., float]:
    """The mistake of a loop whose result is that of one batch."""

    def share(full_OV_circuit: Any, batch_size: int = 1000) -> float:
        start = range(0, full_OV_circuit.shape[0], batch_size)[which]
        rows = full_OV_circuit[start : start + batch_size].AB
        return float(_hits(rows, start).double().mean())

    return share


COUNT = "n_correct += int((rows.argmax(dim=-1) == own).sum())"
EVERY_BATCH = "every batch counts: add up over all of them, and divide once, by all tokens"
ALL_TOKENS = "an accuracy is a share of all tokens: divide by their number"

test_top_1_acc = exercise(
    reference=circuits.top_1_acc,
    cases=top_1_acc_cases,
    observe=accuracy,
    properties=[builds_nothing_large],
    accepts=[top_1_by_splitting, lambda circuit, batch_size=1000: circuits.top_k_acc(circuit, 1, batch_size)],
    equivalent=dict.fromkeys(
        ["range(0, full_OV_circuit.shape[0], batch_size)", "return n_correct / full_OV_circuit.shape[0]"],
        "the circuit has as many columns as rows",
    ),
    mistakes=[
        Mistake(
            "uses the largest entry of each column",
            function=lambda full_OV_circuit, batch_size=1000: circuits.top_1_acc(full_OV_circuit.T, batch_size),
            why="a row holds the logits of one source token: it counts if its own logit is the largest in the row",
        ),
        Mistake(
            "counts tokens whose own logit is among the five largest",
            function=lambda full_OV_circuit, batch_size=1000: circuits.top_k_acc(full_OV_circuit, 5, batch_size),
            why="top-1 accuracy counts a token only if its own logit is the largest",
        ),
        Mistake(
            "averages over the batches",
            COUNT,
            "n_correct += float((rows.argmax(dim=-1) == own).double().mean()) * full_OV_circuit.shape[0]"
            " / -(-full_OV_circuit.shape[0] // batch_size)",
            why="the last batch may be smaller, so sum over all rows and divide once, by the number of tokens",
        ),
        Mistake(
            "numbers the tokens from 0 in each batch",
            "torch.arange(start, start + rows.shape[0], device=rows.device)",
            "torch.arange(rows.shape[0], device=rows.device)",
            why="row i of a batch belongs to the token that is i places after the first of that batch",
        ),
        *instead_of(
            "range(0, full_OV_circuit.shape[0], batch_size)",
            {
                "range(0, full_OV_circuit.shape[0] - batch_size + 1, batch_size)": (
                    "drops the last, smaller batch",
                    "the number of tokens need not be a multiple of the batch size",
                ),
                "[0]": ("looks at the first batch only", EVERY_BATCH),
            },
        ),
        Mistake("counts the last batch alone", "n_correct += int(", "n_correct = int(", why=EVERY_BATCH),
        Mistake("returns the accuracy of the first batch", function=_of_batch(0), why=EVERY_BATCH),
        Mistake("returns the accuracy of the last batch", function=_of_batch(-1), why=EVERY_BATCH),
        *instead_of(
            "(rows.argmax(dim=-1) == own)",
            {
                "(rows.argmax(dim=0)[: len(rows)] == torch.arange(len(rows)))": (
                    "looks for the largest of each column in the batch",
                    "a row holds the logits of one source token: its own must be the largest among them, dim=-1",
                ),
                "(rows[:, start : start + batch_size].argmax(dim=-1) == torch.arange(len(rows)))": (
                    "compares only with the tokens of the same batch",
                    "a row's own logit must be the largest of the whole vocabulary",
                ),
                "(rows.diagonal(offset=start) > 0)": (
                    "counts own logits above zero",
                    "the token's own logit must be the largest of its row",
                ),
                "(rows.diagonal(offset=start) > rows.mean(dim=-1))": (
                    "counts own logits above the row's mean",
                    "the token's own logit must be the largest of its row",
                ),
            },
        ),
        *instead_of(
            "rows.argmax(dim=-1)",
            {
                "rows.argmin(dim=-1)": (
                    "uses the smallest entry of each row",
                    "copying raises the token's own logit, so look for the largest",
                ),
                "rows.abs().argmax(dim=-1)": (
                    "uses the largest absolute value of each row",
                    "a large negative logit makes a token unlikely: compare the logits with their signs",
                ),
            },
        ),
        *instead_of(
            "return n_correct / full_OV_circuit.shape[0]",
            {
                "return 1 - n_correct / full_OV_circuit.shape[0]": (
                    "returns the share of errors",
                    "the result is the share of tokens that are right",
                ),
                "return float(n_correct)": (
                    "counts and does not divide",
                    "an accuracy is the number of right tokens divided by the number of all tokens",
                ),
                "return n_correct / batch_size": ("divides by the batch size", ALL_TOKENS),
                "return n_correct / -(-full_OV_circuit.shape[0] // batch_size)": (
                    "divides by the number of batches",
                    ALL_TOKENS,
                ),
                "return n_correct / (-(-full_OV_circuit.shape[0] // batch_size) * batch_size)": (
                    "counts the last batch as a full one",
                    ALL_TOKENS,
                ),
                "return 100 * n_correct / full_OV_circuit.shape[0]": (
                    "returns percent",
                    "a share lies between 0 and 1",
                ),
            },
        ),
        Mistake(
            "multiplies the whole matrix out at once",
            "full_OV_circuit[start : start + batch_size].AB",
            "full_OV_circuit.AB[start : start + batch_size]",
            why="for a vocabulary of 50,000 the whole matrix takes 10 GB: take rows of the factors, then multiply",
        ),
    ],
)
