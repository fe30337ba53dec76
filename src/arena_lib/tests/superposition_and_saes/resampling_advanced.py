"""Judge of resampling with badly reconstructed examples, section 1.5.4.

Shapes:  frac_active_in_window "window n_inst d_sae"; W_enc "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy import sae
from arena_lib.tests.superposition_and_saes.resampling_runs import (
    HANDED_IN,
    IN_REVIVING,
    afterwards,
    in_finding,
    in_returning,
    resampled,
    resampling_case,
)
from arena_lib.tests.superposition_and_saes.toy_sae_parts import build_sae

__test__ = False

KEPT = ["__init__", "make_parameters", "W_dec_normalized", "generate_batch", "forward", "encoder", "revive"]
"""What a learner gets, or has written in part 6."""
SEEDS = (0, 0, 1, 2, 3, 4, 5, 6, 7)
"""Of the generators for a case's runs, each from the weights that it begins with; the first two must be equal."""
STATES = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
"""Which of the two features are there, in each of the four hidden states."""


def advanced_cases(generator: torch.Generator) -> list[Case]:
    """Hidden states of four kinds, some of them reconstructed badly; one example; no latent that lives."""
    call = "resample_advanced(window, {}, {}, generator)"
    cases = [
        resampling_case("many are dead", generator, 0.95, (2, 2, 250), call.format(0.5, 300), scale=0.5, batch=300),
        resampling_case("one example", generator, 0.6, (2, 2, 9), call.format(1.5, 1), scale=1.5, batch=1),
        resampling_case("no latent lives", generator, 1.0, (2, 2, 4), call.format(0.2, 50), scale=0.2, batch=50),
        resampling_case("none is dead", generator, 0.0, (2, 2, 5), call.format(0.5, 20), scale=0.5, batch=20),
    ]
    for case in cases:
        is_dead = (case.given["window"] == 0).all(dim=0)
        case.given["weights"]["b_enc"].mul_(0.03).masked_fill_(is_dead, -100.0)  # what is dead is silent
        case.given["weights"]["W_enc"].mul_(0.05)  # what lives says little, so errors differ from state to state
    return cases


def make_model_with_few_states() -> ToyModel:
    """A toy model of two features that have size 1 wherever they are present."""
    cfg = ToyModelConfig(n_inst=2, n_feats=2, d_hidden=2, magnitude_low=1.0, magnitude_high=1.0)
    model = ToyModel(cfg, 0.5, generator=make_generator(3))
    with torch.no_grad():
        model.W.copy_(torch.tensor([[[1.0, 0.3], [0.2, 1.4]], [[-0.8, 0.9], [0.5, 1.1]]]))
    return model


def frequencies_of_states(made: Any, is_dead: Tensor) -> Tensor:
    """Of each instance's new directions the share that each hidden state, less b_dec, gave."""
    states = einops.einsum(STATES, made.model.W.detach(), "state feats, inst d feats -> inst state d")
    states = states - made.b_dec.detach()[:, None]
    states = states / states.norm(dim=-1, keepdim=True)
    cosines = einops.einsum(made.W_dec.detach(), states, "inst sae d, inst state d -> inst sae state")
    is_state = (cosines > 1 - 1e-5).float() * is_dead[..., None]
    return is_state.sum(dim=1) / is_dead.sum(dim=-1, keepdim=True)


def resampled_by_examples(cls: Any, case: Case) -> Observations:
    """What became of the weights, and which hidden states the new directions are."""
    is_dead, batch = (case.given["window"] == 0).all(dim=0), case.given["batch"]
    rounds, seen = [], {}
    for run, seed in enumerate(SEEDS if is_dead.sum() > 100 or batch == 1 else SEEDS[:2]):
        made = build_sae(cls, case.given["settings"], case.given["weights"], make_model_with_few_states())
        generator = make_generator(seed)
        returned, before = resampled(case, made, generator, batch)
        if run == 0:
            seen = {"returned": returned} | afterwards(made, case, is_dead, before)
            first = made.W_dec.detach().clone()
        if run == 1:
            seen["equal generators give equal directions"] = torch.equal(first, made.W_dec)
        if is_dead.any():
            rounds.append(frequencies_of_states(made, is_dead))
    if not is_dead.any():
        return seen
    frequencies = torch.stack(rounds[1:])
    seen["every direction is an example less b_dec"] = torch.allclose(frequencies.sum(dim=-1), torch.ones(1))
    if batch == 1:
        seen["most directions in an instance"] = int((frequencies[0] > 0).sum(dim=-1).max())
        seen["other generators give other batches"] = not (frequencies == frequencies[0]).all()
    elif len(rounds) == len(SEEDS):
        seen["how often each hidden state was taken"] = frequencies.mean(dim=0)
    return seen


class AdvancedByHand(sae.ToySAE):
    """Goes through the instances, and draws for the dead latents alone."""

    @torch.no_grad()
    def resample_advanced(
        self, frac_active_in_window: Tensor, resample_scale: float, batch_size: int, generator: torch.Generator
    ) -> Tensor:
        is_dead = frac_active_in_window.amax(dim=0) == 0
        h = self.generate_batch(batch_size, generator)
        losses = self.forward(h)[0]["reconstruction"].square()
        for inst in range(self.cfg.n_inst):
            dead = is_dead[inst].nonzero().flatten()
            if not len(dead):
                continue
            drawn = torch.multinomial(losses[:, inst], len(dead), replacement=True, generator=generator)
            vectors = h[drawn, inst] - self.b_dec[inst]
            vectors = vectors / vectors.norm(dim=-1, keepdim=True)
            living = self.W_enc[inst][:, ~is_dead[inst]].norm(dim=0)
            length = resample_scale * (living.mean() if len(living) else 1.0)
            self.W_dec[inst, dead] = vectors
            self.W_enc[inst][:, dead] = length * vectors.T
            self.b_enc[inst, dead] = 0.0
        return is_dead


NORM = "resample_scale * mean_alive_norm(self.encoder, is_dead)"
LENGTH = "in W_enc the new direction's length is resample_scale times the mean of the living latents' there"
BADLY = "badly reconstructed examples hold what no latent stands for yet: draw in proportion to the squared loss"

test_resample_advanced = exercise(
    name="resample_advanced",
    reference=sae.ToySAE,
    cases=advanced_cases,
    observe=resampled_by_examples,
    keep=[*KEPT, "resample_simple"],
    accepts=[AdvancedByHand],
    # Eight runs of 240 draws: two such means differ with a spread of at most 0.017.
    tolerance={"how often each hidden state was taken": Tolerance(rtol=0.0, atol=0.11)},
    mistakes=[
        *in_finding("resample_advanced"),
        *instead_of(
            NORM,
            {
                "resample_scale * torch.ones_like(self.W_enc[:, 0, 0])": (
                    "leaves out the living latents' length",
                    LENGTH,
                ),
                "mean_alive_norm(self.encoder, is_dead)": ("leaves out resample_scale", LENGTH),
                "resample_scale * self.encoder.norm(dim=1).mean(dim=-1)": (
                    "takes the mean length of all latents",
                    "the dead ones' lengths say nothing: the mean is over those that live",
                ),
                "resample_scale * mean_alive_norm(self.W_dec.mT, is_dead)": (
                    "takes the length of the living latents in W_dec",
                    LENGTH,
                ),
                "resample_scale * mean_alive_norm(self.encoder, is_dead).mean().expand(self.cfg.n_inst)": (
                    "takes one length for all instances",
                    "each instance's living latents have a mean of their own",
                ),
            },
            within="ToySAE.resample_advanced",
        ),
        *instead_of(
            "h - self.b_dec,",
            {
                "h,": ("does not take b_dec away", "a direction starts at b_dec, as the latents' sum does"),
                "h - self(h)[3],": (
                    "takes the error for the direction",
                    "the direction is the example itself, less b_dec",
                ),
            },
            within="ToySAE.resample_advanced",
        ),
        *instead_of(
            'probabilities = resampling_probabilities(terms["reconstruction"])',
            {
                'probabilities = torch.ones_like(terms["reconstruction"])': (
                    "draws each example with the same probability",
                    BADLY,
                ),
                'probabilities = terms["reconstruction"] / terms["reconstruction"].sum(dim=0)': (
                    "does not square the losses",
                    BADLY,
                ),
                'probabilities = resampling_probabilities(terms["sparsity"] + 1e-9)': (
                    "draws by the sparsity loss",
                    BADLY,
                ),
                "probabilities = resampling_probabilities(self(h)[1])": (
                    "draws by the whole loss",
                    "sparsity doesn't say what is missing: an example with many active latents may be reconstructed well",
                ),
                'probabilities = (terms["reconstruction"] == terms["reconstruction"].amax(dim=0)).to(h.dtype)': (
                    "always takes the worst example",
                    "worse examples are likelier, and none is certain: draw",
                ),
            },
            within="ToySAE.resample_advanced",
        ),
        *instead_of(
            "probabilities, self.cfg.d_sae, generator)",
            {"probabilities, self.cfg.d_sae, torch.default_generator)": ("ignores the generator", HANDED_IN)},
            within="ToySAE.resample_advanced",
        ),
        *instead_of(
            "h = self.generate_batch(batch_size, generator)",
            {
                "h = self.generate_batch(batch_size, torch.default_generator)": ("ignores the generator", HANDED_IN),
                "h = self.generate_batch(batch_size, make_generator(0))": ("makes a generator of its own", HANDED_IN),
            },
            within="ToySAE.resample_advanced",
        ),
        *instead_of(
            "directions = normalize_decoder(examples, self.cfg.weight_normalize_eps)",
            {
                "directions = examples": (
                    "does not give the directions length 1",
                    "a direction has length 1 in W_dec",
                ),
                "directions = normalize_decoder(examples[:, :1], self.cfg.weight_normalize_eps).expand_as(examples)": (
                    "gives all dead latents the same direction",
                    "each dead latent gets an example of its own",
                ),
            },
            within="ToySAE.resample_advanced",
        ),
        *in_returning("resample_advanced"),
        *IN_REVIVING,
    ],
)
