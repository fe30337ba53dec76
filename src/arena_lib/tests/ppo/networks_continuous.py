"""Judges of the actor and the critic for continuous actions, section 2.3."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit, load_by_name, random_weights
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import networks
from arena_lib.tests.ppo.networks import INIT_MISTAKES, classic_by_lists, leaves, weights_seen

__test__ = False


def build(cls: Any, case: Case) -> nn.Module:
    """An instance of a learner's class for the sizes of the case."""
    if not issubclass(cls, nn.Module):
        raise Unfit(f"The class must be a subclass of nn.Module: {cls.__name__} is none.")
    torch.manual_seed(0)
    return cls(*case.given["sizes"])


def actor_seen(cls: Any, case: Case) -> Observations:
    """Initial weights; mean, deviation and density under weights that are given; the gradient of log_std."""
    actor: Any = build(cls, case)
    if not isinstance(getattr(actor, "mean", None), nn.Module):
        raise Unfit("The actor must have its network as mean, an nn.Module: it has none of that name.")
    log_std = getattr(actor, "log_std", None)
    if not isinstance(log_std, nn.Parameter):
        raise Unfit("The actor must have a parameter log_std, an nn.Parameter: it has none of that name.")
    seen = {**weights_seen("mean", actor.mean), "log_std at the start": log_std.detach().clone()}
    load_by_name(actor, case.given["weights"])
    result = actor(case.given["obs"])
    if not (isinstance(result, tuple) and len(result) == 3 and isinstance(result[2], Normal)):
        raise Unfit("forward must return mu, sigma and a Normal, in this order.")
    mu, sigma, dist = result
    dist.log_prob(torch.full_like(mu, 0.3)).sum().backward()
    return {
        **seen,
        "mu": mu.detach(),
        "sigma": sigma.detach(),
        "mean of the distribution": dist.mean.detach(),
        "deviation of the distribution": dist.stddev.detach(),
        "gradient of the mean's last bias": _gradient(list(actor.mean.parameters())[-1]),
        "gradient of log_std": _gradient(log_std),
    }


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter.data) if parameter.grad is None else parameter.grad


def module_cases(reference: Callable[..., nn.Module], *all_sizes: tuple[int, ...]) -> Any:
    """Cases of several sizes, with weights by name."""

    def cases(generator: torch.Generator) -> list[Case]:
        return [
            Case(
                label=f"sizes {sizes}",
                call="obs",
                given={
                    "sizes": sizes,
                    "obs": torch.randn(5, sizes[0], generator=generator),
                    "weights": random_weights(reference(*sizes), generator, scale=0.3),
                },
            )
            for sizes in all_sizes
        ]

    return cases


class ActorAnew(nn.Module):
    """Writes the layers out, and repeats log_std."""

    def __init__(self, d_obs: int, n_actions: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(*leaves(classic_by_lists(d_obs, n_actions)[0]))
        self.log_std = nn.Parameter(torch.zeros(1, n_actions))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor, Normal]:
        """Mean, deviation, distribution."""
        mu = self.mean(obs)
        sigma = torch.exp(self.log_std.repeat(len(obs), 1))
        return mu, sigma, Normal(mu, sigma)


IN_MAKE = "get_actor_and_critic_classic"
"""Where the network of an actor and of a critic is made."""

test_actor = exercise(
    reference=networks.Actor,
    cases=module_cases(networks.Actor, (3, 2), (6, 4)),
    observe=actor_seen,
    accepts=[ActorAnew],
    equivalent={
        "return (mu, sigma, Normal(mu, sigma, validate_args=False))": "checking what Normal gets changes no result",
    },
    mistakes=[
        *instead_of(
            "self.log_std.exp().expand_as(mu)",
            {
                "self.log_std.expand_as(mu)": ("takes the logarithm for the deviation", "sigma = exp(log_std)"),
                "self.log_std.exp().square().expand_as(mu)": ("gives Normal a variance", "Normal takes the deviation"),
                "(0.5 * self.log_std).exp().expand_as(mu)": (
                    "takes log_std for the logarithm of the variance",
                    "log_std is the logarithm of the deviation itself: sigma = exp(log_std)",
                ),
                "self.log_std.abs().expand_as(mu)": ("takes the absolute value of log_std", "sigma = exp(log_std)"),
                "(-self.log_std).exp().expand_as(mu)": ("takes exp(-log_std)", "sigma = exp(log_std)"),
                "self.log_std.clamp(-0.2, 0.2).exp().expand_as(mu)": (
                    "bounds log_std",
                    "log_std may be any number: exp makes a positive deviation of it",
                ),
                "self.log_std.exp().mean().expand_as(mu)": (
                    "gives all entries of an action the same deviation",
                    "each entry of an action has a deviation of its own",
                ),
                "self.log_std.exp()": ("leaves one row of sigma", "sigma has a row for each observation"),
                "self.log_std.exp().expand_as(mu).detach()": (
                    "detaches the deviation",
                    "how far the policy tries things out is learned",
                ),
                "nn.functional.softplus(self.log_std).expand_as(mu)": ("takes softplus", "sigma = exp(log_std)"),
            },
        ),
        *instead_of(
            "nn.Parameter(torch.zeros(1, n_actions))",
            {
                "nn.Parameter(torch.ones(1, n_actions))": (
                    "begins with log_std 1",
                    "log_std begins at 0, so sigma at 1",
                ),
                "nn.Parameter(torch.randn(1, n_actions))": ("begins at random", "log_std begins at 0, so sigma at 1"),
                "nn.Parameter(torch.full((1, n_actions), -0.5))": (
                    "begins with log_std -0.5",
                    "log_std begins at 0, so sigma at 1",
                ),
                "torch.zeros(1, n_actions)": (
                    "makes no parameter of log_std",
                    "only an nn.Parameter is learned: how far the policy tries things out is learned too",
                ),
                "nn.Parameter(torch.zeros(n_actions))": (
                    "makes log_std without its first axis",
                    'log_std has the shape "1 n_actions"',
                ),
                "nn.Parameter(torch.zeros(1, 1))": (
                    "keeps one deviation for all entries",
                    "each entry of an action has a deviation of its own",
                ),
            },
        ),
        *instead_of(
            "return mu, sigma, Normal(mu, sigma, validate_args=False)",
            {
                "return sigma, mu, Normal(mu, sigma, validate_args=False)": ("swaps mu and sigma", "mu comes first"),
                "return mu, sigma, Normal(mu.detach(), sigma, validate_args=False)": (
                    "detaches the mean",
                    "the policy learns its mean",
                ),
                "return mu, sigma, Normal(mu, self.log_std.expand_as(mu), validate_args=False)": (
                    "gives Normal the logarithm of the deviation",
                    "Normal takes sigma itself",
                ),
                "return mu, sigma, Normal(mu, sigma.sqrt(), validate_args=False)": (
                    "takes the root of the deviation for Normal",
                    "sigma is the deviation already, and Normal takes it as it is",
                ),
                "return mu, sigma, Normal(sigma, mu.abs() + 1e-6, validate_args=False)": (
                    "swaps mean and deviation for Normal",
                    "Normal takes the mean first",
                ),
                "return mu, sigma, Normal(mu, sigma**2, validate_args=False)": (
                    "squares the deviation for Normal",
                    "Normal takes the deviation, not the variance",
                ),
                "return mu, self.log_std.expand_as(mu), Normal(mu, sigma, validate_args=False)": (
                    "returns log_std in place of sigma",
                    "the second result is sigma = exp(log_std)",
                ),
                "return mu, sigma, Normal(mu.tanh(), sigma, validate_args=False)": (
                    "squashes the mean",
                    "the mean is unbounded; actions are clipped where the environment gets them",
                ),
            },
        ),
        Mistake(
            "makes probabilities of mu",
            "mu = self.mean(obs)",
            "mu = self.mean(obs).softmax(dim=-1)",
            why="an action is a vector of any numbers here: mu is what the network gives",
        ),
        Mistake(
            "bounds mu",
            "mu = self.mean(obs)",
            "mu = self.mean(obs).tanh()",
            why="the mean is unbounded; actions are clipped where the environment gets them",
        ),
        *instead_of(
            "make(n_actions, GAIN_ACTOR)",
            {
                "make(n_actions, GAIN_CRITIC)": (
                    "gives the last layer the gain 1",
                    "the actor's last layer has gain 0.01, so that all means begin near 0",
                ),
                "make(n_actions, GAIN_HIDDEN)": (
                    "gives the last layer the gain of hidden layers",
                    "the actor's last layer has gain 0.01, so that all means begin near 0",
                ),
            },
            within=IN_MAKE,
        ),
        Mistake(
            "ends the network in a tanh",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n            nn.Tanh(),\n",
            within=IN_MAKE,
            why="the mean is unbounded: nothing follows the last layer",
        ),
        Mistake(
            "takes the critic's network",
            "self.mean, _ = get_actor_and_critic_classic(d_obs, n_actions)",
            "_, self.mean = get_actor_and_critic_classic(d_obs, n_actions)",
            why="the pair is (actor, critic), and the mean has n_actions entries",
        ),
        *INIT_MISTAKES,
    ],
)


def critic_seen(cls: Any, case: Case) -> Observations:
    """Initial weights, and values under weights that are given."""
    critic = build(cls, case)
    seen = weights_seen("critic", critic)
    load_by_name(critic, case.given["weights"])
    values = critic(case.given["obs"])
    if values.requires_grad:
        values.sum().backward()
    last_bias = list(critic.parameters())[-1]
    return {**seen, "values": values.detach(), "gradient of the last bias": _gradient(last_bias)}


class CriticAnew(nn.Module):
    """Takes the critic of the classic pair by another number of actions."""

    def __init__(self, d_obs: int) -> None:
        super().__init__()
        self.value = classic_by_lists(d_obs, 5)[1]

    def forward(self, obs: Tensor) -> Tensor:
        """Values."""
        return self.value(obs)


test_critic = exercise(
    reference=networks.Critic,
    cases=module_cases(networks.Critic, (3,), (6,)),
    observe=critic_seen,
    accepts=[CriticAnew],
    equivalent={
        f"_, self.value = get_actor_and_critic_classic(d_obs, 1) -> _, self.value = get_actor_and_critic_classic(d_obs, {n})": (
            "n_actions belongs to the actor, which is dropped"
        )
        for n in (0, 2)
    },
    mistakes=[
        *instead_of(
            "_, self.value = get_actor_and_critic_classic(d_obs, 1)",
            {
                "self.value, _ = get_actor_and_critic_classic(d_obs, 1)": (
                    "has the actor's gain in its last layer",
                    "the critic's last layer has gain 1, and in the pair (actor, critic) the critic is the second",
                ),
                "self.value = nn.Sequential(*get_actor_and_critic_classic(d_obs, 1)[1], nn.Identity())": (
                    "adds a layer",
                    "the critic is the network of get_actor_and_critic_classic",
                ),
            },
        ),
        *instead_of(
            "value: Tensor = self.value(obs)",
            {
                "value: Tensor = self.value(obs).squeeze(-1)": ("drops the last axis", "values have the shape batch 1"),
                "value: Tensor = self.value(obs).tanh()": ("bounds the values", "values are unbounded"),
                "value: Tensor = self.value(obs).detach()": (
                    "detaches the values",
                    "the critic learns: gradients flow through its values",
                ),
                "value: Tensor = -self.value(obs)": ("turns the values round", "the values are what self.value says"),
                "value: Tensor = self.value(obs).sum()": (
                    "adds up the values",
                    "each observation has a value of its own",
                ),
                "value: Tensor = self.value(obs).mean(0, keepdim=True)": (
                    "averages over the observations",
                    "each observation has a value of its own",
                ),
            },
        ),
        *instead_of(
            "make(1, GAIN_CRITIC)",
            {
                "make(1, GAIN_HIDDEN)": (
                    "gives the last layer the gain of hidden layers",
                    "the critic's last layer has gain 1",
                ),
            },
            within=IN_MAKE,
        ),
        Mistake(
            "ends the network in a tanh",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n",
            "init_layer(nn.Linear(HIDDEN, n_outputs), gain),\n            nn.Tanh(),\n",
            within=IN_MAKE,
            why="values are unbounded: nothing follows the last layer",
        ),
        *INIT_MISTAKES,
    ],
)
