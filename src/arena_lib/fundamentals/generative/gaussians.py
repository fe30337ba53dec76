"""What a variational autoencoder needs to know of normal distributions: drawing with gradients, KL divergence, ELBO.

Shapes:  mu, logsigma, z "batch d_latent"; x, recon "batch ..."; one number of nats for each example, " batch".
Raises:  ShapeError where shapes differ; ConfigError for a noise that isn't above 0.
Source:  Kingma and Welling 2013, arXiv:1312.6114, sections 2.2 and 2.4, and appendix B for the closed form.
Differs: the deviation comes as its logarithm, not as that of the variance.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError


def reparameterise(
    mu: Float[Tensor, "batch d_latent"],
    logsigma: Float[Tensor, "batch d_latent"],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch d_latent"]:
    """A draw from the normal distribution with mean mu and standard deviation exp(logsigma), as mu + exp(logsigma) * noise.

    The noise has mean 0 and deviation 1. It's drawn anew in each call, for each example and each dimension by itself. So
    gradients flow to mu and to logsigma, though the result is random.

    Args:
        mu: the mean of each entry.
        logsigma: the natural logarithm of each entry's standard deviation, not of the variance.
        generator: where the noise is drawn from; PyTorch's global one if None.

    >>> mu, logsigma = torch.tensor([[3.0, -1.0]]), torch.tensor([[-50.0, -50.0]])
    >>> reparameterise(mu, logsigma)
    tensor([[ 3., -1.]])
    """
    check_same(mu, logsigma, "mu", "logsigma")
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(logsigma) * noise


def kl_to_standard_normal(
    mu: Float[Tensor, "batch d_latent"], logsigma: Float[Tensor, "batch d_latent"]
) -> Float[Tensor, " batch"]:
    """How far the normal distribution of each example is from the standard one, in nats: KL(N(mu, sigma^2) || N(0, 1)).

    Each dimension has (sigma^2 + mu^2 - 1) / 2 - logsigma nats, with sigma = exp(logsigma), and those of an example are
    added up. It's 0 if mu and logsigma are 0, and positive otherwise.

    Gradients flow through it.

    >>> kl_to_standard_normal(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.zeros(2, 2))
    tensor([0.0000, 2.5000])
    """
    check_same(mu, logsigma, "mu", "logsigma")
    return ((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=1)


def log_likelihood(
    x: Float[Tensor, "batch ..."], recon: Float[Tensor, "batch ..."], noise: float
) -> Float[Tensor, " batch"]:
    """The logarithm of the density of x, in nats, if each pixel is normal around that of recon with deviation `noise`.

    A pixel has -(x - recon)^2 / (2 noise^2) - log(2 pi noise^2) / 2 nats; those of an example are added up.

    Gradients flow through it.

    Args:
        x: what was seen.
        recon: what was expected, a mean for each pixel.
        noise: the standard deviation of each pixel, above 0.

    >>> log_likelihood(torch.tensor([[0.5, 1.0]]), torch.tensor([[0.5, 0.0]]), noise=1.0)
    tensor([-2.3379])
    """
    check_same(x, recon, "x", "recon")
    if not noise > 0:
        raise ConfigError(f"noise must be a number above 0: got {noise}. It's the deviation of a pixel, such as 0.2.")
    nats = -((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2) / 2
    return nats.flatten(1).sum(dim=1)


def compute_elbo(
    x: Float[Tensor, "batch ..."],
    recon: Float[Tensor, "batch ..."],
    mu: Float[Tensor, "batch d_latent"],
    logsigma: Float[Tensor, "batch d_latent"],
    noise: float = 0.2,
) -> Float[Tensor, " batch"]:
    """The evidence lower bound of each example, in nats: log_likelihood(x, recon, noise) - kl_to_standard_normal(...).

    On average over the draws that made recon, it's at most the logarithm of the density that the model gives to x. Larger
    is better.

    Gradients flow through it.

    Args:
        x: pictures.
        recon: what the decoder made of a draw from the latent distribution.
        mu: that distribution's mean.
        logsigma: the logarithm of its deviation.
        noise: the deviation of each pixel around recon.

    >>> zeros = torch.zeros(1, 2)
    >>> compute_elbo(torch.tensor([[0.5, 1.0]]), torch.tensor([[0.5, 0.0]]), zeros + 1, zeros, noise=1.0)
    tensor([-3.3379])
    """
    return log_likelihood(x, recon, noise) - kl_to_standard_normal(mu, logsigma)


def check_same(a: Tensor, b: Tensor, name_a: str, name_b: str) -> None:
    """Refuse two tensors whose shapes differ, or that have no batch axis."""
    if a.shape != b.shape or a.ndim < 2:
        raise ShapeError(
            f"{name_a} and {name_b} must have one shape, with the batch first: got {tuple(a.shape)} and {tuple(b.shape)}. "
            "A single example takes a batch axis by [None]."
        )
