"""Judges of the density of a picture, of the ELBO, and of walks between latents."""

import torch
from torch import Tensor
from torch.distributions import Normal

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.fundamentals.generative import gaussians, vae
from arena_lib.tests.vaes_and_gans.clouds import kl_by_torch
from arena_lib.tests.vaes_and_gans.watching import draw

__test__ = False


def likelihood_cases(generator: torch.Generator) -> list[Case]:
    """Pictures and rows, several deviations."""
    sizes = [
        ("pictures", (3, 1, 4, 5), 0.2),
        ("rows", (2, 7), 1.0),
        ("one pixel", (1, 1), 0.5),
        ("noisy", (4, 2, 3), 3.0),
    ]
    return [
        Case(
            label=label,
            args=(draw(generator, *shape), draw(generator, *shape), noise),
            axes={"output": "batch"},
            call=f"x, recon, noise={noise}",
        )
        for label, shape, noise in sizes
    ]


def likelihood_by_torch(x: Tensor, recon: Tensor, noise: float) -> Tensor:
    """By torch.distributions."""
    return Normal(recon, noise).log_prob(x).reshape(len(x), -1).sum(-1)


def likelihood_by_counting(x: Tensor, recon: Tensor, noise: float) -> Tensor:
    """The constant once for all pixels."""
    squares = (recon - x).square().flatten(1)
    constant = squares.shape[1] * torch.log(torch.tensor(2 * torch.pi * noise**2)) / 2
    return -squares.sum(1) / (2 * noise**2) - constant


test_log_likelihood = exercise(
    reference=gaussians.log_likelihood,
    cases=likelihood_cases,
    observe=outputs_and_gradients,
    accepts=[likelihood_by_torch, likelihood_by_counting],
    mistakes=[
        *instead_of(
            "-((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2) / 2",
            {
                "((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2) / 2": (
                    "has the sign of the squares wrong",
                    "what is far from recon is less likely",
                ),
                "-((x - recon) ** 2) / noise**2 - math.log(2 * math.pi * noise**2) / 2": (
                    "forgets the 2 below the squares",
                    "the squares are divided by 2 noise^2",
                ),
                "-((x - recon) ** 2) / (2 * noise) - math.log(2 * math.pi * noise**2) / 2": (
                    "forgets to square the noise",
                    "the squares are divided by 2 noise^2",
                ),
                "-((x - recon) ** 2) / (2 * noise**2)": (
                    "leaves out the constant",
                    "a density adds up to 1 over all x: that's what log(2 pi noise^2) / 2 is for",
                ),
                "-((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2)": (
                    "forgets the half of the constant",
                    "the constant is log(2 pi noise^2) / 2",
                ),
                "-((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi) / 2": (
                    "forgets the noise in the constant",
                    "the constant is log(2 pi noise^2) / 2",
                ),
            },
        ),
        *instead_of(
            "-((x - recon) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2) / 2",
            {
                "-((x - recon) ** 2) / (2 * noise) - math.log(2 * math.pi * noise) / 2": (
                    "takes noise for the variance",
                    "noise is the deviation: its square is the variance",
                ),
                "-((x - recon) ** 2) / (2 * noise**2) + math.log(2 * math.pi * noise**2) / 2": (
                    "adds the constant",
                    "log(2 pi noise^2) / 2 is subtracted",
                ),
            },
        ),
        Mistake(
            "subtracts the constant once for each example",
            "nats.flatten(1).sum(dim=1)",
            "(nats + math.log(2 * math.pi * noise**2) / 2).flatten(1).sum(dim=1) - math.log(2 * math.pi * noise**2) / 2",
            why="every pixel has the constant: as many times as there are pixels",
        ),
        *instead_of(
            ".sum(dim=1)",
            {
                ".mean(dim=1)": ("takes the mean over pixels", "the nats of all pixels are added up"),
                ".sum()": ("adds up over the batch too", "there's one number for each example"),
            },
        ),
    ],
)


def elbo_cases(generator: torch.Generator) -> list[Case]:
    """Pictures with latents of several sizes; the noise given and left out."""

    def case(label: str, shape: tuple[int, ...], d_latent: int, *noise: float) -> Case:
        pictures = [draw(generator, *shape) for _ in "xr"]
        latents = [0.7 * draw(generator, shape[0], d_latent) for _ in "ml"]
        named = "".join(f", noise={value}" for value in noise)
        return Case(
            label=label,
            args=(*pictures, *latents, *noise),
            axes={"output": "batch"},
            call=f"x, recon, mu, logsigma{named}",
        )

    return [
        case("pictures", (3, 1, 4, 5), 2, 0.5),
        case("little noise", (2, 1, 3, 3), 4, 0.1),
        case("one example", (1, 6), 3, 1.5),
        case("noise left out", (4, 1, 2, 3), 5),
    ]


def elbo_by_torch(x: Tensor, recon: Tensor, mu: Tensor, logsigma: Tensor, noise: float = 0.2) -> Tensor:
    """Both parts by torch.distributions."""
    return likelihood_by_torch(x, recon, noise) - kl_by_torch(mu, logsigma)


test_compute_elbo = exercise(
    reference=gaussians.compute_elbo,
    cases=elbo_cases,
    observe=outputs_and_gradients,
    accepts=[elbo_by_torch],
    mistakes=[
        *instead_of(
            "log_likelihood(x, recon, noise) - kl_to_standard_normal(mu, logsigma)",
            {
                "log_likelihood(x, recon, noise) + kl_to_standard_normal(mu, logsigma)": (
                    "adds the KL divergence",
                    "what the latents cost is subtracted",
                ),
                "kl_to_standard_normal(mu, logsigma) - log_likelihood(x, recon, noise)": (
                    "gives minus the ELBO",
                    "larger is better: the loss, not the ELBO, has a minus",
                ),
                "log_likelihood(x, recon, noise)": (
                    "leaves out the KL divergence",
                    "what the latents cost is subtracted",
                ),
                "(log_likelihood(x, recon, noise) - kl_to_standard_normal(mu, logsigma)).mean()": (
                    "takes the mean over the batch",
                    "there's one number for each example",
                ),
                "log_likelihood(x, recon, 0.2) - kl_to_standard_normal(mu, logsigma)": (
                    "ignores noise",
                    "noise says how far pixels may be off, and isn't always 0.2",
                ),
                "log_likelihood(x, recon, noise) - 0.1 * kl_to_standard_normal(mu, logsigma)": (
                    "weighs the KL divergence by 0.1",
                    "both parts are nats, and count alike",
                ),
                "log_likelihood(x, recon, noise) - kl_to_standard_normal(logsigma, mu)": (
                    "swaps mu and logsigma",
                    "kl_to_standard_normal takes mu first",
                ),
                "log_likelihood(recon.detach(), x, noise) - kl_to_standard_normal(mu, logsigma)": (
                    "lets no gradient through to the decoder",
                    "the decoder learns from the first part",
                ),
            },
        ),
    ],
    equivalent={
        "log_likelihood(x, recon, noise) -> log_likelihood(recon, x, noise)": (
            "the squared error of two pictures is the same either way round"
        )
    },
)


def walk_cases(generator: torch.Generator) -> list[Case]:
    """Short and long walks."""
    exact = tuple(draw(generator, 4, dtype=torch.float64) for _ in "se")
    return [
        Case(label="float64", args=(*exact, 4), axes={"output": "n_steps d_latent"}, call="start, end, 4"),
        *_walks(generator),
    ]


def _walks(generator: torch.Generator) -> list[Case]:
    return [
        Case(
            label=label,
            args=(draw(generator, d_latent), draw(generator, d_latent), n_steps),
            axes={"output": "n_steps d_latent"},
            call=f"start, end, {n_steps}",
        )
        for label, d_latent, n_steps in [
            ("seven places", 5, 7),
            ("the two ends alone", 3, 2),
            ("one latent", 1, 4),
        ]
    ]


def walk_by_lerp(start: Tensor, end: Tensor, n_steps: int) -> Tensor:
    """Place by place."""
    return torch.stack([torch.lerp(start, end, i / (n_steps - 1)) for i in range(n_steps)])


test_interpolate = exercise(
    reference=vae.interpolate,
    cases=walk_cases,
    observe=outputs_and_gradients,
    accepts=[walk_by_lerp],
    mistakes=[
        Mistake(
            "walks backwards",
            "(1 - share) * start + share * end",
            "share * start + (1 - share) * end",
            why="the first row is start, the last one end",
        ),
        *instead_of(
            "torch.linspace(0, 1, n_steps, dtype=start.dtype, device=start.device)[:, None]",
            {
                "torch.arange(n_steps, dtype=start.dtype, device=start.device)[:, None] / n_steps": (
                    "stops before the end",
                    "the last row is end: the steps are 1 / (n_steps - 1) wide",
                ),
                "torch.linspace(0, 1, n_steps + 2, dtype=start.dtype, device=start.device)[1:-1, None]": (
                    "leaves out start and end",
                    "both ends are rows of the result",
                ),
                "torch.linspace(0, 1, n_steps + 1, dtype=start.dtype, device=start.device)[:, None]": (
                    "counts the steps in place of the places",
                    "n_steps is the number of rows",
                ),
            },
        ),
    ],
)
