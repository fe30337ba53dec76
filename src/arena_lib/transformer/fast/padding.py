"""Texts of uneven length in one batch: their mask, the positions of their tokens, and where each one ends.

`attention_mask` is True (or 1) at real tokens and False (or 0) at padding, which may stand on either side.

Shapes:  attention_mask "batch seq_k": with a KV cache, what the cache holds and then the new tokens
Raises:  ShapeError for a mask of another shape, a row without real tokens, or padding between real tokens;
         DtypeError and TokenError for what isn't 0 or 1. Values are looked at where the mask lies on a CPU;
         on other devices looking would wait for the device.
Source:  own derivation.
Differs: transformers calls it the same, but takes padding between real tokens, and positions from the caller.
"""

import torch
from jaxtyping import Bool, Int, Integer, Shaped
from torch import Tensor

from arena_lib.errors import DtypeError, ShapeError, TokenError

Mask = Bool[Tensor, "batch seq_k"] | Integer[Tensor, "batch seq_k"]
"""True or 1 at real tokens, False or 0 at padding."""


def last_real(
    per_position: Shaped[Tensor, "batch seq ..."], attention_mask: Mask | None = None
) -> Shaped[Tensor, "batch ..."]:
    """What stands at the last real token of each row, such as the logits for what follows each text.

    Without a mask it is the last position. A row without real tokens gives its last position too.

    >>> last_real(torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]))
    tensor([7, 9])
    """
    if attention_mask is None:
        return per_position[:, -1]
    if attention_mask.shape != per_position.shape[:2]:
        raise ShapeError(
            f"attention_mask must have the first two axes of what it picks from, {tuple(per_position.shape[:2])}: got a "
            f"tensor of shape {tuple(attention_mask.shape)}. Pass the mask that belongs to these tokens."
        )
    n_after = attention_mask.bool().flip(1).int().argmax(dim=1)
    rows = torch.arange(len(per_position), device=per_position.device)
    return per_position[rows, per_position.shape[1] - 1 - n_after.to(per_position.device)]


def read_mask(
    attention_mask: Tensor, batch: int, seq_all: int, device: torch.device, *, is_whole: bool = True
) -> Bool[Tensor, "batch seq_k"] | None:
    """The mask as booleans on `device`, or None if no token is padding, as far as a CPU can see.

    Unless it `is_whole`, a row may have nothing but padding: its text is still to come.
    """
    if attention_mask.shape != (batch, seq_all):
        raise ShapeError(
            f"attention_mask must have the axes 'batch seq', here {(batch, seq_all)}: got a tensor of shape "
            f"{tuple(attention_mask.shape)}. With a KV cache it covers what the cache holds and then the new tokens."
        )
    if attention_mask.is_floating_point() or attention_mask.is_complex():
        raise DtypeError(
            f"attention_mask must hold booleans or whole numbers: got {attention_mask.dtype}. Use attention_mask.bool(), "
            "True at real tokens."
        )
    is_real = attention_mask.bool()
    if attention_mask.device.type == "cpu" and not torch.compiler.is_compiling():
        if is_real.all():
            return None
        _check_values(attention_mask, is_real, is_whole)
    return is_real.to(device)


def _check_values(attention_mask: Mask, is_real: Bool[Tensor, "batch seq_k"], is_whole: bool) -> None:
    wrong = attention_mask[attention_mask != is_real.to(attention_mask.dtype)]
    if wrong.numel():
        raise TokenError(
            f"attention_mask must be 1 (or True) at real tokens and 0 (or False) at padding: got {wrong[0].item()}. "
            "Use attention_mask != 0 if every other number stands for a real token."
        )
    is_empty = ~is_real.any(dim=1)
    if is_whole and is_empty.any():
        raise ShapeError(
            "each row of attention_mask must have a real token: got only padding in row "
            f"{int(is_empty.int().argmax())}. Leave that row out, or put a start token into it."
        )
    n_starts = (is_real[:, 1:] & ~is_real[:, :-1]).sum(dim=1) + is_real[:, 0]
    if (n_starts > 1).any():
        raise ShapeError(
            "the real tokens of each row must stand side by side: got padding between them in row "
            f"{int((n_starts > 1).int().argmax())} of attention_mask. Put all padding to the left (pad_left does), or to "
            "the right of the text."
        )


def count_places(is_real: Bool[Tensor, "batch seq_k"]) -> Int[Tensor, "batch seq_k"]:
    """The position of each token in its own text; padding gets that of a neighbour."""
    return (is_real.cumsum(dim=1) - 1).clamp(min=0)


def predicts_real(attention_mask: Mask) -> Bool[Tensor, "batch seq_k-1"]:
    """Where a real token is read and the next one is real too: the places that count in a loss.

    >>> predicts_real(torch.tensor([[0, 1, 1], [1, 1, 1]]))
    tensor([[False,  True],
            [ True,  True]])
    """
    is_real = attention_mask.bool()
    return is_real[:, 1:] & is_real[:, :-1]


def pad_left(
    tokens: Int[Tensor, "batch seq"], attention_mask: Mask
) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """The same texts with all padding on the left, as generation needs them, and their mask.

    >>> tokens, mask = pad_left(torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    >>> tokens
    tensor([[0, 5, 6],
            [7, 8, 9]])
    """
    is_real = attention_mask.bool()
    order = is_real.int().argsort(dim=1, stable=True)
    return tokens.gather(1, order.to(tokens.device)), is_real.gather(1, order).to(tokens.device)
