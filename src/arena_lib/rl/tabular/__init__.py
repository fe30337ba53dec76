"""Planning and learning with a table: one entry for each state, or for each state and action.

planning     the world's dynamics are known: evaluate a policy, improve it, find the best
agents       what agents share: experience, settings, the loop over an episode; one that knows the answer
td           learning from each step: SARSA, expected SARSA, Q-learning, double Q-learning
multi_step   learning from several steps at once: n-step returns, SARSA(lambda) with eligibility traces
prediction   the value of a policy from its episodes, by n-step TD
experiments  many seeds of an agent, and what they earn
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
