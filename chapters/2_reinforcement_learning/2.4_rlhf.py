# ---
# arena: {id: "2.4", slug: rlhf, title: Learning from rewards and preferences, hours: 10}
# objectives:
#   - "Turn rewards of whole texts into a signal for each token"
# ---
# %% [markdown]
# ## What you will build
# %% [markdown]
# ## 1. What is it paid for?
# %% exercise="reward_fn_char_count" title="Count full stops" difficulty=1 importance=2 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="normalize_reward" title="Above or below the others" difficulty=1 importance=2 minutes=5
# hint: one
# hint: two
# hint: three
# %% exercise="reward_fn_good_moods" title="A reward in a hurry" difficulty=2 importance=4 minutes=10
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 2. What it said, and how likely that was
# %% exercise="find_responses" title="What counts" difficulty=2 importance=4 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="masked_mean" title="Means without padding" difficulty=1 importance=3 minutes=5
# hint: one
# hint: two
# hint: three
# %% exercise="get_logprobs" title="How likely was each token?" difficulty=2 importance=5 minutes=15
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 3. How far has it moved?
# %% exercise="compute_entropy" title="How undecided?" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="compute_kl" title="How different?" difficulty=2 importance=5 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="kl_k3" title="From samples alone" difficulty=2 importance=4 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="calc_kl_penalty" title="A leash" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="calc_entropy_bonus" title="Stay undecided" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 4. PPO on tokens
# %% exercise="transformer_with_value_head" title="A model that also says what its text is worth" difficulty=3 importance=4 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="compute_advantages" title="Better than it thought?" difficulty=2 importance=3 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="calc_clipped_terms" title="Not too far at once" difficulty=2 importance=5 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="get_optimizer" title="Two learning rates" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="adapt_kl_coef" title="A leash that adapts" difficulty=2 importance=2 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="rlhf_trainer" title="The whole of PPO on tokens" difficulty=5 importance=5 minutes=50
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 5. GRPO
# %% exercise="compute_group_advantages" title="Compared with its siblings" difficulty=2 importance=5 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="average_over_tokens" title="What a long answer weighs" difficulty=2 importance=4 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="grpo_loss" title="The whole objective" difficulty=3 importance=5 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="grpo_trainer" title="GRPO" difficulty=4 importance=5 minutes=30
# hint: one
# hint: two
# hint: three
# %% [markdown]
# ## 6. You get what you pay for
# %% [markdown]
# ## 7. LoRA
# %% exercise="lora" title="Two thin matrices" difficulty=2 importance=5 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="lora_hooks" title="Beside attention's weights" difficulty=3 importance=3 minutes=25
# hint: An adapter stands beside a weight, so it reads what the weight reads. A hook at q sees only what the weight made of it. Where is its input?
# hint: Each head has an adapter of its own, which reads the whole normalised residual stream: copy that along an axis of heads. W_O reads the z of all heads side by side, so one adapter of n_heads * d_head inputs stands beside it.
# hint: hook.name.split(".")[-1] is "hook_q", "hook_k" or "hook_v". einops.repeat(self.attn_in, "batch seq d_model -> batch seq n_heads d_model", n_heads=qkv_hook_out.shape[2]) makes the copies.
# %% exercise="transformer_with_value_head_lora" title="The whole model, adapted" difficulty=4 importance=4 minutes=25
# hint: Which numbers may the optimizer change, and which model says what the policy was before? If the base model is frozen and hooks come and go, one set of weights is both.
# hint: adapted attaches the hooks of all layers for a while. The other two methods then do what is there already, within it: that of the parent class, and base_model.generate.
# hint: requires_grad_(False) on base_model alone leaves the value head free. with self.base_model.hooks(pairs): yield, with the pairs lora.fwd_hooks(block.ln1.gain) of each layer's hooks and block.
# %% [markdown]
# ## 8. Learning from comparisons
# %% exercise="bradley_terry_loss" title="Which of two is better?" difficulty=2 importance=5 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="reward_model" title="A model that gives marks" difficulty=2 importance=4 minutes=15
# hint: one
# hint: two
# hint: three
# %% exercise="best_of_n_kl" title="How far is the best of n?" difficulty=2 importance=3 minutes=10
# hint: one
# hint: two
# hint: three
# %% exercise="estimate_best_of_n" title="Best of n without drawing n" difficulty=3 importance=3 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="dpo_loss" title="Without a reward model" difficulty=3 importance=5 minutes=20
# hint: one
# hint: two
# hint: three
# %% exercise="ipo_loss" title="A margin in place of a limit" difficulty=2 importance=2 minutes=10
# hint: one
# hint: two
# hint: three
