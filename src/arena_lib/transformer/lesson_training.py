"""Train a transformer in its plainest form: one step, one measurement, and the loop around them.

`training.py` holds the trainer for real runs: schedule, clipping, checkpoints, metrics.

Shapes:  train_tokens "n_train seq", test_tokens "n_test seq"
Raises:  ConfigError if an argument cannot work.
Source:  Loshchilov and Hutter 2017, arXiv:1711.05101 (AdamW).
Differs: no learning-rate schedule, no gradient clipping.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.progress import progress
from arena_lib.transformer.loss import cross_entropy_next_token


@dataclass(frozen=True, kw_only=True)
class TransformerTrainingArgs:
    """How long and how fast to train; the defaults suit a model of a few layers."""

    batch_size: int = 32
    """Sequences in each step."""
    epochs: int = 10
    """How often to go through the training data."""
    max_steps_per_epoch: int = 500
    """An epoch ends after this many steps, even if there are more data."""
    lr: float = 1e-3
    """AdamW's learning rate."""
    weight_decay: float = 1e-2
    """AdamW's weight decay."""
    seed: int = 0
    """Seed of the order in which sequences are drawn."""

    def __post_init__(self) -> None:
        check_sizes(self, "batch_size", "epochs", "max_steps_per_epoch")
        check_numbers(self, "lr")
        check_numbers(self, "weight_decay", zero_works=True)


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, ""]:
    """One step of optimisation on a batch of texts; returns the loss before the step.

    Compute the logits and their `cross_entropy_next_token`. Clear the gradients that may be there from before the
    call, compute new ones, and let the optimizer take a step. The result is a tensor, detached, so that keeping it
    doesn't keep the whole graph.
    """
    loss = cross_entropy_next_token(model(tokens), tokens)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.inference_mode()
def measure_accuracy(model: nn.Module, test_tokens: Int[Tensor, "n_test seq"], batch_size: int) -> float:
    """How often the model's likeliest token is the one that came next, from 0 to 1.

    Go through test_tokens in batches of batch_size (the last may be smaller); count the
    positions whose largest logit is at the token that follows; divide by the number of
    positions that have a next token. No gradients are recorded and nothing is trained.
    """
    n_right, n_all = 0, 0
    for tokens in test_tokens.split(batch_size):
        predicted = model(tokens)[:, :-1].argmax(dim=-1)
        n_right += int((predicted == tokens[:, 1:]).sum())
        n_all += predicted.numel()
    return n_right / n_all


class TransformerTrainer:
    """Teach `model` to predict the next token of `train_tokens`.

    `model` maps tokens "batch seq" to logits "batch seq d_vocab". `test_tokens` are never
    trained on. `optimizer` is AdamW over the model's parameters with the arguments' lr and
    weight_decay; `n_steps` counts the steps taken.
    """

    def __init__(
        self,
        args: TransformerTrainingArgs,
        model: nn.Module,
        train_tokens: Int[Tensor, "n_train seq"],
        test_tokens: Int[Tensor, "n_test seq"],
    ) -> None:
        self.args = args
        self.model = model
        self.train_tokens = train_tokens
        self.test_tokens = test_tokens
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
        self.n_steps = 0
        self.generator = torch.Generator().manual_seed(args.seed)

    def training_step(self, batch: dict[str, Int[Tensor, "batch seq"]]) -> Float[Tensor, ""]:
        """One step of optimisation on batch["tokens"], counted in `n_steps`; returns the loss before it."""
        loss = training_step(self.model, self.optimizer, batch["tokens"])
        self.n_steps += 1
        return loss

    def evaluate(self) -> float:
        """Accuracy on the test tokens: `measure_accuracy`."""
        return measure_accuracy(self.model, self.test_tokens, self.args.batch_size)

    def train(self) -> dict[str, list[float]]:
        """Train for all epochs; returns the "loss" of each step and the "accuracy" after each epoch."""
        history: dict[str, list[float]] = {"loss": [], "accuracy": []}
        for epoch in range(self.args.epochs):
            bar = progress(self.make_batches(), f"epoch {epoch + 1}")
            for batch in bar:
                history["loss"].append(self.training_step(batch).item())
                bar.set_postfix(loss=f"{history['loss'][-1]:.3f}")
            history["accuracy"].append(self.evaluate())
        return history

    def make_batches(self) -> list[dict[str, Int[Tensor, "batch seq"]]]:
        """One epoch: every training sequence at most once, in a new order each time."""
        order = torch.randperm(len(self.train_tokens), generator=self.generator)
        chosen = order.split(self.args.batch_size)[: self.args.max_steps_per_epoch]
        return [{"tokens": self.train_tokens[idx]} for idx in chosen]
