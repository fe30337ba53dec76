"""Judge of resampling with random directions, section 1.5.4.

Shapes:  frac_active_in_window "window n_inst d_sae"; W_enc "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.core.seeds import make_generator
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


def simple_cases(generator: torch.Generator) -> list[Case]:
    """Some are dead, none, and so many that the spread of the new directions can be seen."""
    call = "resample_simple(window, {}, generator)"
    return [
        resampling_case("some are dead", generator, 0.4, (3, 2, 6), call.format(0.5), scale=0.5),
        resampling_case("none is dead", generator, 0.0, (2, 3, 5), call.format(0.5), scale=0.5),
        resampling_case("all are dead", generator, 1.0, (2, 4, 3), call.format(1.7), scale=1.7),
        resampling_case("hundreds are dead", generator, 0.9, (2, 40, 300), call.format(0.2), scale=0.2),
    ]


def simply_resampled(cls: Any, case: Case) -> Observations:
    """What became of the weights, and how the new directions are spread."""
    made, again = (build_sae(cls, case.given["settings"], case.given["weights"]) for _ in range(2))
    generator = make_generator(6)
    returned, before = resampled(case, made, generator)
    resampled(case, again, make_generator(6))
    is_dead = (case.given["window"] == 0).all(dim=0)
    new = made.W_dec.detach()
    seen = {"returned": returned, "equal generators give equal directions": torch.equal(new, again.W_dec)}
    seen |= afterwards(made, case, is_dead, before)
    if is_dead.any():
        resampled(case, again, generator)
        seen["a second call draws anew"] = not torch.equal(new[is_dead], again.W_dec.detach()[is_dead])
        seen["each gets a direction of its own"] = (
            len({tuple(row) for row in new[is_dead].tolist()}) == is_dead.sum().item()
        )
    if is_dead.sum() > 400:
        scaled = new[is_dead] * new.shape[-1] ** 0.5  # entries of random directions have variance 1
        seen["mean of the directions"] = scaled.mean(dim=0)
        seen["variance of the directions"] = scaled.var(dim=0)
        seen["fourth moment of the directions"] = scaled.pow(4).mean()
    return seen


class SimplyByHand(sae.ToySAE):
    """Draws for the dead latents alone, and writes through indices."""

    @torch.no_grad()
    def resample_simple(
        self, frac_active_in_window: Tensor, resample_scale: float, generator: torch.Generator
    ) -> Tensor:
        is_dead = frac_active_in_window.sum(dim=0) == 0
        drawn = torch.randn(int(is_dead.sum()), self.cfg.d_in, generator=generator)
        drawn = drawn / drawn.norm(dim=-1, keepdim=True)
        self.W_dec[is_dead] = drawn
        self.W_enc.mT[is_dead] = resample_scale * drawn
        self.b_enc[is_dead] = 0.0
        return is_dead


DIRECTIONS = "draw_directions(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, generator)"
test_resample_simple = exercise(
    name="resample_simple",
    reference=sae.ToySAE,
    cases=simple_cases,
    observe=simply_resampled,
    keep=[*KEPT, "resample_advanced"],
    accepts=[SimplyByHand],
    tolerance={  # two runs of 540 directions differ with spreads of 0.06, 0.086 and 0.1
        "mean of the directions": Tolerance(rtol=0.0, atol=0.4),
        "variance of the directions": Tolerance(rtol=0.0, atol=0.6),
        "fourth moment of the directions": Tolerance(rtol=0.0, atol=0.7),
    },
    equivalent={"torch.full_like(directions[:, 0, 0], resample_scale)": "any entry of an instance has the right form"},
    mistakes=[
        *in_finding("resample_simple"),
        *instead_of(
            DIRECTIONS,
            {
                "torch.randn(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, generator=generator)": (
                    "does not give the directions length 1",
                    "a direction has length 1 in W_dec, and length resample_scale in W_enc",
                ),
                "normalize_decoder(torch.rand(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, generator=generator))": (
                    "draws positive directions alone",
                    "every direction is as likely as any other: draw from a normal distribution",
                ),
                "normalize_decoder(2 * torch.rand(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, generator=generator) - 1)": (
                    "draws directions from a cube",
                    "the corners of a cube would be likelier: draw from a normal distribution, then normalise",
                ),
                "draw_directions(self.cfg.n_inst, 1, self.cfg.d_in, generator).expand(-1, self.cfg.d_sae, -1)": (
                    "gives all dead latents the same direction",
                    "each dead latent gets a direction of its own",
                ),
                "draw_directions(1, self.cfg.d_sae, self.cfg.d_in, generator).expand(self.cfg.n_inst, -1, -1)": (
                    "gives all instances the same directions",
                    "each dead latent gets a direction of its own",
                ),
                "draw_directions(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, make_generator(0))": (
                    "makes a generator of its own",
                    HANDED_IN,
                ),
                "draw_directions(self.cfg.n_inst, self.cfg.d_sae, self.cfg.d_in, torch.default_generator)": (
                    "ignores the generator",
                    HANDED_IN,
                ),
            },
            within="ToySAE.resample_simple",
        ),
        *instead_of(
            "torch.full_like(directions[:, 0, 0], resample_scale)",
            {
                "torch.ones_like(directions[:, 0, 0])": (
                    "leaves out resample_scale",
                    "in W_enc the new direction has length resample_scale",
                ),
                "resample_scale * mean_alive_norm(self.encoder, is_dead)": (
                    "takes the living latents' length into account",
                    "here the length in W_enc is resample_scale itself; the advanced way takes a share of the living ones'",
                ),
            },
            within="ToySAE.resample_simple",
        ),
        *in_returning("resample_simple"),
        *IN_REVIVING,
    ],
)
