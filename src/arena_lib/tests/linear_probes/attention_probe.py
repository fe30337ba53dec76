"""Judge of the attention probe: where it looks, what it takes from there, and gradients to every weight.

Shapes:  x "batch seq d_model", mask "batch seq" -> logits "batch", pattern "batch seq n_heads"
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.attention_probe import attention_probe_forward
from arena_lib.wording import counted

__test__ = False


def attention_probe_cases(generator: torch.Generator) -> list[Case]:
    """Padding on either side, one head and several, a mask of each dtype, one text, one token."""

    def make(label: str, batch: int, seq: int, d_model: int, n_heads: int, mask: Tensor, scale: float) -> Case:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        x = 2 * draw(batch, seq, d_model) + 1
        weights = (draw(d_model, n_heads), draw(n_heads * d_model, 1), draw(1))
        return Case(
            label=label, args=(x, mask, *weights, scale), axes={"logits": "batch", "pattern": "batch seq n_heads"}
        )

    right = torch.arange(6) < torch.tensor([[4], [6], [1]])
    left = torch.arange(5) >= torch.tensor([[0], [3], [2], [4]])
    return [
        make("padding on the right", 3, 6, 5, 2, right, 0.5),
        make("padding on the left, a mask of integers", 4, 5, 3, 4, left.long(), 0.3),
        make("one head, half of one text padded", 2, 7, 4, 1, torch.tensor([[1] * 7, [1] * 3 + [0] * 4]), 0.45),
        make("one text without padding, a mask of bytes", 1, 4, 6, 3, torch.ones(1, 4, dtype=torch.uint8), 0.4),
        make("one token", 2, 1, 3, 2, torch.ones(2, 1, dtype=torch.bool), 0.7),
    ]


def logits_pattern_and_gradients(function: Callable[..., Any], case: Case) -> Observations:
    """The two things that it returns by their names, and the gradients of both."""
    seen = outputs_and_gradients(function, case)
    returned = seen.pop("output")
    if not (isinstance(returned, tuple | list) and len(returned) == 2):
        is_row = isinstance(returned, tuple | list)
        got = counted(len(returned), "thing") if is_row else f"a {type(returned).__name__}"
        raise Unfit(f"Return two things, (logits, pattern): got {got}.")
    return dict(zip(("logits", "pattern"), returned, strict=True)) | seen


def pattern_is_zero_at_padding(seen: Observations, case: Case) -> str | None:
    """The pattern is 0 at padding and sums to 1 over each text."""
    pattern, mask = seen["pattern"], case.args[1]
    if (pattern[mask == 0] != 0).any():
        return "The pattern must be exactly 0 at padding: it is not. Hide padding before the softmax."
    if not torch.allclose(pattern.sum(dim=1), torch.ones(()), atol=1e-4):
        return "Each head's pattern must sum to 1 over the text's tokens: it does not."
    return None


def sums_to_one_over_heads(observations: Sequence[Observations]) -> bool:
    """Whether the heads of every token that has a weight share 1, whatever stands at padding."""
    sums = [seen["pattern"].nan_to_num().sum(dim=2) for seen in observations]
    has_head_axis = all(seen["pattern"].shape[2] == seen["gradient of W_q"].shape[1] for seen in observations)
    return has_head_axis and all(bool(((total - 1).abs().minimum(total.abs()) < 1e-4).all()) for total in sums)


def probe_by_loops(x: Tensor, mask: Tensor, W_q: Tensor, W_out: Tensor, b_out: Tensor, scale: float):  # type: ignore[no-untyped-def]
    """Text by text and head by head, without padding at all."""
    logits, pattern = [], torch.zeros(*x.shape[:2], W_q.shape[1])
    for i in range(len(x)):
        real = mask[i].bool()
        total = b_out[0]
        for n in range(W_q.shape[1]):
            weights = torch.softmax(x[i, real] @ W_q[:, n] * scale, 0)
            pattern[i, real, n] = weights
            total = total + (weights @ x[i, real]) @ W_out[n * x.shape[-1] : (n + 1) * x.shape[-1], 0]
        logits.append(total)
    return torch.stack(logits), pattern


def probe_by_values(x: Tensor, mask: Tensor, W_q: Tensor, W_out: Tensor, b_out: Tensor, scale: float):  # type: ignore[no-untyped-def]
    """Reads every token first and averages what was read; hides padding by a large negative number."""
    n_heads = W_q.shape[1]
    scores = torch.matmul(x, W_q).mul(scale)
    scores = scores + (1 - mask.to(x.dtype)).unsqueeze(-1) * torch.finfo(x.dtype).min
    pattern = F.softmax(scores, dim=-2)
    values = x @ W_out.reshape(n_heads, -1).T
    return (pattern * values).sum((1, 2)) + b_out, pattern


test_attention_probe_forward = exercise(
    reference=attention_probe_forward,
    cases=attention_probe_cases,
    observe=logits_pattern_and_gradients,
    properties=[pattern_is_zero_at_padding],
    accepts=[probe_by_loops, probe_by_values],
    mistakes=[
        *instead_of(
            ".masked_fill((mask == 0)[..., None], -torch.inf)",
            {
                "": (
                    "gives weight to padding",
                    "padding belongs to no text, so its score is set to minus infinity before the softmax",
                ),
                ".masked_fill((mask != 0)[..., None], -1e9)": (
                    "hides the text instead of the padding",
                    "the mask is 1 at the text's own tokens",
                ),
                ".masked_fill((mask != 0)[..., None], -torch.inf)": (
                    "hides the text instead of the padding, with minus infinity",
                    "the mask is 1 at the text's own tokens",
                ),
                ".masked_fill(~mask[..., None], -torch.inf)": (
                    "inverts a mask of integers with ~",
                    "~ inverts the bits of an integer, so 1 becomes -2: mask == 0 is right for every dtype",
                ),
                ".masked_fill((mask == 0)[..., None], 0.0)": (
                    "sets the score of padding to 0",
                    "a score of 0 still gets weight, because exp(0) is 1: set the scores of padding to minus infinity",
                ),
                ".masked_fill((mask == 0)[..., None], -10.0)": (
                    "sets the score of padding to a number that is not low enough",
                    "at padding the pattern is exactly 0: its score is minus infinity, or the lowest number of the dtype",
                ),
            },
        ),
        *instead_of(
            "scores.masked_fill((mask == 0)[..., None], -torch.inf).softmax(dim=1)",
            {
                "(scores + mask[..., None]).softmax(dim=1)": (
                    "adds the mask to the scores",
                    "padding is hidden only if its score is minus infinity; a difference of 1 still leaves it weight",
                ),
                "scores.softmax(dim=1) * (mask != 0)[..., None]": (
                    "hides padding after the softmax",
                    "the pattern must sum to 1 over the text's own tokens, so padding is hidden before the softmax",
                ),
                "scores.masked_fill((mask == 0)[..., None], -torch.inf).sigmoid()": (
                    "applies a sigmoid to each score",
                    "a head's weights sum to 1 over the tokens of one text: use a softmax over seq",
                ),
                "scores.exp() * (mask != 0)[..., None]": (
                    "does not divide by the sum",
                    "the weights of a head sum to 1 over the tokens of one text",
                ),
            },
        ),
        Mistake(
            "sets x to zero at padding instead of hiding it",
            'scores = einops.einsum(x, W_q, "batch seq d_model, d_model n_heads -> batch seq n_heads") * scale\n'
            "    pattern = scores.masked_fill((mask == 0)[..., None], -torch.inf).softmax(dim=1)",
            "x = x * (mask != 0)[..., None]\n"
            '    scores = einops.einsum(x, W_q, "batch seq d_model, d_model n_heads -> batch seq n_heads") * scale\n'
            "    pattern = scores.softmax(dim=1)",
            why="a score of 0 still gets weight, because exp(0) is 1: set the scores of padding to minus infinity",
        ),
        Mistake(
            "multiplies the pattern by the scale",
            " * scale\n    pattern = scores.masked_fill((mask == 0)[..., None], -torch.inf).softmax(dim=1)",
            "\n    pattern = scores.masked_fill((mask == 0)[..., None], -torch.inf).softmax(dim=1) * scale",
            why="the scale is for the scores, before the softmax, so that the pattern still sums to 1",
        ),
        Mistake(
            "takes the softmax over the heads",
            "softmax(dim=1)",
            "softmax(dim=2)",
            why="a head's weights sum to 1 over the tokens of one text, the axis seq",
            shows=sums_to_one_over_heads,
        ),
        *instead_of(
            "softmax(dim=1)",
            {
                "softmax(dim=0).nan_to_num()": (
                    "takes the softmax over the batch",
                    "a head's weights sum to 1 over the tokens of one text, not over texts",
                ),
                "softmax(dim=1).detach()": ("cuts the gradient of the pattern", "W_q learns through the pattern"),
            },
        ),
        *instead_of(
            'n_heads") * scale',
            {
                'n_heads")': (
                    "ignores the scale",
                    "without the factor scale, scores grow with d_model, and a head gives all its weight to one token",
                ),
                'n_heads") * x.shape[-1] ** -0.5': (
                    "uses a fixed scale",
                    "the scores are multiplied by the argument scale",
                ),
                'n_heads") * scale * scale': ("applies the scale twice", "the scores are multiplied by the scale once"),
                'n_heads") / scale': ("divides by the scale", "the scale is a factor, such as 1 / sqrt(d_model)"),
            },
        ),
        Mistake(
            "joins the heads dimension by dimension",
            "(n_heads d_model)",
            "(d_model n_heads)",
            why="a row holds one head after the other: entry n * d_model + m of W_out belongs to head n",
        ),
        *instead_of(
            " + b_out",
            {
                "": ("forgets b_out", "the bias says how common the class is"),
                " + W_q.shape[1] * b_out": (
                    "adds b_out once for each head",
                    "the heads share one bias, which is added once to each logit",
                ),
                " / W_q.shape[1] + b_out": (
                    "averages over the heads",
                    "each head has its own part of W_out, and the heads' parts are added up",
                ),
                " - b_out": ("subtracts b_out", "the bias is added: it says how common the class is"),
            },
        ),
        *instead_of(
            "einops.einsum(pattern, x,",
            {
                "einops.einsum((mask != 0)[..., None] / (mask != 0).sum(dim=1)[:, None, None] + 0 * pattern, x,": (
                    "averages over all tokens",
                    "each head weights the tokens by its pattern",
                ),
                "einops.einsum(pattern / x.shape[1], x,": (
                    "divides the weighted sum by the number of tokens",
                    "the pattern sums to 1 already, so the weighted sum is the mean",
                ),
                "einops.einsum(pattern, x.detach(),": (
                    "cuts the gradient of x",
                    "x may need a gradient: don't detach it",
                ),
                "einops.einsum(scores * (mask != 0)[..., None], x,": (
                    "weights the tokens by the scores instead of the pattern",
                    "each head weights the tokens by its pattern, which sums to 1",
                ),
            },
        ),
        *instead_of(
            "logits.squeeze(-1), pattern",
            {
                "logits.squeeze(-1).sigmoid(), pattern": (
                    "returns probabilities",
                    "the result is logits: the loss applies the sigmoid",
                ),
                "logits.squeeze(-1), scores": (
                    "returns the scores instead of the pattern",
                    "the pattern is the softmax of the scores, and sums to 1",
                ),
                "logits.squeeze(-1), scores.softmax(dim=1)": (
                    "returns the pattern without the mask",
                    "the pattern is exactly 0 at padding, also where it is returned",
                ),
                "logits.squeeze(-1), pattern.mean(dim=-1)": (
                    "returns the heads' mean pattern",
                    "each head looks at tokens of its own: the axes are batch, seq, n_heads",
                ),
                "pattern, logits.squeeze(-1)": ("returns the pattern first", "the logits come first, then the pattern"),
                "logits.squeeze(-1), pattern.transpose(1, 2)": (
                    "returns the pattern's axes in another order",
                    "the axes of the pattern are batch, seq, n_heads",
                ),
                "logits, pattern": ("keeps the last axis of the logits", "there is one logit for each text: squeeze"),
            },
        ),
    ],
)
