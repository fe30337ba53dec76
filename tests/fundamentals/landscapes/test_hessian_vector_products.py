import pytest
import torch

from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    compute_gradient,
    exact_hessian,
    flatten_parameters,
    hessian_vector_product,
    hvp_by_differences,
    make_loss_function,
)


def make_loss(seed, activation="tanh"):
    generator = torch.Generator().manual_seed(seed)
    d_in, d_hidden, n_classes = (int(n) for n in torch.randint(2, 6, (3,), generator=generator))
    model = TwoLayers(d_in, d_hidden, n_classes, activation, seed=seed)
    x = torch.randn(7, d_in, generator=generator, dtype=torch.float64)
    y = torch.randint(0, n_classes, (7,), generator=generator)
    return make_loss_function(model, x, y, torch.nn.functional.cross_entropy), flatten_parameters(model), generator


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_products_and_the_whole_matrix_are_torchs(seed, activation):
    loss_fn, theta, generator = make_loss(seed, activation)
    expected = torch.func.hessian(loss_fn)(theta)
    v = torch.randn(len(theta), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(hessian_vector_product(loss_fn, theta, v), expected @ v)
    torch.testing.assert_close(exact_hessian(loss_fn, theta), expected)
    torch.testing.assert_close(compute_gradient(loss_fn, theta), torch.func.grad(loss_fn)(theta))


def test_differences_come_near_the_exact_product_and_nearer_with_smaller_steps():
    loss_fn, theta, generator = make_loss(0)
    v = torch.randn(len(theta), generator=generator, dtype=torch.float64)
    exact = hessian_vector_product(loss_fn, theta, v)
    errors = [(hvp_by_differences(loss_fn, theta, v, eps) - exact).norm().item() for eps in (1e-1, 1e-2, 1e-3)]
    assert 50 < errors[0] / errors[1] < 200, "the error is of order eps squared"
    assert 50 < errors[1] / errors[2] < 200


def test_nothing_is_left_on_theta_and_the_global_generator_stays():
    loss_fn, theta, _ = make_loss(1)
    theta.requires_grad_(True)
    state = torch.get_rng_state()
    product = hessian_vector_product(loss_fn, theta, torch.ones_like(theta))
    assert theta.grad is None
    assert not product.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_a_straight_line_and_parameters_that_do_not_matter_have_no_curvature():
    theta = torch.tensor([1.0, 2.0])
    assert hessian_vector_product(lambda t: 3 * t.sum(), theta, theta).tolist() == [0, 0]
    assert hessian_vector_product(lambda t: t[0] ** 3, theta, theta).tolist() == [6, 0]
