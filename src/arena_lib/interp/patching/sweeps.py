"""Activation patching of every place at once: the numbers of the plain loops for a fraction of the work.

A loop runs the whole model for each place that it patches. Here a patch is what it adds to the residual
stream, and only what comes after it runs:

- nothing before the patched layer runs again: the stream there is cached;
- the patches of a layer go through the rest of the model as one batch;
- heads of a layer don't see each other, so one run of the layer with all its queries (keys, values,
  patterns) replaced gives what every head's output changes by when it alone is patched;
- what the metric doesn't read is not computed (`readout.py`).

`tokens` are the prompts that run, `source_cache` holds another run's activations that are patched in. The
corrupted prompts with the clean cache denoise; the clean prompts with the corrupted cache are noised.

Shapes:  tokens "batch seq" -> "n_layers seq" for the stream and its parts, "n_layers n_heads" (and "seq") for heads.
Raises:  UnknownNameError for a site that the model does not have; ShapeError for runs that don't align or a
         position outside; ConfigError or ShapeError for a metric that returns anything but one number.
Source:  Meng et al. 2022, arXiv:2202.05262, section 2; Heimersheim and Nanda 2024, arXiv:2404.15255 (directions).
Differs: TransformerLens puts positions before heads, and gives keys and values a column for each key head;
         here heads come first, and query heads that share a key show its number each.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import UnknownNameError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.readout import ReadAt, Readout, chunks, difference, make_readout
from arena_lib.transformer.activations.hooks import get_act_name

BlockSite = Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"]
HeadSite = Literal["z", "q", "k", "v", "pattern"]
EVERY_BLOCK_SITE: tuple[BlockSite, ...] = ("resid_pre", "attn_out", "mlp_out")
EVERY_HEAD_SITE: tuple[HeadSite, ...] = get_args(HeadSite)


@torch.no_grad()
def sweep_blocks(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    source_cache: Any,
    metric: Metric,
    site: str,
    *,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "n_layers seq"]:
    """The metric with the residual stream, or what attention or the MLP adds, patched at one layer and position."""
    lm = hooked(model)
    _check_site(site, get_args(BlockSite))
    if site in ("attn_out", "mlp_out"):
        lm.require(Assumption.STREAM)
    read = make_readout(lm, tokens, metric, read_at)
    own = lm.run_with_cache(tokens, _names(lm, "resid_pre", "attn_out", "resid_post", site))[1]
    seq = tokens.shape[1]
    values = []
    with progress(lm.n_layers * seq, f"patching {site}") as bar:
        for layer in range(lm.n_layers):
            change = difference(source_cache, own, get_act_name(site, layer))
            for positions in chunks(range(seq), tokens, max_tokens):
                changes = change * _mask(positions, seq, change)[:, None, :, None]
                if site == "resid_pre":
                    values.append(read.of_pre(_fold(own["resid_pre", layer] + changes), layer))
                elif site in ("resid_mid", "attn_out"):
                    values.append(_after_attention(read, own, layer, changes))
                else:
                    values.append(read.of_pre(_fold(own["resid_post", layer] + changes), layer + 1))
                bar.update(len(positions))
    return torch.cat(values).unflatten(0, (lm.n_layers, seq))


@torch.no_grad()
def sweep_heads(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    source_cache: Any,
    metric: Metric,
    site: str = "z",
    *,
    by_position: bool = False,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "n_layers n_heads"] | Float[Tensor, "n_layers n_heads seq"]:
    """The metric with one head's output, query, key, value or pattern patched, everywhere or at one position.

    The position of a pattern is its query's. A key or value that several query heads share is patched for all of them.
    """
    lm = hooked(model)
    _check_site(site, EVERY_HEAD_SITE)
    if site == "pattern":
        lm.require(Assumption.PATTERN)
    read = make_readout(lm, tokens, metric, read_at)
    own = lm.run_with_cache(tokens, _names(lm, "resid_pre", "attn_out", "z", site, "resid_post"))[1]
    seq = tokens.shape[1]
    n_sets = lm.n_kv_heads if site in ("k", "v") else lm.n_heads
    patches = [(head, place) for head in range(n_sets) for place in (range(seq) if by_position else [-1])]
    values = []
    with progress(lm.n_layers * len(patches), f"patching {site}") as bar:
        for layer in range(lm.n_layers):
            z_changes = _z_changes(lm, tokens, own, source_cache, site, layer, by_position, max_tokens)
            for chunk in chunks(patches, tokens, max_tokens):
                changes = _written(lm, z_changes, layer, n_sets, chunk, by_position)
                values.append(_after_attention(read, own, layer, changes))
                bar.update(len(chunk))
    result = torch.cat(values).unflatten(0, (lm.n_layers, n_sets, -1))
    result = lm.repeat_kv(result, axis=1)
    return result if by_position else result[..., 0]


def sweep_every_block(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    source_cache: Any,
    metric: Metric,
    *,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "sites n_layers seq"]:
    """`sweep_blocks` of resid_pre, attn_out and mlp_out, in this order; without MLPs the first two."""
    sites = [site for site in EVERY_BLOCK_SITE if hooked(model).has_mlp or site != "mlp_out"]
    given = (model, tokens, source_cache, metric)
    return torch.stack([sweep_blocks(*given, site, read_at=read_at, max_tokens=max_tokens) for site in sites])


def sweep_every_head(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    source_cache: Any,
    metric: Metric,
    *,
    by_position: bool = False,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "5 n_layers n_heads"] | Float[Tensor, "5 n_layers n_heads seq"]:
    """`sweep_heads` of outputs (z), queries, keys, values and patterns, in this order."""
    given = (model, tokens, source_cache, metric)
    named = {"by_position": by_position, "read_at": read_at, "max_tokens": max_tokens}
    return torch.stack([sweep_heads(*given, site, **named) for site in EVERY_HEAD_SITE])  # type: ignore[arg-type]


def _after_attention(
    read: Readout, own: Any, layer: int, changes: Float[Tensor, "patches batch seq d_model"]
) -> Float[Tensor, " patches"]:
    """The metric with these changes of what a layer's attention adds; in a parallel block its MLP doesn't see them."""
    if read.lm.is_parallel:
        return read.of_pre(_fold(own["resid_post", layer] + changes), layer + 1)
    return read.of_mid(_fold(read.lm.resid_mid(own, layer) + changes), layer)


# -- what a patch changes ---------------------------------------------------------------------------


def _z_changes(
    lm: HookedLM,
    tokens: Int[Tensor, "batch seq"],
    own: Any,
    source_cache: Any,
    site: str,
    layer: int,
    by_position: bool,
    max_tokens: int | None,
) -> Float[Tensor, "changes batch seq n_heads d_head"]:
    """What patching a head's `site` changes its z by, for all heads side by side.

    One change if it holds for all positions, or if the position that is patched is the only one at which z
    changes; one for each position where a key or value is patched, which all later queries see.
    """
    change = difference(source_cache, own, get_act_name(site, layer))
    if site == "z":
        return change[None]
    seq = tokens.shape[1]
    spreads = by_position and site in ("k", "v")
    parts = []
    for positions in chunks(range(seq) if spreads else [-1], tokens, max_tokens):
        shape = (len(positions), *change.shape)
        mask = _mask(positions, seq, change)[:, None, :, None, None] if spreads else 1
        patched = _fold(own[get_act_name(site, layer)] + (change * mask).expand(shape))
        z = _run_layer(lm, layer, _fold(own["resid_pre", layer].expand(len(positions), -1, -1, -1)), site, patched)
        parts.append(z.unflatten(0, (len(positions), -1)) - own["z", layer])
    return torch.cat(parts)


def _run_layer(
    lm: HookedLM, layer: int, resid_pre: Float[Tensor, "rows seq d_model"], site: str, patched: Tensor
) -> Float[Tensor, "rows seq n_heads d_head"]:
    """The z of one layer whose `site` is replaced for every head."""
    kept: list[Tensor] = []
    hooks = [
        (get_act_name(site, layer), lambda activation, hook: patched),
        (get_act_name("z", layer), lambda z, hook: kept.append(z)),
    ]
    lm.run_layer(resid_pre, layer, hooks)
    return kept[0]


def _written(
    lm: HookedLM,
    z_changes: Float[Tensor, "changes batch seq n_heads d_head"],
    layer: int,
    n_sets: int,
    patches: Sequence[tuple[int, int]],
    by_position: bool,
) -> Float[Tensor, "patches batch seq d_model"]:
    """What each patch, a set of heads that share what is patched, and a position, adds to the residual stream."""
    sets, places = torch.tensor(patches, device=z_changes.device).unbind(1)
    heads_of = (n_sets, lm.n_heads // n_sets)
    spreads = len(z_changes) > 1
    picked = z_changes.unflatten(3, heads_of)[places if spreads else 0 * places, :, :, sets]
    if by_position and not spreads:
        picked = picked * _mask(places.tolist(), z_changes.shape[2], picked)[:, None, :, None, None]
    return torch.einsum("pbsnh,pnhm->pbsm", picked, lm.W_O(layer).unflatten(0, heads_of)[sets])


def _mask(positions: Sequence[int], seq: int, like: Tensor) -> Float[Tensor, "patches seq"]:
    """One where a patch is, zero elsewhere."""
    places = torch.arange(seq, device=like.device)
    return (places == torch.tensor(list(positions), device=like.device)[:, None]).to(like.dtype)


def _fold(rows: Float[Tensor, "patches batch ..."]) -> Float[Tensor, "rows ..."]:
    """Patches and prompts as one batch, prompts fastest."""
    return rows.flatten(0, 1)


def _names(lm: HookedLM, *sites: str) -> list[str]:
    return [lm.check_hook(get_act_name(site, layer)) for site in dict.fromkeys(sites) for layer in range(lm.n_layers)]


def _check_site(site: str, known: Sequence[str]) -> None:
    if site not in known:
        raise UnknownNameError("site", site, known)
