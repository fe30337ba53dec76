"""Whatever a reward function may return wrongly, its name is in the message."""

import numpy as np
import pytest
import torch

from arena_lib.errors import DtypeError, ShapeError, TrainingError
from arena_lib.rlhf.rewards.checking import compute_rewards

TEXTS = ["one", "three", "two"]


def test_rewards_come_back_without_gradients():
    weight = torch.tensor(2.0, requires_grad=True)
    rewards = compute_rewards(lambda texts: weight * torch.tensor([float(len(text)) for text in texts]), TEXTS)
    assert rewards.tolist() == [6, 10, 6]
    assert not rewards.requires_grad


def test_the_function_gets_a_list_of_its_own():
    def clearing(texts):
        n = len(texts)
        texts.clear()
        return torch.zeros(n)

    texts = list(TEXTS)
    compute_rewards(clearing, texts)
    assert texts == TEXTS


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ([1.0, 2.0, 3.0], DtypeError, "must return a tensor: got list"),
        (np.ones(3), DtypeError, "must return a tensor: got ndarray"),
        (None, DtypeError, "must return a tensor: got NoneType"),
        (torch.tensor([1, 2, 3]), DtypeError, "floating-point numbers: got torch.int64"),
        (torch.ones(3, 1), ShapeError, r"shape \(3,\): got \(3, 1\)"),
        (torch.ones(2), ShapeError, r"shape \(3,\): got \(2,\)"),
        (torch.tensor(1.0), ShapeError, r"shape \(3,\): got \(\)"),
        (torch.tensor([1.0, torch.nan, 0.0]), TrainingError, "got nan for text 1, 'three'"),
        (torch.tensor([1.0, 0.0, -torch.inf]), TrainingError, "got -inf for text 2, 'two'"),
    ],
)
def test_what_is_no_reward_is_refused_with_the_functions_name(returned, error, message):
    def my_reward(texts):
        return returned

    with pytest.raises(error, match=rf"'my_reward'.*{message}"):
        compute_rewards(my_reward, TEXTS)


def test_an_object_that_can_be_called_goes_by_its_class():
    class Judge:
        def __call__(self, texts):
            return [0.0] * len(texts)

    with pytest.raises(DtypeError, match="'Judge'"):
        compute_rewards(Judge(), TEXTS)
