"""Small toy models and toy SAEs that the judges of section 1.5.4 share."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Unfit
from arena_lib.checking.observing import Observations, Observer, outputs_and_gradients
from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy.sae import ToySAEConfig

__test__ = False


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


def settings_case(label: str, generator: torch.Generator, batch: int, call: str, **settings: Any) -> Case:
    """A case with a configuration, weights for it, and hidden states."""
    cfg = ToySAEConfig(**settings)
    n_inst, d_in, d_sae = cfg.n_inst, cfg.d_in, cfg.d_sae
    shapes = {"W_enc": (n_inst, d_in, d_sae), "W_dec": (n_inst, d_sae, d_in), "b_enc": (n_inst, d_sae)}
    weights = draw_weights(shapes | {"b_dec": (n_inst, d_in)}, generator)
    h = torch.randn(batch, n_inst, d_in, generator=generator)
    axes = {"latents": "batch n_inst d_sae", "recon": "batch n_inst d_in", "loss": "batch n_inst"}
    axes |= {"terms['reconstruction']": "batch n_inst", "terms['sparsity']": "batch n_inst"}
    axes |= {"output": "n_inst d_sae d_in"}
    return Case(label=label, call=call, given={"settings": cfg, "weights": weights, "h": h}, axes=axes)


def build_sae(cls: Any, cfg: ToySAEConfig, weights: Mapping[str, Tensor], model: ToyModel | None = None) -> Any:
    """An SAE of a learner's class with these weights, on `model` or one with random weights."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass the class, without calling it.")
    sae = cls(cfg, model or make_toy_model(cfg.n_inst, cfg.d_in), make_generator(5))
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
