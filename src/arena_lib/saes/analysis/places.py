"""Where an SAE reads in a model: checked once, then read, encoded and written to.

Shapes:  tokens "batch seq" -> acts "batch seq d_in", latents "batch seq d_sae"; at hooks by head, such as hook_z, the
         heads stand side by side: d_in = n_heads * d_head
Raises:  ConfigError without a hook's name, or for a transcoder where an autoencoder is needed; UnknownNameError for a
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
from arena_lib.transformer.activations.hooks import HookSpec

Edit = Callable[..., Tensor | None]
"""`edit(latents, hook)`: gives the latents "batch seq d_sae" as they should be, or writes into those it gets."""


@dataclass(frozen=True, eq=False)
class Place:
    """A model, an SAE, and the hook that it reads."""

    lm: HookedLM
    sae: SAE
    hook_name: str

    @property
    def layer(self) -> int | None:
        """The block that the hook is in; None outside of blocks."""
        parts = self.hook_name.split(".")
        return int(parts[1]) if parts[0] == "blocks" else None

    @property
    def block(self) -> int:
        """The block that the hook is in, for what resumes the model there."""
        if self.layer is None:
            raise ConfigError(
                f"the hook must be in a block, from which the model is run on: got {self.hook_name!r}. For embeddings "
                "take blocks.0.hook_resid_pre."
            )
        return self.layer

    def read(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_in"]:
        """The activations that the SAE reads; the model runs no further than it must."""
        after = None if self.layer is None else self.layer + 1
        stop = None if after == self.lm.n_layers else after  # a bridge cannot stop after its last layer
        _, cache = self.lm.run_with_cache(tokens.to(self.lm.device), self.hook_name, stop_at_layer=stop)
        return self.flatten(cache[self.hook_name])

    def encode(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_sae"]:
        """The SAE's latents at each token."""
        return self.sae.encode(self.read(tokens))

    def flatten(self, acts: Float[Tensor, "batch seq *any"]) -> Float[Tensor, "batch seq d_in"]:
        """Activations as the SAE takes them: heads side by side, in its dtype and on its device."""
        width = acts.shape[2:].numel()
        if acts.ndim > 4 or width != self.sae.cfg.d_in or not acts.is_floating_point():
            raise ShapeError(
                f"the SAE reads activations with d_in = {self.sae.cfg.d_in} entries: got {width} at {self.hook_name!r}, "
                f"shape {tuple(acts.shape)}. Pass the model and the hook_name that it was trained on."
            )
        return acts.flatten(2).to(self.sae.W_enc)

    def edit(self, edit: Edit) -> HookSpec:
        """A hook that changes latents and nothing else: what the SAE doesn't explain stays in the activations.

        With f the latents, f' the edited ones, the activations x become x + decode(f') - decode(f).
        """
        refuse_transcoder(self.sae, "editing latents where they are read")

        def edit_latents(acts: Float[Tensor, "batch seq *any"], hook: Any) -> Tensor:
            latents = self.sae.encode(self.flatten(acts))
            own = latents.clone()
            returned = edit(own, hook)
            edited = own if returned is None else returned
            if edited.shape != latents.shape:
                raise ShapeError(
                    f"edited latents must have the shape of the latents, {tuple(latents.shape)}: got "
                    f"{tuple(edited.shape)}. Change entries, and return the whole tensor."
                )
            change = (edited - latents) @ self.sae.W_dec
            return acts + change.view(acts.shape).to(acts)

        return self.hook_name, edit_latents


def find_place(model: Any, sae: SAE, hook_name: str | None = None) -> Place:
    """Where the SAE reads: at `hook_name`, or where its own config says."""
    name = hook_name or sae.cfg.hook_name
    if not name:
        raise ConfigError(
            "it must be known where in the model the SAE reads: got neither hook_name nor sae.cfg.hook_name. Pass for "
            'example hook_name="blocks.2.hook_resid_pre".'
        )
    lm = hooked(model)
    return Place(lm, sae, lm.check_hook(name))


def check_latents(sae: SAE, latent_idxs: Sequence[int]) -> list[int]:
    """The latents' numbers, if the SAE has all of them."""
    d_sae = sae.cfg.d_sae
    for latent_idx in latent_idxs:
        if not 0 <= latent_idx < d_sae:
            raise UnknownNameError("latent", str(latent_idx), map(str, range(d_sae)))
    return [int(latent_idx) for latent_idx in latent_idxs]


def refuse_transcoder(sae: SAE, what: str) -> None:
    """Raise ConfigError for an SAE that writes elsewhere than it reads."""
    if sae.cfg.d_out is not None:
        raise ConfigError(
            f"{what} needs an autoencoder: got {type(sae).__name__}, whose latents write a target of its own, with "
            f"{sae.cfg.d_out} entries. Pass an SAE that reconstructs what it reads."
        )


def token_texts(lm: HookedLM, token_ids: Sequence[int]) -> list[str]:
    """Each token as its own text; its number in brackets where the model has no tokenizer."""
    tokenizer = getattr(lm.model, "tokenizer", None)
    if tokenizer is None:
        return [f"[{token_id}]" for token_id in token_ids]
    return [str(tokenizer.decode([int(token_id)])) for token_id in token_ids]
