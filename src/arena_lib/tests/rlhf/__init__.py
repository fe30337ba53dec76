"""Judges of section 2.4, learning from rewards and preferences."""

from arena_lib.tests.rlhf.advantages import (
    test_compute_advantages,
    test_compute_group_advantages,
)
from arena_lib.tests.rlhf.averages import (
    test_adapt_kl_coef,
    test_average_over_tokens,
)
from arena_lib.tests.rlhf.best_of_n import (
    test_best_of_n_kl,
    test_estimate_best_of_n,
)
from arena_lib.tests.rlhf.direct import (
    test_dpo_loss,
    test_ipo_loss,
)
from arena_lib.tests.rlhf.divergences import (
    test_compute_entropy,
    test_compute_kl,
)
from arena_lib.tests.rlhf.estimates import test_kl_k3
from arena_lib.tests.rlhf.grpo_trainer import (
    test_grpo_trainer,
)
from arena_lib.tests.rlhf.logprobs import test_get_logprobs
from arena_lib.tests.rlhf.lora import test_lora
from arena_lib.tests.rlhf.lora_hooks import test_lora_hooks
from arena_lib.tests.rlhf.lora_models import test_transformer_with_value_head_lora
from arena_lib.tests.rlhf.masking import (
    test_find_responses,
    test_masked_mean,
)
from arena_lib.tests.rlhf.objectives import (
    test_calc_clipped_terms,
    test_grpo_loss,
)
from arena_lib.tests.rlhf.optimizers import (
    test_get_optimizer,
)
from arena_lib.tests.rlhf.penalties import (
    test_calc_entropy_bonus,
    test_calc_entropy_bonus_stability,
    test_calc_kl_penalty,
    test_calc_kl_penalty_stability,
)
from arena_lib.tests.rlhf.preferences import (
    test_bradley_terry_loss,
    test_reward_model,
)
from arena_lib.tests.rlhf.rewards import (
    test_normalize_reward,
    test_reward_fn_char_count,
    test_reward_fn_good_moods,
)
from arena_lib.tests.rlhf.rlhf_trainer import (
    test_rlhf_trainer,
)
from arena_lib.tests.rlhf.value_head import (
    test_transformer_with_value_head,
)

__test__ = False

__all__ = [
    "test_adapt_kl_coef",
    "test_average_over_tokens",
    "test_best_of_n_kl",
    "test_bradley_terry_loss",
    "test_calc_clipped_terms",
    "test_calc_entropy_bonus",
    "test_calc_entropy_bonus_stability",
    "test_calc_kl_penalty",
    "test_calc_kl_penalty_stability",
    "test_compute_advantages",
    "test_compute_entropy",
    "test_compute_group_advantages",
    "test_compute_kl",
    "test_dpo_loss",
    "test_estimate_best_of_n",
    "test_find_responses",
    "test_get_logprobs",
    "test_get_optimizer",
    "test_grpo_loss",
    "test_grpo_trainer",
    "test_ipo_loss",
    "test_kl_k3",
    "test_lora",
    "test_lora_hooks",
    "test_masked_mean",
    "test_normalize_reward",
    "test_reward_fn_char_count",
    "test_reward_fn_good_moods",
    "test_reward_model",
    "test_rlhf_trainer",
    "test_transformer_with_value_head",
    "test_transformer_with_value_head_lora",
]
