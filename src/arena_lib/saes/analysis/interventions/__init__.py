"""What changes when latents do: ablation, attribution, steering, patchscopes."""

from arena_lib.saes.analysis.interventions.ablation import (
    LatentEffects,
    ablate_sae_latent,
    compute_ablation_effects,
    run_without_latent,
)
from arena_lib.saes.analysis.interventions.attribution import (
    EffectComparison,
    attribute_ablations,
    attribute_latents,
    compare_ablation_to_attribution,
)
from arena_lib.saes.analysis.interventions.patchscopes import (
    ScaleSweep,
    generate_patch_scoping_explanation,
    hook_fn_patch_scoping,
    tune_scale,
)
from arena_lib.saes.analysis.interventions.steering import (
    STEERED,
    generate_with_steering,
    steering_hook,
)

__all__ = [
    "STEERED",
    "EffectComparison",
    "LatentEffects",
    "ScaleSweep",
    "ablate_sae_latent",
    "attribute_ablations",
    "attribute_latents",
    "compare_ablation_to_attribution",
    "compute_ablation_effects",
    "generate_patch_scoping_explanation",
    "generate_with_steering",
    "hook_fn_patch_scoping",
    "run_without_latent",
    "steering_hook",
    "tune_scale",
]
