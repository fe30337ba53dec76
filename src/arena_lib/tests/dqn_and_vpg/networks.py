"""Judges of section 2.2's networks: action values from one head, and from two.

Shapes:  obs "batch d_obs" -> values "batch n_actions"
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import networks

__test__ = False

SHAPES = "shapes of the parameters, in order"


def q_network_cases(generator: torch.Generator) -> list[Case]:
    """Two hidden layers, the default ones, one, three of pairwise different widths; one observation, one action."""
    sizes: list[tuple[str, int, tuple[Any, ...]]] = [
        ("two hidden layers", 9, ((4,), 3, [7, 5])),
        ("the default widths", 9, ((3,), 2)),
        ("one hidden layer", 9, ((2,), 4, [6])),
        ("three hidden layers, in a tuple", 9, ((5,), 2, (8, 3, 6))),
        ("one observation", 1, ((4,), 3, [6, 5])),
        ("one action", 8, ((3,), 1, [5, 4])),
    ]
    return [
        Case(
            label=label,
            call=f"QNetwork({', '.join(map(str, init))})",
            given={"init": init, "obs": torch.randn(batch, *init[0], generator=generator)},
            axes={"output": "batch n_actions"},
        )
        for label, batch, init in sizes
    ]


def network_seen(cls: Any, case: Case) -> Observations:
    """The shapes of a network's parameters, and what it computes once they are filled in order."""
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise Unfit(f"This test takes the class itself, a subclass of nn.Module: got {type(cls).__name__}.")
    init = copy.deepcopy(case.given["init"])
    network = cls(*init)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    output = network(case.given["obs"])
    return {
        SHAPES: [tuple(parameter.shape) for parameter in network.parameters()],
        "the arguments are as they were": init == case.given["init"],
        "output": output.detach() if isinstance(output, Tensor) else output,
    }


class LayerByLayer(nn.Module):
    """Keeps the layers in a list, and goes through them itself."""

    def __init__(self, obs_shape: tuple[int], n_actions: int, hidden_sizes: Any = (120, 84)) -> None:
        super().__init__()
        sizes = [*obs_shape, *hidden_sizes]
        self.hidden = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(len(hidden_sizes)))
        self.out = nn.Linear(sizes[-1], n_actions)

    def forward(self, obs: Tensor) -> Tensor:
        for layer in self.hidden:
            obs = layer(obs).clamp_min(0)
        return self.out(obs)


VALUES = "an action's value may be any number: nothing comes after the last linear layer"

test_q_network = exercise(
    reference=networks.QNetwork,
    cases=q_network_cases,
    observe=network_seen,
    accepts=[LayerByLayer],
    equivalent={
        "sizes = [obs_shape[0], *hidden_sizes, n_actions] -> sizes = [obs_shape[-1], *hidden_sizes, n_actions]": "obs_shape has one entry"
    },
    mistakes=[
        *instead_of(
            "nn.Sequential(*parts[:-1])",
            {
                "parts[:-1]": (
                    "calls a list of layers",
                    "nn.Sequential(*layers) is a module, which passes an input through all of them",
                    "TypeError",
                ),
                "nn.Sequential(parts[:-1])": (
                    "hands nn.Sequential a list",
                    "it takes the layers one by one: nn.Sequential(*layers), with the star",
                    "TypeError",
                ),
                "nn.Sequential(*parts)": ("puts a ReLU after the last layer", VALUES),
                "nn.Sequential(*parts[:-1], nn.Softmax(dim=-1))": ("turns the values into probabilities", VALUES),
                "nn.Sequential(*parts[:-1], nn.Tanh())": ("squeezes the values between -1 and 1", VALUES),
                "nn.Sequential(*[part for part in parts if isinstance(part, nn.Linear)])": (
                    "leaves out the ReLUs",
                    "without a nonlinearity between them, several linear layers are no more than one",
                ),
                "nn.Sequential(*parts[:-3], parts[-2])": (
                    "leaves out the ReLU before the last layer",
                    "there is a ReLU after every layer but the last, so also between the last two",
                ),
                "nn.Sequential(*(part for i, part in enumerate(parts[:-1]) if i < 2 or isinstance(part, nn.Linear)))": (
                    "puts a ReLU after the first layer only",
                    "there is a ReLU after every layer but the last",
                ),
                "nn.Sequential(*parts[:-1], nn.LogSoftmax(dim=-1))": (
                    "turns the values into log-probabilities",
                    VALUES,
                ),
                "nn.Sequential(nn.ReLU(), *parts[:-1])": (
                    "puts a ReLU before the first layer",
                    "an observation may have numbers below zero, and they mean something",
                ),
                "nn.Sequential(*parts[:-2], nn.Linear(sizes[-2], sizes[-1], bias=False))": (
                    "leaves out the last layer's bias",
                    "each linear layer has a bias, the last one too",
                ),
            },
        ),
        *instead_of(
            "nn.ReLU()",
            {
                "nn.Tanh()": ("uses tanh in place of ReLU", "the docstring asks for a ReLU between the layers"),
                "nn.Sigmoid()": ("uses a sigmoid in place of ReLU", "the docstring asks for a ReLU between the layers"),
                "nn.LeakyReLU()": ("uses a leaky ReLU", "the docstring asks for a ReLU, which is 0 below 0"),
                "nn.GELU()": ("uses GELU in place of ReLU", "the docstring asks for a ReLU between the layers"),
            },
        ),
        *instead_of(
            "nn.Linear(d_in, d_out)",
            {
                "nn.Linear(d_in, d_out, bias=False)": (
                    "leaves out the biases",
                    "each layer has a bias, which shifts where its ReLUs begin",
                ),
            },
        ),
        *instead_of(
            "[obs_shape[0], *hidden_sizes, n_actions]",
            {
                "[obs_shape, *hidden_sizes, n_actions]": (
                    "takes obs_shape for a number",
                    "obs_shape is a tuple: its one entry, obs_shape[0], is the length of an observation",
                    "TypeError",
                ),
                "[len(obs_shape), *hidden_sizes, n_actions]": (
                    "takes the number of axes for the length of an observation",
                    "the length of an observation is the one entry of obs_shape, obs_shape[0]",
                    "RuntimeError",
                ),
                "[obs_shape[0], *hidden_sizes, 1]": (
                    "has one output for all actions",
                    "each action needs a value of its own: n_actions outputs",
                ),
                "[obs_shape[0] + n_actions, *hidden_sizes, 1]": (
                    "wants the action as an input",
                    "the network reads the observation alone, and gives all actions' values at once",
                    "RuntimeError",
                ),
                "[obs_shape[0], 120, 84, n_actions]": (
                    "always takes the widths 120 and 84",
                    "the widths are an argument, hidden_sizes",
                ),
                "[obs_shape[0], *reversed(hidden_sizes), n_actions]": (
                    "takes the widths in reverse order",
                    "the first width is that of the layer next to the observation",
                ),
                "[obs_shape[0], hidden_sizes[0], n_actions]": (
                    "has one hidden layer only",
                    "there are as many hidden layers as widths",
                ),
                "[obs_shape[0], *hidden_sizes, hidden_sizes[-1], n_actions]": (
                    "has a hidden layer too many",
                    "there are as many hidden layers as widths",
                ),
                "[obs_shape[0], *hidden_sizes]": (
                    "leaves out the last layer",
                    "after the hidden layers comes one with n_actions outputs",
                ),
                "hidden_sizes\n        sizes.insert(0, obs_shape[0])\n        sizes.append(n_actions)": (
                    "writes into hidden_sizes",
                    "the list belongs to the caller, and a tuple can't be changed: make a new list",
                ),
            },
        ),
        *instead_of(
            "return self.layers(obs)",
            {
                "return self.layers(obs).max(dim=-1).values": (
                    "returns the best value only",
                    "all actions' values are asked for; who needs the best takes it",
                ),
                "return self.layers(obs).argmax(dim=-1)": (
                    "returns the best action, not the values",
                    "all actions' values are asked for; who needs the best action takes the argmax",
                ),
                "return self.layers(obs).squeeze()": (
                    "squeezes axes of length 1 away",
                    "the values of one observation, or of one action, have both axes too: batch and n_actions",
                ),
            },
        ),
        Mistake(
            "leaves out super().__init__()",
            "super().__init__()",
            "pass",
            why="a module must be set up by nn.Module before it can hold layers",
            raises="AttributeError",
        ),
        Mistake(
            "keeps the layers where the module doesn't see them",
            "self.layers = nn.Sequential(*parts[:-1])",
            'self.__dict__["layers"] = nn.Sequential(*parts[:-1])',
            why="layers in a plain list are no part of the network; in nn.Sequential or nn.ModuleList they are",
            shows=lambda seen: all(case[SHAPES] == [] for case in seen),
        ),
    ],
)


def combine_streams_cases(generator: torch.Generator) -> list[Case]:
    """Several states, one state, one action."""
    axes = {"output": "batch n_actions"}
    sizes = {"several states": (5, 3), "one state": (1, 4), "one action": (3, 1)}
    return [
        Case(
            label=label,
            args=(
                torch.randn(batch, 1, generator=generator),
                2 * torch.randn(batch, n_actions, generator=generator) + 1,
            ),
            axes=axes,
        )
        for label, (batch, n_actions) in sizes.items()
    ]


def combine_after_centring(state_values: Tensor, advantages: Tensor) -> Tensor:
    """Takes each row's mean by a sum, and centres first."""
    centred = advantages - (advantages.sum(dim=1) / advantages.shape[1])[:, None]
    return centred + state_values.expand_as(centred)


test_combine_streams = exercise(
    reference=networks.combine_streams,
    cases=combine_streams_cases,
    observe=outputs_and_gradients,
    accepts=[combine_after_centring],
    mistakes=instead_of(
        "state_values + advantages - advantages.mean(dim=-1, keepdim=True)",
        {
            "state_values + advantages": (
                "doesn't subtract the mean",
                "without it V and A can't be told apart: what one gains the other may lose",
            ),
            "state_values + advantages - advantages.mean()": (
                "takes the mean over the whole batch",
                "each state's advantages have a mean of their own",
            ),
            "state_values + advantages - advantages.mean(dim=0, keepdim=True)": (
                "takes the mean over the states",
                "the mean is over the actions of one state, the last axis",
            ),
            "state_values + advantages - advantages.max(dim=-1, keepdim=True).values": (
                "subtracts the largest advantage",
                "that is the paper's equation 8; equation 9, with the mean, trains more steadily",
            ),
            "state_values + advantages - advantages.detach().mean(dim=-1, keepdim=True)": (
                "detaches the mean",
                "gradients flow through the mean too",
            ),
            "state_values - state_values.mean() + advantages": (
                "subtracts the mean of the values",
                "the mean is that of the advantages; the state's value stays whole",
            ),
            "advantages - advantages.mean(dim=-1, keepdim=True)": (
                "leaves out the value of the state",
                "an action's value is that of its state, and how much better than the others it is",
            ),
            "state_values + advantages + advantages.mean(dim=-1, keepdim=True)": (
                "adds the mean",
                "it is subtracted, so that the advantages that are left have the mean 0",
            ),
            "state_values.mean(dim=0, keepdim=True) + advantages - advantages.mean(dim=-1, keepdim=True)": (
                "averages the values over the states",
                "each state has a value of its own",
            ),
            "state_values.detach() + advantages - advantages.mean(dim=-1, keepdim=True)": (
                "detaches the value of the state",
                "both heads are trained",
            ),
            "state_values + advantages.sub_(advantages.mean(dim=-1, keepdim=True))": (
                "writes into the advantages",
                "the advantages belong to the caller: write a - b, not a -= b",
            ),
            "state_values + advantages - advantages.mean(dim=-1)": (
                "drops the axis of the mean",
                "keepdim=True keeps it, so that each state's mean stays beside its own advantages",
            ),
            "state_values.squeeze(-1) + advantages - advantages.mean(dim=-1, keepdim=True)": (
                "squeezes the axis of the state's value away",
                "with it, each state's value is added to its own row",
            ),
            "state_values + advantages - advantages.sum(dim=-1, keepdim=True)": (
                "subtracts the sum",
                "the mean is subtracted: the sum divided by the number of actions",
            ),
            "state_values + (advantages - advantages.mean(dim=-1, keepdim=True))"
            " / (advantages.std(dim=-1, keepdim=True, correction=0) + 1e-8)": (
                "divides by the standard deviation",
                "an advantage keeps its size; only the mean is taken away",
            ),
            "state_values + advantages - advantages.min(dim=-1, keepdim=True).values": (
                "subtracts the smallest advantage",
                "the mean is subtracted, so that the advantages that are left have the mean 0",
            ),
            "state_values + advantages - advantages.median(dim=-1, keepdim=True).values": (
                "subtracts the median",
                "the mean is subtracted, so that the advantages that are left have the mean 0",
            ),
            "state_values.detach() + advantages - advantages.detach().mean(dim=-1, keepdim=True)": (
                "detaches the value of the state and the mean",
                "both heads are trained, and gradients flow through the mean too",
            ),
            "state_values * (advantages - advantages.mean(dim=-1, keepdim=True))": (
                "multiplies by the value of the state",
                "an action's value is that of its state plus what the action adds",
            ),
        },
    ),
)
