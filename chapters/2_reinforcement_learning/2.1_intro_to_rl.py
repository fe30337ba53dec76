# ---
# arena: {id: "2.1", slug: intro_to_rl, title: Intro to RL, hours: 7}
# objectives:
#   - "Choose among arms of unknown worth, and measure in regret what finding out has cost"
#   - "Write down a world as a Markov decision process, and work out the value of a policy in it"
#   - "Find the best policy where the dynamics are known: by policy iteration and by value iteration"
#   - "Learn it where they are not: SARSA, Q-learning and their kin, and see how they differ"
#   - "Spread what was learned over many steps at once, with n-step returns and eligibility traces"
# ---
# %% [markdown]
# ## What you will build
#
# Nobody tells a learner in this chapter what is right. It acts, the world answers with a number, the **reward**, and
# from such numbers alone it must find out how to act so that they add up to as much as possible. That is
# reinforcement learning. The same ideas, with neural networks in place of tables, teach programs to play games
# and language models to please people; what goes wrong there goes wrong here too, and here you can see it.
#
# In this section everything is small enough for a table. You write
#
# - agents for **bandits**, worlds with one state, where the only question is whether to explore,
# - **planning**: how to work out the best way to act where the world's rules are known,
# - **learning**: how to find it where they aren't, by trying,
# - and agents that carry a surprise back over many steps at once.
#
# In part 3 agents walk along a cliff. All have learned well. One falls again and again, and you will know why.
#
# ### How to work through this
#
# Each exercise is a function or a class with a gap. The docstring says what must hold: the formula, what changes in
# place, which random numbers are drawn and in which order. A judge looks at your code and tells you
# what is wrong. Each exercise has three hints, from the idea to the step.
#
# Arrays are numpy's. Shapes are written in words: `"n_states n_actions"` is a table with a row for each state. Random
# numbers come from a generator, `rng`, which is passed or kept by the agent, so that a run can be repeated.
#
# | part | minutes |
# |---|---|
# | 1. Bandits | 105 |
# | 2. Planning | 135 |
# | 3. Learning by trying | 80 |
# | 4. Many steps at once | 40 |
#
# These are the minutes of the exercises, six hours together. The seven hours at the top leave one for reading, and
# for looking at what your agents do.
#
# ## 1. Bandits
#
# *About 105 minutes of exercises. You write four agents and the hearts of two more, and see what each of them loses.*
#
# Ten slot machines stand side by side. Each pays a random amount around a mean of its own, which you don't know. You
# may pull a thousand times. If you only ever pull the one that looks best, you may never find out that another
# is better. If you try all of them all the time, you waste pulls on bad ones. To **exploit** or to **explore**: the
# whole of part 1 is about this one question.
#
# The machines are called *arms*. A bandit has no states: what you do now doesn't change what you can do next. So
# it's the right place to look at exploring by itself.
#
# In our bandit each arm's mean is drawn once from a normal distribution with mean 0 and deviation 1, and each pull pays
# that mean plus noise of deviation 1. So most arms pay between -2 and 2 on average, the best of ten about 1.5, and a
# single pull says little.
#
# The simplest agent is one that doesn't think. It's worth having: whatever doesn't beat it has learned nothing.
# %% exercise="random_agent" title="Any arm will do" difficulty=1 importance=2 minutes=5
# hint: Every arm has the same chance, whatever it has paid.
# hint: rng.integers(n) draws a whole number from 0 to n - 1.
# hint: return int(self.rng.integers(self.n_arms))
# %% [markdown]
# To do better, an agent must remember what each arm has paid. It needs no list. When a mean over $n - 1$ rewards is
# known, one more reward $r$ moves it by one $n$-th of the difference:
#
# $$\text{average} \leftarrow \text{average} + \frac{1}{n}\,(r - \text{average})$$
#
# *Old estimate, plus a step towards what was seen.* You will meet this form in every exercise that learns, with
# other things in place of $1/n$ and $r$.
# %% exercise="update_average" title="An average without a list" difficulty=2 importance=4 minutes=10
# hint: How many rewards of this arm have there been, this one included?
# hint: Raise the count first, then move the average by the difference over the count.
# hint: counts[action] += 1; averages[action] += (reward - averages[action]) / counts[action]
# %% [markdown]
# Now the choice. **Epsilon-greedy** takes the arm with the best average, except that with a small probability
# $\epsilon$ it takes any arm. Crude, and hard to beat.
# %% exercise="epsilon_greedy_action" title="Mostly the best, sometimes any" difficulty=2 importance=4 minutes=10
# hint: One random number decides whether to explore.
# hint: rng.random() is below epsilon with probability epsilon. Only then draw an action.
# hint: if rng.random() < epsilon: return int(rng.integers(len(values))); otherwise int(values.argmax()).
# %% exercise="reward_averaging" title="Put the two together" difficulty=2 importance=3 minutes=15
# hint: What does the agent have to know, and what does it know at first?
# hint: reset makes the generator, the averages and the counts; the other two methods are one call each of what you wrote.
# hint: np.full(self.n_arms, self.optimism, dtype=float) and np.zeros(self.n_arms, dtype=int); super().reset(seed) makes self.rng.
# %% [markdown]
# How good can one be at all? An agent that is told the best arm shows it. In the figures below it's the yardstick.
# %% exercise="cheaty_mc_cheater" title="An agent that is told" difficulty=1 importance=2 minutes=5
# hint: The answer comes with every step, in info.
# hint: observe keeps it, get_action gives it back, reset forgets it.
# hint: self.best_arm = info["best_arm"]
# %% [markdown]
# What an agent loses against one that takes the best arm from the start is called its **regret**: for every step the
# best arm's mean minus the mean of the arm it took, added up. A curve that goes flat means that the agent has found the
# best arm. A straight line that goes on rising means that it loses the same again and again.
# %% exercise="compute_regret" title="What it has cost so far" difficulty=2 importance=3 minutes=10
# hint: Rewards are luck. Which means did the steps have?
# hint: means[actions] picks the mean of the arm taken at every step.
# hint: np.cumsum(means.max() - means[actions])
# %% result
# what exploring costs, and what not exploring costs.
# The random agent loses about 1.5 at every step. The greedy agent's regret becomes a straight line too: in most runs it
# has settled on an arm that isn't the best. With an epsilon of 0.1 the agent finds the best arm soon, and then goes on
# wasting every tenth pull for ever. The agent that is told loses something in its first step only.
from arena_lib.plots.rl.mean_curves import mean_curves
from arena_lib.rl.bandits.playing import run_bandits

n_runs, n_steps = (100, 200) if SCALE == "tiny" else (200, 1000)
bandit_agents = {
    "random": RandomAgent(10),
    "greedy": RewardAveraging(10, epsilon=0.0),
    "epsilon 0.1": RewardAveraging(10, epsilon=0.1),
    "epsilon 0.01": RewardAveraging(10, epsilon=0.01),
    "told the best": CheatyMcCheater(10),
}
runs = {name: run_bandits(agent, n_runs=n_runs, n_steps=n_steps) for name, agent in bandit_agents.items()}
mean_curves({name: run.regret for name, run in runs.items()}, title="Regret of the first agents")
# %% result
# how often each agent takes the best arm.
# This is figure 2.2 of Sutton and Barto. After 1000 steps greed sits on the best arm in somewhat more than a third of
# the runs, epsilon 0.1 takes it in nearly 80 % of its steps, and epsilon 0.01 is slower but would overtake it. (At the
# scale "tiny" you see the first 200 steps.)
mean_curves(
    {name: run.was_best.astype(float) for name, run in runs.items()},
    y_title="share of runs",
    title="Taking the best arm",
    window=10,
    limits=(0.0, 1.0),
)
# %% [markdown]
# ### Optimism
#
# There is a way to explore without any chance at all: believe at first that every arm is wonderful. A greedy agent
# with `optimism=5`, far more than any arm pays, tries an arm, is disappointed, tries the next, and so tries them all.
# But in your agent the very
# first reward wipes out the optimism of its arm, for an average over one reward *is* that reward. In figure
# 2.3 of Sutton and Barto the step has a constant size of 0.1, so that an arm must disappoint many times. The
# library's `ConstantStepAveraging` does that.
#
# ### Doubt as a bonus
#
# Epsilon-greedy explores blindly: it pulls a hopeless arm as readily as one that might be the best. Better to give each
# arm a bonus for how little is known of it, and to take the arm with the largest **upper confidence bound**:
#
# $$\text{average}_a + c \sqrt{\frac{\ln t}{n_a}}$$
#
# Here $n_a$ is how often arm $a$ was taken, and $t$ how many steps there have been. An arm is taken because it is good
# or because it is little known; and if it turns out bad its bonus soon shrinks.
# %% exercise="ucb_action_selection" title="The benefit of the doubt" difficulty=3 importance=3 minutes=20
# hint: Two cases: an arm that was never taken, and all others. What would the formula give for n = 0?
# hint: self.counts == 0 marks the arms never taken, and argmax of booleans finds the first True.
# hint: bonus = np.sqrt(np.log(self.counts.sum()) / self.counts); int((self.averages + self.c * bonus).argmax())
# %% result
# other ways to explore, in their first 100 steps.
# Figures 2.3 and 2.4 of Sutton and Barto. The axis counts from 0: in the steps 0 to 9 both newcomers try every arm
# once, and in step 10 each of them takes the arm that has paid most so far. Hence the peak. Then the optimist must
# still be disappointed many times, and UCB's bonus sends it back to the arms that it has tried once.
from arena_lib.rl.bandits.agents import ConstantStepAveraging

more = {
    "UCB, c = 2": UCBActionSelection(10, c=2.0),
    "optimistic, greedy": ConstantStepAveraging(10, epsilon=0.0, optimism=5.0),
}
runs |= {name: run_bandits(agent, n_runs=n_runs, n_steps=n_steps) for name, agent in more.items()}
explorers = {name: runs[name].was_best.astype(float) for name in ("epsilon 0.1", *more)}
mean_curves(
    {name: array[:, :100] for name, array in explorers.items()},
    y_title="share of runs",
    title="The first steps",
    limits=(0.0, 1.0),
)
# %% result
# the same agents, in all their steps.
# Over 1000 steps the optimist is slow at first, but in the end it takes the best arm more often than epsilon 0.1 does,
# and so does UCB: neither has to waste every tenth pull.
mean_curves(explorers, y_title="share of runs", title="All steps", window=10, limits=(0.0, 1.0))
# %% [markdown]
# ### Preferences instead of values
#
# So far the agents estimate what arms are *worth*, and take the best. One can also skip that: keep a **preference**
# $h_a$ for each arm, and draw arm $a$ with the probability that the **softmax** of the preferences gives it:
#
# $$p_a = \frac{e^{h_a}}{\sum_k e^{h_k}}$$
#
# After each reward the arm that was taken becomes likelier if it paid more than usual, and less likely if it paid less.
# "Usual" is called the **baseline**; an average of past rewards will do.
#
# It's the smallest example of a *policy gradient*. The expected reward is $\sum_k p_k \mu_k$, where $\mu_k$ is what arm
# $k$ pays on average, and its derivative by $h_a$ is $p_a (\mu_a - \sum_k p_k \mu_k)$. That is just what the step below
# is on average (divided by the learning rate), whatever the baseline. So on average it goes uphill. Section 2.2 does
# the same with a network, and derives it there.
# %% exercise="gradient_bandit_step" title="More of what went well" difficulty=3 importance=4 minutes=20
# hint: Was the reward better than the baseline? Then the action's preference rises and all others fall.
# hint: Write (1 - p) for the action taken and (0 - p) for the others: one array, "is it the action" minus p.
# hint: preferences + lr * (reward - baseline) * (taken - p), with taken = np.arange(len(preferences)) == action.
# %% result
# what the baseline is for: the same agent with it and without.
# All rewards are around 4 here (as in figure 2.5 of Sutton and Barto). Without a baseline nearly every reward is above
# 0, so whichever arm was drawn becomes likelier, good or bad. Those that happen to be drawn early run away with it.
# With a baseline an arm must pay more than usual to become likelier.
from arena_lib.rl.bandits.agents import GradientBandit
from arena_lib.rl.bandits.testbed import BernoulliBandit, MultiArmedBandit

baselines = {"with a baseline": True, "without": False}
with_and_without = {
    name: run_bandits(
        GradientBandit(10, lr=0.4, use_baseline=use),
        lambda: MultiArmedBandit(10, mean=4.0),
        n_runs=n_runs,
        n_steps=n_steps,
    ).was_best.astype(float)
    for name, use in baselines.items()
}
mean_curves(
    with_and_without, y_title="share of runs", title="Gradient bandits, rewards around 4", window=10, limits=(0.0, 1.0)
)
# %% result
# what all of them lose on the same ten arms.
# The gradient bandit is the library's, built around the step that you wrote. After 1000 steps UCB has lost least. (All
# have a setting that matters, c or epsilon or the learning rate, so this is no last word on which idea is best.)
runs["gradient, lr = 0.1"] = run_bandits(GradientBandit(10, lr=0.1), n_runs=n_runs, n_steps=n_steps)
mean_curves(
    {name: run.regret for name, run in runs.items() if name not in ("random", "epsilon 0.01")},
    title="Regret on ten arms",
)
# %% [markdown]
# ### Draw what may be true
#
# The last idea is from 1933. Suppose arms win or lose. After $w$ wins and $l$ losses you don't know an arm's chance of
# winning, but you know how likely each chance is: that's a Beta distribution with the parameters $1 + w$ and $1 + l$.
# Beta(1, 1), before any pull, is flat: every chance is equally likely. With every win or loss it becomes narrower
# around $w / (w + l)$.
# %% result
# what is known of an arm that wins two pulls of three.
# Where a curve is high, that chance of winning is likely. A draw from the blue one may be anything, one from the green
# one is near 2/3.
import numpy as np

from arena_lib import plots

chances = np.linspace(0, 1, 101)
known = {"no pull yet": (0, 0), "2 wins, 1 loss": (2, 1), "20 wins, 10 losses": (20, 10)}
densities = {}
for name, (wins, losses) in known.items():
    density = chances**wins * (1 - chances) ** losses
    densities[name] = density / density.mean()
plots.lines(densities, x=chances, x_title="chance of winning", y_title="density", title="Beta(1 + wins, 1 + losses)")
# %% [markdown]
# **Thompson sampling** draws one chance for each arm from its distribution, and takes the best draw. So each
# arm is taken just as often as it is likely to be the best.
# %% exercise="thompson_action" title="Draw, then believe it" difficulty=2 importance=3 minutes=10
# hint: An arm of which little is known has a wide distribution, so that its draw is sometimes very high.
# hint: rng.beta takes arrays: one call draws for all arms.
# hint: int(rng.beta(1 + n_wins, 1 + n_losses).argmax())
# %% result
# the regret of Thompson sampling goes flat.
# Each arm's chance of winning is drawn evenly from 0 to 1. Epsilon 0.1 goes on losing the same at every step. UCB with
# c = 1 loses most: here rewards are 0 or 1, and a bonus made for rewards that vary more sends it to bad arms for
# too long. With c = 0.3 it keeps up with Thompson sampling, which has nothing to be set.
from arena_lib.rl.bandits.agents import ThompsonSampling

contest = {
    "epsilon 0.1": RewardAveraging(10),
    "UCB, c = 1": UCBActionSelection(10, c=1.0),
    "UCB, c = 0.3": UCBActionSelection(10, c=0.3),
    "Thompson": ThompsonSampling(10),
}
losses = {
    name: run_bandits(agent, BernoulliBandit, n_runs=n_runs, n_steps=n_steps).regret for name, agent in contest.items()
}
mean_curves(losses, title="Arms that win or lose")
# %% [markdown]
# ## 2. Planning
#
# *About 135 minutes of exercises. You write down two worlds, and find the best way to act in them.*
#
# Now what you do changes where you are. A **Markov decision process** has states $s$, actions $a$, and rules: in state
# $s$ the action $a$ leads to state $s'$ with probability $T(s, a, s')$ and pays $R(s, a, s')$. It's called *Markov*
# because nothing else matters: how you came to $s$ is forgotten.
#
# Our worlds are grids. This one is Russell and Norvig's: G pays +1 and ends the episode, X pays -1 and ends it too,
# each other step costs 0.04, and the ground is slippery.
# %% exercise="norvig" title="Slippery ground" difficulty=3 importance=3 minutes=20
# hint: Three things may happen. Where does each of them lead?
# hint: Directions are numbered clockwise, so the sides of direction a are (a + 1) % 4 and (a - 1) % 4. The reward depends on the letter of the state that is entered.
# hint: states = [self.move(state, direction) for direction in (action, (action + 1) % 4, (action - 1) % 4)], with the probabilities 0.8, 0.1 and 0.1.
# %% exercise="cliff_walking" title="Along a cliff" difficulty=2 importance=3 minutes=10
# hint: Only one thing can follow, so the arrays have one entry.
# hint: Find out where the step leads, then ask which letter stands there.
# hint: if self.letter(successor) == "C": successor, reward = self.start, -100.0
# %% result
# your first world.
# S is the start, dark grey is a wall, G the good end and X the bad one.
from arena_lib.plots.rl.gridworlds import compare_gridworlds, episode, gridworld

norvig = Norvig()
gridworld(norvig.rows, title="Norvig's grid")
# %% result
# and your second one.
# Brown is the cliff. The shortest way from S to G runs along its edge: one step up, eleven to the right, one down.
cliff = CliffWalking()
gridworld(cliff.rows, title="Cliff walking")
# %% [markdown]
# ### What is a policy worth?
#
# A **policy** says what to do: `pi[s]` is the action in state `s`. Its **value** $V(s)$ is the sum of all rewards that
# follow from $s$ on average, where a reward that comes $k$ steps later counts $\gamma^k$ times. The discount $\gamma$
# says how much the future matters. Values obey a simple rule, **Bellman's equation**: the value of a state is the next
# reward, plus $\gamma$ times the value of where one is then.
#
# $$V(s) = \sum_{s'} T(s, \pi(s), s')\,\bigl(R(s, \pi(s), s') + \gamma V(s')\bigr)$$
#
# The examples in the docstrings below use a world that is small enough to check by hand, `TwoLoops`. From state 0
# action 0 leads to state 1 and pays 1 at once; action 1 leads to state 2 and pays nothing, but from there the way back
# pays 2. Both come back to 0, and there is no end:
#
# ![Two loops from state 0: through state 1 with rewards 1 and 0, through state 2 with rewards 0 and 2](figures/two_loops.png)
#
# Which loop is better depends on the discount: 1 now, or $2 \gamma$, one step later.
#
# There are two ways to find the $V$ that fits. One is to begin with zeros and apply the rule again and again.
# %% exercise="policy_eval_numerical" title="Sweep until nothing changes" difficulty=3 importance=4 minutes=25
# hint: Each sweep makes new values from old ones by the formula. Keep the old ones apart.
# hint: env.T[states, pi] with states = np.arange(env.n_states) picks the row of the policy's action for every state, "n_states n_states".
# hint: V = (transitions * (rewards + gamma * before)).sum(axis=1); stop if np.abs(V - before).max() < eps.
# %% [markdown]
# The other is to see that the rule is a set of linear equations, one for each state. With $P$ the table of where the
# policy leads, and $r$ the mean reward of its next step, it says $V = r + \gamma P V$.
# %% exercise="policy_eval_exact" title="Or solve it" difficulty=2 importance=3 minutes=15
# hint: Bring both V to one side.
# hint: (I - gamma P) V = r. numpy solves linear equations.
# hint: np.linalg.solve(np.eye(env.n_states) - gamma * P, (P * env.R[states, pi]).sum(axis=1))
# %% result
# how fast the sweeps come near.
# Each sweep shrinks the largest error at least by the factor gamma: the rule is a *contraction*. So your errors stay at
# or below the second line, the first error times gamma^k after k sweeps.
always_up = np.zeros(12, dtype=int)
exact = policy_eval_exact(norvig, always_up, gamma=0.9)
errors = [np.abs(policy_eval_numerical(norvig, always_up, 0.9, 0.0, k) - exact).max() for k in range(30)]
figure = plots.lines(
    {"your largest error": errors, "first error times gamma^k": [errors[0] * 0.9**k for k in range(30)]},
    x_title="sweeps",
    y_title="error",
    title="Policy evaluation converges",
)
figure.update_yaxes(type="log", dtick=1)
# %% [markdown]
# ### Make it better
#
# If you know what states are worth, you know what each *action* is worth: its next reward, plus $\gamma$ times the
# value of where it leads. In each state take the best one. The new policy is at least as good as the old one.
# %% exercise="compute_action_values" title="What is each action worth?" difficulty=2 importance=4 minutes=15
# hint: It's the formula of policy evaluation, for all actions instead of the policy's.
# hint: V has the axis of the states that may follow, which is the last axis of env.T and env.R, so shapes fit as they are.
# hint: (env.T * (env.R + gamma * V)).sum(axis=-1)
# %% exercise="policy_improvement" title="Take the best" difficulty=1 importance=4 minutes=10
# hint: You have a table with a row for each state and a column for each action.
# hint: argmax along the axis of the actions gives the first of equal ones.
# hint: compute_action_values(env, V, gamma).argmax(axis=1)
# %% [markdown]
# Evaluate, improve, evaluate the better policy, improve it again. There are only so many policies, and each
# round makes a better one, so it must come to an end, and there it is the best of all. Usually it takes a handful of
# rounds.
#
# The cell of imports at the top has brought `check_gamma_below_one`. The library's own version calls it first,
# `check_gamma_below_one(gamma)`: it raises an error for a gamma of 1, for then a policy that never reaches an end has
# no finite value, and there is nothing to solve for. You may call it too, or leave it out.
# %% exercise="find_optimal_policy" title="Policy iteration" difficulty=3 importance=4 minutes=20
# hint: What shows that nothing is left to improve?
# hint: A loop: evaluate exactly, improve, compare with the policy before.
# hint: improved = policy_improvement(env, policy_eval_exact(env, pi, gamma), gamma); stop if (improved == pi).all(), else pi = improved.
# %% [markdown]
# Why evaluate a policy to the end if it will be replaced anyway? **Value iteration** makes one sweep, takes the best
# action at once, and never writes a policy down.
# %% exercise="value_iteration" title="Value iteration" difficulty=2 importance=4 minutes=20
# hint: It's your policy evaluation with a maximum over the actions in place of the policy.
# hint: compute_action_values gives all actions; each state takes its best.
# hint: V = compute_action_values(env, before, gamma).max(axis=1)
# %% result
# the best policy on slippery ground.
# These are the values in Russell and Norvig's book (gamma 1, each step costs 0.04). Look at the lower row: it
# walks away from X and takes the long way round.
V = value_iteration(norvig, gamma=1.0)
gridworld(norvig.rows, values=V, policy=policy_improvement(norvig, V, 1.0), title="Norvig's grid")
# %% result
# what happens when every step is expensive: the same grid where each step costs 2.
# Now any end is welcome, X too, as long as it is near.
expensive = Norvig(penalty=-2.0)
V = value_iteration(expensive, gamma=1.0)
gridworld(expensive.rows, values=V, policy=policy_improvement(expensive, V, 1.0), title="Each step costs 2")
# %% result
# a third world: the windy grid.
# Below each column stands how many cells up the wind carries a walker who leaves it. Each step costs 1. The best way
# has 15 steps: it goes past the goal, for otherwise the wind would carry it over.
from arena_lib.rl.environments.gridworlds import Windy
from arena_lib.rl.tabular.experiments import greedy_path

windy = Windy()
best = policy_improvement(windy, value_iteration(windy, gamma=1.0), 1.0)
figure = gridworld(windy.rows, paths={"the best way": greedy_path(windy, best)}, title="The windy grid")
winds = [f"wind {force}" if force else "" for force in windy.WIND]
figure.update_xaxes(showticklabels=True, tickvals=list(range(10)), ticktext=winds)
# %% [markdown]
# ## 3. Learning by trying
#
# *About 80 minutes of exercises. You write agents that know nothing of the world's rules.*
#
# Planning needs $T$ and $R$. From here on agents get neither: they see a state, choose an action, and are told a reward
# and the next state. You write what an agent learns from one step, `observe`; the library does the rest. `Agent` plays
# the episodes (`run_episode`), and `EpsilonGreedy`, an `Agent` too, keeps a table and acts on it. They give you
#
# | name | what it is |
# |---|---|
# | `self.Q` | what the agent thinks each action is worth, `"n_states n_actions"` |
# | `self.config.lr`, `.epsilon`, `.lambda_` | learning rate, share of random actions, how slowly traces fade (part 4) |
# | `self.gamma`, `self.rng` | the discount, and the agent's own generator |
# | `self.get_action(obs)` | an epsilon-greedy choice from `self.Q[obs]` |
# | `self.env.env` | the world with its rules, which only an agent that cheats looks at |
#
# After each step `run_episode` calls `observe(exp)`. The `Experience` has the fields `obs`, `act`, `reward`, `new_obs`,
# `terminated` (whether the episode has ended there) and `new_act`. The last one needs a word. Most agents learn first
# and choose their next action afterwards; then `new_act` is None. An agent whose class says `chooses_ahead = True`
# chooses its next action *before* it learns, and `new_act` says which it is.
#
# First the yardstick again: an agent that looks the rules up.
# %% exercise="cheater" title="An agent that knows the rules" difficulty=1 importance=3 minutes=10
# hint: It does all its thinking before the first step.
# hint: find_optimal_policy plans in env.env, for the agent's gamma.
# hint: super().__init__(env, config, gamma, seed); self.pi = find_optimal_policy(env.env, gamma)
# %% [markdown]
# ### Learn from each step
#
# A table `Q[s, a]` holds what the agent thinks each action is worth. After a step it has seen one piece of the truth,
# the reward, and it has an opinion about what follows. Together they make a **target**, and the old value moves a
# little towards it:
#
# $$Q(s, a) \leftarrow Q(s, a) + \alpha\,\bigl(r + \gamma \cdot \text{value of } s' - Q(s, a)\bigr)$$
#
# It's the running average from part 1, with a constant step. To learn from one's own opinion is called
# **bootstrapping**. One thing must never be forgotten: where the episode has *terminated*, nothing follows, and the
# value of $s'$ is 0.
#
# What is the value of $s'$? **Q-learning** says: that of the best action there. So it learns about the best policy,
# while it may behave in quite another way. That is called **off-policy**.
# %% exercise="q_learning" title="Q-learning" difficulty=3 importance=5 minutes=20
# hint: Three steps: what follows, the target, and the move towards it.
# hint: What follows is worth self.Q[exp.new_obs].max(), and nothing if exp.terminated.
# hint: self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])
# %% [markdown]
# **SARSA** says: that of the action that I will really take there, mistakes and all. So it learns what *its own*
# behaviour is worth: **on-policy**.
# %% exercise="sarsa" title="SARSA" difficulty=2 importance=4 minutes=10
# hint: One word changes against Q-learning.
# hint: The action that will be taken is exp.new_act.
# hint: following = 0.0 if exp.terminated else self.Q[exp.new_obs, exp.new_act]
# %% exercise="expected_sarsa" title="SARSA without the noise" difficulty=3 importance=3 minutes=15
# hint: The next action is random, but you know its chances. Why not take the mean?
# hint: With probability 1 - epsilon the best, with probability epsilon any: the mean of all.
# hint: (1 - epsilon) * values.max() + epsilon * values.mean(), where values = self.Q[exp.new_obs].
# %% result
# three agents on the cliff, while they learn.
# All explore with an epsilon of 0.1. In the end SARSA earns about -25 in an episode and Q-learning about -48 (example
# 6.6 of Sutton and Barto). Its curve is at about -42, for returns below -150 are cut off here, so that a few terrible
# episodes don't hide the rest. Expected SARSA is best, about -21: its target has no luck of the next action in it.
from arena_lib.rl.environments.gridworlds import MaximizationBias
from arena_lib.rl.tabular.agents import AgentConfig
from arena_lib.rl.tabular.experiments import train_agents

n_seeds, n_episodes = (2, 120) if SCALE == "tiny" else (20, 500)
config = AgentConfig(epsilon=0.1, lr=0.5)
trained, returns = {}, {}
for name, make in {"SARSA": SARSA, "Q-learning": QLearning, "expected SARSA": ExpectedSARSA}.items():
    trained[name], returns[name] = train_agents(
        make, CliffWalking, config=config, gamma=1.0, n_episodes=n_episodes, n_seeds=n_seeds
    )
mean_curves(
    {name: array.clip(min=-150) for name, array in returns.items()},
    x_title="episode",
    y_title="return (cut off at -150)",
    title="Cliff walking, while learning",
    window=10,
    limits=(-150.0, 0.0),
    references={"best possible": -13.0},
)
# %% result
# the ways that they have learned. Press play.
# This is how they walk once they have stopped exploring. Q-learning goes along the edge, in 13 steps: the best way, if
# one never slips. But while it learned it slipped, with probability epsilon, and fell. SARSA has felt that its own
# walking is unsteady, and keeps away from the edge; expected SARSA walks between the two. (At the scale "tiny" they
# haven't learned for long, and may still stray.)
ways = {name: greedy_path(cliff, agents[0].Q.argmax(axis=1), 60) for name, agents in trained.items()}
episode(cliff.rows, ways, title="What each has learned")


# %% [markdown]
# That is a failure one can watch: an agent that is optimal *for a world in which it doesn't explore*, and pays for it
# in the one where it does. Neither is wrong. They answer different questions: how should one walk if one never slips,
# and how if one does?
#
# The second question has an exact answer too. You have all it takes: in your value iteration, put the mean
# over an epsilon-greedy choice in place of the maximum.
# %% result
# the best ways for unsteady walkers.
# With an epsilon of 0.1 the best way has 15 steps and keeps one row between itself and the edge. Expected SARSA finds
# it. SARSA with its large learning rate keeps further away, for one fall moves a value by half of its cost. And the
# edge pays only for a very steady walker: at about 0.0075 and below. At 0.01, one random action in a hundred, it is
# still better to keep off. (Lines in one row of cells are drawn apart.)
def best_way(epsilon):
    V, change = np.zeros(cliff.n_states), np.inf
    while change > 1e-8:
        Q = compute_action_values(cliff, V, gamma=1.0)
        before, V = V, (1 - epsilon) * Q.max(axis=1) + epsilon * Q.mean(axis=1)
        change = np.abs(V - before).max()
    return greedy_path(cliff, Q.argmax(axis=1))


steady = {epsilon: best_way(epsilon) for epsilon in (0.1, 0.01, 0.007)}
steps = {f"epsilon {epsilon}: {len(way) - 1} steps": way for epsilon, way in steady.items()}
gridworld(cliff.rows, paths=steps, title="The best ways for unsteady walkers")
# %% [markdown]
# ### Too good to be true
#
# Q-learning takes the maximum over noisy values, and the maximum of noisy numbers is too large on average: of many bad
# actions one looks good by luck. **Double Q-learning** keeps two tables that learn from different steps. One says which
# action is best, the other what it is worth; the luck of one isn't the luck of the other.
#
# A small world shows the difference, `MaximizationBias`. In A half of the ten actions go right, to the end, for a
# reward of 0. The other half go left to B, where each of ten actions ends the episode with a reward of -0.1 on average
# and a deviation of 1. So left is a little worse, and after a few tries it looks better:
#
# ![From A right to the end for 0, or left to B, where ten noisy actions pay -0.1 on average](figures/maximisation_bias.png)
# %% exercise="double_q_learning" title="Two opinions" difficulty=3 importance=3 minutes=25
# hint: Which table chooses, which one values, and which one learns?
# hint: Draw the learner. It chooses the best action in new_obs, the other table gives that action's value, and the learner moves.
# hint: own, other = self.tables[learner], self.tables[1 - learner]; following = other[exp.new_obs, own[exp.new_obs].argmax()].
# %% result
# a trap for maximisers.
# With an epsilon of 0.1 left can't be helped one time in twenty, the line below. Q-learning goes there far more often,
# for a long time, and double Q-learning soon comes close to the line (as in figure 6.5 of Sutton and Barto; here both
# begin on the left, for at first all values are equal, and the first of equal actions leads there).
n_seeds, n_episodes = (10, 60) if SCALE == "tiny" else (300, 300)
gentle = AgentConfig(epsilon=0.1, lr=0.1)
went_left = {}
for name, make in {"Q-learning": QLearning, "double Q-learning": DoubleQLearning}.items():
    _, earned = train_agents(make, MaximizationBias, config=gentle, gamma=1.0, n_episodes=n_episodes, n_seeds=n_seeds)
    went_left[name] = (earned != 0.0).astype(float)  # the right always pays 0
mean_curves(
    went_left,
    x_title="episode",
    y_title="share that goes left",
    title="Maximisation bias",
    window=5,
    limits=(0.0, 1.0),
    references={"unavoidable": 0.05},
)
# %% [markdown]
# ## 4. Many steps at once
#
# *About 40 minutes of exercises. You carry a surprise back over all steps that led to it.*
#
# So far a reward teaches the step just before it. The step before that learns only when it is taken again, and so on:
# on a long way news travels one step for each episode. An **n-step return** takes $n$ real rewards before it asks for
# an opinion:
#
# $$G_t = r_t + \gamma r_{t+1} + \dots + \gamma^{n-1} r_{t+n-1} + \gamma^n V(s_{t+n})$$
#
# A small $n$ trusts its own opinion (which is wrong at first), a large one trusts luck (which varies). The best lies in
# between.
# %% exercise="n_step_returns" title="Look n steps ahead" difficulty=3 importance=4 minutes=20
# hint: At the end of an episode fewer than n steps are left. How many, at step t?
# hint: m = min(n, n_steps - t) rewards, each discounted by how late it comes, and then a value discounted m times.
# hint: (gamma ** np.arange(m) * rewards[t : t + m]).sum() + gamma**m * values[t + m]
# %% [markdown]
# Where the best $n$ lies can be measured in a world whose values are known: a walk in a row of 19 states. It begins in
# the middle, goes left or right by chance (there is nothing to choose), and ends beyond state 1 with a reward of -1, or
# beyond state 19 with +1. The value of state $i$ is the chance to end on the right minus that to end on the left,
# $i/10 - 1$.
#
# ![Nineteen states in a row, the walk begins at the tenth, the left end pays -1 and the right end +1](figures/random_walk.png)
# %% result
# neither one step nor the whole episode is best.
# The error of the values, averaged over the states and the first ten episodes (figure 7.2 of Sutton and Barto). n = 4
# with a learning rate of 0.4 comes to about 0.27.
from arena_lib.rl.tabular.prediction import random_walk_error

rates = [0.2, 0.6] if SCALE == "tiny" else [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
n_walks = 2 if SCALE == "tiny" else 20
by_n = {f"n = {n}": [random_walk_error(n=n, lr=lr, n_runs=n_walks).mean() for lr in rates] for n in (1, 2, 4, 16)}
figure = plots.lines(by_n, x=rates, x_title="learning rate", y_title="error of the values", title="n-step returns")
figure.update_yaxes(range=[0.2, 0.6])
# %% [markdown]
# ### Traces
#
# Instead of choosing one $n$ one can mix them all, and there is a way to do so that needs no waiting. Every state and
# action keeps a **trace** of how much it has to do with what is happening now. It rises when the action is taken, and
# fades with each step. A surprise then teaches *every* entry, by as much as its trace. With $\lambda = 0$ that is
# SARSA; with $\lambda = 1$ everything since the start learns.
# %% exercise="sarsa_lambda" title="SARSA with a memory" difficulty=3 importance=3 minutes=20
# hint: The docstring gives the order. Which arrays change as a whole, and which in one entry?
# hint: The error is SARSA's. Mark the step in self.traces, then move all of self.Q, then let all traces fade.
# hint: self.Q += self.config.lr * error * self.traces; self.traces *= self.gamma * self.config.lambda_
# %% result
# what one episode teaches, without traces and with them.
# A frozen lake with holes, X, where only the goal G pays, 1; here the ice isn't slippery. Both agents have taken the
# same walk, from the dot to the arrow. Without traces only the last step has learned. With them every step has, the
# less the longer before the goal it was.
from arena_lib.rl.environments.gridworlds import DiscreteEnviroGym, FrozenLake
from arena_lib.rl.tabular.agents import Experience

lake = FrozenLake(is_slippery=False)
way = [(0, 2), (4, 2), (8, 1), (9, 2), (13, 1), (14, 1), (15, None)]
learned = {}
for name, lambda_ in {"lambda 0": 0.0, "lambda 0.9": 0.9}.items():
    agent = SARSA_lambda(DiscreteEnviroGym(lake), AgentConfig(lr=0.5, lambda_=lambda_), gamma=0.95)
    agent.start_episode()
    for (obs, act), (new_obs, new_act) in zip(way, way[1:]):
        agent.observe(Experience(obs, act, float(new_obs == 15), new_obs, new_obs == 15, new_act))
    learned[name] = agent.Q.max(axis=1)
compare_gridworlds(
    lake.rows, learned, paths={"the walk": [state for state, _ in way]}, title="What one episode has taught"
)
# %% [markdown]
# ## What you have learned
#
# You have met the three questions of reinforcement learning. *Should I explore?* Six bandit agents answer it, and
# regret measures the answer. *What is a state worth?* Bellman's equation says it, if the rules are known, and
# each step says a little, if they aren't. *Whose behaviour do I learn about?* My own, or the best: on a cliff that
# makes the difference between walking at the edge and falling off it.
#
# ## What comes next
#
# A table needs an entry for each state, and a game has more states than there are atoms. Section 2.2 puts a
# network in the table's place, and then learns preferences instead of values, as your gradient bandit does.
#
# ## On your own
#
# - **Close the gap.** Make SARSA's epsilon fade during training. Above about 0.0075 the best epsilon-greedy way isn't
#   at the edge, so it must fade below that, and the learning rate should fade too. How fast, so that SARSA comes to the
#   edge without having fallen more often than it needs to? Compare with `best_way`.
# - **King's moves.** Give the windy grid eight actions (exercise 6.9 of Sutton and Barto), and a ninth that
#   stays. How long is the best way then? Work it out by planning first, then learn it.
# - **Replicate a paper.** Garivier and Moulines 2008 ([arXiv:0805.3415](https://arxiv.org/abs/0805.3415)) let the arms'
#   means change, and forget old rewards by a discount or a sliding window. Build a bandit whose means jump twice in
#   10,000 steps, and both agents. Which loses less than your UCB, and than `ConstantStepAveraging`?
#
# ## Reading
#
# - Sutton and Barto 2018, [Reinforcement learning: an
#   introduction](https://incompleteideas.net/book/the-book-2nd.html), chapters 2 to 7 and 12: most figures of this
#   section are theirs
# - Russo et al. 2018, [A tutorial on Thompson sampling](https://arxiv.org/abs/1707.02038)
# - Van Hasselt 2010, [Double Q-learning](https://papers.nips.cc/paper/3964-double-q-learning), for the maximisation
#   bias and its proof
# - Russell and Norvig 2020, [Artificial intelligence: a modern approach](https://aima.cs.berkeley.edu/), the chapter
#   "Making complex decisions"
