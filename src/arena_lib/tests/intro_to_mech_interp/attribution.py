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


def _scrambled(results: str) -> str:
    """Text of results with the axes of heads and positions swapped by a reshape, and turned back."""
    return f"{results}.reshape({results}.shape[1], len({results}), -1).transpose(0, 1)"


WITHOUT_LAST = "what follows the last position isn't known: seq - 1 rows"
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
                "W_U[:, tokens[-1:]].expand(-1, len(tokens) - 1)": (
                    "attributes the last token at every position",
                    "each position has a next token of its own: tokens[i + 1]",
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
                "dim=1)[:-1] - torch.cat([embed[:, None], l1_results, l2_results], dim=1)[:-1].mean(dim=-1, keepdim=True)": (
                    "takes each component's mean away",
                    "the parts are used as they are handed in: the plain dot product is asked for",
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
                "[embed[:, None], l2_results, l2_results]": (
                    "uses the second layer twice",
                    "each layer's heads have results of their own",
                ),
                "[embed[:, None], l1_results, l2_results - l1_results]": (
                    "takes the first layer from the second",
                    "a head's result is what it adds by itself: there is nothing to subtract",
                ),
                "[embed[:, None], l1_results + embed[:, None], l2_results + embed[:, None]]": (
                    "adds the embedding to every head",
                    "each column is what one component adds, without the others",
                ),
                "[(embed + l1_results.sum(dim=1) + l2_results.sum(dim=1))[:, None], l1_results, l2_results]": (
                    "puts the whole logit into the first column",
                    "the first column is the embedding alone, the direct path",
                ),
                "[embed[:, None], l1_results.mean(dim=1, keepdim=True), l2_results.mean(dim=1, keepdim=True)]": (
                    "averages over the heads of a layer",
                    "there are 1 + 2 n_heads columns, one for each head",
                ),
                "[embed.roll(-1, dims=0)[:, None], l1_results, l2_results]": (
                    "uses the embedding of the next token",
                    "what predicts token i + 1 stands at position i: the embedding of token i",
                ),
                f"[embed[:, None], {_scrambled('l1_results')}, {_scrambled('l2_results')}]": (
                    "mixes positions and heads in a reshape",
                    'results are already "seq n_heads d_model"; a reshape changes no order, einops.rearrange does',
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
        *instead_of(
            'return torch.einsum("scm,ms->sc", components, directions)',
            {
                'return torch.einsum("scm,ms->sc", components, directions).sort(dim=1, descending=True).values': (
                    "sorts the columns by size",
                    ORDER,
                ),
                'attribution = torch.einsum("scm,ms->sc", components, directions)\n'
                "    return attribution / attribution.sum(dim=1, keepdim=True)": (
                    "divides by the whole logit",
                    "each column is what the component adds, not its share: the columns sum to the logit",
                ),
                "return (components @ W_U).amax(dim=-1)": (
                    "takes each component's largest logit",
                    "the logit of the token that really comes next is asked for: tokens[i + 1]",
                ),
                "return (components @ W_U).log_softmax(dim=-1)"
                ".gather(-1, tokens[1:, None, None].expand(-1, components.shape[1], 1))[..., 0]": (
                    "uses log-probabilities for logits",
                    "log_softmax is not linear: only plain logits are sums over the components",
                ),
                'return torch.einsum("scm,ms->sc", '
                "torch.cat([embed[:, None], l1_results, l2_results], dim=1), W_U[:, tokens])": (
                    "attributes the token that stands there, at the last position too",
                    "a position predicts the token after it, tokens[i + 1]; " + WITHOUT_LAST,
                ),
                'return torch.einsum("scm,ms->sc", '
                "torch.cat([embed[:, None], l1_results, l2_results], dim=1), W_U[:, tokens.roll(-1)])": (
                    "gives the last position a row",
                    WITHOUT_LAST,
                ),
            },
        ),
        Mistake("returns components as rows", "->sc", "->cs", why="entry [i, c]: one row for each position"),
    ],
)
