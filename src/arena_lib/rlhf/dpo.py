"""Direct preference optimisation (DPO) and its kin IPO: learning from pairs without a reward model and without sampling.

The policy that a reward r and a KL penalty beta lead to is pi(y) ~ reference(y) exp(r(y) / beta). Turned round: a policy is
itself a reward model, with r(y) = beta log(pi(y) / reference(y)) up to a constant for each prompt, which differences drop.
DPO fits that implicit reward to the pairs by the Bradley-Terry loss.

Shapes:  log-probabilities of whole answers, "batch", in nats; losses are one number
Raises:  ConfigError for a beta or tau that isn't above 0, and for a reference with another vocabulary; ShapeError
         for log-probabilities of other shapes; what `core.training` raises.
Source:  Rafailov et al. 2023, arXiv:2305.18290, equations 5 and 7; Azar et al. 2023, arXiv:2310.12036, equation 17.
Differs: the reference scores each answer once, before training, as pairs don't change; so no second model is held.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Evaluate, Trainer
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.logprobs import compute_response_logprobs
from arena_lib.rlhf.preferences.answers import Answers, PreferencePairs, RowBatches
from arena_lib.transformer.fast.model import Transformer


def dpo_loss(
    chosen_logprobs: Float[Tensor, " batch"],
    rejected_logprobs: Float[Tensor, " batch"],
    ref_chosen_logprobs: Float[Tensor, " batch"],
    ref_rejected_logprobs: Float[Tensor, " batch"],
    beta: float = 0.1,
) -> Float[Tensor, ""]:
    """The Bradley-Terry loss of the implicit rewards (Rafailov et al. 2023, equation 7).

        h = (chosen_logprobs - ref_chosen_logprobs) - (rejected_logprobs - ref_rejected_logprobs)
        result = mean of -log sigmoid(beta * h)

    Each argument is the log-probability of a whole answer: the sum over its tokens. A large `beta` keeps the policy near
    the reference. Gradients flow through the policy's log-probabilities; the reference's are data, into which none flows.
    The loss is finite for h of any size.

    >>> zeros = torch.zeros(3)
    >>> dpo_loss(zeros, zeros, zeros, zeros)
    tensor(0.6931)
    """
    check_positive("beta", beta)
    check_logprobs(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs)
    h = (chosen_logprobs - ref_chosen_logprobs.detach()) - (rejected_logprobs - ref_rejected_logprobs.detach())
    return -F.logsigmoid(beta * h).mean()


def ipo_loss(
    chosen_logprobs: Float[Tensor, " batch"],
    rejected_logprobs: Float[Tensor, " batch"],
    ref_chosen_logprobs: Float[Tensor, " batch"],
    ref_rejected_logprobs: Float[Tensor, " batch"],
    tau: float = 0.1,
) -> Float[Tensor, ""]:
    """A loss with a finite goal: log-ratios should differ by 1 / (2 tau), and no more (Azar et al. 2023, equation 17).

        h = (chosen_logprobs - ref_chosen_logprobs) - (rejected_logprobs - ref_rejected_logprobs)
        result = mean of (h - 1 / (2 tau))^2

    DPO's loss falls for as long as h grows, so with pairs that are always decided the same way no beta holds the policy back;
    this one's rises again. Other libraries divide each log-ratio by its answer's length first; the paper's equation doesn't.
    Gradients flow through the policy's log-probabilities alone.

    >>> zeros = torch.zeros(3)
    >>> ipo_loss(zeros + 5, zeros, zeros, zeros, tau=0.1)
    tensor(0.)
    """
    check_positive("tau", tau)
    check_logprobs(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs)
    h = (chosen_logprobs - ref_chosen_logprobs.detach()) - (rejected_logprobs - ref_rejected_logprobs.detach())
    return (h - 1 / (2 * tau)).pow(2).mean()


def compute_implicit_rewards(
    logprobs: Float[Tensor, " batch"], ref_logprobs: Float[Tensor, " batch"], beta: float = 0.1
) -> Float[Tensor, " batch"]:
    """What the policy, read as a reward model, thinks of each answer: beta * (logprobs - ref_logprobs) (equation 5).

    Rewards are known up to a constant for each prompt: compare answers to the same one only.
    """
    return beta * (logprobs - ref_logprobs)


def compute_answer_logprobs(model: Transformer, answers: Answers) -> Float[Tensor, " batch"]:
    """The log-probability, in nats, of each whole answer given its prompt: the sum over its tokens; gradients flow.

    Neither the prompt's tokens nor filling count; an end-of-text that ended the answer does.
    """
    logprobs = compute_response_logprobs(model, answers.tokens, answers.n_prompt, attention_mask=answers.attention_mask)
    return logprobs.where(answers.is_response, 0.0).sum(dim=1)


@torch.no_grad()
def score_answers(model: Transformer, answers: Answers, batch_size: int = 256) -> Float[Tensor, " batch"]:
    """`compute_answer_logprobs` in evaluation mode and without gradients, some answers at a time; on the CPU."""
    was_training, device = model.training, model.embed.W_E.device
    model.eval()
    starts = range(0, len(answers), batch_size)
    parts = [compute_answer_logprobs(model, answers[start : start + batch_size].to(device)).cpu() for start in starts]
    model.train(was_training)
    return torch.cat(parts)


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs, and the log-probability of each answer under the reference."""

    pairs: PreferencePairs
    """Chosen and rejected answers."""
    ref_chosen: Float[Tensor, " batch"]
    """Of the chosen answers, in nats."""
    ref_rejected: Float[Tensor, " batch"]
    """Of the rejected ones."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, rows: Tensor) -> "ScoredPairs":
        return ScoredPairs(self.pairs[rows], self.ref_chosen[rows], self.ref_rejected[rows])

    def to(self, device: torch.device | str) -> "ScoredPairs":
        """Return them on `device`."""
        return ScoredPairs(self.pairs.to(device), self.ref_chosen.to(device), self.ref_rejected.to(device))


def score_pairs(reference: Transformer, pairs: PreferencePairs) -> ScoredPairs:
    """Pairs with what the reference says of them."""
    return ScoredPairs(pairs, score_answers(reference, pairs.chosen), score_answers(reference, pairs.rejected))


@dataclass(frozen=True, kw_only=True)
class DPOConfig(TrainingConfig):
    """How to train by DPO or IPO; the rest is `TrainingConfig`'s."""

    lr: float = 1e-4
    """AdamW's learning rate at its highest; published models of billions of parameters take 5e-7 to 5e-6."""
    beta: float = 0.1
    """DPO's beta (Rafailov et al. 2023, appendix B); given to the loss, so for `ipo_loss` it's tau."""
    batch_size: int = 32
    """Pairs in an update."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "beta")
        check_sizes(self, "batch_size")


class DPOTrainer(Trainer):
    """Trains a policy on pairs; logs "loss", "accuracy" and "margin" of implicit rewards, and both of these by themselves.

    The reference is the policy as it is handed in, unless another model is given. `loss_fn` is `dpo_loss` or `ipo_loss`.
    With adapters (`attach_lora(policy)`) only these train. A run that goes on from a checkpoint in `folder` starts from the
    same policy, so that it has the same reference.
    """

    def __init__(
        self,
        policy: Transformer,
        config: DPOConfig,
        pairs: PreferencePairs,
        reference: Transformer | None = None,
        *,
        loss_fn: Callable[..., Tensor] = dpo_loss,
        evaluate: Evaluate | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if reference is not None and reference.cfg.d_vocab != policy.cfg.d_vocab:
            raise ConfigError(
                f"policy and reference must have the same vocabulary: got {policy.cfg.d_vocab} and {reference.cfg.d_vocab} "
                "tokens. Take the model that the policy was before training."
            )
        scored = score_pairs(policy if reference is None else reference, pairs)
        self.loss_fn, self.beta = loss_fn, config.beta
        batches = RowBatches(scored, config.batch_size)
        super().__init__(policy, config, batches, evaluate, folder, self.compute_preference_loss)

    def compute_preference_loss(self, policy: nn.Module, batch: Any) -> Mapping[str, Float[Tensor, ""]]:
        """The loss of a batch of `ScoredPairs`, in one pass over both answers, and what is logged beside it."""
        assert isinstance(policy, Transformer)
        chosen, rejected = compute_answer_logprobs(policy, batch.pairs.both).chunk(2)
        chosen_rewards = compute_implicit_rewards(chosen.detach(), batch.ref_chosen, self.beta)
        rejected_rewards = compute_implicit_rewards(rejected.detach(), batch.ref_rejected, self.beta)
        margins = chosen_rewards - rejected_rewards
        return {
            "loss": self.loss_fn(chosen, rejected, batch.ref_chosen, batch.ref_rejected, self.beta),
            "accuracy": (margins > 0).to(margins.dtype).mean(),
            "margin": margins.mean(),
            "chosen_reward": chosen_rewards.mean(),
            "rejected_reward": rejected_rewards.mean(),
        }


def check_positive(name: str, value: float) -> None:
    """Raise ConfigError unless a loss's constant is above 0."""
    if not 0 < value < torch.inf:
        raise ConfigError(f"{name} must be finite and above 0: got {value}. The papers take 0.1.")


def check_logprobs(*logprobs: Tensor) -> None:
    """Raise ShapeError unless there is one number for each pair: what is shaped otherwise would be broadcast."""
    shapes = [tuple(x.shape) for x in logprobs]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ShapeError(
            f"the four log-probabilities must have one shape, (batch,): got {', '.join(map(str, shapes))}. Add up each answer's "
            "tokens first."
        )
