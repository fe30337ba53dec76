"""Judges of the best of n answers, section 2.4."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.errors import ConfigError
from arena_lib.rlhf import best_of_n

__test__ = False


def kl_cases(generator: torch.Generator) -> list[Case]:
    """No choice at all, few answers, very many; a number that can't be."""
    return [
        *(Case(label=f"the best of {n:,}" if n > 1 else "no choice", args=(n,)) for n in (1, 2, 3, 16, 1_000_000)),
        Case(label="none at all", args=(0,), raises="ConfigError"),
    ]


def kl_by_integral(n: int) -> float:
    """1 / n - 1 is what E[(n - 1) log u] gives under the density n u^(n - 1)."""
    if n <= 0:
        raise ConfigError(f"n must be positive: got {n}. 1 keeps the policy.")
    return math.log(n) + 1 / n - 1


def kl_in_torch(n: int) -> float:
    """In float64."""
    if n < 1:
        raise ConfigError(f"n must be positive: got {n}. 1 keeps the policy.")
    number = torch.tensor(n, dtype=torch.float64)
    return float(number.log() - (number - 1) / number)


test_best_of_n_kl = exercise(
    reference=best_of_n.best_of_n_kl,
    cases=kl_cases,
    observe=outputs,
    accepts=[kl_by_integral, kl_in_torch],
    mistakes=instead_of(
        "math.log(n) - (n - 1) / n",
        {
            "math.log(n)": (
                "takes log n",
                "that is its largest value, which only the very best of answers contributes: (n - 1) / n is subtracted",
            ),
            "n * math.log(n) - (n - 1)": ("multiplies by n", "it's log n - (n - 1) / n: n log n belongs to sorting"),
            "n * math.log(n)": ("takes n log n", "it grows like log n: a thousand answers cost 6 nats"),
            "math.log(n) + (n - 1) / n": ("adds (n - 1) / n", "it is subtracted"),
            "math.log(n) - 1": (
                "subtracts 1",
                "only for large n is (n - 1) / n nearly 1; for n = 1 the divergence is 0",
            ),
            "math.log(n) - (n - 1)": ("subtracts n - 1", "it is divided by n first"),
            "math.log(n) - n / (n + 1)": ("takes n + 1 for n in the fraction", "the fraction is (n - 1) / n"),
            "math.log(n) - (n + 1) / n": (
                "subtracts (n + 1) / n",
                "the fraction is (n - 1) / n: for n = 1 nothing changes",
            ),
            "math.log(n) - 1 / n": ("subtracts 1 / n", "the fraction is (n - 1) / n"),
            "math.log2(n) - (n - 1) / n": ("measures in bits", "the result is in nats, with the natural logarithm"),
            "math.log10(n) - (n - 1) / n": ("takes the logarithm to base 10", "the result is in nats"),
            "(n - 1) / n - math.log(n)": ("turns the sign round", "a divergence is never below 0"),
            "math.log(n - 1) - (n - 1) / n if n > 1 else 0.0": (
                "takes log(n - 1)",
                "the density of the best is n times u^(n - 1)",
            ),
        },
    ),
)


def estimate_cases(generator: torch.Generator) -> list[Case]:
    """Every n there can be, for one prompt and several; ties, values of their own, many answers, bad arguments."""

    def case(
        label: str, shape: tuple[int, ...], n: int, *, ties: bool = False, values: bool = False, **more: Any
    ) -> Case:
        rewards = torch.randn(shape, generator=generator)
        rewards = rewards.round().double() if ties else rewards
        own = (torch.randn(shape, generator=generator).to(rewards),) if values else ()
        return Case(label=label, args=(rewards, n, *own), **more)

    whole = torch.tensor([3, 1, 4, 1, 5])
    return [
        case("best of two among five", (5,), 2),
        case("several prompts", (3, 6), 4),
        case("a single draw", (2, 4), 1),
        case("all answers", (7,), 7),
        case("one answer", (1,), 1),
        case("ties", (2, 9), 3, ties=True),
        case("values of their own", (4, 7), 3, values=True),
        case("values of their own, with ties", (2, 3, 8), 2, ties=True, values=True),
        case("many answers", (400,), 150, values=True),
        Case(label="whole numbers", args=(whole, 2)),
        case("more than there are", (4,), 5, raises="ConfigError"),
        case("none", (4,), 0, raises="ConfigError"),
        Case(label="values of another shape", args=(torch.rand(2, 5), 2, torch.rand(5)), raises="ShapeError"),
    ]


def check(rewards: Tensor, n: int, values: Tensor | None) -> Tensor:
    """The values, of arguments that can be."""
    values = rewards if values is None else values
    if values.shape != rewards.shape:
        best_of_n.estimate_best_of_n(rewards, 1, values)
    if not 1 <= n <= rewards.shape[-1]:
        raise ConfigError(f"n must be from 1 to {rewards.shape[-1]}: got {n}. Draw more answers.")
    return values


def estimate_by_sorting(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """The k-th smallest is the best with probability C(k - 1, n - 1) / C(N, n); ties are averaged first."""
    values = check(rewards, n, values).double()
    n_answers = rewards.shape[-1]
    is_alike = (rewards[..., None] == rewards[..., None, :]).double()
    order = rewards.argsort(dim=-1)
    averaged = ((is_alike @ values[..., None])[..., 0] / is_alike.sum(dim=-1)).gather(-1, order)
    whole = math.comb(n_answers, n)
    weights = torch.tensor([math.comb(k, n - 1) / whole for k in range(n_answers)], dtype=torch.float64)
    return (
        (averaged * weights).sum(dim=-1).float() if rewards.dtype != torch.float64 else (averaged * weights).sum(dim=-1)
    )


def estimate_by_ranks(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """From the largest down: each group of ties is the best unless all n come from below it."""
    values = check(rewards, n, values)
    flat, worth = rewards.reshape(-1, rewards.shape[-1]), values.reshape(-1, rewards.shape[-1])
    totals = []
    for row, worth_row in zip(flat, worth, strict=True):
        total = row.new_zeros((), dtype=torch.float64)
        for level in row.unique():
            below, upto = int((row < level).sum()), int((row <= level).sum())
            share = (math.comb(upto, n) - math.comb(below, n)) / math.comb(len(row), n)
            total = total + share * worth_row[row == level].double().mean()
        totals.append(total)
    dtype = torch.promote_types(values.dtype, torch.float32)
    return torch.stack(totals).to(dtype).reshape(rewards.shape[:-1])


def best_of_each_choice(rewards: Tensor, n: int, values: Tensor) -> Tensor:
    """Plainly every choice of n; of ties the first."""
    chosen = torch.tensor(list(itertools.combinations(range(rewards.shape[-1]), n)))
    best = rewards[..., chosen].argmax(dim=-1, keepdim=True)
    return values[..., chosen].gather(-1, best)[..., 0].mean(dim=-1)


def first_of_ties(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """The mean over all choices, in which the first of equal answers wins; as it should where there are too many choices."""
    given = check(rewards, n, values)
    if math.comb(rewards.shape[-1], n) > 10_000:
        return best_of_n.estimate_best_of_n(rewards, n, values)
    return best_of_each_choice(rewards, n, given).to(torch.promote_types(given.dtype, torch.float32))


def value_of_largest(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """The best by its value, not by its reward."""
    given = check(rewards, n, values)
    return best_of_n.estimate_best_of_n(given, n)


def with_replacement(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """As if answers were put back: the k-th smallest is the best with probability (k/N)^n - ((k - 1)/N)^n."""
    given = check(rewards, n, values)
    n_answers = rewards.shape[-1]
    below = (rewards[..., None, :] < rewards[..., :, None]).sum(-1).double()
    alike = (rewards[..., None, :] == rewards[..., :, None]).sum(-1).double()
    weights = (((below + alike) / n_answers) ** n - (below / n_answers) ** n) / alike
    return (weights * given).sum(-1).to(torch.promote_types(given.dtype, torch.float32))


def best_of_the_first(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """Looks at n of the answers alone."""
    given = check(rewards, n, values)
    best = rewards[..., :n].argmax(dim=-1, keepdim=True)
    return given.gather(-1, best)[..., 0].to(torch.promote_types(given.dtype, torch.float32))


def best_of_groups(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """Splits the answers into groups of n, and averages the groups' best; what is left over isn't used."""
    given = check(rewards, n, values)
    size = rewards.shape[-1] // n * n
    groups, worth = (x[..., :size].unflatten(-1, (-1, n)) for x in (rewards, given))
    best = worth.gather(-1, groups.argmax(dim=-1, keepdim=True))[..., 0]
    return best.to(torch.promote_types(given.dtype, torch.float32)).mean(dim=-1)


def among(change: Callable[[int, int], int]) -> Callable[..., Tensor]:
    """As if another number of answers competed: `change(n, n_answers)`."""

    def estimate(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
        check(rewards, n, values)
        return best_of_n.estimate_best_of_n(rewards, change(n, rewards.shape[-1]), values)

    return estimate


def over_prompts(rewards: Tensor, n: int, values: Tensor | None = None) -> Tensor:
    """One number for all prompts."""
    return best_of_n.estimate_best_of_n(rewards, n, values).mean()


SUM = "(weights * values).sum(dim=-1)"

test_estimate_best_of_n = exercise(
    reference=best_of_n.estimate_best_of_n,
    cases=estimate_cases,
    observe=outputs,
    equivalent={
        "torch.promote_types(values.dtype, torch.float32)": "symmetric",
        "torch.lgamma((counts - n).clamp(min=0) + 1)": "what is below n is left out afterwards; 0! and 1! are equal",
        "(rewards[..., None, :] == rewards[..., :, None]).sum(dim=-1)": "equality is symmetric",
    },
    accepts=[estimate_by_sorting, estimate_by_ranks],
    mistakes=[
        Mistake(
            "draws with replacement",
            function=with_replacement,
            why="n different answers are chosen: (rank / N)^n would count answers that were put back",
        ),
        Mistake(
            "looks at the first n answers alone",
            function=best_of_the_first,
            why="the mean is over all choices of n of the answers, so each of them counts",
        ),
        Mistake(
            "takes the best of separate groups of n",
            function=best_of_groups,
            why="all choices of n count, not only those of neighbours: that is what makes the estimate precise",
        ),
        Mistake(
            "lets the first of equal answers win",
            function=first_of_ties,
            why="answers with equal rewards share their choices alike",
        ),
        Mistake(
            "chooses by values", function=value_of_largest, why="rewards choose; values say what the chosen is worth"
        ),
        Mistake("averages over the prompts", function=over_prompts, why="each prompt has an estimate of its own"),
        Mistake(
            "ignores n", function=among(lambda n, n_answers: 1), why="n answers compete: the mean of all is best of 1"
        ),
        Mistake(
            "takes the best of all answers",
            function=among(lambda n, n_answers: n_answers),
            why="n of them are drawn, and the mean is over all such choices",
        ),
        Mistake(
            "lets one answer more compete",
            function=among(lambda n, n_answers: min(n + 1, n_answers)),
            why="n answers compete",
        ),
        Mistake(
            "lets one answer fewer compete", function=among(lambda n, n_answers: max(n - 1, 1)), why="n answers compete"
        ),
        *instead_of(
            SUM,
            {
                SUM.replace("sum", "mean"): (
                    "averages the weighted values",
                    "the weights are probabilities, which add up to 1: the values are summed",
                ),
                SUM.replace("values", "rewards"): ("ignores values", "values say what the chosen answer is worth"),
            },
        ),
        *instead_of(
            "(log_choices - log_choices[-1]).exp()",
            {
                "log_choices.exp()": (
                    "forgets to divide by the number of choices",
                    "each of C(N, n) choices is as likely as any other",
                ),
                "(log_choices.float().exp() / log_choices[-1].float().exp())": (
                    "computes binomial coefficients in float32",
                    "those of hundreds of answers are larger than any float32: take logarithms or whole numbers",
                ),
            },
        ),
        Mistake("takes the worst of n", "] < rewards", "] > rewards", why="the highest reward is chosen"),
        Mistake(
            "gives each of several equal answers all that their group shares",
            " / n_alike",
            "",
            why="answers with equal rewards share their choices alike",
        ),
        Mistake(
            "returns float64 whatever came",
            ".to(torch.promote_types(values.dtype, torch.float32))",
            "",
            why="the result has the dtype of the values, or float32 for whole numbers",
        ),
        Mistake(
            "rounds to the whole numbers that came",
            "torch.promote_types(values.dtype, torch.float32)",
            "values.dtype",
            why="a mean of whole numbers has a fraction: the result is in float32",
        ),
    ],
)
