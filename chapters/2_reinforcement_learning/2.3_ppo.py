# ---
# arena: {id: "2.3", slug: ppo, title: Proximal policy optimisation, hours: 10}
# objectives:
#   - "Say what an advantage is, and estimate it backwards through a rollout, with both kinds of ends kept apart"
#   - "Act with a stochastic policy, keep what happened, and turn it into a batch to learn from"
#   - "Write PPO's objective term by term, and know which way each one pushes"
#   - "Train an agent that balances a pole within a minute, and see what each setting does"
#   - "Shape a reward, and watch an agent get exactly what it was asked for"
#   - "Carry the same algorithm over to pictures and to continuous actions"
# ---
# %% [markdown]
# ## What you will build
#
# An **agent** sees something, does something, and gets a reward. It should learn to do what brings much reward in
# the long run. In this section you write the algorithm that is behind a good part of what such agents have done in
# the last years, from robots to chat models: **proximal policy optimisation**, PPO
# ([Schulman et al. 2017](https://arxiv.org/abs/1707.06347)).
#
# PPO has one idea and many details. The idea: let the policy act for a while, learn from that a few times over, and
# never let it move far from the policy that acted. The details decide whether it works. You write them one by one,
# each a function that you can test, and only then the whole:
#
# - in part 5 **your** trainer learns to balance a pole, in less than a minute, and you watch it,
# - in part 6 you change what the agent is paid for, and watch it do what you asked instead of what you meant,
# - in part 7 it learns Breakout from pictures, and in part 8 to act with numbers instead of buttons.
#
# | part | minutes |
# |---|---|
# | 1. An actor and a critic | 20 |
# | 2. How good was that? | 45 |
# | 3. Acting, and what is kept | 60 |
# | 4. The objective | 60 |
# | 5. Learning | 65 |
# | 6. You get what you pay for | 60 |
# | 7. Pictures | 40 |
# | 8. Continuous actions | 70 |
#
# The minutes are those of the exercises. The rest of the ten hours is for reading, and for trying things out.
#
# You should have done 2.2, or know what a policy gradient is. Shapes are written in words, as in chapter 1:
# `"n_steps n_envs"` is a tensor whose first axis is time and whose second says which environment.
#
# ## 1. An actor and a critic
#
# *About 20 minutes of exercises. You make both networks, and learn why their first weights matter.*
#
# Two networks look at each observation.
#
# - The **actor** is the policy. It gives a **logit** for each action; softmax makes probabilities of them, and an
#   action is drawn.
# - The **critic** gives one number, the **value**: how much reward it expects from here on.
#
# Only the actor acts. The critic is there so that we can say whether an action was *better than expected*. That
# depends less on luck than how large the reward was: as a signal to learn from, it has less **variance**.
#
# Their weights begin **orthogonal**: such a matrix turns vectors without squeezing any direction, so signals pass
# through the layers neither growing nor shrinking (times a factor, the **gain**, which makes up for what tanh takes
# away). One gain is special. The actor's last layer begins a hundred times smaller than the others. So all logits begin
# near 0, all actions begin about equally likely, and everything gets tried before the agent has an opinion.
# [Andrychowicz et al. 2021](https://arxiv.org/abs/2006.05990) compared more than fifty choices of this kind on
# simulated robots. How the policy begins mattered surprisingly much to them, and such a small last layer is what they
# advise.
# %% exercise="get_actor_and_critic_classic" title="Two small networks" difficulty=2 importance=3 minutes=20
# hint: The two networks differ in two things only: how many outputs they have, and the last gain.
# hint: nn.Sequential of five layers; init_layer returns the layer it was given, so it can stand inside the Sequential.
# hint: A small function make(n_outputs, gain) inside yours builds either of them: init_layer(nn.Linear(d_obs, 64)),
#       nn.Tanh(), ... and last init_layer(nn.Linear(64, n_outputs), gain).
# %% result
# what your actor thinks of ten random observations, before it has learned anything.
# All actions are about equally likely: with the usual gain they would not be.
torch.manual_seed(0)
actor, critic = get_actor_and_critic_classic(4, 2)
print(actor(torch.randn(10, 4)).softmax(-1).detach().round(decimals=3)[:, 0].tolist())
# %% [markdown]
# ## 2. How good was that?
#
# *About 45 minutes of exercises. You write generalised advantage estimation, and handle both ways an episode can end.*
#
# The agent did something at step $t$. Was it a good idea? Compare what happened with what the critic expected:
#
# $$\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$$
#
# The reward, plus what the critic thinks of where we ended up, less what it thought before. $\gamma$, a little below 1,
# makes later rewards count less. This **one-step error** has little variance, since it holds the luck of one step only.
# But it has a **bias**: it believes the critic, which is wrong at first. The other extreme adds up all rewards to the
# end of the episode. It believes nobody, so it has no bias, but a large variance: everything that happened later, good
# or bad, is put down to this one action.
#
# **Generalised advantage estimation** ([Schulman et al. 2016](https://arxiv.org/abs/1506.02438)) takes the middle.
# The later errors count too, each a little less than the one before it:
#
# $$A_t = \delta_t + \gamma\lambda\,\delta_{t+1} + (\gamma\lambda)^2\,\delta_{t+2} + \dots = \delta_t + \gamma\lambda A_{t+1}$$
#
# With $\lambda = 0$ only the first error is left: the least variance, the most bias. With $\lambda = 1$ the critic's
# opinions in between cancel, and it's the other way round. The form on the right says how to compute it: from the last
# step backwards.
#
# ### Two kinds of end
#
# An episode can end in two ways, and they mean opposite things.
#
# - It **terminated**: the pole fell, the game is over. Nothing comes after it. The future is worth 0.
# - It was **truncated**: we stopped watching, often after 500 steps. The pole still stands! The future is worth what
#   the critic says about the state that was reached.
#
# To take one for the other is a common bug, and a silent one: an agent whose truncated episodes count
# as failures is told, every 500 steps, that balancing well is as bad as dropping the pole. In both cases the sum
# ends there, since the next step belongs to another episode.
# %% exercise="compute_advantages" title="Better than expected?" difficulty=4 importance=5 minutes=30
# hint: Compute all deltas at once; which factor makes the future of a terminated step vanish, but not that of a
#       truncated one?
# hint: Then go backwards over the steps and keep one vector, the advantage of the step after: it begins at zero, and is
#       multiplied by 0 wherever the episode ended at this step, in either way.
# hint: following = delta[t] + gamma * gae_lambda * is_open[t] * following, with is_open = 1 - (terminated |
#       truncated).float(), for t in reversed(range(len(rewards))).
# %% [markdown]
# `next_values` came as an argument. Where does it come from? Usually there is nothing to do: what follows step `t` is
# step `t + 1` of the same environment, whose value we have. But not always. Environments here are stepped in a
# batch, and when one's episode ends, it begins a new one *at once*: its next row is the first observation of another
# episode. The observation that the old one really ended with is kept apart, in `next_obs`.
#
# ![A row of steps, with a truncation between them: the arrow to the next row is crossed out](figures/ppo_next_values.png)
# %% exercise="compute_next_values" title="What each step led to" difficulty=3 importance=4 minutes=15
# hint: For most steps the answer is one row below in `values`. For which ones isn't it?
# hint: Shift the values up by one row; then overwrite, at a mask of the steps that need it, with what the critic says
#       of next_obs at the same mask; then put zeros where the episode terminated.
# hint: values.roll(-1, dims=0) shifts into a new tensor; next_obs[mask] has shape "k *obs_shape", and
#       critic(next_obs[mask]).squeeze(-1) fits into next_values[mask].
# %% result
# the advantages in an episode of 60 steps with a reward of 1 each, whose last step is a fall.
# gamma is 0.9, and the critic always says 10. While the pole stands that is exactly right: 1 + 0.9 * 10 - 10 = 0.
# The fall is a surprise of 1 - 10 = -9. The larger gae_lambda, the more steps before it are blamed for it, too.
from arena_lib import plots

ones, no = torch.ones(60, 1), torch.zeros(60, 1, dtype=torch.bool)
fell = no.clone()
fell[-1] = True
series = {
    f"gae_lambda {lam}": compute_advantages(10 * ones, ones, 10 * ones, fell, no, 0.9, lam).flatten()
    for lam in (0.0, 0.8, 0.95)
}
plots.lines(series, x_title="step", y_title="advantage", title="Who saw the fall coming?")
# %% [markdown]
# ## 3. Acting, and what is kept
#
# *About 60 minutes of exercises. You write the agent's step, and turn what it has seen into a batch.*
#
# PPO works in **rounds**, each of two phases. In the **rollout phase** the policy is held still and acts: `n_steps`
# steps in each of `n_envs` environments. In the **learning phase** it learns from just those steps, and then they are
# thrown away, since they say how the *old* policy acted. (`total_phases` in the code below counts rounds: one rollout
# phase, and the learning phase after it.)
#
# How is an action drawn from logits? There is a neat way. Add **Gumbel noise**, $-\log(-\log u)$ with $u$ uniform,
# to each logit and take the largest: this is exactly a draw from their softmax. So all noise of a rollout can be drawn
# at once, before it begins; what is left in each step is one addition and one argmax.
#
# Vector environments have three traps. The `Stepper` that you get hides them:
#
# 1. When an episode ends, the next one begins at once, and the observation that comes with the end may already be the
#    next episode's. The stepper's `next_obs` is always what the step really led to.
# 2. In one of gymnasium's modes the step after an end only resets, and the action is ignored. Nothing may be learned
#    from such a **phantom step**: its `is_real` is False.
# 3. Many loops join both kinds of end into one `done`. Here they stay apart.
#
# `stepper.step(actions)` gives a `Transition`, whose fields are just what `Rollout.add` wants:
#
# | field | shape | what it holds |
# |---|---|---|
# | `obs` | `"n_envs *obs_shape"` | the observations *before* the step, which the actions were chosen for |
# | `actions` | `"n_envs *action_shape"` | what was done |
# | `rewards` | `"n_envs"` | what it brought |
# | `next_obs` | `"n_envs *obs_shape"` | what it led to |
# | `terminated`, `truncated` | `"n_envs"` | whether the episode ended with this step, and how |
# | `is_real` | `"n_envs"` | False for a phantom step |
# %% exercise="ppo_agent" title="One step in every environment" difficulty=3 importance=4 minutes=25
# hint: The docstring has four steps, and each is a line or two.
# hint: The stepper speaks numpy and the actor speaks torch: torch.as_tensor(..., dtype=torch.float32) on the way in,
#       .numpy() on the way out.
# hint: actions = (logits + self.noise[self.rollout.n_filled]).argmax(dim=-1); everything that is stored comes from the
#       transition, not from self.stepper.obs, which has moved on.
# %% [markdown]
# During the rollout nobody asks the critic: it's enough to ask once, at the end, about everything. The same goes for
# the log-probabilities of the actions that were taken. Neither network changes in between.
#
# What should the critic have said? Its value plus the advantage: what it said, corrected by how wrong it turned out
# to be. These targets are called **returns**.
#
# What comes out is a `Batch`. It has a row for each step, and six fields, in this order: `obs`, `actions`, `logprobs`
# (of the actions, under the policy that took them), `advantages`, `returns` and `values` (what the critic said).
# `len(batch)` counts the steps, and `batch[idx]` picks some of them: a minibatch, with the same six fields.
# %% exercise="finish_rollout" title="From a rollout to a batch" difficulty=3 importance=4 minutes=20
# hint: Four things are computed with the axes "n_steps n_envs", and flattened only at the end.
# hint: The networks want one axis of observations: rollout.obs.flatten(0, 1) gives it, and
#       .reshape(rollout.rewards.shape) brings values back.
# hint: mask = rollout.is_real.flatten(); each field of the Batch is something.flatten()[mask], or obs[mask] where it is
#       flat already.
# %% [markdown]
# Steps of one episode that follow each other are alike. If a minibatch were a stretch of one episode, its gradient
# would speak for that stretch only. So the batch is shuffled before it is cut.
# %% exercise="get_minibatch_indices" title="Deal the cards" difficulty=2 importance=2 minutes=15
# hint: A permutation of all indices, cut into pieces.
# hint: How many whole minibatches are there? What is left over is dropped.
# hint: rng.permutation(batch_size)[: n * minibatch_size].reshape(n, minibatch_size), as a list of rows.
# %% [markdown]
# ## 4. The objective
#
# *About 60 minutes of exercises. You write the three terms, one optional detail, and a measure of distance.*
#
# ### The clip
#
# To make an action more likely if its advantage was positive, and less likely if it was negative: that is the policy
# gradient of 2.2. But we want to learn from the same steps several times, and after the first update they are no
# longer from our policy. So we weigh by the **ratio** between the probability now and the probability then:
#
# $$\text{ratio} = \frac{\pi_\text{now}(a|s)}{\pi_\text{then}(a|s)} \qquad \text{objective} = \text{mean of } \text{ratio} \cdot A$$
#
# Pushed far, this goes wrong: for a positive advantage it grows with the ratio, without end, on the strength of a few
# steps. PPO's answer is one line. Once the ratio has moved by more than `clip_coef` in the direction that the
# advantage wants, there is nothing more to gain:
#
# $$\text{mean of } \min\big(\text{ratio} \cdot A,\ \text{clip}(\text{ratio}, 1 - \epsilon, 1 + \epsilon) \cdot A\big)$$
#
# with $\epsilon$ = `clip_coef`. (The function's `eps` is something else: a tiny number that keeps a division from being
# one by zero.)
#
# Why the minimum, and not just the clipped term? Because the ratio may have gone the *wrong* way, in another minibatch.
# Then the clipped term has no gradient, and the mistake could never be undone. The minimum keeps the unclipped one.
#
# One detail that the paper leaves out: within each minibatch the advantages are shifted and scaled to mean 0 and
# standard deviation 1, so that the size of an update doesn't depend on the size of the rewards.
# %% exercise="calc_clipped_surrogate_objective" title="Not too far" difficulty=3 importance=5 minutes=25
# hint: The ratio of two probabilities is the exponential of the difference of their logarithms.
# hint: dist.log_prob(mb_actions) is the logarithm now. Clip the ratio, multiply both versions by the normalised
#       advantages, and take the smaller one entry by entry.
# hint: torch.minimum(ratio * advantages, ratio.clamp(1 - clip_coef, 1 + clip_coef) * advantages).mean()
# %% result
# the objective for one action, as its ratio moves.
# It's flat where there is nothing more to gain, and never flat where a mistake must be undone.
# Only the shape counts here. The dotted lines stand at 1 - clip_coef and 1 + clip_coef.
ratios = torch.linspace(0.4, 1.6, 61)


def objective_at(ratio, sign):
    # Two actions with opposite advantages; the second one's ratio stays at 1.
    dist = Categorical(probs=torch.stack([torch.stack([0.5 * ratio, 1 - 0.5 * ratio]), torch.tensor([0.5, 0.5])]))
    old = torch.tensor([0.5, 0.5]).log()
    return calc_clipped_surrogate_objective(dist, torch.tensor([0, 0]), torch.tensor([sign, -sign]), old, 0.2)


series = {
    "positive advantage": [float(objective_at(r, 1.0)) for r in ratios],
    "negative advantage": [float(objective_at(r, -1.0)) for r in ratios],
}
figure = plots.lines(series, x=ratios, x_title="ratio", y_title="objective", title="Where the gradient stops")
for edge in (0.8, 1.2):
    figure.add_vline(edge, line_dash="dot", line_color="grey")
figure
# %% [markdown]
# ### The critic's loss, and the entropy bonus
#
# The critic should come near to the returns: half the mean squared error, weighted by `vf_coef` against the other
# terms.
# %% exercise="calc_value_function_loss" title="Teach the critic" difficulty=1 importance=3 minutes=5
# hint: Three factors: the coefficient, a half, and a mean.
# hint: Each value is compared with the return of its own step.
# hint: vf_coef * 0.5 * (values - mb_returns).pow(2).mean()
# %% [markdown]
# The implementation that came with the paper clips the critic's change, too. Later work found that it doesn't help
# ([Andrychowicz et al. 2021](https://arxiv.org/abs/2006.05990)), so it's off by default here. But you will meet it, and
# it's a good test of whether you understood the clip above: here a *loss* is clipped, so the larger one counts.
# %% exercise="calc_clipped_value_function_loss" title="A critic on a leash" difficulty=2 importance=1 minutes=10
# hint: What may move only by clip_coef is the distance between `values` and `mb_values`.
# hint: Two squared errors for each entry, one of the values and one of the clipped values: the larger one counts.
# hint: clipped = mb_values + (values - mb_values).clamp(-clip_coef, clip_coef), then torch.maximum of both squared
#       errors.
# %% [markdown]
# A policy that has become certain tries nothing new, and learns nothing new. So it gets a small reward for staying
# undecided: its **entropy**, $-\sum_a \pi(a)\log\pi(a)$, which is largest when all actions are equally likely.
# %% exercise="calc_entropy_bonus" title="Stay curious" difficulty=1 importance=3 minutes=10
# hint: The distribution knows its entropy.
# hint: One number for each observation; the mean is over observations.
# hint: ent_coef * dist.entropy().mean()
# %% [markdown]
# How far has the policy really moved? The clip limits each action's ratio, not the whole. The usual measure is the **KL
# divergence** from then to now, $\text{KL}(\pi_\text{then} \,\|\, \pi_\text{now})$: the mean of
# $\log \pi_\text{then} - \log \pi_\text{now}$ over actions that the policy of *then* draws. In this direction we can
# estimate it, since those are the actions that we have. With $\rho = \log \pi_\text{now} - \log \pi_\text{then}$, the
# mean of $-\rho$ is right, but single values of it are often negative, which no divergence ever is. $e^\rho - 1 - \rho$
# has the same mean (since $e^\rho$ has the mean 1), and is never negative ([Schulman
# 2020](http://joschu.net/blog/kl-approx.html)).
# %% exercise="compute_approx_kl" title="How far have we moved?" difficulty=2 importance=2 minutes=10
# hint: Now minus then, in logarithms.
# hint: exp of it, minus 1, minus it; then the mean.
# hint: Nothing learns from this number: @torch.no_grad() before the function, or a `with` inside.
# %% [markdown]
# ## 5. Learning
#
# *About 65 minutes of exercises. You put the parts together, and train.*
#
# All settings are fields of one `PPOConfig`, `self.cfg` in the trainer. These are the ones that the trainer reads:
#
# | setting | default | what it says |
# |---|---|---|
# | `total_timesteps` | 500,000 | environment steps in all |
# | `n_envs` | 4 | environments that are stepped together |
# | `n_steps` | 128 | steps of each environment in a rollout |
# | `n_epochs` | 4 | how often the learning phase goes through the whole batch |
# | `n_minibatches` | 4 | parts that the batch is dealt into, anew in each epoch |
# | `lr` | 0.00025 | the learning rate at the start |
# | `end_lr` | 0.0 | the learning rate at the end |
# | `gamma` | 0.99 | the discount for each step |
# | `gae_lambda` | 0.95 | how far advantages look before they trust the critic |
# | `clip_coef` | 0.2 | how far a ratio may move from 1 before its gradient stops |
# | `ent_coef` | 0.01 | weight of the entropy bonus |
# | `vf_coef` | 0.5 | weight of the critic's loss |
# | `clip_values` | False | whether the critic's loss is the clipped one |
# | `max_grad_norm` | 0.5 | the largest norm of the gradient of all weights; `_ascend` scales longer ones down |
# | `target_kl` | None | if set, the learning phase ends after an epoch in which `measure_kl` exceeds it |
#
# A large learning rate learns fast and never settles. So it falls, in a straight line, to zero at the end of the
# training.
# %% exercise="ppo_scheduler" title="Slower and slower" difficulty=2 importance=2 minutes=15
# hint: The rate follows from how often step() was called, and from nothing else.
# hint: Count first; the share that is done is count / total_phases, but at most 1.
# hint: for group in self.optimizer.param_groups: group["lr"] = initial + share * (end - initial).
# %% [markdown]
# And now the whole. You get the wiring: environments, networks, optimizer, logging, saving. What is left are three
# methods, in which everything you have written comes together: `rollout_phase`, `compute_ppo_objective`,
# `learning_phase`.
# %% exercise="ppo_trainer" title="The whole of PPO" difficulty=5 importance=5 minutes=50
# hint: rollout_phase is four lines: start, play, finish, return. compute_ppo_objective evaluates both networks on the
#       minibatch and calls your terms: surrogate - critic's loss + entropy.
# hint: learning_phase: for each epoch, for each idx of the first n_minibatches of get_minibatch_indices(self.rng,
#       len(batch), len(batch) // n_minibatches): the objective of batch[idx], then self._ascend(objective). After an
#       epoch look at target_kl; after all epochs the scheduler's step.
# hint: Collect what compute_ppo_objective says in lists, and return their means and "epochs". Detach each
#       figure, so that it keeps no graph.
# %% [markdown]
# Does it work? You know from 2.2 how to find out: with **probes**, environments so small that you know what must come
# out. Each needs one thing more than the one before, so the first that fails says where to look.
#
# | probe | what happens | what must be learned | if this one fails first, look at |
# |---|---|---|---|
# | 1 | one step, reward 1 | the value 1 | the critic's loss, its sign, the update |
# | 2 | one step, the reward is the observation | a value that depends on what is seen | `finish_rollout`: mixed-up rows |
# | 3 | two steps, reward 1 at the second | $\gamma$ at first, then 1 | `compute_next_values`, `compute_advantages` |
# | 4 | two actions, reward -1 or 1 | the better action | the surrogate's sign, the log-probabilities |
# | 5 | the action must fit the observation | an action that depends on what is seen | `ppo_agent`: which `obs` is kept |
# %% result
# five passes. (`arena_lib.rl.environments.probes` has three more.)
from unittest import mock

WITHOUT_BARS = {"ARENA_QUIET": "1"}


def passes_probe(number):
    """Train on a probe; is what critic and actor have learned what is known to be right?"""
    sizes = {"total_timesteps": 1600, "n_envs": 8, "n_steps": 8, "n_epochs": 10, "n_minibatches": 1}
    trainer = PPOTrainer(PPOConfig(env_id=f"arena/Probe{number}-v0", lr=1e-2, gamma=0.5, ent_coef=0.0, **sizes))
    with mock.patch.dict(os.environ, WITHOUT_BARS):
        trainer.train()
    probe = trainer.stepper.envs.envs[0].unwrapped
    value_errors = [abs(trainer.critic(torch.tensor([[obs]])).item() - v) for obs, v in probe.values(0.5).items()]
    are_best = [trainer.policy()(np.array([[obs]])).item() == best for obs, best in probe.best_actions().items()]
    return max(value_errors) < 0.1 and all(are_best)


for number in range(1, 6):
    print(f"probe {number}: {'pass' if passes_probe(number) else 'FAIL'}")
# %% result
# your trainer balances a pole: the mean return of the last 20 episodes; 500 is the most there is.
# The settings are those for small problems: short rollouts, many epochs, a larger learning rate.
from arena_lib.rl.training.curves import sample_curve

SMALL = {"n_envs": 8, "n_steps": 32, "n_minibatches": 1, "n_epochs": 20, "lr": 1e-3, "gamma": 0.98, "gae_lambda": 0.8}
SMALL["ent_coef"] = 0.0
N_STEPS = 1024 if SCALE == "tiny" else 60_000


def say_if_tiny():
    """Say that a tiny run isn't what the text is about."""
    if SCALE == "tiny":
        print('Too short to compare or to learn much: the text describes SCALE = "full".')


def returns_over_time(run):
    """The mean return of the last 20 episodes, at 60 points of a run; a gap (NaN) where none had ended yet."""
    points = np.linspace(run.n_steps / 60, run.n_steps, 60)
    return points, sample_curve(run.episodes, points)


trainer = PPOTrainer(PPOConfig(env_id="CartPole-v1", total_timesteps=N_STEPS, **SMALL))
run = trainer.train()
points, curve = returns_over_time(run)
solved_at = run.first_step_over(475)
print(
    f"{run.n_steps} steps in {run.seconds:.0f} s;", f"solved after {solved_at} steps" if solved_at else "not solved yet"
)
say_if_tiny()
plots.lines(
    {"PPO": curve},
    x=points,
    x_title="environment steps",
    y_title="return",
    references={"solved": 475},
    title="CartPole",
)
# %% result
# and this is what it does, in an episode that it has never seen.
from arena_lib.rl.training.video import record

record(trainer.policy(), "CartPole-v1", max_steps=100 if SCALE == "tiny" else 500)
# %% [markdown]
# ### What each setting does
#
# Nobody understands a setting by reading about it. Below, the same training runs again with one thing changed each
# time. A single seed proves nothing, so look for large differences only, and try other seeds and values.
# %%
N_COMPARED = 512 if SCALE == "tiny" else 25_000


def compare(title, variants):
    """Train once for each variant, without bars, and draw the curves."""
    series = {}
    with mock.patch.dict(os.environ, WITHOUT_BARS):
        for name, changed in variants.items():
            cfg = PPOConfig(env_id="CartPole-v1", total_timesteps=N_COMPARED, **{**SMALL, **changed})
            points, series[name] = returns_over_time(PPOTrainer(cfg).train())
    say_if_tiny()
    return plots.lines(series, x=points, x_title="environment steps", y_title="return", title=title)


# %% result
# without the clip the same steps teach less: the policy runs ahead of them.
# A clip ten times narrower is no worse here; try it with fewer epochs.
compare("The clip", {"clip_coef 0.2": {}, "no clip": {"clip_coef": 1e6}, "clip_coef 0.02": {"clip_coef": 0.02}})
# %% result
# with gae_lambda 0 the agent believes a critic that knows nothing yet, and learns least.
# 1 does no harm here, since this task's rewards hardly vary; in a noisy game they would.
compare("How far advantages look ahead", {f"gae_lambda {v}": {"gae_lambda": v} for v in (0.0, 0.8, 1.0)})
# %% result
# one epoch wastes the steps; with many, each rollout is used up.
compare("Epochs", {f"n_epochs {n}": {"n_epochs": n} for n in (1, 5, 20)})
# %% result
# a bonus that is too large holds the agent back: it is paid for being undecided.
compare("The entropy bonus", {f"ent_coef {v}": {"ent_coef": v} for v in (0.0, 0.01, 1.0)})
# %% result
# a rate ten times too small learns next to nothing in this time. What does one ten times too large do?
compare("The learning rate", {f"lr {v}": {"lr": v} for v in (1e-4, 1e-3, 1e-2)})
# %% result
# gamma says how far ahead the agent looks: with 0.5 hardly two steps. Is that enough to see a pole fall?
compare("The discount", {f"gamma {v}": {"gamma": v} for v in (0.5, 0.98, 1.0)})
# %% [markdown]
# One more tool, for when yours doesn't learn: the metrics of a run (`run.metrics`) say where to look. An
# `explained_variance` near 0 is a critic that knows nothing, a `kl` above 0.05 a policy that moves too fast.
#
# ## 6. You get what you pay for
#
# *About 60 minutes of exercises. You change a reward, and watch the agent take you at your word.*
#
# CartPole pays 1 for each step, wherever the cart is. So the trained agent may drift slowly to the edge: nobody told it
# that the middle is nicer. To say so is **reward shaping**: a reward that is larger the better things are.
# %% exercise="easy_cart" title="Pay for the middle" difficulty=2 importance=3 minutes=15
# hint: super().step(action) does the whole step; only one of its five results is replaced.
# hint: Position and angle are obs[0] and obs[2]; each is divided by its limit, and counts half.
# hint: max(0.0, 1.0 - (abs(position) / self.x_threshold) / 2 - (abs(angle) / self.theta_threshold_radians) / 2)
# %% [markdown]
# Rewards aren't only for what is sensible. What would an agent do that is paid for *spinning* the pole?
# %% exercise="spin_cart" title="Pay for spinning" difficulty=3 importance=3 minutes=20
# hint: Both the reward and the end are replaced; the pole may fall as far as it likes.
# hint: The angular velocity is obs[3], and the episode terminates where |obs[0]| is beyond self.x_threshold.
# hint: Set self.steps_beyond_terminated = None after super().step(action), or CartPole complains in the next step.
# %% result
# the agent that is paid for the middle: it stays there, and the pole hardly moves.
import functools

import gymnasium as gym

N_SHAPED = 512 if SCALE == "tiny" else 50_000


def train_paid_by(env_class):
    """Train in a cart of this class, with CartPole's limit of 500 steps; the trainer, and its run."""

    def make():
        return gym.wrappers.TimeLimit(env_class(), 500)

    envs = functools.partial(
        gym.vector.SyncVectorEnv, [make] * SMALL["n_envs"], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    trainer = PPOTrainer(PPOConfig(total_timesteps=N_SHAPED, **SMALL), envs)
    run = trainer.train()
    say_if_tiny()
    return trainer, run


def watch(trainer, env_class):
    """A video of what the trained agent does in a cart of this class."""
    return record(trainer.policy(), lambda: gym.wrappers.TimeLimit(env_class(render_mode="rgb_array"), 500))


steady, _ = train_paid_by(EasyCart)
watch(steady, EasyCart)
# %% result
# the agent that is paid for spinning: the pole goes round and round, always the same way.
spinner, _ = train_paid_by(SpinCart)
watch(spinner, SpinCart)
# %% [markdown]
# ### A failure to watch
#
# Now something that sounds harmless. We want the pole upright, so let us pay for **progress**: whenever a step brings
# the pole nearer to upright, the agent gets as much as it came nearer. What goes in the other direction costs nothing:
#
# $$r = 50 \cdot \max\big(0,\ |\text{angle before}| - |\text{angle after}|\big)$$
#
# (The 50 only brings rewards to a usual size.) Episodes end as in CartPole. That is `ProgressCart`. Before you run the
# next cell, write down what you think this agent will do.
# %% result
# the agent that is paid for progress. Compare with what you wrote down.
from arena_lib.rl.environments.shaping import ProgressCart

rocker, rocker_run = train_paid_by(ProgressCart)
watch(rocker, ProgressCart)
# %% result
# what it earned while it trained.
points, curve = returns_over_time(rocker_run)
plots.lines({"return": curve}, x=points, x_title="environment steps", y_title="return", title="Paid for progress")
# %% result
# how much the pole moves under two of the agents: the mean angular speed in one episode, in radians a second.
# An episode of fewer than 500 steps ended with a fall, or beside the track.


def mean_speed(policy, env_class):
    """The mean |angular velocity| in one episode, and its length."""
    env, speeds = env_class(), []
    obs, _ = env.reset(seed=7)
    for _ in range(500):
        obs, _, terminated, _, _ = env.step(int(policy(obs[None])[0]))
        speeds.append(abs(float(obs[3])))
        if terminated:
            break
    return np.mean(speeds), len(speeds)


say_if_tiny()
for name, agent, cart in [("paid for the middle", steady, EasyCart), ("paid for progress", rocker, ProgressCart)]:
    speed, length = mean_speed(agent.policy(), cart)
    print(f"{name:22} {speed:.2f} rad/s over {length} steps")
# %% [markdown]
# A pole that stands still makes no progress, and earns nothing. So the agent rocks it, out and back again, and is paid
# for each way back. The cart goes along, and mostly it runs off the track before the 500 steps are over.
#
# There was no bug: what was paid for was optimised. This is **reward hacking** (or specification gaming), and it's
# worth remembering in chapters 3 and 4, where what is rewarded is a human's approval.
#
# ### Paying both ways
#
# For this case a cure is known: pay for progress *and* charge for the way back, in full. Say how good it is to be in a
# state by one number, the state's **potential** $\Phi(s)$, and pay each step for what it gained:
#
# $$r' = r + \gamma\,\Phi(s_{\text{after}}) - \Phi(s_{\text{before}})$$
#
# Add up these payments over an episode, each discounted as usual, and almost everything cancels: what one step pays
# for a state, the next one charges. Only the beginning and the end are left, and at a real end the potential is 0. So
# whatever the agent does, shaping adds the same to its return: $-\Phi(s_0)$. Rocking back and forth earns nothing
# any more, and the best policy stays the best, for *every* potential that you can think of ([Ng et al.
# 1999](https://people.eecs.berkeley.edu/~russell/papers/icml99-shaping.pdf)). What changes is how soon a step's reward says
# whether it was a good one.
#
# In gymnasium such a change is a **wrapper**: an environment around another one, which hands everything on and changes
# what it wants to.
# %% exercise="potential_shaping" title="Pay both ways" difficulty=3 importance=4 minutes=25
# hint: A step needs two potentials. The one before it is known already: it's the one after the step before.
# hint: reset keeps the potential of the first observation in an attribute, and each step keeps its own for the next.
# hint: potential = 0.0 if terminated else self.potential(obs), whatever truncated says.
# %% result
# the same progress, paid both ways: the pole is held still again. Compare the last two lines with those above.
from gymnasium.envs.classic_control.cartpole import CartPoleEnv


def both_ways(**kwargs):
    """CartPole with what ProgressCart pays for, and charged for the way out."""
    return PotentialShaping(CartPoleEnv(**kwargs), lambda obs: -50.0 * abs(float(obs[2])), gamma=SMALL["gamma"])


balancer, _ = train_paid_by(both_ways)
watch(balancer, both_ways)
# %% result
# how much the pole moves when progress is paid one way, and both ways.
say_if_tiny()
for name, agent, cart in [("one way", rocker, ProgressCart), ("both ways", balancer, both_ways)]:
    speed, length = mean_speed(agent.policy(), cart)
    print(f"{name:22} {speed:.2f} rad/s over {length} steps")
# %% [markdown]
# So is shaping by a potential safe? It can't change what is best, but it isn't free. A potential that points the wrong
# way is paid back only at the end of an episode, and until then it misleads an agent that looks only a few steps ahead.
#
# ## 7. Pictures
#
# *About 40 minutes of exercises. You exchange the networks, and nothing else.*
#
# MinAtar ([Young and Tian 2019](https://arxiv.org/abs/1903.03176)) is a set of five Atari games made small: 10 x 10
# pixels, with a plane of its own for each kind of thing (paddle, ball, trail, bricks). Pictures call for convolutions.
# Nothing else about PPO changes.
# %% exercise="get_actor_and_critic_minatar" title="Eyes" difficulty=2 importance=3 minutes=20
# hint: One convolution, then flatten, then two linear layers. What is the size after the convolution?
# hint: A kernel of 3 x 3 without padding makes each side 2 smaller; 16 kernels give 16 planes of that size.
# hint: nn.Linear(16 * (height - 2) * (width - 2), 128) after nn.Flatten().
# %% result
# Breakout from pictures: a random agent gets about 0.5 points in an episode.
N_BREAKOUT = 1024 if SCALE == "tiny" else 150_000


class PicturePPO(PPOTrainer):
    """Your trainer with your networks for pictures."""

    def _make_networks(self, envs):
        return get_actor_and_critic_minatar(envs.single_observation_space.shape, int(envs.single_action_space.n))


breakout_cfg = PPOConfig(
    env_id="MinAtar/Breakout-v1", total_timesteps=N_BREAKOUT, n_envs=8, n_steps=128, n_minibatches=8, lr=1e-3
)
breakout = PicturePPO(breakout_cfg)
breakout_run = breakout.train()
points, curve = returns_over_time(breakout_run)
print(f"{breakout_run.n_steps} steps in {breakout_run.seconds:.0f} s; the last episodes bring {curve[-1]:.1f} points")
say_if_tiny()
plots.lines(
    {"PPO": curve},
    x=points,
    x_title="environment steps",
    y_title="points",
    references={"random": 0.5},
    title="Breakout",
)
# %% result
# your agent plays Breakout. Dark blue is the paddle, orange the ball, light blue the ball's trail (where it was one
# step before), red are the bricks.
record(breakout.policy(), "MinAtar/Breakout-v1", max_steps=100 if SCALE == "tiny" else 400)
# %% [markdown]
# Real Atari games have 210 x 160 pixels in colour, and one frame doesn't say where the ball is flying. The usual
# wrappers make four grey frames of 84 x 84 of them. The network is that of [Mnih et al.
# 2015](https://www.nature.com/articles/nature14236), with one difference to yours: actor and critic share everything
# but their last layer. [Schulman et al. 2017](https://arxiv.org/abs/1707.06347) trained for ten million steps, which is
# too many for two cores. So here you only write it.
# %% exercise="get_actor_and_critic_atari" title="Larger eyes, shared" difficulty=2 importance=2 minutes=20
# hint: Build the trunk once, and put the very same object into both networks.
# hint: Follow the sides of the picture through the three convolutions: (n - kernel) // stride + 1 each time.
# hint: For 84 x 84 the sides are 20, 9 and 7, so the linear layer reads 64 * 7 * 7 numbers. Compute it from obs_shape,
#       or run the convolutions once on zeros.
# %% [markdown]
# ## 8. Continuous actions
#
# *About 70 minutes of exercises. You exchange the distribution, and learn which details robots need.*
#
# A robot's joint isn't a button: it takes a number, how hard to push. So the policy becomes a **normal distribution**.
# The network gives its mean; its standard deviation is learned, too, but is the same for all observations. We keep its
# logarithm, which may be any number, so that the deviation itself is always positive.
# %% exercise="actor" title="A policy with a spread" difficulty=2 importance=4 minutes=15
# hint: __init__ makes the same network as in part 1, and one parameter.
# hint: sigma = exp(log_std), repeated for each observation.
# hint: self.log_std.exp().expand_as(mu), then return mu, sigma, Normal(mu, sigma).
# %% exercise="critic" title="The same critic" difficulty=1 importance=2 minutes=5
# hint: get_actor_and_critic_classic gives a pair, of which you need the second.
# hint: The number of actions doesn't matter to the critic.
# hint: _, self.value = get_actor_and_critic_classic(d_obs, 1), and forward returns self.value(obs).
# %% [markdown]
# An action has several entries now, drawn independently. Densities of independent things multiply, so their logarithms
# **add**. `Normal` gives a logarithm for each entry, and it's our job to sum them: forget it, and everything runs and
# nothing learns well.
# %% exercise="calc_clipped_surrogate_objective_cts" title="One probability for a whole action" difficulty=2 importance=3 minutes=10
# hint: Everything is as before but the log-probability.
# hint: dist.log_prob(mb_actions) has an axis for the entries of an action.
# hint: .sum(dim=-1) over it. Independent(dist, 1) of torch does the same, and can be passed to your function of part 4.
# %% exercise="calc_entropy_bonus_cts" title="One entropy for a whole action" difficulty=1 importance=2 minutes=5
# hint: Entropies of independent things add.
# hint: Sum over the entries, mean over the observations.
# hint: ent_coef * dist.entropy().sum(dim=-1).mean()
# %% [markdown]
# A normal distribution has no bounds, but a motor does. The environment gets the action *clipped* to its bounds. What
# is stored must be the one that was drawn: that is the one whose probability we know.
# %% exercise="ppo_agent_cts" title="Clip what you send, keep what you drew" difficulty=3 importance=3 minutes=15
# hint: Two lines of PPOAgent.play_step change.
# hint: The drawn action is mu + sigma * noise; two versions of it are needed, one for the stepper and one for the
#       rollout.
# hint: self.stepper.step(np.clip(actions, self.low, self.high)), but self.rollout.add(actions=actions, ...).
# %% [markdown]
# Last, sizes. One number of an observation may be an angle around 0.1 and the next a velocity around 10. Networks want
# all of them to be of size 1, but we don't know the sizes beforehand. So we keep a running mean and variance of
# everything seen, and normalise by them.
#
# The stepper of the trainer below does this: observations less their mean, divided by their standard deviation. Rewards
# are only divided, and never shifted, so that their sign stays: by the standard deviation of a running sum, which at
# each step is multiplied by gamma before the reward is added, and begins anew with each episode. Both are cut off at
# -10 and 10. These statistics are part of the policy: without those of the observations its weights are worthless, so
# they are saved with it. `Moments` has three fields: `mean`, `variance` and `count`.
# %% exercise="update_moments" title="Mean and variance of all that was seen" difficulty=3 importance=2 minutes=20
# hint: Two groups: n rows before, with a known mean and variance, and m new ones.
# hint: The docstring has both formulas; batch.mean(axis=0) and batch.var(axis=0) are those of the new rows.
# hint: Return Moments(mean, variance, n + m) with new arrays; nothing is changed in place.
# %% result
# mean and spread of two quantities, once from your function, which sees 20 rows at a time, and once from all rows.
rows = np.random.default_rng(0).normal([0.1, 10.0], [0.05, 4.0], size=(2_000, 2))
moments = Moments(np.zeros(2), np.ones(2), 0.0)
for portion in np.split(rows, 100):
    moments = update_moments(moments, portion)
print("in portions:", moments.mean.round(3), np.sqrt(moments.variance).round(3))
print("all at once:", rows.mean(axis=0).round(3), rows.std(axis=0).round(3))
# %% result
# a robot: a pole on a cart again, but pushed with any force, and simulated by MuJoCo.
# Where MuJoCo isn't installed it's a pendulum, which must be swung up and held there.
from importlib.util import find_spec

from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts

missing = [package for package in ("mujoco", "imageio") if find_spec(package) is None]
if missing:
    print(
        f"Not installed: {', '.join(missing)}. So this is the pendulum; pip install 'arena-lib[rl]' brings the robot."
    )
ROBOT, RANDOM, GOOD = ("Pendulum-v1", -1200, -200) if missing else ("InvertedPendulum-v5", 6, 950)
SETTINGS = {"n_envs": 1, "n_steps": 512, "n_minibatches": 8}
if ROBOT == "Pendulum-v1":
    SETTINGS = {"n_envs": 4, "n_steps": 256, "n_minibatches": 16, "lr": 1e-3, "gamma": 0.9}
N_ROBOT = 1024 if SCALE == "tiny" else 60_000


class RobotPPO(PPOTrainerCts):
    """The library's trainer for continuous actions, with your networks, your agent and your objective."""

    def _make_networks(self, envs):
        (d_obs,), (n_actions,) = envs.single_observation_space.shape, envs.single_action_space.shape
        return Actor(d_obs, n_actions), Critic(d_obs)

    def _make_agent(self, envs):
        obs_shape, action_shape = envs.single_observation_space.shape, envs.single_action_space.shape
        rollout = Rollout(self.cfg.n_steps, envs.num_envs, obs_shape, action_shape, action_dtype=np.float32)
        return PPOAgentCts(self.actor, self.stepper, rollout, self.generator)

    def compute_ppo_objective(self, minibatch):
        dist, values = self.get_dist(minibatch.obs), self.critic(minibatch.obs).squeeze(-1)
        surrogate = calc_clipped_surrogate_objective_cts(
            dist, minibatch.actions, minibatch.advantages, minibatch.logprobs, self.cfg.clip_coef
        )
        value_loss = calc_value_function_loss(values, minibatch.returns, self.cfg.vf_coef)
        entropy = calc_entropy_bonus_cts(dist, self.cfg.ent_coef)
        figures = {"surrogate": surrogate.detach(), "value_loss": value_loss.detach(), "entropy": entropy.detach()}
        return surrogate - value_loss + entropy, figures


robot = RobotPPO(PPOContinuousConfig(env_id=ROBOT, total_timesteps=N_ROBOT, **SETTINGS))
robot_run = robot.train()
say_if_tiny()
points, curve = returns_over_time(robot_run)
plots.lines(
    {"PPO": curve},
    x=points,
    x_title="environment steps",
    y_title="return",
    references={"good": GOOD, "random": RANDOM},
    title=ROBOT,
)
# %% result
# and this is what it does. (With this seed the pendulum hangs down at first.)
# It observes normalised numbers here, too: the policy has kept the moments.
record(robot.policy(), ROBOT, seed=10, max_steps=20 if SCALE == "tiny" else 300)
# %% [markdown]
# The same code learns to run as a HalfCheetah and to hop as a Hopper, given a million steps each:
# `arena rl train ppo-continuous --env HalfCheetah-v5`.
#
# Agents ship with the library too, trained like yours, and one of them is a Hopper that has had its million steps.
# `zoo.load_policy` gives it to you, with its `actor` and its `critic`, and you can look into them as you looked into a
# Q-network in part 6 of section 2.2. `zoo.plot_curve("ppo-hopper")` shows how it learned.
# %% result
# the Hopper; without MuJoCo it's the pole on its cart.
from arena_lib import zoo

shipped = zoo.load_policy("ppo-cartpole" if missing else "ppo-hopper")
record(shipped, shipped.env_id, max_steps=10 if SCALE == "tiny" else 400)
# %% [markdown]
# ## What you have learned
#
# - An advantage says how much better an action was than expected; estimate it backwards, and keep termination and
#   truncation apart.
# - The policy may only move as far as the steps it learns from can be trusted: that is the clip.
# - Most of PPO is in the details, and each of them is a line.
# - An agent optimises what is paid, not what is meant.
#
# ## What comes next
#
# The same objective, with a language model as the policy and a person's preference as the reward, is how chat models
# are trained; there the KL divergence of part 4 keeps the model near the one it began as. That is section 2.4.
#
# ## On your own
#
# - **Potential-based shaping.** Repair `ProgressCart` so that the way out costs what the way back pays. Show that the
#   trained agent no longer rocks, over five seeds, and prove in three lines why it can't pay.
# - **Replicate a paper.** Engstrom et al. 2020 ([arXiv:2005.12729](https://arxiv.org/abs/2005.12729)) switch details of
#   PPO on and off. Take one that you wrote (orthogonal weights, normalised advantages, annealing, the clipped
#   gradient), leave it out, and compare ten seeds with and without, with intervals (`arena_lib.rl.training.curves`).
#   Write down your guess first.
# - **Another game.** Train Asterix or Space Invaders of MinAtar. Which setting of part 5 has to change, and can you say
#   why before you try?
#
# ## Reading
#
# - [Schulman et al. 2017](https://arxiv.org/abs/1707.06347): the paper, eight pages.
# - [Huang et al. 2022, The 37 implementation details of
#   PPO](https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/): each with its line of code.
# - [Engstrom et al. 2020](https://arxiv.org/abs/2005.12729): how much of PPO's success is in its details.
# - [Pardo et al. 2018](https://arxiv.org/abs/1712.00378): time limits, and why they aren't ends.
# - [Krakovna et al. 2020](https://deepmind.google/discover/blog/specification-gaming-the-flip-side-of-ai-ingenuity/): a
#   list of agents that got what they were asked for.
