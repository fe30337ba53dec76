"""Judges of what trains autoencoders: steps on small models of the judge's own, and whole runs that are counted."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import autoencoder, vae
from arena_lib.fundamentals.generative.batches import minibatches
from arena_lib.fundamentals.generative.gaussians import kl_to_standard_normal
from arena_lib.tests.vaes_and_gans.watching import CountedSGD

__test__ = False


class Gain(nn.Module):
    """In place of an encoder: a factor that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(0.4))

    def forward(self, x: Tensor) -> Tensor:
        return self.number * x


class Shift(nn.Module):
    """In place of a decoder: a number that is added and learns."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(0.3))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.number


class TinyAutoencoder(nn.Module):
    """In place of an autoencoder: two numbers that learn, so that a step is quick and has no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Gain(), Shift()

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class TinyVAE(nn.Module):
    """In place of a VAE, with latents that have no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Gain(), Shift()

    def sample_latent_vector(self, x: Tensor) -> Any:
        gain, shift = self.encoder.number, self.decoder.number
        level = x.flatten(1).mean(dim=1, keepdim=True)
        mu = torch.cat([gain * level, shift + level, gain * shift * level], dim=1)
        return self.encoder(x), mu, 0.5 * mu - gain

    def forward(self, x: Tensor) -> Any:
        z, mu, logsigma = self.sample_latent_vector(x)
        return self.decoder(z), mu, logsigma


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Other learning rates, batches and numbers of epochs; gradients that are left over."""

    def case(label: str, n: int, **settings: Any) -> Case:
        left_over = settings.pop("left_over", 0.0)
        images = torch.rand(n, 1, 28, 28, generator=generator)
        args = autoencoder.AutoencoderArgs(d_latent=2, d_hidden=4, **settings)
        words = ", ".join(f"{name}={value}" for name, value in settings.items())
        return Case(
            label=label,
            given={"args": args, "images": images, "left_over": left_over},
            call=f"AutoencoderArgs({words}), images",
        )

    return [
        case("batches that come out even", 6, n_epochs=2, batch_size=3, lr=0.1, noise=0.3),
        case("a smaller batch at the end", 7, n_epochs=3, batch_size=4, lr=0.02),
        case("gradients are left over", 5, n_epochs=1, batch_size=5, lr=0.05, noise=0.5, left_over=30.0),
    ]


def trainer_seen(cls: Any, case: Case, model: nn.Module) -> Observations:
    """Two steps of the trainer on a small model with plain descent, then a run whose batches are written down."""
    args, images = case.given["args"], case.given["images"]
    trainer = cls(args, images)
    trainer.model, before = model, images.clone()
    trainer.optimizer = optimizer = CountedSGD(model.parameters(), lr=args.lr / 100)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, case.given["left_over"])
    seen: Observations = {}
    for n in (1, 2):
        loss = trainer.training_step(images[:4])
        seen[f"loss of step {n}"] = float(loss)
        seen[f"steps of the optimizer after {n} training steps"] = optimizer.n_steps
        seen[f"weights after step {n}"] = [float(parameter) for parameter in model.parameters()]
    seen["loss holds its graph"] = isinstance(loss, Tensor) and loss.requires_grad
    seen["images are changed"] = not torch.equal(images, before)
    return seen | _run_seen(cls(args, images), images)


def _run_seen(trainer: Any, images: Tensor) -> Observations:
    """What `train` does, with a step that only writes down which pictures it got."""
    batches: list[list[int]] = []
    numbers = {float(image.sum()): i for i, image in enumerate(images)}

    def step(img: Tensor) -> Tensor:
        batches.append([numbers.get(float(image.sum()), -1) for image in img])
        return torch.tensor(float(len(batches)))

    trainer.training_step = step
    returned = trainer.train()
    n_epochs, per_epoch = trainer.args.n_epochs, -(-len(images) // trainer.args.batch_size)
    epochs = [[i for batch in batches[e * per_epoch : (e + 1) * per_epoch] for i in batch] for e in range(n_epochs)]
    return {
        "sizes of the batches": [len(batch) for batch in batches],
        "pictures of each epoch, sorted": [sorted(epoch) for epoch in epochs],
        "an epoch in the order of the images": any(epoch == sorted(epoch) for epoch in epochs),
        "two epochs in one order": len({tuple(epoch) for epoch in epochs}) < n_epochs,
        "losses": [loss if isinstance(loss, float) else type(loss).__name__ for loss in trainer.losses],
        "the model is returned": returned is trainer.model,
    }


def autoencoder_trainer_seen(cls: Any, case: Case) -> Observations:
    """A trainer of autoencoders."""
    return trainer_seen(cls, case, TinyAutoencoder())


def vae_trainer_seen(cls: Any, case: Case) -> Observations:
    """A trainer of VAEs."""
    return trainer_seen(cls, case, TinyVAE())


class StepwiseAutoencoderTrainer(autoencoder.AutoencoderTrainer):
    """With functions of torch, and gradients that are cleared after the step."""

    def training_step(self, img: Tensor) -> Tensor:
        self.model.zero_grad()
        loss = nn.functional.mse_loss(self.model(img), img)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def train(self) -> Any:
        for _ in range(self.args.n_epochs):
            batches = minibatches(self.images, self.args.batch_size, self.generator)
            self.losses += [self.training_step(img).item() for img in batches]
        return self.model


class AutoencoderTrainerByHalves(autoencoder.AutoencoderTrainer):
    """With the two halves of the model, and gradients that are worked out and put in their places."""

    def training_step(self, img: Tensor) -> Tensor:
        wrong_by = self.model.decoder(self.model.encoder(img)) - img
        loss = wrong_by.square().sum() / img.numel()
        weights = list(self.model.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        self.optimizer.step()
        return loss.detach()


STEP = "self.optimizer.zero_grad()\n        loss.backward()\n        self.optimizer.step()"
STEP_MISTAKES = {
    "loss.backward()\n        self.optimizer.step()": (
        "forgets zero_grad",
        "gradients add up over steps: zero_grad comes before backward",
    ),
    "self.optimizer.step()\n        self.optimizer.zero_grad()\n        loss.backward()": (
        "takes the step before backward",
        "a step needs the gradients of this batch: zero_grad, backward, step",
    ),
    "self.optimizer.zero_grad()\n        loss.backward()": ("forgets the step", "the optimizer takes a step"),
    "self.optimizer.zero_grad()\n        loss.backward()\n        self.optimizer.step()\n        self.optimizer.step()": (
        "takes the step twice",
        "one step for each batch",
    ),
    "loss.backward()\n        self.optimizer.zero_grad()\n        self.optimizer.step()": (
        "forgets the gradients before the step",
        "zero_grad between backward and step leaves nothing to step by: zero_grad, backward, step",
    ),
}

VAE_STEP_MISTAKES = {
    edit: (*words, "RuntimeError") if words[0] == "takes the step before backward" else words
    for edit, words in STEP_MISTAKES.items()
}
"""The same, but for the graph of the ELBO, which can't be walked once the weights have moved."""


def run_mistakes(name: str) -> list[Mistake]:
    """What goes wrong in a trainer's `train`."""
    return [
        *instead_of(
            "range(self.args.n_epochs)",
            {"range(1)": ("trains for one epoch", "every picture is seen n_epochs times")},
            within=f"{name}.train",
        ),
        *instead_of(
            "minibatches(self.images, self.args.batch_size, self.generator)",
            {
                "self.images.split(self.args.batch_size)": (
                    "keeps the pictures in their order",
                    "each epoch has an order of its own: minibatches draws it",
                ),
                "minibatches(self.images[: len(self.images) // self.args.batch_size * self.args.batch_size], "
                "self.args.batch_size, self.generator)": (
                    "leaves out the smaller batch at the end",
                    "every picture is seen in every epoch",
                ),
                "minibatches(self.images, self.args.batch_size, torch.Generator().manual_seed(0))": (
                    "takes the same order in every epoch",
                    "the trainer's generator gives another order each time",
                ),
            },
            within=f"{name}.train",
        ),
        *instead_of(
            "self.losses.append(check_loss(self.training_step(img)))",
            {
                "self.training_step(img)": ("keeps no losses", "each loss is appended to self.losses"),
                "self.losses.append(self.training_step(img))": (
                    "keeps losses as tensors",
                    "losses are kept as floats: .item() or float()",
                ),
            },
            within=f"{name}.train",
        ),
        Mistake(
            "returns nothing", "return self.model", "return None", within=f"{name}.train", why="the model is returned"
        ),
    ]


test_autoencoder_trainer = exercise(
    reference=autoencoder.AutoencoderTrainer,
    cases=trainer_cases,
    observe=autoencoder_trainer_seen,
    keep=["__init__"],
    accepts=[StepwiseAutoencoderTrainer, AutoencoderTrainerByHalves],
    mistakes=[
        *instead_of(
            "(self.model(img) - img).pow(2).mean()",
            {
                "(self.model(img) - img).pow(2).sum()": (
                    "adds the squares up",
                    "the loss is the mean over all pixels of all pictures",
                ),
                "(self.model(img) - img).pow(2).sum(dim=(1, 2, 3)).mean()": (
                    "adds the squares of each picture up",
                    "the mean is over pixels as well as over pictures",
                ),
                "(self.model(img) - img).abs().mean()": (
                    "takes the mean of the distances",
                    "the differences are squared",
                ),
                "(self.model(img) - img).mean().pow(2)": (
                    "squares the mean",
                    "square first: else differences of both signs cancel",
                ),
                "(self.model(img) - img).pow(2).mean().sqrt()": (
                    "takes the root",
                    "it's the mean of the squares, without a root",
                ),
            },
            within="AutoencoderTrainer.training_step",
        ),
        *instead_of(STEP, STEP_MISTAKES, within="AutoencoderTrainer.training_step"),
        *instead_of(
            "return loss.detach()",
            {
                "return loss": ("returns a loss that holds its graph", "the loss is detached, so that memory is freed"),
                "return (self.model(img) - img).pow(2).mean().detach()": (
                    "returns the loss after the step",
                    "it's the loss before the step, which is known already",
                ),
            },
            within="AutoencoderTrainer.training_step",
        ),
        *run_mistakes("AutoencoderTrainer"),
    ],
)


class VAETrainerOfMeans(vae.VAETrainer):
    """With the mean squared error in place of the density, and a mean of the KL divergence."""

    def training_step(self, img: Tensor) -> Tensor:
        recon, mu, logsigma = self.model(img)
        loss = nn.functional.mse_loss(recon, img) + kl_to_standard_normal(mu, logsigma).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class StepwiseVAETrainer(vae.VAETrainer):
    """The two parts of the ELBO written out."""

    def training_step(self, img: Tensor) -> Tensor:
        recon, mu, logsigma = self.model(img)
        pixels = torch.distributions.Normal(recon, self.args.noise).log_prob(img).sum()
        cloud = torch.distributions.Normal(mu, logsigma.exp())
        standard = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        loss = (torch.distributions.kl_divergence(cloud, standard).sum() - pixels) / len(img)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self) -> Any:
        for _ in range(self.args.n_epochs):
            batches = minibatches(self.images, self.args.batch_size, self.generator)
            self.losses += [self.training_step(img).item() for img in batches]
        return self.model


test_vae_trainer = exercise(
    reference=vae.VAETrainer,
    cases=trainer_cases,
    observe=vae_trainer_seen,
    keep=["__init__"],
    accepts=[StepwiseVAETrainer],
    mistakes=[
        *instead_of(
            "-compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()",
            {
                "compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()": (
                    "lowers the ELBO",
                    "descent makes the loss smaller, and the ELBO shall grow: the loss is minus the ELBO",
                ),
                "-compute_elbo(img, recon, mu, logsigma, self.args.noise).sum()": (
                    "adds up over the batch",
                    "the loss is a mean over pictures",
                ),
                "-compute_elbo(img, recon, mu, logsigma).mean()": (
                    "forgets the noise of args",
                    "args.noise says how far pixels may be off",
                ),
                "-compute_elbo(img, recon, logsigma, mu, self.args.noise).mean()": (
                    "swaps mu and logsigma",
                    "compute_elbo takes x, recon, mu, logsigma",
                ),
                "-compute_elbo(img, recon, mu.detach(), logsigma.detach(), self.args.noise).mean()": (
                    "doesn't learn from the KL divergence",
                    "both parts of the ELBO give gradients: no detach",
                ),
            },
            within="VAETrainer.training_step",
        ),
        Mistake(
            "takes the mean squared error for the picture's nats",
            function=VAETrainerOfMeans,
            why="the loss is minus the mean of compute_elbo: nats of all pixels, less those of the cloud",
        ),
        *instead_of(STEP, VAE_STEP_MISTAKES, within="VAETrainer.training_step"),
        *instead_of(
            "return loss.detach()",
            {"return loss": ("returns a loss that holds its graph", "the loss is detached, so that memory is freed")},
            within="VAETrainer.training_step",
        ),
        *run_mistakes("VAETrainer"),
    ],
    equivalent={
        "compute_elbo(img, recon, mu, logsigma, self.args.noise).mean -> compute_elbo(recon, img, mu, logsigma, self.args.noise).mean": (
            "the squared error of two pictures is the same either way round"
        )
    },
)
