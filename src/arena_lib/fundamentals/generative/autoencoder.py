"""An autoencoder: it folds a picture into a few numbers, and unfolds them into the picture again.

Shapes:  images "batch 1 28 28", values from 0 to 1; latents "batch d_latent".
Raises:  ConfigError for sizes or settings that can't work; TrainingError for a loss that isn't finite.
Source:  Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks"; layers as in Radford et
         al. 2016, arXiv:1511.06434.
Differs: small, for a laptop: 16 and 32 channels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.batches import check_loss, minibatches


@dataclass(frozen=True, kw_only=True)
class AutoencoderArgs:
    """How an autoencoder, plain or variational, is made and trained."""

    d_latent: int = 5
    """Into how many numbers a picture is folded."""
    d_hidden: int = 128
    """Width of the hidden layer on both sides of the latents."""
    n_epochs: int = 10
    """How often every picture is seen."""
    batch_size: int = 64
    """Pictures in a step."""
    lr: float = 2e-3
    """Adam's learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's averages over steps, of gradients and of their squares."""
    noise: float = 0.2
    """For the variational one: the deviation of a pixel around what is drawn."""
    seed: int = 0
    """Of the first weights and of the order of pictures."""

    def __post_init__(self) -> None:
        counts = (self.d_latent, self.d_hidden, self.n_epochs, self.batch_size)
        if min(counts) < 1 or not self.lr > 0 or not self.noise > 0:
            raise ConfigError(
                "d_latent, d_hidden, n_epochs and batch_size must be at least 1, lr and noise above 0: got "
                f"{counts}, {self.lr} and {self.noise}."
            )


def make_encoder(d_out: int, d_hidden: int = 128) -> nn.Sequential:
    """From pictures "batch 1 28 28" to "batch d_out".

    Layer by layer: a Conv2d from 1 to 16 channels and a ReLU, a Conv2d from 16 to 32 channels and a ReLU, a Flatten, a Linear to d_hidden and
    a ReLU, and a Linear to d_out. Both convolutions have kernels of 4, stride 2 and padding 1, so that each halves the
    height and the width: 28, 14, 7.

    >>> make_encoder(5)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 5])
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, d_hidden),
        nn.ReLU(),
        nn.Linear(d_hidden, d_out),
    )


def make_decoder(d_latent: int, d_hidden: int = 128) -> nn.Sequential:
    """From latents "batch d_latent" to pictures "batch 1 28 28": the encoder's way back.

    Layer by layer: a Linear to d_hidden and a ReLU, a Linear to 32 * 7 * 7 and a ReLU, an Unflatten to 32 channels of 7 by 7, a
    ConvTranspose2d from 32 to 16 channels and a ReLU, and a ConvTranspose2d from 16 to 1 channel. Both have kernels of
    4, stride 2 and padding 1, so that each doubles the height and the width. Nothing bends the last result.

    >>> make_decoder(5)(torch.zeros(2, 5)).shape
    torch.Size([2, 1, 28, 28])
    """
    return nn.Sequential(
        nn.Linear(d_latent, d_hidden),
        nn.ReLU(),
        nn.Linear(d_hidden, 32 * 7 * 7),
        nn.ReLU(),
        nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
    )


class Autoencoder(nn.Module):
    """An encoder to d_latent numbers, kept as `self.encoder`, and a decoder back to a picture, kept as `self.decoder`.

    Args:
        d_latent: into how many numbers a picture is folded.
        d_hidden: the width of the hidden layer of both.

    >>> Autoencoder(5)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, d_latent: int, d_hidden: int = 128) -> None:
        super().__init__()
        self.encoder = make_encoder(d_latent, d_hidden)
        self.decoder = make_decoder(d_latent, d_hidden)

    def forward(self, x: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 1 28 28"]:
        """The pictures, folded and unfolded."""
        return self.decoder(self.encoder(x))


class AutoencoderTrainer:
    """Trains an autoencoder so that what it unfolds is like what it folded.

    Args:
        args: settings.
        images: what it learns from.
    """

    def __init__(self, args: AutoencoderArgs, images: Float[Tensor, "n 1 28 28"]) -> None:
        torch.manual_seed(args.seed)
        self.args, self.images = args, images
        self.model = Autoencoder(args.d_latent, args.d_hidden)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=args.lr, betas=args.betas)
        self.generator = torch.Generator().manual_seed(args.seed)
        self.losses: list[float] = []

    def training_step(self, img: Float[Tensor, "batch 1 28 28"]) -> Tensor:
        """One step of `self.optimizer` on the mean squared error of a batch: over all pixels of all its pictures.

        Gradients of earlier steps don't count. Returns the loss before the step, detached.
        """
        loss = (self.model(img) - img).pow(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self) -> Autoencoder:
        """A `training_step` for each batch of `minibatches(self.images, self.args.batch_size, self.generator)`, n_epochs times.

        Each loss is appended to `self.losses` as a float. Returns the model.
        """
        for _ in range(self.args.n_epochs):
            for img in minibatches(self.images, self.args.batch_size, self.generator):
                self.losses.append(check_loss(self.training_step(img)))
        return self.model
