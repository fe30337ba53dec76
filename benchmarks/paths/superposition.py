"""A training step of toy models of superposition: 64 instances with 5 features in 2 dimensions, batch 256.

"loop" trains the same instances one after the other, each a model of its own with its own optimizer. Weights and
features are the same; what is compared before the timing is each instance's loss.
"""

import torch
from torch import Tensor

from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import make_adam
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import compare_tensors

SIZES = {"tiny": (3, 8), "cpu": (64, 256), "gpu": (64, 1024)}
"""Instances, examples in a batch."""
N_FEATS, D_HIDDEN, LR = 5, 2, 1e-3


def make(place: Place) -> Workload:
    """Runs return each instance's loss before the step."""
    n_inst, batch = SIZES[place.size]
    model = make_model(n_inst, place)
    features = model.generate_batch(batch, torch.Generator(place.device).manual_seed(1))
    singles = []
    for idx in range(n_inst):
        single = make_model(1, place)
        single.load_state_dict({name: tensor[idx : idx + 1].clone() for name, tensor in model.state_dict().items()})
        singles.append(single)
    return Workload(
        ours=make_step([model], [features]),
        peers={"loop": lambda: make_step(singles, [features[:, idx : idx + 1] for idx in range(n_inst)])},
        agree=compare_tensors,
        units=n_inst,
        needs_grad=True,
    )


def make_model(n_inst: int, place: Place) -> ToyModel:
    """Instances that differ in their weights alone."""
    config = ToyModelConfig(n_inst=n_inst, n_feats=N_FEATS, d_hidden=D_HIDDEN)
    model = ToyModel(config, feature_probability=0.1, importance=1.0, generator=torch.Generator().manual_seed(0))
    return model.to(place.device)


def make_step(models: list[ToyModel], features: list[Tensor]) -> Run:
    """A step of each model on its features."""
    optimizers = [make_adam(list(model.parameters()), LR) for model in models]

    def run() -> Tensor:
        losses = []
        for model, batch, optimizer in zip(models, features, optimizers, strict=True):
            loss = model.calculate_losses(model(batch), batch)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.cat(losses)

    return run


BENCHMARK = Benchmark(
    name="superposition",
    title="A step of toy models of superposition",
    cases={"instances": "64 instances, 5 features in 2 dimensions, batch 256"},
    unit="instances",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("loop",),
    goals=(Goal("instances", "loop", 3.0),),
)
