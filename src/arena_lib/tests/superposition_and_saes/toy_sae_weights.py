"""Judges of a toy SAE's parameters and of its normalised decoder, section 1.5.4.

Shapes:  W_enc "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy import sae
from arena_lib.saes.toy.sae import ToySAEConfig
from arena_lib.tests.superposition_and_saes.toy_sae_parts import (
    build_sae,
    construct,
    own_parameters,
    sae_case,
)

__test__ = False


KEPT = ["__init__", "encoder", "revive", "resample_simple", "resample_advanced"]
"""What a learner gets, or writes in part 8."""


def init_cases(generator: torch.Generator) -> list[Case]:
    """A wide SAE, so that the weights' spread can be seen, and a narrow one."""
    sizes = {"a wide SAE": (8, 90, 130), "more inputs than latents": (9, 120, 70), "two dimensions": (3, 2, 5)}
    return [
        Case(
            label=label,
            given={"settings": ToySAEConfig(n_inst=n_inst, d_in=d_in, d_sae=d_sae)},
            call=f"ToySAE(ToySAEConfig(n_inst={n_inst}, d_in={d_in}, d_sae={d_sae}), model, generator)",
        )
        for label, (n_inst, d_in, d_sae) in sizes.items()
    ]


def parameters_made(cls: Any, case: Case) -> Observations:
    """Names, shapes, and statistics of two constructions from equal generators."""
    cfg = case.given["settings"]
    first, again, later = (own_parameters(construct(cls, cfg, seed)) for seed in (7, 7, 8))
    seen: Observations = {
        "parameters": {name: tuple(parameter.shape) for name, parameter in sorted(first.items())},
        "dtypes": sorted({str(parameter.dtype) for parameter in first.values()}),
        "are trained": all(parameter.requires_grad for parameter in first.values()),
        "equal generators give equal weights": all(torch.equal(first[name], again[name]) for name in first),
        "other generators give other weights": not torch.equal(
            *(made.get("W_enc", torch.zeros(1)) for made in (first, later))
        ),
    }
    seen |= {f"{name} is zero": not parameter.any().item() for name, parameter in first.items() if name[0] == "b"}
    matrices = {name: parameter.detach() for name, parameter in first.items() if name[0] == "W"}
    for name, matrix in matrices.items():
        seen[f"instances of {name} differ"] = not torch.equal(matrix[0], matrix[1])
    if cfg.d_in > 2 and len({matrix.numel() for matrix in matrices.values()}) == 1:
        for name, matrix in matrices.items():
            seen[f"spread of {name}"] = matrix.std()
            seen[f"mean of {name}"] = matrix.mean()
            seen[f"share of {name} beyond two spreads"] = (matrix.abs() > 2 * matrix.std()).float().mean()
        if {"W_enc", "W_dec"} <= matrices.keys() and matrices["W_enc"].mT.shape == matrices["W_dec"].shape:
            stacked = torch.stack([matrices["W_enc"].mT.flatten(), matrices["W_dec"].flatten()])
            seen["correlation of W_enc and W_dec"] = torch.corrcoef(stacked)[0, 1]
    return seen


class InitByInstance(sae.ToySAE):
    """Torch's own Xavier, one matrix after the other, the decoder first."""

    def make_parameters(self, generator: torch.Generator) -> None:
        n_inst, d_in, d_sae = self.cfg.n_inst, self.cfg.d_in, self.cfg.d_sae
        matrices = {}
        for name, rows, columns in (("W_dec", d_sae, d_in), ("W_enc", d_in, d_sae)):
            drawn = [nn.init.xavier_normal_(torch.empty(rows, columns), generator=generator) for _ in range(n_inst)]
            matrices[name] = nn.Parameter(torch.stack(drawn))
        self.W_enc, self.W_dec = matrices["W_enc"], matrices["W_dec"]
        self.b_enc = nn.Parameter(torch.zeros(n_inst, d_sae))
        self.b_dec = nn.Parameter(torch.zeros(n_inst, d_in))


ENC = "xavier_normal(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=generator)"
DEC = "xavier_normal(cfg.n_inst, cfg.d_sae, cfg.d_in, generator=generator)"
SPREAD = "Xavier's variance is 2 / (rows + columns) of one instance's matrix"
STATISTIC = Tolerance(rtol=0.0, atol=0.003)
"""Two draws of about 90,000 weights: their spreads near 0.1 differ by 0.0003, their means by 0.0005; this is over six times that."""

test_sae_init = exercise(
    name="sae_init",
    reference=sae.ToySAE,
    cases=init_cases,
    observe=parameters_made,
    keep=[*KEPT, "W_dec_normalized", "generate_batch", "forward"],
    accepts=[InitByInstance],
    tolerance={
        **{f"{what} of {name}": STATISTIC for what in ("spread", "mean") for name in ("W_enc", "W_dec")},
        **{f"share of {name} beyond two spreads": Tolerance(rtol=0.0, atol=0.008) for name in ("W_enc", "W_dec")},
        "correlation of W_enc and W_dec": Tolerance(rtol=0.0, atol=0.03),
    },
    mistakes=[
        *instead_of(
            ENC,
            {
                "torch.randn(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=generator)": (
                    "draws W_enc with spread 1",
                    SPREAD,
                ),
                "nn.init.xavier_normal_(torch.empty(cfg.n_inst, cfg.d_in, cfg.d_sae), generator=generator)": (
                    "lets torch take the instances for a part of the matrix",
                    "with three axes torch counts otherwise: draw each instance's matrix by itself, or use xavier_normal",
                ),
                "torch.zeros(cfg.n_inst, cfg.d_in, cfg.d_sae)": (
                    "begins with weights of zero",
                    "from zeros all latents would learn the same: weights are drawn",
                ),
                "xavier_normal(1, cfg.d_in, cfg.d_sae, generator=generator).repeat(cfg.n_inst, 1, 1)": (
                    "gives every instance the same W_enc",
                    "instances are independent runs, each with weights of its own",
                ),
                "torch.rand(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=generator)": (
                    "draws positive weights alone",
                    "xavier_normal draws from a normal distribution around zero",
                ),
                "(6 / (cfg.d_in + cfg.d_sae)) ** 0.5 * (2 * torch.rand(cfg.n_inst, cfg.d_in, cfg.d_sae, "
                "generator=generator) - 1)": ("draws W_enc uniformly", "Xavier normal: from a normal distribution"),
                "xavier_normal(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=torch.default_generator)": (
                    "ignores the generator",
                    "equal generators must give equal weights",
                ),
            },
            within="ToySAE.make_parameters",
        ),
        *instead_of(
            DEC,
            {
                "self.W_enc.detach().mT.clone()": (
                    "makes W_dec from W_enc",
                    "both matrices are drawn, each by itself",
                ),
                "torch.nn.functional.normalize(torch.randn(cfg.n_inst, cfg.d_sae, cfg.d_in, generator=generator), dim=-1)": (
                    "gives W_dec rows of length 1",
                    "W_dec is Xavier normal; W_dec_normalized gives its rows length 1, whenever it's used",
                ),
            },
            within="ToySAE.make_parameters",
        ),
        *instead_of(
            "nn.Parameter(torch.zeros(cfg.n_inst, cfg.d_sae, device=generator.device))",
            {
                "torch.zeros(cfg.n_inst, cfg.d_sae, device=generator.device)": (
                    "makes b_enc no parameter",
                    "only an nn.Parameter is trained",
                ),
                "nn.Parameter(torch.randn(cfg.n_inst, cfg.d_sae, generator=generator))": (
                    "draws b_enc",
                    "both biases begin at zero",
                ),
                "nn.Parameter(torch.zeros(cfg.d_sae))": (
                    "makes one b_enc for all instances",
                    "each instance has a bias of its own",
                ),
            },
            within="ToySAE.make_parameters",
        ),
    ],
)


def decoder_cases(generator: torch.Generator) -> list[Case]:
    """The usual eps, and one that can be seen."""
    usual, large = ToySAEConfig(n_inst=3), ToySAEConfig(n_inst=2, d_in=4, d_sae=3, weight_normalize_eps=0.4)
    return [
        sae_case(label, generator, 1, "ToySAE(...).W_dec_normalized", cfg)
        for label, cfg in {"the usual eps": usual, "a large eps": large}.items()
    ]


def decoder_seen(cls: Any, case: Case) -> Observations:
    """The normalised decoder, the gradient that flows through it, and what became of W_dec."""
    made = build_sae(cls, case.given["settings"], case.given["weights"])
    normalized = made.W_dec_normalized
    if not isinstance(normalized, Tensor):
        raise Unfit(f"W_dec_normalized must be a tensor: got {type(normalized).__name__}. Keep the line @property.")
    weights = torch.linspace(-1, 2, normalized.numel()).reshape(normalized.shape)
    gradient = None
    if normalized.requires_grad:
        (gradient,) = torch.autograd.grad((weights * normalized).sum(), [made.W_dec], allow_unused=True)
    return {
        "output": normalized.detach(),
        "gradient of W_dec": torch.zeros_like(made.W_dec) if gradient is None else gradient,
        "W_dec changed": not torch.equal(made.W_dec, case.given["weights"]["W_dec"]),
    }


class DecoderByHand(sae.ToySAE):
    """Writes the formula out."""

    @property
    def W_dec_normalized(self) -> Tensor:
        return self.W_dec / (self.W_dec.pow(2).sum(dim=-1, keepdim=True).sqrt() + self.cfg.weight_normalize_eps)


test_sae_W_dec_normalized = exercise(  # noqa: N816  (learners know it by this name)
    name="sae_W_dec_normalized",
    reference=sae.ToySAE,
    cases=decoder_cases,
    observe=decoder_seen,
    keep=[*KEPT, "make_parameters", "generate_batch", "forward"],
    accepts=[DecoderByHand],
    mistakes=[
        *instead_of(
            "return normalize_decoder(self.W_dec, self.cfg.weight_normalize_eps)",
            {
                "return self.W_dec": ("does not normalise", "each row is divided by its length"),
                "return normalize_decoder(self.W_dec.mT, self.cfg.weight_normalize_eps).mT": (
                    "normalises over the latents",
                    "a latent's direction is a row of W_dec: its length is over d_in",
                ),
                "return normalize_decoder(self.W_dec)": (
                    "ignores weight_normalize_eps",
                    "the eps is a setting: self.cfg.weight_normalize_eps",
                ),
                "return normalize_decoder(self.W_dec.detach(), self.cfg.weight_normalize_eps)": (
                    "detaches W_dec",
                    "W_dec learns through its normalised form",
                ),
                "self.W_dec.data = normalize_decoder(self.W_dec.data, self.cfg.weight_normalize_eps)\n        return self.W_dec": (
                    "normalises W_dec in place",
                    "W_dec stays as it is: what is normalised is a new tensor",
                ),
                "return normalize_decoder(self.W_enc.mT, self.cfg.weight_normalize_eps)": (
                    "normalises the encoder",
                    "it's the decoder's rows that get length 1",
                ),
            },
            within="ToySAE.W_dec_normalized",
        ),
    ],
)
