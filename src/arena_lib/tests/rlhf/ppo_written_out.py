"""Right trainers of PPO on tokens that are written differently, section 2.4."""

from dataclasses import replace

import torch
from torch import Tensor

from arena_lib.rlhf import ppo
from arena_lib.rlhf.advantages import compute_token_advantages, compute_token_rewards
from arena_lib.rlhf.divergences import compute_entropy, compute_kl
from arena_lib.rlhf.logprobs import get_logprobs
from arena_lib.rlhf.masking import masked_mean
from arena_lib.rlhf.rollouts import Rollouts
from arena_lib.rlhf.training import ReplayMemory

__test__ = False


class PpoWrittenOut(ppo.RLHFTrainer):
    """Everything by hand: rewards and advantages sample by sample, and the terms of the objective."""

    def make_memory(self, rollouts: Rollouts, rewards: Tensor, ref_logprobs: Tensor) -> ReplayMemory:
        """Sample by sample."""
        config, start = self.config, rollouts.n_prompt - 1
        values = self.model(rollouts.tokens, rollouts.attention_mask)[1][:, start:-1] * rollouts.is_response
        scaled = (rewards - rewards.mean()) / (rewards.std() + 1e-5) if config.normalizes_rewards else rewards
        advantages = torch.zeros_like(values)
        for i, length in enumerate(rollouts.is_response.sum(1).tolist()):
            earned = torch.zeros(length)
            if config.kl_place == "reward":
                earned = self.kl_coef * (ref_logprobs - rollouts.logprobs)[i, :length]
            earned = earned + torch.nn.functional.one_hot(torch.tensor(length - 1), length) * scaled[i]
            later_value, later = torch.zeros(()), torch.zeros(())
            for t in reversed(range(length)):
                delta = earned[t] + config.gamma * later_value - values[i, t]
                later = delta + config.gamma * config.gae_lambda * later
                later_value, advantages[i, t] = values[i, t], later
        if config.target_kl:
            error = min(max(self.phases[-1]["kl"] / config.target_kl - 1, -0.2), 0.2)
            self.kl_coef *= 1 + config.kl_step_size * error
        drawn = rollouts.tokens, rollouts.attention_mask, rollouts.is_response, rollouts.logprobs
        return ReplayMemory(*drawn, ref_logprobs, rewards, advantages, values, values + advantages)

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Tensor, dict[str, Tensor]]:
        """Term by term."""
        config, mask, data = self.config, minibatch.is_response, minibatch
        logits, values = self.model(data.tokens, data.attention_mask)
        scaled = logits / config.temperature
        ratio = (get_logprobs(scaled, data.tokens, data.prefix_len) - data.logprobs)[mask].exp()
        advantages = data.advantages[mask]
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        bounds = 1 - config.clip_coef, 1 + config.clip_coef
        surrogate = torch.min(ratio * advantages, ratio.clip(*bounds) * advantages).mean()
        value_loss = self._compute_value_loss(values[:, data.prefix_len - 1 : -1][mask], data)
        own = scaled[:, data.prefix_len - 1 : -1]
        entropy = config.ent_coef * compute_entropy(own)[mask].mean()
        with torch.no_grad():
            terms = {"surrogate": surrogate * 1, "value_loss": value_loss * 1, "entropy": entropy * 1}
        objective = entropy + surrogate - value_loss
        if config.kl_place == "reward":
            return objective, terms
        penalty = self.kl_coef * compute_kl(own, self._ref_logits(data))[mask].mean()
        return objective - penalty, {**terms, "kl_penalty": penalty.detach()}


class PpoInPieces(ppo.RLHFTrainer):
    """Gives filling a value too, and lets the KL have the weight 0 where it isn't wanted."""

    def make_memory(self, rollouts: Rollouts, rewards: Tensor, ref_logprobs: Tensor) -> ReplayMemory:
        """First the values, then the rest."""
        config, mask = self.config, rollouts.is_response
        _, values = self.model.forward_with_value_head(rollouts.tokens, rollouts.attention_mask)
        values = values[:, rollouts.n_prompt - 1 :][:, : mask.shape[1]]
        scaled = ppo.normalize_reward(rewards) if config.normalizes_rewards else rewards.clone()
        ratios = rollouts.logprobs - ref_logprobs if config.kl_place == "reward" else None
        token_rewards = compute_token_rewards(scaled, mask, ratios, self.kl_coef)
        advantages = compute_token_advantages(
            values, token_rewards, mask, gamma=config.gamma, gae_lambda=config.gae_lambda
        )
        memory = ReplayMemory(
            rollouts.tokens, rollouts.attention_mask, mask, rollouts.logprobs, ref_logprobs, rewards, advantages
        )
        if config.target_kl is not None:
            kl = self.phases[-1]["kl"]
            self.kl_coef = ppo.adapt_kl_coef(self.kl_coef, kl, config.target_kl, step_size=config.kl_step_size)
        return replace(memory, values=values, returns=advantages + values)

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Tensor, dict[str, Tensor]]:
        """A mean over one sum of terms for each token."""
        config, mask, places = self.config, minibatch.is_response, slice(minibatch.prefix_len - 1, -1)
        logits, values = (
            x[:, places] for x in self.model.forward_with_value_head(minibatch.tokens, minibatch.attention_mask)
        )
        logprobs = (logits / config.temperature).log_softmax(-1)
        drawn = logprobs.gather(-1, minibatch.tokens[:, minibatch.prefix_len :, None])[..., 0]
        normal = minibatch.advantages - minibatch.advantages[mask].mean()
        normal = normal / (minibatch.advantages[mask].std() + 1e-8)
        ratio = (drawn - minibatch.logprobs).exp()
        clipped = torch.where(normal > 0, ratio.clamp(max=1 + config.clip_coef), ratio.clamp(min=1 - config.clip_coef))
        entropy = config.ent_coef * -(logprobs.exp() * logprobs).sum(-1)
        ref_logprobs = self._ref_logits(minibatch).log_softmax(-1)
        weight = self.kl_coef if config.kl_place == "loss" else 0.0
        penalty = weight * (logprobs.exp() * (logprobs - ref_logprobs)).sum(-1)
        value_loss = self._compute_value_loss(values[mask], minibatch)
        objective = masked_mean(clipped * normal + entropy - penalty, mask) - value_loss
        figures = {"surrogate": clipped * normal, "entropy": entropy}
        if weight:
            figures["kl_penalty"] = penalty
        means = {name: masked_mean(figure, mask).detach() for name, figure in figures.items()}
        return objective, {**means, "value_loss": value_loss.detach()}
