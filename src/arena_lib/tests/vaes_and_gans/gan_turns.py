"""Judge of the loop in which a GAN's networks take turns."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative.gan import dcgan, training

__test__ = False


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Batches that come out even and that don't; another norm."""

    def case(label: str, n: int, **settings: Any) -> Case:
        args = dcgan.DCGANArgs(d_latent=3, n_channels=2, n_shown=2, **settings)
        words = ", ".join(f"{name}={value}" for name, value in settings.items())
        images = torch.rand(n, 1, 28, 28, generator=generator) * 2 - 1
        return Case(label=label, given={"args": args, "images": images}, call=f"DCGANArgs({words}), images")

    return [
        case("batches that come out even", 6, n_epochs=2, batch_size=3, lr=0.01),
        case("a smaller batch at the end", 7, n_epochs=1, batch_size=4, lr=0.02, clip_grad_norm=0.001),
    ]


class Watched(torch.optim.SGD):
    """Plain descent that writes down when it takes a step, and how long the gradient was."""

    def __init__(self, name: str, network: nn.Module, lr: float, log: list[Any]) -> None:
        super().__init__(network.parameters(), lr=lr)
        self.name, self.log = name, log

    def step(self, closure: Any = None) -> Any:
        squares = [float(p.grad.square().sum()) for p in self.param_groups[0]["params"] if p.grad is not None]
        self.log.append((self.name, round(sum(squares) ** 0.5, 4) if sum(squares) else 0.0))
        return super().step()


def gan_trainer_seen(cls: Any, case: Case) -> Observations:
    """A whole run: which network steps when, on which pictures, what is kept, and both networks afterwards."""
    args, images = case.given["args"], case.given["images"]
    trainer = cls(args, images)
    steps: list[Any] = []
    pictures: list[tuple[Any, ...]] = []
    trainer.optimizer_D = Watched("discriminator", trainer.discriminator, args.lr, steps)
    trainer.optimizer_G = Watched("generator", trainer.generator, args.lr, steps)
    numbers = {float(image.sum()): i for i, image in enumerate(images)}
    fakes: list[float] = []

    generate, rate = trainer.generator.forward, trainer.discriminator.forward

    def generate_and_look(noise: Tensor) -> Tensor:
        output = generate(noise)
        if trainer.generator.training:
            fakes.append(float(output.sum()))
        return output

    def look_and_rate(x: Tensor) -> Tensor:
        kinds = [numbers.get(float(image.sum()), -1) for image in x]
        pictures.append(("real", len(kinds)) if min(kinds) >= 0 else ("generated", len(kinds)))
        return rate(x)

    # In place of forward, and not as hooks: a learner may call forward by its name.
    trainer.generator.forward, trainer.discriminator.forward = generate_and_look, look_and_rate
    returned = trainer.train()
    n_steps = len(trainer.losses_D)
    return {
        "which network steps": [name for name, _ in steps],
        "lengths of the gradients": [length for _, length in steps],
        "what the discriminator looks at": pictures,
        "pictures generated in training": len(fakes),
        "kinds of fakes": len(set(fakes)),
        "losses of the discriminator": [float(loss) for loss in trainer.losses_D],
        "losses of the generator": [float(loss) for loss in trainer.losses_G],
        "losses are floats": all(isinstance(loss, float) for loss in [*trainer.losses_D, *trainer.losses_G]),
        "steps": n_steps,
        "sets of samples": len(trainer.samples),
        "last sample": trainer.samples[-1] if trainer.samples else None,
        "the generator is returned, in training mode": (returned is trainer.generator, trainer.generator.training),
    }


class TrainerByEpochs(training.DCGANTrainer):
    """An epoch and a step are methods of their own; networks are called by forward."""

    def take_both_steps(self, real: Tensor) -> tuple[float, float]:
        fake = self.generator.forward(self.draw_noise(len(real)))
        clip = self.args.clip_grad_norm
        loss_d = training.training_step_discriminator(self.discriminator, self.optimizer_D, real, fake, clip)
        loss_g = training.training_step_generator(self.generator, self.discriminator, self.optimizer_G, fake, clip)
        return float(loss_d), float(loss_g)

    def train(self) -> nn.Module:
        for _ in range(self.args.n_epochs):
            batches = training.minibatches(self.images, self.args.batch_size, self.random)
            losses_d, losses_g = zip(*map(self.take_both_steps, batches), strict=True)
            self.losses_D += losses_d
            self.losses_G += losses_g
            self.log_samples()
        return self.generator


class TrainerByHand(training.DCGANTrainer):
    """The loop written another way."""

    def train(self) -> nn.Module:
        for _ in range(self.args.n_epochs):
            batches = list(training.minibatches(self.images, self.args.batch_size, self.random))
            for real in batches:
                fake = self.generator(self.draw_noise(real.shape[0]))
                clip = self.args.clip_grad_norm
                step_d = training.training_step_discriminator(self.discriminator, self.optimizer_D, real, fake, clip)
                self.losses_D += [step_d.item()]
                players = (self.generator, self.discriminator, self.optimizer_G)
                self.losses_G += [training.training_step_generator(*players, fake, clip).item()]
            self.log_samples()
        return self.generator


D_STEP = "loss_d = training_step_discriminator(self.discriminator, self.optimizer_D, img_real, img_fake, clip)"
G_STEP = "loss_g = training_step_generator(self.generator, self.discriminator, self.optimizer_G, img_fake, clip)"
BETWEEN = "\n                "

test_dcgan_trainer = exercise(
    reference=training.DCGANTrainer,
    cases=trainer_cases,
    observe=gan_trainer_seen,
    keep=["__init__", "draw_noise", "log_samples"],
    accepts=[TrainerByHand, TrainerByEpochs],
    mistakes=[
        *instead_of(
            D_STEP + BETWEEN + G_STEP,
            {
                G_STEP + BETWEEN + D_STEP: (
                    "lets the generator step first",
                    "the discriminator steps first: then the generator learns from its newest opinion",
                ),
                D_STEP + BETWEEN + "img_fake = self.generator(self.draw_noise(len(img_real)))" + BETWEEN + G_STEP: (
                    "generates new pictures for the second step",
                    "both steps use the same pictures, which saves half of the generator's work",
                ),
                D_STEP.replace("optimizer_D", "optimizer_G") + BETWEEN + G_STEP: (
                    "gives the discriminator's step the wrong optimizer",
                    "each network has its own: optimizer_D knows the discriminator's weights",
                ),
                D_STEP + BETWEEN + G_STEP.replace("optimizer_G", "optimizer_D"): (
                    "gives the generator's step the wrong optimizer",
                    "each network has its own: optimizer_G knows the generator's weights",
                ),
                D_STEP.replace(", clip)", ")") + BETWEEN + G_STEP.replace(", clip)", ")"): (
                    "forgets clip_grad_norm",
                    "both steps take clip_grad_norm of args",
                ),
            },
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "self.generator(self.draw_noise(len(img_real)))",
            {
                "self.generator(self.draw_noise(self.args.batch_size))": (
                    "generates batch_size pictures for a smaller batch",
                    "there are as many generated pictures as real ones",
                ),
                "self.generator(self.draw_noise(1).expand(len(img_real), -1))": (
                    "generates all pictures from one noise",
                    "each picture has noise of its own",
                ),
                "self.generator(torch.rand(len(img_real), self.args.d_latent, generator=self.random))": (
                    "draws noise from 0 to 1",
                    "noise is normal: self.draw_noise draws it",
                ),
                "self.generator(torch.randn(len(img_real), self.args.d_latent))": (
                    "draws noise past the trainer's own generator",
                    "self.draw_noise draws it from self.random",
                ),
                "self.generator(self.draw_noise(len(img_real))).detach()": (
                    "detaches the pictures for both steps",
                    "the generator's step needs their graph",
                ),
            },
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "            self.log_samples()\n        return",
            {
                "        self.log_samples()\n        return": (
                    "keeps samples only at the end",
                    "log_samples is called after each epoch, not once after all",
                ),
                "                self.log_samples()\n        return": (
                    "keeps samples after every step",
                    "log_samples is called once after each epoch",
                ),
                "        return": ("keeps no samples", "log_samples is called after each epoch"),
            },
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "self.losses_G.append(check_loss(loss_g))",
            {
                "self.losses_G.append(check_loss(loss_d))": (
                    "keeps the discriminator's loss twice",
                    "losses_G has the generator's",
                ),
            },
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "self.losses_D.append(check_loss(loss_d))\n                self.losses_G.append(check_loss(loss_g))",
            {
                "self.losses_D.append(check_loss(loss_g))\n                self.losses_G.append(check_loss(loss_d))": (
                    "swaps the two losses",
                    "losses_D has the discriminator's, losses_G the generator's",
                ),
                "self.losses_D.append(loss_d)\n                self.losses_G.append(loss_g)": (
                    "keeps losses as tensors",
                    "losses are kept as floats: .item() or float()",
                ),
            },
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "range(self.args.n_epochs)",
            {"range(1)": ("trains for one epoch", "every picture is seen n_epochs times")},
            within="DCGANTrainer.train",
        ),
        *instead_of(
            "return self.generator",
            {"return None": ("returns nothing", "the generator is returned")},
            within="DCGANTrainer.train",
        ),
    ],
)
