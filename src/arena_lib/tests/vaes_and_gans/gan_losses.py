"""Judges of a GAN's losses."""

import torch
from torch import Tensor
from torch.nn import functional as F

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.fundamentals.generative.gan import training
from arena_lib.tests.vaes_and_gans.watching import draw

__test__ = False


def loss_cases(generator: torch.Generator) -> list[Case]:
    """Two batches of other sizes, sure and unsure logits, numbers of which exp is inf."""
    far = torch.tensor([-200.0, 150.0, -1.0])
    return [
        Case(label="unsure", args=(draw(generator, 5), draw(generator, 3)), call="logits_real, logits_fake"),
        Case(label="one picture each", args=(draw(generator, 1), draw(generator, 1)), call="logits_real, logits_fake"),
        Case(label="sure", args=(8 * draw(generator, 4), 8 * draw(generator, 7)), call="logits_real, logits_fake"),
        Case(label="numbers of which exp is inf", args=(far, -far.flip(0)), call="logits_real, logits_fake"),
        Case(
            label="float64",
            args=(draw(generator, 2).double(), draw(generator, 6).double()),
            call="logits_real, logits_fake",
        ),
    ]


def discriminator_loss_by_bce(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """By PyTorch's binary cross-entropy."""
    real = F.binary_cross_entropy_with_logits(logits_real, torch.ones_like(logits_real))
    return real + F.binary_cross_entropy_with_logits(logits_fake, torch.zeros_like(logits_fake))


def discriminator_loss_by_logsigmoid(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """By logsigmoid."""
    return -(F.logsigmoid(logits_real).mean() + F.logsigmoid(-logits_fake).mean())


test_discriminator_loss = exercise(
    reference=training.discriminator_loss,
    cases=loss_cases,
    observe=outputs_and_gradients,
    accepts=[discriminator_loss_by_bce, discriminator_loss_by_logsigmoid],
    mistakes=[
        *instead_of(
            "F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()",
            {
                "F.softplus(logits_real).mean() + F.softplus(-logits_fake).mean()": (
                    "swaps real and generated",
                    "the discriminator is right if real pictures have high logits and generated ones low",
                ),
                "F.softplus(-logits_real).mean() + F.softplus(-logits_fake).mean()": (
                    "takes generated pictures for real ones",
                    "a generated picture has the loss -log(1 - sigmoid(logit))",
                ),
                "F.softplus(-logits_real).mean()": (
                    "leaves out the generated pictures",
                    "the discriminator learns from both kinds",
                ),
                "(F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2": (
                    "takes the mean of both kinds",
                    "the two means are added up",
                ),
                "F.softplus(-logits_real).sum() + F.softplus(logits_fake).sum()": (
                    "adds up over the batch",
                    "for each kind it's the mean over pictures",
                ),
                "-(torch.log(torch.sigmoid(logits_real)).mean() + torch.log(1 - torch.sigmoid(logits_fake)).mean())": (
                    "gives inf for large logits",
                    "log(sigmoid(-200)) is log(0): use F.softplus or F.logsigmoid",
                ),
                "(F.binary_cross_entropy(torch.sigmoid(logits_real), torch.ones_like(logits_real))"
                " + F.binary_cross_entropy(torch.sigmoid(logits_fake), torch.zeros_like(logits_fake)))": (
                    "cuts the loss of large logits off",
                    "sigmoid rounds to 0 or 1 there: use the logits themselves, in F.softplus or with_logits",
                ),
                "2 * torch.cat([F.softplus(-logits_real), F.softplus(logits_fake)]).mean()": (
                    "lets the larger group count more",
                    "each kind has a mean of its own, and the two are added up",
                ),
                "torch.cat([F.softplus(-logits_real), F.softplus(logits_fake)]).mean()": (
                    "takes one mean over both kinds",
                    "each kind has a mean of its own, and the two are added up",
                ),
                "-(torch.log(torch.sigmoid(logits_real) + 1e-8).mean() + torch.log(1 - torch.sigmoid(logits_fake) + 1e-8).mean())": (
                    "adds a small number in the logarithm",
                    "the loss of a large logit would be 18 and flat: F.softplus needs no such number",
                ),
                "F.softplus(-logits_real).mean() - F.softplus(logits_fake).mean()": (
                    "subtracts the second part",
                    "both parts are losses, and add up",
                ),
            },
        ),
    ],
)


def generator_loss_cases(generator: torch.Generator) -> list[Case]:
    """As for the discriminator, of one batch."""
    far = torch.tensor([-200.0, 150.0, -1.0])
    inputs = {
        "unsure": draw(generator, 5),
        "one picture": draw(generator, 1),
        "a discriminator that is sure": 4 * draw(generator, 6) - 8,
        "numbers of which exp is inf": far,
        "float64": draw(generator, 4).double(),
    }
    return [Case(label=label, args=(logits,), call="logits_fake") for label, logits in inputs.items()]


def generator_loss_by_bce(logits_fake: Tensor) -> Tensor:
    """By PyTorch's binary cross-entropy."""
    return F.binary_cross_entropy_with_logits(logits_fake, torch.ones_like(logits_fake))


test_generator_loss = exercise(
    reference=training.generator_loss,
    cases=generator_loss_cases,
    observe=outputs_and_gradients,
    accepts=[generator_loss_by_bce],
    mistakes=[
        *instead_of(
            "F.softplus(-logits_fake).mean()",
            {
                "F.softplus(logits_fake).mean()": (
                    "helps the discriminator",
                    "the generator wants its pictures taken for real: high logits, a small loss",
                ),
                "-F.softplus(logits_fake).mean()": (
                    "takes the loss that saturates",
                    "log(1 - sigmoid(logit)) is flat where the discriminator is sure; -log sigmoid(logit) isn't",
                ),
                "F.softplus(-logits_fake).sum()": ("adds up over the batch", "it's the mean over pictures"),
                "-torch.log(torch.sigmoid(logits_fake)).mean()": (
                    "gives inf for large logits",
                    "log(sigmoid(-200)) is log(0): use F.softplus or F.logsigmoid",
                ),
                "-torch.log(torch.sigmoid(logits_fake) + 1e-8).mean()": (
                    "adds a small number in the logarithm",
                    "the loss of a large logit would be 18 and flat: F.softplus needs no such number",
                ),
                "-logits_fake.mean()": (
                    "takes minus the logits themselves",
                    "the loss is -log sigmoid(logit), which is never negative",
                ),
                "F.softplus(-logits_fake.detach()).mean()": (
                    "lets no gradient through",
                    "the generator learns by this gradient: no detach",
                ),
            },
        ),
    ],
)
