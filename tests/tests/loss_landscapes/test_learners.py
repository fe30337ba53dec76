"""What learners write in other styles passes, and what they read of typical failures."""

import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.errors import CheckFailed
from arena_lib.tests import loss_landscapes as tests


def product_in_one_go(loss_fn, theta, v):
    return torch.autograd.functional.vhp(loss_fn, theta.detach(), v.detach())[1]


def product_without_create_graph(loss_fn, theta, v):
    point = theta.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_fn(point), point)
    return torch.autograd.grad(gradient @ v, point)[0]


def product_on_the_learners_theta(loss_fn, theta, v):
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(theta)
    return torch.autograd.grad(gradient @ v.detach(), theta)[0]


def power_that_normalises_first(matvec, start, n_steps):
    v = start
    for _ in range(n_steps):
        v = v / v.norm()
        w = matvec(v)
        if not w.any():
            return 0.0, v
        v = w
    v = v / v.norm()
    return torch.dot(v, matvec(v)).item(), v


def gradient_by_vmap(output_fn, theta):
    return torch.func.jacfwd(lambda place: output_fn(place).flatten())(theta.detach())


def flat_in_a_list(model):
    return torch.tensor([number for parameter in model.parameters() for number in parameter.flatten().tolist()]).to(
        next(model.parameters()).dtype
    )


@pytest.mark.parametrize(
    ("judge", "solution"),
    [
        ("test_hessian_vector_product", product_in_one_go),
        ("test_power_iteration", power_that_normalises_first),
        ("test_behavioural_gradient", gradient_by_vmap),
        (
            "test_outputs_at",
            lambda model, theta, inputs: torch.func.functional_call(model, _parts(model, theta), (inputs,)),
        ),
    ],
)
def test_other_styles_pass(judge, solution):
    assert run(getattr(tests, judge), solution).status == "passed"


def _parts(model, theta):
    names, sizes = zip(*((name, p.numel()) for name, p in model.named_parameters()), strict=True)
    parts = torch.split(theta, sizes)
    return {name: part.reshape(model.get_parameter(name).shape) for name, part in zip(names, parts, strict=True)}


def test_a_forgotten_create_graph_stops_with_torchs_own_words():
    with pytest.raises(RuntimeError, match="does not require grad"):
        tests.test_hessian_vector_product(product_without_create_graph)


def test_a_theta_that_is_made_to_want_gradients_is_named():
    with pytest.raises(CheckFailed, match="require a gradient afterwards"):
        tests.test_hessian_vector_product(product_on_the_learners_theta)


def test_a_model_that_is_written_into_is_seen():
    def copy_in(model, theta, inputs):
        nn.utils.vector_to_parameters(theta.detach(), model.parameters())
        return model(inputs)

    with pytest.raises(CheckFailed, match="writes theta into the model"):
        tests.test_outputs_at(copy_in)


def test_a_lanczos_that_never_re_orthogonalises_fails():
    def careless(matvec, start, n_steps, *, is_reorthogonalised=True):
        from arena_lib.fundamentals.landscapes import lanczos

        return lanczos(matvec, start, n_steps, is_reorthogonalised=False)

    with pytest.raises(CheckFailed, match="orthonormal"):
        tests.test_lanczos(careless)


def test_a_measure_that_ignores_one_side_is_named():
    def one_side(loss_fn, theta, v):
        from arena_lib.fundamentals.landscapes import hessian_vector_product

        return theta.detach().abs() * hessian_vector_product(loss_fn, theta, v)

    with pytest.raises(CheckFailed, match="one side alone"):
        tests.test_scale_free_product(one_side)
