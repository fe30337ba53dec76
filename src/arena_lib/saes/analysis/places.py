"""Where an SAE reads in a model: checked once, then read, encoded and written to.

Shapes:  tokens "batch seq" -> acts "batch seq d_in", latents "batch seq d_sae"; at hooks by head, such as hook_z, the
         heads stand side by side: d_in = n_heads * d_head
Raises:  ConfigError without a hook's name; UnknownNameError for a
         hook or a latent that isn't there; ShapeError for activations of another width than the SAE's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training.reading import merge_heads
from arena_lib.saes.training.splicing import find_hook_names, splicing_hooks
from arena_lib.transformer.activations.hooks import HookSpec

Edit = Callable[..., Tensor | None]
"""`edit(latents, place)`: gives the latents "batch seq d_sae" as they should be, or writes into those it gets."""


@dataclass(frozen=True, eq=False)
class Place:
    """A model, an SAE, and the hooks at which it reads and writes."""

    lm: HookedLM
    sae: SAE
    hook_name: str
    """What the SAE reads."""
    written_name: str
    """What it reconstructs: the same, but for a transcoder."""

    @property
    def block(self) -> int:
        """The block in which the SAE writes, from which a model is run on."""
        block = find_block(self.written_name)
        if block is None:
            raise ConfigError(
                f"the hook must be in a block, from which the model is run on: got {self.written_name!r}. For embeddings "
                "take blocks.0.hook_resid_pre."
            )
        return block

    def read(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_in"]:
        """The activations that the SAE reads; the model runs no further than it must."""
        block = find_block(self.hook_name)
        is_last = block is None or block + 1 == self.lm.n_layers  # a bridge cannot stop after its last layer
        stop = None if block is None or is_last else block + 1
        _, cache = self.lm.run_with_cache(tokens.to(self.lm.device), self.hook_name, stop_at_layer=stop)
        return self.flatten(cache[self.hook_name])

    def encode(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_sae"]:
        """The SAE's latents at each token."""
        return self.sae.encode(self.read(tokens))

    def flatten(self, acts: Float[Tensor, "batch seq *any"]) -> Float[Tensor, "batch seq d_in"]:
        """Activations as the SAE takes them: heads side by side, in its dtype and on its device."""
        merged = merge_heads(acts)
        if merged.ndim != 3 or merged.shape[-1] != self.sae.cfg.d_in:
            raise ShapeError(
                f"the SAE reads activations with d_in = {self.sae.cfg.d_in} entries: got {merged.shape[-1]} at "
                f"{self.hook_name!r}, shape {tuple(acts.shape)}. Pass the model and the hook_name that it was trained on."
            )
        return merged.to(self.sae.W_enc)

    def edit(self, edit: Edit) -> list[HookSpec]:
        """Hooks that change latents and nothing else: what the SAE doesn't explain stays in the activations.

        With f the latents, f' the edited ones, the activations x become x + decode(f') - decode(f). A transcoder's latents
        change what it writes: its target.
        """

        def change(latents: Float[Tensor, "batch seq d_sae"]) -> Float[Tensor, "batch seq d_sae"]:
            own = latents.clone()
            returned = edit(own, self)
            edited = own if returned is None else returned
            if edited.shape != latents.shape:
                raise ShapeError(
                    f"edited latents must have the shape of the latents, {tuple(latents.shape)}: got "
                    f"{tuple(edited.shape)}. Change entries, and return the whole tensor."
                )
            return edited

        return splicing_hooks(self.sae, self.hook_name, self.written_name, keeps_error=True, change=change)


def find_place(model: Any, sae: SAE, hook_name: str | None = None) -> Place:
    """Where the SAE reads: at `hook_name`, or where its own config says. A transcoder's config says where it writes."""
    reads, writes = find_hook_names(sae, hook_name)
    lm = hooked(model)
    return Place(lm, sae, lm.check_hook(reads), lm.check_hook(writes))


def find_block(hook_name: str) -> int | None:
    """The block that a hook is in; None outside of blocks.

    >>> find_block("blocks.3.attn.hook_z"), find_block("hook_embed")
    (3, None)
    """
    parts = hook_name.split(".")
    return int(parts[1]) if parts[0] == "blocks" else None


def check_latents(sae: SAE, latent_idxs: Sequence[int]) -> list[int]:
    """The latents' numbers, if the SAE has all of them."""
    d_sae = sae.cfg.d_sae
    for latent_idx in latent_idxs:
        if not 0 <= latent_idx < d_sae:
            raise UnknownNameError("latent", str(latent_idx), map(str, range(d_sae)))
    return [int(latent_idx) for latent_idx in latent_idxs]


def token_texts(lm: HookedLM, token_ids: Sequence[int]) -> list[str]:
    """Each token as its own text; its number in brackets where the model has no tokenizer."""
    tokenizer = getattr(lm.model, "tokenizer", None)
    if tokenizer is None:
        return [f"[{token_id}]" for token_id in token_ids]
    return [str(tokenizer.decode([int(token_id)])) for token_id in token_ids]
