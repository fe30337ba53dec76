"""Do toy SAEs find the true features? A study over seeds, and a moving picture of one run.

Shapes:  recovery "n_seeds n_inst n_feats"; losses "n_seeds n_inst"
Source:  own derivation; the measure is that of Sharkey et al. 2022, "Taking features out of superposition with sparse
         autoencoders": the mean maximal cosine similarity, here for each true feature by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.plots.bars import bars
from arena_lib.plots.superposition.recovery import recovery
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import ToyTrainingConfig, cosine_lr, train_toy_model
from arena_lib.saes.toy.gated import GatedToySAE
from arena_lib.saes.toy.jumprelu import JumpReLUToySAE, JumpReLUToySAEConfig
from arena_lib.saes.toy.sae import ToySAE, ToySAEConfig, compute_recovery
from arena_lib.saes.toy.training import Resampling, ToySAETrainingConfig, train_toy_sae
from arena_lib.wording import counted

FOUND = 0.95
"""A feature is found if some latent's direction has at least this cosine similarity with it."""
FEATURE_PROBABILITY = 0.05
D_SAE = 5


@dataclass(frozen=True)
class Variant:
    """An SAE and what becomes of its dead latents."""

    sae_class: type[ToySAE]
    """The kind of SAE."""
    config_class: type[ToySAEConfig]
    """Its config."""
    resampling: Resampling
    """See `ToySAETrainingConfig`."""


VARIANTS = {
    "L1, no resampling": Variant(ToySAE, ToySAEConfig, "none"),
    "L1, simple": Variant(ToySAE, ToySAEConfig, "simple"),
    "L1, advanced": Variant(ToySAE, ToySAEConfig, "advanced"),
    "gated": Variant(GatedToySAE, ToySAEConfig, "advanced"),
    "JumpReLU": Variant(JumpReLUToySAE, JumpReLUToySAEConfig, "advanced"),
}
"""What the study compares."""


@dataclass(frozen=True)
class RecoveryStudy:
    """How well one variant found the features."""

    recovery: Float[Tensor, "n_seeds n_inst n_feats"]
    """The largest cosine similarity of each true feature with any latent's direction."""
    losses: Float[Tensor, "n_seeds n_inst"]
    """The training loss at the end."""

    @property
    def is_complete(self) -> Bool[Tensor, "n_seeds n_inst"]:
        """Which SAEs found every feature."""
        return (self.recovery >= FOUND).all(dim=-1)

    @property
    def is_best_complete(self) -> Bool[Tensor, " n_seeds"]:
        """For which seeds the SAE with the lowest loss found every feature: it can be chosen without the truth."""
        best = self.losses.argmin(dim=1, keepdim=True)
        return self.is_complete.gather(1, best)[:, 0]


def train_pentagon(n_copies: int, seed: int, n_steps: int = 2_000) -> ToyModel:
    """Train a toy model with five equally important, sparse features in two dimensions, and copy it `n_copies` times.

    So many SAEs read the same model, and their losses can be compared.
    """
    cfg = ToyModelConfig(n_feats=5, d_hidden=2)
    model = ToyModel(cfg, FEATURE_PROBABILITY, generator=make_generator(seed))
    train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, lr=1e-2, schedule=cosine_lr, seed=seed))
    copies = ToyModel(replace(cfg, n_inst=n_copies), FEATURE_PROBABILITY)
    copies.load_state_dict(
        {name: tensor.expand(n_copies, *tensor.shape[1:]) for name, tensor in model.state_dict().items()}
    )
    return copies


def make_sae(variant: Variant, model: ToyModel, seed: int) -> ToySAE:
    """An SAE with as many latents as there are features, for each instance of the model."""
    n_inst, d_in = model.W.shape[:2]
    return variant.sae_class(
        variant.config_class(n_inst=n_inst, d_in=d_in, d_sae=D_SAE), model, make_generator(seed + 1)
    )


def study_recovery(
    name: str, seeds: Sequence[int] = range(5), n_inst: int = 16, n_steps: int = 4_000, n_toy_steps: int = 2_000
) -> RecoveryStudy:
    """For each seed train a toy model, then `n_inst` SAEs of the variant of this name on it."""
    variant = VARIANTS[name]
    found, losses = [], []
    for seed in seeds:
        model = train_pentagon(n_inst, seed, n_toy_steps)
        sae = make_sae(variant, model, seed)
        history = train_toy_sae(
            sae, ToySAETrainingConfig(n_steps=n_steps, resampling=variant.resampling, seed=seed + 2)
        )
        found.append(compute_recovery(sae.W_dec, model.W))
        losses.append(history.terms["loss"][-1])
    return RecoveryStudy(torch.stack(found).cpu(), torch.stack(losses))


def draw_recovery(
    n_seeds: int = 5, n_inst: int = 16, n_steps: int = 4_000, n_toy_steps: int = 2_000, seed: int = 0
) -> list[go.Figure]:
    """For each variant the share of SAEs that found every feature, and of seeds whose best SAE did."""
    studies = {
        name: study_recovery(name, range(seed, seed + n_seeds), n_inst, n_steps, n_toy_steps) for name in VARIANTS
    }
    shares = {
        "of all SAEs": [study.is_complete.double().mean().item() for study in studies.values()],
        "of each seed's SAE of lowest loss": [
            study.is_best_complete.double().mean().item() for study in studies.values()
        ],
    }
    return [
        bars(
            shares,
            list(studies),
            y_title="share that found all five features",
            title=f"{counted(n_seeds, 'seed')} with {counted(n_inst, 'SAE')} each, as many latents as features",
        ),
        draw_run(n_steps=n_steps, n_toy_steps=n_toy_steps, seed=seed),
    ]


def draw_run(
    name: str = "L1, advanced", n_inst: int = 5, n_steps: int = 4_000, n_toy_steps: int = 2_000, seed: int = 0
) -> go.Figure:
    """A run as a moving picture: latents that die, are resampled, and find the features."""
    variant = VARIANTS[name]
    model = train_pentagon(n_inst, seed, n_toy_steps)
    sae = make_sae(variant, model, seed)
    config = ToySAETrainingConfig(
        n_steps=n_steps, resampling=variant.resampling, log_every=max(1, n_steps // 40), seed=seed + 2
    )
    history = train_toy_sae(sae, config)
    return recovery(model.W, history.W_dec, history.frac_active, history.steps.tolist(), title=name)
