"""Judges of a toy SAE's batches and of its forward pass, section 1.5.4.

Shapes:  h "batch n_inst d_in"; latents "batch n_inst d_sae"
"""

from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.core.seeds import make_generator
from arena_lib.saes.toy import sae
from arena_lib.saes.toy.sae import ToySAEConfig
from arena_lib.tests.superposition_and_saes.toy_sae_parts import (
    LOSS,
    build_sae,
    construct,
    forward_seen,
    in_decoding,
    in_weighing,
    sae_case,
)

__test__ = False


KEPT = ["__init__", "encoder", "revive", "resample_simple", "resample_advanced"]
"""What a learner gets, or writes in part 8."""


def batch_cases(generator: torch.Generator) -> list[Case]:
    """Several instances, one, and one example."""
    calls = {"three instances": (6, 3, 2, 4), "one instance": (5, 1, 3, 7), "one example": (1, 4, 3, 2)}
    return [
        Case(
            label=label,
            call=f"ToySAE(...).generate_batch({batch}, generator)",
            given={"batch": batch, "settings": ToySAEConfig(n_inst=n_inst, d_in=d_in, d_sae=d_sae)},
            axes={"output": "batch n_inst d_in"},
        )
        for label, (batch, n_inst, d_in, d_sae) in calls.items()
    ]


def batch_seen(cls: Any, case: Case) -> Observations:
    """A batch, a second one, and whether gradients were recorded, though the model's weights would take them."""
    made, generator = construct(cls, case.given["settings"], 2), make_generator(4)
    made.model.requires_grad_(True)
    output = made.generate_batch(case.given["batch"], generator)
    return {
        "output": output.detach() if isinstance(output, Tensor) else output,
        "records gradients": bool(getattr(output, "requires_grad", False)),
        "a second call draws anew": not torch.equal(output, made.generate_batch(case.given["batch"], generator)),
    }


class BatchByMatmul(sae.ToySAE):
    """Multiplies by the transposed matrices, with the model's weights detached."""

    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Tensor:
        features = self.model.generate_batch(batch_size, generator)
        return (features[:, :, None] @ self.model.W.detach().mT)[:, :, 0]


DRAWN = "compress(self.model.generate_batch(batch_size, generator), self.model.W)"

test_sae_generate_batch = exercise(
    name="sae_generate_batch",
    reference=sae.ToySAE,
    cases=batch_cases,
    observe=batch_seen,
    keep=[*KEPT, "make_parameters", "W_dec_normalized", "forward"],
    accepts=[BatchByMatmul],
    mistakes=[
        Mistake(
            "records gradients",
            "@torch.no_grad()\n    def generate_batch",
            "def generate_batch",
            within="ToySAE.generate_batch",
            why="the toy model isn't trained any more: @torch.no_grad() keeps its operations out of the graph",
        ),
        *instead_of(
            DRAWN,
            {
                "self.model.generate_batch(batch_size, generator)": (
                    "returns the features",
                    "the SAE reads the hidden state, what is left of them in few dimensions",
                ),
                "self.model(self.model.generate_batch(batch_size, generator))": (
                    "returns the model's output",
                    "the SAE reads the hidden state, before the model reads the features off again",
                ),
                "compress(self.model(self.model.generate_batch(batch_size, generator)), self.model.W)": (
                    "squeezes the model's output",
                    "the SAE reads the hidden state of the features themselves, before the model reads them off again",
                ),
                "torch.relu(compress(self.model.generate_batch(batch_size, generator), self.model.W))": (
                    "applies a ReLU to the hidden state",
                    "the hidden state of a toy model is linear: W @ features",
                ),
                "compress(self.model.generate_batch(batch_size, generator), self.model.W[:1].expand_as(self.model.W))": (
                    "takes the first instance's W for all",
                    "each instance has a toy model of its own",
                ),
                "compress(self.model.generate_batch(batch_size, generator), self.model.W / self.model.W.norm(dim=1, keepdim=True))": (
                    "gives every direction length 1",
                    "the hidden state is the toy model's own: W @ features, whatever the lengths",
                ),
                "compress(self.model.generate_batch(batch_size, make_generator(0)), self.model.W)": (
                    "makes a generator of its own",
                    "the generator that was given decides, and goes on from call to call",
                ),
                "compress(self.model.generate_batch(batch_size, generator).sign(), self.model.W)": (
                    "says only which features are present",
                    "features have sizes",
                ),
            },
            within="ToySAE.generate_batch",
        ),
    ],
)


def forward_cases(generator: torch.Generator) -> list[Case]:
    """Other sizes, coefficients and eps."""
    settings: dict[str, tuple[int, dict[str, Any]]] = {
        "three instances": (6, {"n_inst": 3, "d_in": 2, "d_sae": 5, "sparsity_coef": 0.3}),
        "one instance": (4, {"n_inst": 1, "d_in": 3, "d_sae": 7, "sparsity_coef": 2.0}),
        "no weight on sparsity": (3, {"n_inst": 2, "d_in": 4, "d_sae": 3, "sparsity_coef": 0.0}),
        "one example, and a large eps": (1, {"n_inst": 2, "d_in": 3, "d_sae": 4, "weight_normalize_eps": 0.5}),
    }
    return [
        sae_case(label, generator, batch, "ToySAE(...)(h)", ToySAEConfig(**fields))
        for label, (batch, fields) in settings.items()
    ]


def forward_of_toy_sae(cls: Any, case: Case) -> Observations:
    """The results, and the gradients."""
    return forward_seen(build_sae(cls, case.given["settings"], case.given["weights"]), case.given["h"])


class ForwardInOnePiece(sae.ToySAE):
    """Writes all formulas out."""

    def forward(self, h: Tensor) -> Any:
        products = einops.einsum(h - self.b_dec, self.W_enc, "batch inst d, inst d sae -> batch inst sae")
        latents = (products + self.b_enc).clamp(min=0)
        recon = einops.einsum(latents, self.W_dec_normalized, "batch inst sae, inst sae d -> batch inst d") + self.b_dec
        terms = {"sparsity": latents.sum(-1), "reconstruction": ((h - recon) ** 2).mean(-1)}
        return terms, terms["reconstruction"] + terms["sparsity"] * self.cfg.sparsity_coef, latents, recon


WEIGHTED = "the terms are there to look at: they have no weights, the loss has them"

test_sae_forward = exercise(
    name="sae_forward",
    reference=sae.ToySAE,
    cases=forward_cases,
    observe=forward_of_toy_sae,
    keep=[*KEPT, "make_parameters", "W_dec_normalized", "generate_batch"],
    accepts=[ForwardInOnePiece],
    equivalent={
        "compute_reconstruction_loss(recon, h) -> compute_reconstruction_loss(h, recon)": (
            "a squared distance is the same both ways"
        ),
    },
    mistakes=[
        *in_decoding("ToySAE.forward"),
        *instead_of(
            "latents = encode(h, self.W_enc, self.b_enc, self.b_dec)",
            {
                "latents = encode(h, self.W_enc, self.b_enc, 0 * self.b_dec)": (
                    "does not take b_dec away",
                    "the decoder adds b_dec at the end, so the encoder looks at what is left without it",
                ),
                "latents = encode(h, normalize_decoder(self.W_enc.mT).mT, self.b_enc, self.b_dec)": (
                    "normalises the encoder",
                    "only the decoder's directions have length 1; the encoder may have any scale",
                ),
            },
            within="ToySAE.forward",
        ),
        *in_weighing(LOSS, "ToySAE.forward", default=0.2),
        *instead_of(
            LOSS,
            {
                'self.cfg.sparsity_coef * terms["reconstruction"] + terms["sparsity"]': (
                    "weighs the reconstruction instead of the sparsity",
                    "sparsity_coef is the weight of the sparsity term",
                ),
                'terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"].detach()': (
                    "detaches the sparsity term",
                    "latents become sparse by its gradient",
                ),
                'self.cfg.sparsity_coef * (terms["reconstruction"] + terms["sparsity"])': (
                    "weighs both terms",
                    "sparsity_coef is the weight of the sparsity term alone",
                ),
            },
            within="ToySAE.forward",
        ),
        *instead_of(
            'terms = {\n            "reconstruction": compute_reconstruction_loss(recon, h),',
            {
                'terms = {\n            "reconstruction": compute_reconstruction_loss(recon, h - self.b_dec),': (
                    "compares with h less b_dec",
                    "the reconstruction, b_dec included, is compared with h itself",
                ),
                'terms = {\n            "reconstruction": h.shape[-1] * compute_reconstruction_loss(recon, h),': (
                    "takes the sum over d_in",
                    "the reconstruction loss is the mean over d_in",
                ),
            },
            within="ToySAE.forward",
        ),
        *instead_of(
            "compute_l1_loss(latents),",
            {
                "self.cfg.sparsity_coef * compute_l1_loss(latents),": (
                    "weighs the sparsity term in the dictionary",
                    WEIGHTED,
                ),
                "compute_l1_loss(recon),": ("takes the L1 of the reconstruction", "the latents are to be sparse"),
                "compute_l1_loss(latents) / latents.shape[-1],": (
                    "takes the mean over latents",
                    "the sparsity term is the sum over latents",
                ),
            },
            within="ToySAE.forward",
        ),
    ],
)
