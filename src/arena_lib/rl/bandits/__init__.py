"""Choosing among arms whose rewards are unknown: a world of one state, where exploring has a price.

testbed   the bandits themselves: ten arms with normal rewards, or with wins and losses
choosing  pure functions: averages, epsilon-greedy, gradient steps, Thompson's draws, regret
agents    agents made of them: random, epsilon-greedy and optimistic, UCB, gradient, Thompson, one that cheats
playing   an agent at a bandit, once or many times
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
