"""The three terms of PPO's objective, and how far the policy has moved: for discrete and for continuous actions.

Shapes:  everything "minibatch", actions of continuous tasks "minibatch n_actions"; each result is one number
Source:  Schulman et al. 2017, arXiv:1707.06347, equations 7 and 9 (clipping; the whole objective); Engstrom et al. 2020,
         arXiv:2005.12729, section 3 (value clipping); Schulman 2020, "Approximating KL divergence", k3 (the estimate of
         the KL divergence).
Differs: advantages are normalised within each minibatch, as implementations do; the paper doesn't say so.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal


def calc_clipped_surrogate_objective(
    dist: Distribution,
    mb_actions: Shaped[Tensor, "minibatch ..."],
    mb_advantages: Float[Tensor, " minibatch"],
    mb_logprobs: Float[Tensor, " minibatch"],
    clip_coef: float,
    eps: float = 1e-8,
) -> Float[Tensor, ""]:
    """The policy's part of the objective, to be made large (Schulman et al. 2017, equation 7).

    `dist` is the policy as it is now: a distribution of one action for each step of the minibatch (a `Categorical`, or
    another that has `log_prob`). `mb_logprobs` are the log-probabilities that the actions had when they were taken.

        A = (mb_advantages - mean) / (std + eps)                        over this minibatch; std with n - 1, as torch's
        ratio = probability now / probability then
        result = mean of min(ratio * A, clip(ratio, 1 - clip_coef, 1 + clip_coef) * A)

    `clip_coef` is the paper's epsilon; `eps` only keeps the division from failing.

    Gradients flow through `dist`. The other tensors are data of a finished rollout: they carry no gradients, so it makes
    no difference whether you detach them. No argument is changed.
    """
    advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + eps)
    ratio = (dist.log_prob(mb_actions) - mb_logprobs).exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    return torch.minimum(ratio * advantages, clipped * advantages).mean()


def calc_clipped_surrogate_objective_cts(
    dist: Normal,
    mb_actions: Float[Tensor, "minibatch n_actions"],
    mb_advantages: Float[Tensor, " minibatch"],
    mb_logprobs: Float[Tensor, " minibatch"],
    clip_coef: float,
    eps: float = 1e-8,
) -> Float[Tensor, ""]:
    """As `calc_clipped_surrogate_objective`, for actions that are vectors.

    `dist` gives each entry of an action a log-density of its own. The entries are drawn independently, so the
    log-density of a whole action is the sum over its entries; `mb_logprobs` are such sums.
    """
    whole = Independent(dist, 1, validate_args=False)
    return calc_clipped_surrogate_objective(whole, mb_actions, mb_advantages, mb_logprobs, clip_coef, eps)


def calc_value_function_loss(
    values: Float[Tensor, " minibatch"], mb_returns: Float[Tensor, " minibatch"], vf_coef: float
) -> Float[Tensor, ""]:
    """How wrong the critic is, to be made small: vf_coef * 1/2 * mean of (values - mb_returns)^2.

    `values` are the critic's as it is now. Gradients flow through `values`; `mb_returns` are data that carry no gradients.
    """
    return vf_coef * 0.5 * (values - mb_returns).pow(2).mean()


def calc_clipped_value_function_loss(
    values: Float[Tensor, " minibatch"],
    mb_values: Float[Tensor, " minibatch"],
    mb_returns: Float[Tensor, " minibatch"],
    clip_coef: float,
    vf_coef: float,
) -> Float[Tensor, ""]:
    """The critic's loss if it, too, may move only a little: to be made small.

    `mb_values` are what the critic said when the rollout ended.

        clipped = mb_values + clip(values - mb_values, -clip_coef, clip_coef)
        result = vf_coef * 1/2 * mean of max((values - mb_returns)^2, (clipped - mb_returns)^2)

    The larger of both errors counts, entry by entry, so a change that is too large is never rewarded. Gradients flow
    through `values`, as the formula has them; `mb_values` and `mb_returns` are data that carry no gradients.
    """
    clipped = mb_values + (values - mb_values).clamp(-clip_coef, clip_coef)
    errors = torch.maximum((values - mb_returns).pow(2), (clipped - mb_returns).pow(2))
    return vf_coef * 0.5 * errors.mean()


def calc_entropy_bonus(dist: Distribution, ent_coef: float) -> Float[Tensor, ""]:
    """A reward for staying undecided, to be made large: ent_coef times the mean entropy of `dist` (in nats).

    `dist` is a `Categorical` for each observation of the minibatch, in which no action has a probability of exactly 0.
    Gradients flow through it.
    """
    return ent_coef * dist.entropy().mean()


def calc_entropy_bonus_cts(dist: Normal, ent_coef: float) -> Float[Tensor, ""]:
    """As `calc_entropy_bonus`; the entropy of an action is the sum over its entries, whose entropies `dist` gives."""
    return ent_coef * dist.entropy().sum(dim=-1).mean()


@torch.no_grad()
def compute_approx_kl(
    logprobs: Float[Tensor, " minibatch"], mb_logprobs: Float[Tensor, " minibatch"]
) -> Float[Tensor, ""]:
    """An estimate of how far the policy has moved from the one that acted: KL(then || now), in nats.

    With log_ratio = logprobs - mb_logprobs (now minus then), it's the mean of exp(log_ratio) - 1 - log_ratio. Each term
    is at least 0, unlike those of the mean of -log_ratio, which has the same expectation but varies more.
    No gradients are recorded.
    """
    log_ratio = logprobs - mb_logprobs
    return (log_ratio.exp() - 1 - log_ratio).mean()
