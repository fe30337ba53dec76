"""Judge of a head's OV circuit between tokens, and what is seen of any circuit.

Shapes:  circuits "d_vocab d_vocab", as two factors.
"""

import copy
from collections.abc import Callable
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
from arena_lib.transformer.fast.attention_only import AttentionOnly

__test__ = False

SIZES = {"n_layers": 3, "n_heads": 4, "d_head": 3}


def model_for_cases(generator: torch.Generator, **sizes: int) -> dict[str, Any]:
    """What a case is given to make its model from: a small random one in double precision, and a place for its copy."""
    return {"model": small_models.make_model(generator, **sizes).double(), "device": torch.zeros(()), "copies": []}


def fresh_model(case: Case) -> AttentionOnly:
    """The case's model, in a copy that a learner may change: each call gives back its weights, and no hooks."""
    model, copies = case.given["model"], case.given["copies"]
    if not copies:
        copies.append(copy.deepcopy(model).to(case.given["device"].device).requires_grad_(False))
    fresh: AttentionOnly = copies[0]
    fresh.reset_hooks()
    fresh.load_state_dict(model.state_dict())
    return fresh


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


def _all_heads(model: Any, layer: int, head: int) -> FactoredMatrix:
    """The mistake of leaving the axis of heads to a sum."""
    return circuits.effective_OV_circuit(model, [(layer, other) for other in range(SIZES["n_heads"])])


def _from_layer(fixed: int) -> Callable[..., FactoredMatrix]:
    """The mistake of writing a layer into the code."""
    return lambda model, layer, head: circuits.full_OV_circuit(model, fixed, head)


FIXED_LAYERS = ("0", "1", "lm.n_layers - 1")
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
        Mistake(
            "returns logits as rows",
            "FactoredMatrix(A, B)",
            "FactoredMatrix(B.mT, A.mT)",
            why="rows are the tokens attended to, and columns the logits that they change",
        ),
        *UNFOLDED,
        Mistake(
            "counts heads from one",
            function=lambda model, layer, head: circuits.full_OV_circuit(model, layer, (head - 1) % SIZES["n_heads"]),
            why="heads are counted from zero: W_O[layer, head]",
        ),
        Mistake("adds up all heads of the layer", function=_all_heads, why="the circuit is that of one head"),
        Mistake(
            "builds the QK circuit",
            function=circuits.full_QK_circuit,
            why="where a head looks goes through W_Q and W_K; what it moves through W_V and W_O",
        ),
        *[
            Mistake(
                f"uses everything from layer {fixed}",
                function=_from_layer(fixed),
                why="both weights belong to the layer that is handed in",
            )
            for fixed in range(SIZES["n_layers"])
        ],
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
            {
                f'(model, {fixed}, "W_V")': ("uses another layer's W_V", "both factors belong to the same layer")
                for fixed in FIXED_LAYERS
            },
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
                "lm.model.W_O[head, layer] @": (
                    "swaps layer and head in W_O",
                    "W_O has the axes n_layers, n_heads, ...: W_O[layer, head]",
                ),
                **{
                    f"lm.W_O({fixed})[head] @": ("uses another layer's W_O", "both factors belong to the same layer")
                    for fixed in FIXED_LAYERS
                },
            },
        ),
        *instead_of(
            "FactoredMatrix(A, B)",
            {
                "(A, B)": (
                    "returns the two factors by themselves",
                    "FactoredMatrix(A, B) holds both, and later cells use its methods",
                ),
                "FactoredMatrix(A, lm.W_O(layer)[head])": (
                    "leaves the unembedding out",
                    "the full circuit goes from tokens to logits: W_U comes after W_O",
                ),
                "FactoredMatrix(A / A.shape[-1] ** 0.5, B)": (
                    "divides by the root of d_head",
                    "attention scores are divided by it; what a head moves is not",
                ),
                "FactoredMatrix(A + lm.model.b_V[layer, head], B)": (
                    "adds the bias of the values",
                    "a bias moves the same for every token: it is no part of the circuit",
                ),
                "FactoredMatrix(torch.cat([A, lm.W_E], dim=-1), torch.cat([B, folded_unembedding(model)]))": (
                    "adds the direct path",
                    "the circuit is what this head moves; W_E W_U is there without it",
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
