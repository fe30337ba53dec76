"""Judges of attention scores taken apart: the input of queries and keys by part, queries, keys, scores.

Shapes:  parts "n_comp seq d_model" -> "n_comp seq d_head" -> "q_comp k_comp q_pos k_pos".
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import decomposition
from arena_lib.tests.intro_to_mech_interp.circuits import fresh_model, model_for_cases
from arena_lib.wording import counted

__test__ = False

N_PARTS, D_MODEL, D_HEAD, D_VOCAB = 5, 10, 8, 13
"""Of the small model: 3 heads, and what they read."""
PARTS = "n_comp seq d_model"


def decompose_qk_input_cases(generator: torch.Generator) -> list[Case]:
    """Sequences of several lengths, and one token."""
    given = model_for_cases(generator, d_model=D_MODEL, d_head=D_HEAD, d_vocab=D_VOCAB)
    return [
        Case(
            label=f"a sequence of {seq}",
            given=given | {"tokens": torch.randint(0, D_VOCAB, (1, seq), generator=generator)},
            axes={"output": PARTS},
            call="cache",
        )
        for seq in (6, 8, 1)
    ]


def parts_of_a_run(function: Any, case: Case) -> Observations:
    """The parts for the cache of one run."""
    _, cache = fresh_model(case).run_with_cache(case.given["tokens"], remove_batch_dim=True)
    return {"output": function(cache)}


def parts_one_by_one(cache: Any) -> Tensor:
    """Centres, scales and multiplies each part by hand, and makes the heads' outputs from z."""
    model = cache.model
    ln1, scale = model.blocks[1].ln1, cache["scale", 1, "ln1"]

    def through_norm(x: Tensor) -> Tensor:
        return (x - x.mean(dim=-1, keepdim=True)) / scale * ln1.w

    z, W_O = cache["z", 0], model.W_O[0]
    parts = [through_norm(cache["embed"])]
    parts.append(through_norm(model.b_O[0].repeat(len(z), 1)) + ln1.b + cache["pos_embed"])
    parts += [through_norm(z[:, head] @ W_O[head]) for head in range(model.cfg.n_heads)]
    return torch.stack(parts)


def parts_filled_in(cache: Any) -> Tensor:
    """Fills a tensor of zeros, and takes positions from the weights."""
    model = cache.model
    raw = torch.zeros(model.cfg.n_heads + 2, *cache["embed"].shape, dtype=cache["embed"].dtype)
    raw[0] = cache["resid_pre", 0]
    raw[1] = model.b_O[0]
    raw[2:] = cache["result", 0].transpose(0, 1)
    parts = cache.apply_ln_to_stack(raw, 1)
    parts[1] += model.W_pos[: parts.shape[1]]
    parts[1] += model.blocks[1].ln1.b
    return parts


def _as_they_are(cache: Any) -> Tensor:
    """The mistake of taking what stands in the cache as it is: embedding, positions, heads."""
    return torch.cat([torch.stack([cache["embed"], cache["pos_embed"]]), cache["result", 0].movedim(1, 0)])


def _through_the_norm(cache: Any, *, with_biases: bool) -> Tensor:
    """The mistake of treating positions as part of the stream."""
    parts = _as_they_are(cache)
    parts[1] += with_biases * cache.model.b_O[0]
    parts = cache.apply_ln_to_stack(parts, 1)
    parts[1] += with_biases * cache.model.blocks[1].ln1.b
    return parts


POSITIONS_JOIN_LATE = "in this model positions are added to the inputs of queries and keys, after the norm"
NORM_IS_READ = "queries and keys read the stream through the norm: each part must be centred and scaled as the norm did"
NORMED = 'cache.apply_ln_to_stack(torch.cat([torch.stack([cache["embed"], b_O]), heads]), 1)'
CONSTANTS = 'model.blocks[1].ln1.b + cache["pos_embed"]'

test_decompose_qk_input = exercise(
    reference=decomposition.decompose_qk_input,
    cases=decompose_qk_input_cases,
    observe=parts_of_a_run,
    accepts=[parts_one_by_one, parts_filled_in],
    mistakes=[
        Mistake("leaves out the norm and the biases", function=_as_they_are, why=NORM_IS_READ),
        Mistake(
            "applies the norm to the positions",
            function=partial(_through_the_norm, with_biases=True),
            why=POSITIONS_JOIN_LATE,
        ),
        Mistake(
            "applies the norm to the positions, and forgets the biases",
            function=partial(_through_the_norm, with_biases=False),
            why=POSITIONS_JOIN_LATE + "; layer 0's b_O and the norm's bias count with part 1",
        ),
        *instead_of(
            NORMED,
            {
                'torch.cat([torch.stack([cache["embed"], b_O]), heads])': ("leaves the norm out", NORM_IS_READ),
                NORMED.replace(", 1)", ", 0)"): (
                    "uses the norm of layer 0",
                    "layer 1's heads read the stream through layer 1's norm, with the scale that it had there",
                ),
                NORMED + ' * cache["scale", 1, "ln1"]': (
                    "does not divide by the norm's scale",
                    "the norm divides by its scale, which the cache holds for this run",
                ),
            },
        ),
        Mistake(
            "forgets the bias of layer 0's output",
            "model.blocks[0].attn.b_O.expand_as(",
            "torch.zeros_like(",
            why="layer 0 adds its heads' outputs and one bias to the stream; the bias counts with part 1",
        ),
        *instead_of(
            CONSTANTS,
            {
                'cache["pos_embed"]': (
                    "forgets the norm's bias",
                    "the norm adds its bias at the end; it counts with part 1",
                ),
                "model.blocks[1].ln1.b": (
                    "forgets the positions",
                    "positions are added to the inputs of queries and keys, as part 1",
                ),
            },
        ),
        *instead_of(
            "[parts[:1], parts[1:2] + constants, parts[2:]]",
            {
                "[parts[:1] + constants, parts[1:]]": (
                    "adds the positions to the token's part",
                    "part 0 is the token embedding, part 1 the position",
                ),
                "[parts[2:], parts[:1], parts[1:2] + constants]": (
                    "returns the heads' parts first",
                    "the parts are in the order token, position, heads",
                ),
                "[parts[1:2] + constants, parts[:1], parts[2:]]": (
                    "returns the position's part first",
                    "the parts are in the order token, position, heads",
                ),
                "[parts + constants]": (
                    "adds positions and the norm's bias to every part",
                    "positions and the bias are added once, to part 1, so that the sum over the parts has them once",
                ),
                '[parts + model.blocks[1].ln1.b + cache["pos_embed"] * (torch.arange(len(parts)) == 1)[:, None, None]]': (
                    "adds the norm's bias to every part",
                    "the bias is added once, to part 1, so that the sum over the parts has it once",
                ),
            },
        ),
        Mistake(
            "uses the heads of layer 1",
            '"result", 0',
            '"result", 1',
            why="layer 1's heads read what layer 0's heads wrote",
        ),
    ],
)


def projection_cases(generator: torch.Generator) -> list[Case]:
    """Several heads, and one position."""
    given = model_for_cases(generator, d_model=D_MODEL, d_head=D_HEAD, d_vocab=D_VOCAB)
    return [
        Case(
            label=counted(seq, "position"),
            given=given
            | {"parts": torch.randn(N_PARTS, seq, D_MODEL, generator=generator, dtype=torch.float64), "head": head},
            axes={"output": "n_comp seq d_head"},
            call=f"decomposed_qk_input, {head}, model",
        )
        for head, seq in ((2, 6), (1, 7), (0, 1))
    ]


def decompose_q_cases(generator: torch.Generator) -> list[Case]:
    """Queries of several heads."""
    return projection_cases(generator)


def decompose_k_cases(generator: torch.Generator) -> list[Case]:
    """Keys of several heads."""
    return projection_cases(generator)


def projected_parts(function: Any, case: Case) -> Observations:
    """What the call returns, and whether it changed the parts."""
    parts = case.given["parts"].clone()
    output = function(parts, case.given["head"], fresh_model(case))
    return {"output": output, CHANGED: [] if torch.equal(parts, case.given["parts"]) else ["decomposed_qk_input"]}


def project_in_place(name: str) -> Any:
    """A solution that adds the bias into its result."""

    def solution(decomposed_qk_input: Tensor, ind_head_index: int, model: Any) -> Tensor:
        weight = getattr(model, f"W_{name}")[1, ind_head_index]
        projected = torch.einsum("csd,dh->csh", decomposed_qk_input, weight)
        projected[1] += getattr(model, f"b_{name}")[1][ind_head_index]
        return projected

    return solution


def project_all_heads(name: str) -> Any:
    """A solution that makes all heads' parts and takes one."""

    def solution(decomposed_qk_input: Tensor, ind_head_index: int, model: Any) -> Tensor:
        attn = model.blocks[1].attn
        every = decomposed_qk_input[:, None] @ getattr(attn, f"W_{name}")
        is_position = (torch.arange(len(every)) == 1).to(every)[:, None, None, None]
        return (every + is_position * getattr(attn, f"b_{name}")[:, None])[:, ind_head_index]

    return solution


def projection_mistakes(name: str, other: str, what: str) -> list[Mistake]:
    """The likely wrong versions of one projection."""
    return [
        *instead_of(
            f"attn.W_{name}[ind_head_index]",
            {
                f"attn.W_{other}[ind_head_index]": (
                    f"uses W_{other} instead of W_{name}",
                    f"{what} are made by W_{name}",
                ),
                f"attn.W_{name}[ind_head_index - 1]": (
                    "uses another head",
                    "the weights are those of the head in the argument",
                ),
            },
        ),
        Mistake("uses layer 0", "blocks[1]", "blocks[0]", why="the induction head is in layer 1"),
        *instead_of(
            "torch.cat([projected[:1], projected[1:2] + bias, projected[2:]])",
            {
                "projected": (f"forgets b_{name}", f"{what} have a bias; it counts with part 1"),
                "projected + bias": (
                    "adds the bias to every part",
                    "the bias is added once, to part 1, so that the sum over the parts has it once",
                ),
                "torch.cat([projected[:1] + bias, projected[1:]])": (
                    "adds the bias to the token's part",
                    "part 1 holds the position and every constant",
                ),
                "torch.cat([projected[:1], projected[1:] + bias / (len(projected) - 1)])": (
                    "divides the bias among the parts",
                    "part 1 holds the position and every constant",
                ),
                "projected.sum(dim=0)": ("sums over the parts", "each part has its own entry along the first axis"),
            },
            within="project_parts",
        ),
        Mistake(
            f"uses b_{other} instead of b_{name}",
            f"attn.b_{name}[ind_head_index]",
            f"attn.b_{other}[ind_head_index]",
            why=f"{what} have b_{name} as their bias",
        ),
    ]


test_decompose_q = exercise(
    reference=decomposition.decompose_q,
    cases=decompose_q_cases,
    observe=projected_parts,
    accepts=[project_in_place("Q"), project_all_heads("Q")],
    mistakes=projection_mistakes("Q", "K", "queries"),
)

test_decompose_k = exercise(
    reference=decomposition.decompose_k,
    cases=decompose_k_cases,
    observe=projected_parts,
    accepts=[project_in_place("K"), project_all_heads("K")],
    mistakes=projection_mistakes("K", "Q", "keys"),
)


def decompose_attn_scores_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    given = model_for_cases(generator, d_model=D_MODEL, d_head=D_HEAD, d_vocab=D_VOCAB)

    def parts(seq: int) -> Tensor:
        return torch.randn(N_PARTS, seq, D_HEAD, generator=generator)

    return [
        Case(
            label=counted(seq, "position"),
            given=given | {"q": parts(seq), "k": parts(seq)},
            axes={"output": "q_comp k_comp q_pos k_pos"},
            call="decomposed_q, decomposed_k, model",
        )
        for seq in (6, 7, 1)
    ]


def score_parts(function: Any, case: Case) -> Observations:
    """What the call returns, and which arguments it changed."""
    q, k = case.given["q"].clone(), case.given["k"].clone()
    output = function(q, k, fresh_model(case))
    same = {"decomposed_q": torch.equal(q, case.given["q"]), "decomposed_k": torch.equal(k, case.given["k"])}
    return {"output": output, CHANGED: [name for name, is_same in same.items() if not is_same]}


def scores_by_matmul(decomposed_q: Tensor, decomposed_k: Tensor, model: Any) -> Tensor:
    """Lets matmul broadcast over both kinds of parts."""
    return decomposed_q[:, None] @ decomposed_k[None].transpose(-1, -2) * decomposed_q.shape[-1] ** -0.5


def scores_in_a_loop(decomposed_q: Tensor, decomposed_k: Tensor, model: Any) -> Tensor:
    """Goes through the pairs."""
    rows = [torch.stack([q @ k.T for k in decomposed_k]) for q in decomposed_q]
    return torch.stack(rows) / torch.tensor(model.cfg.d_head).sqrt()


test_decompose_attn_scores = exercise(
    reference=decomposition.decompose_attn_scores,
    cases=decompose_attn_scores_cases,
    observe=score_parts,
    accepts=[scores_by_matmul, scores_in_a_loop],
    mistakes=[
        *instead_of(
            "scores / model.cfg.d_head**0.5",
            {
                "scores": (
                    "does not scale the scores",
                    "attention divides the dot product of query and key by the root of d_head",
                ),
                "scores / model.cfg.d_head": (
                    "divides by d_head, not by its root",
                    "attention divides by the root of d_head",
                ),
                "scores / model.cfg.d_model**0.5": (
                    "divides by the root of d_model",
                    "the dot product has d_head terms",
                ),
                "scores * model.cfg.d_head**0.5": (
                    "multiplies by the root of d_head",
                    "attention divides by the root of d_head",
                ),
                "(scores / model.cfg.d_head**0.5).tril()": (
                    "sets the future to zero",
                    "the result is the scores before the mask",
                ),
                "(scores / model.cfg.d_head**0.5).masked_fill("
                "torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)": (
                    "hides the future",
                    "the result is the scores before the mask",
                ),
                "(scores / model.cfg.d_head**0.5).softmax(dim=-1)": (
                    "applies the softmax to the scores",
                    "the result is the scores before the softmax: only these are sums over the parts",
                ),
            },
        ),
        Mistake(
            "swaps queries and keys",
            "decomposed_q, decomposed_k,",
            "decomposed_k, decomposed_q,",
            why="the first axes belong to the queries: decomposed_q",
        ),
        *instead_of(
            "-> q_comp k_comp q_pos k_pos",
            {
                "-> k_comp q_comp q_pos k_pos": (
                    "swaps the parts of queries and keys",
                    "the first axis is the query's part, the second the key's",
                ),
                "-> q_comp k_comp k_pos q_pos": (
                    "swaps the positions of queries and keys",
                    "rows of the scores are query positions, columns key positions",
                ),
                "-> q_comp q_pos k_comp k_pos": (
                    "returns each part's axis beside its positions",
                    "both axes of parts come first, then both of positions",
                ),
            },
        ),
    ],
)
