import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative import gaussians

SIZES = st.integers(1, 6)


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES)
def test_kl_is_that_of_torch_distributions(batch, d_latent):
    mu, logsigma = draw(batch, d_latent), draw(batch, d_latent)
    standard = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    expected = kl_divergence(Normal(mu, logsigma.exp()), standard).sum(-1)
    torch.testing.assert_close(gaussians.kl_to_standard_normal(mu, logsigma), expected)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, st.floats(0.05, 5))
def test_log_likelihood_is_that_of_torch_distributions(batch, n_pixels, noise):
    x, recon = draw(batch, n_pixels, 2), draw(batch, n_pixels, 2)
    expected = Normal(recon, noise).log_prob(x).sum(dim=(1, 2))
    torch.testing.assert_close(gaussians.log_likelihood(x, recon, noise), expected)


def test_the_elbo_is_at_most_the_log_density_and_reaches_it_for_the_true_posterior():
    """For x = z + noise with one latent all is normal, so that both sides are known."""
    noise, x = 0.5, torch.tensor([[1.3]], dtype=torch.float64)
    evidence = Normal(0.0, (1 + noise**2) ** 0.5).log_prob(x).item()
    variance = noise**2 / (1 + noise**2)
    for mean, deviation, is_true in ((x / (1 + noise**2), variance**0.5, True), (x, 0.3, False)):
        n = 200_000
        mu = mean.expand(n, 1)
        logsigma = torch.full_like(mu, deviation).log()
        z = gaussians.reparameterise(mu, logsigma, torch.Generator().manual_seed(0))
        elbo = gaussians.compute_elbo(x.expand(n, 1), z, mu, logsigma, noise).mean().item()
        assert elbo == pytest.approx(evidence, abs=0.01) if is_true else elbo < evidence - 0.1


def test_a_draw_has_the_gradients_of_its_formula():
    mu, logsigma = draw(4, 3).requires_grad_(), draw(4, 3).requires_grad_()
    z = gaussians.reparameterise(mu, logsigma)
    slopes = torch.autograd.grad(z.sum(), (mu, logsigma))
    torch.testing.assert_close(slopes, (torch.ones_like(mu), (z - mu).detach()))


@pytest.mark.usefixtures("without_types")
def test_what_cannot_work_is_refused_in_words():
    with pytest.raises(ShapeError, match="mu and logsigma must have one shape, with the batch first"):
        gaussians.kl_to_standard_normal(draw(3), draw(3))
    with pytest.raises(ShapeError, match="x and recon must have one shape"):
        gaussians.log_likelihood(draw(2, 3), draw(2, 4), 0.1)
    with pytest.raises(ConfigError, match="noise must be a number above 0: got 0"):
        gaussians.log_likelihood(draw(2, 3), draw(2, 3), 0)
