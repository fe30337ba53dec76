"""Judges of a head's OV circuit between tokens: of one head and of several, and how often it copies.

Shapes:  circuits "d_vocab d_vocab", as two factors.
"""

import copy
from types import SimpleNamespace
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.weights import circuits
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.intro_to_mech_interp import small_models
from arena_lib.tests.intro_to_mech_interp.factored import BUILT, LargestTensor, builds_nothing_large
from arena_lib.transformer.fast.attention_only import AttentionOnly

__test__ = False

SIZES = {"n_layers": 3, "n_heads": 4, "d_head": 3}


def model_for_cases(generator: torch.Generator, **sizes: int) -> dict[str, Any]:
    """What a case is given to make its model from: a small random one in double precision."""
    return {"model": small_models.make_model(generator, **sizes).double(), "device": torch.zeros(())}


def fresh_model(case: Case) -> AttentionOnly:
    """The case's model, in a copy that a learner may change."""
    model: AttentionOnly = copy.deepcopy(case.given["model"])
    return model.to(case.given["device"].device).requires_grad_(False)


def circuit_observations(function: Any, case: Case) -> Observations:
    """The circuit multiplied out, and in how many numbers its factors meet, if it has factors."""
    made = function(fresh_model(case), *case.given["call"])
    if not (isinstance(getattr(made, "A", None), Tensor) and isinstance(getattr(made, "B", None), Tensor)):
        return {"output": made.detach() if isinstance(made, Tensor) else made, "inner axis of the factors": 0}
    return {"output": (made.A @ made.B).detach(), "inner axis of the factors": made.A.shape[-1]}


def is_kept_in_factors(seen: Observations, case: Case) -> str | None:
    """Keeps the circuit as two factors that meet in d_head."""
    meet, most = seen["inner axis of the factors"], case.given["most"]
    if 0 < meet <= most:
        return None
    got = f"an inner axis of {meet}" if meet else "no FactoredMatrix"
    return (
        f"It must return a FactoredMatrix whose inner axis has {most} entries, d_head for each head: got {got}. "
        "Multiply from both ends towards the middle: A has the rows, B the columns."
    )


def circuit_case(given: dict[str, Any], call: tuple[Any, ...], axes: str = "source logit", n_heads: int = 1) -> Case:
    """A case that calls the learner's function with the model and `call`."""
    return Case(
        label="a model of 3 layers and 4 heads",
        given=given | {"call": call, "most": n_heads * SIZES["d_head"]},
        axes={"output": axes},
        call=", ".join(["model", *map(str, call)]),
    )


def no_factors(first: str) -> str:
    """What stands in place of a FactoredMatrix that is multiplied out."""
    return f"FactoredMatrix({first}, torch.eye(lm.d_vocab, dtype=lm.W_E.dtype))"


def full_OV_circuit_cases(generator: torch.Generator) -> list[Case]:
    """Heads of all layers."""
    given = model_for_cases(generator, **SIZES)
    return [circuit_case(given, call) for call in ((1, 2), (0, 3), (2, 1))]


def OV_by_its_formula(model: Any, layer: int, head: int) -> Any:
    """Writes gains and centring out, on the side of the embedding and of W_O."""
    ln1, attn = model.blocks[layer].ln1, model.blocks[layer].attn
    W_E = (model.W_E - model.W_E.mean(dim=1, keepdim=True)) * ln1.w
    W_O = attn.W_O[head]
    W_O = (W_O - W_O.mean(dim=-1, keepdim=True)) * model.ln_final.w
    A = einops.einsum(W_E, attn.W_V[head], "d_vocab d_model, d_model d_head -> d_vocab d_head")
    return SimpleNamespace(A=A, B=W_O @ model.unembed.W_U)


def OV_by_products_of_factored(model: Any, layer: int, head: int) -> FactoredMatrix:
    """Builds W_V W_O first, and multiplies it from both sides."""
    W_V = circuits.folded_reader(model, layer, "W_V")[head]
    inner = FactoredMatrix(W_V, model.W_O[layer, head])
    result = model.W_E @ inner @ circuits.folded_unembedding(model)
    assert isinstance(result, FactoredMatrix)
    return result


WHOLE_IS_LARGE = "the whole matrix has d_vocab x d_vocab entries: return FactoredMatrix(A, B)"
UNFOLDED = [
    Mistake(
        "does not fold the first norm",
        'folded_reader(model, layer, "W_V")[head]',
        "lm.W_V(layer)[head]",
        within="full_OV_circuit",
        why="the head reads the embedding through its layer's norm, whose gain and centring belong to the circuit",
    ),
    Mistake(
        "does not fold the final norm",
        "folded_unembedding(model)",
        "lm.W_U",
        within="full_OV_circuit",
        why="the logits read the stream through the final norm",
    ),
]

test_full_OV_circuit = exercise(  # noqa: N816 -- the name that learners know
    reference=circuits.full_OV_circuit,
    name="full_OV_circuit",
    cases=full_OV_circuit_cases,
    observe=circuit_observations,
    properties=[is_kept_in_factors],
    accepts=[OV_by_its_formula, OV_by_products_of_factored],
    mistakes=[
        *UNFOLDED,
        *instead_of(
            '"W_V")[head]',
            {
                '"W_K")[head]': (
                    "uses W_K instead of W_V",
                    "W_V decides what is moved, and W_K where the head looks",
                ),
                '"W_Q")[head]': (
                    "uses W_Q instead of W_V",
                    "W_V decides what is moved, and W_Q where the head looks",
                ),
                '"W_V")[0]': ("uses another head's W_V", "both factors belong to the same head"),
            },
        ),
        *instead_of(
            '(model, layer, "W_V")',
            {'(model, 0, "W_V")': ("uses another layer's W_V", "both factors belong to the same layer")},
        ),
        *instead_of(
            "folded_unembedding(model)",
            {
                "lm.W_E.mT": (
                    "uses W_E instead of W_U",
                    "logits are computed with W_U, a weight of its own",
                )
            },
        ),
        *instead_of(
            "lm.W_O(layer)[head] @",
            {
                "lm.W_O(layer)[0] @": ("uses another head's W_O", "both factors belong to the same head"),
                "lm.W_O(0)[head] @": ("uses another layer's W_O", "both factors belong to the same layer"),
            },
        ),
        *instead_of(
            "FactoredMatrix(A, B)",
            {
                "FactoredMatrix(B.mT, A.mT)": (
                    "returns logits as rows",
                    "rows are the tokens attended to, and columns the logits that they change",
                ),
                "A @ B": ("returns the whole matrix", WHOLE_IS_LARGE),
                "FactoredMatrix(A @ lm.W_O(layer)[head], folded_unembedding(model))": (
                    "returns factors whose inner axis is d_model",
                    "the inner axis is d_head, so W_O belongs to B",
                ),
                "FactoredMatrix(folded_reader(model, layer, 'W_V')[head], lm.W_O(layer)[head])": (
                    "leaves out W_E and W_U",
                    "the full circuit goes from tokens to logits: W_E before it, W_U after it",
                ),
                no_factors("A @ B"): (
                    "multiplies the factors out",
                    "the whole matrix has d_vocab x d_vocab entries, its factors d_vocab x d_head",
                ),
            },
        ),
    ],
)


def effective_OV_circuit_cases(generator: torch.Generator) -> list[Case]:
    """Two heads of a layer, three of several, and one."""
    given = model_for_cases(generator, **SIZES)
    calls = [[(1, 2), (1, 0)], [(2, 1), (0, 3), (1, 1)], [(1, 3)]]
    return [circuit_case(given, (heads,), n_heads=len(heads)) for heads in calls]


def effective_by_layers(model: Any, heads: Any) -> FactoredMatrix:
    """Gathers the heads' weights first."""
    W_V = torch.cat([circuits.folded_reader(model, layer, "W_V")[head] for layer, head in heads], dim=1)
    W_O = torch.cat([model.W_O[layer, head] for layer, head in heads], dim=0)
    return FactoredMatrix(model.W_E @ W_V, W_O @ circuits.folded_unembedding(model))


def effective_in_another_order(model: Any, heads: Any) -> FactoredMatrix:
    """Stacks the heads from the last to the first."""
    return effective_by_layers(model, list(heads)[::-1])


test_effective_OV_circuit = exercise(  # noqa: N816 -- the name that learners know
    reference=circuits.effective_OV_circuit,
    name="effective_OV_circuit",
    cases=effective_OV_circuit_cases,
    observe=circuit_observations,
    properties=[is_kept_in_factors],
    accepts=[effective_by_layers, effective_in_another_order],
    equivalent={
        "torch.cat([circuit.B for circuit in circuits], dim=-2) -> "
        "torch.cat([circuit.B for circuit in circuits])": "a factor has two axes, and rows are the first"
    },
    mistakes=[
        *UNFOLDED,
        Mistake(
            "adds up the factors instead of stacking them",
            function=lambda model, heads: FactoredMatrix(
                torch.stack([circuits.full_OV_circuit(model, *head).A for head in heads]).sum(dim=0),
                torch.stack([circuits.full_OV_circuit(model, *head).B for head in heads]).sum(dim=0),
            ),
            why="(A1 + A2)(B1 + B2) also has A1 B2 and A2 B1, which mix the heads: stack the factors along d_head",
        ),
        Mistake(
            "multiplies the factors out",
            function=lambda model, heads: sum(circuits.full_OV_circuit(model, *head).AB for head in heads),
            why="the whole matrix has d_vocab x d_vocab entries, its factors d_vocab x d_head for each head",
        ),
        Mistake(
            "uses only the first head",
            "for layer, head in heads]",
            "for layer, head in list(heads)[:1]]",
            why="the heads' outputs are added to the stream, so the circuits of all heads are summed",
        ),
        Mistake(
            "uses the first pair's layer for every head",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, list(heads)[0][0], head)",
            why="each pair has a layer of its own",
        ),
        Mistake(
            "uses the first pair's head for every layer",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, layer, list(heads)[0][1])",
            why="each pair has a head of its own",
        ),
        Mistake(
            "returns logits as rows",
            function=lambda model, heads: circuits.effective_OV_circuit(model, heads).T,
            why="rows are the tokens attended to, and columns the logits that they change",
        ),
        Mistake(
            "averages over the heads",
            "[circuit.A for circuit in circuits]",
            "[circuit.A / len(circuits) for circuit in circuits]",
            why="each head adds its own output to the stream, so the circuits are summed",
        ),
        Mistake(
            "stacks the second factors in another order",
            "[circuit.B for circuit in circuits]",
            "[circuit.B for circuit in reversed(circuits)]",
            why="the columns of A and the rows of B must belong to the same heads",
        ),
    ],
)


def top_1_acc_cases(generator: torch.Generator) -> list[Case]:
    """A last batch that is smaller, batches of one row, everything at once, and a circuit that copies nothing."""

    def case(label: str, batch_size: int | None, n: int = 23, copying: float = 1.0) -> Case:
        A = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        B = copying * A.mT + 0.9 * torch.randn(4, n, generator=generator, dtype=torch.float64)
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
        case("more rows in a batch than there are", 50),
        case("the default batch size", None, n=17),
        case("a circuit that copies nothing", 6, copying=-1.0),
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


def _mean_over_batches(full_OV_circuit: Any, batch_size: int = 1000) -> float:
    starts = range(0, full_OV_circuit.shape[0], batch_size)
    rows = [full_OV_circuit[start : start + batch_size].AB for start in starts]
    shares = [_hits(logits, start).double().mean() for logits, start in zip(rows, starts, strict=True)]
    return float(torch.stack(shares).mean())


def _hits(logits: Tensor, start: int) -> Tensor:
    return logits.diagonal(offset=start) >= logits.max(dim=1).values


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
            function=_mean_over_batches,
            why="the last batch may be smaller, so sum over all rows and divide once, by the number of tokens",
        ),
        Mistake(
            "numbers the tokens from 0 in each batch",
            "torch.arange(start, start + rows.shape[0], device=rows.device)",
            "torch.arange(rows.shape[0], device=rows.device)",
            why="row i of a batch belongs to token start + i",
        ),
        Mistake(
            "drops the last, smaller batch",
            "range(0, full_OV_circuit.shape[0], batch_size)",
            "range(0, full_OV_circuit.shape[0] - batch_size + 1, batch_size)",
            why="the number of tokens need not be a multiple of the batch size",
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
