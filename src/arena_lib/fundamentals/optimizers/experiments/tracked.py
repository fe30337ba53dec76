"""A trainer whose numbers are kept: a table of metrics on disk, and Weights & Biases or TensorBoard where asked for.

Shapes:  inputs "n_examples ...", labels "n_examples".
Raises:  what `arena_lib.core.metrics` raises for a tracker that isn't there.
Source:  own design.
"""

import os

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.metrics import MetricsLog
from arena_lib.fundamentals.optimizers.experiments.sweeps import TrackedTrainingArgs


class TrackedTrainer:
    """Trains a classifier with AdamW, and writes the loss of each step and the accuracy of each epoch into a log.

    Args:
        args: how to train.
        model: is changed.
        train_set: inputs and labels.
        test_set: inputs and labels.
        folder: where metrics.csv is written.
        trackers: "wandb", "tensorboard", both or none, beside that file.
    """

    def __init__(
        self,
        args: TrackedTrainingArgs,
        model: nn.Module,
        train_set: tuple[Tensor, Tensor],
        test_set: tuple[Tensor, Tensor],
        folder: str | os.PathLike[str],
        trackers: tuple[str, ...] = (),
    ) -> None:
        self.args, self.model, self.train_set, self.test_set = args, model, train_set, test_set
        self.folder, self.trackers = folder, trackers

    def pre_training_setup(self) -> None:
        """Make `self.optimizer`, `self.log` and `self.n_steps`, which is 0.

        The optimizer is torch.optim.AdamW with the learning rate and weight decay of the arguments; the log is
        MetricsLog(folder, trackers=trackers, config=vars(args)).
        """
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.args.learning_rate, weight_decay=self.args.weight_decay
        )
        self.log = MetricsLog(self.folder, trackers=self.trackers, config=vars(self.args))
        self.n_steps = 0

    def training_step(self, imgs: Float[Tensor, "batch ..."], labels: Int[Tensor, " batch"]) -> Tensor:
        """One step on a batch: zero_grad, mean cross-entropy, backward, step. Then count the step, and log its loss.

        `self.n_steps` goes up by one, and self.log.log(self.n_steps, {"loss": ...}) gets the loss before the step.

        Returns:
            The loss before the step, without axes; it needs no gradient.
        """
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(imgs), labels)
        loss.backward()
        self.optimizer.step()
        self.n_steps += 1
        self.log.log(self.n_steps, {"loss": loss.item()})
        return loss.detach()

    @torch.no_grad()
    def evaluate(self) -> float:
        """The share of the test set whose label gets the largest logit, in evaluation mode; logged as "accuracy" at this step.

        Afterwards the model is in training mode.
        """
        inputs, labels = self.test_set
        self.model.eval()
        accuracy = (self.model(inputs).argmax(dim=-1) == labels).float().mean().item()
        self.model.train()
        self.log.log(self.n_steps, {"accuracy": accuracy})
        return accuracy

    def train(self) -> float:
        """Set up, then train for n_epochs, and close the log at the end.

        In each epoch come all examples in a new order, in batches of batch_size (the last may be smaller), and then `evaluate`.
        The orders are torch.randperm's, one for each epoch, from one generator with the arguments' seed.

        Returns:
            The accuracy after the last epoch.
        """
        self.pre_training_setup()
        inputs, labels = self.train_set
        generator = torch.Generator().manual_seed(self.args.seed)
        accuracy = 0.0
        for _ in range(self.args.n_epochs):
            order = torch.randperm(len(labels), generator=generator)
            for batch in order.split(self.args.batch_size):
                self.training_step(inputs[batch], labels[batch])
            accuracy = self.evaluate()
        self.log.close()
        return accuracy
