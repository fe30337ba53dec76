import numpy as np
import pytest
import torch

from arena_lib.fundamentals.backprop import Tensor, no_grad, wrap_forward_fn
from arena_lib.fundamentals.backprop.recording import log_forward, multiply_forward


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True), (False, False)])
def test_one_factor_that_wants_a_gradient_is_enough(wanted):
    a, b = (Tensor([2.0, 3.0], requires_grad=wants) for wants in wanted)
    product = multiply_forward(a, b)
    assert product.requires_grad == any(wanted)
    assert (product.recipe is not None) == any(wanted)


def test_the_special_forms_are_what_the_general_one_makes():
    a, b = Tensor([2.0, 3.0], requires_grad=True), Tensor(4.0)
    for special, general, args in (
        (log_forward, wrap_forward_fn(np.log), (a,)),
        (multiply_forward, wrap_forward_fn(np.multiply), (a, b)),
        (multiply_forward, wrap_forward_fn(np.multiply), (2, a)),
    ):
        one, other = special(*args), general(*args)
        np.testing.assert_array_equal(one.array, other.array)
        assert one.recipe.func is other.recipe.func
        assert one.recipe.parents == other.recipe.parents


def test_nothing_is_recorded_inside_no_grad():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        assert (x * 2).recipe is None
    assert (x * 2).recipe is not None


def test_a_function_that_raises_leaves_its_own_error():
    with pytest.raises(ValueError, match="broadcast"):
        Tensor([1.0, 2.0]) * Tensor([1.0, 2.0, 3.0])


def test_a_wrapped_function_has_the_name_of_numpys():
    assert wrap_forward_fn(np.log).__name__ == "log"


def test_float32_stays_float32():
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    assert ((x * 2 + 1).exp().mean() / 3).dtype == np.float32
    assert (torch.ones(2, 3) * 2 + 1).exp().mean().dtype == torch.float32
