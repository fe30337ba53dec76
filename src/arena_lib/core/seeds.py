"""Seeded generators, and the random states that a resumed run needs.

Library code takes a `torch.Generator` and never touches the global states;
`seed_everything` is for programs (a training run, a notebook's first cell).

Shapes:  random states are byte tensors "state"
Raises:  ConfigError for a seed that torch cannot take.
Differs: `hash()` is not covered: PYTHONHASHSEED can only be set before Python starts.
"""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.errors import ConfigError

LARGEST_SEED = 2**32 - 1
"""The largest seed that numpy's legacy generator takes; torch and `random` take more."""


def check_seed(seed: int) -> int:
    """Return `seed` if every generator can take it, and raise ConfigError if not."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(
            f"a seed must be a whole number from 0 to {LARGEST_SEED}: got {seed!r}. Give for example seed=0."
        )
    return seed


def make_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Make a generator of its own, which neither reads nor changes the global random state.

    >>> torch.equal(torch.rand(3, generator=make_generator(7)), torch.rand(3, generator=make_generator(7)))
    True
    """
    return torch.Generator(device=device).manual_seed(check_seed(seed))


def seed_everything(seed: int) -> None:
    """Seed `random`, numpy's global state and torch's global states on every device."""
    check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # seeds CUDA and MPS too


def get_random_states() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the global random states as (tensors, JSON-able state), for `set_random_states`."""
    tensors = {"torch": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        tensors[f"cuda.{index}"] = torch.cuda.get_rng_state(index)
    _, keys, position, has_gauss, cached_gauss = np.random.get_state(legacy=True)
    version, internal, gauss_next = random.getstate()
    state = {
        "python": [version, list(internal), gauss_next],
        "numpy": [np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached_gauss)],
    }
    return tensors, state


def set_random_states(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Put back what `get_random_states` returned; states of CUDA devices that are not here are left out."""
    torch.set_rng_state(tensors["torch"].cpu())
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"].cpu(), index)
    keys, position, has_gauss, cached_gauss = state["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached_gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
