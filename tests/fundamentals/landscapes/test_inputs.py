import pytest
import torch

from arena_lib.errors import ConfigError, DtypeError, ShapeError, TrainingError
from arena_lib.fundamentals.landscapes import (
    behavioural_gradient,
    compute_gradient,
    exact_hessian,
    hessian_vector_product,
    hvp_by_differences,
    top_eigenpairs,
)

pytestmark = pytest.mark.usefixtures("without_types")
THETA = torch.tensor([1.0, 2.0, 3.0])


def square(theta):
    return (theta**2).sum()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compute_gradient(lambda t: t**2, THETA), ShapeError, r"one number.*got shape \(3,\).*mean"),
        (lambda: compute_gradient(lambda t: t.sum() / 0, THETA), TrainingError, "finite: got inf"),
        (lambda: hessian_vector_product(lambda t: (t - 5).log().sum(), THETA, THETA), TrainingError, "finite: got nan"),
        (lambda: exact_hessian(square, torch.tensor([1, 2])), DtypeError, "float32 or float64: got torch.int64"),
        (lambda: exact_hessian(square, THETA.half()), DtypeError, "got torch.float16"),
        (lambda: exact_hessian(square, THETA[None]), ShapeError, r"one vector.*got shape \(1, 3\)"),
        (
            lambda: hessian_vector_product(square, THETA, THETA[:2]),
            ShapeError,
            r"v must have one entry.*got shape \(2,\)",
        ),
        (
            lambda: hessian_vector_product(square, THETA, THETA.double()),
            DtypeError,
            "dtype of theta, torch.float32: got",
        ),
        (lambda: compute_gradient(lambda t: square(t.detach()), THETA), ConfigError, "calculated from theta"),
        (
            lambda: behavioural_gradient(lambda t: t.detach(), THETA),
            ConfigError,
            "outputs must be calculated from theta",
        ),
        (lambda: hvp_by_differences(square, THETA, THETA, 0.0), ConfigError, "eps must be finite and above 0: got 0"),
        (lambda: top_eigenpairs(lambda v: v, THETA, 4), ConfigError, "k must be from 1 to .* 3: got 4"),
        (
            lambda: top_eigenpairs(lambda v: v, THETA, 1, n_steps=4),
            ConfigError,
            "n_steps must be from 1 to .* 3: got 4",
        ),
        (lambda: top_eigenpairs(lambda v: v, THETA, 2, n_steps=1), ConfigError, "k must be from 1 to"),
        (lambda: top_eigenpairs(lambda v: v, THETA * 0, 1), ConfigError, "not all zeros"),
        (lambda: top_eigenpairs(lambda v: v, THETA / 0, 1), ConfigError, "finite"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


class Once(torch.autograd.Function):
    """A square that can be differentiated once."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x


def test_a_loss_that_can_be_differentiated_once_is_refused_and_differences_still_work():
    for loss_fn in (Once.apply, lambda theta: Once.apply(theta**2)):
        with pytest.raises(ConfigError, match=r"differentiable twice.*hvp_by_differences"):
            hessian_vector_product(loss_fn, THETA, THETA)
    torch.testing.assert_close(hvp_by_differences(Once.apply, THETA.double(), THETA.double()), 2 * THETA.double())


def test_inside_no_grad_measurements_work():
    with torch.no_grad():
        torch.testing.assert_close(hessian_vector_product(square, THETA, THETA), 2 * THETA)
        torch.testing.assert_close(behavioural_gradient(lambda t: t**2, THETA), torch.diag(2 * THETA))
