"""Reinforcement learning, from bandits to PPO.

Agents take gymnasium environments. `terminated` and `truncated` are kept apart everywhere, and a transition's
successor is the observation that the episode really ended with, whatever the autoreset mode.

    environments     gridworlds, probes, MinAtar, Atari, a vectorised CartPole, reward shaping; steps without traps
    bandits          epsilon-greedy, optimistic, UCB, gradient and Thompson agents, and their regret
    tabular          planning (policy and value iteration) and learning (SARSA, Q-learning, SARSA(lambda) ...)
    dqn              deep Q-learning: replay, target network, double, duelling, prioritised, n-step
    policy_gradient  vanilla policy gradient, and how much its gradient varies
    ppo              proximal policy optimisation, discrete and continuous, and generalised advantage estimation
    training         runs that stop and continue, evaluation on seeds of its own, learning curves, videos
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
