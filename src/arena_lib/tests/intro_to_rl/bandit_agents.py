"""Judges of bandit agents: random, averaging, upper confidence bounds, and one that cheats."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.bandits import agents
from arena_lib.tests.intro_to_rl.watching import NEXT, TYPES, plain, require_class, types_of

__test__ = False

N_STEPS = 25


def script(n_arms: int, seed: int) -> list[tuple[int, float]]:
    """Arms and rewards for an agent to observe, whatever it would have taken: every arm, in no order."""
    rng = np.random.default_rng(seed)
    arms = [*rng.permutation(n_arms), *rng.integers(n_arms, size=N_STEPS - n_arms)]
    return [(int(arm), float(rng.normal(arm % 3, 1.0))) for arm in arms]


def agent_cases(generator: torch.Generator) -> list[Case]:
    """Several numbers of arms and seeds; what each agent takes beside them stands in the exercise's own cases."""
    return [
        Case(label="six arms", given={"n_arms": 6, "seed": 0}, call="n_arms=6"),
        Case(label="six arms, another seed", given={"n_arms": 6, "seed": 1}, call="n_arms=6, seed=1"),
        Case(label="two arms", given={"n_arms": 2, "seed": 5}, call="n_arms=2, seed=5"),
    ]


def life(cls: Any, case: Case) -> Observations:
    """What an agent chooses before each of many rewards; then it is reset, and begins a second life."""
    require_class(cls, "of the agent")
    options = case.given.get("options", {})
    agent = cls(case.given["n_arms"], seed=case.given["seed"], **options)
    seen: Observations = {}
    for name, seed in (("", case.given["seed"] + 7), (" after reset", case.given["seed"] + 3)):
        actions = []
        for arm, reward in script(case.given["n_arms"], seed):
            actions.append(agent.get_action())
            agent.observe(arm, reward, {"best_arm": (2 * arm + 1) % case.given["n_arms"]})
        seen |= {f"actions{name}": [plain(action) for action in actions], f"{TYPES}{name}": types_of(actions)}
        for attribute in ("averages", "counts"):
            if hasattr(agent, attribute):
                seen[f"{attribute}{name}"] = np.array(getattr(agent, attribute))
        agent.reset(case.given["seed"] + 1)
    return seen


def life_and_draws(cls: Any, case: Case) -> Observations:
    """As `life`, and the number that the agent's generator gives next, by which one sees how much was drawn from it."""
    seen = life(cls, case)
    agent = cls(case.given["n_arms"], seed=case.given["seed"], **case.given.get("options", {}))
    for _ in range(3):
        agent.get_action()
    return seen | {NEXT: float(agent.rng.random())}


def draws_elsewhere(seen: Sequence[Observations]) -> bool:
    """Whether nothing was drawn from the agents' own generators."""
    cases = agent_cases(torch.Generator())
    fresh = [np.random.default_rng(case.given["seed"]).random() for case in cases]
    return [observed[NEXT] for observed in seen] == fresh


class RandomByRange(agents.BanditAgent):
    """The same draw, with both ends."""

    def get_action(self) -> int:
        return int(self.rng.integers(0, self.n_arms - 1, endpoint=True))


test_random_agent = exercise(
    reference=agents.RandomAgent,
    cases=agent_cases,
    observe=life_and_draws,
    accepts=[RandomByRange],
    mistakes=[
        *instead_of(
            "int(self.rng.integers(self.n_arms))",
            {
                "int(self.rng.integers(self.n_arms - 1))": (
                    "never takes the last arm",
                    "rng.integers(n) gives 0 to n - 1: the upper end is left out already",
                ),
                "int(self.rng.integers(1, self.n_arms))": ("never takes the first arm", "arms are numbered from 0"),
                "int(self.rng.integers(self.n_arms + 1))": (
                    "may take an arm that isn't there",
                    "arms go from 0 to n_arms - 1, and rng.integers(n) leaves n out",
                ),
                "int(np.random.default_rng(0).integers(self.n_arms))": (
                    "makes a new generator for each draw",
                    "a new generator gives the same first draw every time: use self.rng",
                ),
                "0": ("always takes the first arm", "each arm is taken with the same chance"),
                "float(self.rng.integers(self.n_arms))": ("returns a float", "an action is an int"),
                "self.rng.integers(self.n_arms)": (
                    "returns numpy's integer",
                    "an action is an int of Python: int(...) makes one of it",
                ),
                "int(self.rng.integers(1, self.n_arms + 1))": (
                    "numbers the arms from 1",
                    "arms are numbered from 0: rng.integers(n) gives 0 to n - 1",
                ),
                "int(self.rng.random() * self.n_arms)": (
                    "makes an arm of a fraction",
                    "the arm is what one call of self.rng.integers draws",
                ),
                "int(self.rng.permutation(self.n_arms)[0])": (
                    "shuffles the arms",
                    "the arm is what one call of self.rng.integers draws",
                ),
                "self.__dict__.setdefault('arm', int(self.rng.integers(self.n_arms)))": (
                    "draws an arm once and keeps it",
                    "every call draws anew",
                ),
            },
        ),
        Mistake(
            "does not draw from self.rng",
            "int(self.rng.integers(self.n_arms))",
            "int(np.random.randint(self.n_arms))",
            why="every draw comes from the agent's own generator, so that choices can be repeated",
            shows=draws_elsewhere,
        ),
    ],
)


def averaging_cases(generator: torch.Generator) -> list[Case]:
    """Without exploring, always exploring, optimistic."""

    def case(label: str, n_arms: int, seed: int, **options: float) -> Case:
        shown = "".join(f", {name}={value}" for name, value in options.items())
        given = {"n_arms": n_arms, "seed": seed, "options": options}
        return Case(label=label, given=given, call=f"n_arms={n_arms}, seed={seed}{shown}")

    return [
        case("greedy", 4, 0, epsilon=0.0),
        case("optimistic", 5, 1, epsilon=0.0, optimism=5),
        case("exploring", 6, 2, epsilon=0.5),
        case("the defaults", 3, 3),
    ]


class AveragingByLists(agents.RewardAveraging):
    """Keeps every reward."""

    def reset(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seen: list[list[float]] = [[] for _ in range(self.n_arms)]

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        self.seen[action].append(reward)

    @property
    def counts(self) -> np.ndarray:  # type: ignore[override]
        return np.array([len(rewards) for rewards in self.seen])

    @property
    def averages(self) -> np.ndarray:  # type: ignore[override]
        return np.array([np.mean(rewards) if rewards else self.optimism for rewards in self.seen])


test_reward_averaging = exercise(
    reference=agents.RewardAveraging,
    cases=averaging_cases,
    observe=life_and_draws,
    keep=["__init__"],
    accepts=[AveragingByLists],
    mistakes=[
        *instead_of(
            "epsilon_greedy_action(self.averages, self.epsilon, self.rng)",
            {
                "epsilon_greedy_action(self.averages, 0.0, self.rng)": (
                    "never explores",
                    "with probability self.epsilon any arm is taken",
                ),
                "int(self.averages.argmax())": (
                    "never explores",
                    "with probability self.epsilon any arm is taken",
                ),
                "epsilon_greedy_action(self.averages, 0.1, self.rng)": (
                    "explores with a fixed probability",
                    "the probability is self.epsilon",
                ),
                "epsilon_greedy_action(self.averages, 1 - self.epsilon, self.rng)": (
                    "explores with probability 1 - epsilon",
                    "epsilon is the share of random actions",
                ),
                "int(self.averages.argmax()) if self.rng.random() >= self.epsilon else self.rng.integers(self.n_arms)": (
                    "returns numpy's integer when it explores",
                    "an action is an int of Python: int(...) makes one of it",
                ),
                "(self.averages.argmax() if self.rng.random() >= self.epsilon"
                " else int(self.rng.integers(self.n_arms)))": (
                    "returns numpy's integer when it takes the best",
                    "an action is an int of Python: int(...) makes one of it",
                ),
                "(self.averages.argmax() if self.rng.random() >= self.epsilon else self.rng.integers(self.n_arms))": (
                    "returns numpy's integers",
                    "an action is an int of Python: int(...) makes one of it",
                ),
                "epsilon_greedy_action(self.counts, self.epsilon, self.rng)": (
                    "takes the arm that was taken most often",
                    "the best arm is the one with the largest average reward",
                ),
                "epsilon_greedy_action(-self.averages, self.epsilon, self.rng)": (
                    "takes the worst arm",
                    "the best arm is the one with the largest average reward",
                ),
                "epsilon_greedy_action(self.averages, self.epsilon, np.random.default_rng(3))": (
                    "makes a new generator for each choice",
                    "a new generator gives the same draws every time: use self.rng",
                ),
            },
        ),
        *instead_of(
            "update_average(self.averages, self.counts, action, reward)",
            {
                "pass": ("does not learn", "each reward goes into the average of its arm"),
                "update_average(self.averages, self.counts, self.get_action(), reward)": (
                    "gives the reward to another arm",
                    "the reward belongs to the action that observe is told of",
                ),
                "self.counts[action] += 1\n        self.averages[action] += reward": (
                    "keeps the sum",
                    "an average is the sum divided by the count: use update_average",
                ),
                "self.counts[action] += 1\n        self.averages[action] = reward": (
                    "keeps only the last reward",
                    "an average gives each of n rewards the same weight: use update_average",
                ),
                "self.counts[action] += 1\n        self.averages[action] += 0.1 * (reward - self.averages[action])": (
                    "takes steps of a constant size",
                    "an average gives each of n rewards the same weight: use update_average",
                ),
            },
        ),
        *instead_of(
            "self.averages = np.full(self.n_arms, self.optimism, dtype=float)",
            {
                "self.averages = np.full(self.n_arms, self.optimism)": (
                    "keeps averages as whole numbers where optimism is one",
                    "averages are floats, for means of rewards are: np.full(..., dtype=float)",
                ),
                "self.averages = np.ones(self.n_arms)": (
                    "begins with ones",
                    "at first every arm is thought to be worth self.optimism",
                ),
                "self.averages = np.zeros(self.n_arms)": (
                    "forgets the optimism",
                    "at first every arm is thought to be worth self.optimism",
                ),
                "self.averages = getattr(self, 'averages', np.full(self.n_arms, self.optimism, dtype=float))": (
                    "keeps its averages over a reset",
                    "a reset begins a new life: nothing that was learned before may stay",
                ),
            },
        ),
        *instead_of(
            "self.counts = np.zeros(self.n_arms, dtype=int)",
            {
                "self.counts = np.ones(self.n_arms, dtype=int)": (
                    "counts optimism as a reward",
                    "no reward has been seen yet: counts begin at 0, so the first reward replaces the optimism",
                ),
                "self.counts = np.zeros(self.n_arms)": (
                    "counts in floats",
                    "counts are whole numbers: np.zeros(..., dtype=int)",
                ),
                "self.counts = getattr(self, 'counts', np.zeros(self.n_arms, dtype=int))": (
                    "keeps its counts over a reset",
                    "a reset begins a new life: counts are 0 again",
                ),
            },
        ),
        *instead_of(
            "super().reset(seed)",
            {
                "self.rng = getattr(self, 'rng', np.random.default_rng(seed))": (
                    "keeps its generator over a reset",
                    "a reset begins the random numbers anew from its seed",
                ),
                "self.rng = np.random.default_rng(0)": (
                    "ignores the seed",
                    "agents with other seeds must draw other numbers",
                ),
            },
        ),
    ],
)


class CheaterByInfo(agents.BanditAgent):
    """Keeps the whole info."""

    def reset(self, seed: int) -> None:
        self.info: dict[str, Any] = {}

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        self.info = dict(info)

    def get_action(self) -> int:
        return self.info.get("best_arm", 0)


test_cheaty_mc_cheater = exercise(
    reference=agents.CheatyMcCheater,
    cases=agent_cases,
    observe=life,
    accepts=[CheaterByInfo],
    equivalent={"super().reset(seed) -> None": "it draws nothing, so it needs no generator"},
    mistakes=[
        *instead_of(
            'self.best_arm = info["best_arm"]',
            {
                'self.best_arm = action if reward > 0 else info["best_arm"]': (
                    "trusts a good reward more than what it is told",
                    "action and reward don't matter: info says which arm is the best",
                ),
                'self.best_arm = info["best_arm"] if action == info["best_arm"] else self.best_arm': (
                    "listens only when it took the best arm",
                    "info names the best arm after every step, whatever was taken",
                ),
                'self.best_arm = self.__dict__.get("heard", 0)\n        self.heard = info["best_arm"]': (
                    "is one step late",
                    "the last info says which arm is the best, not the one before",
                ),
                'self.best_arm = max(self.best_arm, info["best_arm"])': (
                    "keeps the largest number it has been told",
                    "the last info says which arm is the best",
                ),
                "self.best_arm = action": (
                    "takes the last action again",
                    'the best arm stands in info["best_arm"]',
                ),
                'self.best_arm = self.best_arm or info["best_arm"]': (
                    "keeps the first arm it has been told",
                    "the last info says which arm is the best",
                ),
                "pass": ("never looks at info", 'the best arm stands in info["best_arm"]'),
            },
        ),
        *instead_of(
            "super().reset(seed)\n        self.best_arm = 0",
            {
                "super().reset(seed)\n        self.best_arm = getattr(self, 'best_arm', 0)": (
                    "keeps the best arm over a reset",
                    "a reset brings new arms: the old answer is forgotten",
                ),
                "super().reset(seed)\n        self.best_arm = int(self.rng.integers(self.n_arms))": (
                    "begins with a random arm",
                    "before it has been told anything it takes arm 0",
                ),
                "super().reset(seed)\n        self.best_arm = self.n_arms - 1": (
                    "begins with the last arm",
                    "before it has been told anything it takes arm 0",
                ),
            },
        ),
    ],
)
