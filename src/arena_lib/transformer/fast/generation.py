"""Write with a fast form: a batch of texts at once, each token read once.

The lesson form of the same is `kv_cache.generate_with_cache`; the choices of `sampling.py`
are made here for all texts at once, and on the model's device, so that nothing waits for the host
but the look whether all texts have ended. `model.generate` (`text/writing.py`) takes text, too.

Shapes:  tokens "batch seq" -> tokens "batch seq_all"
Raises:  TokenError if the text would outgrow the model's context; ShapeError for tokens without a batch axis,
         or a bad attention_mask (`padding.py`); ConfigError for options that cannot work.
Source:  Shazeer 2019, arXiv:1911.02150, section 2.4 (incremental inference); Keskar et al. 2019,
         arXiv:1909.05858, section 4.1 (repetition penalty).
Differs: room for all keys and values is taken at the start, and new ones are written into it; the repetition
         penalty multiplies logits below zero, as transformers does, where Keskar et al. divide them too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.transformer.context import check_room
from arena_lib.transformer.fast.padding import Mask, pad_left, read_mask
from arena_lib.transformer.sampling import GREEDY, SamplingConfig


@dataclass(frozen=True, kw_only=True)
class WritingConfig(SamplingConfig):
    """How the fast forms choose: top_k and top_p also together (the k first), and repetition penalised by a factor."""

    may_combine: ClassVar[bool] = True

    repetition_penalty: float = 1.0
    """The logits of tokens that occurred already are divided by it, or where below zero multiplied; 1 is off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise ConfigError(
                f"repetition_penalty must be finite and above 0: got {self.repetition_penalty}. Pass 1 to switch it off, "
                "1.2 to make repetition less likely."
            )


class StaticKVCache:
    """Keys and values of up to `n_max` positions of each layer, in memory that is taken once.

    `keys[layer_idx]` and `values[layer_idx]` are None at first, then views of that memory, as in the lesson form.
    """

    def __init__(self, n_layers: int, n_max: int) -> None:
        self.n_max = n_max
        self.keys: list[Tensor | None] = [None] * n_layers
        self.values: list[Tensor | None] = [None] * n_layers
        self._rooms: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    @property
    def n_seen(self) -> int:
        """How many positions the first layer holds."""
        return 0 if self.keys[0] is None else self.keys[0].shape[1]

    def extend(
        self,
        layer_idx: int,
        k: Float[Tensor, "batch seq_new n_heads d_head"],
        v: Float[Tensor, "batch seq_new n_heads d_head"],
    ) -> tuple[Float[Tensor, "batch seq_all n_heads d_head"], Float[Tensor, "batch seq_all n_heads d_head"]]:
        """Write new positions after a layer's old ones; returns views of all of that layer's."""
        held, rooms = self.keys[layer_idx], self._rooms[layer_idx]
        n_old = 0 if held is None else held.shape[1]
        if rooms is None:
            rooms = self._rooms[layer_idx] = self._make_room(k), self._make_room(v)
        k, v = self._write(rooms[0], k, n_old), self._write(rooms[1], v, n_old)
        self.keys[layer_idx], self.values[layer_idx] = k, v
        return k, v

    def _make_room(self, like: Tensor) -> Tensor:
        """Memory in which one head's positions are side by side, as attention reads them."""
        batch, _, n_heads, d_head = like.shape
        return like.new_empty(batch, n_heads, self.n_max, d_head).transpose(1, 2)

    @staticmethod
    def _write(room: Tensor, new: Tensor, n_old: int) -> Tensor:
        room[:, n_old : n_old + new.shape[1]] = new
        return room[:, : n_old + new.shape[1]]


def generate(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    options: SamplingConfig = GREEDY,
    eos_token_id: int | Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    *,
    attention_mask: Mask | None = None,
) -> Int[Tensor, "batch seq_all"]:
    """The tokens, and up to max_new_tokens more after each sequence; greedy unless `options` say otherwise.

    A sequence ends with its first new eos_token_id, or with the first of several that may end it, and is
    filled with more of them (of the first in the list); when all have ended, generation stops.

    Prompts of uneven length come padded on either side, with `attention_mask` True (or 1) at their
    tokens: `model.to_padded_tokens` makes both. What is returned then has all padding on the left,
    so that each prompt and its new tokens stand side by side and end the row.
    """
    written = tokens
    for grown in grow(model, tokens, max_new_tokens, options, eos_token_id, generator, attention_mask=attention_mask):
        written = grown
    return written


def grow(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    options: SamplingConfig = GREEDY,
    eos_token_id: int | Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    *,
    attention_mask: Mask | None = None,
) -> Iterator[Int[Tensor, "batch seq_all"]]:
    """What `generate` returns, as it grows: the prompts, then the prompts with each further token."""
    model.check_input(tokens)
    batch, n_prompt = tokens.shape
    check_room(model, n_prompt, max_new_tokens)
    n_all = n_prompt + max_new_tokens
    is_real = None if attention_mask is None else read_mask(attention_mask, batch, n_prompt, tokens.device)
    if is_real is not None:
        tokens, is_real = pad_left(tokens, is_real)
        is_real = torch.cat([is_real, is_real.new_ones(batch, max_new_tokens)], dim=1)
    ends = [] if eos_token_id is None else [eos_token_id] if isinstance(eos_token_id, int) else list(eos_token_id)
    end_ids = tokens.new_tensor(ends)
    cache = StaticKVCache(model.cfg.n_layers, n_all)
    written = torch.cat([tokens, tokens.new_zeros(batch, max_new_tokens)], dim=1)
    has_ended = torch.zeros(batch, dtype=torch.bool, device=tokens.device)
    yield written[:, :n_prompt]
    for n_read in range(n_prompt, n_all):
        # `written` is made outside, so that it stays a tensor that may be trained on.
        with torch.inference_mode():
            mask = None if is_real is None else is_real[:, :n_read]
            unread = written[:, cache.n_seen : n_read]
            logits = model(unread, kv_cache=cache, last_only=True, attention_mask=mask)[:, -1]
            chosen = choose_tokens(written[:, :n_read], logits, options, generator, mask)
            if ends:
                chosen = chosen.masked_fill(has_ended, ends[0])
                has_ended = has_ended | (chosen[:, None] == end_ids).any(dim=1)
            written[:, n_read] = chosen
        yield written[:, : n_read + 1]
        if ends and has_ended.all():
            break


def choose_tokens(
    tokens: Int[Tensor, "batch seq"],
    logits: Float[Tensor, "batch d_vocab"],
    options: SamplingConfig,
    generator: torch.Generator | None = None,
    attention_mask: Mask | None = None,
) -> Int[Tensor, " batch"]:
    """For each text, the token that follows it: what `sampling.sample_next_token` chooses for one.

    The same distribution, in other draws, with probabilities in float32 or better. Penalties count what
    `attention_mask` says is real, or all; the one by a factor (`WritingConfig`) comes first.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    factor = options.repetition_penalty if isinstance(options, WritingConfig) else 1.0
    if options.frequency_penalty or factor != 1:
        is_counted = torch.ones_like(tokens) if attention_mask is None else attention_mask
        counts = torch.zeros_like(logits).scatter_add_(1, tokens.long(), is_counted.to(logits.dtype))
        logits = torch.where(counts > 0, torch.where(logits > 0, logits / factor, logits * factor), logits)
        logits = logits - options.frequency_penalty * counts
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / options.temperature
    is_cut = 0 < options.top_p < 1
    if not (options.top_k or is_cut):
        return _draw(logits, generator).squeeze(1)
    n_best = min(options.top_k or logits.shape[1], logits.shape[1])
    best, token_ids = logits.topk(n_best) if options.top_k else logits.sort(dim=-1, descending=True)
    if is_cut:
        probabilities = best.softmax(dim=-1)
        sum_before = probabilities.cumsum(dim=-1) - probabilities
        # The token that crosses top_p has less than top_p before it.
        is_beyond = sum_before >= options.top_p
        is_beyond[:, 0] = False
        best = best.masked_fill(is_beyond, -torch.inf)
    return token_ids.gather(1, _draw(best, generator)).squeeze(1)


def _draw(logits: Float[Tensor, "batch n"], generator: torch.Generator | None) -> Int[Tensor, "batch 1"]:
    return torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
