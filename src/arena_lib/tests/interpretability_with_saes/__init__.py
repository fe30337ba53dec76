"""Judges of section 1.3.3, Interpretability with SAEs."""

from arena_lib.tests.interpretability_with_saes.attribution import (
    test_attribute_ablations,
    test_attribute_to_sources,
)
from arena_lib.tests.interpretability_with_saes.directions import (
    test_find_top_logits,
    test_project_to_logits,
    test_show_top_logits,
)
from arena_lib.tests.interpretability_with_saes.examples import (
    test_fetch_max_activating_examples,
    test_find_top_positions,
)
from arena_lib.tests.interpretability_with_saes.explaining import (
    test_hook_fn_patch_scoping,
    test_mark_tokens,
)
from arena_lib.tests.interpretability_with_saes.interventions import (
    test_ablate_sae_latent,
    test_apply_latent_change,
    test_steering_hook,
)
from arena_lib.tests.interpretability_with_saes.metrics import (
    test_compute_frequencies,
    test_compute_fvu,
    test_compute_l0,
    test_compute_loss_recovered,
    test_replace_positions,
)
from arena_lib.tests.interpretability_with_saes.naming import test_compute_f1, test_grow_union
from arena_lib.tests.interpretability_with_saes.prompting import test_create_prompt
from arena_lib.tests.interpretability_with_saes.scoring import test_parse_predictions, test_score_predictions
from arena_lib.tests.interpretability_with_saes.splitting import test_compute_cosines, test_find_children
from arena_lib.tests.interpretability_with_saes.stream import (
    test_compute_scale,
    test_mix_halves,
    test_pick_positions,
)
from arena_lib.tests.interpretability_with_saes.topk import (
    test_compute_aux_error,
    test_decode_latents,
    test_keep_top_k,
    test_remove_radial_gradient,
)

__test__ = False

__all__ = [
    "test_ablate_sae_latent",
    "test_apply_latent_change",
    "test_attribute_ablations",
    "test_attribute_to_sources",
    "test_compute_aux_error",
    "test_compute_cosines",
    "test_compute_f1",
    "test_compute_frequencies",
    "test_compute_fvu",
    "test_compute_l0",
    "test_compute_loss_recovered",
    "test_compute_scale",
    "test_create_prompt",
    "test_decode_latents",
    "test_fetch_max_activating_examples",
    "test_find_children",
    "test_find_top_logits",
    "test_find_top_positions",
    "test_grow_union",
    "test_hook_fn_patch_scoping",
    "test_keep_top_k",
    "test_mark_tokens",
    "test_mix_halves",
    "test_parse_predictions",
    "test_pick_positions",
    "test_project_to_logits",
    "test_remove_radial_gradient",
    "test_replace_positions",
    "test_score_predictions",
    "test_show_top_logits",
    "test_steering_hook",
]
