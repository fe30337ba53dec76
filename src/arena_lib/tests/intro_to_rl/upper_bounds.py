"""Judge of the agent that takes the largest upper confidence bound."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.bandits import agents
from arena_lib.tests.intro_to_rl.watching import TYPES, plain, require_class, types_of

__test__ = False


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
        return Case(
            label=label,
            given={"trials": trials},
            call=f"UCBActionSelection(n_arms={len(counts)}, c={c}).get_action()  with averages {averages} and counts {counts}",
        )

    def close(n_arms: int) -> tuple[list[float], list[int], float]:
        """Two arms whose bounds are far above the others' and hardly differ: any slip turns them round."""
        counts = rng.permutation(12)[:n_arms] + 1
        c = [0.7, 1.5][n_arms % 2]
        averages = rng.normal(size=n_arms) - 9.0
        bonus = c * np.sqrt(np.log(counts.sum()) / counts)
        averages[:2] = -bonus[:2] + rng.permutation([0.0, 0.001])
        return averages.tolist(), counts.tolist(), c

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
        case("after the first reward of all", ([1.0, 0.0, 0.0], [1, 0, 0], 2.0)),
        case("bounds that hardly differ", *(close(n) for n in (2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5))),
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
            actions.append([agent.get_action() for _ in range(2)])
        has_changed |= agent.averages.tolist() != averages or agent.counts.tolist() != counts
    types = types_of([action for asked in actions for action in asked])
    plain_actions = [[plain(action) for action in asked] for asked in actions]
    return {"actions": plain_actions, TYPES: types, "asking changes what is known": has_changed}


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
                "        if (self.counts == 0).any():\n"
                "            return int(self.rng.choice(np.flatnonzero(self.counts == 0)))\n": (
                    "draws among the untaken arms",
                    "of the arms that were never taken the first comes first: nothing is drawn",
                ),
                "        if not self.counts.any():\n            return 0\n"
                "        if (self.counts == 0).any():\n            return int(self.counts.argmin() + 1) % len(self.counts)\n": (
                    "is one arm off while some are untaken",
                    "the first arm that was never taken comes first",
                ),
            },
        ),
        *instead_of(
            "return int((self.counts == 0).argmax())",
            {
                "return (self.counts == 0).argmax()": (
                    "returns numpy's integer for an untaken arm",
                    "an action is an int of Python: int(...) makes one of it",
                ),
            },
        ),
        *instead_of(
            "return int((self.averages + self.c * bonus).argmax())",
            {
                "return (self.averages + self.c * bonus).argmax()": (
                    "returns numpy's integer for the best bound",
                    "an action is an int of Python: int(...) makes one of it",
                ),
                "return int(len(bonus) - 1 - (self.averages + self.c * bonus)[::-1].argmax())": (
                    "takes the last of equal bounds",
                    "of equal bounds the first one is taken",
                ),
                "return int((self.averages + self.c * bonus).argmin())": (
                    "takes the smallest bound",
                    "the arm with the largest bound is taken",
                ),
            },
        ),
        *instead_of(
            "        if (self.counts == 0).any():\n            return int((self.counts == 0).argmax())\n"
            "        bonus = np.sqrt(np.log(self.counts.sum()) / self.counts)\n",
            {
                f"        bonus = np.sqrt(np.log(max(self.counts.sum(), 1)) / (self.counts + {small}))\n": (
                    "adds a small number to the counts",
                    "an arm that has never been taken comes before all others: at t = 1, where ln(t) is 0, no number gives "
                    "it a bonus",
                )
                for small in ("1e-9", "1e-5")
            },
        ),
        *instead_of(
            "np.sqrt(np.log(self.counts.sum()) / self.counts)",
            {
                "np.sqrt(np.log(self.counts.sum() + 1) / self.counts)": (
                    "counts the step to come",
                    "t is the number of rewards so far, the sum of the counts",
                ),
                "np.sqrt(np.log(self.counts.sum() - 1) / self.counts)": (
                    "leaves a reward out of t",
                    "t is the number of rewards so far, the sum of the counts",
                ),
                "np.sqrt(np.log(self.counts.sum()) / (self.counts + 1))": (
                    "adds 1 to the counts",
                    "the arm's own count stands under the root as it is",
                ),
                "np.sqrt(np.log10(self.counts.sum()) / self.counts)": (
                    "takes the logarithm to base 10",
                    "ln is the natural logarithm",
                ),
                "np.sqrt(2 * np.log(self.counts.sum()) / self.counts)": (
                    "puts a 2 under the root",
                    "the constant is c, and it stands before the root",
                ),
                "np.sqrt(np.log(len(self.counts)) / self.counts)": (
                    "takes the number of arms for t",
                    "t is the number of rewards so far, the sum of the counts",
                ),
                "np.sqrt(np.log(self.counts.max()) / self.counts)": (
                    "takes the largest count for t",
                    "t is the number of rewards so far, the sum of the counts",
                ),
                "np.sqrt(self.counts / np.log(self.counts.sum()))": (
                    "turns the fraction over",
                    "an arm that is well known has a small bonus: its count stands below",
                ),
                "np.sqrt(np.log(self.__dict__.update(t=self.__dict__.get('t', 0) + 1) or self.t) / self.counts)": (
                    "counts how often it was asked",
                    "t is the sum of the counts: the rewards that were seen, not the choices of its own",
                ),
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
                "self.averages + np.sqrt(self.c) * bonus": (
                    "puts c under the root",
                    "c stands before the root, as it is",
                ),
                "self.averages + 2 * bonus": ("always takes 2 for c", "c says how much doubt counts: self.c"),
                "self.averages * (1 + self.c * bonus)": (
                    "multiplies by the bonus",
                    "the bonus is added to the average",
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
