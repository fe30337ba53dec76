"""Write with a fast form: a batch of texts at once, each token read once.

The lesson form of the same is `kv_cache.generate_with_cache`; the choices of `sampling.py`
are made here for all texts at once, and on the model's device, so that nothing waits for the host.

Shapes:  tokens "batch seq" -> tokens "batch seq_all"
Raises:  TokenError if the text would outgrow the model's context.
Source:  Shazeer 2019, arXiv:1911.02150, section 2.4 (incremental inference).
Differs: every sequence of a batch starts with the same length; room for all keys and values is
         taken at the start, and new ones are written into it.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.transformer.context import check_room
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.sampling import GREEDY, SamplingConfig


class StaticKVCache:
    """Keys and values of up to `n_max` positions of each layer, in memory that is taken once."""

    def __init__(self, n_layers: int, n_max: int) -> None:
        self.n_max = n_max
        self._n_held = [0] * n_layers
        self._keys: list[Tensor | None] = [None] * n_layers
        self._values: list[Tensor | None] = [None] * n_layers

    @property
    def n_seen(self) -> int:
        """How many positions the first layer holds."""
        return self._n_held[0]

    def extend(
        self,
        layer_idx: int,
        k: Float[Tensor, "batch seq_new n_heads d_head"],
        v: Float[Tensor, "batch seq_new n_heads d_head"],
    ) -> tuple[Float[Tensor, "batch seq_all n_heads d_head"], Float[Tensor, "batch seq_all n_heads d_head"]]:
        """Write new positions after a layer's old ones; returns views of all of that layer's."""
        n_old, n_new = self._n_held[layer_idx], k.shape[1]
        if self._keys[layer_idx] is None:
            self._keys[layer_idx], self._values[layer_idx] = self._make_room(k), self._make_room(v)
        self._n_held[layer_idx] = n_old + n_new
        return self._write(self._keys[layer_idx], k, n_old), self._write(self._values[layer_idx], v, n_old)

    def _make_room(self, like: Tensor) -> Tensor:
        """Memory in which one head's positions are side by side, as attention reads them."""
        batch, _, n_heads, d_head = like.shape
        return like.new_empty(batch, n_heads, self.n_max, d_head).transpose(1, 2)

    @staticmethod
    def _write(room: Tensor | None, new: Tensor, n_old: int) -> Tensor:
        assert room is not None
        room[:, n_old : n_old + new.shape[1]] = new
        return room[:, : n_old + new.shape[1]]


@torch.inference_mode()
def generate(
    model: Transformer,
    tokens: Int[Tensor, "batch seq"],
    max_new_tokens: int,
    options: SamplingConfig = GREEDY,
    eos_token_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch seq_all"]:
    """The tokens, and up to max_new_tokens more after each sequence; greedy unless `options` say otherwise.

    A sequence ends with its first new eos_token_id and is filled with more of them; when all
    have ended, generation stops.
    """
    batch, n_prompt = tokens.shape
    check_room(model, n_prompt, max_new_tokens)
    n_all = n_prompt + max_new_tokens
    cache = StaticKVCache(model.cfg.n_layers, n_all)
    written = torch.cat([tokens, tokens.new_zeros(batch, max_new_tokens)], dim=1)
    has_ended = torch.zeros(batch, dtype=torch.bool, device=tokens.device)
    for n_read in range(n_prompt, n_all):
        logits = model(written[:, cache.n_seen : n_read], kv_cache=cache, last_only=True)[:, -1]
        chosen = choose_tokens(written[:, :n_read], logits, options, generator)
        if eos_token_id is not None:
            chosen = chosen.masked_fill(has_ended, eos_token_id)
            has_ended |= chosen == eos_token_id
        written[:, n_read] = chosen
        if eos_token_id is not None and has_ended.all():
            return written[:, : n_read + 1]
    return written


def choose_tokens(
    tokens: Int[Tensor, "batch seq"],
    logits: Float[Tensor, "batch d_vocab"],
    options: SamplingConfig,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """For each text, the token that follows it: what `sampling.sample_next_token` chooses for one.

    The same distribution, in other draws.
    """
    if options.frequency_penalty:
        counts = torch.zeros_like(logits).scatter_add_(1, tokens.long(), torch.ones_like(tokens, dtype=logits.dtype))
        logits = logits - options.frequency_penalty * counts
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / options.temperature
    if options.top_k:
        best = logits.topk(min(options.top_k, logits.shape[1]))
        return best.indices.gather(1, _draw(best.values, generator)).squeeze(1)
    if options.top_p:
        sorted_logits, token_ids = logits.sort(dim=-1, descending=True)
        probabilities = sorted_logits.softmax(dim=-1)
        sum_before = probabilities.cumsum(dim=-1) - probabilities
        # The token that crosses top_p has less than top_p before it.
        is_beyond = sum_before >= options.top_p
        is_beyond[:, 0] = False
        return token_ids.gather(1, _draw(sorted_logits.masked_fill(is_beyond, -torch.inf), generator)).squeeze(1)
    return _draw(logits, generator).squeeze(1)


def _draw(logits: Float[Tensor, "batch n"], generator: torch.Generator | None) -> Int[Tensor, "batch 1"]:
    return torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
