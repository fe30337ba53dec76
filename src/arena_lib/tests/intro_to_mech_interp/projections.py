"""Judges of queries, keys and attention scores taken apart.

Shapes:  parts "n_comp seq d_model" -> "n_comp seq d_head" -> "q_comp k_comp q_pos k_pos".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import decomposition
from arena_lib.tests.intro_to_mech_interp.circuits import fresh_model, model_for_cases
from arena_lib.tests.intro_to_mech_interp.decomposition import D_HEAD, D_MODEL, D_VOCAB, N_PARTS
from arena_lib.wording import counted

__test__ = False


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


IN_1 = "part 1 holds the position and every constant"


def projection_mistakes(name: str, other: str, what: str) -> list[Mistake]:
    """The likely wrong versions of one projection."""
    return [
        *instead_of(
            "torch.cat([projected[:1], projected[1:2] + bias, projected[2:]])",
            {
                "projected": (f"forgets b_{name}", f"{what} have a bias; it counts with part 1"),
                "projected + bias": (
                    "adds the bias to every part",
                    "the bias is added once, to part 1, so that the sum over the parts has it once",
                ),
                "projected + bias / len(projected)": (
                    "shares the bias among all parts",
                    "no token and no head brings it: part 1 holds the position and every constant",
                ),
                "torch.cat([projected[:1] + bias, projected[1:]])": (
                    "adds the bias to the token's part",
                    "part 1 holds the position and every constant",
                ),
                "torch.cat([projected[:1], projected[1:] + bias])": ("adds the bias to every part but the token", IN_1),
                "torch.cat([projected[:2], projected[2:] + bias])": ("adds the bias to every head", IN_1),
                "torch.cat([projected[:2], projected[2:3] + bias, projected[3:]])": (
                    "counts the bias with the first head",
                    IN_1,
                ),
                "torch.cat([projected[:-1], projected[-1:] + bias])": ("counts the bias with the last head", IN_1),
                "torch.cat([projected, bias.expand_as(projected[:1])])": (
                    "gives the bias a part of its own",
                    IN_1 + ": there are as many parts as before",
                ),
                "torch.cat([projected[:1], bias.expand_as(projected[:1]), projected[2:]])": (
                    "puts the bias in place of part 1",
                    "part 1 holds the position as well: the bias is added to it",
                ),
                "torch.cat([projected[:1], projected[1:2] - bias, projected[2:]])": (
                    "subtracts the bias",
                    "the bias is added, as in the model",
                ),
                "projected + bias * (torch.arange(projected.shape[1]) == 1)[:, None]": (
                    "adds the bias at position 1 of every part",
                    "the first axis is the parts: part 1 gets it, at every position",
                ),
                "torch.cat([projected[:1], projected[1:2] + bias * (torch.arange(projected.shape[1]) == 0)[:, None], "
                "projected[2:]])": (
                    "adds the bias at the first position only",
                    "the bias is the same at every position",
                ),
                "torch.cat([projected[:1], projected[1:2] + bias, projected[2:]]) / weight.shape[-1] ** 0.5": (
                    "divides by the root of d_head",
                    "scores are divided by it, later and once; queries and keys are not",
                ),
                "torch.cat([projected[:1], projected[1:2] + bias, projected[2:]]).float()": (
                    "returns another dtype than the parts'",
                    "the result has the dtype of the parts: torch.zeros and torch.empty need dtype=parts.dtype",
                ),
                "torch.cat([projected[:1], projected[1:] + bias / (len(projected) - 1)])": (
                    "divides the bias among the parts",
                    "part 1 holds the position and every constant",
                ),
                "projected.sum(dim=0)": ("sums over the parts", "each part has its own entry along the first axis"),
                "projected.sum(dim=0) + bias": (
                    "sums over the parts",
                    "each part has its own entry along the first axis",
                ),
            },
            within="project_parts",
        ),
        *instead_of(
            f"attn.W_{name}[ind_head_index]",
            {
                f"attn.W_{other}[ind_head_index]": (
                    f"uses W_{other} instead of W_{name}",
                    f"{what} are made by W_{name}",
                ),
                **{
                    f"attn.W_{name}[{other_head}]": (
                        "uses another head",
                        "the weights are those of the head in the argument",
                    )
                    for other_head in ("ind_head_index - 1", "(ind_head_index + 1) % 3", "0")
                },
                "attn.W_V[ind_head_index]": (f"uses W_V instead of W_{name}", f"{what} are made by W_{name}"),
                f"model.blocks[0].attn.W_{name}[ind_head_index]": (
                    f"uses W_{name} of layer 0",
                    "the induction head is in layer 1",
                ),
                "(lambda scaled: scaled - scaled.mean(dim=-2, keepdim=True))"
                f"(attn.W_{name}[ind_head_index] * model.blocks[1].ln1.w[:, None])": (
                    "folds the norm into the weight",
                    f"the parts have passed the norm already: gain and centring would count twice; W_{name} as it is",
                ),
            },
        ),
        Mistake("uses layer 0", "blocks[1]", "blocks[0]", why="the induction head is in layer 1"),
        *instead_of(
            f"attn.b_{name}[ind_head_index]",
            {
                f"attn.b_{other}[ind_head_index]": (
                    f"uses b_{other} instead of b_{name}",
                    f"{what} have b_{name} as their bias",
                ),
                "attn.b_V[ind_head_index]": (f"uses b_V instead of b_{name}", f"{what} have b_{name} as their bias"),
                f"model.blocks[0].attn.b_{name}[ind_head_index]": (
                    f"uses b_{name} of layer 0",
                    "the induction head is in layer 1",
                ),
            },
        ),
        *instead_of(
            "return project_parts(",
            {
                **{
                    f"return project_parts(decomposed_qk_input, attn.W_{wrong}[ind_head_index], "
                    f"attn.b_{wrong}[ind_head_index])\n    return project_parts(": (
                        f"uses W_{wrong} and b_{wrong}",
                        f"{what} are made by W_{name} and b_{name}",
                    )
                    for wrong in (other, "V")
                },
                "ind_head_index = 0\n    return project_parts(": (
                    "always takes head 0",
                    "the weights are those of the head in the argument",
                ),
                "ind_head_index = (ind_head_index + 1) % 3\n    return project_parts(": (
                    "uses the next head",
                    "the weights are those of the head in the argument",
                ),
                "ind_head_index -= 1\n    return project_parts(": (
                    "counts heads from one",
                    f"heads are counted from zero: W_{name}[1, ind_head_index]",
                ),
            },
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


def _scales_in_place(decomposed_q: Tensor, decomposed_k: Tensor, model: Any) -> Tensor:
    """The mistake of dividing the argument itself."""
    decomposed_q /= model.cfg.d_head**0.5
    return decomposed_q[:, None] @ decomposed_k.mT


ROOT_OF_D_HEAD = "attention divides by the root of d_head"
EACH_PAIR = "every part of the query meets every part of the key: one entry for each pair"

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
                "scores / model.cfg.n_heads**0.5": ("divides by the root of the number of heads", ROOT_OF_D_HEAD),
                "scores / len(decomposed_q) ** 0.5": ("divides by the root of the number of parts", ROOT_OF_D_HEAD),
                "scores / model.cfg.d_head**0.25": ("takes the root twice", ROOT_OF_D_HEAD),
                "scores.abs() / model.cfg.d_head**0.5": (
                    "leaves the signs out",
                    "a pair of parts may lower a score: keep the sign",
                ),
                "scores.sum(dim=(0, 1)) / model.cfg.d_head**0.5": ("adds all pairs of parts up", EACH_PAIR),
                "scores.diagonal(dim1=0, dim2=1).movedim(-1, 0) / model.cfg.d_head**0.5": (
                    "pairs each part with itself alone",
                    EACH_PAIR,
                ),
                "(scores / model.cfg.d_head).tril()": (
                    "divides by d_head, and sets the future to zero",
                    ROOT_OF_D_HEAD + ", and the scores are asked for without the mask",
                ),
                "(scores / model.cfg.d_head**0.5).masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -1e5)": (
                    "hides the future by a large negative number",
                    "the result is the scores before the mask",
                ),
                "(scores / model.cfg.d_head**0.5).masked_fill("
                "torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf).softmax(dim=-1)": (
                    "hides the future, and gives the pattern",
                    "the scores before mask and softmax are asked for: only they are sums over the parts",
                ),
                "(scores / model.cfg.d_head**0.5).movedim(1, 2).reshape(scores.shape)": (
                    "mixes parts and positions in a reshape",
                    "a reshape changes no order: einops.rearrange or transpose do",
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
        *instead_of(
            "decomposed_q, decomposed_k,",
            {
                "decomposed_k, decomposed_q,": (
                    "swaps queries and keys",
                    "the first axes belong to the queries: decomposed_q",
                ),
                "decomposed_q, decomposed_q,": ("pairs the queries with themselves", "scores pair queries with keys"),
                "decomposed_k, decomposed_k,": ("pairs the keys with themselves", "scores pair queries with keys"),
            },
        ),
        Mistake(
            "writes into the queries that it got",
            function=_scales_in_place,
            why="later cells use decomposed_q again: divide the scores, which are new",
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
                "-> q_pos k_pos q_comp k_comp": (
                    "puts the positions first",
                    "both axes of parts come first, then both of positions",
                ),
                "-> q_comp q_pos k_comp k_pos": (
                    "returns each part's axis beside its positions",
                    "both axes of parts come first, then both of positions",
                ),
            },
        ),
    ],
)
