"""Two networks that learn from each other: losses, a step of each, and the loop that takes turns.

Shapes:  pictures "batch 1 28 28", values from -1 to 1; logits " batch".
Raises:  TrainingError for a loss that isn't finite.
Source:  Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1 and, for the generator's loss, section 3; Radford et al. 2016,
         arXiv:1511.06434, for the settings.
Differs: gradients are clipped; the losses are written with softplus, which can't overflow.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from arena_lib.fundamentals.generative.batches import check_loss, minibatches
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs, Discriminator, make_generator
from arena_lib.fundamentals.generative.gan.initialization import initialize_weights


def discriminator_loss(
    logits_real: Float[Tensor, " batch"], logits_fake: Float[Tensor, " n_fake"]
) -> Float[Tensor, ""]:
    """How wrong a discriminator is, in nats: mean of -log sigmoid(logits_real) plus mean of -log(1 - sigmoid(logits_fake)).

    sigmoid(logit) is the probability that it gives to "real". `F.softplus(-logit)` is -log sigmoid(logit), and
    `F.softplus(logit)` is -log(1 - sigmoid(logit)); neither becomes inf for a large logit, and yours must not either.

    Gradients flow through it.

    >>> discriminator_loss(torch.zeros(2), torch.zeros(3))
    tensor(1.3863)
    """
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def generator_loss(logits_fake: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """How badly a generator deceives, in nats: the mean of -log sigmoid(logits_fake).

    Where the discriminator is sure that a picture is generated (a logit far below 0), the slope is -1, not 0. For logits of
    any size the result is a number, not inf.

    Gradients flow through it.

    >>> generator_loss(torch.tensor([-3.0, 0.0]))
    tensor(1.8709)
    """
    return F.softplus(-logits_fake).mean()


def training_step_discriminator(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    img_real: Float[Tensor, "batch ..."],
    img_fake: Float[Tensor, "n_fake ..."],
    clip_grad_norm: float = 1.0,
) -> Tensor:
    """One step of the discriminator on `discriminator_loss` of its logits for real and for generated pictures.

    It's called twice, once for each kind of picture. img_fake is detached first: this step leaves no gradient at the generator,
    and no part of its graph is walked. Gradients of earlier steps don't count. Before the optimizer's step the gradient of all
    parameters together is scaled down to the norm `clip_grad_norm` where it's longer (`nn.utils.clip_grad_norm_`). The
    mode, training or evaluation, stays as it is. Returns the loss before the step, detached.

    Args:
        discriminator: from pictures to logits.
        optimizer: of the discriminator's parameters.
        img_real: pictures of the data set.
        img_fake: pictures of the generator, with their graph.
        clip_grad_norm: the largest norm of the gradient.
    """
    loss = discriminator_loss(discriminator(img_real), discriminator(img_fake.detach()))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(discriminator.parameters(), clip_grad_norm)
    optimizer.step()
    return loss.detach()


def training_step_generator(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    img_fake: Float[Tensor, "batch ..."],
    clip_grad_norm: float = 1.0,
) -> Tensor:
    """One step of the generator on `generator_loss` of the discriminator's logits for its pictures.

    The gradient flows through the discriminator into img_fake, and from there to the generator; the discriminator's weights stay
    as they are. Gradients of earlier steps don't count. Before the optimizer's step the gradient of all the generator's
    parameters together is scaled down to the norm `clip_grad_norm` where it's longer. The modes of both stay as they are.
    Returns the loss before the step, detached.

    Args:
        generator: what made img_fake.
        discriminator: from pictures to logits.
        optimizer: of the generator's parameters.
        img_fake: pictures of the generator, with their graph.
        clip_grad_norm: the largest norm of the gradient.
    """
    loss = generator_loss(discriminator(img_fake))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(generator.parameters(), clip_grad_norm)
    optimizer.step()
    return loss.detach()


class DCGANTrainer:
    """Trains a generator and a discriminator in turns.

    Args:
        args: settings.
        images: real pictures, values from -1 to 1.
    """

    def __init__(self, args: DCGANArgs, images: Float[Tensor, "n 1 28 28"]) -> None:
        torch.manual_seed(args.seed)
        self.args, self.images = args, images
        self.generator = make_generator(args.d_latent, args.n_channels)
        self.discriminator = Discriminator(args.n_channels)
        for network in (self.generator, self.discriminator):
            initialize_weights(network)
        self.optimizer_G = torch.optim.Adam(self.generator.parameters(), lr=args.lr, betas=args.betas)
        self.optimizer_D = torch.optim.Adam(self.discriminator.parameters(), lr=args.lr, betas=args.betas)
        self.random = torch.Generator().manual_seed(args.seed)
        self.shown_noise = self.draw_noise(args.n_shown)
        self.losses_D: list[float] = []
        self.losses_G: list[float] = []
        self.samples: list[Tensor] = []

    def draw_noise(self, n: int) -> Float[Tensor, "n d_latent"]:
        """Standard normal numbers, d_latent for each of n pictures."""
        return torch.randn(n, self.args.d_latent, generator=self.random)

    def log_samples(self) -> None:
        """Append what the generator makes of `self.shown_noise`, in evaluation mode, to `self.samples`."""
        self.generator.eval()
        with torch.no_grad():
            self.samples.append(self.generator(self.shown_noise))
        self.generator.train()

    def train(self) -> nn.Module:
        """For n_epochs and each batch of `minibatches(self.images, batch_size, self.random)`: both steps, on one set of fakes.

        In each step, make as many pictures as the batch has, by the generator from `self.draw_noise`. Then take a
        `training_step_discriminator` with the batch and these, then a `training_step_generator` with the same fakes, each
        with its own optimizer and the clip_grad_norm of `self.args`. Append the losses, as floats, to `self.losses_D` and
        `self.losses_G`. After each epoch call `self.log_samples()`. Returns the generator.
        """
        clip = self.args.clip_grad_norm
        for _ in range(self.args.n_epochs):
            for img_real in minibatches(self.images, self.args.batch_size, self.random):
                img_fake = self.generator(self.draw_noise(len(img_real)))
                loss_d = training_step_discriminator(self.discriminator, self.optimizer_D, img_real, img_fake, clip)
                loss_g = training_step_generator(self.generator, self.discriminator, self.optimizer_G, img_fake, clip)
                self.losses_D.append(check_loss(loss_d))
                self.losses_G.append(check_loss(loss_g))
            self.log_samples()
        return self.generator


@torch.no_grad()
def generate(
    generator: nn.Module, n: int, d_latent: int, random: torch.Generator | None = None
) -> Float[Tensor, "n 1 28 28"]:
    """So many pictures of a generator in evaluation mode, with values from 0 to 1; its mode afterwards is as before.

    >>> generate(make_generator(8), 3, 8).shape
    torch.Size([3, 1, 28, 28])
    """
    was_training = generator.training
    pictures = generator.eval()(torch.randn(n, d_latent, generator=random))
    generator.train(was_training)
    return (pictures + 1) / 2
