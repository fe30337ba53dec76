"""Rollouts: what a policy draws after its prompts, and how likely it found each token.

Tokens are drawn one after another from softmax(logits / temperature), and each one's log-probability is kept under just
that distribution. There is no top-k and no top-p: what they cut off would have a probability when it's scored and none
when it's drawn. A sample ends with its first end-of-text (`masking.find_responses`).

Keys and values of what was read are kept (a KV cache), so each token is read once. Several samples of one prompt share the
reading of it: it's read once, and its keys and values are then repeated for each sample.

Shapes:  prompts "n_prompts n_prompt" -> tokens "batch seq" with batch = n_prompts * n_samples, seq = n_prompt + gen_len
Raises:  TokenError if prompt and response outgrow the model's context; ConfigError for sizes or a temperature that can't work;
         TrainingError for a policy whose logits aren't finite any more.
Source:  own derivation; the cache as in `arena_lib.transformer.fast.generation`.
"""

import time
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.core.seeds import LARGEST_SEED, make_generator
from arena_lib.errors import ConfigError, TokenError, TrainingError
from arena_lib.rlhf.logprobs import check_temperature
from arena_lib.rlhf.masking import find_responses
from arena_lib.rlhf.prompts import Prompts
from arena_lib.transformer.context import n_ctx_of
from arena_lib.transformer.fast.generation import StaticKVCache
from arena_lib.transformer.fast.model import Transformer
from arena_lib.wording import counted


@dataclass(frozen=True)
class Rollouts:
    """Prompts, and what was drawn after them; samples of one prompt stand side by side."""

    tokens: Int[Tensor, "batch seq"]
    """Prompts, padded on the left, then responses; after a response's end-of-text come more of them."""
    attention_mask: Bool[Tensor, "batch seq"]
    """False at the padding of prompts. What fills a row after its response isn't hidden: no drawn token can see it."""
    is_response: Bool[Tensor, "batch gen_len"]
    """Of what stands after the prompt, which tokens were drawn: up to the first end-of-text, that one included."""
    logprobs: Float[Tensor, "batch gen_len"]
    """Log-probability in nats of each drawn token, under the distribution it was drawn from; 0 elsewhere."""
    n_prompt: int
    """Tokens before the first that was drawn, padding included: the `prefix_len` of `get_logprobs`."""
    seconds: float
    """How long drawing took."""

    @property
    def tokens_per_second(self) -> float:
        """Drawn tokens a second, of all samples together."""
        return float(self.is_response.sum()) / self.seconds

    @property
    def responses(self) -> list[list[int]]:
        """The drawn tokens of each sample, its end-of-text included."""
        after = self.tokens[:, self.n_prompt :]
        return [row[keep].tolist() for row, keep in zip(after, self.is_response, strict=True)]

    @property
    def prompts(self) -> list[list[int]]:
        """The prompt of each sample, without padding."""
        before, is_real = self.tokens[:, : self.n_prompt], self.attention_mask[:, : self.n_prompt]
        return [row[keep].tolist() for row, keep in zip(before, is_real, strict=True)]


@torch.no_grad()
def draw_rollouts(
    model: Transformer,
    prompts: Prompts,
    gen_len: int,
    *,
    n_samples: int = 1,
    temperature: float = 1.0,
    end_of_text: int | None = None,
    generator: torch.Generator | None = None,
) -> Rollouts:
    """Draw `n_samples` responses of up to `gen_len` tokens to each prompt.

    `end_of_text` ends a sample; None lets none end early. `generator`, if given, is the only source of randomness; it may
    be on the CPU wherever the model is.
    """
    _check_sizes(gen_len, n_samples)
    check_temperature(temperature)
    n_prompt = prompts.tokens.shape[1]
    check_context(model, n_prompt, gen_len)
    start = time.perf_counter()
    device = next(model.parameters()).device
    whole, generator = prompts.to(device), generator_on(device, generator)
    tokens, attention_mask = (
        torch.nn.functional.pad(x, (0, gen_len), value=filling).repeat_interleave(n_samples, dim=0)
        for x, filling in ((whole.tokens, end_of_text or 0), (whole.attention_mask, True))
    )
    cache, logits = read_prompts(model, whole, n_samples, n_prompt + gen_len)
    _check_finite(logits)
    logprobs = torch.zeros(len(tokens), gen_len, dtype=at_least_float32(logits[:0]).dtype, device=device)
    has_ended = torch.zeros(len(tokens), dtype=torch.bool, device=device)
    for i in range(gen_len):
        chosen, chosen_logprobs = draw_tokens(logits, temperature, generator)
        if end_of_text is not None:
            chosen = chosen.masked_fill(has_ended, end_of_text)
            chosen_logprobs = chosen_logprobs.masked_fill(has_ended, 0.0)
            has_ended = has_ended | (chosen == end_of_text)
        tokens[:, n_prompt + i], logprobs[:, i] = chosen, chosen_logprobs
        if i + 1 == gen_len or has_ended.all():
            break
        seen = attention_mask[:, : n_prompt + i + 1]
        logits = model(chosen[:, None], kv_cache=cache, last_only=True, attention_mask=seen)[:, -1]
    is_response = find_responses(tokens[:, n_prompt:], end_of_text)
    return Rollouts(tokens, attention_mask, is_response, logprobs, n_prompt, time.perf_counter() - start)


def draw_tokens(
    logits: Float[Tensor, "batch d_vocab"], temperature: float = 1.0, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, " batch"], Float[Tensor, " batch"]]:
    """One token for each row, drawn from softmax(logits / temperature), and its log-probability under that distribution.

    >>> draw_tokens(torch.tensor([[0.0, 100.0]]))
    (tensor([1]), tensor([0.]))
    """
    logprobs = (at_least_float32(logits) / temperature).log_softmax(dim=-1)
    chosen = torch.multinomial(logprobs.exp(), num_samples=1, generator=generator)
    return chosen.squeeze(1), logprobs.gather(1, chosen).squeeze(1)


def read_prompts(
    model: Transformer, prompts: Prompts, n_samples: int, n_max: int
) -> tuple[StaticKVCache, Float[Tensor, "batch d_vocab"]]:
    """Read each prompt once: a cache with room for `n_max` positions of n_samples rows for each, and the logits after them."""
    cache = StaticKVCache(model.cfg.n_layers, prompts.tokens.shape[1])
    mask = prompts.attention_mask
    logits = model(prompts.tokens, kv_cache=cache, last_only=True, attention_mask=mask)[:, -1]
    repeated = StaticKVCache(model.cfg.n_layers, n_max)
    for layer_idx, (k, v) in enumerate(zip(cache.keys, cache.values, strict=True)):
        assert k is not None
        assert v is not None
        repeated.extend(layer_idx, k.repeat_interleave(n_samples, dim=0), v.repeat_interleave(n_samples, dim=0))
    if not mask.all():
        # The model leaves the mask on the cache that it reads into, and looks for it in later calls.
        setattr(repeated, "attention_mask", mask.repeat_interleave(n_samples, dim=0))  # noqa: B010
    return repeated, logits.repeat_interleave(n_samples, dim=0)


def generator_on(device: torch.device, generator: torch.Generator | None) -> torch.Generator | None:
    """The generator if it can draw on `device`; else a new one there, whose seed it gives."""
    if generator is None or generator.device.type == device.type:
        return generator
    seed = int(torch.randint(LARGEST_SEED, (), generator=generator, device=generator.device))
    return make_generator(seed, device)


def check_context(model: Transformer, n_prompt: int, gen_len: int) -> None:
    """Raise TokenError unless the model can read a prompt with its whole response, as it does when it is scored."""
    n_ctx = n_ctx_of(model)
    if n_ctx is not None and n_prompt + gen_len > n_ctx:
        n_room = n_ctx - n_prompt
        advice = f"Pass gen_len={n_room} or fewer" if n_room > 0 else "Pass shorter prompts"
        raise TokenError(
            f"prompt and response must fit into the model's context of {counted(n_ctx, 'token')}: got prompts of {n_prompt} "
            f"and gen_len={gen_len}. {advice}."
        )


def _check_finite(logits: Float[Tensor, "batch d_vocab"]) -> None:
    if not logits.logsumexp(dim=-1).isfinite().all():
        raise TrainingError(
            "a policy's logits must be finite, so that tokens can be drawn from them: got NaN or infinity. Lower the learning "
            "rate of the run that made it so, or set grad_clip."
        )


def _check_sizes(gen_len: int, n_samples: int) -> None:
    for name, value in (("gen_len", gen_len), ("n_samples", n_samples)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1: got {value}. Pass the number that you want.")
