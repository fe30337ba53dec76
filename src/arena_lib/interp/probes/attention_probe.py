"""A probe that chooses by itself at which tokens to look: one attention step over a sequence of activations.

What gives a text away may stand anywhere in it. A mean over all tokens drowns it, the last token may have
forgotten it. So each of a few heads has a direction by which it picks tokens, takes the mean of what it picked,
and one linear layer reads those means. Its pattern says where it looked.

Shapes:  activations "batch seq d_model", mask "batch seq" -> logits "batch", pattern "batch seq n_heads"
Raises:  ConfigError for labels of one class or others than 0 and 1, or a config that can't work; ShapeError for
         sizes that don't fit, or a text without a token.
Source:  McKenzie et al. 2025, arXiv:2506.10805, section 3 (attention probes over a whole sequence).
Differs: several heads, whose values are the activations themselves; there, one head with a value direction of its
         own. With n_heads = 1 the two are the same function.
"""

import math
from dataclasses import dataclass

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes.mean_difference import split_by_label
from arena_lib.wording import counted


def attention_probe_forward(
    x: Float[Tensor, "batch seq d_model"],
    mask: Tensor,
    W_q: Float[Tensor, "d_model n_heads"],
    W_out: Float[Tensor, "n_heads_times_d_model 1"],
    b_out: Float[Tensor, "1"],
    scale: float,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch seq n_heads"]]:
    """The logit of each sequence, and where each head looked: (logits, pattern).

    With n a head, column n of W_q is what it looks for:

        scores  = (x @ W_q) * scale                      "batch seq n_heads"
        pattern = softmax of the scores over seq         "batch seq n_heads"
        pooled  = sum over seq of pattern * x            "batch n_heads d_model"
        logits  = pooled, head after head, @ W_out + b_out

    In `pooled, head after head` a row is head 0's d_model numbers, then head 1's, and so on: entry
    n * d_model + m of W_out belongs to head n. `mask` ("batch seq", of any dtype) is 0 or False at padding:
    there the pattern is exactly 0, whatever finite numbers stand in x. Every row has at least one real token.
    """
    scores = einops.einsum(x, W_q, "batch seq d_model, d_model n_heads -> batch seq n_heads") * scale
    pattern = scores.masked_fill((mask == 0)[..., None], -torch.inf).softmax(dim=1)
    pooled = einops.einsum(pattern, x, "batch seq n_heads, batch seq d_model -> batch n_heads d_model")
    logits = einops.rearrange(pooled, "batch n_heads d_model -> batch (n_heads d_model)") @ W_out + b_out
    return logits.squeeze(-1), pattern


@dataclass(frozen=True, kw_only=True)
class AttentionProbeConfig:
    """How an attention probe is made and fitted."""

    n_heads: int = 2
    """Ways to look at a text."""
    n_steps: int = 200
    """Updates, each on all texts."""
    learning_rate: float = 0.02
    """Of AdamW."""
    weight_decay: float = 0.05
    """Of AdamW: keeps the probe small, as C does in logistic regression."""
    initial_scale: float = 0.1
    """Standard deviation of W_q at first; W_out and b_out begin at zero."""

    def __post_init__(self) -> None:
        for name in ("n_heads", "n_steps", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive: got {getattr(self, name)}. The default is a good start.")


class AttentionProbe(nn.Module):
    """`attention_probe_forward` with weights of its own, on activations that it standardises first.

    forward(x, mask) gives each text's probability of class 1, `attention(x, mask)` where each head looked, and
    `token_scores(x)` each token's own share before attention weighs it.
    """

    mean: Float[Tensor, " d_model"]
    deviation: Float[Tensor, " d_model"]

    def __init__(self, d_model: int, n_heads: int = 2) -> None:
        super().__init__()
        self.W_q = nn.Parameter(torch.zeros(d_model, n_heads))
        self.W_out = nn.Parameter(torch.zeros(n_heads * d_model, 1))
        self.b_out = nn.Parameter(torch.zeros(1))
        self.scale = 1 / math.sqrt(d_model)
        self.register_buffer("mean", torch.zeros(d_model))
        self.register_buffer("deviation", torch.ones(d_model))

    def forward(self, x: Float[Tensor, "batch seq d_model"], mask: Tensor) -> Float[Tensor, " batch"]:
        """The probability that each text is of class 1."""
        return self.logits(x, mask)[0].sigmoid()

    def attention(self, x: Float[Tensor, "batch seq d_model"], mask: Tensor) -> Float[Tensor, "batch seq n_heads"]:
        """Where each head looks in each text."""
        return self.logits(x, mask)[1]

    def logits(
        self, x: Float[Tensor, "batch seq d_model"], mask: Tensor
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch seq n_heads"]]:
        """Logits and pattern of activations as they come from a model."""
        check_sequences(x, mask)
        standardised = (x - self.mean) / self.deviation
        return attention_probe_forward(standardised, mask, self.W_q, self.W_out, self.b_out, self.scale)

    @classmethod
    def from_data(
        cls,
        acts: Float[Tensor, "n_texts seq d_model"],
        mask: Tensor,
        labels: Tensor,
        generator: torch.Generator,
        config: AttentionProbeConfig | None = None,
    ) -> "AttentionProbe":
        """A probe fitted by cross-entropy on whole sequences; the generator draws its first weights."""
        config = config or AttentionProbeConfig()
        check_sequences(acts, mask)
        if len(labels) != len(acts):
            raise ShapeError(
                f"each text must have one label: got {counted(len(acts), 'text')} and {counted(len(labels), 'label')}."
            )
        split_by_label(acts[:, 0], labels)
        targets = labels.to(acts)
        probe = cls(acts.shape[-1], config.n_heads).to(acts)
        real = acts[mask != 0]
        probe.mean, probe.deviation = real.mean(dim=0), real.std(dim=0, correction=0).clamp(min=1e-6)
        first = torch.randn(probe.W_q.shape, generator=generator).to(acts)
        nn.init.zeros_(probe.W_q).data.add_(config.initial_scale * first)
        optimizer = torch.optim.AdamW(probe.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        for _ in range(config.n_steps):
            loss = F.binary_cross_entropy_with_logits(probe.logits(acts, mask)[0], targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return probe.eval().requires_grad_(False)


def check_sequences(acts: Tensor, mask: Tensor) -> None:
    """Each text must have a mask of its length with at least one real token."""
    if acts.ndim != 3 or mask.shape != acts.shape[:2]:
        raise ShapeError(
            f'activations must be "n_texts seq d_model" and the mask "n_texts seq": got {tuple(acts.shape)} and '
            f"{tuple(mask.shape)}. Take both from extract_full_sequence_activations."
        )
    is_empty = (mask == 0).all(dim=1)
    if is_empty.any():
        raise ShapeError(
            f"each text must have at least one token: got none in text {int(is_empty.nonzero()[0])}. Leave empty texts out."
        )
