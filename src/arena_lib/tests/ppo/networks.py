"""Judges of the networks of section 2.3."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import networks

__test__ = False

GAINS = "smallest and largest gain of each weight"


def describe(network: nn.Module) -> list[str]:
    """The layers of a network in words, in order; one that stands at several places counts at each."""
    return [_in_words(module) for module in leaves(network)]


def leaves(module: nn.Module) -> list[nn.Module]:
    """The layers of a network, in order; one that stands at several places comes at each."""
    parts = list(module) if isinstance(module, nn.Sequential) else list(module.children())
    return [leaf for part in parts for leaf in leaves(part)] if parts else [module]


def _in_words(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return f"Linear {module.in_features} -> {module.out_features}"
    if isinstance(module, nn.Conv2d):
        sizes = f"kernel {module.kernel_size}, stride {module.stride}, padding {module.padding}"
        return f"Conv2d {module.in_channels} -> {module.out_channels}, {sizes}"
    return type(module).__name__


def weights_seen(name: str, network: nn.Module) -> Observations:
    """Sizes of the weights' singular values, which are all alike in an orthogonal one; the largest bias."""
    weights = [p.detach().flatten(1) for p in network.parameters() if p.ndim > 1]
    singular = [torch.linalg.svdvals(w) for w in weights]
    biases = [p.detach().abs().max() for p in network.parameters() if p.ndim == 1]
    return {
        f"layers of the {name}": describe(network),
        f"{GAINS} of the {name}": torch.stack([torch.stack([s.min(), s.max()]) for s in singular]),
        f"largest bias of the {name}": float(max(biases, default=torch.tensor(0.0))),
    }


def networks_seen(function: Callable[..., Any], case: Case) -> Observations:
    """Layers, initial weights, results and what both share."""
    torch.manual_seed(0)
    pair = function(*case.args)
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(net, nn.Module) for net in pair)):
        raise Unfit(f"The result must be two modules, the actor and the critic: got {type(pair).__name__}.")
    actor, critic = pair
    shared = {id(p) for p in actor.parameters()} & {id(p) for p in critic.parameters()}
    obs = case.given["obs"]
    return {
        **weights_seen("actor", actor),
        **weights_seen("critic", critic),
        "parameters that both share": len(shared),
        "shapes of logits and values": (tuple(actor(obs).shape), tuple(critic(obs).shape)),
        "logits for the same picture as bytes" if case.given.get("bytes") else "logits are finite": (
            bool(actor(obs).abs().max() < case.given.get("bytes", 1e9))
        ),
    }


def classic_cases(generator: torch.Generator) -> list[Case]:
    """CartPole's sizes, and others."""
    return [
        Case(label=label, args=(d_obs, n_actions), given={"obs": torch.randn(5, d_obs, generator=generator)})
        for label, d_obs, n_actions in [("CartPole", 4, 2), ("other sizes", 7, 3)]
    ]


def make_layer(layer: Any, gain: float = 2**0.5) -> Any:
    """An orthogonal layer, written anew."""
    torch.nn.init.orthogonal_(layer.weight, gain)
    torch.nn.init.constant_(layer.bias, 0.0)
    return layer


def classic_by_lists(d_obs: int, n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Builds the layers in a list; the hidden layers are nested, and one tanh serves them all."""
    tanh = nn.Tanh()

    def body() -> nn.Sequential:
        return nn.Sequential(make_layer(nn.Linear(d_obs, 64)), tanh, make_layer(nn.Linear(64, 64)), tanh)

    actor = nn.Sequential(body(), make_layer(nn.Linear(64, n_actions), 0.01))
    return actor, nn.Sequential(*body(), make_layer(nn.Linear(64, 1), 1.0))


def has_biases(seen: Sequence[Observations]) -> bool:
    """Whether a bias isn't zero at the start, in each case."""
    return all(max(v for k, v in case.items() if k.startswith("largest bias")) > 1e-6 for case in seen)


def is_skewed(seen: Sequence[Observations]) -> bool:
    """Whether a weight stretches some directions more than others, in each case."""
    gains = [[value for name, value in case.items() if name.startswith(GAINS)] for case in seen]
    return all(any(bool((g[:, 1] > 1.01 * g[:, 0]).any()) for g in case) for case in gains)


INIT_MISTAKES = [
    Mistake(
        "leaves biases as torch draws them",
        "nn.init.zeros_(layer.bias)",
        "nn.init.uniform_(layer.bias, -0.5, 0.5)",
        within="init_layer",
        shows=lambda seen: has_biases(seen) and not is_skewed(seen),
        why="every bias begins at zero, so that at first nothing but the observation counts",
    ),
    Mistake(
        "makes weights that aren't orthogonal",
        "nn.init.orthogonal_(layer.weight, gain)",
        "nn.init.kaiming_uniform_(layer.weight)",
        within="init_layer",
        shows=is_skewed,
        why="an orthogonal weight stretches all directions alike, by its gain",
    ),
    *instead_of(
        "layer.weight, gain",
        {
            "layer.weight, 5 / 3 if gain == GAIN_HIDDEN else gain": (
                "gives hidden layers the gain 5/3",
                "the gain of hidden layers is sqrt(2) here",
            ),
            "layer.weight, 1.0 if gain == GAIN_HIDDEN else gain": (
                "gives all hidden layers the gain 1",
                "the gain of hidden layers is sqrt(2)",
            ),
            "layer.weight, 2.0 if gain == GAIN_HIDDEN else gain": (
                "gives hidden layers the gain 2",
                "the gain of hidden layers is the root of 2",
            ),
        },
        within="init_layer",
    ),
]
"""What goes wrong when a layer gets its first weights."""

GAIN_MISTAKES = instead_of(
    "make(n_actions, GAIN_ACTOR), make(1, GAIN_CRITIC)",
    {
        "make(n_actions, GAIN_CRITIC), make(1, GAIN_CRITIC)": (
            "gives both last layers the gain 1",
            "only the critic's has it; with the actor's 0.01 all actions begin about equally likely",
        ),
        "make(n_actions, GAIN_ACTOR), make(1, GAIN_HIDDEN)": (
            "gives the critic's last layer the gain of hidden layers",
            "the critic's last layer has gain 1",
        ),
        "make(n_actions, GAIN_HIDDEN), make(1, GAIN_HIDDEN)": (
            "gives both last layers the gain of hidden layers",
            "the actor's last layer has gain 0.01, the critic's 1",
        ),
        "make(n_actions, GAIN_HIDDEN), make(1, GAIN_CRITIC)": (
            "gives the actor's last layer the gain of hidden layers",
            "with a gain of 0.01 all actions begin about equally likely, so everything gets tried",
        ),
        "make(n_actions, GAIN_ACTOR), make(1, GAIN_ACTOR)": (
            "gives the critic's last layer the actor's gain",
            "the critic's last layer has gain 1",
        ),
        "make(n_actions, GAIN_CRITIC), make(1, GAIN_ACTOR)": (
            "swaps the last gains",
            "the actor's last layer has gain 0.01, the critic's 1",
        ),
        "make(1, GAIN_CRITIC), make(n_actions, GAIN_ACTOR)": (
            "returns the critic first",
            "the order is actor, critic",
        ),
        "make(n_actions, GAIN_ACTOR), make(n_actions, GAIN_CRITIC)": (
            "gives the critic a value for each action",
            "the critic says one number for each observation",
        ),
        "(lambda net: (net, net))(make(n_actions, GAIN_ACTOR))": (
            "uses one network for both",
            "actor and critic are two networks with weights of their own",
        ),
        "(lambda a, c: (a, nn.Sequential(*list(a)[:-1], list(c)[-1])))"
        "(make(n_actions, GAIN_ACTOR), make(1, GAIN_CRITIC))": (
            "shares the hidden layers",
            "actor and critic are two networks with weights of their own",
        ),
    },
)

HIDDEN_LAYERS = """init_layer(nn.Linear(d_obs, HIDDEN)),
            nn.Tanh(),
            init_layer(nn.Linear(HIDDEN, HIDDEN)),
            nn.Tanh(),"""


def is_of_another_width(seen: Sequence[Observations]) -> bool:
    """Whether a hidden layer has other than 64 outputs, in each case."""
    layers = [case["layers of the actor"] for case in seen]
    widths = [[words.split()[-1] for words in case if words.startswith("Linear")][:-1] for case in layers]
    return all(case and set(case) != {"64"} for case in widths)


HIDDEN_MISTAKES = [
    *instead_of(
        HIDDEN_LAYERS,
        {
            HIDDEN_LAYERS.replace("Tanh", "ReLU"): ("uses ReLU twice", "the nonlinearity is tanh"),
            HIDDEN_LAYERS.replace("nn.Tanh(),", ""): (
                "forgets both nonlinearities",
                "linear maps in a row are one: each hidden layer is followed by tanh",
            ),
            HIDDEN_LAYERS.replace("            nn.Tanh(),", "", 1): (
                "forgets the first tanh",
                "each hidden layer is followed by tanh",
            ),
            HIDDEN_LAYERS.replace("HIDDEN)),", "HIDDEN), gain),"): (
                "gives every layer the gain of the last one",
                "hidden layers have the gain sqrt(2), in both networks",
            ),
        },
    ),
    Mistake(
        "makes hidden layers of another width",
        HIDDEN_LAYERS + "\n            init_layer(nn.Linear(HIDDEN,",
        HIDDEN_LAYERS.replace("HIDDEN", "128") + "\n            init_layer(nn.Linear(128,",
        shows=is_of_another_width,
        why="the hidden layers have 64 outputs",
    ),
]
"""What goes wrong in the hidden layers of the small networks."""

test_get_actor_and_critic_classic = exercise(
    reference=networks.get_actor_and_critic_classic,
    cases=classic_cases,
    observe=networks_seen,
    accepts=[classic_by_lists],
    mistakes=[
        *INIT_MISTAKES,
        *GAIN_MISTAKES,
        *HIDDEN_MISTAKES,
        *instead_of(
            "init_layer(nn.Linear(HIDDEN, HIDDEN)),\n            nn.Tanh(),\n",
            {
                "nn.Linear(HIDDEN, HIDDEN),\n            nn.Tanh(),\n": (
                    "leaves a layer as torch made it",
                    "every layer's weight is orthogonal, with biases of zero",
                ),
                "init_layer(nn.Linear(HIDDEN, HIDDEN)),\n            nn.ReLU(),\n": (
                    "uses ReLU",
                    "the nonlinearity is tanh, after both hidden layers",
                ),
                "init_layer(nn.Linear(HIDDEN, HIDDEN)),\n": (
                    "forgets the second tanh",
                    "each hidden layer is followed by tanh",
                ),
                "init_layer(nn.Linear(HIDDEN, HIDDEN), 1.0),\n            nn.Tanh(),\n": (
                    "gives a hidden layer the gain 1",
                    "hidden layers have the gain sqrt(2)",
                ),
                "": ("has one hidden layer", "there are two hidden layers of 64"),
            },
        ),
        Mistake(
            "ends in a tanh",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n            nn.Tanh(),\n",
            why="logits and values are unbounded: nothing follows the last layer",
        ),
        Mistake(
            "ends in a softmax",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n            nn.Softmax(dim=-1),\n",
            why="the actor gives logits; the distribution turns them into probabilities",
        ),
    ],
)
