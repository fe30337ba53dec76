"""Choose the next token from logits, and write text with a model.

Shapes:  logits "d_vocab" -> one token id; TransformerSampler: text -> text
Raises:  ConfigError if sampling options cannot work; TokenError if a prompt has no tokens.
Source:  Fan et al. 2018, arXiv:1805.04833, section 5.1 (top-k); Holtzman et al. 2019,
         arXiv:1904.09751, section 3.1 (top-p); own derivation (frequency penalty: subtracted
         from the logits once for each time that a token occurred).
Differs: a generator may be passed for draws that can be repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.progress import progress
from arena_lib.errors import ConfigError, TokenError
from arena_lib.transformer.beam_search import Beams, beam_search
from arena_lib.transformer.context import n_ctx_of

Model = Callable[[Tensor], Tensor]
"""Anything that maps tokens "batch seq" to logits "batch seq d_vocab"."""


@runtime_checkable
class Tokenizer(Protocol):
    """What a sampler needs of a tokenizer; those of `transformers` and `tokenizers` have it too."""

    def encode(self, text: str) -> Any:
        """The token ids of a text, or an object that has them as `ids`."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of token ids."""
        ...


LEAST_TEMPERATURE = 1e-30
"""Logits of up to 1e8 divided by it are still below the largest float32, 3e38."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How `sample_next_token` chooses; the defaults draw from the model's own distribution."""

    may_combine: ClassVar[bool] = False
    """Whether top_k and top_p may be used together."""

    temperature: float = 1.0
    """Logits are divided by it: below 1 is bolder, above 1 more random, and 0 is greedy."""
    top_k: int = 0
    """Draw among the k most likely tokens only; 0 switches it off."""
    top_p: float = 0.0
    """Draw among the most likely tokens that together reach this probability; 0 switches it off."""
    frequency_penalty: float = 0.0
    """Subtracted from a token's logit once for each time that it occurred already."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(
                f"temperature must be finite and at least 0: got {self.temperature}. Pass 0 for greedy choice, 1 for "
                "the model's own distribution."
            )
        if 0 < self.temperature < LEAST_TEMPERATURE:
            raise ConfigError(
                f"temperature must be 0 or at least {LEAST_TEMPERATURE}, so that logits divided by it stay finite: got "
                f"{self.temperature}. Pass 0 for greedy choice."
            )
        if not isfinite(self.frequency_penalty):
            raise ConfigError(
                f"frequency_penalty must be finite: got {self.frequency_penalty}. Pass 0 to switch it off, 100 to make "
                "repetition all but impossible."
            )
        if not isinstance(self.top_k, int) or self.top_k < 0:
            raise ConfigError(
                f"top_k must be a whole number of at least 0: got {self.top_k}. Pass 0 to draw among all tokens."
            )
        if not 0 <= self.top_p <= 1:
            raise ConfigError(f"top_p must be between 0 and 1: got {self.top_p}. Pass 0 to draw among all tokens.")
        if self.top_k and self.top_p and not self.may_combine:
            raise ConfigError(
                f"top_k and top_p must not be used together: got top_k={self.top_k} and top_p={self.top_p}. Leave one "
                "of them at 0."
            )


GREEDY = SamplingConfig(temperature=0.0)
"""Always the most likely token."""


def greedy_search(logits: Float[Tensor, " d_vocab"]) -> int:
    """The most likely token: the index of the largest logit, as an int.

    >>> greedy_search(torch.tensor([0.5, 3.0, -1.0]))
    1
    """
    return int(logits.argmax())


def sample_basic(logits: Float[Tensor, " d_vocab"], generator: torch.Generator | None = None) -> int:
    """Draw one token id, each with probability softmax(logits), as an int.

    `generator`, if given, is the only source of randomness; each draw moves it on.

    >>> sample_basic(torch.tensor([0.0, 100.0, 0.0]))
    1
    """
    probabilities = logits.softmax(dim=-1)
    return int(torch.multinomial(probabilities, num_samples=1, generator=generator))


def apply_temperature(logits: Float[Tensor, " d_vocab"], temperature: float) -> Float[Tensor, " d_vocab"]:
    """Logits divided by the temperature, which is above 0; the argument stays as it was.

    Below 1 the distribution gets sharper, above 1 flatter.

    >>> apply_temperature(torch.tensor([1.0, -2.0]), temperature=0.5)
    tensor([ 2., -4.])
    """
    return logits / temperature


def apply_frequency_penalty(
    input_ids: Int[Tensor, " seq"], logits: Float[Tensor, " d_vocab"], freq_penalty: float
) -> Float[Tensor, " d_vocab"]:
    """The logits, lowered by freq_penalty for each time that their token occurs in input_ids.

    A token that occurs n times loses n * freq_penalty; one that doesn't occur keeps its
    logit. A negative penalty rewards repetition. The arguments stay as they were.

    >>> apply_frequency_penalty(torch.tensor([2, 0, 2]), torch.zeros(4), freq_penalty=1.5)
    tensor([-1.5000, 0.0000, -3.0000, 0.0000])
    """
    counts = torch.bincount(input_ids, minlength=logits.shape[0])
    return logits - freq_penalty * counts


def sample_top_k(logits: Float[Tensor, " d_vocab"], k: int, generator: torch.Generator | None = None) -> int:
    """Draw one token id among the k most likely, as an int.

    Their probabilities are those of softmax(logits), scaled up to sum to one; every other
    token has probability 0. Exactly k tokens can be drawn: where equal logits compete for the
    last place, one of them takes it, whichever. A k of d_vocab or more leaves the distribution
    as it is. The logits stay as they were.
    `generator`, if given, is the only source of randomness; each draw moves it on.
    """
    best = logits.topk(min(k, logits.shape[0]))
    return int(best.indices[sample_basic(best.values, generator=generator)])


def sample_top_p(
    logits: Float[Tensor, " d_vocab"],
    top_p: float,
    min_tokens_to_keep: int = 1,
    generator: torch.Generator | None = None,
) -> int:
    """Draw one token id among the most likely that together reach probability top_p, as an int.

    Order the tokens from likely to unlikely. Keep the fewest from the front whose
    probabilities sum to at least top_p, so the token that crosses the line is kept; but
    keep at least min_tokens_to_keep. Among those draw with the probabilities of
    softmax(logits), scaled up to sum to one. A top_p of 0 keeps min_tokens_to_keep tokens.
    Of equally likely tokens at the line any may come first. The logits stay as they were.
    The sums are float32, whatever the dtype of the logits.
    `generator`, if given, is the only source of randomness; each draw moves it on.
    """
    sorted_logits, token_ids = logits.sort(descending=True)
    cumulative = sorted_logits.float().softmax(dim=-1).cumsum(dim=-1)
    n_below = int((cumulative < top_p).sum())
    n_keep = max(n_below + 1, min_tokens_to_keep)
    return int(token_ids[sample_basic(sorted_logits[:n_keep], generator=generator)])


def sample_next_token(
    input_ids: Int[Tensor, " seq"],
    logits: Float[Tensor, " d_vocab"],
    options: SamplingConfig,
    generator: torch.Generator | None = None,
) -> int:
    """Choose the token that follows input_ids, as `options` say.

    In this order: subtract the frequency penalty; if the temperature is 0, take the most
    likely token; else divide by the temperature, and draw by top-k or top-p if one of them
    is switched on (above 0), and from the whole distribution if not. A draw is made with
    `generator`, or with torch's global one if it is None; greedy draws nothing.
    """
    logits = apply_frequency_penalty(input_ids, logits, options.frequency_penalty)
    if options.temperature == 0:
        return greedy_search(logits)
    logits = apply_temperature(logits, options.temperature)
    if options.top_k > 0:
        return sample_top_k(logits, options.top_k, generator=generator)
    if options.top_p > 0:
        return sample_top_p(logits, options.top_p, generator=generator)
    return sample_basic(logits, generator=generator)


class TransformerSampler:
    """Write text with a model, one token at a time.

    `model` maps tokens "batch seq" to logits "batch seq d_vocab". `tokenizer` has
    `encode(text) -> ids` and `decode(ids) -> text`, and perhaps `eos_token_id`, the token
    at which a text ends. A model with `cfg.n_ctx` never reads more than that many tokens.

    The model reads what `tokenizer.encode(prompt)` gives. No begin token is put in front, as
    `Transformer.to_tokens` does: begin the prompt with it ("<|endoftext|>" for the zoo's models) where the
    model was trained on texts that begin so. Tokenizers that add one by themselves, as Llama's does, add it.
    """

    def __init__(self, model: Model, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.eos_token_id: int | None = getattr(tokenizer, "eos_token_id", None)
        self.n_ctx = n_ctx_of(model)

    @torch.inference_mode()
    def sample(
        self,
        prompt: str,
        max_tokens_generated: int = 100,
        verbose: bool = False,
        generator: torch.Generator | None = None,
        **kwargs: float,
    ) -> str:
        """The prompt and what the model adds to it, as one text.

        Get the prompt's tokens from `self.encode`. Then up to max_tokens_generated times: give
        the model all tokens so far (the last `self.n_ctx` of them, if there are more), as a
        batch of one; choose the next token from its logits at the last position with
        `sample_next_token`; stop if it is `self.eos_token_id`, which isn't made part of the
        text; else append it. At the end `self.tokenizer.decode` the list of token ids. The
        frequency penalty counts all tokens so far, prompt included. `self.n_ctx` is None if
        the model has no limit. `verbose` shows a bar (`progress`) and changes nothing else.
        `kwargs` are the fields of `SamplingConfig`.
        """
        options = SamplingConfig(**kwargs)  # type: ignore[arg-type]
        tokens = self.encode(prompt)
        steps = range(max_tokens_generated)
        for _ in progress(steps, "sampling") if verbose else steps:
            context = tokens if self.n_ctx is None else tokens[-self.n_ctx :]
            logits = self.model(context[None])[0, -1]
            next_token = sample_next_token(tokens, logits, options, generator=generator)
            if next_token == self.eos_token_id:
                break
            tokens = torch.cat([tokens, tokens.new_tensor([next_token])])
        return self.tokenizer.decode(tokens.tolist())

    @torch.inference_mode()
    def beam_search(
        self,
        prompt: str,
        n_beams: int = 4,
        max_tokens_generated: int = 40,
        n_return: int = 1,
        no_repeat_ngram_size: int | None = None,
    ) -> list[tuple[float, str]]:
        """The likeliest continuations that beam search finds: (log-probability in nats, text), best first."""
        tokens = self.encode(prompt)[None]
        start = Beams(
            model=self.model,
            tokens=tokens,
            logprob_sums=torch.zeros(1, device=tokens.device),
            eos_token_id=self.eos_token_id,
        )
        found = beam_search(start, n_beams, max_tokens_generated, n_return, no_repeat_ngram_size)
        return [(logprob, self.tokenizer.decode(ids)) for logprob, ids in found]

    def encode(self, prompt: str) -> Int[Tensor, " seq"]:
        """The prompt's token ids as the tokenizer gives them, on the model's device."""
        encoded = self.tokenizer.encode(prompt)
        ids = getattr(encoded, "ids", encoded)
        if not ids:
            raise TokenError(
                f"a prompt must hold at least one token: got {prompt!r}. Start with a word or a start token."
            )
        parameters = self.model.parameters() if isinstance(self.model, torch.nn.Module) else iter(())
        device = next((parameter.device for parameter in parameters), None)
        return torch.tensor(ids, device=device)
