"""Judges of section 2.3, PPO."""

from arena_lib.tests.ppo.acting import (
    test_ppo_agent,
    test_ppo_agent_cts,
)
from arena_lib.tests.ppo.advantages import (
    test_compute_advantages,
    test_compute_next_values,
)
from arena_lib.tests.ppo.continuous_objectives import (
    test_calc_clipped_surrogate_objective_cts,
    test_calc_entropy_bonus_cts,
)
from arena_lib.tests.ppo.learning import (
    test_ppo_trainer,
)
from arena_lib.tests.ppo.minibatches import (
    test_get_minibatch_indices,
)
from arena_lib.tests.ppo.moments import (
    test_update_moments,
)
from arena_lib.tests.ppo.networks import (
    test_get_actor_and_critic_classic,
)
from arena_lib.tests.ppo.networks_continuous import (
    test_actor,
    test_critic,
)
from arena_lib.tests.ppo.networks_pictures import (
    test_get_actor_and_critic,
    test_get_actor_and_critic_atari,
    test_get_actor_and_critic_minatar,
)
from arena_lib.tests.ppo.objectives import (
    test_calc_clipped_surrogate_objective,
    test_calc_entropy_bonus,
    test_compute_approx_kl,
)
from arena_lib.tests.ppo.potentials import (
    test_potential_shaping,
)
from arena_lib.tests.ppo.rollouts import (
    test_finish_rollout,
)
from arena_lib.tests.ppo.scheduling import (
    test_ppo_scheduler,
)
from arena_lib.tests.ppo.shaping import (
    test_easy_cart,
    test_spin_cart,
)
from arena_lib.tests.ppo.value_losses import (
    test_calc_clipped_value_function_loss,
    test_calc_value_function_loss,
)

__test__ = False

__all__ = [
    "test_actor",
    "test_calc_clipped_surrogate_objective",
    "test_calc_clipped_surrogate_objective_cts",
    "test_calc_clipped_value_function_loss",
    "test_calc_entropy_bonus",
    "test_calc_entropy_bonus_cts",
    "test_calc_value_function_loss",
    "test_compute_advantages",
    "test_compute_approx_kl",
    "test_compute_next_values",
    "test_critic",
    "test_easy_cart",
    "test_finish_rollout",
    "test_get_actor_and_critic",
    "test_get_actor_and_critic_atari",
    "test_get_actor_and_critic_classic",
    "test_get_actor_and_critic_minatar",
    "test_get_minibatch_indices",
    "test_potential_shaping",
    "test_ppo_agent",
    "test_ppo_agent_cts",
    "test_ppo_scheduler",
    "test_ppo_trainer",
    "test_spin_cart",
    "test_update_moments",
]
