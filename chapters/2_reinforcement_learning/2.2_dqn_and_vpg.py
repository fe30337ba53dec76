# ---
# arena: {id: "2.2", slug: dqn_and_vpg, title: DQN and VPG, hours: 9}
# objectives:
#   - "Put a neural network in the place of a table of action values, and know why that is fragile"
#   - "Write deep Q-learning: exploration, replay, targets, target network, agent, loop"
#   - "Find out by probe environments which part of an agent is wrong"
#   - "Make it better: double targets, n-step returns, two heads, replay by priority"
#   - "Read what an agent expects out of its activations"
#   - "Write vanilla policy gradient, and see with your own eyes how noisy it is"
# ---
# %% [markdown]
# ## What you will build
#
# A table of action values works where there are few states. Nobody can keep a table for every position of a cart
# and its pole, let alone for every picture on a screen. In this section a **neural network** takes the place of the
# table: you show it an observation, and it says what each action is worth.
#
# That sounds like a small change, and it's what made [an agent learn Atari games from pixels in
# 2013](https://arxiv.org/abs/1312.5602). But the proofs that tabular Q-learning works don't hold for networks.
# Naively written, it falls apart. So this section is mostly about what keeps it together. By the end,
#
# - a **deep Q-network** (DQN) that you wrote balances a pole, and you can watch it,
# - you have watched one fail, and know which line of code was wrong,
# - you have read out of an agent's hidden layer how well it thinks things will go,
# - a **policy gradient** agent has learnt the same task in quite another way.
#
# You should know what a discount, a return, an action value and an episode are (section 2.1), and how a network is
# trained in PyTorch. All environments here follow gymnasium's interface.
#
# ### Words and axes
#
# Several environments run side by side, so almost every array has `n_envs` as its first axis. Environments speak
# numpy, networks speak torch: `obs` from an environment is a numpy array, and what goes into a network is a float32
# tensor.
#
# An episode can end in two ways. It is **terminated** if nothing can follow: the pole fell. It is **truncated** if
# somebody just stopped the clock: after 500 steps a game of CartPole ends, although the pole still stands. The
# difference matters a lot, as you will see, and gymnasium keeps the two apart.
#
# | part | minutes |
# |---|---|
# | 1. A network in place of a table | 30 |
# | 2. A memory | 20 |
# | 3. Targets | 55 |
# | 4. The whole agent | 50 |
# | 5. Four ways to make it better | 75 |
# | 6. What does it expect? | 30 |
# | 7. Policy gradient | 90 |
# | 8. Noise, and what to do about it | 50 |
#
# The minutes are for the exercises; the rest of the 9 hours is for reading, running, and looking at pictures.
#
# ## 1. A network in place of a table
#
# *About 30 minutes of exercises. You write the network, and how an agent tries things out.*
#
# The network reads an observation and gives one number for **each** action. Why not read observation *and* action, and
# give one number? Because we always want to know which action is best. With one output for each action, a single
# pass answers that.
# %% exercise="q_network" title="One value for each action" difficulty=2 importance=3 minutes=10
# hint: What must the last layer be able to say? An action's value may be 500, or -3.
# hint: Go through the pairs of neighbouring sizes: observation to first hidden layer, and so on, up to n_actions. A ReLU comes after each layer but the last.
# hint: sizes = [obs_shape[0], *hidden_sizes, n_actions]; a list of nn.Linear and nn.ReLU for each pair, the last ReLU dropped, in nn.Sequential(*parts).
# %% [markdown]
# ### Trying things out
#
# An agent that always does what it believes best never finds out that it's wrong. So with probability
# $\epsilon$ it does something at random. At the beginning it knows nothing, and $\epsilon$ is 1. As it learns,
# $\epsilon$ falls in a straight line to a small number, and stays there.
# %% exercise="linear_schedule" title="From curious to sure" difficulty=1 importance=3 minutes=5
# hint: How large a share of the fall is done at current_step?
# hint: The fall takes exploration_fraction * total_timesteps steps. After them the share is 1, and no more.
# hint: share_done = min(current_step / (exploration_fraction * total_timesteps), 1.0); then start_e plus that share of the way to end_e.
# %% result
# epsilon falls, then stays.
from arena_lib import plots

total = 1000
plots.lines(
    {
        f"fraction {fraction}": [linear_schedule(step, 1.0, 0.1, fraction, total) for step in range(0, total, 20)]
        for fraction in (0.2, 0.5, 1.0)
    },
    x=list(range(0, total, 20)),
    x_title="environment step",
    y_title="epsilon: the share of random actions",
    title="Three schedules of 1000 steps",
)
# %% exercise="epsilon_greedy_policy" title="Mostly the best, sometimes anything" difficulty=2 importance=4 minutes=15
# hint: Each environment has a coin of its own.
# hint: Draw as the docstring says: first n_envs numbers from 0 to 1, then n_envs random actions. Compute the best actions without gradients. np.where chooses.
# hint: explores = rng.random(envs.num_envs) < epsilon; random_actions = rng.integers(envs.single_action_space.n, size=envs.num_envs); the best are q_network(torch.as_tensor(obs, dtype=torch.float32)).argmax(dim=-1).numpy(), inside torch.no_grad().
# %% [markdown]
# ## 2. A memory
#
# *About 20 minutes of exercises. You write the ring in which an agent keeps what it has lived through.*
#
# What an agent sees in one step is almost what it saw in the step before. If you train a network on steps as they
# come, it learns the last few seconds by heart and forgets the rest: networks learn well from examples that are
# *mixed*. So DQN keeps its last ten thousand or more transitions in a **replay buffer**, and learns from random
# handfuls of them. Each transition is used several times, too, which saves experience.
#
# A transition is `(obs, actions, rewards, terminated, next_obs)`. The buffer is a ring: once it's full, the newest
# transition takes the place of the oldest.
# %% exercise="ring_rows" title="Round and round" difficulty=1 importance=2 minutes=5
# hint: Without an end, the rows would be n_added, n_added + 1, ...
# hint: What remains when you divide by buffer_size?
# hint: (n_added + np.arange(n_new)) % buffer_size.
# %% exercise="sample_rows" title="A random handful" difficulty=1 importance=3 minutes=5
# hint: Which rows hold anything at all?
# hint: Before the buffer is full, only the first n_added rows. Once it is full, all buffer_size of them.
# hint: torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator).
# %% [markdown]
# ### What goes in, and what doesn't
#
# Here are two traps that have cost people weeks. When an episode ends in one of several environments, that
# environment has to start a new one. Gymnasium knows three ways (its *autoreset modes*), and each hides something:
#
# - `NEXT_STEP`: the step *after* the end only starts the new episode. Your action is ignored and the reward is 0. It's a
#   **phantom**: nothing happened, so there's nothing to remember.
# - `SAME_STEP`: the new episode starts at once. The observation that you get with the end is already the first of the
#   **next** episode; the true last one is hidden in `info["final_obs"]`.
# - `DISABLED`: nothing starts until you reset by hand.
#
# The library's `Stepper` takes care of all three. It gives you a `Transition`, in which `next_obs` is what the step really
# led to, and `is_real` is `False` for phantoms. What is left for you: keep the right rows, and the right one of the two
# kinds of end.
# %%
import gymnasium as gym
import numpy as np

from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper

envs = gym.vector.SyncVectorEnv([lambda: CountingEnv((2, 3))], autoreset_mode=gym.vector.AutoresetMode.NEXT_STEP)
stepper = Stepper(envs, seed=0)  # an environment that counts: 100 * episode + step
for _ in range(6):
    step = stepper.step(np.array([0]))
    kind = "real   " if step.is_real[0] else "phantom"
    print(
        f"{kind} {step.obs[0, 0]:5.0f} -> {step.next_obs[0, 0]:5.0f}  terminated {step.terminated[0]!s:5}  truncated {step.truncated[0]}"
    )
# %% exercise="keep_real_steps" title="What is worth remembering" difficulty=2 importance=5 minutes=10
# hint: `is_real` is an array of booleans, one for each environment.
# hint: Index each of the five arrays with it. A truncated episode would have gone on; which of the two flags does a target need?
# hint: real = transition.is_real; then transition.obs[real], and so on, with transition.terminated[real].
# %% [markdown]
# ## 3. Targets
#
# *About 55 minutes of exercises. You write what the network is trained towards.*
#
# Nobody tells the agent what an action is worth. But after a step it knows a little more than before: the reward that
# came, and the state that it's in now. So it makes a better guess, the **TD target** (TD: temporal difference):
#
# $$y = r + \gamma \max_{a'} Q(s', a')$$
#
# and moves $Q(s, a)$ towards it. If the episode *terminated*, nothing follows and the target is just $r$. If it was
# only *truncated*, the world would have gone on, and the second term stays.
#
# This is called **bootstrapping**: a guess is improved by a later guess. The target counts as a *fact* for the step:
# no gradient may flow through it. Otherwise the network could make the error smaller by making $s'$ look as bad as $s$.
# %% exercise="compute_td_target" title="A slightly better guess" difficulty=2 importance=5 minutes=15
# hint: What is the next state worth to an agent that will take the best action there?
# hint: The largest value in each row of next_q, detached; multiplied by gamma, and by 0 where the episode terminated.
# hint: rewards + gamma * next_q.detach().max(dim=-1).values * ~terminated.
# %% exercise="compute_td_loss" title="How wrong were we?" difficulty=3 importance=5 minutes=15
# hint: The network gives a value for every action, but only one action was taken.
# hint: gather picks one entry of each row; it wants the actions with an axis of length 1 at the end, and gives that axis back. Squeeze it, or shapes (batch, 1) and (batch,) broadcast to a table.
# hint: taken = q_values.gather(-1, actions[:, None]).squeeze(-1); errors = targets.detach() - taken; the mean of errors.square(), times weights if there are any.
# %% [markdown]
# ### A target that holds still
#
# There's a catch. When a training step raises $Q(s, a)$, it also raises the values of similar states, $Q(s', a')$ among
# them. So the target moves away as you step towards it: the network chases its own tail, and values can run off to
# infinity.
#
# The cure is a second network, the **target network**, which lags behind. Targets are computed with *it*. Mnih et al.
# copied the trained network into it every few thousand steps; today many let it follow slowly, by a small share
# $\tau$ at each update:
#
# $$\theta_{target} \leftarrow (1 - \tau)\, \theta_{target} + \tau\, \theta$$
# %% exercise="update_target_network" title="Follow slowly" difficulty=2 importance=4 minutes=10
# hint: Go through both networks' parameters side by side, and write into the target's in place.
# hint: Writing in place into a parameter that is trained needs torch.no_grad(). And target = ... in a loop changes only the loop's variable.
# hint: with torch.no_grad(): for slow, fast in zip(target_network.parameters(), q_network.parameters()): slow.lerp_(fast, tau).
# %% exercise="train_on_batch" title="One update" difficulty=2 importance=4 minutes=15
# hint: It's the training step that you know, with one line more.
# hint: The loss, clear the gradients, backward, clip the norm of the whole gradient, step. The loss that you return has no graph.
# hint: loss, errors = compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights); after backward, nn.utils.clip_grad_norm_(q_network.parameters(), max_grad_norm).
# %% [markdown]
# ## 4. The whole agent
#
# *About 50 minutes of exercises. You put the parts together, find its faults with probes, and watch it balance.*
#
# The agent plays: it chooses, does, remembers. `Stepper` and `ReplayBuffer` do the bookkeeping. The library's
# buffer does just what your functions of part 2 do, with one array for each field.
# %% exercise="dqn_agent" title="Choose, do, remember" difficulty=2 importance=4 minutes=20
# hint: Two methods of two or three lines. One uses your schedule and your policy, the other the stepper and the buffer.
# hint: get_actions: self.epsilon first, from self.stepper.n_steps; then the policy. play_step: actions for self.stepper.obs, step, add, return the episodes that ended.
# hint: transition = self.stepper.step(self.get_actions(self.stepper.obs)); self.buffer.add(transition); return self.stepper.finished().
# %% [markdown]
# Now the loop. Everything in it is there already: play a step; once there's something to learn from, draw a batch,
# compute its targets with the *target* network, update, and let the target network follow.
#
# How do you know that it's right? Agents with a fault often still learn a little, so a poor score tells you nothing.
# **Probe environments** do: each is so small that you know what must come out, and each needs one thing more than
# the one before. So the first that fails tells you where to look.
#
# | probe | what happens | what must be learnt | if this one fails first, look at |
# |---|---|---|---|
# | 1 | one step, reward 1 | the value 1 | the loss, the update, targets that go on after an end |
# | 2 | one step, the reward is the observation | a value that depends on what is seen | observations and rewards of different steps |
# | 3 | two steps, reward 1 at the second | $\gamma$ at first, then 1 | the discount, the next state, a target network that never moves |
# | 4 | two actions, reward -1 or 1 | the better action | exploration, the action whose value is trained |
# | 5 | the action must fit the observation | an action that depends on what is seen | observations and actions of different steps |
# | 6 | a large reward that no action changes, and a small one | to tell the two apart | the learning rate, the size of the batch |
# | 7 | reward 1; one state *terminates*, the other is *truncated* | 1, and $1 / (1 - \gamma)$ | *truncated* taken for an end |
# | 8 | the first of two actions decides what the second step pays | credit over two steps | all of it together |
#
# One fault no probe sees: targets from the network that is trained. In tasks as small as these nothing runs away, so it
# does no harm here. Below the probes stands a check of its own: a target network of zeros that never moves must
# leave nothing but rewards.
# %%
import copy

import torch

from arena_lib.rl.dqn import ReplayBuffer
from arena_lib.rl.environments.making import make_vector_env


def make_agent(env_id, *, total_steps, n_envs=4, hidden_sizes=(16,), lr=2e-2, end_e=0.3, buffer_size=50_000, seed=0):
    """Your agent for an environment, with its target network and its optimizer."""
    stepper = Stepper(make_vector_env(env_id, n_envs), seed)
    obs_shape = stepper.envs.single_observation_space.shape
    torch.manual_seed(seed)
    q_network = QNetwork(obs_shape, int(stepper.envs.single_action_space.n), hidden_sizes)
    buffer = ReplayBuffer(buffer_size, obs_shape)
    agent = DQNAgent(stepper, buffer, q_network, 1.0, end_e, 0.3, total_steps, np.random.default_rng(seed))
    optimizer = torch.optim.Adam(q_network.parameters(), lr=lr)
    return agent, copy.deepcopy(q_network), optimizer


def greedy(q_network):
    """What to do for observations: the most valuable action."""

    def policy(obs):
        with torch.no_grad():
            return q_network(torch.as_tensor(obs, dtype=torch.float32)).argmax(dim=-1).numpy()

    return policy


# %% exercise="train_dqn" title="The loop" difficulty=3 importance=5 minutes=30
# hint: Play until stepper.n_steps has reached total_steps, and learn after each step once there are learning_starts steps.
# hint: A batch comes from agent.buffer.sample(batch_size, generator). Its targets need target_network(batch.next_obs), batch.rewards, batch.terminated and gamma.
# hint: After train_on_batch(agent.q_network, optimizer, batch, targets, 10.0) comes update_target_network(target_network, agent.q_network, tau).
def train_dqn(
    agent, target_network, optimizer, *, total_steps, gamma, tau=0.2, batch_size=32, learning_starts=40, seed=0
):
    """Trains the agent until agent.stepper.n_steps has reached total_steps; returns a list of the episodes that ended.

    Each round is one call of agent.play_step(), which returns the episodes that ended in it, and then, once
    agent.stepper.n_steps has reached learning_starts, one update:

    1. a batch from agent.buffer.sample(batch_size, generator), with the fields obs, actions, rewards, next_obs, terminated
    2. its targets, from the target network's values of next_obs
    3. train_on_batch with a max_grad_norm of 10
    4. the target network follows by tau
    """
    generator = torch.Generator().manual_seed(seed)
    episodes = []
    # region solution
    while agent.stepper.n_steps < total_steps:
        episodes += agent.play_step()
        if agent.stepper.n_steps < learning_starts:
            continue
        batch = agent.buffer.sample(batch_size, generator)
        targets = compute_td_target(target_network(batch.next_obs), batch.rewards, batch.terminated, gamma)
        train_on_batch(agent.q_network, optimizer, batch, targets, 10.0)
        update_target_network(target_network, agent.q_network, tau)
    # endregion
    return episodes


for number, n_steps in {1: 600, 2: 800, 3: 1200, 4: 800, 5: 1200, 6: 1600, 7: 1600, 8: 1600}.items():
    agent, target_network, optimizer = make_agent(f"arena/Probe{number}-v0", total_steps=n_steps)
    train_dqn(agent, target_network, optimizer, total_steps=n_steps, gamma=0.5)
    probe = agent.stepper.envs.envs[0].unwrapped
    for seen, value in probe.values(0.5).items():
        learnt = agent.q_network(torch.tensor([[seen]]))[0].detach()
        assert abs(float(learnt.max()) - value) < 0.3, (
            f"probe {number}: the value at {seen} must be {value}: got {float(learnt.max()):.2f}"
        )
        best = probe.best_actions().get(seen)
        assert best is None or int(learnt.argmax()) == best, f"probe {number}: the best action at {seen} is {best:.0f}"

agent, zeros, optimizer = make_agent("arena/Probe3-v0", total_steps=1_200)
with torch.no_grad():
    for parameter in zeros.parameters():
        parameter.zero_()
train_dqn(agent, zeros, optimizer, total_steps=1_200, gamma=0.5, tau=0.0)
first = float(agent.q_network(torch.tensor([[0.0]])).detach().max())
assert abs(first) < 0.2, (
    f"the target network says 0 for every state, so the first step must be worth 0: got {first:.2f}"
)
# %% [markdown]
# ### A pole on a cart
#
# Now the real thing. In **CartPole** a pole stands on a cart, and you push the cart left or right. Each step in which
# the pole still stands brings a reward of 1. The episode terminates when it falls (12 degrees) or the cart leaves the track,
# and it's truncated after 500 steps: that is the best score.
#
# What is drawn is the return of each episode *while it trains*, with its random actions. How good an agent really is,
# you see when it plays greedily, in episodes apart from training.
# %% result
# your agent learns to balance.
# The returns of its episodes in training, as they come.
from arena_lib.rl.training.evaluation import evaluate

N_STEPS = 1_500 if SCALE == "tiny" else 30_000
LEARNING_STARTS = N_STEPS // 30
agent, target_network, optimizer = make_agent(
    "CartPole-v1", total_steps=N_STEPS, n_envs=4, hidden_sizes=(120, 84), lr=1e-3, end_e=0.05
)
episodes = train_dqn(
    agent,
    target_network,
    optimizer,
    total_steps=N_STEPS,
    gamma=0.99,
    tau=0.02,
    batch_size=128,
    learning_starts=LEARNING_STARTS,
)
print(
    f"greedy, 20 episodes: a mean return of {evaluate(greedy(agent.q_network), 'CartPole-v1').mean:.0f} (at most 500)"
)
plots.lines(
    {"return": [episode.total_reward for episode in episodes]},
    x_title="episode",
    y_title="return",
    title="Your DQN on CartPole, while it trains",
    references={"best possible": 500},
)
# %% result
# watch it.
from arena_lib.rl.training.video import record

record(greedy(agent.q_network), "CartPole-v1", max_steps=60 if SCALE == "tiny" else 300)
# %% [markdown]
# ### A failure to watch
#
# Let us break one thing: targets that ignore *terminated*. It's one factor in one line, and the code runs as before. (Half
# as many steps suffice to see it.) In
# CartPole every step brings a reward of 1, so whatever the agent does, a step is followed by another good step, for ever:
# every state looks as if it were worth $1 + \gamma + \gamma^2 + \dots = 100$ at least. No end holds the guesses down any
# more, so the maximum over them drives the values far beyond that. And nothing tells the agent that falling is bad.
# %% result
# without ends, even a falling pole looks precious.
# The bars are the best action's value in three states, as two agents see it.
from dataclasses import replace


class WithoutEnds(ReplayBuffer):
    """A memory that has forgotten where episodes terminated."""

    def sample(self, batch_size, generator):
        batch = super().sample(batch_size, generator)
        return replace(batch, terminated=torch.zeros_like(batch.terminated))


broken, broken_target, broken_optimizer = make_agent(
    "CartPole-v1", total_steps=N_STEPS // 2, n_envs=4, hidden_sizes=(120, 84), lr=1e-3, end_e=0.05
)
broken.buffer = WithoutEnds(50_000, (4,))
train_dqn(
    broken,
    broken_target,
    broken_optimizer,
    total_steps=N_STEPS // 2,
    gamma=0.99,
    tau=0.02,
    batch_size=128,
    learning_starts=LEARNING_STARTS,
)
states = {"upright": [0.0, 0, 0, 0], "leaning": [0.0, 0, 0.12, 0.4], "about to fall": [0.0, 0, 0.2, 1.5]}
values = {
    name: [network(torch.tensor([state]).float()).max().item() for state in states.values()]
    for name, network in {"right": agent.q_network, "without ends": broken.q_network}.items()
}
print(f"greedy: {evaluate(greedy(broken.q_network), 'CartPole-v1').mean:.0f} steps")
plots.bars(values, list(states), y_title="value of the best action", title="What a state is worth")
# %% result
# watch it fail.
record(greedy(broken.q_network), "CartPole-v1", n_episodes=3, max_steps=150)
# %% [markdown]
# ### What each setting is for
#
# Every number in DQN is there because something goes wrong without it. The figure below leaves out one thing at a
# time. It uses the library's trainer, which is your loop with more options, and greedy evaluations.
#
# - **learning rate**: too large, and each surprise throws the network about.
# - **target network**: with $\tau = 1$ there is none: targets move with every update.
# - **memory**: with room for a few hundred transitions only, the agent learns from the last seconds.
# - **exploration**: with $\epsilon$ at 1 % from the start, it may never see what else there is.
# %% result
# one thing left out at a time.
# Greedy evaluation while training; one seed each, so small differences mean nothing.
from arena_lib.rl.dqn import DQNConfig, DQNTrainer

n_steps = 1_000 if SCALE == "tiny" else 20_000
usual = {
    "total_steps": n_steps,
    "learning_starts": n_steps // 20,
    "n_envs": 8,
    "train_every": 8,
    "tau": 0.02,
    "n_step": 1,
    "is_double": False,
}
left_out = {
    "all as it should be": {},
    "learning rate 0.03": {"lr": 0.03},
    "no target network": {"tau": 1.0},
    "memory of 256": {"buffer_size": 256},
    "hardly any exploration": {"start_e": 0.01, "end_e": 0.01},
}
curves = {}
for name, options in left_out.items():
    trainer, scores = DQNTrainer(DQNConfig(**{**usual, **options})), []

    def look(step, trainer=trainer, scores=scores):
        """Evaluates ten times in a run."""
        if step % (n_steps // 10) < 8:
            scores.append(evaluate(trainer.policy(), "CartPole-v1", n_episodes=5).mean)

    trainer.train(on_step=look)
    curves[name] = scores[:10]
plots.lines(
    curves,
    x=[(i + 1) * n_steps // 10 for i in range(min(map(len, curves.values())))],
    x_title="environment step",
    y_title="return, played greedily",
    title="What happens without it",
)
# %% [markdown]
# ## 5. Four ways to make it better
#
# *About 75 minutes of exercises. You write the improvements that later papers brought, each a few lines.*
#
# [Hessel et al. 2018](https://arxiv.org/abs/1710.02298) put six improvements of DQN into one agent, *Rainbow*, and
# took each out again to see what it was good for. You write four of them.
#
# ### Double
#
# A maximum over noisy guesses is too large: whichever action is overrated wins. Imagine ten actions that are all worth
# nothing, and guesses with an error of about 1. The largest guess is about 1.5, and the target believes it.
# [Van Hasselt et al. 2016](https://arxiv.org/abs/1509.06461) let one network *choose* the action, and the other say
# what it's *worth*. The second one's errors are different, so the chosen action is no longer likely to be overrated.
# %% exercise="compute_double_td_target" title="Don't believe your own best guess" difficulty=2 importance=4 minutes=10
# hint: Two questions, two networks: which action, and how much?
# hint: argmax of one, keeping the axis; gather from the other.
# hint: chosen = next_q_online.argmax(dim=-1, keepdim=True); next_values = next_q_target.detach().gather(-1, chosen).squeeze(-1).
# %% result
# the plain target overrates more, the more actions there are.
# All actions are worth 0, the two networks' guesses are off by about 1. What the targets say, on average:
n_actions = [2, 3, 5, 10, 20, 40]
noise = torch.Generator().manual_seed(0)
nothing, not_over = torch.zeros(4000), torch.zeros(4000, dtype=torch.bool)
means = {"plain": [], "double": []}
for n in n_actions:
    online, other = torch.randn(2, 4000, n, generator=noise)
    means["plain"].append(float(compute_td_target(other, nothing, not_over, 1.0).mean()))
    means["double"].append(float(compute_double_td_target(online, other, nothing, not_over, 1.0).mean()))
plots.lines(means, x=n_actions, x_title="actions", y_title="mean target", title="All actions are worth 0")
# %% [markdown]
# ### Several steps at once
#
# A one-step target knows one true reward; the rest is a guess. News of a reward travels back one step with each
# round of updates. With **n-step returns** the target holds n true rewards, and only then a guess:
#
# $$y_t = r_t + \gamma r_{t+1} + \dots + \gamma^{n-1} r_{t+n-1} + \gamma^n \max_{a'} Q(s_{t+n}, a')$$
#
# The price: those rewards came from what the agent did *then*, random actions included, and not from the policy that
# is being learnt. So n stays small, such as 3.
# %% exercise="compute_n_step_returns" title="News travels faster" difficulty=3 importance=3 minutes=20
# hint: For each step t there is a window of n steps, which ends early if an episode ends inside it.
# hint: The reward of the step that ends the episode still counts. So add first, then look at done.
# hint: for k in range(t, min(t + n, len(rewards))): add gamma ** (k - t) * rewards[k], count it, and break if done[k].
# %% [markdown]
# ### Two heads
#
# In many states it hardly matters what you do: how good the state is decides everything. A **dueling** network
# ([Wang et al. 2016](https://arxiv.org/abs/1511.06581)) therefore has one head for the state's value $V$ and one for the
# advantage $A$ of each action. Every transition teaches $V$, whichever action was taken.
# %% exercise="combine_streams" title="Value plus advantage" difficulty=2 importance=3 minutes=10
# hint: Add them. But then V could be 10 too large and every A 10 too small, and nobody would notice.
# hint: Make the advantages of each state have the mean 0.
# hint: state_values + advantages - advantages.mean(dim=-1, keepdim=True).
# %% [markdown]
# ### Surprises first
#
# Most transitions in the memory are old news. **Prioritized replay** ([Schaul et al.
# 2016](https://arxiv.org/abs/1511.05952)) draws those more often whose error was large when they were last looked at. Three
# small functions: how urgent is each, draw by urgency, and make up for the distortion.
# %% exercise="compute_priorities" title="How surprising was it?" difficulty=1 importance=2 minutes=5
# hint: An error of -3 is as surprising as one of 3.
# hint: The size of the error plus a small number, to a power.
# hint: (td_errors.abs() + eps) ** alpha.
# %% [markdown]
# To draw by priority, lay the priorities end to end, like strips of paper of different lengths. A random point on the
# line falls on a long strip more often. Where does a point fall? The **cumulative sums** say where each strip ends, and
# `torch.searchsorted` finds the first end that lies beyond the point. (The library's buffer keeps the sums in a tree, so that
# changing one priority takes 17 additions in a memory of 100,000, not 100,000.)
#
# One thing more: to spread a batch well, the line is cut into as many equal parts as the batch has places, and one point
# is drawn in each.
# %% exercise="sample_by_priority" title="Draw by length" difficulty=3 importance=2 minutes=20
# hint: The line is as long as the sum of all priorities. Where does part k begin?
# hint: Points: (k + u[k]) / batch_size of the line's length. Ends of the strips: priorities.cumsum(0).
# hint: shares = (torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / batch_size; torch.searchsorted(sums, shares * sums[-1], right=True).
# %% [markdown]
# What is drawn ten times as often would pull ten times as hard on the network, and the average that it learns would be
# wrong. **Importance weights** make up for that: a transition that was drawn with twice the probability counts half. With
# `beta` one sets how far.
# %% exercise="compute_replay_weights" title="Make up for it" difficulty=2 importance=2 minutes=10
# hint: More probable means less weight.
# hint: One over the probability, to the power beta; then divide by the largest.
# hint: weights = probabilities ** -beta; weights / weights.max().
# %% result
# after many draws, weights make up for the priorities.
# How often each of six transitions is drawn, and how often it counts once each draw is weighted (beta = 1).
urgency = torch.tensor([0.5, 1.0, 3.0, 0.2, 2.0, 1.3])
rows = sample_by_priority(urgency, 6000, torch.Generator().manual_seed(0))
counts = torch.bincount(rows, minlength=6).float()
weights = compute_replay_weights((urgency / urgency.sum())[rows], beta=1.0)
counted = torch.zeros(6).index_add(0, rows, weights)
plots.bars(
    {"drawn": (counts / counts.sum()).tolist(), "drawn and weighted": (counted / counted.sum()).tolist()},
    [f"priority {p:.1f}" for p in urgency.tolist()],
    y_title="share",
    title="Drawn by priority, made up for by weights",
)
# %% [markdown]
# ## 6. What does it expect?
#
# *About 30 minutes of exercises. You read an agent's expectation out of its hidden layer.*
#
# In chapter 1 you read features out of language models. An agent is a network too. What does its hidden layer know?
#
# Take something that can't be read off the observation by a line: **how well things will go**. A pole that leans to
# the left is as bad as one that leans to the right, so no weighted sum of the four numbers says it. If a weighted sum of
# *hidden activations* does, then the network has worked it out on the way. Such a weighted sum, fitted to read one thing
# out of activations, is called a **linear probe** (it has nothing to do with probe environments).
#
# To look inside we wrap the agent's layers into a module with hook points, by the library's `HookedRootModule`. It has
# `run_with_cache` like the models of chapter 1.
# %%
from torch import nn

from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.activations.root_module import HookedRootModule


class HookedQNetwork(HookedRootModule):
    """Three linear layers with hook points: hook_obs at the input, hook_first and hook_second after the two ReLUs."""

    def __init__(self, linears):
        super().__init__()
        self.linears = nn.ModuleList(linears)
        self.hook_obs = HookPoint()
        self.hook_first, self.hook_second = HookPoint(), HookPoint()
        self.setup()

    def forward(self, obs):
        """Action values "batch n_actions"."""
        first, second, last = self.linears
        hidden = self.hook_first(first(self.hook_obs(obs)).relu())
        return last(self.hook_second(second(hidden).relu()))


# %% [markdown]
# The agent plays with many random actions, so that some episodes go wrong. `play` returns what was seen at each step, and
# what truly came after it: the discounted sum of the next rewards, from `compute_returns` of the library (you write your own
# in the next part).
# %%
def play(q_network, *, n_envs=64, n_steps=200, epsilon=0.5, gamma=0.95, n_left_out=60, seed=7):
    """Observations "n d_obs" and true returns "n" of an agent that often acts at random; first halves of environments first."""
    from arena_lib.rl.policy_gradient.returns import compute_returns as true_returns

    stepper, rng = Stepper(make_vector_env("CartPole-v1", n_envs), seed), np.random.default_rng(seed)
    seen, rewards, done = [], [], []
    for _ in range(n_steps):
        actions = np.where(rng.random(n_envs) < epsilon, rng.integers(2, size=n_envs), greedy(q_network)(stepper.obs))
        step = stepper.step(actions)
        seen.append(torch.as_tensor(step.obs, dtype=torch.float32))
        rewards.append(torch.as_tensor(step.rewards, dtype=torch.float32))
        done.append(torch.as_tensor(step.done))
    returns = true_returns(torch.stack(rewards, 1), torch.stack(done, 1), gamma)
    kept = n_steps - n_left_out  # the last steps' returns are cut off
    return torch.stack(seen, 1)[:, :kept].flatten(0, 1), returns[:, :kept].flatten()


# %% [markdown]
# This builds on your `train_dqn`: `agent` is what it has trained on CartPole. Not written yet? Let the library train one:
#
# ```python
# from arena_lib.rl.dqn import DQNConfig, DQNTrainer
#
# trainer = DQNTrainer(DQNConfig(total_steps=20_000, n_envs=8, train_every=8, tau=0.02))
# trainer.train()
# agent = trainer.agent
# ```
# %% exercise="read_the_value" title="Read the value" difficulty=3 importance=4 minutes=30
# hint: A probe is a linear regression: weights and a bias that turn activations into the number you want.
# hint: Cache the activations with hooked.run_with_cache(obs). Fit on the first half of the rows and judge on the second: what matters is how much of the variation is explained where it wasn't fitted.
# hint: X = torch.cat([acts, torch.ones(len(acts), 1)], 1); weights = torch.linalg.lstsq(X[:half], returns[:half, None]).solution; then 1 - error.square().mean() / (truth - truth.mean()).square().mean().
def read_the_value(hooked, obs, returns):
    """For each hook point, the share of the returns' variation that a linear probe explains where it wasn't fitted.

    `hooked.run_with_cache(obs)` returns (output, cache), and the cache holds "n d" activations for each hook point: the
    result is a dictionary with the same keys, in the same order. A probe is fitted to `returns` "n" on the first half of the
    rows by least squares, with a bias, and judged on the others, whose share explained is

        1 - (mean of squared errors) / (mean of squared differences of the returns from their mean)
    """
    half = len(obs) // 2
    explained = {}
    # region solution
    with torch.no_grad():
        _, cache = hooked.run_with_cache(obs)
    for name, acts in cache.items():
        inputs = torch.cat([acts, torch.ones(len(acts), 1)], dim=1)
        ridge = 1e-5 * len(obs) * torch.eye(inputs.shape[1])  # keeps neurons that never fire from spoiling the fit
        gram = inputs[:half].T @ inputs[:half]
        weights = torch.linalg.solve(gram + ridge, inputs[:half].T @ returns[:half])
        truth = returns[half:]
        errors = truth - inputs[half:] @ weights
        explained[name] = float(1 - errors.square().mean() / (truth - truth.mean()).square().mean())
    # endregion
    return explained


linears = [module for module in agent.q_network.modules() if isinstance(module, nn.Linear)]
hooked = HookedQNetwork(linears)
seen, true_values = play(agent.q_network)
torch.testing.assert_close(hooked(seen[:5]), agent.q_network(seen[:5]))
explained = read_the_value(hooked, seen, true_values)
assert list(explained) == ["hook_obs", "hook_first", "hook_second"], f"one number for each hook point: got {explained}"
assert all(share <= 1 for share in explained.values()), "no more than everything can be explained"
hidden = max(explained["hook_first"], explained["hook_second"])
assert SCALE == "tiny" or hidden > explained["hook_obs"] + 0.1, "a hidden layer should know more than the observation"
# %% result
# a hidden layer knows what no weighted sum of the observation says.
# The share of the variation of true returns that a linear probe explains, in environments that it wasn't fitted on.
# Below zero means: worse than always guessing the mean. Much of the rest is chance: half of the actions are random.
names = {"hook_obs": "the observation", "hook_first": "first hidden layer", "hook_second": "second hidden layer"}
plots.bars(
    {"explained": [explained[name] for name in names]},
    list(names.values()),
    y_title="share of the variation explained",
    title="How well will it go? Read by a line",
)
# %% [markdown]
# ## 7. Policy gradient
#
# *About 90 minutes of exercises. You write an agent that learns what to do without learning what it's worth.*
#
# DQN learns values, and the policy follows from them. **Policy gradient** methods go straight for the policy: a network
# $\pi_\theta(a \mid s)$ that gives each action a probability. Play; then make actions likelier that were followed by much
# reward, and others rarer. Why does that raise the expected return $J$? The **policy gradient theorem** says that
#
# $$\nabla_\theta J = \mathbb{E}\left[\sum_t G_t \, \nabla_\theta \log \pi_\theta(a_t \mid s_t)\right]$$
#
# where $G_t$ is what came after step $t$. The reason is one line of calculus. An expectation is a sum of
# probabilities times what they bring, and the gradient of a probability is $\nabla \pi = \pi \, \nabla \log \pi$. So the
# gradient of the sum is again a sum weighted by $\pi$, an expectation, which playing gives us: no model of the world is
# needed, one only has to play and average. This is REINFORCE (Williams 1992), today called *vanilla policy gradient*, VPG.
#
# ### What came after
#
# $G_t$ counts rewards from step $t$ on, and not those before. An action can't change the past, so earlier
# rewards would add nothing but noise. In practice $G_t$ is discounted, as values are. With $\gamma < 1$ the gradient is no
# longer exactly that of the total reward, but far-off rewards, which are mostly chance, add less noise.
# %% exercise="compute_returns" title="What came after" difficulty=3 importance=4 minutes=15
# hint: The return of a step is its reward, plus gamma times the return of the next step. So where do you start?
# hint: Go from the last step to the first. Where a step ended its episode, nothing is added.
# hint: returns = rewards.clone(); for t in reversed(range(n_steps - 1)): returns[:, t] += gamma * returns[:, t + 1] * ~done[:, t].
# %% [markdown]
# ### Playing
#
# A policy gradient is right only for data that the *present* policy made. So there is no replay buffer. The agent plays a
# **rollout**, a fixed number of steps of every environment, learns from it, and throws it away. (The rollout keeps
# `is_real` too. Our environments start anew within the step that ends an episode, so here every step is real.)
# %% exercise="rollout" title="Side by side" difficulty=2 importance=3 minutes=15
# hint: Row i is environment i, and column t is step t.
# hint: Write each field of the transition into column self.n_steps, as the tensor's type, and count. The log-probabilities are data: detach them.
# hint: t = self.n_steps; self.obs[:, t] = torch.as_tensor(transition.obs, dtype=torch.float32); and so on for all eight; self.n_steps += 1.
# %% exercise="vpg_agent" title="Draw from the policy" difficulty=3 importance=4 minutes=20
# hint: The policy is random on purpose: actions are drawn, never maximised.
# hint: log_softmax of the logits gives log-probabilities; multinomial draws from their exponential; gather picks those that were drawn.
# hint: actions = torch.multinomial(logprobs.exp(), 1, generator=self.generator); return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1).
# %% [markdown]
# ### The loss
#
# An optimizer makes a loss smaller, and has no idea what it means. So we need a number whose gradient is *minus* the
# policy gradient. First, what does the policy think of the actions that were taken? And how undecided is it? The
# **entropy** is largest when all actions are equally likely. A little reward for it keeps the policy from making up
# its mind too early.
# %% exercise="compute_logprobs_and_entropy" title="What does it think of that now?" difficulty=2 importance=4 minutes=15
# hint: One pass through the policy for the whole rollout; its last axis is the actions.
# hint: log_softmax over the last axis; gather at tau.actions with an axis of length 1 at the end; the entropy is minus the sum of p log p.
# hint: logprobs = pi(tau.obs).log_softmax(dim=-1); taken = logprobs.gather(-1, tau.actions[..., None]).squeeze(-1); entropy = -(logprobs.exp() * logprobs).sum(dim=-1).
# %% [markdown]
# A rollout costs thousands of steps, and one wants to learn from it more than once. But after the first update the policy
# isn't the one that played any more. An action that it now takes twice as often was drawn too rarely in the rollout, so
# it should count twice. That factor is the **importance weight**. It is kept near 1, since a weight of 50 would let one
# step decide everything. Below you make just one update from each rollout, so all weights are 1. With several, as in
# section 2.3, they matter, and done properly the idea becomes PPO.
# %% exercise="compute_importance_weights" title="Now and then" difficulty=2 importance=3 minutes=10
# hint: Now over then. You have logarithms.
# hint: The exponential of a difference; detached; clamped if there is a clip_coef.
# hint: (logprobs_taken - tau.logprobs).exp().detach(), then .clamp(1 - clip_coef, 1 + clip_coef).
# %% [markdown]
# In CartPole returns go from 1 to 500, elsewhere from -1 to 1, and a learning rate that suits the one doesn't suit the
# other. So before returns enter the loss they are brought to one size.
# %% exercise="normalize_returns" title="One size for all" difficulty=1 importance=3 minutes=5
# hint: In CartPole every return is positive, so every action would become likelier. Which should become rarer?
# hint: Those that were worse than the mean. And the size of a step shouldn't hang on the size of the rewards.
# hint: (returns - returns.mean()) / (returns.std() + eps).
# %% exercise="compute_reinforce_loss" title="A loss with the right slope" difficulty=2 importance=4 minutes=10
# hint: Its gradient must be minus the mean of weight times return times the gradient of the log-probability.
# hint: Leave the gradient away on both sides. What may carry a gradient, and what is data?
# hint: -(iw.detach() * returns.detach() * logprobs_taken).mean().
# %% [markdown]
# ## 8. Noise, and what to do about it
#
# *About 50 minutes of exercises. You measure how noisy a policy gradient is, and make it less so.*
#
# The theorem is about an average over endless play. A rollout is a small sample, and its gradient may point
# almost anywhere. How bad is it? Take several rollouts with the *same* policy, compute the gradient of each, and see how
# much they differ.
# %% exercise="compute_gradient_variance" title="How much do they differ?" difficulty=2 importance=3 minutes=15
# hint: One long vector for each loss: its gradient with respect to all parameters.
# hint: torch.autograd.grad(loss, parameters, retain_graph=True) gives gradients without touching .grad. Stack, take the variance over the losses, sum.
# hint: flat = torch.stack([torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, retain_graph=True)]) for loss in losses]); float(flat.var(dim=0).sum()).
# %% [markdown]
# The usual remedy is a **baseline**. Subtract from each return what was to be *expected* in that state. An action in a
# good state then gets no credit for the state, only for how much better things went than usual: its **advantage**. And it
# costs nothing: the expected gradient stays exactly the same, because a number that doesn't depend on the action
# multiplies $\mathbb{E}[\nabla \log \pi] = 0$.
#
# What is to be expected is learnt by a second network, the **value network**, from the same returns.
# %% exercise="subtract_baseline" title="Better than expected?" difficulty=2 importance=4 minutes=10
# hint: One difference serves both results, but not with the same gradient.
# hint: errors = returns.detach() - values. The advantages are its detached copy; the loss is the mean of its square.
# hint: return errors.detach(), errors.square().mean().
# %% [markdown]
# Now all of it: one update from one rollout. Where a rollout or a time limit cut an episode off, the rewards that would
# have come are missing; `add_what_was_cut` adds the value network's guess there.
# %%
from arena_lib.rl.policy_gradient.training import make_mlp


def add_what_was_cut(tau, value_network, gamma):
    """Rewards, plus the discounted value of next_obs where an episode was cut and didn't terminate."""
    is_cut = tau.truncated.clone()
    is_cut[:, -1] = True
    is_cut &= ~tau.terminated  # both at once is an end too
    rewards = tau.rewards.clone()
    with torch.no_grad():
        rewards[is_cut] += gamma * value_network(tau.next_obs[is_cut]).squeeze(-1)
    return rewards


# %% exercise="learn_from_rollout" title="One update from one rollout" difficulty=3 importance=5 minutes=25
# hint: Every part is a function that you have written. Which needs the result of which?
# hint: Returns, values, advantages and value loss; normalised advantages; log-probabilities and entropy; weights; the loss. Then the usual: clear, backward, clip, step.
# hint: loss = policy_loss + 0.5 * value_loss - ent_coef * entropy.mean().
def learn_from_rollout(tau, policy, value_network, optimizer, *, gamma=0.99, ent_coef=0.01, max_grad_norm=0.5):
    """One update of both networks from one rollout; returns the loss before the update, detached.

    The loss is policy_loss + 0.5 * value_loss - ent_coef * (mean entropy), where

    - returns come from the rewards below and tau.done, values "n_envs n_steps" from value_network(tau.obs)
    - advantages and value_loss come from `subtract_baseline`
    - policy_loss weighs the normalised advantages, with importance weights clipped by 0.2

    The gradient of both networks' parameters together is clipped to max_grad_norm before the step.
    """
    rewards = add_what_was_cut(tau, value_network, gamma)
    # region solution
    returns = compute_returns(rewards, tau.done, gamma)
    values = value_network(tau.obs).squeeze(-1)
    advantages, value_loss = subtract_baseline(returns, values)
    logprobs, entropy = compute_logprobs_and_entropy(tau, policy)
    weights = compute_importance_weights(logprobs, tau, 0.2)
    policy_loss = compute_reinforce_loss(normalize_returns(advantages), logprobs, weights)
    loss = policy_loss + 0.5 * value_loss - ent_coef * entropy.mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*policy.parameters(), *value_network.parameters()], max_grad_norm)
    optimizer.step()
    # endregion
    return loss.detach()


def train_vpg(env_id, *, total_steps, n_envs=8, n_steps=128, lr=3e-3, hidden_sizes=(64, 64), seed=0, **options):
    """Plays and learns; returns the policy, the value network, and the returns of the episodes that ended."""
    stepper = Stepper(make_vector_env(env_id, n_envs), seed)
    d_obs, n_actions = stepper.envs.single_observation_space.shape[0], int(stepper.envs.single_action_space.n)
    torch.manual_seed(seed)
    policy, value_network = make_mlp(d_obs, hidden_sizes, n_actions), make_mlp(d_obs, hidden_sizes, 1)
    optimizer = torch.optim.Adam([*policy.parameters(), *value_network.parameters()], lr=lr)
    player = VPGAgent(stepper, policy, torch.Generator().manual_seed(seed))
    returns = []
    while stepper.n_steps < total_steps:
        tau, ended = player.gen_rollout(Rollout(n_envs, n_steps, (d_obs,)))
        returns += [episode.total_reward for episode in ended]
        learn_from_rollout(tau, policy, value_network, optimizer, **options)
        for group in optimizer.param_groups:
            group["lr"] = lr * max(1 - stepper.n_steps / total_steps, 0.0)
    return policy, value_network, returns


for number in (4, 5, 6):
    policy, value_network, _ = train_vpg(
        f"arena/Probe{number}-v0",
        total_steps=6_000,
        n_steps=8,
        lr=3e-2,
        hidden_sizes=(16,),
        gamma=0.5,
        max_grad_norm=5.0,
    )
    probe = make_vector_env(f"arena/Probe{number}-v0", 1).envs[0].unwrapped
    for obs, action in probe.best_actions().items():
        chance = policy(torch.tensor([[obs]])).softmax(-1)[0, int(action)].item()
        assert chance > 0.8, (
            f"probe {number}: at {obs} action {action:.0f} is the best, and has probability {chance:.2f}"
        )
# %% result
# the same pole, balanced by a policy.
n_steps = 4_000 if SCALE == "tiny" else 100_000
policy, value_network, returns = train_vpg("CartPole-v1", total_steps=n_steps)
print(f"greedy, 20 episodes: a mean return of {evaluate(greedy(policy), 'CartPole-v1').mean:.0f} (at most 500)")
plots.lines(
    {"return": returns},
    x_title="episode",
    y_title="return",
    title="Your policy gradient agent, while it trains",
    references={"best possible": 500},
)


# %%
def measure_noise(env_id, *, n_trained, n_rollouts):
    """The variance of the gradient over rollouts of one policy that has learnt a little, for four ways to weigh actions."""
    young, young_value, _ = train_vpg(env_id, total_steps=n_trained)
    d_obs = young[0].in_features
    player = VPGAgent(Stepper(make_vector_env(env_id, 4), 5), young, torch.Generator().manual_seed(5))
    taus = [player.gen_rollout(Rollout(4, 128, (d_obs,)))[0] for _ in range(2 * n_rollouts)]
    after = [compute_returns(add_what_was_cut(tau, young_value, 0.99), tau.done, 0.99) for tau in taus]
    fit = torch.optim.Adam(young_value.parameters(), lr=3e-3)
    for _ in range(40):  # on half of the rollouts the value network learns what this policy brings
        for tau, returns in zip(taus[:n_rollouts], after[:n_rollouts], strict=True):
            _, value_loss = subtract_baseline(returns, young_value(tau.obs).squeeze(-1))
            fit.zero_grad()
            value_loss.backward()
            fit.step()
    losses = {
        "all rewards of the episode": [],
        "what came after": [],
        "minus its mean": [],
        "minus the value network": [],
    }
    for tau, returns in zip(taus[n_rollouts:], after[n_rollouts:], strict=True):
        logprobs, _ = compute_logprobs_and_entropy(tau, young)
        whole = returns.clone()
        for t in range(1, tau.n_steps):  # every step of an episode gets the return of its first step
            whole[:, t] = torch.where(tau.done[:, t - 1], returns[:, t], whole[:, t - 1])
        advantages, _ = subtract_baseline(returns, young_value(tau.obs).squeeze(-1))
        weighed = [whole, returns, returns - returns.mean(), advantages - advantages.mean()]
        for name, weight in zip(losses, weighed, strict=True):
            losses[name].append(compute_reinforce_loss(weight, logprobs, torch.ones_like(weight)))
    return {name: compute_gradient_variance(each, young.parameters()) for name, each in losses.items()}


# %% result
# what a baseline is good for, in two environments.
# The variance of the gradient, as a share of that with "what came after". In CartPole most states promise much the same,
# so their mean does as well as a value network. In probe 6 the observation decides nearly all of the reward.
n_rollouts = 3 if SCALE == "tiny" else 16
noise = {}
for env_id, n_trained in {"CartPole-v1": 20_000, "arena/Probe6-v0": 2_000}.items():
    variances = measure_noise(env_id, n_trained=n_trained if SCALE == "full" else 2_000, n_rollouts=n_rollouts)
    noise[env_id] = [variance / variances["what came after"] for variance in variances.values()]
plots.bars(
    noise,
    list(variances),
    y_title="variance of the gradient, relative",
    title="A baseline makes the gradient less noisy",
)
# %% result
# watch it.
record(greedy(policy), "CartPole-v1", max_steps=60 if SCALE == "tiny" else 300)
# %% [markdown]
# ## What you have learned
#
# You have written two families of agents. DQN learns what actions are worth, can learn from old experience, and needs a
# memory and a target network to hold together. Policy gradient learns what to do, needs fresh experience, and fights
# with noise. You know how to find a fault with probes, why *terminated* and *truncated* are two things, and that an
# agent's expectation can be read out of its hidden layer.
#
# ## What comes next
#
# Section 2.3 joins the two: an actor with a critic, advantages that look several steps ahead, and a loss that keeps
# each update small. That's PPO, which most of today's agents and language models are trained with.
#
# ## On your own
#
# - **When does it collapse?** DQN on CartPole often forgets what it knew. Train with `DQNTrainer` for 200,000 steps and
#   evaluate every 5,000, with five seeds. Which of the improvements keeps it from collapsing? What do the values look like
#   just before?
# - **Replicate a paper.** Hessel et al. 2018 ([arXiv:1710.02298](https://arxiv.org/abs/1710.02298)) take their *Rainbow*
#   apart. Take LunarLander, switch on `is_double`, `is_dueling`, `is_prioritized` and `n_step=3` one by one, and compare
#   by the interquartile mean over ten seeds. Is the order of the gains theirs?
# - **Change its mind.** Your probe gives a direction in the hidden layer that stands for "this will go well". Add it
#   to the activations with a hook while the agent plays. Does it act as if it felt safe?
#
# ## Reading
#
# - Mnih et al. 2015, [Human-level control through deep reinforcement learning](https://doi.org/10.1038/nature14236)
# - Van Hasselt et al. 2016, [Deep reinforcement learning with double Q-learning](https://arxiv.org/abs/1509.06461)
# - Hessel et al. 2018, [Rainbow](https://arxiv.org/abs/1710.02298)
# - Pardo et al. 2018, [Time limits in reinforcement learning](https://arxiv.org/abs/1712.00378), on terminated and truncated
# - Sutton and Barto 2018, [Reinforcement learning: an introduction](https://incompleteideas.net/book/the-book-2nd.html),
#   chapter 13, on policy gradients
# - Jones 2021, [Debugging RL, without the agonizing pain](https://andyljones.com/posts/rl-debugging.html), on probes
