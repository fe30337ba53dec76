"""Attribution patching of latents: what ablating each would do, all at once, from one gradient.

Ablating latent i takes f_i W_dec[i] away from the activations x. To first order the metric m then changes by

    -f_i (W_dec[i] . dm/dx)

and one backward pass gives dm/dx, so all latents at all positions cost one run. Where the model bends along the way,
the gradient at its start is a poor guide. Integrated gradients take its mean over `n_steps` points on the way to where
every latent is 0 (the SAE's error stays). The effects then sum to what ablating all latents at once does, ever more
exactly as n_steps grows.

Shapes:  latents "batch seq d_sae", gradient "batch seq d_out", W_dec "d_sae d_out" -> effects "batch seq d_sae"
Raises:  ConfigError for a metric without a gradient, or no steps; what `places` raises.
Source:  Marks et al. 2024, arXiv:2403.19647, section 3.1, equations 3 and 4; Nanda 2023, "Attribution patching";
         Sundararajan et al. 2017, arXiv:1703.01365.
Differs: steps are taken at the middle of each part of the way, not at its end, so that few suffice; all latents are
         scaled together, as in the paper's cheaper form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.patching.attribution import check_differentiable, refuse_inference_mode
from arena_lib.interp.patching.metrics import Metric
from arena_lib.interp.patching.readout import ReadAt, Readout, chunks
from arena_lib.plots.graphs.scatter import scatter
from arena_lib.saes.analysis.interventions.ablation import active_latents, compute_ablation_effects, latent_readout
from arena_lib.saes.analysis.places import Place, check_latents, find_place
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training.reading import merge_heads


def attribute_ablations(
    latents: Float[Tensor, "batch seq d_sae"],
    gradient: Float[Tensor, "batch seq d_out"],
    W_dec: Float[Tensor, "d_sae d_out"],
) -> Float[Tensor, "batch seq d_sae"]:
    """To first order, how much a metric changes when each latent, at each position by itself, is set to 0.

    `gradient` is the metric's with respect to the activations that the SAE reconstructs.
    """
    return -latents * (gradient @ W_dec.T)


def attribute_latents(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "batch seq"],
    metric: Metric,
    *,
    n_steps: int | None = None,
    read_at: ReadAt = None,
    hook_name: str | None = None,
    max_tokens: int | None = None,
) -> Float[Tensor, "batch seq d_sae"]:
    """`attribute_ablations` in a model: with the gradient of its run, or its mean over `n_steps` on the way.

    Sum over positions for what ablating a latent everywhere does. `metric` and `read_at` are as in
    `compute_ablation_effects`.
    """
    place = find_place(model, sae, hook_name)
    if n_steps is not None and n_steps < 1:
        raise ConfigError(
            f"n_steps must be at least 1: got {n_steps}. Leave it out for the gradient of the run itself."
        )
    resumed = f"blocks.{place.block}.hook_resid_pre"
    with torch.no_grad():
        _, cache = place.lm.run_with_cache(tokens, [resumed, place.hook_name, place.written_name])
        latents = sae.encode(place.flatten(cache[place.hook_name]))
        acts = cache[place.written_name]
        read = latent_readout(place, tokens, metric, read_at)
        explained = (latents @ sae.W_dec).view(acts.shape).to(acts)
        shares = [0.0] if n_steps is None else [(step + 0.5) / n_steps for step in range(n_steps)]
        total = torch.zeros_like(acts)
        for part in chunks(shares, tokens, max_tokens):
            way = torch.stack([acts - share * explained for share in part])
            total += _gradients(place, cache[resumed], way, read).sum(dim=0)
        return attribute_ablations(latents, merge_heads(total / len(shares)).to(sae.W_dec), sae.W_dec)


@torch.enable_grad()
def _gradients(
    place: Place, entered: Float[Tensor, "batch seq d_model"], way: Float[Tensor, "steps batch seq ..."], read: Readout
) -> Float[Tensor, "steps batch seq ..."]:
    """The metric's gradient at the hook, for runs that have each of these activations there."""
    refuse_inference_mode()
    leaf = way.flatten(0, 1).detach().requires_grad_()
    rows = entered.repeat(len(way), 1, 1)
    values = read.of_pre(rows, place.block, [(place.written_name, lambda acts, hook: leaf)])
    check_differentiable(values)
    (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return gradient.view(way.shape)


# -- how good the approximation is ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class EffectComparison:
    """What ablating latents does, beside what a gradient says it would do."""

    latent_idxs: list[int]
    ablation: Float[Tensor, " n_chosen"]
    attribution: Float[Tensor, " n_chosen"]

    @property
    def correlation(self) -> float:
        """Pearson's correlation; NaN for fewer than two latents, or where all effects are the same."""
        centred = [effects.double() - effects.double().mean() for effects in (self.ablation, self.attribution)]
        norms = centred[0].norm() * centred[1].norm()
        return float(centred[0] @ centred[1] / norms) if norms > 0 else float("nan")

    @property
    def worst(self) -> tuple[int, float, float]:
        """The latent at which the two differ most: (latent, ablation, attribution)."""
        i = int((self.ablation - self.attribution).abs().argmax())
        return self.latent_idxs[i], self.ablation[i].item(), self.attribution[i].item()

    def show(self) -> go.Figure:
        """One point for each latent; on the dashed diagonal both agree."""
        return scatter(
            {"latents": (self.attribution, self.ablation)},
            x_title="change by attribution",
            y_title="change by ablation",
            title=f"Effects of ablating {len(self.latent_idxs)} latents (correlation {self.correlation:.3f})",
            diagonal="both agree",
        )


def compare_ablation_to_attribution(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "batch seq"],
    metric: Metric,
    latent_idxs: Sequence[int] | None = None,
    *,
    seq_pos: int | None = None,
    n_steps: int | None = None,
    read_at: ReadAt = None,
    hook_name: str | None = None,
) -> EffectComparison:
    """Both effects of each latent (None: all that are active), at one position or (None) at all of them."""
    place = find_place(model, sae, hook_name)
    effects = attribute_latents(model, sae, tokens, metric, n_steps=n_steps, read_at=read_at, hook_name=hook_name)
    effects = effects if seq_pos is None else effects[:, [seq_pos]]
    if latent_idxs is None:
        with torch.no_grad():
            latents = place.encode(tokens)
        chosen = active_latents(latents if seq_pos is None else latents[:, [seq_pos]])
    else:
        chosen = check_latents(sae, latent_idxs)
    ablation = compute_ablation_effects(
        model, sae, tokens, metric, chosen, seq_pos=seq_pos, read_at=read_at, hook_name=hook_name
    )
    return EffectComparison(chosen, ablation.values, effects.sum(dim=(0, 1))[chosen])
