# ---
# arena: {id: "2.3", slug: ppo, title: Proximal policy optimisation, hours: 10}
# objectives:
#   - "x"
# ---
# %% exercise="actor" title="T actor" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_clipped_surrogate_objective" title="T calc_clipped_surrogate_objective" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_clipped_surrogate_objective_cts" title="T calc_clipped_surrogate_objective_cts" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_clipped_value_function_loss" title="T calc_clipped_value_function_loss" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_entropy_bonus" title="T calc_entropy_bonus" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_entropy_bonus_cts" title="T calc_entropy_bonus_cts" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="calc_value_function_loss" title="T calc_value_function_loss" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="compute_advantages" title="T compute_advantages" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="compute_approx_kl" title="T compute_approx_kl" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="compute_next_values" title="T compute_next_values" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="critic" title="T critic" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="easy_cart" title="T easy_cart" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="finish_rollout" title="T finish_rollout" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="get_actor_and_critic_atari" title="T get_actor_and_critic_atari" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="get_actor_and_critic_classic" title="T get_actor_and_critic_classic" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="get_actor_and_critic_minatar" title="T get_actor_and_critic_minatar" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="get_minibatch_indices" title="T get_minibatch_indices" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="ppo_agent" title="T ppo_agent" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="ppo_agent_cts" title="T ppo_agent_cts" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="ppo_scheduler" title="T ppo_scheduler" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="ppo_trainer" title="T ppo_trainer" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="spin_cart" title="T spin_cart" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
# %% exercise="update_moments" title="T update_moments" difficulty=2 importance=3 minutes=10
# hint: a?
# hint: b.
# hint: c.
