"""Activations at a hook, read without running what comes after it.

    reader = ActivationReader(model, "blocks.2.hook_resid_post")
    (acts,) = reader.read(tokens)

A hook with an axis of heads, such as `blocks.2.attn.hook_z`, gives all heads side by side.

Shapes:  tokens "batch seq", attention_mask "batch seq" -> for each hook "batch seq d_in"
Raises:  UnknownNameError for a hook that the model doesn't have; ShapeError for tokens that aren't "batch seq", and for a
         mask of another shape, without a real token in a row, or with padding between real tokens.
Differs: the model stops at the end of the hook's layer, not in the middle of it.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.core.batches import Batch
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.bridge_models import BridgeLM
from arena_lib.interp.hooking import hooked, padded
from arena_lib.interp.models import HookedLM
from arena_lib.transformer.activations.hooks import HookSpec
from arena_lib.transformer.fast.padding import Mask, read_mask

TokenBatch = Int[Tensor, "batch seq"] | Batch | tuple[Int[Tensor, "batch seq"], Mask]
"""Tokens, alone or with a mask that is True at real tokens and False at padding; `to_padded_tokens` gives such a pair."""
TokenSource = Callable[[torch.Generator], TokenBatch]
"""Makes the next batch of tokens, with randomness from the generator alone. One that must remember its place has
`state_dict` and `load_state_dict` with JSON-able data, as the batches of `core.batches` have."""


def read_batch(batch: Any) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"] | None]:
    """The tokens of a batch and which of them are real, None where no token is padding."""
    if isinstance(batch, Batch):
        batch = batch.tokens, batch.mask
    tokens, mask = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (batch, None)
    if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.is_floating_point():
        got = f"shape {tuple(tokens.shape)} of {tokens.dtype}" if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ShapeError(
            f"a batch of tokens must be token ids with the axes 'batch seq': got {got}. Make texts into "
            "tokens with model.to_padded_tokens(texts), or let TextBatches do it."
        )
    if mask is None:
        return tokens, None
    if not isinstance(mask, Tensor):
        raise ShapeError(
            f"the mask of a batch must be a tensor with the tokens' axes 'batch seq': got {type(mask).__name__}. Pass "
            "what model.to_padded_tokens(texts) gives."
        )
    return tokens, read_mask(mask, len(tokens), tokens.shape[1], mask.device)


def attend(lm: HookedLM, attention_mask: Mask | None) -> HookedLM:
    """The model for these rows: with padding on the left it gets their mask, on the right it needs none."""
    if attention_mask is None or bool(attention_mask[:, 0].all()):
        return lm
    return padded(lm, attention_mask)


def merge_heads(tensor: Float[Tensor, "batch seq ..."]) -> Float[Tensor, "batch seq d_in"]:
    """A hook's tensor with one axis after the positions."""
    return tensor.flatten(2) if tensor.ndim > 3 else tensor


class ActivationReader:
    """Reads a model's activations at one or more hooks and stops the model after the last of them."""

    def __init__(self, model: Any, *hook_names: str) -> None:
        if not hook_names or not all(hook_names):
            raise ConfigError(
                f"a reader needs the names of hooks: got {hook_names}. Name one, such as blocks.0.hook_resid_post, or "
                "set hook_name in the autoencoder's config."
            )
        self.lm = hooked(model)
        self.hook_names = tuple(self.lm.check_hook(name) for name in hook_names)
        self.stop_at_layer = self._find_end()
        tokens = torch.zeros(1, 1, dtype=torch.int64, device=self.lm.device)
        self.widths = tuple(acts.shape[-1] for acts in self.read(tokens))

    def read(
        self, tokens: Int[Tensor, "batch seq"], attention_mask: Mask | None = None
    ) -> tuple[Float[Tensor, "batch seq d_in"], ...]:
        """The activations of each hook, in the order of the hooks' names."""
        tokens, attention_mask = read_batch((tokens, attention_mask))
        seen: dict[str, Tensor] = {}
        entering = f"blocks.{self.stop_at_layer}.hook_resid_pre"  # what a run gives back if it stops there
        hooks: list[HookSpec] = [(name, partial(_keep, seen)) for name in self.hook_names if name != entering]
        with torch.inference_mode():
            tokens = tokens.to(self.lm.device, non_blocking=True)
            if self._is_cut_short:
                hooks.append((self.lm.last_meeting, lambda resid, hook: resid[:, :1]))
            out = attend(self.lm, attention_mask).run(tokens, hooks, stop_at_layer=self.stop_at_layer)
            seen.setdefault(entering, out)
            return tuple(merge_heads(seen[name]) for name in self.hook_names)

    def _find_end(self) -> int | None:
        """The layer before which the model can stop; None if something after the last layer is read."""
        ends = [_find_end(name) for name in self.hook_names]
        self._is_cut_short = False
        if None in ends:
            return None
        end = max(end for end in ends if end is not None)
        if isinstance(self.lm, BridgeLM) and end == self.lm.n_layers:
            self._is_cut_short = True  # a bridge can't stop after its last layer, but can be spared most logits
            return None
        return end


def _find_end(name: str) -> int | None:
    """The first layer that needn't be run for this hook."""
    match = re.match(r"blocks\.(\d+)\.(.*)", name)
    if match is None:
        return 1 if name in ("hook_embed", "hook_pos_embed") else None
    layer = int(match[1])
    return layer if layer > 0 and match[2] == "hook_resid_pre" else layer + 1


def _keep(seen: dict[str, Tensor], tensor: Tensor, hook: Any) -> None:
    seen[hook.name] = tensor
