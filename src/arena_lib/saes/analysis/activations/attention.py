"""Direct feature attribution: where a latent of an attention SAE gets its activation from, by position and head.

An attention SAE reads z, the heads' outputs side by side. Each head's z at a position is a sum over the positions that
it looks at, pattern times value, and a latent before its activation function is linear in z. So it splits exactly:

    pre_act[dest] = sum over src and heads of  pattern[head, dest, src] * (v[src, head] . W_enc[head])   + constant

where W_enc[head] is the head's part of the latent's encoder direction.

Shapes:  v "seq n_heads d_head", pattern "n_heads seq" (of one query), encoder "n_heads d_head" -> "seq n_heads"
Raises:  ConfigError for an SAE that doesn't read hook_z; what `examples` and `places` raise.
Source:  Kissane et al. 2024, arXiv:2406.17759, section 2.3 (direct feature attribution by source position).
Differs: heads are kept apart too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.models import check_position
from arena_lib.saes.analysis.activations.examples import check_window, find_top_positions
from arena_lib.saes.analysis.activations.texts import Texts, stream_latents
from arena_lib.saes.analysis.places import Place, check_latents, find_block, find_place, token_texts
from arena_lib.saes.autoencoders.base import SAE


@dataclass(frozen=True, eq=False)
class FeatureAttribution:
    """A latent at one position, split by where it comes from."""

    parts: Float[Tensor, "seq n_heads"]
    """What each source position adds through each head."""
    constant: float
    """What is there without any activations: biases."""

    @property
    def pre_act(self) -> float:
        """The latent before its activation function: the sum of it all."""
        return float(self.parts.sum()) + self.constant

    @property
    def by_source(self) -> Float[Tensor, " seq"]:
        """What each source position adds, through all heads."""
        return self.parts.sum(dim=1)


@dataclass(frozen=True)
class AttnSeqDFA:
    """A token on which an attention latent is active, and the token that it mostly comes from."""

    act: float
    """The latent's activation."""
    str_toks_dest: list[str]
    """The tokens around the one on which it is active."""
    str_toks_src: list[str]
    """The tokens around the one that adds most to it."""
    dest_pos: int
    """Which of `str_toks_dest` it is active on."""
    src_pos: int
    """Which of `str_toks_src` adds most."""
    share: float
    """What that token adds to the latent before its activation function, as a share of what all tokens add."""
    head: int
    """The head through which that token adds most."""


def attribute_to_sources(
    v: Float[Tensor, "seq n_heads d_head"],
    pattern: Float[Tensor, "n_heads seq"],
    encoder: Float[Tensor, "n_heads d_head"],
) -> Float[Tensor, "seq n_heads"]:
    """What each source position adds to a latent through each head: pattern times the value along the encoder.

    `v` are the values of every position, `pattern` is the row of one query, `encoder` the latent's column of W_enc, in
    the heads' parts. The sum over both axes is z @ W_enc for the query's position.

    Gradients flow through it.
    """
    return pattern.T * (v * encoder).sum(dim=-1)


@torch.no_grad()
def compute_dfa(
    model: Any,
    sae: SAE,
    tokens: Int[Tensor, " seq"],
    latent_idx: int,
    dest_pos: int = -1,
    *,
    hook_name: str | None = None,
) -> FeatureAttribution:
    """A latent at one position of one text, split by source position and head."""
    place = _attention_place(model, sae, hook_name)
    check_latents(sae, [latent_idx])
    dest = check_position(dest_pos, len(tokens))
    return _attribute(place, tokens, latent_idx, dest)


@torch.no_grad()
def fetch_max_activating_examples_attn(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idx: int,
    total_batches: int = 250,
    k: int = 10,
    buffer: int = 10,
    *,
    hook_name: str | None = None,
    may_overlap: bool = True,
    skip: Sequence[int] | None = None,
) -> list[AttnSeqDFA]:
    """The k tokens on which an attention latent is most active, each with the source token that adds most to it.

    The tokens are those of `fetch_max_activating_examples`. Any token before may be the source, the one that begins a
    text too. Of equal sources the earlier is taken.
    """
    check_window(k, buffer)
    place = _attention_place(model, sae, hook_name)
    check_latents(sae, [latent_idx])
    best: list[tuple[float, Tensor, int]] = []
    for batch in stream_latents(place, tokens, [latent_idx], total_batches=total_batches, skip=skip):
        acts = batch.counted[..., 0]
        for row, column in find_top_positions(acts, k, 0 if may_overlap else buffer).tolist():
            is_real = batch.is_real[row].to(batch.tokens.device)
            position = int(batch.is_real[row, :column].sum())
            best.append((acts[row, column].item(), batch.tokens[row, is_real], position))
        best = sorted(best, key=lambda example: example[0], reverse=True)[:k]
    return [_describe(place, latent_idx, *example, buffer) for example in best]


def _describe(place: Place, latent_idx: int, act: float, text: Tensor, dest: int, buffer: int) -> AttnSeqDFA:
    """One example with its strongest source."""
    dfa = _attribute(place, text, latent_idx, dest)
    src = int(dfa.by_source.argmax())
    windows = []
    for position in (dest, src):
        start = max(position - buffer, 0)
        windows.append((token_texts(place.lm, text[start : position + buffer + 1].tolist()), position - start))
    total = float(dfa.parts.sum())
    return AttnSeqDFA(
        act=act,
        str_toks_dest=windows[0][0],
        str_toks_src=windows[1][0],
        dest_pos=windows[0][1],
        src_pos=windows[1][1],
        share=float(dfa.by_source[src]) / total if total else 0.0,
        head=int(dfa.parts[src].argmax()),
    )


def _attribute(place: Place, text: Int[Tensor, " seq"], latent_idx: int, dest: int) -> FeatureAttribution:
    """`compute_dfa` of a text without padding, which runs alone."""
    lm, sae, layer = place.lm, place.sae, find_block(place.hook_name)
    assert layer is not None  # hook_z is in a block
    names = [f"blocks.{layer}.attn.hook_{part}" for part in ("v", "pattern")]
    stop = None if layer + 1 == lm.n_layers else layer + 1
    _, cache = lm.run_with_cache(text[None].to(lm.device), names, stop_at_layer=stop)
    v, pattern = (at_least_float32(cache[name][0]) for name in names)
    v, pattern = lm.repeat_kv(v, axis=1).to(sae.W_enc), pattern[:, dest].to(sae.W_enc)
    encoder = sae.W_enc[:, latent_idx].view(lm.n_heads, lm.d_head)
    constant = sae.compute_pre_acts(torch.zeros_like(sae.W_enc[:, 0])[None])[0, latent_idx].item()
    return FeatureAttribution(attribute_to_sources(v, pattern, encoder), constant)


def _attention_place(model: Any, sae: SAE, hook_name: str | None) -> Place:
    """Where the SAE reads, which must be the heads' outputs of a model whose attention is what it seems."""
    place = find_place(model, sae, hook_name)
    lm = place.lm
    if not place.hook_name.endswith("attn.hook_z") or sae.cfg.d_in != lm.n_heads * lm.d_head:
        raise ConfigError(
            f"direct feature attribution needs an SAE of the heads' outputs, hook_z with d_in = {lm.n_heads * lm.d_head}: "
            f"got d_in = {sae.cfg.d_in} at {place.hook_name!r}. Train one on blocks.{find_block(place.hook_name) or 0}.attn.hook_z."
        )
    lm.require(Assumption.VALUES)
    return place
