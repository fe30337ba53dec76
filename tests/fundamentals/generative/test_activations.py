import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative import activations

PAIRS = [
    (activations.Tanh(), torch.tanh),
    (activations.Sigmoid(), torch.sigmoid),
    (activations.LeakyReLU(), torch.nn.functional.leaky_relu),
    (activations.LeakyReLU(1.5), lambda x: torch.nn.functional.leaky_relu(x, 1.5)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_slopes_are_torchs_and_never_nan(ours, theirs, dtype):
    x = torch.tensor([-1000.0, -88, -50, -3, -0.5, 0, 0.5, 3, 50, 88, 1000], dtype=dtype, requires_grad=True)
    results = [function(x) for function in (ours, theirs)]
    slopes = [torch.autograd.grad(result.sum(), x)[0] for result in results]
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-7)


def test_a_slope_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match=r"must be a finite number, such as 0.2: got nan"):
        activations.LeakyReLU(float("nan"))
