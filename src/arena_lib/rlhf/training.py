"""What PPO and GRPO share: act for a while, score what was said, learn from it a few times over.

A run goes by phases. In the rollout phase the policy is held still: it answers prompts, a reward function judges the
answers, and a frozen reference model says how likely it finds them. In the learning phase the policy is updated, on parts of
just that, a few times over. `arena_lib.core.training` makes the updates, and keeps checkpoints, metrics and manifest; a run
that was stopped in the middle of a phase goes on there.

Shapes:  tokens "batch seq"; what belongs to drawn tokens "batch gen_len"; what belongs to samples "batch"
Raises:  ConfigError for a configuration, a reference or prompts that can't work; what `rewards.checking` raises.
Source:  Ziegler et al. 2019, arXiv:1909.08593, section 2; Stiennon et al. 2020, arXiv:2009.01325, section 3.4.
Differs: the KL of a sample is the sum over its drawn tokens of log p - log q, at the temperature of sampling.
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Evaluate, Trainer
from arena_lib.errors import ConfigError
from arena_lib.rlhf.logprobs import check_temperature, compute_response_logprobs
from arena_lib.rlhf.prompts import Prompts
from arena_lib.rlhf.rewards.checking import RewardFn, compute_rewards
from arena_lib.rlhf.rollouts import Rollouts, draw_rollouts
from arena_lib.transformer.fast.model import Transformer

OWN_COLUMNS = (
    "reward", "kl", "length", "tokens_per_second", "kl_coef", "loss", "lr", "grad_norm",
    "clipped_share", "surrogate", "value_loss", "entropy", "kl_penalty",
)  # fmt: skip
"""Figures that a trainer or its method keeps itself, so that no measure may be called so."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(TrainingConfig):
    """How to train by rollouts; `n_steps` counts updates, of which each phase has n_epochs * n_minibatches."""

    lr: float = 5e-4
    """Peak learning rate, for models of a million parameters; SmolLM2 wants about a hundredth."""
    schedule: Literal["cosine", "constant", "late_decay"] = "constant"
    """Steady throughout, so that a run may be made longer."""
    weight_decay: float = 0.0
    """None: KL holds the weights."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's averaging of the gradient and of its square; torch's."""
    checkpoint_every: int | None = None
    """Updates between two checkpoints; None keeps one at the end (or at Ctrl-C) only."""
    n_prompts: int = 8
    """Prompts of a phase, drawn from those that the trainer is given."""
    gen_len: int = 32
    """Tokens of a response at most."""
    temperature: float = 1.0
    """Of sampling and of scoring: logits are divided by it in both."""
    n_epochs: int = 2
    """How often each phase's samples are learned from."""
    n_minibatches: int = 1
    """Parts that they are dealt into, anew each time."""
    clip_coef: float = 0.2
    """How far the probability of a token may move, as a share, before its gradient stops."""
    kl_coef: float = 0.1
    """What a nat of KL from the reference costs, in the unit of what is learned from: rewards, or normalised ones; 0 lets the
    policy go where it likes."""
    is_prompt_judged: bool = False
    """Whether the reward function sees the prompt with its response; else it sees the response alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "n_prompts", "gen_len", "n_epochs", "n_minibatches")
        check_numbers(self, "clip_coef")
        check_numbers(self, "kl_coef", zero_works=True)
        check_temperature(self.temperature)
        self._require(
            "n_minibatches", self.batch_size % self.n_minibatches == 0, f"a divisor of {self.batch_size} samples"
        )
        self._require(
            "n_steps", self.n_steps % self.n_updates == 0, f"a multiple of {self.n_updates}, a phase's updates"
        )

    @property
    def n_samples(self) -> int:
        """Samples of each prompt."""
        return 1

    @property
    def batch_size(self) -> int:
        """Samples of a phase."""
        return self.n_prompts * self.n_samples

    @property
    def n_updates(self) -> int:
        """Updates of a phase."""
        return self.n_epochs * self.n_minibatches


@dataclass(frozen=True)
class ReplayMemory:
    """The samples of a phase, ready to learn from; `memory[idx]` picks some of them: a minibatch."""

    tokens: Int[Tensor, "batch seq"]
    attention_mask: Bool[Tensor, "batch seq"]
    is_response: Bool[Tensor, "batch gen_len"]
    """Which of the tokens after the prompt were drawn; the others count nowhere."""
    logprobs: Float[Tensor, "batch gen_len"]
    """What the policy that drew them gave the tokens."""
    ref_logprobs: Float[Tensor, "batch gen_len"]
    """What the reference gives them."""
    rewards: Float[Tensor, " batch"]
    """What the reward function said."""
    advantages: Float[Tensor, "batch gen_len"]
    """How much better each token was than expected."""
    values: Float[Tensor, "batch gen_len"] | None = None
    """What a value head expected before each token."""
    returns: Float[Tensor, "batch gen_len"] | None = None
    """What it should have expected."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, idx: Int[Tensor, " minibatch"]) -> "ReplayMemory":
        return ReplayMemory(**{name: tensor[idx] for name, tensor in self.as_tensors().items()})

    def to(self, device: torch.device) -> "ReplayMemory":
        """Return the memory on `device`."""
        return ReplayMemory(**{name: tensor.to(device) for name, tensor in self.as_tensors().items()})

    def as_tensors(self) -> dict[str, Tensor]:
        """The fields that there are, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: tensor for name, tensor in named if tensor is not None}

    @property
    def prefix_len(self) -> int:
        """Tokens before the first that was drawn, padding included."""
        return self.tokens.shape[1] - self.is_response.shape[1]

    def deal(self, n_epochs: int, n_minibatches: int, generator: torch.Generator) -> list[Int[Tensor, " minibatch"]]:
        """Which samples each minibatch has: all of them once in each epoch, in an order that is drawn anew."""
        orders = [torch.randperm(len(self), generator=generator) for _ in range(n_epochs)]
        return [part for order in orders for part in order.chunk(n_minibatches)]


class RolloutBatches:
    """Hands out a phase's minibatches, and makes the next phase when they are used up; checkpoints hold what is left."""

    def __init__(self, trainer: "RolloutTrainer") -> None:
        self.trainer = trainer
        self.memory: ReplayMemory | None = None
        self.left: list[Tensor] = []

    def __call__(self, generator: torch.Generator) -> ReplayMemory:
        """Return the next minibatch."""
        if not self.left:
            self.memory = self.trainer.rollout_phase()
            config = self.trainer.config
            self.left = self.memory.deal(config.n_epochs, config.n_minibatches, generator)
        assert self.memory is not None
        return self.memory[self.left.pop(0)]

    def state_dict(self) -> dict[str, Any]:
        """Return the memory, what is left of it, and the phases so far."""
        tensors = self.memory.as_tensors() if self.memory is not None and self.left else {}
        left = {"left": torch.stack(self.left)} if self.left else {}
        return {**tensors, **left, "phases": self.trainer.phases, "kl_coef": self.trainer.kl_coef}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.trainer.phases, self.trainer.kl_coef = list(state["phases"]), state["kl_coef"]
        names = {field.name for field in fields(ReplayMemory)}
        tensors = {name: tensor for name, tensor in state.items() if name in names}
        self.memory = ReplayMemory(**tensors) if tensors else None
        self.left = list(state["left"]) if "left" in state else []


class RolloutTrainer(Trainer):
    """Trains the policy in `model` to answer `prompts` so that `reward_fn` likes it, and stays near `reference`.

    `reference` is frozen; left out it's a copy of the policy as it comes, so a run that goes on from a checkpoint in
    `folder` must start from the same policy. `measures` are further reward functions, which nothing is learned from: their
    means are kept beside the reward's. `end_of_text` ends a sample: the tokenizer's `eos_token_id`, unless another is given.
    `texts` are those that the latest phase judged, none before the first phase of this process. `phases` is the history: for
    each phase the mean "reward", the mean of each measure, "kl" (nats for each sample), "length" (drawn tokens of a sample)
    and "tokens_per_second".
    """

    config: RolloutConfig

    def __init__(
        self,
        model: nn.Module,
        config: RolloutConfig,
        prompts: Prompts,
        reward_fn: RewardFn,
        *,
        reference: Transformer | None = None,
        measures: Mapping[str, RewardFn] | None = None,
        end_of_text: int | None = None,
        evaluate: Evaluate | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if len(prompts) < config.n_prompts:
            raise ConfigError(
                f"there must be as many prompts as a phase has, {config.n_prompts}: got {len(prompts)}. Pass more prompts "
                "or a smaller n_prompts."
            )
        policy = self.policy_of(model)
        self.policy, self.reference = policy, freeze_reference(policy, reference)
        self.prompts, self.reward_fn, self.measures = prompts, reward_fn, check_measures(measures or {})
        self.tokenizer = require_tokenizer(policy)
        self.end_of_text = getattr(self.tokenizer, "eos_token_id", None) if end_of_text is None else end_of_text
        self.phases: list[dict[str, float]] = []
        self.texts: list[str] = []
        self.kl_coef = config.kl_coef
        super().__init__(model, config, RolloutBatches(self), evaluate, folder, self._compute_losses)

    # -- what a method adds -------------------------------------------------------------------

    def policy_of(self, model: Any) -> Transformer:
        """What draws, of the model that is trained: all of it, unless a method trains more."""
        policy: Transformer = model
        return policy

    def make_memory(
        self, rollouts: Rollouts, rewards: Float[Tensor, " batch"], ref_logprobs: Float[Tensor, "batch gen_len"]
    ) -> ReplayMemory:
        """What to learn from these samples: with the advantages of their tokens."""
        raise NotImplementedError

    def compute_rlhf_objective(self, minibatch: ReplayMemory) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """What is to be made large, and figures to log: single numbers without gradients."""
        raise NotImplementedError

    # -- the two phases -----------------------------------------------------------------------

    @torch.no_grad()
    def rollout_phase(self) -> ReplayMemory:
        """Draw responses, judge them, score them by the reference; the phase's figures are added to `phases`.

        The model is in evaluation mode meanwhile: without the dropout of adapters, if there is any.
        """
        was_training = self.model.training
        self.model.eval()
        try:
            return self._act()
        finally:
            self.model.train(was_training)

    def _act(self) -> ReplayMemory:
        config = self.config
        chosen = torch.randperm(len(self.prompts), generator=self.generator)[: config.n_prompts]
        rollouts = draw_rollouts(
            self.policy,
            self.prompts[chosen],
            config.gen_len,
            n_samples=config.n_samples,
            temperature=config.temperature,
            end_of_text=self.end_of_text,
            generator=self.generator,
        )
        self.texts = self.read(rollouts)
        rewards = compute_rewards(self.reward_fn, self.texts).to(rollouts.logprobs)
        ref_logprobs = self.score(self.reference, rollouts)
        log_ratios = (rollouts.logprobs - ref_logprobs).where(rollouts.is_response, 0.0)
        row = {"reward": float(rewards.mean()), "kl": float(log_ratios.sum(dim=1).mean())}
        row |= {name: float(compute_rewards(measure, self.texts).mean()) for name, measure in self.measures.items()}
        row |= {"length": float(rollouts.is_response.sum(dim=1).float().mean())}
        self.phases.append({**row, "tokens_per_second": rollouts.tokens_per_second})
        return self.make_memory(rollouts, rewards, ref_logprobs)

    def learning_phase(self, memory: ReplayMemory) -> float:
        """Learn from a phase's samples, config.n_epochs times over; returns the mean loss of the updates."""
        dealt = memory.deal(self.config.n_epochs, self.config.n_minibatches, self.generator)
        losses = [self.training_step(memory[idx]) for idx in dealt]
        return float(torch.stack(losses).mean())

    def read(self, rollouts: Rollouts) -> list[str]:
        """The texts that reward functions judge: responses, after their prompts if they are judged too."""
        rows = rollouts.responses
        if self.config.is_prompt_judged:
            rows = [prompt + response for prompt, response in zip(rollouts.prompts, rows, strict=True)]
        return [self.tokenizer.decode([token for token in row if token != self.end_of_text]) for row in rows]

    def score(self, model: Transformer, rollouts: Rollouts | ReplayMemory) -> Float[Tensor, "batch gen_len"]:
        """What a model gives the tokens after the prompts, at the temperature of sampling."""
        prefix_len = rollouts.n_prompt if isinstance(rollouts, Rollouts) else rollouts.prefix_len
        return compute_response_logprobs(
            model,
            rollouts.tokens,
            prefix_len,
            temperature=self.config.temperature,
            attention_mask=rollouts.attention_mask,
        )

    def measure(self) -> dict[str, float]:
        """The latest phase's figures, for a row of metrics."""
        return {**self.phases[-1], "kl_coef": self.kl_coef} if self.phases else {}

    def _compute_losses(self, model: nn.Module, minibatch: ReplayMemory) -> dict[str, Tensor]:
        model.eval()  # it learns as it acted, without dropout: or else no ratio would be 1 before the first update
        objective, figures = self.compute_rlhf_objective(minibatch)
        return {"loss": -objective, **figures}


def freeze_reference(policy: Transformer, reference: Transformer | None) -> Transformer:
    """A reference that never trains: the given one, or a copy of the policy as it is now."""
    if reference is policy:
        raise ConfigError(
            "the reference must be another model than the policy, or it would train with it: got the same object. Leave it "
            "out to get a copy."
        )
    frozen = copy.deepcopy(policy) if reference is None else reference
    if frozen.cfg.d_vocab != policy.cfg.d_vocab:
        raise ConfigError(
            f"policy and reference must have one vocabulary: got {policy.cfg.d_vocab} tokens and {frozen.cfg.d_vocab}. Take "
            "the model that the policy was made from."
        )
    return frozen.eval().requires_grad_(False)


def check_measures(measures: Mapping[str, RewardFn]) -> dict[str, RewardFn]:
    """The measures, none of which may have the name of one of the trainer's own figures."""
    if taken := [name for name in measures if name in OWN_COLUMNS]:
        raise ConfigError(
            f"measures must have other names than the trainer's own figures, {', '.join(OWN_COLUMNS)}: got {taken[0]!r}. "
            f"Call it true_{taken[0]}, for example."
        )
    return dict(measures)


def require_tokenizer(policy: Transformer) -> Any:
    """The policy's tokenizer; ConfigError if it has none."""
    tokenizer = getattr(policy, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(
            "rewards judge texts, so the policy must have a tokenizer: got a model without one. Set model.tokenizer, or "
            "load the model with arena_lib.zoo.load, which does."
        )
    return tokenizer
