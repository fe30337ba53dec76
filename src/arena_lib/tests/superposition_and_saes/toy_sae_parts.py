"""What the judges of toy SAEs in section 1.5.4 share: small models, cases, observations, and mistakes in a forward pass."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, instead_of
from arena_lib.checking.observing import Observations, Observer, outputs_and_gradients
from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy.sae import ToySAEConfig

__test__ = False

LOSS = 'terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"]'


def make_toy_model(n_inst: int, d_in: int, *, n_feats: int = 5, probability: float = 0.4, seed: int = 3) -> ToyModel:
    """A toy model with random weights, which need nothing to be the ones that training finds."""
    cfg = ToyModelConfig(n_inst=n_inst, n_feats=n_feats, d_hidden=d_in)
    return ToyModel(cfg, probability, generator=make_generator(seed))


def own_parameters(sae: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of an SAE by name, without those of its toy model."""
    return {name: parameter for name, parameter in sae.named_parameters() if not name.startswith("model.")}


def draw_weights(shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> dict[str, Tensor]:
    """Weights for each parameter: none is zero or one, so that none can be left out."""
    return {name: 0.6 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def sae_case(
    label: str,
    generator: torch.Generator,
    batch: int,
    call: str,
    cfg: ToySAEConfig,
    *,
    encoder: str = "W_enc",
    of_latents: Sequence[str] = ("b_enc",),
) -> Case:
    """A case with a configuration, weights for it, and hidden states.

    `encoder` names the matrix that reads h, `of_latents` the parameters with a number for each latent.
    """
    n_inst, d_in, d_sae = cfg.n_inst, cfg.d_in, cfg.d_sae
    shapes = {encoder: (n_inst, d_in, d_sae), "W_dec": (n_inst, d_sae, d_in), "b_dec": (n_inst, d_in)}
    weights = draw_weights(shapes | dict.fromkeys(of_latents, (n_inst, d_sae)), generator)
    h = torch.randn(batch, n_inst, d_in, generator=generator)
    axes = {"latents": "batch n_inst d_sae", "recon": "batch n_inst d_in", "loss": "batch n_inst"}
    axes |= {f"terms[{name!r}]": "batch n_inst" for name in ("reconstruction", "sparsity", "auxiliary")}
    axes |= {"output": "n_inst d_sae d_in", "W_mag": "n_inst d_in d_sae", "theta": "n_inst d_sae"}
    return Case(label=label, call=call, given={"settings": cfg, "weights": weights, "h": h}, axes=axes)


def construct(cls: Any, cfg: ToySAEConfig, seed: int, model: ToyModel | None = None) -> Any:
    """An SAE of a learner's class, on `model` or one with random weights."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass the class, without calling it.")
    return cls(cfg, model or make_toy_model(cfg.n_inst, cfg.d_in), make_generator(seed))


def build_sae(cls: Any, cfg: ToySAEConfig, weights: Mapping[str, Tensor], model: ToyModel | None = None) -> Any:
    """An SAE of a learner's class with these weights, on `model` or one with random weights."""
    sae = construct(cls, cfg, 5, model)
    own = own_parameters(sae)
    if own.keys() != weights.keys():
        raise Unfit(
            f"{cls.__name__} must have exactly the parameters {', '.join(sorted(weights))}: got "
            f"{', '.join(sorted(own)) or 'none'}. Write make_parameters first, with these names."
        )
    with torch.no_grad():
        for name, weight in weights.items():
            own[name].copy_(weight)
    return sae


def forward_seen(sae: Any, h: Tensor) -> Observations:
    """The four results of `forward`, and the gradient of the mean loss for each parameter."""
    result = sae(h)
    if not (isinstance(result, tuple) and len(result) == 4 and isinstance(result[0], dict)):
        got = f"{len(result)} results" if isinstance(result, tuple) else type(result).__name__
        raise Unfit(f"forward must return (terms, loss, latents, recon), terms a dictionary: got {got}.")
    terms, loss, latents, recon = result
    seen = {"names of the terms": sorted(terms), "latents": latents, "recon": recon}
    seen |= {f"terms[{name!r}]": term for name, term in terms.items()}
    seen["loss"] = loss
    parameters = own_parameters(sae)
    gradients: Sequence[Tensor | None] = (None,) * len(parameters)
    if isinstance(loss, Tensor) and loss.requires_grad:
        gradients = torch.autograd.grad(loss.mean(dim=0).sum(), list(parameters.values()), allow_unused=True)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        seen[f"gradient of {name}"] = torch.zeros_like(parameter) if gradient is None else gradient
    return {name: value.detach() if isinstance(value, Tensor) else value for name, value in seen.items()}


def without_gradient_of(name: str) -> Observer:
    """As `outputs_and_gradients`, but for a target, which a solution may detach."""

    def observe(function: Any, case: Any) -> Observations:
        seen = outputs_and_gradients(function, case)
        seen.pop(f"gradient of {name}", None)
        return seen

    return observe


def in_weighing(loss: str, within: str, *, default: float) -> tuple[Mistake, ...]:
    """Mistakes with the weight of the sparsity term, which is `default` if nobody sets it, in the loss of a forward pass."""
    sparsity = 'self.cfg.sparsity_coef * terms["sparsity"]'
    return instead_of(
        loss,
        {
            loss.replace("self.cfg.sparsity_coef * ", ""): (
                "leaves out sparsity_coef",
                "the sparsity term counts sparsity_coef",
            ),
            loss.replace("self.cfg.sparsity_coef", str(default)): (
                f"always takes {default} for sparsity_coef",
                "the weight is a setting: self.cfg.sparsity_coef",
            ),
            loss.replace(f" + {sparsity}", ""): (
                "leaves out the sparsity term",
                "without it nothing makes the latents sparse",
            ),
            loss.replace(f" + {sparsity}", f" - {sparsity}"): (
                "subtracts the sparsity term",
                "both terms are to be made small, so both are added",
            ),
            f"({loss}).mean(dim=0).sum()": (
                "makes one number of the loss",
                "each example of each instance has a loss of its own: the training loop takes mean and sum",
            ),
        },
        within=within,
    )


def in_decoding(within: str) -> tuple[Mistake, ...]:
    """Mistakes where the latents of a forward pass are decoded."""
    return instead_of(
        "decode(latents, self.W_dec_normalized, self.b_dec)",
        {
            "decode(latents, self.W_dec, self.b_dec)": (
                "decodes with W_dec as it is",
                "each direction has length 1, so that the latents alone say how strong it is: decode with W_dec_normalized",
            ),
            "decode(latents, self.W_dec_normalized, 0 * self.b_dec)": (
                "does not add b_dec back",
                "the encoder took b_dec away, so the decoder adds it",
            ),
            "decode(latents, self.W_dec_normalized.detach(), self.b_dec)": (
                "detaches the decoder",
                "the decoder learns from the reconstruction",
            ),
            "decode(latents, self.W_enc.mT, self.b_dec)": (
                "decodes with the encoder's weights",
                "the decoder has a matrix of its own",
            ),
            "decode(latents.detach(), self.W_dec_normalized, self.b_dec)": (
                "detaches the latents before decoding",
                "the encoder learns from the reconstruction",
            ),
        },
        within=within,
    )
