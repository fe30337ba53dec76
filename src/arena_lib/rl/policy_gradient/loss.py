"""The loss whose gradient is the policy gradient, in small pieces.

Shapes:  logprobs, entropy, importance weights "n_envs n_steps"
Source:  Williams 1992 (REINFORCE); Sutton et al. 1999 (policy gradient theorem); Williams and Peng 1991 (entropy);
         Degris et al. 2012, arXiv:1205.4839 (importance weights).
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.rl.policy_gradient.rollout import Rollout


def compute_logprobs_and_entropy(
    tau: Rollout, pi: nn.Module
) -> tuple[Float[Tensor, "n_envs n_steps"], Float[Tensor, "n_envs n_steps"]]:
    """What the policy thinks now of the actions that were taken, and how undecided it is: (logprobs, entropy).

    `pi` maps observations "... *obs_shape" to logits "... n_actions"; `tau.obs` is "n_envs n_steps *obs_shape" and
    `tau.actions` "n_envs n_steps".

    logprobs = the log-probability of the action that was taken, at each step
    entropy  = - sum over all actions of p * log p, at each step, in nats

    Both carry gradients to pi.
    """
    logprobs = pi(tau.obs).log_softmax(dim=-1)
    taken = logprobs.gather(-1, tau.actions[..., None]).squeeze(-1)
    return taken, -(logprobs.exp() * logprobs).sum(dim=-1)


def compute_importance_weights(
    logprobs_taken: Float[Tensor, "n_envs n_steps"], tau: Rollout, clip_coef: float | None = None
) -> Float[Tensor, "n_envs n_steps"]:
    """How much likelier the policy makes each action now than when it was drawn: now / then.

    `logprobs_taken` are the log-probabilities of now, `tau.logprobs` those of then. With a clip_coef c the ratios are
    kept between 1 - c and 1 + c. The weights are detached: they weigh a gradient, and have none of their own.
    """
    weights = (logprobs_taken - tau.logprobs).exp().detach()
    return weights if clip_coef is None else weights.clamp(1 - clip_coef, 1 + clip_coef)


def compute_reinforce_loss(
    returns: Float[Tensor, "*shape"], logprobs_taken: Float[Tensor, "*shape"], iw: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """The loss that an optimizer makes smaller so that actions with high returns become likelier.

    loss = - mean of (iw * returns * logprobs_taken)

    Its gradient goes to logprobs_taken alone: returns and importance weights say how much each action counts.
    """
    return -(iw.detach() * returns.detach() * logprobs_taken).mean()


def compute_gradient_variance(losses: Sequence[Float[Tensor, ""]], parameters: Iterable[nn.Parameter]) -> float:
    """How much a gradient differs from rollout to rollout: the variance over the losses, summed over all parameters.

    Take the gradient of each loss with respect to all parameters (`torch.autograd.grad`), and of each entry the variance
    over the losses, with n - 1. The sum of these variances is the mean squared distance of a gradient from the mean
    gradient. Each loss depends on every parameter. The losses may share a graph, so keep it (`retain_graph=True`).
    `parameters` may be what `network.parameters()` gives, which can be gone through only once. The parameters and their
    `.grad` stay as they were.
    """
    parameters = list(parameters)
    gradients = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    flat = torch.stack([torch.cat([gradient.flatten() for gradient in each]) for each in gradients])
    return float(flat.var(dim=0).sum())
