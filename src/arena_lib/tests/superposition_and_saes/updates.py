"""Judge of one update of toy models, section 1.5.4."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.superposition import training
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig

__test__ = False

N_STEPS = 3
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}


class CountingModel(ToyModel):
    """Counts its forward passes."""

    n_calls = 0

    def forward(self, features: Tensor) -> Tensor:
        self.n_calls += 1
        return super().forward(features)


def step_cases(generator: torch.Generator) -> list[Case]:
    """Both kinds of optimizers, one instance and several."""

    def case(label: str, optimizer: str, n_inst: int, n_feats: int) -> Case:
        cfg = ToyModelConfig(n_inst=n_inst, n_feats=n_feats)
        batches = torch.rand(N_STEPS, 6, n_inst, n_feats, generator=generator)
        given = {"cfg": cfg, "optimizer": optimizer, "batches": batches}
        return Case(label=label, given=given, call="model, optimizer, batch", axes={"losses": "n_steps n_inst"})

    return [
        case("three updates of three instances with SGD", "SGD", 3, 5),
        case("three updates of one instance with SGD", "SGD", 1, 4),
        case("three updates of two instances with Adam", "Adam", 2, 3),
    ]


def steps_seen(function: Callable[..., Any], case: Case) -> Observations:
    """What several updates return and what they make of the weights; the first finds gradients of an earlier one."""
    model = CountingModel(case.given["cfg"], 0.5, importance=torch.arange(1.0, case.given["cfg"].n_feats + 1))
    optimizer = OPTIMIZERS[case.given["optimizer"]](model.parameters(), lr=0.05)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.3)
    results = [function(model, optimizer, batch.clone()) for batch in case.given["batches"]]
    are_tensors = all(isinstance(result, Tensor) for result in results)
    return {
        "losses": torch.stack([result.detach() for result in results]) if are_tensors else results,
        "a result carries a gradient": are_tensors and any(result.requires_grad for result in results),
        "W afterwards": model.W.detach(),
        "b_final afterwards": model.b_final.detach(),
        "forward passes of each update": model.n_calls / N_STEPS,
    }


def step_by_gradients(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Tensor) -> Tensor:
    """Clears first, and adds up the instances by hand."""
    toy: Any = model
    optimizer.zero_grad(set_to_none=False)
    losses = toy.calculate_losses(toy(batch), batch)
    losses.backward(torch.ones_like(losses))
    optimizer.step()
    with torch.no_grad():
        return losses.clone()


UNCHANGED = "zero_grad clears, backward computes, step changes the weights: all three, in this order"

test_take_step = exercise(
    reference=training.take_step,
    cases=step_cases,
    observe=steps_seen,
    equivalent={
        "losses = toy.calculate_losses(toy(batch), batch) -> losses = toy.calculate_losses(batch, toy(batch))": (
            "the square is the same"
        ),
    },
    accepts=[step_by_gradients],
    mistakes=[
        *instead_of(
            "    optimizer.zero_grad()\n    losses.sum().backward()\n    optimizer.step()\n",
            {
                "    losses.sum().backward()\n    optimizer.step()\n": (
                    "keeps the gradients of earlier updates",
                    "backward adds to what is there: optimizer.zero_grad() before it",
                ),
                "    losses.sum().backward()\n    optimizer.zero_grad()\n    optimizer.step()\n": (
                    "leaves the weights as they are",
                    UNCHANGED,
                ),
                "    optimizer.zero_grad()\n    optimizer.step()\n    losses.sum().backward()\n": (
                    "leaves the weights as they are",
                    UNCHANGED,
                ),
                "    optimizer.zero_grad()\n    losses.sum().backward()\n": (
                    "leaves the weights as they are",
                    UNCHANGED,
                ),
                "    optimizer.zero_grad()\n    losses.sum().backward()\n    optimizer.step()\n    optimizer.step()\n": (
                    "steps twice",
                    "one batch makes one update",
                ),
                "    optimizer.zero_grad()\n    losses.mean().backward()\n    optimizer.step()\n": (
                    "differentiates the mean over instances",
                    "the sum lets each instance learn as if it were alone",
                ),
                "    optimizer.zero_grad()\n    (-losses.sum()).backward()\n    optimizer.step()\n": (
                    "climbs",
                    "optimizers go downhill: the loss itself is differentiated",
                ),
                "    optimizer.zero_grad()\n    losses[0].backward()\n    optimizer.step()\n": (
                    "trains the first instance alone",
                    "the sum of all losses is differentiated",
                ),
            },
        ),
        *instead_of(
            "return losses.detach()",
            {
                "return losses": (
                    "returns losses that carry a gradient",
                    "whoever keeps them would keep the whole graph: detach them",
                ),
                "return losses.sum().detach()": ("returns the sum", "one loss for each instance is asked for"),
                "return losses.mean().detach()": ("returns the mean", "one loss for each instance is asked for"),
                "return toy.calculate_losses(toy(batch), batch).detach()": (
                    "returns the losses after the update",
                    "the losses before it are there already; a second forward pass costs time",
                ),
            },
        ),
    ],
)
