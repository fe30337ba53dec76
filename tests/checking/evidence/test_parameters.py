"""What is said of a learner's parameters: too few of them, or the right ones in another order."""

import pytest
import torch

from arena_lib.checking.evidence.expectations import cases_of
from arena_lib.checking.evidence.parameters import exchanged_parameters, unfit_parameters


class Turned:
    def forward(self, weight, x):
        return x * weight


@pytest.mark.parametrize(
    ("candidate", "given"),
    [
        (lambda weight, x: x, "weight, x"),
        (Turned, "weight, x"),
        (lambda x, weight: x, None),
        (lambda weight, other: weight, None),
        (lambda x: x, None),
        (lambda *args: args, None),
        (torch.relu, None),
    ],
)
def test_only_the_right_names_in_another_order_are_exchanged(toy, candidate, given):
    told = f"It must take (x, weight): got ({given}). Tests call it by position, so the order counts."
    assert exchanged_parameters(toy.test_half_norm, candidate) == (told if given else "")


def test_a_call_that_does_not_fit_is_said_with_what_python_says(toy):
    cases = cases_of(toy.test_half_norm)
    assert unfit_parameters(toy.test_half_norm, lambda x: x, cases) == (
        "It must take (x, weight): got (x), and too many positional arguments."
    )
    for candidate in (lambda x, weight: x, lambda *args: args, torch.relu, Turned):
        assert unfit_parameters(toy.test_half_norm, candidate, cases) == ""
