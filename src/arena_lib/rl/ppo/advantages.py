"""Generalised advantage estimation: as a loop backwards in time, and as a scan in log2(n_steps) rounds.

Shapes:  everything "n_steps n_envs"
Source:  Schulman et al. 2016, arXiv:1506.02438, equations 11 to 16 (the estimator); Pardo et al. 2018, arXiv:1712.00378
         (a time limit isn't an end: bootstrap from the state that was reached); Hillis and Steele 1986 (the scan).
Differs: `next_values` hold the value of each step's own successor, so that nothing is shifted, and an episode that was
         cut off is bootstrapped from the observation it really ended with.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor


def compute_advantages(
    next_values: Float[Tensor, "n_steps n_envs"],
    rewards: Float[Tensor, "n_steps n_envs"],
    values: Float[Tensor, "n_steps n_envs"],
    terminated: Bool[Tensor, "n_steps n_envs"],
    truncated: Bool[Tensor, "n_steps n_envs"],
    gamma: float,
    gae_lambda: float,
) -> Float[Tensor, "n_steps n_envs"]:
    """How much better each action was than the critic had expected.

    `values[t]` is the critic's value of the observation before step t, `next_values[t]` that of the observation which
    step t led to, `rewards[t]` the reward of step t. From the last step backwards:

        delta_t = rewards_t + gamma * next_values_t - values_t            without the middle term if step t terminated
        advantage_t = delta_t + gamma * gae_lambda * advantage_{t+1}      without the last term if the episode ended at t

    An episode ends when it terminates (there is no future: it's worth 0) or when it's truncated (there would be a
    future, and next_values_t says what it's worth). After the last step there is no advantage to add.
    No argument is changed.

    >>> one = torch.ones(2, 1)
    >>> compute_advantages(2 * one, one, 0 * one, one < 0, one < 0, 0.5, 0.5).flatten()
    tensor([2.5000, 2.0000])
    """
    is_open = 1.0 - (terminated | truncated).float()
    delta = rewards + gamma * next_values * (1.0 - terminated.float()) - values
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        following = delta[t] + gamma * gae_lambda * is_open[t] * following
        advantages[t] = following
    return advantages


def compute_advantages_by_scan(
    next_values: Float[Tensor, "n_steps n_envs"],
    rewards: Float[Tensor, "n_steps n_envs"],
    values: Float[Tensor, "n_steps n_envs"],
    terminated: Bool[Tensor, "n_steps n_envs"],
    truncated: Bool[Tensor, "n_steps n_envs"],
    gamma: float,
    gae_lambda: float,
) -> Float[Tensor, "n_steps n_envs"]:
    """The same advantages in about log2(n_steps) rounds of whole-array operations.

    Advantages obey advantage_t = delta_t + decay_t * advantage_{t+1}. If row t knows its sum over the next k steps and
    the product of their decays, then joining it with row t + k makes it know 2 k steps.
    """
    sums = rewards + gamma * next_values * ~terminated - values
    decays = gamma * gae_lambda * ~(terminated | truncated)
    reach = 1
    while reach < len(rewards):
        sums = torch.cat([sums[:-reach].addcmul(decays[:-reach], sums[reach:]), sums[-reach:]])
        decays = torch.cat([decays[:-reach] * decays[reach:], torch.zeros_like(decays[-reach:])])
        reach *= 2
    return sums


@torch.no_grad()
def compute_next_values(
    critic: Callable[[Tensor], Tensor],
    values: Float[Tensor, "n_steps n_envs"],
    next_obs: Shaped[Tensor, " n_steps n_envs *obs_shape"],
    terminated: Bool[Tensor, "n_steps n_envs"],
    truncated: Bool[Tensor, "n_steps n_envs"],
) -> Float[Tensor, "n_steps n_envs"]:
    """What the critic thinks of the observation that each step led to.

    While an episode goes on, that observation is the next row's, so its value is there already: values[t + 1]. Two kinds
    of steps need the critic, which takes "batch *obs_shape" and gives "batch 1":

    - the last row: the next observation isn't part of the rollout;
    - a truncated step: the next row belongs to the next episode, but the episode that was cut off had reached next_obs[t].

    The critic may be asked about more steps than these, in one call or in several: only the result counts. Where an episode terminated nothing follows, and the result is 0 (also where it was truncated in the same step).
    No gradients are recorded and no argument is changed.
    """
    next_values = values.roll(-1, dims=0)
    is_asked = truncated.clone()
    is_asked[-1] = True
    next_values[is_asked] = critic(next_obs[is_asked]).squeeze(-1)
    return next_values.masked_fill(terminated, 0.0)
