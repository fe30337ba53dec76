import numpy as np
import pytest
import torch

from arena_lib.errors import DtypeError
from arena_lib.fundamentals.backprop import (
    Tensor,
    backprop,
    compute_gradients,
    hessian_vector_product,
    no_grad,
)
from arena_lib.fundamentals.backprop.classifier import cross_entropy


def test_four_derivatives_of_a_power():
    x = Tensor(3.0, requires_grad=True)
    value, values = x * x * x * x, []
    for _ in range(5):
        (value,) = compute_gradients(value, [x])
        values.append(value.item())
    assert values == [108, 108, 72, 24, 0]


def test_first_gradients_are_those_of_backprop():
    leaves = [
        Tensor(array, requires_grad=True) for array in (np.array([[1.0, 2.0], [3.0, 0.5]]), np.array([0.3, -0.7]))
    ]
    end = np.maximum(leaves[0] @ leaves[0].T * leaves[1], 1.0).log().sum(dim=1)
    backprop(end)
    for gradient, leaf in zip(compute_gradients(end, leaves), leaves, strict=True):
        np.testing.assert_array_equal(gradient.array, leaf.grad.array)


def test_nothing_is_written_and_what_does_not_matter_gets_zeros():
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([[3.0]], requires_grad=True)
    middle = x * 2
    first, second, third = compute_gradients(middle * middle, [x, middle, y])
    assert (first.array.tolist(), second.array.tolist(), third.array.tolist()) == ([8, 16], [4, 8], [[0]])
    assert [t.grad for t in (x, y, middle)] == [None] * 3


WEIGHTS = np.random.default_rng(0).normal(size=(3, 4))


def test_hessian_vector_products_are_torchs():
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))

    def ours(x):
        return (np.exp(x @ WEIGHTS) / 3.0).sum().log()

    def theirs(x):
        return (torch.exp(x @ torch.tensor(WEIGHTS)) / 3.0).sum().log()

    expected = torch.autograd.functional.hvp(theirs, torch.tensor(x), torch.tensor(v))[1].numpy()
    np.testing.assert_allclose(hessian_vector_product(ours, Tensor(x), Tensor(v)).array, expected, rtol=1e-9)


def test_the_hessian_of_a_cross_entropy_is_torchs():
    logits = np.random.default_rng(3).normal(size=(2, 3))
    labels = np.array([2, 0])
    columns = [
        hessian_vector_product(
            lambda z: cross_entropy(z, Tensor(labels)).sum(), Tensor(logits), Tensor(direction.reshape(2, 3))
        ).array.ravel()
        for direction in np.eye(6)
    ]

    def theirs(z):
        return torch.nn.functional.cross_entropy(z, torch.tensor(labels), reduction="sum")

    expected = torch.autograd.functional.hessian(theirs, torch.tensor(logits)).reshape(6, 6).numpy()
    np.testing.assert_allclose(np.stack(columns, axis=1), expected, atol=1e-12)


def test_a_straight_line_has_no_curvature():
    product = hessian_vector_product(lambda x: (x * 2.0).sum(), Tensor([1.0, 2.0]), Tensor([1.0, 1.0]))
    assert product.array.tolist() == [0, 0]


def test_whole_numbers_have_no_derivative():
    with pytest.raises(DtypeError, match="only a tensor of floats"):
        hessian_vector_product(lambda x: x.sum(), Tensor([1, 2]), Tensor([1.0, 1.0]))


def test_inside_no_grad_gradients_remember_nothing():
    x = Tensor(3.0, requires_grad=True)
    y = x * x
    with no_grad():
        (slope,) = compute_gradients(y, [x])
    assert (slope.item(), slope.recipe) == (6, None)
