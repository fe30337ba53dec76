"""What came after each step: returns, and how they are brought to one size.

Shapes:  rewards, done, returns "n_envs n_steps"
Source:  Sutton and Barto 2018, equation 3.9 and section 13.3 (REINFORCE), 13.4 (baseline).
"""

from jaxtyping import Bool, Float
from torch import Tensor


def compute_returns(
    rewards: Float[Tensor, "n_envs n_steps"], done: Bool[Tensor, "n_envs n_steps"], gamma: float = 0.9
) -> Float[Tensor, "n_envs n_steps"]:
    """The discounted sum of all rewards from each step to the end of its episode.

    returns[i, t] = rewards[i, t] + gamma * returns[i, t + 1]

    and just rewards[i, t] where done[i, t] says that the step ended its episode, and at the last step. What comes
    after an end belongs to another episode. The result is a new tensor.

    >>> import torch
    >>> compute_returns(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[False, False, False]]), gamma=0.5)
    tensor([[3., 4., 4.]])
    >>> compute_returns(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[False, True, False]]), gamma=0.5)
    tensor([[2., 2., 4.]])
    """
    returns = rewards.clone()
    for t in reversed(range(rewards.shape[1] - 1)):
        returns[:, t] += gamma * returns[:, t + 1] * ~done[:, t]
    return returns


def normalize_returns(returns: Float[Tensor, "*shape"], eps: float = 1e-8) -> Float[Tensor, "*shape"]:
    """Returns with mean 0 and standard deviation 1, taken over all entries together.

    Subtract the mean, then divide by the standard deviation plus eps. The standard deviation is torch's default, with
    n - 1; eps keeps returns that are all alike from being divided by zero.

    >>> import torch
    >>> normalize_returns(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[-1.,  0.,  1.]])
    """
    return (returns - returns.mean()) / (returns.std() + eps)


def subtract_baseline(
    returns: Float[Tensor, "*shape"], values: Float[Tensor, "*shape"]
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, ""]]:
    """How much better things went than expected, and how wrong the expectation was: (advantages, value_loss).

    advantages = returns - values             (detached: the policy's loss must not teach the value network)
    value_loss = mean of (returns - values)^2 (its gradient goes to values, and to nothing else)

    The returns are data: no gradient flows to them.
    """
    errors = returns.detach() - values
    return errors.detach(), errors.square().mean()
