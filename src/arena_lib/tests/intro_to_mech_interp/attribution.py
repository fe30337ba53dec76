"""Judge of logit attribution in a two-layer attention-only model.

Shapes:  embed "seq d_model", results "seq n_heads d_model", W_U "d_model d_vocab" -> "seq-1 n_components".
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
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


ORDER = "the columns are the embedding, then the first layer's heads, then the second layer's"

test_logit_attribution = exercise(
    reference=logit_attribution,
    cases=attribution_cases,
    observe=outputs_and_gradients,
    accepts=[attribution_by_parts, attribution_from_all_logits],
    mistakes=[
        *instead_of(
            "W_U[:, tokens[1:]]",
            {
                "W_U[:, tokens[:-1]]": (
                    "attributes each position's own token",
                    "a position predicts the token after it: tokens[i + 1]",
                ),
                "(W_U - W_U.mean(dim=1, keepdim=True))[:, tokens[1:]]": (
                    "subtracts the mean over the vocabulary",
                    "the columns must sum to the plain logit, so nothing is subtracted",
                ),
                "W_U[:, tokens[1:]] / W_U[:, tokens[1:]].norm(dim=0)": (
                    "divides the directions by their length",
                    "the columns must sum to the plain logit: use the dot product with W_U's column as it is",
                ),
            },
        ),
        *instead_of(
            "dim=1)[:-1]",
            {
                "dim=1)[1:]": (
                    "uses the components of the next position",
                    "position i holds what predicts token i + 1",
                ),
                "dim=1)[:-1].detach()": (
                    "cuts the gradient",
                    "gradients must flow through the function: no detach, data or no_grad",
                ),
                "dim=1)[:-1].cumsum(dim=1)": (
                    "returns the sum up to each component",
                    "each column is what one component adds, without the others",
                ),
            },
        ),
        *instead_of(
            "[embed[:, None], l1_results, l2_results]",
            {
                "[embed[:, None], l2_results, l1_results]": ("returns the second layer first", ORDER),
                "[l1_results, l2_results, embed[:, None]]": ("returns the embedding last", ORDER),
                "[embed[:, None], torch.stack([l1_results, l2_results], dim=2).flatten(1, 2)]": (
                    "returns heads of the same index side by side",
                    ORDER,
                ),
                "[embed[:, None], l1_results, l1_results]": (
                    "uses the first layer twice",
                    "each layer's heads have results of their own",
                ),
                "[embed[:, None], l1_results, l1_results + l2_results]": (
                    "adds the first layer to the second",
                    "each column is what one component adds, without the others",
                ),
                "[embed[:, None], l1_results]": (
                    "leaves out the second layer",
                    "there are 1 + 2 n_heads columns: the embedding, and the heads of both layers",
                ),
                "[l1_results, l2_results]": (
                    "leaves out the direct path",
                    "the embedding also adds to the logits directly, and is the first column",
                ),
                "[embed[:, None], l1_results.sum(dim=1, keepdim=True), l2_results.sum(dim=1, keepdim=True)]": (
                    "returns the sum of the heads of a layer",
                    "there are 1 + 2 n_heads columns, one for each head",
                ),
            },
        ),
        Mistake(
            "cuts every gradient",
            "components, directions)",
            "components, directions).detach()",
            why="gradients must flow through the function: no detach, data or no_grad",
        ),
        Mistake("returns components as rows", "->sc", "->cs", why="entry [i, c]: one row for each position"),
    ],
)
