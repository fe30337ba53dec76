"""Trained sparse autoencoders of the zoo, by name.

    sae = zoo.load_sae("sae-tiny-llama-topk")
    model = zoo.load(sae.cfg.model_name)
    _, cache = model.run_with_cache(tokens)
    latents = sae.encode(cache[sae.cfg.hook_name])

One that is too large to ship is trained on the user's machine, by `arena zoo train NAME`, and then loads as the others do.

Raises:  ZooError for anything else of the zoo; UnknownNameError for a name without a card; what `places.path` raises for
         files that aren't what their card says, or that aren't there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arena_lib.errors import UnknownNameError, ZooError
from arena_lib.zoo.cards import SAE, info, names
from arena_lib.zoo.places import path

if TYPE_CHECKING:
    import torch

    import arena_lib.saes.autoencoders.base


def sae_names() -> tuple[str, ...]:
    """The names that `load_sae` takes.

    >>> "sae-tiny-llama-topk" in sae_names()
    True
    """
    return tuple(name for name in names() if info(name).form == SAE)


def load_sae(
    name: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> arena_lib.saes.autoencoders.base.SAE:
    """The trained autoencoder, in evaluation mode; float32 unless `dtype` says otherwise."""
    import torch

    from arena_lib.saes.formats import saelens

    if name not in names():
        raise UnknownNameError("sparse autoencoder", name, sae_names())
    if info(name).form != SAE:
        raise ZooError(
            f"what is loaded as a sparse autoencoder must be one of {', '.join(sae_names())}: {name!r} is of the form "
            f"{info(name).form}. See arena zoo info {name}"
        )
    return saelens.load_sae(path(name)).to(device, dtype or torch.float32)
