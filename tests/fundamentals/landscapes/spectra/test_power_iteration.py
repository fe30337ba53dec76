import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes import power_iteration


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_largest_in_size_is_that_of_eigh(size):
    generator = torch.Generator().manual_seed(size)
    square = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix = square + square.T
    values, vectors = torch.linalg.eigh(matrix)
    largest = int(values.abs().argmax())
    start = torch.randn(size, generator=generator, dtype=torch.float64)
    value, vector = power_iteration(lambda v: matrix @ v, start, 3000)
    assert value == pytest.approx(values[largest].item(), rel=1e-9)
    assert abs((vector @ vectors[:, largest]).item()) == pytest.approx(1, abs=1e-6)


def test_a_matrix_of_zeros_ends_the_walk():
    value, vector = power_iteration(torch.zeros_like, torch.tensor([3.0, 4.0]), 5)
    assert value == 0
    torch.testing.assert_close(vector, torch.tensor([0.6, 0.8]))


def test_no_steps_are_refused():
    with pytest.raises(ConfigError, match="n_steps must be at least 1: got 0"):
        power_iteration(lambda v: v, torch.ones(2), 0)
