import re

import numpy as np
import pytest

from arena_lib.errors import ConfigError, GradientError
from arena_lib.fundamentals.backprop import Tensor, backprop, check_back_func, check_gradient, numerical_gradient
from arena_lib.fundamentals.backprop import elementwise_back as back


def multiply(x, y):
    return x * y


def test_a_cubic_by_hand():
    """(x + e)^3 - (x - e)^3 over 2e is 3x^2 + e^2, exactly."""
    gradient = numerical_gradient(lambda x: (x**3).sum(), np.array([1, -2]), eps=0.5)
    assert gradient.tolist() == [3.25, 12.25]


def test_the_point_stays_as_it_is_and_each_call_has_arrays_of_its_own():
    x = np.array([1.0, 2.0])

    def spoils(x):
        total = (x * x).sum()
        x[:] = 99
        return total

    assert numerical_gradient(spoils, x).round(6).tolist() == [2, 4]
    assert x.tolist() == [1, 2]


def test_right_functions_pass_with_arrays_tensors_and_float32():
    x, y = np.array([1.0, 2.0]), np.array([[3.0], [4.0]])
    check_gradient(multiply, x, y)
    check_gradient(multiply, Tensor(x), y.astype(np.float32))
    check_gradient(lambda x, n: x * n, x, 3)
    check_gradient(lambda x, labels: x[labels], x, np.array([1, 1, 0]))
    check_back_func(np.multiply, back.multiply_back1, 1, 2.5, x)


def refusal(call):
    with pytest.raises(GradientError) as error:
        call()
    return str(error.value)


def test_a_wrong_entry_is_named_with_argument_index_and_point():
    def wrong(grad_out, out, x, y):
        gradient = grad_out * x
        gradient[1, 0] *= 3
        return gradient

    x, y = np.array([[1.0, 2.0], [4.0, 5.0]]), np.array([[7.0, 8.0], [0.25, 3.0]])
    message = refusal(lambda: check_back_func(np.multiply, wrong, 1, x, y))
    assert "argument 1" in message
    assert "multiply" in message
    assert "[1, 0]" in message
    assert "The entry is 0.25 there" in message
    assert "1 of 4 entries differ" in message
    got, tried = map(float, re.findall(r"(?:got|trying gives) (-?\d+\.\d+)", message))
    assert got == pytest.approx(3 * tried, rel=1e-5)


def test_a_wrong_backprop_is_named_by_the_functions_own_words():
    def halves(end, end_grad=None):
        backprop(end, end_grad)
        y_leaf.grad = Tensor(y_leaf.grad.array / 2)

    def product(first, second):
        nonlocal y_leaf
        y_leaf = second
        return first * second

    y_leaf = None
    message = refusal(
        lambda: check_gradient(product, np.array([2.0]), np.array([3.0]), backprop=lambda *args: halves(*args))
    )
    assert "argument 1 (second) of product" in message
    assert "[0]" in message


def test_a_gradient_of_another_shape_or_none_at_all_is_named():
    x = np.ones(3)
    message = refusal(lambda: check_back_func(np.multiply, lambda g, out, x, y: g * y, 0, x, np.ones((2, 3))))
    assert "(3,): got shape (2, 3)" in message
    message = refusal(lambda: check_gradient(multiply, x, x, backprop=lambda end, end_grad: None))
    assert "argument 0 (x) of multiply: got none" in message


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong(wrong):
    assert "2 of 2" in refusal(lambda: check_back_func(np.log, lambda g, out, x: g * wrong, 0, np.array([1.0, 2.0])))


def test_an_error_in_one_output_of_many_is_seen():
    """Outputs are weighed with numbers that don't cancel."""
    x = np.linspace(1, 2, 50)
    for i in range(50):
        bent = np.where(np.arange(50) == i, 1.01, 1.0)
        refusal(lambda bent=bent: check_back_func(np.exp, lambda g, out, x: g * out * bent, 0, x))


def test_a_detached_part_is_found():
    message = refusal(lambda: check_gradient(lambda x: x * x.detach(), np.array([2.0, 3.0])))
    assert "2 of 2 entries" in message


def test_at_a_tie_trying_agrees_with_the_convention_of_maximum():
    check_gradient(lambda x: np.maximum(x, 0.0), np.array([-1.0, 0.0, 2.0]))
    with pytest.raises(GradientError, match=r"\[1\].*The entry is 0 there"):
        check_gradient(lambda x: x * (x > 0), np.array([-1.0, 0.0, 2.0]))


@pytest.mark.parametrize("args", [(), (3.0,), (np.array([1, 2]),)])
def test_there_must_be_an_array_of_floats(args):
    with pytest.raises(ConfigError, match="array of floats"):
        check_gradient(lambda *args: args[0], *args)


def test_a_function_that_leaves_the_engine_is_refused():
    x = np.array([1.0])
    with pytest.raises(ConfigError, match="got ndarray"):
        check_gradient(lambda x: x.array, x)
    with pytest.raises(ConfigError, match="Tensor without requires_grad"):
        check_gradient(lambda x: x.detach() * 2, x)
    with pytest.raises(ConfigError, match=r"argument 1 must be an array of floats.*: got float"):
        check_back_func(np.multiply, back.multiply_back1, 1, x, 2.0)
    with pytest.raises(ConfigError, match=r"argument 2 must be an array of floats.*: got 2 arguments"):
        check_back_func(np.multiply, back.multiply_back1, 2, x, x)
