import pytest
import torch
from torch.nn.functional import cross_entropy

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    behavioural_gradient,
    exact_hessian,
    flatten_parameters,
    gauss_newton_matrix,
    gauss_newton_product,
    outputs_at,
    softmax_hessians,
    train_to_loss,
)


def make(seed):
    model = TwoLayers(3, 4, 3, "tanh", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    return model, x, torch.randint(0, 3, (6,), generator=generator)


@pytest.mark.parametrize("label", [0, 2])
def test_softmax_hessians_are_those_of_the_cross_entropy_whatever_the_label(label):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for row, matrix in zip(logits, softmax_hessians(logits), strict=True):
        expected = torch.func.hessian(lambda z: cross_entropy(z[None], torch.tensor([label])))(row)
        torch.testing.assert_close(matrix, expected)
        assert matrix.sum(dim=0).abs().max() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_products_are_those_of_the_matrix_which_has_no_negative_eigenvalues(seed):
    model, x, _ = make(seed)
    theta = flatten_parameters(model)

    def output_fn(place):
        return outputs_at(model, place, x)

    matrix = gauss_newton_matrix(behavioural_gradient(output_fn, theta), output_fn(theta))
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(gauss_newton_product(output_fn, theta, v), matrix @ v)
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12


def test_a_linear_model_has_no_other_curvature():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = torch.tensor([0, 1, 1, 0, 1])
    theta = torch.randn(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def output_fn(place):
        return x @ place.reshape(3, 2)

    matrix = gauss_newton_matrix(behavioural_gradient(output_fn, theta), output_fn(theta))
    torch.testing.assert_close(matrix, exact_hessian(lambda place: cross_entropy(output_fn(place), y), theta))


def test_the_rest_of_the_hessian_fades_as_examples_are_learned():
    model, x, y = make(4)
    rests = []
    for goal in (1.0, 0.1, 0.001):
        train_to_loss(model, x, y, goal)
        theta = flatten_parameters(model)

        def output_fn(place):
            return outputs_at(model, place, x)

        hessian = exact_hessian(lambda place: cross_entropy(output_fn(place), y), theta)
        matrix = gauss_newton_matrix(behavioural_gradient(output_fn, theta), output_fn(theta))
        rests.append(((hessian - matrix).norm() / hessian.norm()).item())
    assert rests[0] > rests[1] > rests[2]
    assert rests[2] < rests[0] / 2


def test_gradients_of_other_inputs_and_logits_without_examples_are_refused():
    with pytest.raises(ShapeError, match="a row for each of the 6 logits: got 4"):
        gauss_newton_matrix(torch.ones(4, 2), torch.ones(2, 3))
    with pytest.raises(ShapeError, match=r'"batch classes": got \(3,\)'):
        gauss_newton_product(lambda theta: theta, torch.ones(3), torch.ones(3))
