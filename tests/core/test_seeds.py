import random

import numpy as np
import pytest
import torch

from arena_lib.core.checkpoints import load_checkpoint, save_checkpoint
from arena_lib.core.seeds import (
    LARGEST_SEED,
    get_random_states,
    make_generator,
    seed_everything,
    set_random_states,
)
from arena_lib.errors import ConfigError


def draw_each():
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()]


@pytest.fixture(autouse=True)
def keep_global_states():
    states = get_random_states()
    yield
    set_random_states(*states)


def test_a_generator_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    torch.rand(5, generator=make_generator(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_generators_of_one_seed_agree_and_of_two_seeds_do_not():
    first, again, other = (torch.rand(4, generator=make_generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_seed_everything_seeds_each_source():
    seed_everything(11)
    first = draw_each()
    seed_everything(11)
    assert draw_each() == first
    seed_everything(12)
    assert all(now != then for now, then in zip(draw_each(), first, strict=True))


def test_states_go_through_a_checkpoint_and_continue_each_source(tmp_path):
    seed_everything(5)
    random.gauss(0, 1)  # leaves the second of a pair waiting, and so does randn
    np.random.randn()
    tensors, state = get_random_states()
    save_checkpoint(tmp_path, tensors=tensors, state=state)
    expected = draw_each()
    seed_everything(6)
    set_random_states(*load_checkpoint(tmp_path))
    assert draw_each() == expected


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, True])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    for take in (make_generator, seed_everything):
        with pytest.raises(ConfigError, match=rf"whole number from 0 to 4294967295: got {seed}\. Give"):
            take(seed)
    make_generator(LARGEST_SEED)
    seed_everything(LARGEST_SEED)
