"""Which tokens of a sample count, and means over those.

A sample ends with its first end-of-text. That token was drawn by the policy, so it counts; what stands after it is
filling, and counts nowhere: not in a loss, not in a mean, not in a divergence.

Shapes:  tokens, is_response "batch gen_len"; True in is_response where a token was drawn
Raises:  ShapeError for a mask of another shape, or one that counts nothing.
Source:  own derivation.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ShapeError


def find_responses(
    tokens: Int[Tensor, "batch gen_len"], end_of_text: int | None = None
) -> Bool[Tensor, "batch gen_len"]:
    """Where the drawn tokens are, of what follows the prompts: all up to the first end-of-text, that one included.

    What stands after it is filling, further end-of-texts too. A sample without an end-of-text was cut off: all of its tokens
    were drawn. With `end_of_text` None no token ends a sample, and all of them were drawn.

    >>> find_responses(torch.tensor([[5, 0, 0], [5, 6, 7]]), end_of_text=0)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    if end_of_text is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    is_end = tokens == end_of_text
    n_ends_before = is_end.cumsum(dim=1) - is_end.long()
    return n_ends_before == 0


def masked_mean(values: Float[Tensor, "*axes"], mask: Bool[Tensor, "*axes"] | None = None) -> Float[Tensor, ""]:
    """The mean of the values where the mask is True; of all without a mask.

    All values that count have the same weight, whatever row they are in. What stands where the mask is False doesn't matter,
    not even if it's NaN or infinite, and gets a gradient of 0. A mask is True at one place at least. One of another shape
    isn't broadcast: it raises ShapeError, as `require_same_shape` does. No argument is changed, and gradients flow.

    >>> masked_mean(torch.tensor([1.0, 2.0, float("nan")]), torch.tensor([True, True, False]))
    tensor(1.5000)
    """
    if mask is None:
        return values.mean()
    require_same_shape(values, mask)
    if mask.device.type == "cpu" and not mask.any():
        raise ShapeError(
            f"a mask must be True at one place at least: got one of shape {tuple(mask.shape)} that counts nothing. "
            "Leave out minibatches in which no token was drawn."
        )
    return values.where(mask, 0.0).sum() / mask.sum()


def require_same_shape(values: Tensor, mask: Tensor) -> None:
    """Raise ShapeError unless the mask has an entry for each value."""
    if values.shape != mask.shape:
        raise ShapeError(
            f"a mask must have the shape of what it masks, {tuple(values.shape)}: got {tuple(mask.shape)}. Pass the mask "
            "of these tokens: Rollouts.is_response has one column for each token after the prompt."
        )
