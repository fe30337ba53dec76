"""Attribution patching: what every patch would do, to first order, from one run and its gradient.

Patching an activation a of one run with a' of another changes the metric m by about

    (a' - a) . dm/da

and one backward pass gives dm/da for every activation at once. Where the model bends between the two
runs, the gradient at one end is a poor guide; integrated gradients take its mean along the way, on runs whose
embeddings lie between the two runs' (`n_steps` of them). Summed over the embeddings that is exact: the
scores of `resid_pre` in layer 0 add up to the difference of the two runs' metrics, as n_steps grows.

Shapes:  tokens "batch seq" -> by site "n_layers seq" for the stream and its parts, "n_layers n_heads" (and "seq")
         for heads, as `sweeps` has them: but the change of the metric, not the metric.
Raises:  UnknownNameError for a site that the model does not have; ConfigError for a metric without a gradient,
         or no steps; ShapeError for runs that don't align.
Source:  Nanda 2023, "Attribution patching"; Syed et al. 2023, arXiv:2310.10348, equation 1; Sundararajan et al. 2017,
         arXiv:1703.01365 (integrated gradients); Hanna et al. 2024, arXiv:2403.17806, equation 4 (applied here).
Differs: steps are taken at the middle of each part of the way, not at its end, so that few suffice.
"""

from collections.abc import Sequence
from typing import Any, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import AnyModel, HookedLM
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.readout import ReadAt, Readout, chunks, difference, make_readout
from arena_lib.interp.patching.sweeps import BlockSite, HeadSite
from arena_lib.transformer.activations.hooks import HookFunction, HookSpec, get_act_name

BLOCK_SITES = get_args(BlockSite)
HEAD_SITES = get_args(HeadSite)


def attribute_patches(
    model: AnyModel,
    tokens: Int[Tensor, "batch seq"],
    source_cache: Any,
    metric: Metric,
    sites: Sequence[str] = ("z",),
    *,
    by_position: bool = False,
    n_steps: int | None = None,
    read_at: ReadAt = None,
    max_tokens: int | None = None,
) -> dict[str, Float[Tensor, "n_layers ..."]]:
    """For each site, what patching it from `source_cache` would change the metric of `tokens` by, to first order.

    `tokens` are run forward and back once, whatever the number of sites (any that `sweeps` knows). Heads are scored
    everywhere, or `by_position`. With `n_steps` the gradient is the mean over that many runs between the two.
    """
    lm = hooked(model)
    _check_sites(lm, sites)
    if n_steps is not None and n_steps < 1:
        raise ConfigError(
            f"n_steps must be at least 1: got {n_steps}. Leave it out for the gradient of the run itself."
        )
    read = make_readout(lm, tokens, metric, read_at)
    names = [get_act_name(site, layer) for site in sites for layer in range(lm.n_layers)]
    with torch.no_grad():
        own = lm.run_with_cache(tokens, list(dict.fromkeys([*names, "blocks.0.hook_resid_pre"])))[1]
    gradients = _mean_gradients(lm, tokens, own, source_cache, names, read, n_steps, max_tokens)
    scores = {}
    for site in sites:
        layers = []
        for layer in range(lm.n_layers):
            name = get_act_name(site, layer)
            layers.append(_reduce(site, difference(source_cache, own, name) * gradients[name], by_position))
        scores[site] = torch.stack(layers)
        if site in ("k", "v"):
            scores[site] = lm.repeat_kv(scores[site], axis=1)
    return scores


def _reduce(
    site: str, products: Float[Tensor, "batch ..."], by_position: bool
) -> Float[Tensor, " seq"] | Float[Tensor, " n_heads"] | Float[Tensor, "n_heads seq"]:
    """The sum over all that is patched together."""
    if site in BLOCK_SITES:
        return products.sum(dim=(0, 2))
    by_head = products.sum(dim=(0, 3))
    if site != "pattern":  # heads come first there alone
        by_head = by_head.T
    return by_head if by_position else by_head.sum(dim=1)


# -- gradients --------------------------------------------------------------------------------------


def _mean_gradients(
    lm: HookedLM,
    tokens: Int[Tensor, "batch seq"],
    own: Any,
    source_cache: Any,
    names: Sequence[str],
    read: Readout,
    n_steps: int | None,
    max_tokens: int | None,
) -> dict[str, Tensor]:
    """The metric's gradient at each name: of the run itself, or its mean over steps towards the other run."""
    entered = own["blocks.0.hook_resid_pre"]
    if n_steps is None:
        return _gradients(lm, entered, names, read)
    way = difference(source_cache, own, "blocks.0.hook_resid_pre")
    total: dict[str, Tensor] = {}
    with progress(n_steps, "integrating gradients") as bar:
        for steps in chunks(range(n_steps), tokens, max_tokens):
            shares = (torch.tensor(steps, device=way.device, dtype=way.dtype) + 0.5) / n_steps
            rows = (entered + shares[:, None, None, None] * way).flatten(0, 1)
            for name, gradient in _gradients(lm, rows, names, read).items():
                summed = gradient.unflatten(0, (len(steps), -1)).sum(dim=0) / n_steps
                total[name] = total[name] + summed if name in total else summed
            bar.update(len(steps))
    return total


@torch.enable_grad()
def _gradients(
    lm: HookedLM, entered: Float[Tensor, "rows seq d_model"], names: Sequence[str], read: Readout
) -> dict[str, Tensor]:
    """The metric's gradient at each name, for runs that enter the first layer with these streams."""
    refuse_inference_mode()
    # What is added to resid_mid is added by attn_out, which on every model is on the way of the gradient.
    places = {name: name.replace("hook_resid_mid", "hook_attn_out") for name in names}
    kept: dict[str, Tensor] = {}
    hooks: list[HookSpec] = [(place, _keep(kept, place)) for place in dict.fromkeys(places.values())]
    values = read.of_pre(entered.detach().requires_grad_(), 0, hooks)
    check_differentiable(values)
    found = torch.autograd.grad(values.sum(), list(kept.values()), allow_unused=True, materialize_grads=True)
    by_place = {place: _spread(gradient, entered, read) for place, gradient in zip(kept, found, strict=True)}
    return {name: by_place[place] for name, place in places.items()}


def refuse_inference_mode() -> None:
    """Raise ConfigError where torch records no gradients whatever one asks for."""
    if torch.is_inference_mode_enabled():
        raise ConfigError(
            "gradients must be possible where they are asked for: got a call inside torch.inference_mode(), which "
            "records none. Leave it, or use torch.no_grad()."
        )


def check_differentiable(values: Float[Tensor, " patches"]) -> None:
    """Raise ConfigError for a metric without a gradient."""
    if not values.requires_grad:
        raise ConfigError(
            "a metric must pass gradients on: got one that does not depend on the logits by differentiable steps. "
            "Leave out .detach(), argmax and comparisons."
        )


def _spread(gradient: Tensor, entered: Float[Tensor, "rows seq d_model"], read: Readout) -> Tensor:
    """A gradient at all positions: after the last attention it is zero at those that the metric doesn't read."""
    if read.positions is None or gradient.shape[1] != 1 or gradient.ndim != entered.ndim:
        return gradient
    rows = torch.arange(len(gradient), device=gradient.device)
    spread = gradient.new_zeros(*entered.shape[:2], *gradient.shape[2:])
    spread[rows, read.positions.to(gradient.device).repeat(len(rows) // read.batch)] = gradient[:, 0]
    return spread


def _keep(kept: dict[str, Tensor], name: str) -> HookFunction:
    """A hook that notes what it sees; it gives it back, so that on a bridge too the model goes on with this very tensor."""

    def keep(activation: Tensor, hook: Any) -> Tensor:
        kept[name] = activation
        return activation

    return keep


def _check_sites(lm: HookedLM, sites: Sequence[str]) -> None:
    for site in sites:
        if site not in (*BLOCK_SITES, *HEAD_SITES):
            raise UnknownNameError("site", site, [*BLOCK_SITES, *HEAD_SITES])
        if site == "pattern":
            lm.require(Assumption.PATTERN)
        lm.check_hook(get_act_name(site, 0))
