"""What is seen of the trainers of section 2.4, method by method, on samples that were made beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rlhf.logprobs import compute_response_logprobs
from arena_lib.rlhf.prompts import pad_prompts
from arena_lib.rlhf.rollouts import Rollouts
from arena_lib.rlhf.training import ReplayMemory, RolloutConfig
from arena_lib.rlhf.value_head import TransformerWithValueHead
from arena_lib.tests.rlhf.small_models import make_policy
from arena_lib.transformer.fast.model import Transformer

__test__ = False

PROMPTS = pad_prompts([[3, 7, 5], [9], [11, 2], [4, 8, 6], [1, 12], [10, 10, 9]])
N_PROMPT, GEN_LEN = 3, 4
LENGTHS = torch.tensor([4, 2, 1, 4, 3, 2])
FILLING = 5.0
"""What stands where no token was drawn; it counts nowhere."""
MOVED_KL_COEF = 0.37
"""The weight of the KL in the trainer; the configs begin with another one."""
PHASE = {"reward": 0.4, "kl": 3.3, "length": 2.7}


class Digits:
    """A tokenizer whose texts are numbers."""

    eos_token_id = 0

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens' numbers, with spaces between."""
        return " ".join(map(str, tokens))


def count_characters(texts: list[str]) -> Tensor:
    """A reward for long texts."""
    return torch.tensor([float(len(text)) for text in texts])


def make_models() -> tuple[Transformer, Transformer]:
    """A policy, and a reference from which it has moved."""
    policy, reference = make_policy(seed=1), make_policy(seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    policy.tokenizer = Digits()
    return policy, reference


def with_value_head(policy: Transformer) -> TransformerWithValueHead:
    """The policy with a head that has learned something."""
    generator = torch.Generator().manual_seed(3)
    model = TransformerWithValueHead(policy, generator=generator)
    with torch.no_grad():
        for parameter in model.value_head.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def make_rollouts(policy: Transformer, temperature: float) -> Rollouts:
    """Samples of several lengths, after prompts of several lengths; old log-probabilities beside those of the policy."""
    generator = torch.Generator().manual_seed(4)
    n = len(LENGTHS)
    is_response = torch.arange(GEN_LEN) < LENGTHS[:, None]
    drawn = torch.randint(1, 13, (n, GEN_LEN), generator=generator).where(is_response, 0)
    tokens = torch.cat([PROMPTS.tokens, drawn], dim=1)
    mask = torch.cat([PROMPTS.attention_mask, torch.ones(n, GEN_LEN, dtype=torch.bool)], dim=1)
    with torch.no_grad():
        now = compute_response_logprobs(policy, tokens, N_PROMPT, temperature=temperature, attention_mask=mask)
    old = (now + 0.3 * torch.randn(n, GEN_LEN, generator=generator)).where(is_response, 0.0)
    return Rollouts(tokens, mask, is_response, old, N_PROMPT, seconds=1.0)


def make_minibatch(rollouts: Rollouts, ref_logprobs: Tensor, *, has_values: bool) -> ReplayMemory:
    """A memory that no trainer has made, so that the objective is seen by itself."""
    generator = torch.Generator().manual_seed(5)
    n, is_response = len(LENGTHS), rollouts.is_response
    advantages, values, returns = (
        torch.randn(n, GEN_LEN, generator=generator).where(is_response, FILLING) for _ in range(3)
    )
    memory = ReplayMemory(
        tokens=rollouts.tokens,
        attention_mask=rollouts.attention_mask,
        is_response=is_response,
        logprobs=rollouts.logprobs,
        ref_logprobs=ref_logprobs,
        rewards=torch.randn(n, generator=generator),
        advantages=advantages,
    )
    if has_values:
        return replace(memory, values=values, returns=returns)
    return replace(memory, advantages=advantages[:, :1].expand(n, GEN_LEN).clone())


def memory_seen(trainer: Any, rollouts: Rollouts, ref_logprobs: Tensor) -> Observations:
    """What make_memory gives, at drawn tokens alone, and the weight of the KL afterwards."""
    trainer.phases += [{**PHASE, "kl": 2.9}, dict(PHASE)]
    rewards = torch.tensor([2.0, 5.0, 1.0, 1.0, 7.0, 3.5])
    handed = [rewards.clone(), ref_logprobs.clone()]
    with torch.no_grad():  # as in rollout_phase
        memory = trainer.make_memory(rollouts, *handed)
    if not isinstance(memory, ReplayMemory):
        raise Unfit(f"make_memory must return a ReplayMemory: got {type(memory).__name__}.")
    seen: Observations = {}
    for name, tensor in memory.as_tensors().items():
        per_token = tensor.shape == rollouts.is_response.shape and tensor.is_floating_point()
        kept = tensor.where(rollouts.is_response, 0.0) if per_token else tensor
        seen[f"make_memory: {name}"] = kept.detach().clone()
    is_same = torch.equal(handed[0], rewards) and torch.equal(handed[1], ref_logprobs)
    seen["make_memory: leaves its arguments as they are"] = is_same
    seen["make_memory: kl_coef afterwards"] = float(trainer.kl_coef)
    return seen


def objective_seen(trainer: Any, minibatch: ReplayMemory, figures: Sequence[str]) -> Observations:
    """The objective, the sizes of its gradients for each part, and the figures."""
    trainer.model.zero_grad()
    result = trainer.compute_rlhf_objective(minibatch)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise Unfit("compute_rlhf_objective must return the objective and a dictionary of figures, in this order.")
    objective, found = result
    if missing := [name for name in figures if name not in found]:
        raise Unfit(
            f"compute_rlhf_objective must give the figures {', '.join(figures)}: {', '.join(missing)} is missing."
        )
    if not all(isinstance(figure, Tensor) and figure.numel() == 1 for figure in found.values()):
        raise Unfit("Each figure of compute_rlhf_objective must be a tensor of one number.")
    if objective.requires_grad:
        objective.backward()
    seen: Observations = {"compute_rlhf_objective: objective": objective.detach()}
    seen |= {f"compute_rlhf_objective: {name}": float(found[name]) for name in figures}
    for name, part in trainer.model.named_children():
        seen[f"compute_rlhf_objective: size of the gradient of {name}"] = gradient_norm(part)
    seen["compute_rlhf_objective: size of the reference's gradient"] = gradient_norm(trainer.reference)
    seen["compute_rlhf_objective: figures with gradients"] = [name for name in found if found[name].requires_grad]
    seen["compute_rlhf_objective: other terms"] = sorted(set(found) & {"kl_penalty"} - set(figures))
    return seen


def gradient_norm(module: nn.Module) -> float:
    """The size of all gradients of a module's parameters."""
    gradients = [parameter.grad.norm() for parameter in module.parameters() if parameter.grad is not None]
    return float(torch.stack(gradients).norm()) if gradients else 0.0


def phase_seen(trainer: Any) -> Observations:
    """A whole phase: the loss of its one update, and whether the reference stays as it is."""
    before = {name: weight.clone() for name, weight in trainer.reference.state_dict().items()}
    loss = trainer.learning_phase(trainer.rollout_phase())
    after = trainer.reference.state_dict()
    return {
        "a phase: loss": loss,
        "a phase: the reference stays as it is": all(torch.equal(before[name], after[name]) for name in before),
        "a phase: the reference is frozen": not any(weight.requires_grad for weight in trainer.reference.parameters()),
    }


def seen_of_trainer(
    cls: Any, case: Case, *, prepare: Callable[[Transformer], nn.Module], figures: Sequence[str], has_values: bool
) -> Observations:
    """Each method by itself; where the case asks for it, a whole phase too."""
    config: RolloutConfig = case.given["config"]

    def make_trainer() -> tuple[Any, Transformer, Transformer]:
        policy, reference = make_models()
        trainer = cls(prepare(policy), config, PROMPTS, count_characters, reference=reference)
        return trainer, policy, reference

    trainer, policy, reference = make_trainer()
    trainer.kl_coef = MOVED_KL_COEF
    rollouts = make_rollouts(policy, config.temperature)
    with torch.no_grad():
        ref_logprobs = trainer.score(reference, rollouts).where(rollouts.is_response, -FILLING)
    minibatch = make_minibatch(rollouts, ref_logprobs, has_values=has_values)
    seen = memory_seen(trainer, rollouts, ref_logprobs)
    trainer.kl_coef = MOVED_KL_COEF
    seen |= objective_seen(trainer, minibatch, figures)
    return seen | phase_seen(make_trainer()[0]) if case.given["is_whole"] else seen


def rlhf_seen(cls: Any, case: Case) -> Observations:
    """As `seen_of_trainer`, of PPO with a value head."""
    penalty = ["kl_penalty"] if case.given["config"].kl_place == "loss" else []
    figures = ["surrogate", "value_loss", "entropy", *penalty]
    return seen_of_trainer(cls, case, prepare=with_value_head, figures=figures, has_values=True)


def as_it_is(policy: Transformer) -> nn.Module:
    """GRPO trains the policy itself."""
    return policy


def grpo_seen(cls: Any, case: Case) -> Observations:
    """As `seen_of_trainer`, of GRPO."""
    return seen_of_trainer(cls, case, prepare=as_it_is, figures=["clipped_share"], has_values=False)
