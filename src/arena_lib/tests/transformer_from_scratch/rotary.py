"""Judges of positions as rotations.

Shapes:  heads "batch seq n_heads d_head", angles "seq pair".
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from arena_lib.checking import (
    Case,
    Mistake,
    Tolerance,
    exercise,
    instead_of,
    outputs,
    outputs_and_gradients,
)
from arena_lib.checking.comparison.comparing import Raised
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson_llama as lesson

__test__ = False

HEADS = "batch seq n_heads d_head"
IN_HALF = "output in half precision"


def rotary_angles_cases(generator: torch.Generator) -> list[Case]:
    """Positions in and out of order, and heads of two sizes."""
    return [
        Case(label=label, args=(torch.tensor(positions), d_head, theta), axes={"output": "seq pair"})
        for label, positions, d_head, theta in [
            ("the first positions", [0, 1, 2, 3, 4], 6, 100.0),
            ("positions that don't start at zero", [7, 8, 30], 4, 10_000.0),
            ("the smallest head", [0, 5], 2, 50.0),
            ("positions far into a text, out of order", [5000, 60, 777], 8, 1000.0),
        ]
    ]


def rotary_angles_by_loop(positions: Tensor, d_head: int, rope_theta: float) -> Tensor:
    """One angle at a time."""
    rows = [[p * rope_theta ** (-2 * i / d_head) for i in range(d_head // 2)] for p in positions.tolist()]
    return torch.tensor(rows, dtype=torch.float32)


def rotary_angles_by_exponential(positions: Tensor, d_head: int, rope_theta: float) -> Tensor:
    """Frequencies through the exponential of a logarithm."""
    frequencies = torch.exp(-math.log(rope_theta) * torch.linspace(0, 1, d_head // 2 + 1)[:-1])
    return torch.outer(positions.float(), frequencies)


def is_double(seen: Sequence[Observations]) -> bool:
    """Whether the angles are in double precision everywhere."""
    return all(observations["output"].dtype == torch.float64 for observations in seen)


test_rotary_angles = exercise(
    reference=lesson.rotary_angles,
    cases=rotary_angles_cases,
    accepts=[rotary_angles_by_loop, rotary_angles_by_exponential],
    mistakes=[
        *instead_of(
            "1.0 / rope_theta**exponents",
            {
                "rope_theta**exponents": (
                    "rotates later pairs faster",
                    "the first pair rotates fastest, at frequency 1, and later pairs more slowly",
                ),
                "1.0 / 10000.0**exponents": ("always uses 10000 as the base", "the base is the argument rope_theta"),
                "2 * torch.pi / rope_theta**exponents": ("multiplies by 2 pi", "the angles are in radians already"),
                "(-exponents).exp()": ("leaves rope_theta out", "pair i turns by rope_theta ** (-2i / d_head)"),
                "1.0 / rope_theta**exponents.flip(0)": (
                    "numbers the pairs backwards",
                    "pair 0 rotates fastest, at frequency 1",
                ),
            },
        ),
        *instead_of(
            "torch.arange(0, d_head, 2, device=positions.device).float() / d_head",
            {
                "torch.arange(0, d_head // 2).float() / d_head": (
                    "leaves out the factor 2 of the exponent",
                    "pair i has exponent 2i / d_head, so that the pairs span almost the whole range of frequencies",
                ),
                "torch.arange(0, d_head, 2).float() / (d_head // 2)": (
                    "divides by the number of pairs",
                    "exponents run from 0 to just below 1",
                ),
                "torch.linspace(0, 1, d_head // 2)": (
                    "lets the exponents reach 1",
                    "pair i has exponent 2i / d_head: the last one stays below 1",
                ),
                "torch.arange(2, d_head + 1, 2).float() / d_head": (
                    "counts the pairs from one",
                    "pair 0 has exponent 0, and rotates by one radian for each position",
                ),
                "torch.arange(d_head).float() / d_head": (
                    "uses a different frequency for each dimension",
                    "the two dimensions of a pair rotate together, so there are d_head / 2 frequencies",
                ),
            },
        ),
        *instead_of(
            "positions.float(), frequencies",
            {
                "positions.float() + 1, frequencies": (
                    "counts positions from one",
                    "positions start at 0, where the angle is 0",
                ),
                "torch.arange(len(positions)).float(), frequencies": (
                    "numbers the positions itself",
                    "the positions are an argument: with a cache they don't start at zero",
                ),
                "positions.float() - positions[0], frequencies": (
                    "counts positions from the first one given",
                    "the positions are given: with a cache they don't start at zero",
                ),
                "positions.float(), frequencies.cumsum(0)": (
                    "adds up the frequencies of earlier pairs",
                    "pair i turns by rope_theta ** (-2i / d_head) alone",
                ),
                "positions.float(), frequencies.long().float()": (
                    "rounds the frequencies to whole numbers",
                    "frequencies lie between 0 and 1: keep them as floats, and make the positions floats too",
                ),
            },
        ),
        Mistake(
            "returns double precision",
            "positions.float(), frequencies",
            "positions.double(), frequencies.double()",
            why="the angles are in float32",
            shows=is_double,
        ),
        *instead_of(
            'einops.einsum(positions.float(), frequencies, "seq, pair -> seq pair")',
            {
                f"torch.outer(positions.float(), frequencies){wrong}": (name, why)
                for wrong, name, why in [
                    (
                        ".repeat(1, 2)",
                        "returns an angle for each dimension",
                        "there is one angle for each pair of dimensions, d_head / 2 of them",
                    ),
                    (".T", "swaps positions and pairs", "the result has the axes seq, pair"),
                    (
                        " % (2 * torch.pi)",
                        "subtracts full turns from the angles",
                        "the result is the angle itself, however large",
                    ),
                    (
                        ".half().float()",
                        "computes in half precision",
                        "in half precision large angles are off by whole radians",
                    ),
                    (" * 180 / torch.pi", "returns degrees", "angles are in radians"),
                    (
                        ".cos()",
                        "returns cosines",
                        "the result is the angles: apply_rotary takes their sines and cosines",
                    ),
                ]
            },
        ),
    ],
)


def apply_rotary_cases(generator: torch.Generator) -> list[Case]:
    """Several heads and sequences, angles of many turns, one position, and a query in half precision."""
    inputs = {
        "several sequences and heads": (torch.randn(2, 5, 3, 6, generator=generator), (5, 3)),
        "one position": (torch.randn(1, 1, 2, 4, generator=generator), (1, 2)),
        "heads of two dimensions": (torch.randn(2, 3, 1, 2, generator=generator), (3, 1)),
        "a query in half precision": (torch.randn(2, 4, 3, 6, generator=generator).bfloat16(), (4, 3)),
    }
    return [
        Case(
            label=label,
            args=(x, 100 * torch.randn(*shape, generator=generator)),
            axes={"output": HEADS, IN_HALF: HEADS},
        )
        for label, (x, shape) in inputs.items()
    ]


def rotated(function: Callable[..., Tensor], case: Case) -> Observations:
    """The result; and the gradients in single precision, as in half precision they depend on the order of the steps."""
    if case.args[0].dtype != torch.bfloat16:
        return outputs_and_gradients(function, case)
    seen = outputs(function, case)
    return {IN_HALF: seen.pop("output")} | seen


def apply_rotary_by_rotate_half(x: Tensor, angles: Tensor) -> Tensor:
    """Multiplies by the cosine, and a half-turned copy by the sine."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    both = torch.cat([angles, angles], dim=-1)[:, None]
    return x * both.cos().to(x.dtype) + turned * both.sin().to(x.dtype)


def apply_rotary_by_complex(x: Tensor, angles: Tensor) -> Tensor:
    """Multiplies complex numbers."""
    real, imaginary = x.float().chunk(2, dim=-1)
    z = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angles), angles).unsqueeze(1)
    return torch.cat([z.real, z.imag], dim=-1).to(x.dtype)


def rotary_of_neighbours(x: Tensor, angles: Tensor) -> Tensor:
    """The mistake of pairing dimension 2i with 2i + 1."""
    cos, sin = (f(angles).to(x.dtype)[:, None] for f in (torch.cos, torch.sin))
    x1, x2 = x[..., ::2], x[..., 1::2]
    return torch.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1).flatten(-2)


def rotary_in_place(x: Tensor, angles: Tensor) -> Tensor:
    """The mistake of overwriting the first half before the second is made from it."""
    cos, sin = (f(angles).to(x.dtype)[:, None] for f in (torch.cos, torch.sin))
    out, half = x.clone(), x.shape[-1] // 2
    out[..., :half] = out[..., :half] * cos - out[..., half:] * sin
    out[..., half:] = out[..., half:] * cos + out[..., :half] * sin
    return out


def wrong_rotations() -> tuple[Mistake, ...]:
    """Wrong entries in place of the rotated pair."""
    kept = "each dimension stays where it was: (x1 cos a - x2 sin a, x2 cos a + x1 sin a)"
    lengths = "a rotation keeps lengths: one of the two sines is subtracted"
    return instead_of(
        "torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)",
        {
            f"torch.cat([{pair}], dim=-1){end}": (name, why)
            for pair, end, name, why in [
                ("x1 * cos + x2 * sin, x2 * cos - x1 * sin", "", "rotates the other way", kept),
                ("x1 * cos + x2 * sin, x2 * cos + x1 * sin", "", "adds in both halves", lengths),
                ("x1 * cos - x2 * sin, x2 * cos - x1 * sin", "", "subtracts in both halves", lengths),
                ("x2 * cos + x1 * sin, x1 * cos - x2 * sin", "", "swaps the halves of the result", kept),
                (
                    "x1 * cos, x2 * cos",
                    "",
                    "leaves the sines out",
                    "in a rotation the two dimensions of a pair mix, by the sine of the angle",
                ),
                ("x1 * cos - x1 * sin, x2 * cos + x2 * sin", "", "mixes each half with itself", kept),
                (
                    "x1 * cos - x2 * sin, x2 * cos + (x1 * cos - x2 * sin) * sin",
                    "",
                    "computes the second half from the new first half",
                    "both results are made from the old x1 and x2: don't overwrite the one before the other is made",
                ),
                ("x1 * cos - x2 * sin, x2", "", "turns the first half only", "both dimensions of a pair turn"),
                ("x1, x2 * cos + x1 * sin", "", "turns the second half only", "both dimensions of a pair turn"),
            ]
        },
    )


test_apply_rotary = exercise(
    reference=lesson.apply_rotary,
    cases=apply_rotary_cases,
    observe=rotated,
    tolerance={IN_HALF: Tolerance(rtol=3e-2, atol=6e-2)},
    accepts=[apply_rotary_by_rotate_half, apply_rotary_by_complex],
    mistakes=[
        *wrong_rotations(),
        *instead_of(
            "torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)",
            {
                "x * cos.repeat_interleave(2, -1) + torch.cat([-x2, x1], -1) * sin.repeat_interleave(2, -1)": (
                    "uses each angle for two neighbouring dimensions",
                    "dimensions i and i + d_head / 2 share angle i: write the angles twice, one after the other",
                ),
            },
        ),
        *instead_of(
            "einops.rearrange(x, ",
            {
                "einops.rearrange(x.to(angles.dtype), ": (
                    "returns the dtype of the angles",
                    "a query in half precision stays in half precision: cast cos and sin to x.dtype",
                ),
            },
        ),
        *instead_of(
            "return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)",
            {
                "return torch.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1).flatten(-2)": (
                    "writes the halves back as neighbours",
                    "dimensions stay where they were: the first half of the result, then the second",
                ),
            },
        ),
        Mistake(
            "writes into a tensor that it still reads",
            function=rotary_in_place,
            why="both results are made from the old x1 and x2: make them first, then join them",
            shows=lambda seen: isinstance(seen[0]["gradient of x"], Raised),
        ),
        Mistake(
            "pairs neighbouring dimensions",
            function=rotary_of_neighbours,
            why="pair i is made of dimensions i and i + d_head / 2, as trained weights expect",
        ),
        Mistake(
            "pairs neighbouring dimensions, and writes them back as halves",
            '"batch seq n_heads (half pair) -> half batch seq n_heads pair"',
            '"batch seq n_heads (pair half) -> half batch seq n_heads pair"',
            why="pair i is made of dimensions i and i + d_head / 2, as trained weights expect",
        ),
        *instead_of(
            "    x1, x2 = ",
            {
                f"    {wrong}\n    x1, x2 = ": (name, why)
                for wrong, name, why in [
                    (
                        "angles = torch.pi / 2 - angles",
                        "swaps sine and cosine",
                        "the cosine keeps a dimension and the sine mixes in the other, so that angle 0 changes nothing",
                    ),
                    (
                        "angles = angles[:1].expand_as(angles)",
                        "uses the first position's angle everywhere",
                        "each position has its own angles",
                    ),
                    ("angles = angles.flip(-1)", "numbers the pairs backwards", "pair i is rotated by angles[:, i]"),
                    ("angles = angles / 2", "rotates by half of the angle", "each pair is rotated by its whole angle"),
                    ("x = x.detach()", "cuts the gradient to x", "queries and keys learn through the rotation"),
                    (
                        "angles = angles.to(x.dtype)",
                        "casts the angles before it takes cos and sin",
                        "in half precision large angles are off by whole radians: cast cos and sin",
                    ),
                ]
            },
        ),
    ],
)
