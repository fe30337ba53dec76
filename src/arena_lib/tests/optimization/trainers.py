"""Judge of the trainer for several processes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.distributed import data_parallel
from arena_lib.fundamentals.distributed.collectives import all_reduce
from arena_lib.tests.optimization.training_together import average_one_by_one
from arena_lib.tests.optimization.watching import require_class
from arena_lib.tests.optimization.worlds import run_world

__test__ = False


class ShiftsInTraining(nn.Module):
    """Adds 1 to the first logit, in training mode alone."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits + torch.tensor([1.0, 0.0]) if self.training else logits


def make_model(seed: int) -> nn.Module:
    """A small network, whose weights depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), ShiftsInTraining())
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) / 2)
    return model


def count_examples(model: nn.Module) -> list[int]:
    """A list that the model will write into how many examples it's shown, at each call in training mode."""
    counts: list[int] = []

    def count(model: nn.Module, args: tuple[Tensor, ...]) -> None:
        if model.training:
            counts.append(len(args[0]))

    model.register_forward_pre_hook(count)
    return counts


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Worlds of one to three processes, several settings."""

    def case(label: str, world_size: int, **settings: Any) -> Case:
        config = data_parallel.DistTrainingConfig(**settings)
        train_set = torch.randn(20, 3, generator=generator), torch.randint(2, (20,), generator=generator)
        test_set = torch.randn(12, 3, generator=generator), torch.randint(2, (12,), generator=generator)
        given = {"config": config, "world_size": world_size, "train_set": train_set, "test_set": test_set}
        return Case(label=label, given=given, call=f"config, rank, {world_size}, model, train_set, test_set")

    return [
        case("two processes", 2, n_epochs=2, batch_size=6, lr=0.5, momentum=0.9),
        case("three processes, another order", 3, n_epochs=1, batch_size=6, lr=0.2, momentum=0.0, seed=3),
        case("one process", 1, n_epochs=1, batch_size=8, lr=0.1),
    ]


def life_of_a_trainer(cls: Any, case: Case) -> Observations:
    """The losses, the weights and the accuracy on every rank, after one step by hand and after a whole training."""
    require_class(cls)
    torch.optim.SGD(
        [torch.zeros(1, requires_grad=True)], 0.1
    )  # the first one of a process is slow: no rank may wait for it
    given = case.given
    world_size = given["world_size"]

    def one_step(rank: int) -> tuple[Any, ...]:
        trainer = cls(given["config"], rank, world_size, make_model(rank), given["train_set"], given["test_set"])
        trainer.pre_training_setup()
        counts = count_examples(trainer.model)
        at_first = [param.detach().clone() for param in trainer.model.parameters()]
        inputs, labels = given["train_set"]
        loss = trainer.training_step(inputs[:6].clone(), labels[:6].clone())
        return (
            at_first,
            loss.detach(),
            loss.requires_grad,
            [param.detach().clone() for param in trainer.model.parameters()],
            max(counts, default=0),
        )

    def whole(rank: int) -> tuple[Any, ...]:
        model = make_model(rank)
        trainer = cls(given["config"], rank, world_size, model, given["train_set"], given["test_set"])
        losses = trainer.train()
        before = [param.detach().clone() for param in model.parameters()]
        accuracy = trainer.evaluate()
        stayed = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        kinds = sorted({type(value).__name__ for value in (*losses, accuracy)})
        return torch.tensor([float(loss) for loss in losses]), float(accuracy), model.training, stayed, before, kinds

    seen, run = run_world(one_step, [(rank,) for rank in range(world_size)])
    if run is None:
        return seen
    for rank, (at_first, loss, needs, after, n_examples) in enumerate(run.results):
        seen[f"weights of rank {rank} after pre_training_setup"] = at_first
        seen[f"loss of one step on rank {rank}"] = loss
        seen[f"loss on rank {rank} needs a gradient"] = needs
        seen[f"weights of rank {rank} after one step"] = after
        seen[f"examples that the model of rank {rank} sees at once in this step"] = n_examples
    happened, run = run_world(whole, [(rank,) for rank in range(world_size)])
    if run is None:
        return seen | happened
    for rank, (losses, accuracy, is_training, stayed, weights, kinds) in enumerate(run.results):
        seen[f"losses on rank {rank}"] = losses
        seen[f"accuracy on rank {rank}"] = accuracy
        seen[f"types of losses and accuracy on rank {rank}"] = kinds
        seen[f"model of rank {rank} trains on after evaluate"] = is_training and stayed
        seen[f"weights of rank {rank} after training"] = weights
    return seen


class TrainerByHand:
    """With gradients averaged one by one, and the reference's order of examples."""

    def __init__(self, config, rank, world_size, model, train_set, test_set):  # type: ignore[no-untyped-def]
        self.args, self.rank, self.n, self.model = config, rank, world_size, model
        self.data, self.test = train_set, test_set

    def pre_training_setup(self) -> None:
        with torch.no_grad():
            for param in self.model.parameters():
                if self.rank != 0:
                    param.zero_()
                all_reduce(param, self.rank, self.n)
        self.optimizer = torch.optim.SGD(self.model.parameters(), self.args.lr, self.args.momentum)

    def training_step(self, imgs: Tensor, labels: Tensor) -> Tensor:
        mine = slice(self.rank * len(imgs) // self.n, (self.rank + 1) * len(imgs) // self.n)
        self.optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(self.model(imgs[mine]), labels[mine])
        loss.backward()
        average_one_by_one(self.model.parameters(), self.rank, self.n)
        self.optimizer.step()
        total = loss.detach().clone()
        all_reduce(total, self.rank, self.n, "mean")
        return total

    @torch.inference_mode()
    def evaluate(self) -> float:
        inputs, labels = self.test
        right = self.model.eval()(inputs).argmax(1) == labels
        self.model.train()
        return right.float().mean().item()

    def train(self) -> list[float]:
        self.pre_training_setup()
        generator, size = torch.Generator().manual_seed(self.args.seed), self.args.batch_size
        n_examples = len(self.data[1])
        losses = []
        for _ in range(self.args.n_epochs):
            order = torch.randperm(n_examples, generator=generator)
            for i in range(n_examples // size):
                batch = order[i * size : (i + 1) * size]
                losses.append(self.training_step(self.data[0][batch], self.data[1][batch]).item())
        return losses


test_dist_trainer = exercise(
    reference=data_parallel.DistTrainer,
    cases=trainer_cases,
    observe=life_of_a_trainer,
    keep=["__init__"],
    accepts=[TrainerByHand],
    mistakes=[
        *instead_of(
            "broadcast(param.data, self.rank, self.world_size, 0)",
            {"pass": ("begins with different weights", "all models must begin as rank 0's: broadcast every parameter")},
            within="DistTrainer.pre_training_setup",
        ),
        *instead_of(
            "lr=self.config.lr, momentum=self.config.momentum",
            {"lr=self.config.lr": ("ignores momentum", "the optimizer has the config's lr and momentum")},
            within="DistTrainer.pre_training_setup",
        ),
        *instead_of(
            "average_gradients(self.model.parameters(), self.rank, self.world_size)",
            {
                "pass": (
                    "forgets to average gradients",
                    "average between backward and step: without it each model goes its own way",
                )
            },
            within="DistTrainer.training_step",
        ),
        *instead_of(
            "loss.backward()\n        average_gradients(self.model.parameters(), self.rank, self.world_size)\n"
            "        self.optimizer.step()",
            {
                "average_gradients(self.model.parameters(), self.rank, self.world_size)\n        loss.backward()\n"
                "        self.optimizer.step()": (
                    "averages gradients before there are any",
                    "backward makes the gradients; then they are averaged, and then the step is taken",
                    "ValueError",
                ),
            },
            within="DistTrainer.training_step",
        ),
        *instead_of(
            "        logits = self.model(shard(imgs, self.rank, self.world_size))\n"
            "        loss = F.cross_entropy(logits, shard(labels, self.rank, self.world_size))\n",
            {
                "        logits = self.model(imgs)\n        loss = F.cross_entropy(logits, labels)\n": (
                    "gives the whole batch to every rank",
                    "each rank works on its own shard: otherwise many processes do the work of one, each",
                ),
                "        logits = self.model(shard(imgs, self.rank, self.world_size))\n"
                "        loss = F.cross_entropy(logits, labels[: len(logits)])\n": (
                    "takes the first labels for every shard",
                    "labels are cut as the pictures are: shard(labels, ...)",
                ),
                "        logits = self.model(shard(imgs, self.rank, self.world_size))\n"
                "        loss = F.cross_entropy(logits, labels)\n": (
                    "cuts the pictures alone",
                    "labels are cut as the pictures are: shard(labels, ...)",
                ),
            },
            within="DistTrainer.training_step",
        ),
        *instead_of(
            "mean_loss = loss.detach().clone()",
            {
                "mean_loss = F.cross_entropy(self.model(shard(imgs, self.rank, self.world_size)), "
                "shard(labels, self.rank, self.world_size)).detach()": (
                    "returns the loss after the step",
                    "it's the loss of the weights before the step",
                ),
            },
            within="DistTrainer.training_step",
        ),
        *instead_of(
            "n_right.item() / len(labels)",
            {
                "n_right.item() / len(predicted)": (
                    "divides by the size of its shard",
                    "the counts of all ranks are divided by the size of the whole test set",
                ),
                "n_right.item()": ("returns the count", "the share is the count divided by the size of the test set"),
            },
            within="DistTrainer.evaluate",
        ),
        *instead_of(
            "self.model.eval()\n",
            {
                "pass\n": (
                    "evaluates in training mode",
                    "layers such as dropout behave otherwise there: call self.model.eval() first, and train() after it",
                ),
            },
            within="DistTrainer.evaluate",
        ),
        *instead_of(
            "self.model.train()\n",
            {
                "pass\n": (
                    "leaves the model in evaluation mode",
                    "training goes on after it: call self.model.train()",
                ),
            },
            within="DistTrainer.evaluate",
        ),
        *instead_of(
            "order = torch.randperm(len(labels), generator=generator)",
            {
                "order = torch.randperm(len(labels), generator=generator.manual_seed(self.config.seed))": (
                    "takes the same order in every epoch",
                    "one generator goes on through all epochs: seed it once, before the loop",
                ),
                "order = torch.arange(len(labels))": (
                    "never shuffles",
                    "in each epoch the examples come in a new order",
                ),
            },
            within="DistTrainer.train",
        ),
        *instead_of(
            "        self.pre_training_setup()\n",
            {"": ("doesn't set up", "train begins with pre_training_setup", "AttributeError")},
            within="DistTrainer.train",
        ),
        *instead_of(
            "if len(batch) == self.config.batch_size:",
            {"if True:": ("takes what is left at the end of an epoch as well", "whole batches alone")},
            within="DistTrainer.train",
        ),
        *instead_of(
            "self.optimizer.zero_grad()\n",
            {"pass\n": ("forgets zero_grad", "gradients add up over steps")},
            within="DistTrainer.training_step",
        ),
        *instead_of(
            'all_reduce(mean_loss, self.rank, self.world_size, "mean")',
            {
                "pass": ("returns its own loss", "the loss of the whole batch is the mean of the ranks' losses"),
                "all_reduce(mean_loss, self.rank, self.world_size)": ("adds up the losses", "it's their mean"),
            },
            within="DistTrainer.training_step",
        ),
        *instead_of(
            'all_reduce(n_right, self.rank, self.world_size, "sum")',
            {
                "pass": ("counts in its own shard alone", "counts are added up over all ranks"),
                'all_reduce(n_right, self.rank, self.world_size, "mean")': ("averages counts", "counts are added up"),
            },
            within="DistTrainer.evaluate",
        ),
        *instead_of(
            "torch.Generator().manual_seed(self.config.seed)",
            {
                "torch.Generator().manual_seed(self.config.seed + self.rank)": (
                    "gives each rank an order of its own",
                    "all ranks must cut the same batch into parts: one order for all",
                ),
            },
            within="DistTrainer.train",
        ),
        *instead_of(
            "if len(batch) == self.config.batch_size:",
            {
                "if len(batch) >= self.world_size and len(batch) % self.world_size == 0:": (
                    "takes what is left at the end of an epoch as well",
                    "whole batches alone",
                ),
            },
            within="DistTrainer.train",
        ),
    ],
    equivalent={
        "mean_loss = loss.detach().clone() -> mean_loss = loss.detach()": "nobody needs the rank's own loss any more",
    },
)
