"""Judges of bandit agents: random, averaging, upper confidence bounds, and one that cheats."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.bandits import agents
from arena_lib.tests.intro_to_rl.watching import plain, require_class

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
            actions.append(plain(agent.get_action()))
            agent.observe(arm, reward, {"best_arm": (3 * arm + 1) % case.given["n_arms"]})
        seen[f"actions{name}"] = actions
        for attribute in ("averages", "counts"):
            if hasattr(agent, attribute):
                seen[f"{attribute}{name}"] = np.array(getattr(agent, attribute))
        agent.reset(case.given["seed"] + 1)
    return seen


class RandomByRange(agents.BanditAgent):
    """The same draw, with both ends."""

    def get_action(self) -> int:
        return int(self.rng.integers(0, self.n_arms - 1, endpoint=True))


test_random_agent = exercise(
    reference=agents.RandomAgent,
    cases=agent_cases,
    observe=life,
    accepts=[RandomByRange],
    mistakes=instead_of(
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
        },
    ),
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
    observe=life,
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
                "self.counts[action] += 1\n        self.averages[action] += 0.1 * (reward - self.averages[action])": (
                    "takes steps of a constant size",
                    "an average gives each of n rewards the same weight: use update_average",
                ),
            },
        ),
        *instead_of(
            "self.averages = np.full(self.n_arms, self.optimism, dtype=float)",
            {
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


class UCBByInfinity(agents.UCBActionSelection):
    """An arm never taken has an infinite bound."""

    def get_action(self) -> int:
        t = max(int(self.counts.sum()), 1)
        bounds = [
            average + self.c * (np.log(t) / n) ** 0.5 if n else np.inf
            for average, n in zip(self.averages, self.counts, strict=True)
        ]
        return int(np.argmax(bounds))


def ucb_cases(generator: torch.Generator) -> list[Case]:
    """Arms never taken, equal bounds, and many arms of chance by which slips in the formula show; what was seen is set."""

    def case(label: str, *trials: tuple[list[float], list[int], float]) -> Case:
        averages, counts, c = trials[0]
        return Case(label=label, given={"trials": trials}, call=f"  (averages={averages}, counts={counts}, c={c})")

    rng = np.random.default_rng(4)
    drawn = [
        (
            rng.normal(size=n).round(2).tolist(),
            rng.integers(1, [4, 30, 300][n % 3], size=n).tolist(),
            [0.3, 1.0, 3.0][n % 3],
        )
        for n in rng.integers(3, 9, size=150)
    ]
    return [
        case("nothing has been taken", ([0.0, 0.0, 0.0], [0, 0, 0], 2.0)),
        case("two arms have not been taken", ([9.0, 0.0, 5.0, 0.0], [3, 0, 1, 0], 2.0)),
        case("an arm hardly known", ([1.0, 0.6, 0.95], [50, 3, 40], 2.0)),
        case("no bonus", ([1.0, 0.6, 1.1], [50, 3, 40], 0.0)),
        case("equal bounds", ([0.5, 0.7, 0.7], [4, 4, 4], 1.0)),
        case("averages below zero", ([-1.0, -2.0, -1.6], [20, 3, 5], 1.0)),
        case("many more", *drawn),
    ]


def ucb_choice(cls: Any, case: Case) -> Observations:
    """What is taken for each trial, asked twice, and whether asking changed anything."""
    require_class(cls, "UCBActionSelection")
    actions, has_changed = [], False
    for averages, counts, c in case.given["trials"]:
        agent = cls(len(counts), c=c)
        agent.averages, agent.counts = np.array(averages), np.array(counts)
        with np.errstate(all="ignore"):
            actions.append([plain(agent.get_action()) for _ in range(2)])
        has_changed |= agent.averages.tolist() != averages or agent.counts.tolist() != counts
    return {"actions": actions, "asking changes what is known": has_changed}


test_ucb_action_selection = exercise(
    reference=agents.UCBActionSelection,
    cases=ucb_cases,
    observe=ucb_choice,
    keep=["__init__"],
    accepts=[UCBByInfinity],
    equivalent={
        "(self.counts == 0).any()": "where an arm was never taken its bound is infinite or no number, and argmax takes it"
    },
    mistakes=[
        Mistake(
            "does not try every arm first",
            "        if (self.counts == 0).any():\n            return int((self.counts == 0).argmax())\n"
            "        bonus = np.sqrt(np.log(self.counts.sum()) / self.counts)\n",
            "        bonus = np.sqrt(np.log(max(self.counts.sum(), 1)) / np.maximum(self.counts, 1))\n",
            why="an arm that has never been taken comes before all others",
        ),
        *instead_of(
            "        if (self.counts == 0).any():\n            return int((self.counts == 0).argmax())\n",
            {
                "        if (self.counts == 0).any():\n"
                "            return int(len(self.counts) - 1 - (self.counts == 0)[::-1].argmax())\n": (
                    "tries the last untaken arm first",
                    "of the arms that were never taken the first comes first",
                ),
            },
        ),
        *instead_of(
            "np.sqrt(np.log(self.counts.sum()) / self.counts)",
            {
                "np.log(self.counts.sum()) / self.counts": (
                    "forgets the root",
                    "the bonus is the root of ln(t) / n: doubt shrinks like one over the root of n",
                ),
                "np.sqrt(np.log(self.counts.sum())) / self.counts": (
                    "takes the root of the logarithm alone",
                    "the count stands under the root too",
                ),
                "np.sqrt(np.log(self.counts) / self.counts)": (
                    "takes the logarithm of the arm's own count",
                    "t is the number of all rewards so far, of all arms",
                ),
                "np.sqrt(self.counts.sum() / self.counts)": (
                    "forgets the logarithm",
                    "the bonus grows with ln(t), so that arms are tried ever more seldom",
                ),
                "np.sqrt(1 / self.counts)": (
                    "leaves out the number of steps",
                    "the bonus grows with ln(t), so that no arm is given up for ever",
                ),
                "np.sqrt(np.log2(self.counts.sum()) / self.counts)": (
                    "takes the logarithm to base 2",
                    "ln is the natural logarithm",
                ),
            },
        ),
        *instead_of(
            "self.averages + self.c * bonus",
            {
                "self.averages - self.c * bonus": (
                    "takes the lower bound",
                    "what is little known may be better than it looks: the bonus is added",
                ),
                "self.averages + bonus": ("ignores c", "c says how much doubt counts"),
                "bonus": ("looks at the bonus alone", "the bound is the average plus c times the bonus"),
                "self.averages": ("leaves out the bonus", "the bound is the average plus c times the bonus"),
                "self.averages + self.c**2 * bonus": (
                    "squares c",
                    "c stands before the root, as it is",
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
                "super().reset(seed)\n        self.best_arm = self.n_arms - 1": (
                    "begins with the last arm",
                    "before it has been told anything it takes arm 0",
                ),
            },
        ),
    ],
)
