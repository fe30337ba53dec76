"""What judges of this section look at, and the small worlds in which they look.

Arrays, generators and worlds are copied before each call, so that what a call changes in place is seen and spoils nothing.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arena_lib.checking import Case, Unfit
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.environments.gridworlds import DiscreteEnviroGym, Environment
from arena_lib.rl.environments.gridworlds.mdp import Outcomes
from arena_lib.rl.tabular import planning
from arena_lib.rl.tabular.agents import AgentConfig, Experience

__test__ = False

TYPES = "types of the actions"
NEXT = "the generator's next number"
AHEAD = "it chooses the next action before it learns"
N_DRAWS = 40
"""Choices that are made one after the other from one generator."""


class Scattered(Environment):
    """Random probabilities and rewards, other numbers of states and actions, and an end: no structure hides a slip."""

    def __init__(self, seed: int, n_states: int = 5, n_actions: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self._probabilities = rng.dirichlet(np.ones(n_states), (n_states, n_actions))
        self._rewards = rng.normal(size=(n_states, n_actions, n_states))
        super().__init__(n_states, n_actions, start=1, terminal=[n_states - 1])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """All states may follow."""
        return np.arange(self.n_states), self._rewards[state, action], self._probabilities[state, action]


def plain(value: Any) -> Any:
    """A number of numpy as Python's own; all else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def types_of(values: Sequence[Any]) -> list[str]:
    """The names of the values' types, each once: numpy's integers are no int."""
    return sorted({type(value).__name__ for value in values})


def result(function: Callable[..., Any], case: Case) -> Observations:
    """What a call returns, and which arrays and worlds among its arguments it changed."""
    args, kwargs = copy.deepcopy(case.args), copy.deepcopy(dict(case.kwargs))
    output = function(*args, **kwargs)
    names = list(case.names)
    pairs = zip(names, args, case.args, strict=False)
    return {"output": plain(output), CHANGED: [name for name, now, before in pairs if _differ(now, before)]}


def _differ(now: Any, before: Any) -> bool:
    if isinstance(now, Environment):
        return not (np.array_equal(now.T, before.T) and np.array_equal(now.R, before.R))
    return isinstance(now, np.ndarray) and not np.array_equal(now, before)


def policy(function: Callable[..., Any], case: Case) -> Observations:
    """As `result`, for a function of a world and gamma (0.99 by itself) that returns a policy."""
    env, gamma = case.args[0], [*case.args[1:], 0.99][0]
    seen = result(function, case)
    return {**seen, "output": lowest_of_ties(seen["output"], env, gamma)}


def lowest_of_ties(pi: Any, env: Environment, gamma: float) -> Any:
    """A policy with the action of lowest number in place of each that is worth as much under the policy's own values.

    Rounding decides between such actions. What is no policy stays as it is.
    """
    if not isinstance(pi, np.ndarray) or pi.shape != (env.n_states,) or pi.dtype.kind not in "iu":
        return pi
    if ((pi < 0) | (pi >= env.n_actions)).any():
        return pi
    Q = planning.compute_action_values(env, planning.policy_eval_exact(env, pi, gamma), gamma)
    own = np.take_along_axis(Q, pi[:, None], axis=1)
    return np.isclose(Q, own, rtol=1e-9, atol=1e-9).argmax(axis=1).astype(pi.dtype)


def draws(function: Callable[..., Any], case: Case) -> Observations:
    """What many calls in a row return that draw from one generator, their last argument; and what they changed."""
    *args, seed = case.args
    copies, rng = copy.deepcopy(args), np.random.default_rng(seed)
    drawn = [function(*copies, rng) for _ in range(N_DRAWS)]
    names = [name for name, now, before in zip(case.names, copies, args, strict=False) if _differ(now, before)]
    return {"actions": [plain(action) for action in drawn], TYPES: types_of(drawn), NEXT: rng.random(), CHANGED: names}


def require_class(cls: Any, name: str) -> None:
    """Unfit unless a class was handed in."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class {name} itself: got {type(cls).__name__}.")


def make_agent(cls: Any, case: Case) -> Any:
    """A learner's tabular agent, in the case's world and with its settings; its table is filled with the case's values."""
    return cls(DiscreteEnviroGym(Scattered(1)), case.given["config"], case.given["gamma"], case.given.get("seed", 0))


def updates(cls: Any, case: Case) -> Observations:
    """The table after each of the case's experiences."""
    require_class(cls, "of the agent")
    agent = make_agent(cls, case)
    agent.Q = case.given["Q"].copy()
    seen: Observations = {}
    for i, exp in enumerate(case.given["steps"], start=1):
        agent.observe(exp)
        seen[f"Q after step {i}"] = np.array(agent.Q)
    return seen


def updates_ahead(cls: Any, case: Case) -> Observations:
    """As `updates`, and whether the agent is told its next action."""
    return {**updates(cls, case), AHEAD: bool(getattr(cls, "chooses_ahead", False))}


def step_cases(agent: str) -> list[Case]:
    """Steps of an agent of this class: within an episode, at its end, several in a row, a loop; with several settings."""
    rng = np.random.default_rng(11)

    def case(label: str, *steps: Experience, Q: np.ndarray | None = None, **settings: float) -> Case:
        gamma = settings.pop("gamma", 0.9)
        config = AgentConfig(**{"lr": 0.3, "epsilon": 0.2, "lambda_": 0.7} | settings)  # type: ignore[arg-type]
        Q = rng.normal(size=(5, 3)) * 2 if Q is None else Q
        given = {"Q": Q, "steps": steps, "config": config, "gamma": gamma}
        shown = ", ".join(f"{name}={value}" for name, value in settings.items()) or "lr=0.3"
        call = f"{agent}(env, AgentConfig({shown}), gamma={gamma}).observe(exp)"
        return Case(label=label, given=given, call=call)

    middle = Experience(obs=0, act=1, reward=2.0, new_obs=3, terminated=False, new_act=2)
    end = Experience(obs=3, act=2, reward=-1.5, new_obs=2, terminated=True, new_act=0)
    other = Experience(obs=1, act=2, reward=-0.5, new_obs=0, terminated=False, new_act=1)
    loop = Experience(obs=1, act=0, reward=0.5, new_obs=1, terminated=False, new_act=0)
    return [
        case("a step within an episode", middle),
        case("a step that ends the episode", end),
        case("two steps, the second of which ends the episode", middle, end, lr=0.5),
        case("a step that stays in its state", loop, loop, gamma=0.5),
        case("other settings", middle, loop, lr=0.05, epsilon=0.6, gamma=0.99),
        case("no discounting, and it replaces the old value", middle, middle, lr=1.0, gamma=1.0, epsilon=0.0),
        case("two actions in one state", loop, other),
        case("every value is below zero", middle, loop, Q=-0.5 - 3 * rng.random((5, 3))),
    ]
