"""Trained agents of the zoo: a policy by name, and the curve of its training.

    policy = zoo.load_policy("ppo-cartpole")
    policy(obs)                                  raw observations of any number of environments -> actions
    evaluate(policy, policy.env_id)              of arena_lib.rl.training; `record` makes a video
    policy.actor, policy.critic                  its networks, for hooks
    zoo.plot_curve("ppo-cartpole")               how it learned

A policy loads without its environment's package. Whatever plays says which extra brings it.

Raises:  ZooError for a language model and for texts; UnknownNameError for a name without a card; what `places.path`
         raises for files that aren't what their card says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arena_lib.errors import UnknownNameError, ZooError
from arena_lib.zoo.cards import POLICY, SAE, TEXTS, PolicyFacts, info, names
from arena_lib.zoo.places import path

if TYPE_CHECKING:
    import arena_lib.rl.ppo.policies


def policy_names() -> tuple[str, ...]:
    """The names that `load_policy` takes.

    >>> "ppo-cartpole" in policy_names()
    True
    """
    return tuple(name for name in names() if info(name).form == POLICY)


def load_policy(name: str) -> arena_lib.rl.ppo.policies.PPOPolicy:
    """The trained policy, ready to act.

    >>> import numpy as np
    >>> load_policy("ppo-cartpole")(np.array([[0.0, 0.0, 0.1, 0.5]], dtype=np.float32))  # the pole falls to the right
    array([1])
    """
    _find_facts(name)
    from arena_lib.rl.ppo import policies

    return policies.load_policy(path(name))


def plot_curve(name: str) -> Any:
    """How the policy learned: a plotly figure, with what it brings now and what chance brings as level lines."""
    from arena_lib import plots

    facts, reached = _find_facts(name), info(name).reached
    steps, returns = zip(*facts.curve, strict=True)
    return plots.lines(
        {"in training": returns},
        x=steps,
        x_title="environment steps",
        y_title="mean return of 20 episodes",
        references={"policy": reached["mean_return"], "random": reached["random_mean_return"]},
        title=f"{name}: {facts.environment}",
    )


def _find_facts(name: str) -> PolicyFacts:
    """What the card of a policy says, if it is one."""
    if name not in names():
        raise UnknownNameError("policy", name, policy_names())
    card = info(name)
    if card.policy is not None:
        return card.policy
    kind, advice = "a language model", f"zoo.load({name!r})"
    if card.form == SAE:
        kind, advice = "a sparse autoencoder", f"zoo.load_sae({name!r})"
    if card.form == TEXTS:
        kind, advice = "texts", f"zoo.load_dataset with one of {', '.join(card.sets)}"
    raise ZooError(
        f"what is loaded as a policy must be one of {', '.join(policy_names())}: {name!r} is {kind}. Use {advice}."
    )
