import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers import moving_average


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.99])
def test_a_corrected_average_is_the_weighted_mean_of_all_values_so_far(beta):
    values = torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    averages = moving_average(values, beta)
    for n in range(1, 10):
        weights = beta ** torch.arange(n - 1, -1, -1, dtype=torch.float64)
        torch.testing.assert_close(averages[n - 1], (weights * values[:n]).sum() / weights.sum())


def test_the_average_of_equal_values_is_that_value_only_if_it_is_corrected():
    values = torch.full((5,), 3.0)
    torch.testing.assert_close(moving_average(values, 0.9), values)
    assert (moving_average(values, 0.9, corrected=False) < 1.3).all()


def test_a_beta_of_1_is_refused():
    with pytest.raises(ConfigError, match="got 1"):
        moving_average(torch.ones(3), 1.0)
