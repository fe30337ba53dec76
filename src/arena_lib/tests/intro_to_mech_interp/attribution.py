"""Judge of logit attribution in a two-layer attention-only model.

Shapes:  embed "seq d_model", results "seq n_heads d_model", W_U "d_model d_vocab" -> "seq-1 n_components".
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs_and_gradients
from arena_lib.interp.attribution.logit_attribution import logit_attribution

__test__ = False


def attribution_cases(generator: torch.Generator) -> list[Case]:
    """Texts of several tokens, of two, and one in which tokens come again."""
    sizes = {
        "several tokens": (5, 7, 3, 11),
        "two tokens": (2, 6, 4, 9),
        "tokens that come again": (8, 5, 2, 3),
        "as many heads as positions": (4, 9, 4, 13),
    }
    cases = []
    for label, (seq, d_model, n_heads, d_vocab) in sizes.items():
        embed = torch.randn(seq, d_model, generator=generator)
        first, second = torch.randn(2, seq, n_heads, d_model, generator=generator)
        W_U = torch.randn(d_model, d_vocab, generator=generator)
        tokens = torch.randint(0, d_vocab, (seq,), generator=generator)
        cases.append(
            Case(label=label, args=(embed, first, 2 + second, W_U, tokens), axes={"output": "seq-1 n_components"})
        )
    return cases


def attribution_by_parts(embed: Tensor, l1_results: Tensor, l2_results: Tensor, W_U: Tensor, tokens: Tensor) -> Tensor:
    """The three kinds of component one after the other, with einops."""
    columns = W_U[:, tokens[1:]]
    direct = einops.einsum(embed[:-1], columns, "seq d_model, d_model seq -> seq")
    by_head = [
        einops.einsum(results[:-1], columns, "seq n_heads d_model, d_model seq -> seq n_heads")
        for results in (l1_results, l2_results)
    ]
    return torch.concat([direct.unsqueeze(-1), *by_head], dim=-1)


def attribution_from_all_logits(
    embed: Tensor, l1_results: Tensor, l2_results: Tensor, W_U: Tensor, tokens: Tensor
) -> Tensor:
    """All logits of every component, of which the next token's is picked."""
    rows = []
    for position, next_token in enumerate(tokens[1:].tolist()):
        parts = [embed[position][None], l1_results[position], l2_results[position]]
        rows.append((torch.vstack(parts) @ W_U)[:, next_token])
    return torch.stack(rows)


test_logit_attribution = exercise(
    reference=logit_attribution,
    cases=attribution_cases,
    observe=outputs_and_gradients,
    accepts=[attribution_by_parts, attribution_from_all_logits],
    mistakes=[
        Mistake(
            "attributes the token that stands there",
            "tokens[1:]",
            "tokens[:-1]",
            why="a position predicts the token after it: tokens[i + 1]",
        ),
        Mistake(
            "takes the components of the next position",
            "dim=1)[:-1]",
            "dim=1)[1:]",
            why="position i holds what predicts token i + 1",
        ),
        Mistake(
            "puts the second layer first",
            "embed[:, None], l1_results, l2_results",
            "embed[:, None], l2_results, l1_results",
            why="the columns are the embedding, the first layer's heads, the second's",
        ),
        Mistake(
            "puts the embedding last",
            "embed[:, None], l1_results, l2_results",
            "l1_results, l2_results, embed[:, None]",
            why="the direct path comes first",
        ),
        Mistake(
            "uses the first layer twice",
            "l1_results, l2_results",
            "l1_results, l1_results",
            why="each layer's heads have results of their own",
        ),
        Mistake(
            "gives each component the whole before it as well",
            "directions = W_U",
            "components = components.cumsum(dim=1)\n    directions = W_U",
            why="each column is what one component adds, without the others",
        ),
        Mistake(
            "subtracts the mean over the vocabulary",
            "W_U[:, tokens[1:]]",
            "(W_U - W_U.mean(dim=1, keepdim=True))[:, tokens[1:]]",
            why="the plain logit is asked for, so that the columns sum to it",
        ),
        Mistake(
            "cuts the gradient",
            "[:-1]\n",
            "[:-1].detach()\n",
            why="it is a plain function of its arguments, and gradients flow through it",
        ),
    ],
)
