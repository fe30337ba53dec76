"""Judges of a step of each of a GAN's networks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative.gan import training
from arena_lib.tests.vaes_and_gans.watching import CountedSGD, draw

__test__ = False


class TinyGenerator(nn.Module):
    """In place of a generator: quick, with a batch norm to see the mode by."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 5), nn.BatchNorm1d(5)

    def forward(self, noise: Tensor) -> Tensor:
        return self.norm(self.layer(noise))


class TinyDiscriminator(nn.Module):
    """In place of a discriminator; it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.last(F.leaky_relu(self.norm(self.first(x)), 0.2))[:, 0]


def step_cases(generator: torch.Generator) -> list[Case]:
    """Other learning rates and batches, gradients left over, norms that are clipped and that aren't, evaluation mode."""

    def case(label: str, n_real: int, n_fake: int, lr: float, *clip: float, **given: Any) -> Case:
        noise, real = draw(generator, n_fake, 3), draw(generator, n_real, 5)
        options = {"noise": noise, "real": real, "lr": lr, "clip": clip, **given}
        return Case(label=label, given=options, call="..., " + (f"clip_grad_norm={clip[0]}" if clip else "img_fake"))

    return [
        case("a norm that isn't clipped", 6, 6, 0.1, 100.0),
        case("a norm that is clipped", 5, 4, 0.5, 0.01),
        case("gradients are left over from before", 4, 6, 0.2, 50.0, left_over=3.0),
        case("clip_grad_norm left out", 7, 3, 0.3, scale=20.0),
        case("evaluation mode", 4, 5, 0.2, 10.0, is_eval=True),
    ]


def _make_players(case: Case) -> tuple[TinyGenerator, TinyDiscriminator, Tensor, list[CountedSGD]]:
    torch.manual_seed(17)
    generator, discriminator = TinyGenerator(), TinyDiscriminator()
    with torch.no_grad():
        discriminator.last.weight.mul_(case.given.get("scale", 1.0))
        for network in (generator, discriminator):
            network.norm.bias.add_(0.3)
    for network in (generator, discriminator):
        network.train(not case.given.get("is_eval", False))
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, case.given.get("left_over", 0.0))
    fake = generator(case.given["noise"].clone())
    optimizers = [CountedSGD(network.parameters(), lr=case.given["lr"]) for network in (generator, discriminator)]
    return generator, discriminator, fake, optimizers


def _state(network: nn.Module) -> list[Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def _gradients(network: nn.Module) -> list[Any]:
    return [None if parameter.grad is None else parameter.grad.clone() for parameter in network.parameters()]


def discriminator_step_seen(function: Any, case: Case) -> Observations:
    """The loss, the discriminator's state afterwards, and what reached the generator."""
    generator, discriminator, fake, (_, optimizer) = _make_players(case)
    before = _state(generator), _gradients(generator)
    loss = function(discriminator, optimizer, case.given["real"].clone(), fake, *case.given["clip"])
    unchanged = all(torch.equal(a, b) for a, b in zip(before[1], _gradients(generator), strict=True))
    fakes_usable = True
    try:
        fake.sum().backward()
    except RuntimeError:
        fakes_usable = False
    return {
        "loss": float(loss),
        "loss holds its graph": isinstance(loss, Tensor) and loss.requires_grad,
        "steps of the optimizer": optimizer.n_steps,
        "discriminator afterwards": _state(discriminator),
        "generator's weights are as before": all(
            torch.equal(a, b) for a, b in zip(before[0], _state(generator), strict=True)
        ),
        "generator's gradients are as before": unchanged,
        "the graph of img_fake is still there": fakes_usable,
        "modes": (generator.training, discriminator.training),
        "calls of the discriminator": sorted(discriminator.sizes),
    }


def discriminator_step_in_two_parts(
    discriminator: nn.Module, optimizer: Any, img_real: Tensor, img_fake: Tensor, clip_grad_norm: float = 1.0
) -> Tensor:
    """Each part of the loss walks back by itself; the clipping is written out."""
    optimizer.zero_grad()
    real = F.softplus(-discriminator(img_real)).mean()
    real.backward()
    fake = F.softplus(discriminator(img_fake.detach().clone())).mean()
    fake.backward()
    gradients = [p.grad for p in discriminator.parameters() if p.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    for gradient in gradients:
        gradient.mul_(torch.clamp(clip_grad_norm / (norm + 1e-6), max=1.0))
    optimizer.step()
    return (real + fake).detach()


ORDER = "optimizer.zero_grad()\n    loss.backward()"
CLIP = "nn.utils.clip_grad_norm_({}.parameters(), clip_grad_norm)\n    optimizer.step()"
UNCLIPPED = (
    "steps by a gradient that isn't clipped",
    "the gradient of the network that takes the step is clipped, after backward and before the step",
)


def clip_mistakes(network: str) -> list[Mistake]:
    """What goes wrong between backward and the step."""
    return [
        *instead_of(
            CLIP.format(network),
            {
                "optimizer.step()": UNCLIPPED,
                f"nn.utils.clip_grad_norm_({network}.parameters(), clip_grad_norm)": (
                    "forgets the step",
                    "after clipping, the optimizer takes a step",
                ),
                f"nn.utils.clip_grad_norm_({network}.parameters(), 1.0)\n    optimizer.step()": (
                    "always clips to 1",
                    "the longest gradient is clip_grad_norm, which may be another number",
                ),
                f"optimizer.step()\n    nn.utils.clip_grad_norm_({network}.parameters(), clip_grad_norm)": UNCLIPPED,
                f"nn.utils.clip_grad_value_({network}.parameters(), clip_grad_norm)\n    optimizer.step()": (
                    "clips each entry by itself",
                    "the norm of the whole gradient is clipped: clip_grad_norm_",
                ),
                f"for p in {network}.parameters():\n        nn.utils.clip_grad_norm_(p, clip_grad_norm)\n    optimizer.step()": (
                    "clips each parameter by itself",
                    "it's the norm of all parameters together",
                ),
            },
        ),
        *instead_of(
            ORDER,
            {
                "loss.backward()": (
                    "forgets zero_grad",
                    "gradients add up over steps: zero_grad comes before backward",
                ),
                "loss.backward()\n    optimizer.zero_grad()": (
                    "forgets the gradients before the step",
                    "zero_grad between backward and step leaves nothing to step by: zero_grad, backward, clip, step",
                ),
            },
        ),
        *instead_of(
            "return loss.detach()",
            {"return loss": ("returns a loss that holds its graph", "the loss is detached, so that memory is freed")},
        ),
    ]


test_training_step_discriminator = exercise(
    reference=training.training_step_discriminator,
    cases=step_cases,
    observe=discriminator_step_seen,
    accepts=[discriminator_step_in_two_parts],
    mistakes=[
        *instead_of(
            "discriminator_loss(discriminator(img_real), discriminator(img_fake.detach()))",
            {
                "discriminator_loss(discriminator(img_real), discriminator(img_fake))": (
                    "doesn't detach the generated pictures",
                    "this step belongs to the discriminator alone: img_fake.detach()",
                ),
                "discriminator_loss(discriminator(img_fake.detach()), discriminator(img_real))": (
                    "swaps real and generated pictures",
                    "discriminator_loss takes the logits of real pictures first",
                ),
                "generator_loss(discriminator(img_fake.detach()))": (
                    "takes the generator's loss",
                    "the discriminator has a loss of its own, which looks at both kinds of pictures",
                ),
                "discriminator_loss(*discriminator(torch.cat([img_real, img_fake.detach()])).split([len(img_real), len(img_fake)]))": (
                    "puts both kinds into one batch",
                    "a batch norm would see both kinds together: call the discriminator once for each",
                ),
                "discriminator_loss(discriminator.eval()(img_real), discriminator(img_fake.detach()))": (
                    "switches to evaluation mode",
                    "the mode stays as it is",
                ),
                "discriminator_loss(discriminator.train()(img_real), discriminator(img_fake.detach()))": (
                    "switches to training mode",
                    "the mode stays as it is",
                ),
                "discriminator_loss(discriminator(img_real), discriminator(img_fake).detach())": (
                    "learns nothing from the generated pictures",
                    "the pictures are detached, not their logits: the discriminator learns from both kinds",
                ),
            },
        ),
        *clip_mistakes("discriminator"),
    ],
)


def generator_step_seen(function: Any, case: Case) -> Observations:
    """The loss, the generator's state afterwards, and whether the discriminator's weights moved."""
    generator, discriminator, fake, (optimizer, _) = _make_players(case)
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    reached: list[Tensor] = []
    fake.register_hook(reached.append)
    loss = function(generator, discriminator, optimizer, fake, *case.given["clip"])
    return {
        "loss": float(loss),
        "loss holds its graph": isinstance(loss, Tensor) and loss.requires_grad,
        "steps of the optimizer": optimizer.n_steps,
        "a gradient reaches img_fake": bool(reached),
        "generator afterwards": _state(generator),
        "discriminator's weights are as before": all(
            torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True)
        ),
        "discriminator's weights learn still": all(p.requires_grad for p in discriminator.parameters()),
        "modes": (generator.training, discriminator.training),
        "calls of the discriminator": discriminator.sizes,
    }


def generator_step_by_gradients(
    generator: nn.Module, discriminator: nn.Module, optimizer: Any, img_fake: Tensor, clip_grad_norm: float = 1.0
) -> Tensor:
    """Only the generator's gradients are worked out."""
    loss = -F.logsigmoid(discriminator(img_fake)).mean()
    parameters = list(generator.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, clip_grad_norm)
    optimizer.step()
    return loss.detach()


test_training_step_generator = exercise(
    reference=training.training_step_generator,
    cases=step_cases,
    observe=generator_step_seen,
    accepts=[generator_step_by_gradients],
    mistakes=[
        *instead_of(
            "generator_loss(discriminator(img_fake))",
            {
                "generator_loss(discriminator(img_fake.detach()))": (
                    "detaches the generated pictures",
                    "the generator learns through its pictures: only the discriminator's step detaches them",
                ),
                "-discriminator_loss(torch.full((1,), 99.0), discriminator(img_fake))": (
                    "takes the loss that saturates",
                    "minus the discriminator's loss is flat where the discriminator is sure: take generator_loss",
                ),
                "discriminator_loss(torch.full((1,), 99.0), discriminator(img_fake))": (
                    "helps the discriminator",
                    "the generator wants its pictures taken for real",
                ),
                "generator_loss(discriminator.eval()(img_fake))": (
                    "switches to evaluation mode",
                    "the mode stays as it is",
                ),
                "generator_loss(discriminator.train()(img_fake))": (
                    "switches to training mode",
                    "the mode stays as it is",
                ),
            },
        ),
        *instead_of(
            "nn.utils.clip_grad_norm_(generator.parameters(), clip_grad_norm)",
            {"nn.utils.clip_grad_norm_(discriminator.parameters(), clip_grad_norm)": UNCLIPPED},
        ),
        *clip_mistakes("generator"),
    ],
)
