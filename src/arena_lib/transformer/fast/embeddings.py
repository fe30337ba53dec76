"""Tokens to vectors and vectors to logits: what all fast forms begin and end with.

Shapes:  tokens "batch seq" -> "batch seq d_model" -> logits "batch seq d_vocab"
Raises:  TokenError for ids outside the vocabulary (on a CPU; on other devices looking would wait
         for the device, so there torch's own assertion reports them; not under torch.vmap).
Source:  Press and Wolf 2017, arXiv:1608.05859 (tied embeddings).
Differs: the axis of the input comes first, also in W_U.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import TokenError
from arena_lib.transformer.activations.hooks import HookPoint

Places = slice | Int[Tensor, "batch seq"]
"""At which positions tokens stand: the same ones in each row, or others in each."""


class Embed(nn.Module):
    """Row tokens[batch, seq] of `W_E`."""

    def __init__(self, d_vocab: int, d_model: int) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """Look up each token's vector."""
        is_mapped = torch._C._functorch.is_batchedtensor(tokens)  # by torch.vmap, which lets nobody look inside
        if tokens.device.type == "cpu" and not is_mapped and not torch.compiler.is_compiling():
            self._check_range(tokens)
        return F.embedding(tokens, self.W_E)

    def _check_range(self, tokens: Int[Tensor, "batch seq"]) -> None:
        if tokens.numel() == 0:
            return
        lowest, highest = (int(end) for end in tokens.aminmax())
        d_vocab = self.W_E.shape[0]
        if lowest < 0 or highest >= d_vocab:
            wrong = lowest if lowest < 0 else highest
            raise TokenError(
                f"token ids must be between 0 and {d_vocab - 1} (d_vocab - 1): got {wrong}. "
                "Use the tokenizer that belongs to this model."
            )


class PosEmbed(nn.Module):
    """Rows of `W_pos`, one for each position."""

    def __init__(self, n_ctx: int, d_model: int) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(n_ctx, d_model))

    def forward(self, places: Places) -> Float[Tensor, "*batch seq d_model"]:
        """The vectors of these positions."""
        return self.W_pos[places]

    def by_example(self, places: Places, batch: int, point: HookPoint) -> Float[Tensor, "*batch seq d_model"]:
        """The same past its hook point: with a batch axis if something is attached, of own memory if it may write."""
        pos_embed = self(places)
        if point.is_idle or pos_embed.ndim == 3:
            return point(pos_embed)
        return point(pos_embed.repeat(batch, 1, 1) if point.fwd else pos_embed.expand(batch, -1, -1))


class Unembed(nn.Module):
    """Logits x W_U + b_U. `b_U` is not trained unless asked to: published GPT-2 weights have none."""

    def __init__(self, d_model: int, d_vocab: int, *, has_bias: bool) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(d_model, d_vocab))
        self.b_U = nn.Parameter(torch.zeros(d_vocab), requires_grad=False) if has_bias else None

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits."""
        return F.linear(x, self.W_U.T, self.b_U)


class TiedUnembed(nn.Module):
    """Logits x W_E^T + b_U: `W_U` is a view of the embedding's weight, not a parameter of its own.

    With `is_saved` the state dict holds a copy under `W_U`, for lesson forms that keep two weights;
    loading then wants it equal to `W_E`, or absent.
    """

    def __init__(self, embed: Embed, *, has_bias: bool, is_saved: bool) -> None:
        super().__init__()
        self._embed = (embed,)  # in a tuple, so that torch does not count it as a submodule
        self.is_saved = is_saved
        d_vocab = embed.W_E.shape[0]
        self.b_U = nn.Parameter(torch.zeros(d_vocab), requires_grad=False) if has_bias else None

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The embedding's weight, transposed; a view."""
        return self._embed[0].W_E.T

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_vocab"]:
        """The logits."""
        return F.linear(x, self._embed[0].W_E, self.b_U)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        if self.is_saved:
            destination[prefix + "W_U"] = self.W_U if keep_vars else self.W_U.detach().contiguous()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        given = state_dict.pop(prefix + "W_U", None)
        error_msgs = rest[-1]
        if given is not None and (given.shape != self.W_U.shape or not torch.equal(given.to(self.W_U), self.W_U)):
            error_msgs.append(f"{prefix}W_U is not embed.W_E transposed, but this model's config ties the two")
        super()._load_from_state_dict(state_dict, prefix, *rest)
