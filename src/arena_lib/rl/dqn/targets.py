"""What action values should be, and how far they are from it: targets and losses of Q-learning.

Shapes:  action values "batch n_actions"; rewards, terminated, targets "batch"
Raises:  ShapeError where a target has an axis too many, which would broadcast silently.
Source:  Mnih et al. 2015, Nature 518 (target network); van Hasselt et al. 2016, arXiv:1509.06461, equation 4 (double);
         Schaul et al. 2016, arXiv:1511.05952, section 3.4 (weights); Lillicrap et al. 2016, arXiv:1509.02971 (tau).
Differs: squared errors rather than clipped ones.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from arena_lib.errors import ShapeError


def compute_td_target(
    next_q: Float[Tensor, "batch n_actions"],
    rewards: Float[Tensor, " batch"],
    terminated: Bool[Tensor, " batch"],
    gamma: float | Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """What the value of the action that was taken should be: the reward, and the discounted value of what follows.

    target = reward + gamma * (the largest of next_q), and just the reward where the episode terminated

    `next_q` are the target network's values of the state that the action led to. `gamma` is one number, or one for
    each transition (with n-step returns, gamma to the power of the steps that were summed). No gradient flows to
    next_q: the target is taken as it is, and only the prediction moves towards it.

    >>> compute_td_target(torch.tensor([[1.0, 4.0], [1.0, 4.0]]), torch.ones(2), torch.tensor([False, True]), 0.5)
    tensor([3., 1.])
    """
    next_values = next_q.detach().max(dim=-1).values
    return rewards + gamma * next_values * ~terminated


def compute_double_td_target(
    next_q_online: Float[Tensor, "batch n_actions"],
    next_q_target: Float[Tensor, "batch n_actions"],
    rewards: Float[Tensor, " batch"],
    terminated: Bool[Tensor, " batch"],
    gamma: float | Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """The double target: one network chooses the next action, the other says what it is worth.

    target = reward + gamma * next_q_target[the action whose next_q_online is largest]

    and just the reward where the episode terminated. `gamma` is one number, or one for each transition. No gradient
    flows to either of the two.

    >>> online, target = torch.tensor([[5.0, 1.0]]), torch.tensor([[2.0, 9.0]])
    >>> compute_double_td_target(online, target, torch.zeros(1), torch.tensor([False]), 1.0)
    tensor([2.])
    """
    chosen = next_q_online.argmax(dim=-1, keepdim=True)
    next_values = next_q_target.detach().gather(-1, chosen).squeeze(-1)
    return rewards + gamma * next_values * ~terminated


def compute_td_loss(
    q_values: Float[Tensor, "batch n_actions"],
    actions: Int[Tensor, " batch"],
    targets: Float[Tensor, " batch"],
    weights: Float[Tensor, " batch"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, " batch"]]:
    """How wrong the values of the actions that were taken are: the loss, and the error of each transition.

    error = target - q_values[the action that was taken]
    loss = the mean over the batch of weight * error^2

    Without weights each counts 1. The values of the other actions don't matter: nobody knows what would have followed
    them. Gradients flow through q_values, and so to the network's weights, but to no other argument; the
    errors are detached.
    """
    if targets.shape != actions.shape:
        raise ShapeError(
            f"targets must have one number for each transition, shape {tuple(actions.shape)}: got "
            f"{tuple(targets.shape)}. Squeeze the axis of length 1 away, or each error is taken with every target."
        )
    taken = q_values.gather(-1, actions[:, None]).squeeze(-1)
    errors = targets.detach() - taken
    squares = errors.square() if weights is None else weights * errors.square()
    return squares.mean(), errors.detach()


def update_target_network(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """Move every parameter of the target network towards q_network's, by the share tau, in place.

    new target = (1 - tau) * target + tau * online

    With tau = 1 it becomes a copy, with 0 it stays. q_network doesn't change, no gradients are recorded, and the
    target network keeps tensors of its own: what is trained later mustn't show in it.
    """
    with torch.no_grad():
        for slow, fast in zip(target_network.parameters(), q_network.parameters(), strict=True):
            slow.lerp_(fast, tau)


def update_target_network_at_once(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """As `update_target_network`, in one call for all parameters: at each training step that's less waiting."""
    with torch.no_grad():
        torch._foreach_lerp_(list(target_network.parameters()), list(q_network.parameters()), tau)
