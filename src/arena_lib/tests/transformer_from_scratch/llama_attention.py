"""Judges of Llama's attention: positions as rotations, and key heads that queries share.

Shapes:  heads "batch seq n_heads d_head", angles "seq pair"; residual stream "batch seq d_model".
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import (
    Case,
    Mistake,
    Tolerance,
    exercise,
    module_case,
    module_outputs_and_gradients,
    outputs,
    outputs_and_gradients,
)
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.small_models import LLAMA, RESIDUAL
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


test_rotary_angles = exercise(
    reference=lesson.rotary_angles,
    cases=rotary_angles_cases,
    accepts=[rotary_angles_by_loop, rotary_angles_by_exponential],
    mistakes=[
        Mistake(
            "lets later pairs turn faster",
            "1.0 / rope_theta**exponents",
            "rope_theta**exponents",
            why="the first pair is the fastest: frequencies fall from 1",
        ),
        Mistake(
            "leaves out the factor 2 of the exponent",
            "torch.arange(0, d_head, 2, device=positions.device)",
            "torch.arange(0, d_head // 2, device=positions.device)",
            why="pair i has exponent 2i / d_head, so that the pairs span almost the whole range of frequencies",
        ),
        Mistake(
            "divides by the number of pairs",
            ".float() / d_head",
            ".float() / (d_head // 2)",
            why="exponents run from 0 to just below 1",
        ),
        Mistake(
            "counts positions from one",
            "positions.float(), frequencies",
            "positions.float() + 1, frequencies",
            why="position 0 isn't turned at all",
        ),
        Mistake(
            "numbers the positions itself",
            "positions.float(), frequencies",
            "torch.arange(len(positions)).float(), frequencies",
            why="the positions are given: with a cache they don't start at zero",
        ),
        Mistake(
            "gives one angle for each dimension",
            '"seq, pair -> seq pair")',
            '"seq, pair -> seq pair").repeat(1, 2)',
            why="a pair of dimensions turns together: there are d_head / 2 angles",
        ),
    ],
)


def apply_rotary_cases(generator: torch.Generator) -> list[Case]:
    """Several heads and sequences, angles in no order, one position, and a query in half precision."""
    inputs = {
        "a query in half precision": (torch.randn(2, 4, 3, 6, generator=generator).bfloat16(), (4, 3)),
        "several sequences and heads": (torch.randn(2, 5, 3, 6, generator=generator), (5, 3)),
        "one position": (torch.randn(1, 1, 2, 4, generator=generator), (1, 2)),
        "heads of two dimensions": (torch.randn(2, 3, 1, 2, generator=generator), (3, 1)),
    }
    return [
        Case(
            label=label, args=(x, 3 * torch.randn(*shape, generator=generator)), axes={"output": HEADS, IN_HALF: HEADS}
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


test_apply_rotary = exercise(
    reference=lesson.apply_rotary,
    cases=apply_rotary_cases,
    observe=rotated,
    tolerance={IN_HALF: Tolerance(rtol=3e-2, atol=6e-2)},
    accepts=[apply_rotary_by_rotate_half, apply_rotary_by_complex],
    mistakes=[
        Mistake(
            "turns the other way",
            "x1 * cos - x2 * sin, x2 * cos + x1 * sin",
            "x1 * cos + x2 * sin, x2 * cos - x1 * sin",
            why="(x1, x2) becomes (x1 cos a - x2 sin a, x2 cos a + x1 sin a)",
        ),
        Mistake(
            "has the same sign in both halves",
            "x1 * cos - x2 * sin",
            "x1 * cos + x2 * sin",
            why="a rotation keeps lengths: one of the two sines is subtracted",
        ),
        Mistake(
            "pairs neighbouring dimensions",
            '"batch seq n_heads (half pair) -> half batch seq n_heads pair"',
            '"batch seq n_heads (pair half) -> half batch seq n_heads pair"',
            why="pair i is made of dimensions i and i + d_head / 2; trained weights fit only that",
        ),
        Mistake(
            "swaps the halves of the result",
            "torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)",
            "torch.cat([x2 * cos + x1 * sin, x1 * cos - x2 * sin], dim=-1)",
            why="each dimension stays where it was",
        ),
        Mistake(
            "swaps sine and cosine",
            "cos = einops.rearrange(angles.cos()",
            "cos = einops.rearrange(angles.sin()",
            why="at angle 0 the vector stays as it is: the cosine keeps, the sine mixes",
        ),
        Mistake(
            "uses the first position's angle everywhere",
            "    x1, x2 = ",
            "    angles = angles[:1].expand_as(angles)\n    x1, x2 = ",
            why="each position has its own angles",
        ),
        Mistake(
            "returns the dtype of the angles",
            "return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)",
            "return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1).to(angles.dtype)",
            why="a query in half precision stays in half precision: cast cos and sin to x.dtype",
        ),
    ],
)


def repeat_kv_cases(generator: torch.Generator) -> list[Case]:
    """Groups of several sizes, and no sharing at all."""
    return [
        Case(label=label, args=(torch.randn(2, 3, kv, 5, generator=generator), n), axes={"output": HEADS})
        for label, kv, n in [
            ("groups of three", 2, 6),
            ("one head for all", 1, 4),
            ("no sharing", 3, 3),
            ("groups of two", 4, 8),
        ]
    ]


test_repeat_kv = exercise(
    reference=lesson.repeat_kv,
    cases=repeat_kv_cases,
    observe=outputs_and_gradients,
    accepts=[
        lambda x, n_heads: x.repeat_interleave(n_heads // x.size(2), dim=2),
        lambda x, n_heads: x[:, :, [i * x.shape[2] // n_heads for i in range(n_heads)]],
    ],
    mistakes=[
        Mistake(
            "deals the heads out in turn",
            "(n_kv_heads group)",
            "(group n_kv_heads)",
            why="neighbouring query heads share a key head: 0 0 0 1 1 1, not 0 1 0 1 0 1",
        ),
        Mistake(
            "gives every query head the first key head",
            'einops.repeat(x, "',
            'einops.repeat(x[:, :, :1].expand_as(x), "',
            why="each group has a key head of its own",
        ),
        Mistake(
            "repeats the heads in reverse",
            'einops.repeat(x, "',
            'einops.repeat(x.flip(2), "',
            why="query head 0 belongs to key head 0",
        ),
        Mistake(
            "cuts the gradient",
            'einops.repeat(x, "',
            'einops.repeat(x.detach(), "',
            why="keys and values are learned: a copied head collects the gradients of all its copies",
        ),
        Mistake(
            "copies each head n_heads times",
            "group = n_heads // x.shape[2]",
            "group = n_heads",
            why="there must be n_heads heads in the end: n_heads / n_kv_heads copies of each",
        ),
    ],
)


def attention_cases(generator: torch.Generator) -> list[Case]:
    """Several sequences, one position, and a longer sequence."""
    shapes = {"several sequences": (2, 5), "a single position": (2, 1), "one longer sequence": (1, 9)}
    return [
        module_case(
            label,
            lesson.GroupedQueryAttention,
            LLAMA,
            (torch.randn(*shape, LLAMA.d_model, generator=generator),),
            RESIDUAL,
            generator,
        )
        for label, shape in shapes.items()
    ]


class GroupedQueryAttentionByTorch(lesson.GroupedQueryAttention):
    """Lets torch share the heads, and turns them with complex numbers."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        x = normalized_resid_pre
        angles = rotary_angles_by_loop(torch.arange(x.shape[1]), self.cfg.d_head, self.cfg.rope_theta)
        q = apply_rotary_by_complex(torch.einsum("bsm,nmh->bsnh", x, self.W_Q), angles).transpose(1, 2)
        k = apply_rotary_by_complex(torch.einsum("bsm,nmh->bsnh", x, self.W_K), angles).transpose(1, 2)
        v = torch.einsum("bsm,nmh->bnsh", x, self.W_V)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return torch.einsum("bnsh,nhm->bsm", z, self.W_O)


test_grouped_query_attention = exercise(
    reference=lesson.GroupedQueryAttention,
    cases=attention_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[GroupedQueryAttentionByTorch],
    mistakes=[
        Mistake(
            "does not turn the queries",
            "apply_rotary(einops.einsum(x, self.W_Q, project), angles)",
            "einops.einsum(x, self.W_Q, project)",
            why="only if both are turned does their dot product depend on the distance alone",
        ),
        Mistake(
            "does not turn the keys",
            "apply_rotary(einops.einsum(x, self.W_K, project), angles)",
            "einops.einsum(x, self.W_K, project)",
            why="only if both are turned does their dot product depend on the distance alone",
        ),
        Mistake(
            "turns the values too",
            "repeat_kv(einops.einsum(x, self.W_V, project), cfg.n_heads)",
            "repeat_kv(apply_rotary(einops.einsum(x, self.W_V, project), angles), cfg.n_heads)",
            why="positions decide where to look; what is brought back stays as it is",
        ),
        Mistake(
            "deals the key heads out in turn",
            "(n_kv_heads group)",
            "(group n_kv_heads)",
            why="neighbouring query heads share a key head",
            within="repeat_kv",
        ),
        Mistake(
            "does not scale the scores",
            " / cfg.d_head**0.5",
            "",
            why="a dot product of d_head terms grows with the root of d_head",
        ),
        Mistake(
            "leaves the causal mask out",
            "causal_mask(einops.einsum(q, k, dot) / cfg.d_head**0.5)",
            "einops.einsum(q, k, dot) / cfg.d_head**0.5",
            why="a position could read the very token it has to predict",
        ),
        Mistake(
            "takes the softmax over the queries",
            "dim=-1",
            "dim=-2",
            why="each query shares out one unit of attention among its keys",
        ),
        Mistake(
            "uses the keys as values",
            "v = repeat_kv(einops.einsum(x, self.W_V, project), cfg.n_heads)",
            "v = k",
            why="where to look and what to bring back are different questions",
        ),
    ],
)
# A shift of all positions together changes nothing, so no mistake is made of it: scores see differences only.
