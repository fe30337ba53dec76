"""JumpReLU toy SAEs: latents below a learned threshold are 0, those above stay as they are, and L0 itself is trained.

A threshold has no gradient: moving it a little changes no latent, or one by a jump. The gradients here estimate how the
expected loss changes with it, from the examples that fall within a narrow window around the threshold.

Shapes:  z "... n_inst d_sae" (before the activation function), theta "n_inst d_sae"
Raises:  ConfigError for a threshold or a window that can't be.
Source:  Rajamanoharan et al. 2024b, arXiv:2407.14435, section 3 (activation, loss) and equations 11 and 12
         (pseudo-derivatives).
Differs: the decoder's bias is taken from the input first; squared errors are means over d_in; in the paper's code a ReLU
         comes before the threshold, which changes nothing while thresholds are above half a window.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.model import ToyModel
from arena_lib.saes.toy.functions import compute_pre_acts, compute_reconstruction_loss, decode
from arena_lib.saes.toy.sae import SAEOutput, ToySAE, ToySAEConfig


def rectangle(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The kernel K: 1 where -1/2 < x < 1/2, else 0; its area is 1.

    >>> rectangle(torch.tensor([-0.6, 0.0, 0.4]))
    tensor([0., 1., 1.])
    """
    return (x.abs() < 0.5).to(x.dtype)


def heaviside_gradients(
    z: Float[Tensor, "... n_inst d_sae"],
    theta: Float[Tensor, "n_inst d_sae"],
    eps: float,
    grad_output: Float[Tensor, "... n_inst d_sae"],
) -> tuple[Float[Tensor, "... n_inst d_sae"], Float[Tensor, "... n_inst d_sae"]]:
    """The gradients of H(z - theta) for z and for theta, entry by entry (not yet summed over examples).

        for z       0
        for theta  -(1 / eps) * K((z - theta) / eps) * grad_output

    K is `rectangle`. Both have the shape of z.
    """
    return torch.zeros_like(z), -rectangle((z - theta) / eps) / eps * grad_output


def jumprelu_gradients(
    z: Float[Tensor, "... n_inst d_sae"],
    theta: Float[Tensor, "n_inst d_sae"],
    eps: float,
    grad_output: Float[Tensor, "... n_inst d_sae"],
) -> tuple[Float[Tensor, "... n_inst d_sae"], Float[Tensor, "... n_inst d_sae"]]:
    """The gradients of z * H(z - theta) for z and for theta, entry by entry (not yet summed over examples).

        for z       1 where z > theta, else 0,        times grad_output
        for theta  -(theta / eps) * K((z - theta) / eps) * grad_output

    K is `rectangle`. Both have the shape of z.
    """
    return (z > theta) * grad_output, -theta * rectangle((z - theta) / eps) / eps * grad_output


class Heaviside(torch.autograd.Function):
    """H(z - theta): 1 where z > theta, else 0. Its gradients are `heaviside_gradients`.

    `Heaviside.apply(z, theta, eps)`: z "... n_inst d_sae", theta "n_inst d_sae", eps the width of the kernel's window.
    `eps` gets no gradient (None), and theta's is summed over the axes that z has in front of it.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Float[Tensor, "... n_inst d_sae"], theta: Float[Tensor, "n_inst d_sae"], eps: float
    ) -> Float[Tensor, "... n_inst d_sae"]:
        """1 where z > theta, else 0, in z's dtype."""
        ctx.save_for_backward(z, theta)
        ctx.eps = eps
        return (z > theta).to(z.dtype)

    @staticmethod
    def backward(
        ctx: Any, *grad_outputs: Float[Tensor, "... n_inst d_sae"]
    ) -> tuple[Float[Tensor, "... n_inst d_sae"], Float[Tensor, "n_inst d_sae"], None]:
        """The gradients for z, theta and eps."""
        z, theta = ctx.saved_tensors
        grad_z, grad_theta = heaviside_gradients(z, theta, ctx.eps, grad_outputs[0])
        return grad_z, grad_theta.sum_to_size(theta.shape), None


class JumpReLU(torch.autograd.Function):
    """z * H(z - theta): z where z > theta, else 0. Its gradients are `jumprelu_gradients`.

    `JumpReLU.apply(z, theta, eps)`: z "... n_inst d_sae", theta "n_inst d_sae", eps the width of the kernel's window.
    `eps` gets no gradient (None), and theta's is summed over the axes that z has in front of it.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Float[Tensor, "... n_inst d_sae"], theta: Float[Tensor, "n_inst d_sae"], eps: float
    ) -> Float[Tensor, "... n_inst d_sae"]:
        """Z where z > theta, else 0."""
        ctx.save_for_backward(z, theta)
        ctx.eps = eps
        return torch.where(z > theta, z, 0.0)

    @staticmethod
    def backward(
        ctx: Any, *grad_outputs: Float[Tensor, "... n_inst d_sae"]
    ) -> tuple[Float[Tensor, "... n_inst d_sae"], Float[Tensor, "n_inst d_sae"], None]:
        """The gradients for z, theta and eps."""
        z, theta = ctx.saved_tensors
        grad_z, grad_theta = jumprelu_gradients(z, theta, ctx.eps, grad_outputs[0])
        return grad_z, grad_theta.sum_to_size(theta.shape), None


def compute_l0_loss(
    pre_acts: Float[Tensor, "batch n_inst d_sae"], theta: Float[Tensor, "n_inst d_sae"], eps: float
) -> Float[Tensor, "batch n_inst"]:
    """How many latents are active: the sum over d_sae of H(pre_acts - theta), with the gradients of `Heaviside`."""
    return Heaviside.apply(pre_acts, theta, eps).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class JumpReLUToySAEConfig(ToySAEConfig):
    """The sizes of a toy SAE, the weight of its L0, and its thresholds."""

    sparsity_coef: float = 0.3
    """Weight of the number of active latents beside the squared error. Alone, a feature is worth a latent from a strength
    of sqrt(sparsity_coef * d_in) on: a high weight finds directions reliably, and leaves weak features unheard."""
    theta_init: float = 0.3
    """Every latent's threshold at first."""
    ste_eps: float = 0.3
    """Width of the window around a threshold in which examples move it; magnitudes here are up to about 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "theta_init", "ste_eps")


class JumpReLUToySAE(ToySAE):
    """Reads a toy model's hidden state with a learned threshold for each latent.

        pre_acts = (h - b_dec) @ W_enc + b_enc
        latents  = JumpReLU(pre_acts, theta)                  with theta = exp(log_theta), so that it stays above 0
        recon    = latents @ W_dec_normalized + b_dec
        loss     = reconstruction + sparsity_coef * sparsity

    "sparsity" is the number of active latents, with the gradients of `Heaviside`. The parameters are those of `ToySAE`
    and `log_theta` ("n_inst d_sae"), log(theta_init) at first.
    """

    cfg: JumpReLUToySAEConfig

    def __init__(self, cfg: JumpReLUToySAEConfig, model: ToyModel, generator: torch.Generator | None = None) -> None:
        if not hasattr(cfg, "theta_init"):  # asked by its fields: a notebook may define the class anew
            raise ConfigError(
                f"JumpReLUToySAE needs a JumpReLUToySAEConfig, which has theta_init and ste_eps: got {type(cfg).__name__}. "
                "Make one of those."
            )
        super().__init__(cfg, model, generator)

    def make_parameters(self, generator: torch.Generator) -> None:
        """Make weights, biases and thresholds."""
        super().make_parameters(generator)
        self.log_theta = nn.Parameter(torch.full_like(self.b_enc, self.cfg.theta_init).log())

    @property
    def theta(self) -> Float[Tensor, "n_inst d_sae"]:
        """Each latent's threshold."""
        return self.log_theta.exp()

    def forward(self, h: Float[Tensor, "batch n_inst d_in"]) -> SAEOutput:
        """Named terms of the loss, the loss, latents, reconstruction."""
        pre_acts = compute_pre_acts(h, self.W_enc, self.b_enc, self.b_dec)
        theta = self.theta
        latents = JumpReLU.apply(pre_acts, theta, self.cfg.ste_eps)
        recon = decode(latents, self.W_dec_normalized, self.b_dec)
        terms = {
            "reconstruction": compute_reconstruction_loss(recon, h),
            "sparsity": compute_l0_loss(pre_acts, theta, self.cfg.ste_eps),
        }
        return terms, terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"], latents, recon

    @torch.no_grad()
    def revive(
        self,
        is_dead: Bool[Tensor, "n_inst d_sae"],
        directions: Float[Tensor, "n_inst d_sae d_in"],
        enc_norm: Float[Tensor, " n_inst"],
    ) -> None:
        """Start the dead latents again: their bias becomes 0, their threshold what it was at first."""
        super().revive(is_dead, directions, enc_norm)
        first = torch.full_like(self.log_theta, self.cfg.theta_init).log()
        self.log_theta.copy_(torch.where(is_dead, first, self.log_theta))
