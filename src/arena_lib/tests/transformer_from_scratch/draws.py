"""What is seen of a function that draws at random: which tokens come, how often, and what its generator decides.

With N_DRAWS draws the difference of two frequencies has a standard error of at most 0.032 (both sides are
samples), so a correct solution leaves the tolerance of 0.17, over five of them, less than once in ten
million times. Every token that can be drawn must have a probability of at least 0.04: then it is missed less
than once in 1e8. Where two mistakes lie closer together, a case asks for MANY_DRAWS.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, outputs
from arena_lib.checking.observing import Observations

VOCAB = "d_vocab"
N_DRAWS = 500
MANY_DRAWS = 2000
FREQUENCIES = "frequencies"
FREQUENCIES_OF_MANY = f"frequencies in {MANY_DRAWS} draws"
TOLERANCES = {FREQUENCIES: Tolerance(rtol=0.0, atol=0.17), FREQUENCIES_OF_MANY: Tolerance(rtol=0.0, atol=0.085)}
DRAWN = "the different tokens that were drawn"
REPEATS = "generators with the same seed give the same draws"
GOES_ON = "draws from one generator are not all the same"
N_WITH_GENERATOR = 100
"""Draws from one generator: where no token is likelier than 0.85, all of them are alike less than once in ten million times."""

TELLING_SEED = 8
"""A seed whose first draw is not the likeliest token, so that it can't be taken for a greedy choice."""


def draws_case(
    label: str, *args: Any, many: bool = False, with_generator: bool = False, alike: Sequence[int] = ()
) -> Case:
    """A call that draws a token: by `many` draws, or `with_generator` too (where no token is likelier than 0.85).

    Tokens that are `alike` are counted as the first of them: what any one of them has may go to another.
    """
    axes = {FREQUENCIES: VOCAB, FREQUENCIES_OF_MANY: VOCAB}
    given = {"many": many, "with_generator": with_generator, "alike": tuple(alike)}
    return Case(label=label, args=args, given=given, axes=axes)


def many_draws(function: Callable[..., Any], case: Case) -> Observations:
    """Which tokens were drawn, how often, and what a generator decides where the function takes one."""
    seen = outputs(function, case)
    d_vocab = next(arg.shape[0] for arg in case.args if isinstance(arg, Tensor) and arg.is_floating_point())
    n_draws, name = (MANY_DRAWS, FREQUENCIES_OF_MANY) if case.given["many"] else (N_DRAWS, FREQUENCIES)
    drawn = torch.tensor([as_token(function(*case.args)) for _ in range(n_draws)])
    if drawn.min() < 0 or drawn.max() >= d_vocab:
        raise Unfit(f"It must return a token id from 0 to {d_vocab - 1}: got {int(drawn.max())}.")
    for token in case.given["alike"][1:]:
        drawn[drawn == token] = case.given["alike"][0]
    seen[DRAWN] = sorted(set(drawn.tolist()))
    seen[name] = torch.bincount(drawn, minlength=d_vocab) / n_draws
    if case.given["with_generator"]:
        seen |= draws_of_a_generator(
            function, lambda generator: as_token(function(*case.args, generator=generator)), N_WITH_GENERATOR
        )
    return {name: value for name, value in seen.items() if name != "output"}


def as_token(value: Any) -> int:
    """The token id that a learner's function returned; an int, or a tensor without axes."""
    is_tensor = isinstance(value, Tensor) and value.ndim == 0 and not value.is_floating_point()
    is_number = hasattr(value, "__index__") and not isinstance(value, bool | Tensor)
    if not (is_number or is_tensor):
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise Unfit(f"It must return one token id, an int: got {kind}. Call .item() on a tensor that holds one number.")
    return int(value)


def draws_of_a_generator(
    function: Callable[..., Any], draw: Callable[[torch.Generator], Any], n_draws: int
) -> Observations:
    """Whether a generator decides alone, whatever torch's own, and moves on; both hold where the function takes none."""
    if "generator" not in inspect.signature(function).parameters:
        return {REPEATS: True, GOES_ON: True}
    series = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        generator = torch.Generator().manual_seed(5)
        series.append([draw(generator) for _ in range(n_draws)])
    return {REPEATS: series[0] == series[1], GOES_ON: any(drawn != series[0][0] for drawn in series[0])}


def ignores_the_generator(seen: Sequence[Observations]) -> bool:
    """Whether equal seeds gave other draws."""
    return any(case.get(REPEATS) is False for case in seen)


def restarts_the_generator(seen: Sequence[Observations]) -> bool:
    """Whether every draw from one generator was the same, though draws without it weren't."""
    return any(case.get(GOES_ON) is False and len(case.get(DRAWN, "ab")) > 1 for case in seen)


def always_draws_the_same(seen: Sequence[Observations]) -> bool:
    """Whether a case where several tokens can be drawn gave only one, with a generator and without."""
    return any(case.get(GOES_ON) is False and len(case[DRAWN]) == 1 for case in seen)


def seeds_the_global_generator(seen: Sequence[Observations]) -> bool:
    """Whether a case where several tokens can be drawn gave only one, unless it had a generator."""
    return any(case.get(GOES_ON) is True and len(case[DRAWN]) == 1 for case in seen)


def generator_mistakes(reference: Callable[..., Any]) -> tuple[Mistake, ...]:
    """What can go wrong with the generator of a function that draws one token, recognised whatever was drawn."""

    def wrong(change: Callable[[torch.Generator | None], torch.Generator | None]) -> Callable[..., Any]:
        @functools.wraps(reference)
        def changed(*args: Any, generator: torch.Generator | None = None) -> Any:
            return reference(*args, generator=change(generator))

        return changed

    @functools.wraps(reference)
    def seeds_first(*args: Any, **kwargs: Any) -> Any:
        torch.manual_seed(TELLING_SEED)
        return reference(*args, **kwargs)

    return (
        Mistake(
            "seeds torch at every call",
            function=seeds_first,
            why="a token is drawn anew at each call; who wants the same draws again passes a generator",
            shows=seeds_the_global_generator,
        ),
        Mistake(
            "ignores the generator",
            function=wrong(lambda generator: None),
            why="generators with the same seed must give the same draws",
            shows=ignores_the_generator,
        ),
        Mistake(
            "seeds the generator again at each call",
            function=wrong(lambda generator: generator and generator.manual_seed(TELLING_SEED)),
            why="a generator moves on with every draw, but gives the same token each time if it is seeded again",
            shows=restarts_the_generator,
        ),
        Mistake(
            "draws the same token at every call",
            function=wrong(lambda generator: torch.Generator().manual_seed(TELLING_SEED)),
            why="each call draws another token at random, so the less likely tokens must come too",
            shows=always_draws_the_same,
        ),
    )
