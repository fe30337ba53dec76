"""Proximal policy optimisation of a language model, held near a reference by the KL divergence.

The pieces are those of `arena_lib.rl.ppo`: each drawn token is an action, the text before it is the observation, and the
reward comes with the last one. What is new is the penalty for straying from the reference. It stands in the reward of each
token, as in the papers, or in the loss, as a mean over the vocabulary. Its weight is fixed, or follows a target.

Shapes:  what belongs to drawn tokens "batch gen_len"
Raises:  ConfigError for settings that can't work; what `training.RolloutTrainer` raises.
Source:  Ziegler et al. 2019, arXiv:1909.08593, equation 2 (the reward) and section 2.2 (the adaptive weight); Stiennon et
         al. 2020, arXiv:2009.01325, section 3.4; Schulman et al. 2017, arXiv:1707.06347, equations 7 and 9.
Differs: the value head shares the policy's transformer, where Stiennon et al. have two; rewards are normalised within each
         phase unless told otherwise; advantages within each minibatch.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical

from arena_lib.core.configs import check_numbers
from arena_lib.core.training import Evaluate
from arena_lib.errors import ConfigError
from arena_lib.rl.ppo.objectives import (
    calc_clipped_surrogate_objective,
    calc_clipped_value_function_loss,
    calc_value_function_loss,
)
from arena_lib.rlhf.advantages import compute_token_advantages, compute_token_rewards
from arena_lib.rlhf.divergences import calc_entropy_bonus, calc_kl_penalty, kl_k1
from arena_lib.rlhf.prompts import Prompts
from arena_lib.rlhf.rewards.checking import RewardFn
from arena_lib.rlhf.rewards.scaling import normalize_reward
from arena_lib.rlhf.rollouts import Rollouts
from arena_lib.rlhf.training import ReplayMemory, RolloutConfig, RolloutTrainer
from arena_lib.rlhf.value_head import TransformerWithValueHead, get_optimizer
from arena_lib.transformer.fast.model import Transformer

LARGEST_ERROR = 0.2
"""Ziegler et al. 2019, section 2.2: a KL that is further off its target changes the weight no more."""


def adapt_kl_coef(kl_coef: float, kl: float, target_kl: float, step_size: float = 0.1) -> float:
    """The weight of the KL penalty after a phase in which samples had `kl` nats on average (Ziegler et al., section 2.2).

        error = clip((kl - target_kl) / target_kl, -0.2, 0.2)
        new weight = kl_coef * (1 + step_size * error)

    So it grows while the policy is further away than wanted, and shrinks while it is nearer; by 2 % a phase at most, with the
    paper's step size of 0.1.

    >>> round(adapt_kl_coef(0.5, kl=30.0, target_kl=6.0), 4), round(adapt_kl_coef(0.5, kl=5.4, target_kl=6.0), 4)
    (0.51, 0.495)
    """
    error = (kl - target_kl) / target_kl
    return kl_coef * (1 + step_size * min(max(error, -LARGEST_ERROR), LARGEST_ERROR))


@dataclass(frozen=True, kw_only=True)
class RLHFConfig(RolloutConfig):
    """How to train by PPO with a value head."""

    n_prompts: int = 64
    """Prompts of a phase, drawn from those that the trainer is given; one sample of each."""
    n_minibatches: int = 2
    """Parts that a phase's samples are dealt into, anew in each epoch."""
    head_lr: float = 2e-3
    """Peak learning rate of the value head, which is new; `lr` is the transformer's."""
    vf_coef: float = 0.15
    """Weight of the value head's loss, which has a half of its own."""
    ent_coef: float = 1e-3
    """Weight of the entropy bonus."""
    clip_values: bool = True
    """Whether the value head's change is clipped too."""
    gamma: float = 1.0
    """Discount for each token."""
    gae_lambda: float = 0.95
    """How far advantages look before they trust the value head: 0 one token, 1 to the end."""
    normalizes_rewards: bool = True
    """Whether a phase's rewards are brought to mean 0 and standard deviation 1 before anything is learned from them."""
    kl_place: Literal["reward", "loss"] = "reward"
    """Where the penalty stands: in each token's reward, as log p - log q; or in the loss, as the full KL of each token."""
    target_kl: float | None = None
    """Nats of KL of a sample that `kl_coef` is adapted to, phase by phase; None leaves it as it is."""
    kl_step_size: float = 0.1
    """How fast it is adapted: the paper's K."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "head_lr", "kl_step_size")
        check_numbers(self, "vf_coef", "ent_coef", zero_works=True)
        if self.batch_size < 2 * self.n_minibatches:
            raise ConfigError(
                "a minibatch must have two samples at least, as advantages are normalised within it: got n_prompts = "
                f"{self.n_prompts} in n_minibatches = {self.n_minibatches}. Take more prompts or fewer minibatches."
            )
        for name in ("gamma", "gae_lambda"):
            self._require(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        self._require("kl_place", self.kl_place in ("reward", "loss"), "'reward' or 'loss'")
        if self.target_kl is not None:
            check_numbers(self, "target_kl")
            if self.kl_coef == 0:
                raise ConfigError(
                    f"kl_coef must be above 0 to be adapted to target_kl = {self.target_kl}, as it is multiplied: got 0. "
                    "Start with 0.1."
                )


class RLHFTrainer(RolloutTrainer):
    """Trains a model with a value head by PPO; `RolloutTrainer` says what the other arguments are.

    `train()` does the whole. By hand: `memory = trainer.rollout_phase()`, then `trainer.learning_phase(memory)`.
    """

    config: RLHFConfig
    model: TransformerWithValueHead

    def __init__(
        self,
        model: TransformerWithValueHead,
        config: RLHFConfig,
        prompts: Prompts,
        reward_fn: RewardFn,
        *,
        reference: Transformer | None = None,
        measures: Mapping[str, RewardFn] | None = None,
        end_of_text: int | None = None,
        evaluate: Evaluate | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if not hasattr(model, "forward_with_value_head"):
            raise ConfigError(
                f"PPO needs a value head: got {type(model).__name__}. Pass TransformerWithValueHead(policy), or train by GRPO."
            )
        super().__init__(
            model,
            config,
            prompts,
            reward_fn,
            reference=reference,
            measures=measures,
            end_of_text=end_of_text,
            evaluate=evaluate,
            folder=folder,
        )
        self.optimizer = get_optimizer(
            model, config.lr, config.head_lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay
        )

    def policy_of(self, model: Any) -> Transformer:
        """The transformer under the value head."""
        policy: Transformer = model.base_model
        return policy

    def before_update(self) -> None:
        """The schedule has set one rate for all: the head's is `head_lr` where the transformer's is `lr`."""
        self.optimizer.param_groups[1]["lr"] *= self.config.head_lr / self.config.lr

    @torch.no_grad()
    def make_memory(
        self, rollouts: Rollouts, rewards: Float[Tensor, " batch"], ref_logprobs: Float[Tensor, "batch gen_len"]
    ) -> ReplayMemory:
        """The samples with the advantages of their tokens; then `kl_coef` is adapted to what this phase's KL was.

        1. `values` are those of the states in which the tokens were drawn; what stands where none was counts nowhere.
        2. The rewards, normalised if config.normalizes_rewards, come at each sample's last drawn token. If config.kl_place is
           "reward", each token pays self.kl_coef times its own log p - log q.
        3. Advantages by `compute_token_advantages`, and returns = advantages + values. None of them is normalised here, and
           `rewards` are kept as they came.
        4. If there is a config.target_kl, self.kl_coef is adapted for the next phase. This phase's KL, in nats for each
           sample, is self.phases[-1]["kl"].
        """
        config, is_response = self.config, rollouts.is_response
        _, all_values = self.model.forward_with_value_head(rollouts.tokens, rollouts.attention_mask)
        values = all_values[:, rollouts.n_prompt - 1 : -1].where(is_response, 0.0)
        scaled = normalize_reward(rewards) if config.normalizes_rewards else rewards
        kl_coef = self.kl_coef if config.kl_place == "reward" else 0.0
        token_rewards = compute_token_rewards(scaled, is_response, kl_k1(rollouts.logprobs, ref_logprobs), kl_coef)
        advantages = compute_token_advantages(values, token_rewards, is_response, config.gamma, config.gae_lambda)
        if config.target_kl is not None:
            self.kl_coef = adapt_kl_coef(self.kl_coef, self.phases[-1]["kl"], config.target_kl, config.kl_step_size)
        return ReplayMemory(
            tokens=rollouts.tokens,
            attention_mask=rollouts.attention_mask,
            is_response=is_response,
            logprobs=rollouts.logprobs,
            ref_logprobs=ref_logprobs,
            rewards=rewards,
            advantages=advantages,
            values=values,
            returns=advantages + values,
        )

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Clipped surrogate objective - loss of the value head + entropy bonus, and - KL penalty if it stands in the loss.

        Everything is a mean over the drawn tokens of the minibatch, and the policy is softmax(logits / temperature). The
        surrogate is `calc_clipped_surrogate_objective`, which normalises the advantages that it gets; the loss of the value
        head is `_compute_value_loss`. The bonus is `calc_entropy_bonus`, the penalty `calc_kl_penalty` by self.kl_coef. The
        figures are these terms, as tensors without gradients: "surrogate", "value_loss", "entropy", and "kl_penalty" if it's
        there.
        """
        config, is_response = self.config, minibatch.is_response
        prefix_len, gen_len = minibatch.prefix_len, is_response.shape[1]
        all_logits, all_values = self.model.forward_with_value_head(minibatch.tokens, minibatch.attention_mask)
        logits = all_logits[:, prefix_len - 1 : -1] / config.temperature
        values = all_values[:, prefix_len - 1 : -1]
        surrogate = calc_clipped_surrogate_objective(
            Categorical(logits=logits[is_response], validate_args=False),
            minibatch.tokens[:, prefix_len:][is_response],
            minibatch.advantages[is_response],
            minibatch.logprobs[is_response],
            config.clip_coef,
        )
        value_loss = self._compute_value_loss(values[is_response], minibatch)
        entropy = calc_entropy_bonus(logits, config.ent_coef, gen_len, mask=is_response)
        objective = surrogate - value_loss + entropy
        figures = {"surrogate": surrogate, "value_loss": value_loss, "entropy": entropy}
        if config.kl_place == "loss":
            penalty = calc_kl_penalty(logits, self._ref_logits(minibatch), self.kl_coef, gen_len, mask=is_response)
            objective, figures["kl_penalty"] = objective - penalty, penalty
        return objective, {name: figure.detach() for name, figure in figures.items()}

    def _compute_value_loss(self, values: Float[Tensor, " drawn"], minibatch: ReplayMemory) -> Float[Tensor, ""]:
        """How far the values of the drawn tokens are from their returns; weighed by vf_coef."""
        assert minibatch.values is not None
        assert minibatch.returns is not None
        old_values, returns = (x[minibatch.is_response] for x in (minibatch.values, minibatch.returns))
        config = self.config
        if not config.clip_values:
            return calc_value_function_loss(values, returns, config.vf_coef)
        return calc_clipped_value_function_loss(values, old_values, returns, config.clip_coef, config.vf_coef)

    @torch.no_grad()
    def _ref_logits(self, minibatch: ReplayMemory) -> Float[Tensor, "batch gen_len d_vocab"]:
        """What the reference would draw the tokens after the prompts from: logits, divided by the temperature."""
        logits = self.reference(minibatch.tokens, attention_mask=minibatch.attention_mask)
        return logits[:, minibatch.prefix_len - 1 : -1] / self.config.temperature
