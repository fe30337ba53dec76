"""Judges of key heads that queries share, and of Llama's attention.

Shapes:  heads "batch seq n_heads d_head"; residual stream "batch seq d_model".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import (
    Case,
    Mistake,
    exercise,
    instead_of,
    module_case,
    module_outputs_and_gradients,
    outputs_and_gradients,
)
from arena_lib.tests.transformer_from_scratch.attention import mistakes_of_any_attention
from arena_lib.tests.transformer_from_scratch.rotary import HEADS, apply_rotary_by_complex, rotary_angles_by_loop
from arena_lib.tests.transformer_from_scratch.small_models import LLAMA, RESIDUAL
from arena_lib.transformer import lesson_llama as lesson

__test__ = False


def repeat_kv_cases(generator: torch.Generator) -> list[Case]:
    """Groups of several sizes, no sharing at all, and keys in half precision."""
    return [
        Case(label=label, args=(torch.randn(2, 3, kv, 5, generator=generator).to(dtype), n), axes={"output": HEADS})
        for label, kv, n, dtype in [
            ("groups of three", 2, 6, torch.float32),
            ("one head for all", 1, 4, torch.float32),
            ("no sharing", 3, 3, torch.float32),
            ("groups of two", 4, 8, torch.float32),
            ("keys in half precision", 2, 4, torch.bfloat16),
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
        *instead_of(
            'einops.repeat(x, "',
            {
                'einops.repeat(x[:, :, :1].expand_as(x), "': (
                    "uses the first key head for every query head",
                    "each group has a key head of its own",
                ),
                'einops.repeat(x.flip(2), "': ("repeats the heads in reverse", "query head 0 belongs to key head 0"),
                'einops.repeat(x.float(), "': (
                    "returns float32 whatever the dtype",
                    "copies have the dtype of x: a fresh torch.zeros has not",
                ),
                'einops.repeat(x.detach(), "': (
                    "cuts the gradient",
                    "keys and values are learned: a copied head collects the gradients of all its copies",
                ),
                'einops.repeat(x / group, "': (
                    "divides by the number of copies",
                    "the copies are exact: each query head uses the whole key",
                ),
            },
        ),
        *instead_of(
            "(n_kv_heads group)",
            {
                "(group n_kv_heads)": (
                    "assigns key heads to query heads in turn",
                    "neighbouring query heads share a key head: 0 0 0 1 1 1, not 0 1 0 1 0 1",
                ),
            },
        ),
        *instead_of(
            'return einops.repeat(x, "batch seq n_kv_heads d_head -> batch seq (n_kv_heads group) d_head", group=group)',
            {
                "return x.repeat_interleave(group, dim=1)": (
                    "repeats the positions",
                    "axis 2 holds the heads: batch, seq, n_kv_heads, d_head",
                ),
                "return x.repeat_interleave(group, dim=-1)": (
                    "repeats the dimensions of each head",
                    "axis 2 holds the heads: batch, seq, n_kv_heads, d_head",
                ),
                "return x.repeat_interleave(group, dim=-1).reshape(*x.shape[:2], n_heads, -1)": (
                    "repeats the dimensions of each head, and reshapes",
                    "whole heads are copied: repeat along axis 2, and every head keeps its d_head numbers",
                ),
                "return x.transpose(1, 2).repeat_interleave(group, dim=1).reshape(*x.shape[:2], n_heads, -1)": (
                    "reshapes where it should move the axis of heads back",
                    "reshape keeps the numbers in their order: transpose seq and heads again",
                ),
                "return x.transpose(1, 2).repeat_interleave(group, dim=1)": (
                    "returns the heads before the positions",
                    "the result has the axes batch, seq, n_heads, d_head",
                ),
                "return x[:, :, :, None].expand(-1, -1, -1, group, -1)": (
                    "leaves the groups as an axis of their own",
                    "n_kv_heads and group become one axis of n_heads",
                ),
                "return x.mean(dim=2, keepdim=True).expand(-1, -1, n_heads, -1)": (
                    "averages over the key heads",
                    "each group has a key head of its own",
                ),
                "return x": ("copies nothing", "the result has n_heads heads, copied from n_kv_heads"),
                "return torch.cat([x, x[:, :, -1:].expand(-1, -1, n_heads - x.shape[2], -1)], dim=2)": (
                    "uses the last key head for all further query heads",
                    "every key head serves the same number of query heads",
                ),
                "return F.pad(x, (0, 0, 0, n_heads - x.shape[2]))": (
                    "fills the missing heads with zeros",
                    "the query heads of a group read copies of one key head",
                ),
            },
        ),
        *instead_of(
            "group = n_heads // x.shape[2]",
            {
                "group = x.shape[2]\n    return x[:, :, [min(i // group, group - 1) for i in range(n_heads)]]": (
                    "divides a head's number by n_kv_heads",
                    "query head i shares key head i // group, with group = n_heads / n_kv_heads",
                ),
                "group = n_heads": (
                    "copies each head n_heads times",
                    "there must be n_heads heads in the end: n_heads / n_kv_heads copies of each",
                ),
                "group = 2": ("always makes two copies of each head", "there are n_heads / n_kv_heads copies of each"),
            },
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
            "rotates queries and keys in the wrong direction",
            "torch.arange(x.shape[1], device=x.device)",
            "-torch.arange(x.shape[1], device=x.device)",
            why="the pair (x1, x2) becomes (x1 cos a - x2 sin a, x2 cos a + x1 sin a)",
        ),
        *instead_of(
            "apply_rotary(einops.einsum(x, self.W_Q, project), angles)",
            {
                "einops.einsum(x, self.W_Q, project)": (
                    "does not rotate the queries",
                    "queries and keys are both rotated, so that their dot product depends only on the distance",
                ),
                "apply_rotary(einops.einsum(x, self.W_Q, project), -angles)": (
                    "rotates the queries in the opposite direction",
                    "queries and keys are rotated in the same direction, so that only the difference of their positions matters",
                ),
            },
        ),
        Mistake(
            "does not rotate the keys",
            "apply_rotary(einops.einsum(x, self.W_K, project), angles)",
            "einops.einsum(x, self.W_K, project)",
            why="queries and keys are both rotated, so that their dot product depends only on the distance",
        ),
        *instead_of(
            "repeat_kv(einops.einsum(x, self.W_V, project), cfg.n_heads)",
            {
                "repeat_kv(apply_rotary(einops.einsum(x, self.W_V, project), angles), cfg.n_heads)": (
                    "rotates the values too",
                    "only queries and keys are rotated: positions decide where to look, not what is brought back",
                ),
                "repeat_kv(einops.einsum(x, self.W_V, project).roll(1, 2), cfg.n_heads)": (
                    "uses another group's values",
                    "keys and values of a group belong together",
                ),
                'einops.repeat(einops.einsum(x, self.W_V, project), "b s n h -> b s (g n) h", g=cfg.n_heads // cfg.n_kv_heads)': (
                    "assigns value heads to query heads in turn",
                    "neighbouring query heads share a key head, and the value head of the same number",
                ),
            },
        ),
        *instead_of(
            "(n_kv_heads group)",
            {
                "(group n_kv_heads)": (
                    "assigns key heads to query heads in turn",
                    "neighbouring query heads share a key head",
                )
            },
            within="repeat_kv",
        ),
        Mistake(
            "uses the first key head for every query head",
            'einops.repeat(x, "',
            'einops.repeat(x[:, :, :1].expand_as(x), "',
            why="each group has a key head of its own",
            within="repeat_kv",
        ),
        *instead_of(
            "cfg.d_head, cfg.rope_theta",
            {
                "cfg.d_head, 10_000.0": (
                    "always uses 10000 as the base",
                    "each model has a base of its own: cfg.rope_theta",
                ),
                "cfg.d_head, 1e5": ("always uses 1e5 as the base", "each model has a base of its own: cfg.rope_theta"),
            },
        ),
        Mistake(
            "pairs neighbouring dimensions",
            "(half pair) -> half batch seq n_heads pair",
            "(pair half) -> half batch seq n_heads pair",
            why="pair i is made of dimensions i and i + d_head / 2, as trained weights expect",
            within="apply_rotary",
        ),
        *mistakes_of_any_attention("cfg", "causal_mask"),
    ],
)
# A shift of all positions together changes nothing, so no mistake is made of it: scores see differences only.
