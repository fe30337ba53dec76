"""Judge of a trainer whose numbers are kept."""

import tempfile
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.core.metrics import METRICS_FILE, MetricsLog, read_metrics
from arena_lib.fundamentals.optimizers.experiments import tracked
from arena_lib.fundamentals.optimizers.experiments.sweeps import TrackedTrainingArgs
from arena_lib.tests.optimization.trainers import make_model
from arena_lib.tests.optimization.watching import require_class

__test__ = False


def tracking_cases(generator: torch.Generator) -> list[Case]:
    """Runs of one and of two epochs, with and without decay, whose last batches are smaller."""

    def case(label: str, **settings: Any) -> Case:
        train_set = torch.randn(11, 3, generator=generator), torch.randint(2, (11,), generator=generator)
        test_set = torch.randn(9, 3, generator=generator), torch.randint(2, (9,), generator=generator)
        args = TrackedTrainingArgs(**settings)
        given = {"args": args, "train_set": train_set, "test_set": test_set}
        return Case(label=label, given=given, call="args, model, train_set, test_set, folder")

    return [
        case("two epochs", learning_rate=0.1, batch_size=4, n_epochs=2),
        case(
            "one epoch with decay, another order",
            learning_rate=0.05,
            batch_size=5,
            weight_decay=0.9,
            n_epochs=1,
            seed=4,
        ),
    ]


def life_of_a_run(cls: Any, case: Case) -> Observations:
    """One step by hand, then a whole run: what it returns, the weights, and every row that was logged."""
    require_class(cls)
    given = case.given
    inputs, labels = given["train_set"]
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(0)
        trainer = cls(given["args"], model, given["train_set"], given["test_set"], folder)
        trainer.pre_training_setup()
        loss = trainer.training_step(inputs[:4].clone(), labels[:4].clone())
        trainer.log.close()
        seen: Observations = {
            "loss of one step": loss.detach(),
            "the loss needs a gradient": loss.requires_grad,
            "rows after one step": [row["step"] for row in read_metrics(f"{folder}/{METRICS_FILE}")],
        }
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(1)
        accuracy = cls(given["args"], model, given["train_set"], given["test_set"], folder).train()
        rows = read_metrics(f"{folder}/{METRICS_FILE}")
    return seen | {
        "accuracy": float(accuracy),
        "type of the accuracy": type(accuracy).__name__,
        "weights": [param.detach().clone() for param in model.parameters()],
        "the model is in training mode": model.training,
        "steps of the rows": [row["step"] for row in rows],
        "losses": torch.tensor([row["loss"] for row in rows if "loss" in row]),
        "accuracies": torch.tensor([row["accuracy"] for row in rows if "accuracy" in row]),
    }


class TrackedByHand:
    """With everything in a style of its own."""

    def __init__(self, args, model, train_set, test_set, folder, trackers=()):  # type: ignore[no-untyped-def]
        self.args, self.model, self.data, self.test = args, model, train_set, test_set
        self.where = {"folder": folder, "trackers": trackers}

    def pre_training_setup(self) -> None:
        self.log = MetricsLog(**self.where, config=vars(self.args))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), self.args.learning_rate, weight_decay=self.args.weight_decay
        )
        self.count = 0

    def training_step(self, imgs: Tensor, labels: Tensor) -> Tensor:
        loss = nn.CrossEntropyLoss()(self.model(imgs), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.count += 1
        self.log.log(self.count, {"loss": float(loss.detach())})
        return loss.detach()

    @torch.inference_mode()
    def evaluate(self) -> float:
        inputs, labels = self.test
        n_right = int((self.model.eval()(inputs).argmax(1) == labels).sum())
        self.model.train()
        self.log.log(self.count, {"accuracy": n_right / len(labels)})
        return n_right / len(labels)

    def train(self) -> float:
        self.pre_training_setup()
        generator = torch.Generator().manual_seed(self.args.seed)
        for _ in range(self.args.n_epochs):
            order = torch.randperm(len(self.data[1]), generator=generator)
            for start in range(0, len(order), self.args.batch_size):
                batch = order[start : start + self.args.batch_size]
                self.training_step(self.data[0][batch], self.data[1][batch])
            accuracy = self.evaluate()
        self.log.close()
        return accuracy


LOG = 'self.log.log(self.n_steps, {"loss": loss.item()})'

test_tracked_trainer = exercise(
    reference=tracked.TrackedTrainer,
    cases=tracking_cases,
    observe=life_of_a_run,
    keep=["__init__"],
    accepts=[TrackedByHand],
    mistakes=[
        *instead_of(
            "lr=self.args.learning_rate, weight_decay=self.args.weight_decay",
            {
                "lr=self.args.learning_rate": (
                    "ignores weight decay",
                    "AdamW gets the arguments' weight_decay; its own default is 0.01",
                )
            },
            within="TrackedTrainer.pre_training_setup",
        ),
        *instead_of(
            f"self.n_steps += 1\n        {LOG}",
            {
                f"{LOG}\n        self.n_steps += 1": (
                    "counts after it has logged",
                    "the first step is logged as step 1",
                ),
                LOG: ("never counts", "n_steps goes up by one in every step"),
                "self.n_steps += 1": ("never logs the loss", "each step logs its loss"),
            },
            within="TrackedTrainer.training_step",
        ),
        *instead_of(
            "self.optimizer.zero_grad()\n",
            {"pass\n": ("forgets zero_grad", "gradients add up over steps")},
            within="TrackedTrainer.training_step",
        ),
        *instead_of(
            "return loss.detach()",
            {"return loss": ("returns a loss with its graph", "the loss needs no gradient: detach it")},
            within="TrackedTrainer.training_step",
        ),
        *instead_of(
            "self.model.eval()\n",
            {"pass\n": ("evaluates in training mode", "some layers do another thing in training")},
            within="TrackedTrainer.evaluate",
        ),
        *instead_of(
            "self.model.train()\n",
            {"pass\n": ("stays in evaluation mode", "afterwards the model is in training mode")},
            within="TrackedTrainer.evaluate",
        ),
        *instead_of(
            '        self.log.log(self.n_steps, {"accuracy": accuracy})\n',
            {"": ("never logs the accuracy", "each evaluation is logged")},
            within="TrackedTrainer.evaluate",
        ),
    ],
    equivalent={
        "MetricsLog(self.folder, trackers=self.trackers, config=vars(self.args)) -> MetricsLog(self.folder, config=vars(self.args))": (
            "no tracker is asked for here: a judge logs nowhere but into its own folder"
        ),
        "MetricsLog(self.folder, trackers=self.trackers, config=vars(self.args)) -> MetricsLog(self.folder, trackers=self.trackers)": (
            "only trackers read the arguments"
        ),
        "self.log.log(self.n_steps, {'loss': loss.item()}) -> self.log.log(self.n_steps, {'loss': loss})": "the log makes a float",
        "self.log.close() -> None": "the table is on disk after every row; closing matters to trackers",
        "accuracy = 0.0 -> accuracy = 1.0": "there is at least one epoch",
    },
)
