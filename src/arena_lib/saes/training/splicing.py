"""A model run with an autoencoder's reconstruction in place of its activations.

    logits = run_with_sae(model, sae, tokens)                                  # what the model makes of the reconstruction
    logits = run_with_sae(model, sae, tokens, keeps_error=True, change=fn)     # only what `fn` did to latents differs

`splicing_hooks` gives the same as hooks, to go with others in `hooked(model).run`. A transcoder reads at its `hook_name`
and writes at its `hook_name_out`.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"; `change` takes and returns latents "batch seq d_sae"
Raises:  ConfigError if no hook's name is known; UnknownNameError for a hook that the model doesn't have; ShapeError if
         the autoencoder's width isn't the hook's.
Source:  Bricken et al. 2023, "Towards monosemanticity"; Marks et al. 2024, arXiv:2403.19647, section 2 (the error term).
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training.reading import attend, merge_heads, read_batch
from arena_lib.transformer.activations.hooks import HookSpec
from arena_lib.transformer.fast.padding import Mask

Change = Callable[[Float[Tensor, "batch seq d_sae"]], Float[Tensor, "batch seq d_sae"]]
"""What is done to latents before they are decoded."""


def find_hook_names(sae: SAE, hook_name: str | None = None, hook_name_out: str | None = None) -> tuple[str, str]:
    """Where the autoencoder reads and where it writes: the names that are given, or its config's."""
    reads = hook_name or sae.cfg.hook_name
    if not reads:
        raise ConfigError(
            f"the name of a hook is needed: got none, and this {type(sae).__name__}'s config has an empty hook_name. Pass "
            "hook_name, such as 'blocks.2.hook_resid_post'."
        )
    writes = hook_name_out or sae.cfg.hook_name_out
    if sae.cfg.d_out is not None and not writes:
        raise ConfigError(
            f"a transcoder writes where its target comes from: got no hook_name_out, and this {type(sae).__name__}'s "
            "config has none. Pass hook_name_out, such as 'blocks.2.hook_mlp_out'."
        )
    return reads, writes or reads


def replace_positions(
    acts: Float[Tensor, "batch seq ..."],
    replacement: Float[Tensor, "batch seq d_in"],
    is_spliced: Bool[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq ..."]:
    """The replacement in the form of the activations, and the activations themselves where `is_spliced` is False."""
    replacement = replacement.to(acts.dtype).reshape(acts.shape)
    if is_spliced is None:
        return replacement
    chosen = is_spliced.reshape(*is_spliced.shape, *[1] * (acts.ndim - 2))
    return torch.where(chosen, replacement, acts)


def splicing_hooks(
    sae: SAE,
    hook_name: str | None = None,
    hook_name_out: str | None = None,
    *,
    is_spliced: Bool[Tensor, "batch seq"] | None = None,
    keeps_error: bool = False,
    change: Change | None = None,
) -> list[HookSpec]:
    """Hooks that put the reconstruction in place of what the model computed.

    `is_spliced` is True at the positions where that happens (None: everywhere). `change` alters the latents first. With
    `keeps_error` what the unchanged latents leave unexplained is added back, so that only the change makes a difference;
    gradients pass through the latents and not through that error.
    """
    reads, writes = find_hook_names(sae, hook_name, hook_name_out)
    seen: dict[str, Tensor] = {}

    def read(tensor: Tensor, hook: Any) -> None:
        acts = merge_heads(tensor)
        if acts.shape[-1] != sae.cfg.d_in:
            raise ShapeError(
                f"the autoencoder must have the width of its hook: got d_in {sae.cfg.d_in} and {acts.shape[-1]} at "
                f"{reads}. Use one that was trained on this model, at this hook."
            )
        seen["latents"] = sae.encode(acts.to(sae.W_enc.dtype))
        seen["acts"] = acts.to(sae.W_enc.dtype)

    def write(tensor: Tensor, hook: Any) -> Tensor:
        latents, target = seen.pop("latents"), merge_heads(tensor).to(sae.W_dec.dtype)
        recon = sae.add_skip(sae.decode(latents), seen["acts"])
        spliced = recon if change is None else sae.add_skip(sae.decode(change(latents)), seen["acts"])
        if keeps_error:
            spliced = spliced + (target - recon).detach()
        return replace_positions(tensor, spliced, is_spliced)

    def read_and_write(tensor: Tensor, hook: Any) -> Tensor:
        read(tensor, hook)
        return write(tensor, hook)

    return [(reads, read_and_write)] if reads == writes else [(reads, read), (writes, write)]


def run_with_sae(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "batch seq"],
    hook_name: str | None = None,
    hook_name_out: str | None = None,
    *,
    attention_mask: Mask | None = None,
    is_spliced: Bool[Tensor, "batch seq"] | None = None,
    keeps_error: bool = False,
    change: Change | None = None,
) -> Float[Tensor, "batch seq d_vocab"]:
    """The model's logits with the autoencoder spliced in; `splicing_hooks` says what the arguments do."""
    hooks = splicing_hooks(sae, hook_name, hook_name_out, is_spliced=is_spliced, keeps_error=keeps_error, change=change)
    tokens, mask = read_batch((tokens, attention_mask))
    return attend(hooked(model), mask).run(tokens, hooks)
