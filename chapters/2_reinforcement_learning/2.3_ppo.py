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
# | 6. You get what you pay for | 35 |
# | 7. Pictures | 40 |
# | 8. Continuous actions | 70 |
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
# Only the actor acts. The critic is there so that we can say whether an action was *better than expected*, which
# is a much quieter signal than whether the reward was large.
#
# Their weights begin **orthogonal**: such a matrix turns vectors without squeezing any direction, so signals pass
# through the layers neither growing nor shrinking (times a factor, the **gain**, which makes up for what tanh
# takes away). One gain is special. The actor's last layer begins a hundred times smaller than the others. So all
# logits begin near 0, all actions begin about equally likely, and everything gets tried before the agent has an
# opinion. [Andrychowicz et al. 2021](https://arxiv.org/abs/2006.05990) tried out hundreds of choices of this kind, and
# this one mattered most.
# %% exercise="get_actor_and_critic_classic" title="Two small networks" difficulty=2 importance=3 minutes=20
# hint: The two networks differ in two things only: how many outputs they have, and the last gain.
# hint: nn.Sequential of five layers; init_layer returns the layer it was given, so it can stand inside the Sequential.
# hint: A small function make(n_outputs, gain) inside yours builds either of them: init_layer(nn.Linear(d_obs, 64)), nn.Tanh(), ... and last init_layer(nn.Linear(64, n_outputs), gain).
# %% result
# what your actor thinks of ten random observations, before it has learned anything.
# All actions are about equally likely: with the usual gain they would not be.
import torch

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
# The reward, plus what the critic thinks of where we ended up, less what it thought before. $\gamma$, a little below
# 1, makes later rewards count less. This **one-step error** is quiet, but it believes the critic, which is wrong at
# first. The other extreme adds up all rewards to the end of the episode and believes nobody; but then everything
# that happened later, good or bad, is put down to this one action.
#
# **Generalised advantage estimation** ([Schulman et al. 2016](https://arxiv.org/abs/1506.02438)) takes the middle.
# The later errors count too, each a little less than the one before it:
#
# $$A_t = \delta_t + \gamma\lambda\,\delta_{t+1} + (\gamma\lambda)^2\,\delta_{t+2} + \dots = \delta_t + \gamma\lambda A_{t+1}$$
#
# With $\lambda = 0$ only the first error is left, with $\lambda = 1$ the critic's opinions in between cancel. The form on
# the right says how to compute it: from the last step backwards.
#
# ### Two kinds of end
#
# An episode can end in two ways, and they mean opposite things.
#
# - It **terminated**: the pole fell, the game is over. Nothing comes after it. The future is worth 0.
# - It was **truncated**: we stopped watching, often after 500 steps. The pole still stands! The future is worth what the
#   critic says about the state that was reached.
#
# To take one for the other is the most common silent bug in this field: an agent whose truncated episodes count
# as failures is told, every 500 steps, that balancing well is as bad as dropping the pole. In both cases the sum
# ends there, since the next step belongs to another episode.
# %% exercise="compute_advantages" title="Better than expected?" difficulty=4 importance=5 minutes=30
# hint: Compute all deltas at once; which factor makes the future of a terminated step vanish, but not that of a truncated one?
# hint: Then go backwards over the steps and keep one vector, the advantage of the step after: it begins at zero, and is multiplied by 0 wherever the episode ended at this step, in either way.
# hint: following = delta[t] + gamma * gae_lambda * is_open[t] * following, with is_open = 1 - (terminated | truncated).float(), for t in reversed(range(len(rewards))).
# %% [markdown]
# `next_values` came as an argument. Where does it come from? Usually there is nothing to do: what follows step `t` is
# step `t + 1` of the same environment, whose value we have. But not always. Environments here are stepped in a
# batch, and when one's episode ends, it begins a new one *at once*: its next row is the first observation of another
# episode. The observation that the old one really ended with is kept apart, in `next_obs`.
#
# ![A row of steps, with a truncation between them: the arrow to the next row is crossed out](figures/ppo_next_values.png)
# %% exercise="compute_next_values" title="What each step led to" difficulty=3 importance=4 minutes=15
# hint: For most steps the answer is one row below in `values`. For which ones isn't it?
# hint: Shift the values up by one row; then overwrite, at a mask of the steps that need it, with what the critic says of next_obs at the same mask; then put zeros where the episode terminated.
# hint: values.roll(-1, dims=0) shifts into a new tensor; next_obs[mask] has shape "k *obs_shape", and critic(next_obs[mask]).squeeze(-1) fits into next_values[mask].
# %% result
# advantages of one episode of 60 steps with a reward of 1 each, by a critic that always says 10.
# With gae_lambda 0 only the last step looks bad; the larger it is, the earlier the fall is seen coming.
import torch

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
# PPO works in two phases, in turns. In the **rollout phase** the policy is held still and acts: `n_steps` steps in
# each of `n_envs` environments. In the **learning phase** it learns from just those steps, and then they are thrown
# away, since they say how the *old* policy acted.
#
# How is an action drawn from logits? There is a neat way. Add **Gumbel noise**, $-\log(-\log u)$ with $u$ uniform,
# to each logit and take the largest: this is exactly a draw from their softmax. So all noise of a rollout can be drawn
# at once, before it begins; what is left in each step is one addition and one argmax. That is one of the reasons why
# the trainer you write here is several times faster than most.
#
# The `Stepper` that you get hides three traps of vector environments. It gives a `Transition` with the fields that
# `Rollout.add` wants. `next_obs` is always what the step really led to. And `is_real` is False for a **phantom step**: in
# one of gymnasium's modes the step after an end only resets, and the action is ignored.
# %% exercise="ppo_agent" title="One step in every environment" difficulty=3 importance=4 minutes=25
# hint: The docstring has four steps, and each is a line or two.
# hint: The stepper speaks numpy and the actor speaks torch: torch.as_tensor(..., dtype=torch.float32) on the way in, .numpy() on the way out.
# hint: actions = (logits + self.noise[self.rollout.n_filled]).argmax(dim=-1); everything that is stored comes from the transition, not from self.stepper.obs, which has moved on.
# %% [markdown]
# During the rollout nobody asks the critic: it's enough to ask once, at the end, about everything. The same goes for the
# log-probabilities of the actions that were taken. Neither network changes in between.
#
# What should the critic have said? Its value plus the advantage: what it said, corrected by how wrong it turned out
# to be. These targets are called **returns**.
# %% exercise="finish_rollout" title="From a rollout to a batch" difficulty=3 importance=4 minutes=20
# hint: Four things are computed with the axes "n_steps n_envs", and flattened only at the end.
# hint: The networks want one axis of observations: rollout.obs.flatten(0, 1) gives it, and .reshape(rollout.rewards.shape) brings values back.
# hint: mask = rollout.is_real.flatten(); each field of the Batch is something.flatten()[mask], or obs[mask] where it is flat already.
# %% [markdown]
# Steps of one episode that follow each other are alike. If a minibatch were a stretch of one episode, its gradient would
# speak for that stretch only. So the batch is shuffled before it is cut.
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
# $$\text{ratio} = \frac{\pi_{now}(a|s)}{\pi_{then}(a|s)} \qquad \text{objective} = \text{mean of } \text{ratio} \cdot A$$
#
# Pushed far, this goes wrong: for a positive advantage it grows with the ratio, without end, on the strength of a few
# steps. PPO's answer is one line. Once the ratio has moved by more than `clip_coef` in the direction that the
# advantage wants, there is nothing more to gain:
#
# $$\text{mean of } \min\big(\text{ratio} \cdot A,\ \text{clip}(\text{ratio}, 1 - \epsilon, 1 + \epsilon) \cdot A\big)$$
#
# Why the minimum, and not just the clipped term? Because the ratio may have gone the *wrong* way, in another minibatch.
# Then the clipped term has no gradient, and the mistake could never be undone. The minimum keeps the unclipped one.
#
# One detail that the paper leaves out: within each minibatch the advantages are shifted and scaled to mean 0 and
# standard deviation 1, so that the size of an update doesn't depend on the size of the rewards.
# %% exercise="calc_clipped_surrogate_objective" title="Not too far" difficulty=3 importance=5 minutes=25
# hint: The ratio of two probabilities is the exponential of the difference of their logarithms.
# hint: dist.log_prob(mb_actions) is the logarithm now. Clip the ratio, multiply both versions by the normalised advantages, and take the smaller one entry by entry.
# hint: torch.minimum(ratio * advantages, ratio.clamp(1 - clip_coef, 1 + clip_coef) * advantages).mean()
# %% result
# the objective for one action, as its ratio moves.
# It's flat where there is nothing more to gain, and never flat where a mistake must be undone.
import torch
from torch.distributions import Categorical

from arena_lib import plots

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
plots.lines(series, x=ratios, x_title="ratio", y_title="objective", title="Where the gradient stops")
# %% [markdown]
# ### The critic's loss, and the entropy bonus
#
# The critic should come near to the returns: half the mean squared error, weighted by `vf_coef` against the other terms.
# %% exercise="calc_value_function_loss" title="Teach the critic" difficulty=1 importance=3 minutes=5
# hint: Three factors: the coefficient, a half, and a mean.
# hint: Each value is compared with the return of its own step.
# hint: vf_coef * 0.5 * (values - mb_returns).pow(2).mean()
# %% [markdown]
# The implementation that came with the paper clips the critic's change, too. Later work found that it doesn't help
# ([Andrychowicz et al. 2021](https://arxiv.org/abs/2006.05990)), so it's off by default here. But you will meet it, and it's
# a good test of whether you understood the clip above: here a *loss* is clipped, so the larger one counts.
# %% exercise="calc_clipped_value_function_loss" title="A critic on a leash" difficulty=2 importance=1 minutes=10
# hint: What may move only by clip_coef is the distance between `values` and `mb_values`.
# hint: Two squared errors for each entry, one of the values and one of the clipped values: the larger one counts.
# hint: clipped = mb_values + (values - mb_values).clamp(-clip_coef, clip_coef), then torch.maximum of both squared errors.
# %% [markdown]
# A policy that has become certain tries nothing new, and learns nothing new. So it gets a small reward for staying
# undecided: its **entropy**, $-\sum_a \pi(a)\log\pi(a)$, which is largest when all actions are equally likely.
# %% exercise="calc_entropy_bonus" title="Stay curious" difficulty=1 importance=3 minutes=10
# hint: The distribution knows its entropy.
# hint: One number for each observation; the mean is over observations.
# hint: ent_coef * dist.entropy().mean()
# %% [markdown]
# How far has the policy really moved? The clip limits each action's ratio, not the whole. The **KL divergence** between
# then and now is the usual measure. We can't sum over all observations, so we estimate it from the steps we have. With
# $\rho$ the logarithm of the ratio, $-\rho$ has the right mean, but is often negative, which no divergence ever is.
# $e^\rho - 1 - \rho$ has the same mean (since $e^\rho$ has the mean 1), and is never negative
# ([Schulman 2020](http://joschu.net/blog/kl-approx.html)).
# %% exercise="compute_approx_kl" title="How far have we moved?" difficulty=2 importance=2 minutes=10
# hint: Now minus then, in logarithms.
# hint: exp of it, minus 1, minus it; then the mean.
# hint: Nothing learns from this number: @torch.no_grad() before the function, or a `with` inside.
# %% [markdown]
# ## 5. Learning
#
# *About 65 minutes of exercises. You put the parts together, and train.*
#
# A large learning rate learns fast and never settles. So it falls, in a straight line, to zero at the end of the
# training.
# %% exercise="ppo_scheduler" title="Slower and slower" difficulty=2 importance=2 minutes=15
# hint: The rate follows from how often step() was called, and from nothing else.
# hint: Count first; the share that is done is count / total_phases, but at most 1.
# hint: for group in self.optimizer.param_groups: group["lr"] = initial + share * (end - initial).
# %% [markdown]
# And now the whole. You get the wiring: environments, networks, optimizer, logging, saving. What is left are three methods, in
# which everything you have written comes together: `rollout_phase`, `compute_ppo_objective`, `learning_phase`.
# %% exercise="ppo_trainer" title="The whole of PPO" difficulty=5 importance=5 minutes=50
# hint: rollout_phase is four lines: start, play, finish, return. compute_ppo_objective evaluates both networks on the minibatch and calls your terms: surrogate - critic's loss + entropy.
# hint: learning_phase: for each epoch, for each idx of get_minibatch_indices(self.rng, len(batch), len(batch) // n_minibatches): the objective of batch[idx], then self._ascend(objective). After an epoch look at target_kl; after all epochs the scheduler's step.
# hint: Collect what compute_ppo_objective says in lists, and return their means and "epochs". `figures` holds "surrogate", "value_loss" and "entropy", each detached.
# %% result
# your trainer balances a pole: the return of the last 20 episodes; 500 is the most there is.
# The settings are those for small problems: short rollouts, many epochs, a larger learning rate.
import numpy as np

from arena_lib import plots
from arena_lib.rl.ppo.discrete import PPOConfig
from arena_lib.rl.training.curves import sample_curve

SMALL = {"n_envs": 8, "n_steps": 32, "n_minibatches": 1, "n_epochs": 20, "lr": 1e-3, "gamma": 0.98, "gae_lambda": 0.8}
SMALL["ent_coef"] = 0.0
N_STEPS = 1024 if SCALE == "tiny" else 60_000


def returns_over_time(run):
    """The mean return of the last 20 episodes, at 60 points of a run."""
    points = np.linspace(run.n_steps / 60, run.n_steps, 60)
    return points, np.nan_to_num(sample_curve(run.episodes, points))


trainer = PPOTrainer(PPOConfig(env_id="CartPole-v1", total_timesteps=N_STEPS, **SMALL))
run = trainer.train()
points, curve = returns_over_time(run)
print(f"{run.n_steps} steps in {run.seconds:.0f} s; solved after {run.first_step_over(475)} steps")
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
# Nobody understands a setting by reading about it. Below, the same training runs again with one thing changed each time.
# A single seed proves nothing, so look for large differences only, and try other seeds and values.
# %%
import os


def compare(title, variants, n_steps=None):
    """Train once for each variant, without bars, and draw the curves."""
    n_steps = n_steps or (1024 if SCALE == "tiny" else 25_000)
    before, os.environ["ARENA_QUIET"] = os.environ.get("ARENA_QUIET", ""), "1"
    series = {}
    for name, changed in variants.items():
        cfg = PPOConfig(env_id="CartPole-v1", total_timesteps=n_steps, **{**SMALL, **changed})
        points, series[name] = returns_over_time(PPOTrainer(cfg).train())
    os.environ["ARENA_QUIET"] = before
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
compare("Epochs", {f"{n} epochs": {"n_epochs": n} for n in (1, 5, 20)})
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
# Two more tools, for when yours doesn't learn. **Probes** are environments so small that the answer is known:
# `arena/Probe1-v0` to `arena/Probe8-v0` ask for one ability each (`arena_lib.rl.environments.probes` lists them). And the
# metrics of a run (`run.metrics`) say where to look: an `explained_variance` near 0 is a critic that knows nothing, a `kl` above
# 0.05 a policy that moves too fast.
#
# ## 6. You get what you pay for
#
# *About 35 minutes of exercises. You change a reward, and watch the agent take you at your word.*
#
# CartPole pays 1 for each step, wherever the cart is. So the trained agent may drift slowly to the edge: nobody told it that
# the middle is nicer. To say so is **reward shaping**: a reward that is larger the better things are.
# %% exercise="easy_cart" title="Pay for the middle" difficulty=2 importance=3 minutes=15
# hint: super().step(action) does the whole step; only one of its five results is replaced.
# hint: Position and angle are obs[0] and obs[2]; each is divided by its limit, and counts half.
# hint: max(0.0, 1.0 - abs(position) / self.x_threshold / 2 - abs(angle) / self.theta_threshold_radians / 2)
# %% [markdown]
# Rewards aren't only for what is sensible. What would an agent do that is paid for *spinning* the pole?
# %% exercise="spin_cart" title="Pay for spinning" difficulty=3 importance=3 minutes=20
# hint: Both the reward and the end are replaced; the pole may fall as far as it likes.
# hint: The angular velocity is obs[3], and the episode terminates where |obs[0]| is beyond self.x_threshold.
# hint: Set self.steps_beyond_terminated = None after super().step(action), or CartPole complains in the next step.
# %% result
# three agents, trained alike and paid differently: the first stands still in the middle, the second whirls.
# (The video shows the second.)
import functools
import gymnasium as gym

N_SHAPED = 1024 if SCALE == "tiny" else 50_000


def train_paid_by(env_class):
    """Train in a cart of this class, with CartPole's limit of 500 steps."""

    def make():
        return gym.wrappers.TimeLimit(env_class(), 500)

    envs = functools.partial(
        gym.vector.SyncVectorEnv, [make] * SMALL["n_envs"], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    trainer = PPOTrainer(PPOConfig(total_timesteps=N_SHAPED, **SMALL), envs)
    trainer.train()
    return trainer


spinner = train_paid_by(SpinCart)
record(spinner.policy(), lambda: gym.wrappers.TimeLimit(SpinCart(render_mode="rgb_array"), 500), max_steps=300)
# %% [markdown]
# ### A failure to watch
#
# Now something that sounds harmless. We want the pole upright, so let us pay for **progress**: whenever a step brings the pole
# nearer to upright, the agent gets as much as it came nearer. What goes in the other direction costs nothing. That is
# `ProgressCart`. Before you run the next cell, write down what you think will happen.
# %% result
# the agent that is paid for progress. A pole that stands still makes none: so it rocks the pole, out and back again.
# What it earns goes up and up, and the task it was meant for isn't what it does.
from arena_lib.rl.environments.shaping import ProgressCart

rocker = train_paid_by(ProgressCart)
record(rocker.policy(), lambda: gym.wrappers.TimeLimit(ProgressCart(render_mode="rgb_array"), 500), max_steps=300)
# %% result
# how much the pole moves under each agent, over 300 steps: the mean angular speed, in radians a second.
# The agent that is paid for progress moves it far more, and may drop it in the end.


def mean_speed(policy, env_class):
    """The mean |angular velocity| in one episode, and its length."""
    env, speeds = env_class(), []
    obs, _ = env.reset(seed=7)
    for _ in range(300):
        obs, _, terminated, _, _ = env.step(int(policy(obs[None])[0]))
        speeds.append(abs(float(obs[3])))
        if terminated:
            break
    return np.mean(speeds), len(speeds)


steady = train_paid_by(EasyCart)
for name, agent, cart in [("paid for the middle", steady, EasyCart), ("paid for progress", rocker, ProgressCart)]:
    speed, length = mean_speed(agent.policy(), cart)
    print(f"{name:22} {speed:.2f} rad/s over {length} steps")
# %% [markdown]
# There was no bug. The reward was optimised, better than you would have done. This is **reward hacking** (or specification
# gaming), and it's worth remembering in chapters 3 and 4, where what is rewarded is a human's approval. The cure for this case is
# known: pay for progress *and* charge for the way back, in full. Then the payments along any path depend only on where it begins
# and ends, and the best policy stays the best ([Ng et al. 1999](https://people.eecs.berkeley.edu/~russell/papers/icml99-shaping.pdf)).
#
# ## 7. Pictures
#
# *About 40 minutes of exercises. You exchange the networks, and nothing else.*
#
# MinAtar ([Young and Tian 2019](https://arxiv.org/abs/1903.03176)) are five Atari games made small: 10 x 10 pixels, with a plane of
# its own for each kind of thing (paddle, ball, trail, bricks). Pictures call for convolutions. Nothing else about PPO changes.
# %% exercise="get_actor_and_critic_minatar" title="Eyes" difficulty=2 importance=3 minutes=20
# hint: One convolution, then flatten, then two linear layers. What is the size after the convolution?
# hint: A kernel of 3 x 3 without padding makes each side 2 smaller; 16 kernels give 16 planes of that size.
# hint: nn.Linear(16 * (height - 2) * (width - 2), 128) after nn.Flatten().
# %% result
# Breakout from pictures: a random agent gets about 0.5 points in an episode.
N_BREAKOUT = 2048 if SCALE == "tiny" else 150_000


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
plots.lines(
    {"PPO": curve},
    x=points,
    x_title="environment steps",
    y_title="points",
    references={"random": 0.5},
    title="Breakout",
)
# %% result
# your agent plays Breakout.
record(breakout.policy(), "MinAtar/Breakout-v1", max_steps=100 if SCALE == "tiny" else 400)
# %% [markdown]
# Real Atari games have 210 x 160 pixels in colour, and one frame doesn't say where the ball is flying. The usual wrappers make four
# grey frames of 84 x 84 of them. The network is that of [Mnih et al. 2015](https://www.nature.com/articles/nature14236), with one
# difference to yours: actor and critic share everything but their last layer. It takes about ten million steps to play well, for which
# two cores need most of a day, so here you only write it.
# %% exercise="get_actor_and_critic_atari" title="Larger eyes, shared" difficulty=2 importance=2 minutes=20
# hint: Build the trunk once, and put the very same object into both networks.
# hint: Follow the sides of the picture through the three convolutions: (n - kernel) // stride + 1 each time.
# hint: For 84 x 84 the sides are 20, 9 and 7, so the linear layer reads 64 * 7 * 7 numbers. Compute it from obs_shape, or run the convolutions once on zeros.
# %% [markdown]
# ## 8. Continuous actions
#
# *About 70 minutes of exercises. You exchange the distribution, and learn which details robots need.*
#
# A robot's joint isn't a button: it takes a number, how hard to push. So the policy becomes a **normal distribution**. The network
# gives its mean; its standard deviation is learned, too, but is the same for all observations. We keep its logarithm, which may be any
# number, so that the deviation itself is always positive.
# %% exercise="actor" title="A policy with a spread" difficulty=2 importance=4 minutes=15
# hint: __init__ makes the same network as in part 1, and one parameter.
# hint: sigma = exp(log_std), repeated for each observation.
# hint: self.log_std.exp().expand_as(mu), then return mu, sigma, Normal(mu, sigma).
# %% exercise="critic" title="The same critic" difficulty=1 importance=2 minutes=5
# hint: get_actor_and_critic_classic gives a pair, of which you need the second.
# hint: The number of actions doesn't matter to the critic.
# hint: _, self.value = get_actor_and_critic_classic(d_obs, 1), and forward returns self.value(obs).
# %% [markdown]
# An action has several entries now, drawn independently. Densities of independent things multiply, so their logarithms **add**.
# `Normal` gives a logarithm for each entry, and it's our job to sum them: forget it, and everything runs and nothing learns well.
# %% exercise="calc_clipped_surrogate_objective_cts" title="One probability for a whole action" difficulty=2 importance=3 minutes=10
# hint: Everything is as before but the log-probability.
# hint: dist.log_prob(mb_actions) has an axis for the entries of an action.
# hint: .sum(dim=-1) over it. Independent(dist, 1) of torch does the same, and can be passed to your function of part 4.
# %% exercise="calc_entropy_bonus_cts" title="One entropy for a whole action" difficulty=1 importance=2 minutes=5
# hint: Entropies of independent things add.
# hint: Sum over the entries, mean over the observations.
# hint: ent_coef * dist.entropy().sum(dim=-1).mean()
# %% [markdown]
# A normal distribution has no bounds, but a motor does. The environment gets the action *clipped* to its bounds. What is stored must be the
# one that was drawn: that is the one whose probability we know.
# %% exercise="ppo_agent_cts" title="Clip what you send, keep what you drew" difficulty=3 importance=3 minutes=15
# hint: Two lines of PPOAgent.play_step change.
# hint: The drawn action is mu + sigma * noise; two versions of it are needed, one for the stepper and one for the rollout.
# hint: self.stepper.step(np.clip(actions, self.low, self.high)), but self.rollout.add(actions=actions, ...).
# %% [markdown]
# Last, sizes. One number of an observation may be an angle around 0.1 and the next a velocity around 10. Networks want all of them to be of size
# 1, but we don't know the sizes beforehand. So we keep a running mean and variance of everything seen, and normalise by them. (Rewards are
# scaled in the same way, by the spread of their discounted sums.) These statistics are part of the policy: without them its weights are
# worthless, so they are saved with it.
# %% exercise="update_moments" title="Mean and variance of all that was seen" difficulty=3 importance=2 minutes=20
# hint: Two groups: n rows before, with a known mean and variance, and m new ones.
# hint: The docstring has both formulas; batch.mean(axis=0) and batch.var(axis=0) are those of the new rows.
# hint: Return Moments(mean, variance, n + m) with new arrays; nothing is changed in place.
# %% result
# a robot: a pole on a cart again, but pushed with any force, and simulated by MuJoCo (or a pendulum that swings up, where MuJoCo isn't installed).
from importlib.util import find_spec

from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts

HAS_MUJOCO = find_spec("mujoco") is not None and find_spec("imageio") is not None
ROBOT = "InvertedPendulum-v5" if HAS_MUJOCO else "Pendulum-v1"
N_ROBOT = 1024 if SCALE == "tiny" else 60_000


class RobotPPO(PPOTrainerCts):
    """The library's trainer for continuous actions with your networks."""

    def _make_networks(self, envs):
        (d_obs,), (n_actions,) = envs.single_observation_space.shape, envs.single_action_space.shape
        return Actor(d_obs, n_actions), Critic(d_obs)


robot = RobotPPO(PPOContinuousConfig(env_id=ROBOT, total_timesteps=N_ROBOT, n_steps=512, n_minibatches=8))
robot_run = robot.train()
points, curve = returns_over_time(robot_run)
plots.lines({"PPO": curve}, x=points, x_title="environment steps", y_title="return", title=ROBOT)
# %% [markdown]
# The same code learns to run as a HalfCheetah and to hop as a Hopper: `arena rl train ppo-continuous --env HalfCheetah-v5`, a million steps, and some
# twenty minutes of one core.
#
# ## What you have learned
#
# - An advantage says how much better an action was than expected; estimate it backwards, and keep termination and truncation apart.
# - The policy may only move as far as the steps it learns from can be trusted: that is the clip.
# - Most of PPO is in the details, and each of them is a line.
# - An agent optimises what is paid, not what is meant.
#
# **What comes next.** The same objective, with a language model as the policy and a person's preference as the reward, is how chat models are
# trained; there the KL divergence of part 4 keeps the model near the one it began as.
#
# ### Three projects
#
# 1. **Potential-based shaping.** Repair `ProgressCart` so that the way out costs what the way back pays. Show that the trained agent no longer rocks, over
#    five seeds, and prove in three lines why it can't pay.
# 2. **Which detail matters?** Take one detail that you wrote (orthogonal weights, normalised advantages, annealing, the clipped gradient), leave it out, and
#    compare ten seeds with and without, with intervals (`arena_lib.rl.training.curves`). Write down your guess first.
# 3. **Another game.** Train Asterix or Space Invaders of MinAtar. Which setting of part 5 has to change, and can you say why before you try?
#
# ### Reading
#
# - [Schulman et al. 2017](https://arxiv.org/abs/1707.06347): the paper, eight pages.
# - [Huang et al. 2022, The 37 implementation details of PPO](https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/): each with its line of code.
# - [Engstrom et al. 2020](https://arxiv.org/abs/2005.12729): how much of PPO's success is in its details.
# - [Pardo et al. 2018](https://arxiv.org/abs/1712.00378): time limits, and why they aren't ends.
# - [Krakovna et al. 2020](https://deepmind.google/discover/blog/specification-gaming-the-flip-side-of-ai-ingenuity/): a list of agents that got what they were asked for.
