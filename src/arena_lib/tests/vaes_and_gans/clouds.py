"""Judges of draws with gradients, and of the distance from the standard normal distribution."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import gaussians
from arena_lib.tests.vaes_and_gans.watching import draw

__test__ = False

N_DRAWS = 20_000
"""Rows of the cases that look at statistics: a mean of so many varies by 0.007."""


def draw_cases(generator: torch.Generator) -> list[Case]:
    """Every row alike, rows that differ, small and large deviations, float64."""

    def case(label: str, mu: Tensor, logsigma: Tensor) -> Case:
        return Case(label=label, args=(mu, logsigma), call="mu, logsigma, generator")

    ones = torch.ones(N_DRAWS, 1)
    spread = draw(generator, N_DRAWS, 3)
    return [
        case("every row alike", ones * torch.tensor([2.0, -1.0, 0.5]), ones * torch.tensor([-0.7, 0.4, 1.2])),
        case("rows that differ", 2 * spread, 0.5 * draw(generator, N_DRAWS, 3) - 0.5),
        case("float64", 3 * draw(generator, N_DRAWS, 2).double(), torch.full((N_DRAWS, 2), -1.5).double()),
    ]


def draws_seen(function: Any, case: Case) -> Observations:
    """What the noise is like, once mu and exp(logsigma) are taken away; what two calls share; which gradients arrive."""
    mu, logsigma = (value.clone().requires_grad_() for value in case.args)
    generators = [torch.Generator().manual_seed(5) for _ in "ab"]
    torch.manual_seed(6)
    before = torch.get_rng_state()
    z, again = (function(mu, logsigma, generator) for generator in generators)
    anew = function(mu, logsigma, generators[0])
    untouched = torch.equal(before, torch.get_rng_state())
    without = [function(mu, logsigma) for _ in "ab"]
    seen: Observations = {
        "dtype": z.dtype,
        "shape": tuple(z.shape),
        "equal generators give equal draws": torch.equal(z, again),
        "a second call draws anew": not torch.equal(z, anew),
        "global random state untouched where a generator is given": untouched,
        "without a generator each call draws anew": not torch.equal(*without),
        "result has a gradient": z.requires_grad,
    }
    if z.shape != mu.shape:
        return seen
    noise = ((z - mu) * torch.exp(-logsigma)).detach()
    # In units of the deviation where that is large, so that two runs with other draws show one mistake alike.
    seen["mean of the noise in each dimension"] = (noise.mean(dim=0) / noise.std(dim=0).clamp(min=1)).clamp(-9, 9)
    seen["deviation of the noise in each dimension"] = noise.std(dim=0).clamp(max=3)
    centred = noise - noise.mean(dim=0)
    sizes = centred.norm(dim=0) + 1e-9
    seen["correlation of the first two dimensions"] = float(
        (centred[:, 0] * centred[:, 1]).sum() / (sizes[0] * sizes[1])
    )
    seen["share of noise within one deviation"] = float((noise.abs() < 1).double().mean())
    if z.requires_grad:
        slopes = torch.autograd.grad(z.sum(), (mu, logsigma), allow_unused=True)
        expected = (torch.ones_like(mu), (z - mu).detach())
        for name, slope, right in zip(("mu", "logsigma"), slopes, expected, strict=True):
            is_right = slope is not None and torch.allclose(slope, right, rtol=1e-3, atol=1e-4)
            seen[f"gradient of {name} is right"] = is_right
    return seen


def draws_by_normal(mu: Tensor, logsigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The noise by torch.normal, a dimension after another."""
    noise = torch.normal(0.0, 1.0, (mu.shape[1], mu.shape[0]), generator=generator).T.to(mu.dtype)
    return logsigma.exp().mul(noise).add(mu)


def draws_by_filling(mu: Tensor, logsigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The noise filled into an empty tensor, with the sign turned."""
    return mu - logsigma.exp() * torch.empty_like(mu).normal_(generator=generator)


def draws_of_one_seed(mu: Tensor, logsigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The same noise in every call."""
    fixed = torch.Generator().manual_seed(0)
    return mu + logsigma.exp() * torch.randn(mu.shape, generator=fixed, dtype=mu.dtype)


def draws_without_gradient(mu: Tensor, logsigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """By torch.normal with tensors, which no gradient passes."""
    return torch.normal(mu, logsigma.exp(), generator=generator).detach()


CLOSE = Tolerance(rtol=0.0, atol=0.06)

test_reparameterise = exercise(
    reference=gaussians.reparameterise,
    cases=draw_cases,
    observe=draws_seen,
    tolerance={
        "mean of the noise in each dimension": CLOSE,
        "deviation of the noise in each dimension": CLOSE,
        "correlation of the first two dimensions": CLOSE,
        "share of noise within one deviation": Tolerance(rtol=0.0, atol=0.03),
    },
    accepts=[draws_by_normal, draws_by_filling],
    mistakes=[
        *instead_of(
            "torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)",
            {
                "torch.randn(len(mu), 1, generator=generator, dtype=mu.dtype, device=mu.device)": (
                    "draws one number for all dimensions of an example",
                    "each dimension has noise of its own: draw as many numbers as mu has",
                ),
                "torch.randn(1, mu.shape[1], generator=generator, dtype=mu.dtype, device=mu.device)": (
                    "draws one number for all examples",
                    "each example has noise of its own: draw as many numbers as mu has",
                ),
                "torch.randn(1, generator=generator, dtype=mu.dtype, device=mu.device)": (
                    "draws a single number for everything",
                    "each example and each dimension has noise of its own",
                ),
                "torch.rand(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)": (
                    "draws from 0 to 1",
                    "the noise is normal, with mean 0: torch.randn, not torch.rand",
                ),
                "(2 * torch.rand(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device) - 1)": (
                    "draws from -1 to 1",
                    "the noise is normal, with deviation 1: torch.randn, not torch.rand",
                ),
                "torch.randn(mu.shape, dtype=mu.dtype, device=mu.device)": (
                    "ignores the generator",
                    "the noise is drawn from the generator that was given",
                ),
            },
        ),
        *instead_of(
            "torch.exp(logsigma) * noise",
            {
                "logsigma * noise": ("takes logsigma for sigma", "sigma is exp(logsigma)"),
                "torch.exp(logsigma / 2) * noise": (
                    "takes logsigma for the logarithm of the variance",
                    "logsigma is the logarithm of the deviation: exp(logsigma), without a half",
                ),
                "torch.exp(2 * logsigma) * noise": (
                    "multiplies by the variance",
                    "the noise is multiplied by the deviation, exp(logsigma)",
                ),
                "torch.exp(logsigma).detach() * noise": (
                    "lets no gradient through to logsigma",
                    "the width of a cloud is learned, too: no detach",
                ),
                "0.0 * noise": ("gives the mean alone", "z is mu and exp(logsigma) times noise"),
                "torch.exp(logsigma)": ("adds no noise", "exp(logsigma) is multiplied by the noise"),
            },
        ),
        Mistake(
            "draws the same noise in every call",
            function=draws_of_one_seed,
            why="a second call draws anew: no seed is set inside",
        ),
        Mistake(
            "lets no gradient through",
            function=draws_without_gradient,
            why="write the draw as mu + exp(logsigma) * noise, so that gradients pass it",
        ),
    ],
    equivalent={
        "return mu + torch.exp(logsigma) * noise -> return mu - torch.exp(logsigma) * noise": (
            "noise is as likely as its opposite"
        ),
        "torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device) -> "
        "torch.randn(mu.shape, generator=generator, device=mu.device)": "the sum has the dtype of mu all the same",
    },
)


def latent_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, the standard normal itself, narrow and wide clouds."""
    axes = {"output": "batch"}

    def case(label: str, mu: Tensor, logsigma: Tensor) -> Case:
        return Case(label=label, args=(mu, logsigma), axes=axes, call="mu, logsigma")

    return [
        case("four examples", draw(generator, 4, 3), 0.7 * draw(generator, 4, 3)),
        case("one example, one dimension", draw(generator, 1, 1), draw(generator, 1, 1)),
        case("the standard normal itself", torch.zeros(2, 5), torch.zeros(2, 5)),
        case("narrow clouds", draw(generator, 3, 2), torch.full((3, 2), -4.0)),
        case("float64", draw(generator, 2, 6).double(), draw(generator, 2, 6).double()),
    ]


def kl_by_torch(mu: Tensor, logsigma: Tensor) -> Tensor:
    """By torch.distributions."""
    standard = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return kl_divergence(Normal(mu, logsigma.exp()), standard).sum(-1)


def kl_by_variance(mu: Tensor, logsigma: Tensor) -> Tensor:
    """The usual formula of the variance."""
    logvar = 2 * logsigma
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1)


KL_ADVICE = "each dimension has (sigma^2 + mu^2 - 1) / 2 - logsigma nats"

test_kl_to_standard_normal = exercise(
    reference=gaussians.kl_to_standard_normal,
    cases=latent_cases,
    observe=outputs_and_gradients,
    accepts=[kl_by_torch, kl_by_variance],
    mistakes=[
        *instead_of(
            "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=1)",
            {
                "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).mean(dim=1)": (
                    "takes the mean over dimensions",
                    "the nats of an example's dimensions are added up",
                ),
                "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=0)": (
                    "adds up over the batch",
                    "there's one number for each example: the sum is over dimensions",
                ),
                "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum()": (
                    "adds up everything",
                    "there's one number for each example",
                ),
                "-((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=1)": (
                    "has the sign wrong",
                    "a KL divergence is never negative",
                ),
                "(torch.exp(2 * logsigma) + mu**2 - 1 - 2 * logsigma).sum(dim=1)": ("forgets the half", KL_ADVICE),
                "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 + logsigma).sum(dim=1)": (
                    "adds logsigma",
                    "a narrow cloud is far away: logsigma is subtracted",
                ),
                "((torch.exp(2 * logsigma) + mu**2 - 1) / 2 - 2 * logsigma).sum(dim=1)": (
                    "subtracts logsigma twice",
                    KL_ADVICE,
                ),
                "((torch.exp(logsigma) + mu**2 - 1) / 2 - logsigma).sum(dim=1)": (
                    "forgets to square sigma",
                    "sigma^2 is exp(2 logsigma)",
                ),
                "((torch.exp(logsigma) + mu**2 - 1 - logsigma) / 2).sum(dim=1)": (
                    "takes logsigma for the logarithm of the variance",
                    "logsigma is the logarithm of the deviation",
                ),
                "((torch.exp(2 * logsigma) + mu - 1) / 2 - logsigma).sum(dim=1)": (
                    "forgets to square mu",
                    KL_ADVICE,
                ),
                "((torch.exp(2 * logsigma) + mu**2) / 2 - 1 - logsigma).sum(dim=1)": (
                    "doesn't halve the 1",
                    KL_ADVICE,
                ),
                "((1 + mu**2) * torch.exp(-2 * logsigma) / 2 - 0.5 + logsigma).sum(dim=1)": (
                    "takes the divergence the other way round",
                    "it's from N(mu, sigma^2) to N(0, 1): what is drawn from comes first",
                ),
                "((torch.exp(2 * logsigma) + mu**2) / 2 - logsigma).sum(dim=1)": (
                    "isn't 0 for the standard normal itself",
                    "a distribution's divergence from itself is 0: 1 is subtracted",
                ),
            },
        ),
    ],
)
