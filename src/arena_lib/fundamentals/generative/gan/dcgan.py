"""The two networks of a small DCGAN: a generator, which makes pictures from noise, and a discriminator, which judges them.

Shapes:  noise "batch d_latent" -> pictures "batch 1 28 28", values from -1 to 1 -> logits " batch".
Raises:  ConfigError for sizes or settings that can't work.
Source:  Radford et al. 2016, arXiv:1511.06434, section 3.
Differs: for 28 x 28 grey pictures and two CPU cores: two transposed convolutions instead of four, with 64 and 32 channels
         where the paper has 1024 to 128; 64 numbers of noise instead of 100.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from arena_lib.errors import ConfigError

LEAK = 0.2
"""The slope of the discriminator's leaky relus, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class DCGANArgs:
    """How a GAN is made and trained."""

    d_latent: int = 64
    """How many numbers of noise a picture is made from."""
    n_channels: int = 32
    """Channels at 14 x 14 pixels; at 7 x 7 there are twice as many."""
    n_epochs: int = 10
    """How often every picture is seen."""
    batch_size: int = 64
    """Real pictures in a step, and as many generated ones."""
    lr: float = 5e-4
    """Adam's learning rate, of both networks. The paper's 2e-4 is for larger data sets, which give more steps."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's averages over steps, of gradients and of their squares; 0.5 as in the paper."""
    clip_grad_norm: float = 1.0
    """The largest norm of a network's gradient; longer ones are scaled down."""
    n_shown: int = 20
    """Pictures that are drawn after each epoch, always from the same noise."""
    seed: int = 0
    """Of the first weights, the order of pictures, and noise."""

    def __post_init__(self) -> None:
        counts = (self.d_latent, self.n_channels, self.n_epochs, self.batch_size, self.n_shown)
        if min(counts) < 1 or not self.lr > 0 or not self.clip_grad_norm > 0:
            raise ConfigError(
                "d_latent, n_channels, n_epochs, batch_size and n_shown must be at least 1, lr and clip_grad_norm above 0: "
                f"got {counts}, {self.lr} and {self.clip_grad_norm}."
            )


def make_generator(d_latent: int, n_channels: int = 32) -> nn.Sequential:
    """From noise "batch d_latent" to pictures "batch 1 28 28" with values from -1 to 1.

    Layer by layer: a Linear to 2 * n_channels * 7 * 7, an Unflatten to 2 * n_channels channels of 7 by 7, a BatchNorm2d and
    a ReLU; a ConvTranspose2d to n_channels channels, a BatchNorm2d and a ReLU; a ConvTranspose2d to 1 channel and a Tanh.
    The Linear and both transposed convolutions have no bias. The latter have kernels of 4, stride 2 and padding 1.

    >>> make_generator(64)(torch.zeros(3, 64)).shape
    torch.Size([3, 1, 28, 28])
    """
    return nn.Sequential(
        nn.Linear(d_latent, 2 * n_channels * 7 * 7, bias=False),
        nn.Unflatten(1, (2 * n_channels, 7, 7)),
        nn.BatchNorm2d(2 * n_channels),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * n_channels, n_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(n_channels),
        nn.ReLU(),
        nn.ConvTranspose2d(n_channels, 1, 4, stride=2, padding=1, bias=False),
        nn.Tanh(),
    )


class Discriminator(nn.Module):
    """From pictures "batch 1 28 28" to a logit each, " batch": above 0 where it takes a picture for a real one.

    `self.layers` is a Sequential, layer by layer: a Conv2d from 1 to n_channels channels and a LeakyReLU; a Conv2d to
    2 * n_channels channels, a BatchNorm2d and a LeakyReLU; a Flatten, and a Linear to one number. Both convolutions have
    kernels of 4, stride 2, padding 1 and no bias; the Linear has one. The leaky relus have a slope of 0.2.

    Args:
        n_channels: channels at 14 x 14 pixels.

    >>> Discriminator()(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3])
    """

    def __init__(self, n_channels: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, n_channels, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(n_channels, 2 * n_channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * n_channels),
            nn.LeakyReLU(LEAK),
            nn.Flatten(),
            nn.Linear(2 * n_channels * 7 * 7, 1),
        )

    def forward(self, x: Float[torch.Tensor, "batch 1 28 28"]) -> Float[torch.Tensor, " batch"]:
        """A logit for each picture."""
        return self.layers(x)[:, 0]
