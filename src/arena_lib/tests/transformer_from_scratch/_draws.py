"""What is looked at when a function draws at random: which tokens, how often, and whether its generator decides.

With N_DRAWS draws the difference of two frequencies has a standard error of at most 0.032
(both sides are samples), so a correct solution leaves the tolerance of 0.17, over five of
them, less than once in ten million times; every token that can be drawn has a probability
of at least 0.04 and is missed less than once in 1e8.

Shapes:  frequencies "d_vocab".
Raises:  Unfit if what was drawn is no token id.
Source:  own design.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, outputs
from arena_lib.checking.observing import Observations

__test__ = False

DRAWS = {"frequencies": "d_vocab"}
N_DRAWS = 500
FREQUENCIES = {"frequencies": Tolerance(rtol=0.0, atol=0.17)}
PROBABILITIES = torch.tensor([0.13, 0.45, 0.05, 0.20, 0.17])
"""A distribution in no order, whose cumulative sums are far from the thresholds that the cases use."""
IGNORES_THE_GENERATOR = Mistake(
    "ignores the generator",
    "generator=generator",
    "generator=None",
    why="draws from a generator of the same seed must be the same draws",
)


def as_token(value: Any) -> int:
    """The token id that a learner's function returned; an int, or a tensor without axes."""
    is_tensor = isinstance(value, Tensor) and value.ndim == 0 and not value.is_floating_point()
    is_number = hasattr(value, "__index__") and not isinstance(value, bool | Tensor)
    if not (is_number or is_tensor):
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise Unfit(f"It must return one token id, an int: got {kind}. Call .item() on a tensor that holds one number.")
    return int(value)


def many_draws(function: Callable[..., Any], case: Case) -> Observations:
    """Which tokens were drawn, how often, and whether a generator decides alone where the function takes one."""
    seen = outputs(function, case)
    d_vocab = case.given["d_vocab"]
    drawn = torch.tensor([as_token(function(*case.args)) for _ in range(N_DRAWS)])
    if drawn.min() < 0 or drawn.max() >= d_vocab:
        raise Unfit(f"It must return a token id from 0 to {d_vocab - 1}: got {int(drawn.max())}.")
    return {
        "tokens drawn": sorted(set(drawn.tolist())),
        "frequencies": torch.bincount(drawn, minlength=d_vocab) / N_DRAWS,
        **repeats(function, lambda generator: [as_token(function(*case.args, generator=generator)) for _ in range(20)]),
    } | {name: value for name, value in seen.items() if name != "output"}


def repeats(
    function: Callable[..., Any],
    draw: Callable[[torch.Generator], Any],
    is_same: Callable[[Any, Any], bool] = operator.eq,
) -> Observations:
    """Whether a generator of the same seed gives the same draws, whatever torch's own; without one there are none to repeat."""
    is_alike = True
    if "generator" in inspect.signature(function).parameters:
        drawn = []
        for global_seed in (1, 2):
            torch.manual_seed(global_seed)
            drawn.append(draw(torch.Generator().manual_seed(5)))
        is_alike = is_same(*drawn)
    return {"draws again alike from a generator of the same seed": is_alike}
