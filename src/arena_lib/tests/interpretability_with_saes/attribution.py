"""Judges of what a latent does and where it comes from, by attribution; section 1.3.3.

Shapes:  latents "batch seq d_sae"; gradient "batch seq d_out"; W_dec "d_sae d_out"; v "seq n_heads d_head"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.saes.analysis.activations import attention
from arena_lib.saes.analysis.interventions import attribution

__test__ = False

# -- attribute_ablations ------------------------------------------------------------------------------


def gradient_cases(generator: torch.Generator) -> list[Case]:
    """Sparse latents, gradients of both signs; encoder and decoder would have different shapes."""
    cases = []
    for label, batch, seq, d_sae, d_out in (
        ("two texts", 2, 3, 5, 4),
        ("one text", 1, 4, 3, 6),
        ("one token", 1, 1, 6, 2),
    ):
        latents = torch.randn(batch, seq, d_sae, generator=generator).relu()
        gradient = torch.randn(batch, seq, d_out, generator=generator)
        W_dec = torch.randn(d_sae, d_out, generator=generator)
        cases.append(Case(label=label, args=(latents, gradient, W_dec), axes={"output": "batch seq d_sae"}))
    return cases


def attribute_by_loop(latents: Tensor, gradient: Tensor, W_dec: Tensor) -> Tensor:
    """One latent after the other."""
    effects = [-latents[..., i] * (gradient * direction).sum(dim=-1) for i, direction in enumerate(W_dec)]
    return torch.stack(effects, dim=-1)


OWN = "each position of each text has its own gradient"
FORMULA = "minus the latent, times the dot product of its direction with the gradient"

test_attribute_ablations = exercise(
    reference=attribution.attribute_ablations,
    cases=gradient_cases,
    observe=outputs_and_gradients,
    accepts=[attribute_by_loop],
    mistakes=[
        *instead_of(
            "-latents *",
            {
                "latents *": ("forgets the minus", "ablating takes the latent away"),
                "-1 *": ("leaves out the latent", FORMULA + ": a silent latent has no effect"),
                "-(latents > 0).to(latents) *": ("counts active latents as 1", FORMULA),
                "-latents.square() *": ("multiplies by the latent twice", FORMULA),
            },
        ),
        *instead_of(
            "(gradient @ W_dec.T)",
            {
                "gradient.sum(dim=-1, keepdim=True)": ("multiplies by the gradient's sum", FORMULA),
                "gradient.norm(dim=-1, keepdim=True)": ("forgets the decoder", FORMULA),
                "(gradient @ W_dec.T).abs()": ("takes absolute values", "effects have a sign"),
                "(gradient.mean(dim=1, keepdim=True) @ W_dec.T)": ("takes one gradient for all positions", OWN),
                "(gradient.sum(dim=1, keepdim=True) @ W_dec.T)": ("takes one gradient for all positions", OWN),
                "(gradient.mean(dim=0) @ W_dec.T)": ("takes one gradient for all texts", OWN),
                "(gradient.sum(dim=0) @ W_dec.T)": ("takes one gradient for all texts", OWN),
                "(gradient @ (W_dec / W_dec.norm(dim=-1, keepdim=True)).T)": (
                    "normalises the directions",
                    "W_dec is used as it is",
                ),
            },
        ),
        Mistake(
            "sums over positions",
            "-latents * (gradient @ W_dec.T)",
            "(-latents * (gradient @ W_dec.T)).sum(dim=1, keepdim=True).expand_as(latents)",
            why="each latent has an effect at each position by itself",
        ),
    ],
)

# -- attribute_to_sources -----------------------------------------------------------------------------


def source_cases(generator: torch.Generator) -> list[Case]:
    """Heads that look at different places; as many heads as positions never."""
    cases = []
    for label, seq, n_heads, d_head in (("a text", 6, 3, 4), ("a single position", 1, 2, 3), ("one head", 5, 1, 2)):
        pattern = torch.randn(n_heads, seq, generator=generator).mul(2).softmax(dim=-1)
        v, encoder = (
            torch.randn(seq, n_heads, d_head, generator=generator),
            torch.randn(n_heads, d_head, generator=generator),
        )
        cases.append(Case(label=label, args=(v, pattern, encoder), axes={"output": "seq n_heads"}))
    return cases


def sources_by_einsum(v: Tensor, pattern: Tensor, encoder: Tensor) -> Tensor:
    """Says which axis goes."""
    return torch.einsum("shd,hs,hd->sh", v, pattern, encoder)


OWN_PART = "each head has its own part of the encoder direction"

test_attribute_to_sources = exercise(
    reference=attention.attribute_to_sources,
    cases=source_cases,
    observe=outputs_and_gradients,
    accepts=[sources_by_einsum],
    mistakes=[
        *instead_of(
            "pattern.T *",
            {
                "1 *": ("forgets the pattern", "a value counts as much as the head looks at it"),
                "pattern.reshape(v.shape[:2]) *": (
                    "reshapes the pattern",
                    "its axes change places: that's a transpose, pattern.T; a reshape mixes up heads and positions",
                ),
                "pattern.mean(dim=0)[:, None] *": ("takes the mean pattern of all heads", "each head looks elsewhere"),
                "(pattern.T > 0.2) *": (
                    "counts only what a head looks at most",
                    "every position counts as much as the head looks at it",
                ),
            },
        ),
        *instead_of(
            "(v * encoder).sum(dim=-1)",
            {
                "v.sum(dim=-1)": ("forgets the encoder", "values count along the latent's encoder direction"),
                "v.sum(dim=-1) * encoder.sum(dim=-1)": (
                    "sums before it multiplies",
                    "a dot product multiplies entry by entry, then sums",
                ),
                "(v * encoder).mean(dim=-1)": ("takes the mean over d_head", "a dot product is a sum"),
                "(v * encoder[:1]).sum(dim=-1)": ("uses the first head's encoder for all", OWN_PART),
                "(v * encoder.sum(dim=0)).sum(dim=-1)": ("adds up the heads' parts of the encoder", OWN_PART),
                "(v * encoder).sum(dim=-1).abs()": ("takes absolute values", "a source may speak against it"),
                "(v[-1] * encoder).sum(dim=-1)": (
                    "takes the last position's values",
                    "each source position has values of its own",
                ),
            },
        ),
        *instead_of(
            "pattern.T * (v * encoder).sum(dim=-1)",
            {
                "(pattern.T * (v * encoder).sum(dim=-1)).softmax(dim=0)": ("gives shares", "what each adds, as it is"),
                "pattern.T * (v * encoder).sum(dim=-1) / (pattern.T * (v * encoder).sum(dim=-1)).sum()": (
                    "gives shares",
                    "what each adds, as it is",
                ),
            },
        ),
    ],
)
