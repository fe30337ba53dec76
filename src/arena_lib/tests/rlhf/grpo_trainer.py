"""Judge of GRPO's trainer, section 2.4."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rlhf import grpo
from arena_lib.rlhf.advantages import compute_group_advantages
from arena_lib.rlhf.logprobs import get_logprobs
from arena_lib.rlhf.rollouts import Rollouts
from arena_lib.rlhf.training import ReplayMemory, RolloutTrainer
from arena_lib.tests.rlhf.trainer_runs import grpo_seen

__test__ = False


def grpo_trainer_cases(generator: torch.Generator) -> list[Case]:
    """Settings that differ in what the methods read from them."""
    changes: dict[str, dict[str, Any]] = {
        "two prompts with three samples each": {"n_prompts": 2, "group_size": 3},
        "at another temperature": {"temperature": 0.6, "clip_coef": 0.1},
        "not scaled, and averaged by token": {"is_scaled": False, "normalization": "token"},
        "divided by a constant, with a wide clip": {"normalization": "constant", "clip_coef": 0.35},
    }
    sizes = {"n_prompts": 3, "group_size": 2, "gen_len": 4, "n_steps": 2, "n_epochs": 1, "kl_coef": 0.1}
    return [
        Case(
            label=label,
            call=f"GrpoTrainer(policy, GrpoConfig({', '.join(f'{name}={value!r}' for name, value in changed.items())}), ...)",
            given={"config": grpo.GrpoConfig(**{**sizes, **changed}), "is_whole": "group_size" in changed},
        )
        for label, changed in changes.items()
    ]


class GrpoWrittenOut(RolloutTrainer):
    """Scores by all logits, and writes the loss down."""

    config: grpo.GrpoConfig

    def make_memory(self, rollouts: Rollouts, rewards: Tensor, ref_logprobs: Tensor) -> ReplayMemory:
        """Group by group; filling gets 0."""
        parts = []
        for group in rewards.split(self.config.group_size):
            difference = group - group.mean()
            parts.append(difference / (group.std() + 1e-4) if self.config.is_scaled else difference)
        advantages = torch.cat(parts)[:, None] * rollouts.is_response
        drawn = rollouts.tokens, rollouts.attention_mask, rollouts.is_response, rollouts.logprobs
        return ReplayMemory(*drawn, ref_logprobs, rewards, advantages)

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective by hand."""
        logits = self.policy(minibatch.tokens, attention_mask=minibatch.attention_mask) / self.config.temperature
        mask, clip_coef = minibatch.is_response, self.config.clip_coef
        now, then, reference = (
            x.masked_fill(~mask, 0.0)
            for x in (
                get_logprobs(logits, minibatch.tokens, minibatch.prefix_len),
                minibatch.logprobs,
                minibatch.ref_logprobs,
            )
        )
        ratio = torch.exp(now - then)
        advantages = minibatch.advantages[:, :1]
        gain = torch.min(ratio * advantages, ratio.clip(1 - clip_coef, 1 + clip_coef) * advantages)
        kl = torch.exp(reference - now) - 1 - (reference - now)
        objective = grpo.average_over_tokens(gain - self.kl_coef * kl, mask, self.config.normalization)
        outside = ((ratio > 1 + clip_coef) | (ratio < 1 - clip_coef))[mask]
        return objective, {"clipped_share": outside.float().mean(), "objective": objective.detach()}


class GrpoInPieces(grpo.GrpoTrainer):
    """Takes the samples as they are, and adds what is missing."""

    def make_memory(self, rollouts: Rollouts, rewards: Tensor, ref_logprobs: Tensor) -> ReplayMemory:
        """First without advantages."""
        names = ("tokens", "attention_mask", "is_response", "logprobs")
        fields = {name: getattr(rollouts, name) for name in names}
        advantages = compute_group_advantages(rewards, self.config.group_size, is_scaled=self.config.is_scaled)
        memory = ReplayMemory(**fields, ref_logprobs=ref_logprobs, rewards=rewards, advantages=ref_logprobs)
        return replace(memory, advantages=advantages.unsqueeze(1).expand_as(rollouts.logprobs))

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Tensor, dict[str, Tensor]]:
        """By the terms of both halves."""
        config, data = self.config, minibatch
        now = self.score(self.policy, data)
        rest = data.logprobs, data.ref_logprobs, data.advantages.T[0], data.is_response, config.clip_coef
        objective = -1 * grpo.grpo_loss(now, *rest, kl_coef=self.kl_coef, normalization=config.normalization)
        with torch.no_grad():
            distance = torch.expm1(now - data.logprobs)[data.is_response].abs()
            return objective, {"clipped_share": (distance > config.clip_coef).to(now.dtype).mean()}


def in_method(method: str, old: str, wrong: dict[str, tuple[str, ...]]) -> tuple[Mistake, ...]:
    """Mistakes in one method of the trainer."""
    return instead_of(old, wrong, within=f"GrpoTrainer.{method}")


LOGITS = "self.policy(minibatch.tokens, attention_mask=minibatch.attention_mask)"
GATHER = "[:, {places}].log_softmax(-1).gather(-1, minibatch.tokens[:, {tokens}, None]).squeeze(-1)"
RIGHT = {"places": "minibatch.prefix_len - 1 : -1", "tokens": "minibatch.prefix_len :"}
PLAIN = LOGITS + GATHER.format(**RIGHT)
SCALED = f"({LOGITS} / config.temperature)"

test_grpo_trainer = exercise(
    reference=grpo.GrpoTrainer,
    cases=grpo_trainer_cases,
    observe=grpo_seen,
    accepts=[GrpoWrittenOut, GrpoInPieces],
    equivalent={
        "minibatch.advantages[:, 0]": "all tokens of a sample have one advantage",
        "ratio = (logprobs.detach() - minibatch.logprobs).exp() -> ratio = (logprobs - minibatch.logprobs).exp()": (
            "a comparison has no gradient"
        ),
        "is_clipped = (ratio - 1).abs() > config.clip_coef -> is_clipped = (ratio - 1).abs() >= config.clip_coef": (
            "the two are never equal"
        ),
    },
    mistakes=[
        *in_method(
            "make_memory",
            "compute_group_advantages(rewards, config.group_size, is_scaled=config.is_scaled)",
            {
                "compute_group_advantages(rewards, len(rewards), is_scaled=config.is_scaled)": (
                    "compares each sample with the whole batch",
                    "a sample is compared with the others of its prompt: group_size of them",
                ),
                "compute_group_advantages(rewards, config.group_size)": (
                    "always divides by the standard deviation",
                    "config.is_scaled says whether advantages are divided",
                ),
                "compute_group_advantages(rewards, config.group_size, is_scaled=False)": (
                    "never divides by the standard deviation",
                    "config.is_scaled says whether advantages are divided",
                ),
                "rewards": (
                    "takes the rewards for advantages",
                    "what counts is how much better a sample was than the others of its prompt",
                ),
                "rewards - rewards.mean()": (
                    "subtracts the mean of the batch",
                    "a sample is compared with the others of its prompt: compute_group_advantages",
                ),
                "compute_group_advantages(rewards - self.kl_coef * (rollouts.logprobs - ref_logprobs).where("
                "rollouts.is_response, 0.0).sum(dim=1), config.group_size, is_scaled=config.is_scaled)": (
                    "takes the KL from the rewards too",
                    "GRPO's KL is a term of the loss; the rewards are compared as they are",
                ),
            },
        ),
        *in_method(
            "make_memory",
            'einops.repeat(advantages, "batch -> batch gen_len", gen_len=gen_len)',
            {
                'einops.repeat(advantages, "batch -> batch gen_len", gen_len=gen_len) / rollouts.is_response.sum(1, True)': (
                    "shares the advantage out among the tokens",
                    "each token has the advantage of its sample, all of it",
                ),
                "advantages[:, None] * (rollouts.is_response.sum(1, True) == torch.arange(gen_len) + 1)": (
                    "gives the advantage to the last token alone",
                    "each token has the advantage of its sample",
                ),
                "advantages[:, None] * (torch.arange(gen_len) + 1 == gen_len)": (
                    "gives the advantage to the last place alone",
                    "each drawn token has the advantage of its sample",
                ),
            },
        ),
        *in_method(
            "make_memory",
            "logprobs=rollouts.logprobs,\n            ref_logprobs=ref_logprobs,",
            {
                "logprobs=ref_logprobs,\n            ref_logprobs=rollouts.logprobs,": (
                    "swaps the log-probabilities of policy and reference",
                    "`logprobs` are those of the policy that drew, `ref_logprobs` the reference's",
                ),
                "logprobs=rollouts.logprobs,\n            ref_logprobs=rollouts.logprobs,": (
                    "keeps the policy's own log-probabilities as the reference's",
                    "`ref_logprobs` are the reference's: the second of the arguments after the rollouts",
                ),
                "logprobs=ref_logprobs,\n            ref_logprobs=ref_logprobs,": (
                    "keeps the reference's log-probabilities as the old ones",
                    "`logprobs` are those under which the tokens were drawn: rollouts.logprobs",
                ),
            },
        ),
        *in_method(
            "make_memory",
            "rewards=rewards",
            {
                "rewards=advantages": (
                    "keeps the advantages as rewards",
                    "`rewards` are what the reward function said",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "self.score(self.policy, minibatch)",
            {
                "self.score(self.reference, minibatch)": (
                    "scores the reference in place of the policy",
                    "the policy learns from its own log-probabilities",
                ),
                "self.score(self.policy, minibatch).detach()": (
                    "detaches the policy or the objective",
                    "the policy learns from the objective's gradient, which flows through its log-probabilities",
                ),
                PLAIN: (
                    "forgets the temperature",
                    "tokens are scored at the temperature at which they were drawn, as self.score does it",
                ),
                SCALED.replace(", attention_mask=minibatch.attention_mask", "") + GATHER.format(**RIGHT): (
                    "forgets the attention mask",
                    "prompts are padded on the left, and padding is hidden by the mask",
                ),
                SCALED + GATHER.format(places="minibatch.prefix_len :", tokens="minibatch.prefix_len :"): (
                    "shifts the logits by one",
                    "the logits at a place predict the token that follows it: those from prefix_len - 1 on",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "            minibatch.logprobs,\n            minibatch.ref_logprobs,",
            {
                "            minibatch.ref_logprobs,\n            minibatch.logprobs,": (
                    "swaps the old policy and the reference",
                    "the ratio compares with the policy that drew, the KL with the reference",
                ),
                "            minibatch.ref_logprobs,\n            minibatch.ref_logprobs,": (
                    "takes the reference for the old policy",
                    "the ratio compares with the policy that drew the tokens: minibatch.logprobs",
                ),
                "            logprobs.detach(),\n            minibatch.ref_logprobs,": (
                    "compares the policy with itself",
                    "the ratio compares with the policy that drew the tokens: minibatch.logprobs",
                ),
                "            minibatch.logprobs,\n            minibatch.logprobs,": (
                    "holds the policy near the old one in place of the reference",
                    "the KL is from the reference: minibatch.ref_logprobs",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "minibatch.is_response,\n            config.clip_coef,",
            {
                "torch.ones_like(minibatch.is_response),\n            config.clip_coef,": (
                    "counts the filling",
                    "what stands after the end of a sample counts nowhere: minibatch.is_response",
                ),
                "minibatch.is_response,\n            0.2,": ("always clips at 0.2", "config.clip_coef says where"),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "minibatch.advantages[:, 0]",
            {
                "minibatch.rewards": (
                    "learns from the rewards in place of the advantages",
                    "each sample counts as its advantage says: minibatch.advantages",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "self.kl_coef,\n            config.normalization,",
            {
                "config.kl_coef,\n            config.normalization,": (
                    "takes the weight of the KL from the config",
                    "the weight that counts is the trainer's own, self.kl_coef",
                ),
                "0.0,\n            config.normalization,": (
                    "leaves the KL out, or measures it from the policy itself",
                    "the KL from the reference, minibatch.ref_logprobs, counts self.kl_coef times",
                ),
                "self.kl_coef,": ('always averages by "sequence"', "config.normalization says how"),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "return -loss, ",
            {
                "return loss, ": ("returns the loss", "the objective is to be made large: minus the loss"),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "(ratio - 1).abs() > config.clip_coef",
            {
                "ratio - 1 > config.clip_coef": (
                    "counts only ratios that are too large as clipped",
                    "a ratio below 1 - clip_coef is outside too",
                ),
                "ratio.log().abs() > config.clip_coef": (
                    "measures the logarithm of the ratio for the clipped share",
                    "the ratio itself is compared with 1",
                ),
                "(ratio - 1).abs() < config.clip_coef": (
                    "counts the ratios that aren't clipped",
                    "the share of those outside is asked for",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "masked_mean(is_clipped.float(), minibatch.is_response)",
            {
                "is_clipped.float().mean()": (
                    "counts the filling in the clipped share",
                    "it's the share of drawn tokens: minibatch.is_response",
                ),
            },
        ),
        *in_method(
            "compute_rlhf_objective",
            "logprobs.detach() - minibatch.logprobs",
            {
                "logprobs.detach() - minibatch.ref_logprobs": (
                    "compares with the reference for the clipped share",
                    "the ratio compares with the policy that drew the tokens: minibatch.logprobs",
                ),
            },
        ),
    ],
)
