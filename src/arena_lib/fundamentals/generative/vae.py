"""A variational autoencoder: a picture becomes a cloud of latents, so that every place in between means something too.

Shapes:  images "batch 1 28 28", values from 0 to 1; mu, logsigma and z "batch d_latent".
Raises:  ConfigError for sizes or settings that can't work; TrainingError for a loss that isn't finite.
Source:  Kingma and Welling 2013, arXiv:1312.6114, sections 2 and 3.
Differs: pixels are normal around what the decoder gives, all with one fixed deviation (`AutoencoderArgs.noise`).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.autoencoder import AutoencoderArgs, make_decoder, make_encoder
from arena_lib.fundamentals.generative.batches import check_loss, minibatches
from arena_lib.fundamentals.generative.gaussians import compute_elbo, reparameterise


class VAE(nn.Module):
    """An encoder to a mean and a deviation for each latent, kept as `self.encoder`, and a decoder, `self.decoder`.

    The encoder gives 2 * d_latent numbers: first mu, then logsigma. It draws in evaluation mode, too.

    Args:
        d_latent: how many latents a picture has.
        d_hidden: the width of the hidden layer of both.

    >>> recon, mu, logsigma = VAE(5)(torch.zeros(2, 1, 28, 28))
    >>> recon.shape, mu.shape, logsigma.shape
    (torch.Size([2, 1, 28, 28]), torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(self, d_latent: int, d_hidden: int = 128) -> None:
        super().__init__()
        self.encoder = make_encoder(2 * d_latent, d_hidden)
        self.decoder = make_decoder(d_latent, d_hidden)

    def sample_latent_vector(
        self, x: Float[Tensor, "batch 1 28 28"]
    ) -> tuple[Float[Tensor, "batch d_latent"], Float[Tensor, "batch d_latent"], Float[Tensor, "batch d_latent"]]:
        """Latents z drawn by `reparameterise` for each picture, with the mu and the logsigma that they were drawn with."""
        mu, logsigma = self.encoder(x).chunk(2, dim=1)
        return reparameterise(mu, logsigma), mu, logsigma

    def forward(
        self, x: Float[Tensor, "batch 1 28 28"]
    ) -> tuple[Float[Tensor, "batch 1 28 28"], Float[Tensor, "batch d_latent"], Float[Tensor, "batch d_latent"]]:
        """What the decoder makes of the latents that were drawn, mu and logsigma."""
        z, mu, logsigma = self.sample_latent_vector(x)
        return self.decoder(z), mu, logsigma


class VAETrainer:
    """Trains a variational autoencoder to raise its evidence lower bound.

    Args:
        args: settings.
        images: what it learns from.
    """

    def __init__(self, args: AutoencoderArgs, images: Float[Tensor, "n 1 28 28"]) -> None:
        torch.manual_seed(args.seed)
        self.args, self.images = args, images
        self.model = VAE(args.d_latent, args.d_hidden)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=args.lr, betas=args.betas)
        self.generator = torch.Generator().manual_seed(args.seed)
        self.losses: list[float] = []

    def training_step(self, img: Float[Tensor, "batch 1 28 28"]) -> Tensor:
        """One step of `self.optimizer` on minus the mean ELBO of a batch, with the noise of `self.args`.

        Gradients of earlier steps don't count. Returns the loss before the step, detached.
        """
        recon, mu, logsigma = self.model(img)
        loss = -compute_elbo(img, recon, mu, logsigma, self.args.noise).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self) -> VAE:
        """A `training_step` for each batch of `minibatches(self.images, self.args.batch_size, self.generator)`, n_epochs times.

        Each loss is appended to `self.losses` as a float. Returns the model.
        """
        for _ in range(self.args.n_epochs):
            for img in minibatches(self.images, self.args.batch_size, self.generator):
                self.losses.append(check_loss(self.training_step(img)))
        return self.model


def interpolate(
    start: Float[Tensor, " d_latent"], end: Float[Tensor, " d_latent"], n_steps: int
) -> Float[Tensor, "n_steps d_latent"]:
    """Places on the straight way from `start` to `end`, at equal distances: the first row is start, the last one end.

    `n_steps`, at least 2, counts the rows.

    Gradients flow through it.

    >>> interpolate(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 0.0]), 3)
    tensor([[0.0000, 4.0000],
            [0.5000, 2.0000],
            [1.0000, 0.0000]])
    """
    check_walk(n_steps)
    share = torch.linspace(0, 1, n_steps, dtype=start.dtype, device=start.device)[:, None]
    return (1 - share) * start + share * end


def check_walk(n_steps: int) -> None:
    """Refuse a walk of fewer than two rows."""
    if n_steps < 2:
        raise ConfigError(f"n_steps must be at least 2, for the start and the end: got {n_steps}.")
