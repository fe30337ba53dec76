"""Judge of attention, with the mistakes that every attention invites.

Shapes:  residual stream "batch seq d_model".
"""

from typing import Any

import einops
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
    stops_with,
)
from arena_lib.checking.modules import build_module
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, RESIDUAL
from arena_lib.transformer import lesson

__test__ = False


def attention_cases(generator: torch.Generator) -> list[Case]:
    """Several sequences, one position (where the pattern is all ones), and one long sequence."""
    shapes = {"several sequences": (2, 5), "a single position": (2, 1), "one longer sequence": (1, GPT2.n_ctx)}
    return [
        module_case(
            label,
            lesson.Attention,
            GPT2,
            (torch.randn(*shape, GPT2.d_model, generator=generator),),
            RESIDUAL,
            generator,
        )
        for label, shape in shapes.items()
    ]


def looks_at_no_later_position(seen: Observations, case: Case) -> str | None:
    """Makes no output depend on a later position."""
    return seen["leak from the future"] or None


def attention_observations(cls: Any, case: Case) -> Observations:
    """Outputs and gradients, and whether changing the last position moves an earlier output."""
    seen = module_outputs_and_gradients(cls, case)
    return seen | {"leak from the future": _leak(build_module(cls, case), case.args[0])}


def _leak(module: Any, x: Tensor) -> str:
    """Says which output moves when only the last position of the input does."""
    changed = x.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        before, after = module(x.clone()), module(changed)
    if not isinstance(before, Tensor) or before.ndim != 3 or before.shape[1] < 2:
        return ""
    moved = ((before - after).abs() > 1e-5)[:, :-1].any(dim=-1).nonzero()
    if not len(moved):
        return ""
    return f"The output at position {int(moved[0, 1])} must not depend on later ones: it changed when only the input at position {x.shape[1] - 1} changed."


class AttentionByTorch(lesson.Attention):
    """Lets torch's own attention do the middle part, on heads laid out before positions."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        def project(weight: Tensor, bias: Tensor) -> Tensor:
            return torch.einsum("bsm,nmh->bnsh", normalized_resid_pre, weight) + bias[:, None]

        q, k = project(self.W_Q, self.b_Q), project(self.W_K, self.b_K)
        z = F.scaled_dot_product_attention(q, k, project(self.W_V, self.b_V), is_causal=True)
        return torch.einsum("bnsh,nhm->bsm", z, self.W_O) + self.b_O


class AttentionHeadByHead(lesson.Attention):
    """Loops over heads, and scales the queries rather than the scores."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        x, seq = normalized_resid_pre, normalized_resid_pre.shape[1]
        hidden = torch.ones(seq, seq, dtype=torch.bool, device=x.device).triu(1)
        out = self.b_O.expand_as(x).clone()
        for head in range(self.cfg.n_heads):
            q = (x @ self.W_Q[head] + self.b_Q[head]) * self.cfg.d_head**-0.5
            k = x @ self.W_K[head] + self.b_K[head]
            v = x @ self.W_V[head] + self.b_V[head]
            scores = einops.einsum(q, k, "batch q h, batch k h -> batch q k").masked_fill(hidden, -1e9)
            out = out + scores.softmax(-1) @ v @ self.W_O[head]
        return out


def mistakes_of_any_attention(cfg: str, mask: str) -> tuple[Mistake, ...]:
    """Mistakes of the steps that GPT-2's and Llama's attention share; `cfg` and `mask` are what the code calls them."""
    scaled = f"einops.einsum(q, k, dot) / {cfg}.d_head**0.5"
    read = "scores.softmax(dim=-1)"
    out = "einops.einsum(z, self.W_O, "
    return (
        *instead_of(
            f" / {cfg}.d_head**0.5",
            {
                "": (
                    "does not scale the scores",
                    "a dot product of d_head terms grows with the root of d_head: divide the scores by it",
                ),
                f" / {cfg}.d_head": (
                    "divides the scores by d_head, not by its root",
                    "the spread of a sum of d_head terms grows with the root of d_head, not with d_head",
                ),
                f" / ({cfg}.d_head * 0.5)": (
                    "divides the scores by half of d_head",
                    "the scores are divided by the root of d_head: ** 0.5 is the root, * 0.5 is half",
                ),
                f" * {cfg}.d_head**0.5": (
                    "multiplies the scores by the root of d_head",
                    "the scores are divided by the root of d_head, so that their spread doesn't grow with d_head",
                ),
                f" / ({cfg}.n_heads * {cfg}.d_head) ** 0.5": (
                    "scales by the root of n_heads * d_head",
                    "the dot product of one head has d_head terms",
                ),
                f" / {cfg}.d_model**0.5": (
                    "scales by the root of d_model",
                    "the dot product has d_head terms, not d_model",
                ),
            },
        ),
        *instead_of(
            read,
            {
                "scores.softmax(dim=-2)": (
                    "takes the softmax over the queries",
                    "each query shares out one unit of attention among the keys: the sum over keys is one",
                ),
                "scores.softmax(dim=1)": (
                    "takes the softmax over the heads",
                    "each head has its own attention weights: they sum to one over the keys, the last axis",
                ),
                f"({scaled}).softmax(dim=-1).tril()": (
                    "hides the future after the softmax",
                    "future keys have taken their share by then, and the rest doesn't sum to one: mask the scores first",
                ),
                f"{mask}(({scaled}).softmax(dim=-1))": (
                    "sets the pattern to -inf after the softmax",
                    "softmax turns a score of -inf into 0; a weight of -inf spoils the sum: mask the scores first",
                ),
                f"({scaled}).tril().softmax(dim=-1)": (
                    "sets hidden scores to zero",
                    "softmax turns a score of 0 into exp(0) = 1 before it normalises: use -inf",
                ),
                f"(scores * {cfg}.d_head**0.5).softmax(dim=-1) / {cfg}.d_head**0.5": (
                    "scales after the softmax",
                    "the scores are divided before softmax; afterwards the weights no longer sum to one",
                ),
                f"{read}.mT": (
                    "transposes the pattern",
                    "the result at a query is the sum over the keys: pattern[query, key] * v[key]",
                ),
            },
        ),
        *instead_of(
            out,
            {
                out.replace("z", f"z / {cfg}.n_heads"): (
                    "averages over the heads",
                    "the heads' results are summed: each head adds its part to the residual stream",
                ),
                out.replace("z", 'einops.rearrange(z, "b s n h -> b n s h").reshape(z.shape)'): (
                    "reshapes the heads' results without moving the axis of heads back",
                    "reshape keeps the numbers in their order: bring z to batch, seq, n_heads, d_head first",
                ),
                out.replace("z", "z.mT.reshape(z.shape)"): (
                    "flattens z with n_heads and d_head in the wrong order",
                    "the rows of W_O lie head by head: n_heads comes before d_head",
                ),
            },
        ),
        Mistake(
            "leaves the causal mask out",
            f"{mask}({scaled})",
            scaled,
            why="a position could read the very token it has to predict",
        ),
        Mistake(
            "swaps queries and keys",
            "(q, k, dot)",
            "(k, q, dot)",
            why="rows of the scores are queries, columns are keys",
        ),
        Mistake(
            "uses the keys where the values are needed",
            ", v, mix)",
            ", k, mix)",
            why="keys decide where to look, and values, which have weights of their own (W_V and b_V), are what is brought back",
        ),
    )


APART = ("does not sum over the heads", "each head adds its part to the residual stream: n_heads is summed away")
SUMMED = "einops.einsum(z, self.W_O, merge) + self.b_O"

test_attention = exercise(
    reference=lesson.Attention,
    cases=attention_cases,
    observe=attention_observations,
    properties=[looks_at_no_later_position],
    keep=["__init__", "apply_causal_mask"],
    accepts=[AttentionByTorch, AttentionHeadByHead],
    mistakes=[
        *instead_of(
            "einops.einsum(q, k, dot)",
            {
                "einops.einsum(q, k, dot).sum(dim=1, keepdim=True).expand(-1, self.cfg.n_heads, -1, -1)": (
                    "sums the scores over the heads",
                    "each head looks where it likes: n_heads stays an axis of the scores",
                ),
            },
        ),
        *instead_of(
            "einops.einsum(x, self.W_V, project)",
            {
                "einops.einsum(x, self.W_K, project)": (
                    "makes the values with W_K",
                    "queries, keys and values have weights of their own",
                ),
            },
        ),
        *instead_of(
            "einops.einsum(x, self.W_K, project)",
            {
                "einops.einsum(x, self.W_Q, project)": (
                    "makes the keys with W_Q",
                    "queries, keys and values have weights of their own",
                ),
            },
        ),
        *instead_of(
            SUMMED,
            {
                "einops.einsum(z, self.W_O, merge)": ("forgets b_O", "the output has a bias, once for all heads"),
                SUMMED.replace("self.b_O", "self.b_O / self.cfg.n_heads"): (
                    "shares b_O out among the heads",
                    "the heads are summed first, and the whole bias is added to the sum",
                ),
                "einops.einsum(z[:, :, :1], self.W_O[:1], merge) + self.b_O": (
                    "takes the first head only",
                    "what the heads bring is summed: each adds its part to the residual stream",
                ),
                "z": (
                    "leaves W_O out, and n_heads in",
                    "each head's z goes through its W_O to the residual stream, and the heads' results are summed",
                ),
                "z.flatten(2)": (
                    "leaves W_O out",
                    "each head's z goes through its W_O to the residual stream: d_head to d_model",
                ),
                SUMMED.replace("+ ", "+ self.cfg.n_heads * "): (
                    "adds b_O once for each head",
                    "the heads are summed first, and the bias is added to the sum",
                ),
                f"x + {SUMMED}": (
                    "adds the residual stream itself",
                    "attention returns what it adds; the block adds it to the stream",
                ),
                f"({SUMMED}).detach()": (
                    "cuts the gradient",
                    "training needs the gradient of the input and every weight",
                ),
            },
        ),
        *instead_of(
            "dot = ",
            {
                "q, k, v = q - self.b_Q, k - self.b_K, v - self.b_V\n        dot = ": (
                    "forgets the biases of queries, keys and values",
                    "each of the three projections has a bias: x W_Q + b_Q, and likewise for k and v",
                ),
                "q, k, v = (t.reshape(len(t), t.shape[2], -1, t.shape[3]).transpose(1, 2) for t in (q, k, v))\n"
                "        dot = ": (
                    "splits into heads by a reshape, without moving the axis",
                    "reshape keeps the numbers in their order: split the last axis, then move n_heads before seq",
                ),
                "flat = ((x @ W.reshape(x.shape[-1], -1)).reshape(q.shape) for W in (self.W_Q, self.W_K, self.W_V))\n"
                "        q, k, v = (t + b for t, b in zip(flat, (self.b_Q, self.b_K, self.b_V)))\n"
                "        dot = ": (
                    "reshapes the weights where their axes should be moved",
                    "n_heads comes first in W_Q, W_K and W_V: bring d_model to the front before flattening the others",
                ),
            },
        ),
        Mistake(
            "multiplies x by W_Q without an axis for the heads",
            "einops.einsum(x, self.W_Q, project)",
            "x @ self.W_Q",
            why="W_Q has a matrix for each head: einsum keeps n_heads as an axis; for @, x needs one too, x[:, None]",
            shows=stops_with(f"a (2) must match the size of tensor b ({GPT2.n_heads}) at non-singleton dimension 0"),
            raises="RuntimeError",
        ),
        Mistake(
            "adds a bias of the heads without an axis for the positions",
            "einops.einsum(x, self.W_Q, project) + self.b_Q",
            "(x[:, None] @ self.W_Q + self.b_Q).transpose(1, 2)",
            why="b_Q has the axes n_heads and d_head: with n_heads before seq it needs one between them, b_Q[:, None]",
            shows=stops_with(f"a (5) must match the size of tensor b ({GPT2.n_heads}) at non-singleton dimension 2"),
        ),
        *instead_of(
            "return einops.einsum(z, self.W_O, merge)",
            {
                'merge = merge.replace("-> batch seq", "-> batch seq n_heads")\n'
                "        return einops.einsum(z, self.W_O, merge)": APART,
                'merge = merge.replace("-> batch seq", "-> batch n_heads seq")\n'
                "        return einops.einsum(z, self.W_O, merge)": APART,
            },
        ),
        Mistake("forgets b_Q", " + self.b_Q", "", why="queries have a bias: x W_Q + b_Q"),
        Mistake("forgets b_V", " + self.b_V", "", why="values have a bias: x W_V + b_V"),
        *mistakes_of_any_attention("self.cfg", "self.apply_causal_mask"),
        Mistake(
            "uses the first sequence for the whole batch",
            "x = normalized_resid_pre",
            "x = normalized_resid_pre[:1].expand_as(normalized_resid_pre)",
            why="each sequence is read by itself: keep the batch axis in every product",
        ),
        *instead_of(
            "triu(torch.ones(seq_q, seq_k, dtype=torch.bool, device=attn_scores.device), diagonal=1)",
            {
                "triu(torch.ones(seq_q, seq_k, dtype=torch.bool), diagonal=2)": (
                    "lets the next token through",
                    "the key right after the query is the very token to be predicted",
                ),
                "triu(torch.ones(seq_q, seq_k, dtype=torch.bool), diagonal=0)": (
                    "hides the present too",
                    "a position may look at itself, so the diagonal stays visible",
                ),
                "tril(torch.ones(seq_q, seq_k, dtype=torch.bool), diagonal=-1)": (
                    "hides the past instead of the future",
                    "rows are queries and columns are keys: the future is where the column is larger than the row",
                ),
            },
            within="causal_mask",
        ),
    ],
    equivalent={
        "k = einops.einsum(x, self.W_K, project) + self.b_K": "b_K adds the same to all scores of a query, "
        "and softmax takes it away again"
    },
)
