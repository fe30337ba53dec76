import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes import estimate_density, smooth

GRID = torch.linspace(-4, 8, 601, dtype=torch.float64)
DIAGONAL = torch.cat([torch.linspace(-1, 1, 80), torch.tensor([5.0, 6.0])]).double()


def test_smoothed_weights_keep_their_area_and_the_bell_is_scipys():
    norm = pytest.importorskip("scipy.stats").norm
    density = smooth(torch.tensor([0.0, 3.0]).double(), torch.tensor([0.25, 0.75]).double(), GRID, 0.3)
    assert torch.trapezoid(density, GRID).item() == pytest.approx(1, abs=1e-6)
    expected = 0.25 * norm.pdf(GRID.numpy(), 0, 0.3) + 0.75 * norm.pdf(GRID.numpy(), 3, 0.3)
    torch.testing.assert_close(density, torch.as_tensor(expected))


def test_the_estimate_comes_near_the_exact_density():
    exact = smooth(DIAGONAL, torch.full_like(DIAGONAL, 1 / 82), GRID, 0.3)
    generator = torch.Generator().manual_seed(0)
    estimate = estimate_density(lambda v: DIAGONAL * v, 82, GRID, 0.3, n_steps=30, n_starts=40, generator=generator)
    assert torch.trapezoid(estimate, GRID).item() == pytest.approx(1, abs=1e-6)
    assert torch.trapezoid((estimate - exact).abs(), GRID).item() < 0.1


def test_no_starts_and_no_width_are_refused():
    with pytest.raises(ConfigError, match="width must be finite and above 0: got 0"):
        smooth(GRID, GRID, GRID, 0.0)
    with pytest.raises(ConfigError, match="n_starts must be at least 1: got 0"):
        estimate_density(lambda v: v, 3, GRID, 0.1, 2, 0, torch.Generator())
