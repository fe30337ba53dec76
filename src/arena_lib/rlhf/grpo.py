"""Group relative policy optimisation: PPO without a critic. Samples of one prompt are compared with each other.

For each prompt several samples are drawn. What a sample earned, less the mean of its group, is the advantage of all of its
tokens. The rest is PPO's clipped objective, and the KL from a reference as a term of the loss.

How a sample's tokens are averaged matters (Liu et al. 2025, section 3.1). With "sequence" each sample has the same weight, so
a token of a long sample counts less than one of a short sample: among wrong answers, long ones are punished less, and answers
grow. "token" gives every drawn token of the minibatch the same weight, whatever sample it is in. "constant" divides the sum by
a number that depends on no sample, so that a gradient doesn't either: the fix.

Shapes:  logprobs "batch gen_len", advantages "batch" -> one number
Raises:  ConfigError for a normalisation that isn't there, or a group of one; ShapeError for a mask or advantages
         of another shape.
Source:  Shao et al. 2024, arXiv:2402.03300, equations 3 and 4 (the objective, k3); Liu et al. 2025, arXiv:2503.20783,
         section 3.1 (the bias by length and its fix); Yu et al. 2025, arXiv:2503.14476, section 3.3 ("token").
Differs: old log-probabilities are those of sampling, so there is no second pass to get them.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.core.configs import check_sizes
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.advantages import check_groups, compute_group_advantages
from arena_lib.rlhf.divergences import kl_k3
from arena_lib.rlhf.masking import masked_mean, require_same_shape
from arena_lib.rlhf.rollouts import Rollouts
from arena_lib.rlhf.training import ReplayMemory, RolloutConfig, RolloutTrainer

Normalization = Literal["sequence", "token", "constant"]


def calc_clipped_terms(
    logprobs: Float[Tensor, "batch gen_len"],
    old_logprobs: Float[Tensor, "batch gen_len"],
    advantages: Float[Tensor, " batch"],
    clip_coef: float,
) -> Float[Tensor, "batch gen_len"]:
    """PPO's clipped objective of each token, to be made large, with the advantage of its sample.

        ratio = exp(logprobs - old_logprobs)
        min(ratio * advantage, clip(ratio, 1 - clip_coef, 1 + clip_coef) * advantage)

    Gradients flow through `logprobs`; the others are data.
    """
    if advantages.shape != logprobs.shape[:1]:
        raise ShapeError(
            f"advantages must have one number for each of {len(logprobs)} samples: got the shape {tuple(advantages.shape)}. "
            "compute_group_advantages gives them."
        )
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    return torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])


def average_over_tokens(
    terms: Float[Tensor, "batch gen_len"],
    is_response: Bool[Tensor, "batch gen_len"],
    normalization: Normalization = "sequence",
) -> Float[Tensor, ""]:
    """One number of the terms of all drawn tokens; what stands where `is_response` is False doesn't matter, not even NaN.

        "sequence"   the mean over samples of each sample's mean over its own tokens
        "token"      the mean over all drawn tokens
        "constant"   the sum over all drawn tokens, divided by batch * gen_len, the most that could have been drawn

    A sample that drew no token has a mean of 0 in "sequence". `terms` stays as it is, and gradients flow through it.

    >>> terms, is_response = torch.tensor([[1.0, 1.0], [4.0, 9.0]]), torch.tensor([[True, True], [True, False]])
    >>> [round(average_over_tokens(terms, is_response, way).item(), 3) for way in ("sequence", "token", "constant")]
    [2.5, 2.0, 1.5]
    """
    require_same_shape(terms, is_response)
    if normalization == "token":
        return masked_mean(terms, is_response)
    terms = terms.where(is_response, 0.0)
    if normalization == "constant":
        return terms.sum() / terms.numel()
    if normalization != "sequence":
        raise ConfigError(
            f"normalization must be one of {', '.join(map(repr, get_args(Normalization)))}: got {normalization!r}. Choose one."
        )
    return (terms.sum(dim=1) / is_response.sum(dim=1).clamp(min=1)).mean()


def grpo_loss(
    logprobs: Float[Tensor, "batch gen_len"],
    old_logprobs: Float[Tensor, "batch gen_len"],
    ref_logprobs: Float[Tensor, "batch gen_len"],
    advantages: Float[Tensor, " batch"],
    is_response: Bool[Tensor, "batch gen_len"],
    clip_coef: float,
    kl_coef: float,
    normalization: Normalization = "sequence",
) -> Float[Tensor, ""]:
    """GRPO's loss, to be made small (Shao et al. 2024, equation 3, with the sign turned).

    All log-probabilities are of the same drawn tokens: by the policy as it is now, by the policy that drew them, and by the
    reference. Each token gives its clipped objective (`calc_clipped_terms`) less kl_coef times its KL from the reference,
    estimated by k3; `average_over_tokens` makes one number of them, and the loss is minus that.

    Gradients flow through `logprobs`; the others are data. Where `is_response` is False nothing counts, not even an infinite
    value or NaN: neither in the loss nor in its gradient, which is 0 there.
    """
    # 0 * inf would be NaN in the backward pass.
    logprobs, old_logprobs, ref_logprobs = (x.where(is_response, 0.0) for x in (logprobs, old_logprobs, ref_logprobs))
    terms = calc_clipped_terms(logprobs, old_logprobs, advantages, clip_coef)
    penalties = kl_coef * kl_k3(logprobs, ref_logprobs)
    return -average_over_tokens(terms - penalties, is_response, normalization)


@dataclass(frozen=True, kw_only=True)
class GrpoConfig(RolloutConfig):
    """How to train by GRPO."""

    group_size: int = 8
    """Samples of each prompt, which are compared with each other."""
    normalization: Normalization = "sequence"
    """How the tokens' terms are averaged; "sequence" is the paper's, "constant" the fix of its bias by length."""
    is_scaled: bool = True
    """Whether advantages are divided by their group's standard deviation: the paper's way, and a bias too."""

    def __post_init__(self) -> None:
        check_sizes(self, "group_size", "n_prompts")
        check_groups(self.batch_size, self.group_size)
        super().__post_init__()
        ways = get_args(Normalization)
        self._require("normalization", self.normalization in ways, f"one of {', '.join(map(repr, ways))}")

    @property
    def n_samples(self) -> int:
        """Samples of each prompt."""
        return self.group_size


class GrpoTrainer(RolloutTrainer):
    """Trains a policy by GRPO; `RolloutTrainer` says what the arguments are: the model is the policy.

    `train()` does the whole. By hand: `memory = trainer.rollout_phase()`, then `trainer.learning_phase(memory)`.
    """

    config: GrpoConfig

    def make_memory(
        self, rollouts: Rollouts, rewards: Float[Tensor, " batch"], ref_logprobs: Float[Tensor, "batch gen_len"]
    ) -> ReplayMemory:
        """The samples, each token with the advantage of its sample in its group; the rewards as they came."""
        config = self.config
        advantages = compute_group_advantages(rewards, config.group_size, is_scaled=config.is_scaled)
        gen_len = rollouts.is_response.shape[1]
        return ReplayMemory(
            tokens=rollouts.tokens,
            attention_mask=rollouts.attention_mask,
            is_response=rollouts.is_response,
            logprobs=rollouts.logprobs,
            ref_logprobs=ref_logprobs,
            rewards=rewards,
            advantages=einops.repeat(advantages, "batch -> batch gen_len", gen_len=gen_len),
        )

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Minus `grpo_loss` of the minibatch, and one figure.

        The policy's log-probabilities are those of `self.score`, and the weight of the KL is `self.kl_coef`. The figure,
        "clipped_share", is the share of drawn tokens whose ratio is further than clip_coef from 1, above or below: a tensor
        without gradients.
        """
        config = self.config
        logprobs = self.score(self.policy, minibatch)
        loss = grpo_loss(
            logprobs,
            minibatch.logprobs,
            minibatch.ref_logprobs,
            minibatch.advantages[:, 0],
            minibatch.is_response,
            config.clip_coef,
            self.kl_coef,
            config.normalization,
        )
        ratio = (logprobs.detach() - minibatch.logprobs).exp()
        is_clipped = (ratio - 1).abs() > config.clip_coef
        return -loss, {"clipped_share": masked_mean(is_clipped.float(), minibatch.is_response)}
