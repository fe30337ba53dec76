"""Judges of attention scores taken apart: the input of queries and keys by part, queries, keys, scores.

Shapes:  parts "n_comp seq d_model" -> "n_comp seq d_head" -> "q_comp k_comp q_pos k_pos".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import decomposition
from arena_lib.tests.intro_to_mech_interp.circuits import fresh_model, model_for_cases

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


def positions_through_the_norm(cache: Any) -> Tensor:
    """The mistake of treating positions as part of the stream."""
    model = cache.model
    first = torch.stack([cache["embed"], cache["pos_embed"] + model.b_O[0]])
    parts = cache.apply_ln_to_stack(torch.cat([first, cache["result", 0].movedim(1, 0)]), 1)
    return torch.cat([parts[:1], parts[1:2] + model.blocks[1].ln1.b, parts[2:]])


test_decompose_qk_input = exercise(
    reference=decomposition.decompose_qk_input,
    cases=decompose_qk_input_cases,
    observe=parts_of_a_run,
    accepts=[parts_one_by_one, parts_filled_in],
    mistakes=[
        Mistake(
            "leaves the norm out",
            'cache.apply_ln_to_stack(torch.cat([torch.stack([cache["embed"], b_O]), heads]), 1)',
            'torch.cat([torch.stack([cache["embed"], b_O]), heads])',
            why="queries and keys read the stream through the norm: each part must be centred and scaled as the norm did",
        ),
        Mistake(
            "takes the norm of layer 0",
            "heads]), 1)",
            "heads]), 0)",
            why="layer 1's heads read the stream through layer 1's norm, with the scale that it had there",
        ),
        Mistake(
            "sends the positions through the norm",
            function=positions_through_the_norm,
            why="in this model positions are added to the inputs of queries and keys, after the norm",
        ),
        Mistake(
            "forgets the bias of layer 0's output",
            "model.blocks[0].attn.b_O.expand_as(",
            "torch.zeros_like(",
            why="layer 0 adds its heads' outputs and one bias to the stream; the bias counts with part 1",
        ),
        Mistake(
            "forgets the norm's bias",
            'model.blocks[1].ln1.b + cache["pos_embed"]',
            'cache["pos_embed"]',
            why="the norm adds its bias at the end; it counts with part 1",
        ),
        Mistake(
            "forgets the positions",
            'model.blocks[1].ln1.b + cache["pos_embed"]',
            "model.blocks[1].ln1.b",
            why="positions join the inputs of queries and keys, and are part 1",
        ),
        Mistake(
            "counts positions with the token",
            "parts[:1], parts[1:2] + constants",
            "parts[:1] + constants, parts[1:2]",
            why="part 0 is the token embedding, part 1 the position",
        ),
        Mistake(
            "takes the heads of layer 1",
            '"result", 0',
            '"result", 1',
            why="layer 1's heads read what layer 0's heads wrote",
        ),
        Mistake(
            "puts the heads first",
            "[parts[:1], parts[1:2] + constants, parts[2:]]",
            "[parts[2:], parts[:1], parts[1:2] + constants]",
            why="the order is token, position, heads",
        ),
    ],
)


def projection_cases(generator: torch.Generator) -> list[Case]:
    """Several heads, and one position."""
    given = model_for_cases(generator, d_model=D_MODEL, d_head=D_HEAD, d_vocab=D_VOCAB)
    return [
        Case(
            label=f"head {head}, {seq} positions",
            given=given
            | {"parts": torch.randn(N_PARTS, seq, D_MODEL, generator=generator, dtype=torch.float64), "head": head},
            axes={"output": "n_comp seq d_head"},
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
    weight = f"attn.W_{name}[ind_head_index]"
    helper = "torch.cat([projected[:1], projected[1:2] + bias, projected[2:]])"
    return [
        Mistake(f"takes W_{other}", weight, f"attn.W_{other}[ind_head_index]", why=f"{what} are made by W_{name}"),
        Mistake("takes layer 0", "blocks[1]", "blocks[0]", why="the induction head is in layer 1"),
        Mistake(
            "takes another head",
            weight,
            f"attn.W_{name}[ind_head_index - 1]",
            why="the head is the one that was asked for",
        ),
        Mistake(
            f"forgets b_{name}",
            helper,
            "projected",
            within="project_parts",
            why=f"{what} have a bias; it counts with part 1",
        ),
        Mistake(
            "adds the bias to every part",
            helper,
            "projected + bias",
            within="project_parts",
            why="the bias is added once: the sum over the parts would have it n_heads + 2 times",
        ),
        Mistake(
            "counts the bias with the token",
            helper,
            "torch.cat([projected[:1] + bias, projected[1:]])",
            within="project_parts",
            why="part 1 holds the position and every constant",
        ),
        Mistake(
            f"takes b_{other}",
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
            label=f"{seq} positions",
            given=given | {"q": parts(seq), "k": parts(seq)},
            axes={"output": "q_comp k_comp q_pos k_pos"},
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
        Mistake(
            "does not scale the scores",
            "scores / model.cfg.d_head**0.5",
            "scores",
            why="attention divides q . k by the root of d_head",
        ),
        Mistake(
            "divides by d_head, not by its root",
            "model.cfg.d_head**0.5",
            "model.cfg.d_head",
            why="attention divides by the root of d_head",
        ),
        Mistake(
            "divides by the root of d_model",
            "model.cfg.d_head**0.5",
            "model.cfg.d_model**0.5",
            why="the dot product has d_head terms",
        ),
        Mistake(
            "swaps the parts of queries and keys",
            "-> q_comp k_comp q_pos k_pos",
            "-> k_comp q_comp q_pos k_pos",
            why="the first axis is the query's part, the second the key's",
        ),
        Mistake(
            "swaps the positions of queries and keys",
            "-> q_comp k_comp q_pos k_pos",
            "-> q_comp k_comp k_pos q_pos",
            why="rows of the scores are query positions, columns key positions",
        ),
    ],
)
