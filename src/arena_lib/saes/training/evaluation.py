"""How much of a model's behaviour survives an autoencoder, and how sparse and how alive the autoencoder is.

    evaluate_sae(model, sae, tokens).added_loss          # nats

Shapes:  tokens "batch seq", attention_mask "batch seq"
Raises:  ConfigError for tokens of which none counts; what `splicing.py` and `reading.py` raise.
Source:  as `metrics.py`.
Differs: mean ablation puts the mean of the evaluated activations in each place; loss recovered is given against mean and
         against zero ablation, since the second flatters: a zero in the residual stream is far from anything.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training import metrics
from arena_lib.saes.training.reading import attend, merge_heads, read_batch
from arena_lib.saes.training.splicing import find_hook_names, replace_positions, splicing_hooks
from arena_lib.saes.training.store import pick_positions
from arena_lib.transformer.activations.hooks import HookSpec
from arena_lib.transformer.fast.padding import Mask, predicts_real
from arena_lib.transformer.loss import next_token_logprobs


@dataclass(frozen=True)
class SAEMetrics:
    """What an evaluation finds; losses in nats a token."""

    l0: float
    """Latents active at a position, on average."""
    added_loss: float
    """What splicing the reconstruction in adds to the model's loss."""
    loss_recovered: float
    """Against mean ablation: 1 is all, 0 no better than the mean."""
    loss_recovered_zero: float
    """Against zero ablation, as many papers give it."""
    clean_loss: float
    """The model's own loss."""
    spliced_loss: float
    """With the reconstruction in place of the activations."""
    mean_ablated_loss: float
    """With the mean activation in every place."""
    zero_ablated_loss: float
    """With zeros in every place."""
    fvu: float
    """Fraction of variance unexplained."""
    cosine: float
    """Mean cosine between activation and reconstruction."""
    norm_ratio: float
    """Mean norm of reconstructions over that of activations."""
    relative_bias: float
    """Shrinkage: what reconstructions should be divided by; 1 is none."""
    dead_share: float
    """Latents that were never active."""
    dense_share: float
    """Latents active at more than a tenth of the positions."""
    n_positions: int
    """Activations that were looked at."""

    def to_dict(self) -> dict[str, float]:
        """The numbers by name."""
        return asdict(self)


@dataclass
class Part:
    """Some rows of an evaluation, and what is known of them."""

    tokens: Int[Tensor, "batch seq"]
    mask: Bool[Tensor, "batch seq"] | None
    is_picked: Bool[Tensor, "batch seq"]
    """Where the autoencoder is looked at and spliced in."""
    lm: HookedLM

    def sum_losses(self, hooks: list[HookSpec]) -> Float[Tensor, ""]:
        """The loss with these hooks, summed in float64 over the tokens that count, on the CPU."""
        logprobs = next_token_logprobs(self.lm.run(self.tokens, hooks), self.tokens)
        return -logprobs.masked_fill(~self.is_counted, 0.0).double().sum().cpu()

    @property
    def is_counted(self) -> Bool[Tensor, "batch n_predicted"]:
        """Where a real token predicts a real one."""
        if self.mask is None:
            return torch.ones_like(self.tokens[:, 1:], dtype=torch.bool)
        return predicts_real(self.mask)

    @property
    def n_counted(self) -> int:
        """Over how many tokens the loss is a mean."""
        return int(self.is_counted.sum())


@torch.no_grad()
def evaluate_sae(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, "n_rows seq"],
    hook_name: str | None = None,
    hook_name_out: str | None = None,
    *,
    attention_mask: Mask | None = None,
    skip_first: bool = False,
    skip_tokens: tuple[int, ...] = (),
    batch_size: int = 32,
) -> SAEMetrics:
    """Measure the autoencoder on these tokens, `batch_size` rows at a time.

    Padding, and what `skip_first` and `skip_tokens` leave out as in training, is neither looked at nor replaced. The loss
    is that of all real tokens.
    """
    reads, writes = find_hook_names(sae, hook_name, hook_name_out)
    parts = list(_split(hooked(model), tokens, attention_mask, skip_first, skip_tokens, batch_size))
    if not any(bool(part.is_picked.any()) and part.n_counted for part in parts):
        raise ConfigError(
            f"an evaluation needs a position that counts: got {tuple(tokens.shape)} tokens, all of them padding or left "
            "out. Look at attention_mask, skip_first and skip_tokens."
        )
    clean, acts, recon, frequencies = _look(parts, sae, reads, writes)

    def put(value: Float[Tensor, " d_out"]) -> float:
        return _compute_loss(parts, lambda part: [(writes, partial(_put, value, part.is_picked))])

    losses = {
        "clean": clean,
        "spliced": _compute_loss(parts, lambda part: splicing_hooks(sae, reads, writes, is_spliced=part.is_picked)),
        "mean": put(acts.mean(dim=0)),
        "zero": put(torch.zeros_like(acts[0])),
    }
    return _summarise(losses, acts, recon, frequencies)


def _look(
    parts: list[Part], sae: SAE, reads: str, writes: str
) -> tuple[float, Float[Tensor, "n d_out"], Float[Tensor, "n d_out"], Float[Tensor, " d_sae"]]:
    """The model's own loss; what is to be reconstructed and what is; how often each latent is active."""
    acts, recon, n_active = [], [], torch.zeros(sae.cfg.d_sae, device=parts[0].tokens.device)
    seen: dict[str, Tensor] = {}
    hooks: list[HookSpec] = [(name, partial(_keep, seen, name)) for name in dict.fromkeys((reads, writes))]
    total = torch.zeros((), dtype=torch.float64)
    for part in parts:
        total += part.sum_losses(hooks)
        inputs, target = (merge_heads(seen[name])[part.is_picked].to(sae.W_enc.dtype) for name in (reads, writes))
        latents = sae.encode(inputs)
        acts.append(at_least_float32(target))
        recon.append(at_least_float32(sae.add_skip(sae.decode(latents), inputs)))
        n_active += (latents > 0).sum(dim=0)  # counts, so that frequencies are exact
    rows = torch.cat(acts)
    return float(total) / sum(part.n_counted for part in parts), rows, torch.cat(recon), n_active / len(rows)


def _compute_loss(parts: list[Part], make_hooks: Callable[[Part], list[HookSpec]]) -> float:
    """The mean loss with the hooks that are made for each part."""
    total = sum((part.sum_losses(make_hooks(part)) for part in parts), start=torch.zeros((), dtype=torch.float64))
    return float(total) / sum(part.n_counted for part in parts)


def _summarise(
    losses: dict[str, float],
    acts: Float[Tensor, "n d_out"],
    recon: Float[Tensor, "n d_out"],
    frequencies: Float[Tensor, " d_sae"],
) -> SAEMetrics:
    clean, spliced = losses["clean"], losses["spliced"]
    return SAEMetrics(
        l0=float(frequencies.sum()),
        added_loss=spliced - clean,
        loss_recovered=metrics.compute_loss_recovered(clean, spliced, losses["mean"]),
        loss_recovered_zero=metrics.compute_loss_recovered(clean, spliced, losses["zero"]),
        clean_loss=clean,
        spliced_loss=spliced,
        mean_ablated_loss=losses["mean"],
        zero_ablated_loss=losses["zero"],
        fvu=float(metrics.compute_fvu(acts, recon)),
        cosine=float(metrics.compute_cosine(acts, recon)),
        norm_ratio=float(metrics.compute_norm_ratio(acts, recon)),
        relative_bias=float(metrics.compute_relative_bias(acts, recon)),
        dead_share=float(metrics.compute_dead_share(frequencies)),
        dense_share=float(metrics.compute_dense_share(frequencies)),
        n_positions=len(acts),
    )


def _split(
    lm: HookedLM,
    tokens: Tensor,
    attention_mask: Mask | None,
    skip_first: bool,
    skip_tokens: tuple[int, ...],
    batch_size: int,
) -> Iterator[Part]:
    tokens, mask = read_batch((tokens, attention_mask))
    is_picked = pick_positions(tokens, mask, skip_first=skip_first, skip_tokens=skip_tokens)
    for start in range(0, len(tokens), batch_size):
        rows = slice(start, start + batch_size)
        part_mask = None if mask is None else mask[rows]
        yield Part(
            tokens[rows].to(lm.device),
            None if part_mask is None else part_mask.to(lm.device),
            is_picked[rows].to(lm.device),
            attend(lm, part_mask),
        )


def _keep(seen: dict[str, Tensor], name: str, tensor: Tensor, hook: Any) -> None:
    seen[name] = tensor


def _put(value: Tensor, is_picked: Tensor, tensor: Tensor, hook: Any) -> Tensor:
    return replace_positions(tensor, value.expand(*tensor.shape[:2], -1), is_picked)
