"""Ask a reward function, and refuse by name what isn't one finite number for each text.

Shapes:  texts (a list) -> rewards "batch"
Raises:  ShapeError, DtypeError or TrainingError, each with the function's name.
Source:  own derivation.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import DtypeError, ShapeError, TrainingError

RewardFn = Callable[[list[str]], Tensor]
"""How good each text is: a list of texts -> "batch" numbers, larger for better."""


def compute_rewards(reward_fn: RewardFn, texts: Sequence[str]) -> Float[Tensor, " batch"]:
    """What the function says of these texts, without gradients, once it's certain that it is one number for each.

    >>> import torch
    >>> compute_rewards(lambda texts: torch.tensor([float(len(text)) for text in texts]), ["a", "bcd"])
    tensor([1., 3.])
    """
    name = getattr(reward_fn, "__name__", type(reward_fn).__name__)
    rewards: Any = reward_fn(list(texts))
    if not isinstance(rewards, Tensor):
        raise DtypeError(
            f"the reward function {name!r} must return a tensor: got {type(rewards).__name__}. Wrap what it returns in "
            "torch.tensor([...])."
        )
    if not rewards.is_floating_point():
        raise DtypeError(
            f"the reward function {name!r} must return floating-point numbers: got {rewards.dtype}. Call .float() on them."
        )
    if rewards.shape != (len(texts),):
        raise ShapeError(
            f"the reward function {name!r} must return one number for each text, shape ({len(texts)},): got "
            f"{tuple(rewards.shape)}. Take the sum or the mean over every other axis."
        )
    is_finite = rewards.isfinite()
    if not is_finite.all():
        wrong = int((~is_finite).int().argmax())
        raise TrainingError(
            f"the reward function {name!r} must return finite numbers: got {rewards[wrong].item()} for text {wrong}, "
            f"{texts[wrong]!r}. Decide what such a text is worth."
        )
    return rewards.detach()
