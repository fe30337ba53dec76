"""One run of a recipe, from its fresh model to a folder that the zoo can load.

A run has two parts, each with its own checkpoints: at a steady learning rate, and
then cooling down. So the steady part can be made longer without starting again.

Source:  Hu et al. 2024, arXiv:2404.06395, section 4 (warmup, steady, decay).
Differs: the optimizer starts afresh, with a short warmup, when cooling begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Trainer
from arena_lib.storyworld import save_tokenizer
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import load_pretrained, save_pretrained
from arena_lib.zoo import evaluation
from arena_lib.zoo.recipes.story_batches import Stage, StoryBatches

MODEL_FOLDER, STEADY_FOLDER, COOLING_FOLDER = "model", "steady", "cooling"
"""Where, in a run's folder, the finished model and the checkpoints of each part are."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and on what a model is trained."""

    stages: Sequence[Stage]
    """Mixtures of documents, one after the other."""
    steady_steps: int
    """Updates at the steady learning rate, warmup included."""
    cooling_steps: int
    """Updates while it falls to a twentieth."""
    lr: float = 1e-3
    """The steady learning rate."""
    batch_tokens: int = 1024
    """Tokens in a batch: small, as the number of updates counts most in so short a run."""
    eval_every: int = 1000
    """Updates between two evaluations."""
    seed: int = 0
    """Of the weights at the start and of the rows."""

    def shortened(self, steps: int) -> "Plan":
        """The same plan with `steps` updates in all, a fifth of them cooling (at least one of each kind)."""
        cooling = max(1, steps // 5)
        return Plan(
            stages=self.stages,
            steady_steps=max(1, steps - cooling),
            cooling_steps=cooling,
            lr=self.lr,
            batch_tokens=self.batch_tokens,
            eval_every=self.eval_every,
            seed=self.seed,
        )


def run_recipe(
    model: Transformer, plan: Plan, folder: Path | str, *, steps: int | None = None, resume: bool = True
) -> dict[str, float]:
    """Train, write the finished model to `folder/model` in bfloat16, and return its figures as shipped."""
    folder = Path(folder)
    plan = plan if steps is None else plan.shortened(steps)
    train_steadily(model, plan, folder, resume=resume)
    cool_down(model, plan, folder, resume=resume)
    return evaluation.evaluate_all(write_model(model, folder / MODEL_FOLDER))


def train_steadily(model: Transformer, plan: Plan, folder: Path, *, resume: bool = True) -> None:
    """The first part of a run."""
    config = _make_config(plan, plan.steady_steps, schedule="constant")
    batches = StoryBatches(batch_tokens=plan.batch_tokens, seed=plan.seed, stages=plan.stages)
    _train(model, config, batches, folder / STEADY_FOLDER, resume)


def cool_down(model: Transformer, plan: Plan, folder: Path, *, resume: bool = True) -> None:
    """The second part, on the rows that follow those of the first."""
    config = _make_config(plan, plan.cooling_steps, schedule="cosine")
    batches = StoryBatches(batch_tokens=plan.batch_tokens, seed=plan.seed, stages=plan.stages)
    batches.load_state_dict({"position": plan.steady_steps})
    _train(model, config, batches, folder / COOLING_FOLDER, resume)


def _make_config(plan: Plan, n_steps: int, *, schedule: str) -> TrainingConfig:
    return TrainingConfig(
        n_steps=n_steps,
        lr=plan.lr,
        schedule="constant" if schedule == "constant" else "cosine",
        warmup=min(50, n_steps - 1),
        final_lr_fraction=0.05,
        eval_every=plan.eval_every,
        checkpoint_every=250,
        log_every=50,
        seed=plan.seed,
    )


def _train(model: Transformer, config: TrainingConfig, batches: StoryBatches, folder: Path, resume: bool) -> None:
    summary = Trainer(model, config, batches, evaluate_briefly, folder).train(resume=resume)
    assert summary.is_finished


def write_model(model: Transformer, folder: Path) -> Transformer:
    """Write model and tokenizer in the zoo's format, and return the model as read back, in float32."""
    from transformers import AutoTokenizer

    save_tokenizer(folder)
    model.tokenizer = AutoTokenizer.from_pretrained(folder)
    save_pretrained(model, folder, dtype=torch.bfloat16)
    save_tokenizer(folder)  # in our own short form again
    return load_pretrained(folder, dtype=torch.float32)


def evaluate_briefly(model: nn.Module) -> dict[str, float]:
    """The figures on fewer documents, for the log of a run."""
    device = next(model.parameters()).device

    def logits_of(tokens: Tensor) -> Tensor:
        return cast(Tensor, model(tokens.to(device))).cpu()

    return {
        **evaluation.evaluate_stories(logits_of, 32),
        **evaluation.evaluate_indirect_object(logits_of, 64),
        **evaluation.evaluate_induction(logits_of, 32, lengths=(20,)),
        **evaluation.evaluate_holders(logits_of, 64),
        **evaluation.evaluate_rules(logits_of, 16),
    }


@torch.no_grad()
def align_embeddings(model: Transformer, generator: torch.Generator, *, std: float = 0.5, scale: float = 0.2) -> None:
    """Draw W_E anew with `std` and start W_U at `scale` times its transpose.

    So a head that moves an embedding unchanged already raises the moved word's logit, for all
    words alike; with unrelated W_U each word has to be learned, and copying comes far later.
    """
    model.embed.W_E.normal_(0.0, std, generator=generator)
    model.unembed.W_U.copy_(scale * model.embed.W_E.T)


def make_sinusoids(n_ctx: int, d_model: int, base: float = 100.0) -> Float[Tensor, "n_ctx d_model"]:
    """Sines, then cosines, of positions at falling frequencies (Vaswani et al. 2017, arXiv:1706.03762, section 3.5).

    Their base of 10,000 leaves half of the dimensions without change over rows as short as ours.
    """
    angles = torch.arange(n_ctx)[:, None] * base ** (-torch.arange(0, d_model, 2) / d_model)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
