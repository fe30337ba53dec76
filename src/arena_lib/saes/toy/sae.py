"""A sparse autoencoder on each instance of a toy model: ReLU latents, unit-norm decoder, L1.

Shapes:  h "batch n_inst d_in" -> loss terms and loss "batch n_inst", latents "batch n_inst d_sae", recon "batch n_inst d_in"
Raises:  ConfigError for sizes that can't be, or that aren't the toy model's.
Source:  Bricken et al. 2023, "Towards Monosemanticity", section "Sparse Autoencoder Training" and appendix "Neuron
         Resampling".
Differs: the decoder's rows are normalised where they are used, so the gradient along a row's own length is zero by itself.
"""

from dataclasses import dataclass

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.model import ToyModel, compress, xavier_normal
from arena_lib.saes.toy.functions import (
    compute_l1_loss,
    compute_reconstruction_loss,
    decode,
    encode,
    normalize_decoder,
)
from arena_lib.saes.toy.resampling import (
    draw_directions,
    draw_examples,
    find_dead,
    mean_alive_norm,
    replace_latents,
    resampling_probabilities,
    zero_latents,
)

SAEOutput = tuple[
    dict[str, Float[Tensor, "batch n_inst"]],
    Float[Tensor, "batch n_inst"],
    Float[Tensor, "batch n_inst d_sae"],
    Float[Tensor, "batch n_inst d_in"],
]
"""Named terms of the loss, the loss, latents, reconstruction."""


@dataclass(frozen=True, kw_only=True)
class ToySAEConfig:
    """The sizes of a toy SAE and the weight of its sparsity."""

    n_inst: int = 1
    """How many SAEs are trained side by side; as many as the toy model has instances."""
    d_in: int = 2
    """Width of what it reads: the toy model's d_hidden."""
    d_sae: int = 5
    """How many latents it has."""
    sparsity_coef: float = 0.2
    """Weight of the sparsity term beside the squared error."""
    weight_normalize_eps: float = 1e-8
    """Added to the length of a decoder row before dividing by it."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_inst", "d_in", "d_sae")
        check_numbers(self, "sparsity_coef", zero_works=True)
        check_numbers(self, "weight_normalize_eps", zero_works=True)


class ToySAE(nn.Module):
    """Reads a toy model's hidden state, and writes it as a sparse sum of directions.

    `forward` gives the named terms of the loss, the loss, the latents and the reconstruction:

        latents = encode(h)                                   ReLU((h - b_dec) @ W_enc + b_enc)
        recon   = decode(latents) with W_dec_normalized       latents @ W_dec_normalized + b_dec
        loss    = reconstruction + sparsity_coef * sparsity   the terms "reconstruction" and "sparsity" of the dictionary

    The parameters are `W_enc` ("n_inst d_in d_sae"), `W_dec` ("n_inst d_sae d_in"), each Xavier normal, `b_enc` and
    `b_dec`, zeros at first. They come from `generator`; without one from a generator with seed 0. `model` is frozen:
    its parameters require no gradients any more.
    """

    def __init__(self, cfg: ToySAEConfig, model: ToyModel, generator: torch.Generator | None = None) -> None:
        super().__init__()
        n_inst, d_in = model.W.shape[:2]
        if (cfg.n_inst, cfg.d_in) != (n_inst, d_in):
            raise ConfigError(
                f"a toy SAE must have its model's n_inst and d_hidden, {n_inst} and {d_in}: got n_inst={cfg.n_inst} and "
                f"d_in={cfg.d_in}. Give ToySAEConfig those."
            )
        self.cfg = cfg
        self.model = model.requires_grad_(False)
        self.make_parameters(generator or make_generator(0))

    def make_parameters(self, generator: torch.Generator) -> None:
        """Make weights and biases; a variant with others overrides this."""
        cfg = self.cfg
        self.W_enc = nn.Parameter(xavier_normal(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=generator))
        self.W_dec = nn.Parameter(xavier_normal(cfg.n_inst, cfg.d_sae, cfg.d_in, generator=generator))
        self.b_enc = nn.Parameter(torch.zeros(cfg.n_inst, cfg.d_sae, device=generator.device))
        self.b_dec = nn.Parameter(torch.zeros(cfg.n_inst, cfg.d_in, device=generator.device))

    @property
    def W_dec_normalized(self) -> Float[Tensor, "n_inst d_sae d_in"]:
        """The decoder with rows of length 1."""
        return normalize_decoder(self.W_dec, self.cfg.weight_normalize_eps)

    @torch.no_grad()
    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Float[Tensor, "batch n_inst d_in"]:
        """Draw features from the toy model and squeeze them into its hidden state; no gradients are recorded."""
        return compress(self.model.generate_batch(batch_size, generator), self.model.W)

    def forward(self, h: Float[Tensor, "batch n_inst d_in"]) -> SAEOutput:
        """Named terms of the loss, the loss, latents, reconstruction."""
        latents = encode(h, self.W_enc, self.b_enc, self.b_dec)
        recon = decode(latents, self.W_dec_normalized, self.b_dec)
        terms = {
            "reconstruction": compute_reconstruction_loss(recon, h),
            "sparsity": compute_l1_loss(latents),
        }
        return terms, terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"], latents, recon

    def resample_simple(
        self,
        frac_active_in_window: Float[Tensor, "window n_inst d_sae"],
        resample_scale: float,
        generator: torch.Generator,
    ) -> Bool[Tensor, "n_inst d_sae"]:
        """Give each latent that was dead in the window a random direction, and say which those were.

        Its row of W_dec gets length 1, its column of W_enc length `resample_scale`, its biases become 0.
        """
        is_dead = find_dead(frac_active_in_window)
        directions = draw_directions(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, generator)
        self.revive(is_dead, directions, torch.full_like(directions[:, 0, 0], resample_scale))
        return is_dead

    def resample_advanced(
        self,
        frac_active_in_window: Float[Tensor, "window n_inst d_sae"],
        resample_scale: float,
        batch_size: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "n_inst d_sae"]:
        """Give each latent that was dead in the window the direction of a badly reconstructed example; say which.

        Of a fresh batch of `batch_size`, examples are drawn in proportion to their squared reconstruction loss. The
        direction is the example minus b_dec, with length 1 in W_dec; in W_enc its length is `resample_scale` times the
        mean of the living latents'. The latent's biases become 0.
        """
        is_dead = find_dead(frac_active_in_window)
        h = self.generate_batch(batch_size, generator)
        with torch.no_grad():
            terms, *_ = self(h)
            probabilities = resampling_probabilities(terms["reconstruction"])
            examples = draw_examples(h - self.b_dec, probabilities, self.cfg.d_sae, generator)
            directions = normalize_decoder(examples, self.cfg.weight_normalize_eps)
            self.revive(is_dead, directions, resample_scale * mean_alive_norm(self.encoder, is_dead))
        return is_dead

    @property
    def encoder(self) -> Float[Tensor, "n_inst d_in d_sae"]:
        """The matrix that decides which latents are active."""
        return self.W_enc

    def revive(
        self,
        is_dead: Bool[Tensor, "n_inst d_sae"],
        directions: Float[Tensor, "n_inst d_sae d_in"],
        enc_norm: Float[Tensor, " n_inst"],
    ) -> None:
        """Start the dead latents again with these directions; a variant with other parameters overrides this."""
        replace_latents(self.encoder, self.W_dec, is_dead, directions, enc_norm)
        zero_latents(self.b_enc, is_dead)


@torch.no_grad()
def compute_recovery(
    W_dec: Float[Tensor, "n_inst d_sae d_in"], W: Float[Tensor, "n_inst d_in n_feats"]
) -> Float[Tensor, "n_inst n_feats"]:
    """How well each true feature is found: the largest cosine similarity of its direction with any decoder direction.

    Column i of W is the direction of feature i, row j of W_dec that of latent j. 1 is complete recovery.
    """
    latents = normalize_decoder(W_dec)
    features = normalize_decoder(einops.rearrange(W, "n_inst d_in n_feats -> n_inst n_feats d_in"))
    cosines = einops.einsum(latents, features, "n_inst d_sae d_in, n_inst n_feats d_in -> n_inst d_sae n_feats")
    return cosines.amax(dim=1)
