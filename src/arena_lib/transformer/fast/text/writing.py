"""A model that writes: text or tokens in, the same kind out, all at once or piece by piece.

Shapes:  tokens "batch seq" -> tokens "batch seq_all"; text -> text
Raises:  UnknownNameError for an option that isn't a field of `WritingConfig`; ConfigError for values that cannot
         work; what `generation.generate` raises.
Source:  the interfaces of TransformerLens and of transformers.
Differs: both draw at random unless told otherwise, or as a model's files say; here the likeliest token is
         chosen unless a temperature, top_k or top_p is given. Written text is without begin, end and padding tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.transformer.fast.generation import WritingConfig, generate, grow
from arena_lib.transformer.fast.padding import Mask, pad_left
from arena_lib.transformer.fast.text.calls import Text, TextCalls

SPLIT_CHARACTER = "\ufffd"
"""What a decoder gives for bytes that are not yet a whole character."""


@dataclass(frozen=True)
class Prompts:
    """What a call of `generate` starts from."""

    tokens: Int[Tensor, "batch seq"]
    attention_mask: Mask | None
    options: WritingConfig
    end_ids: list[int]
    """Tokens that end a text."""


class WritingModel(TextCalls):
    """Adds `generate` and `stream` to a model that reads text."""

    def generate(
        self,
        tokens: Int[Tensor, "batch seq"] | Text,
        max_new_tokens: int = 10,
        *,
        return_type: Literal["tokens", "str"] | None = None,
        prepend_bos: bool | None = None,
        attention_mask: Mask | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        stop_at_eos: bool = True,
        generator: torch.Generator | None = None,
        **options: int | float,
    ) -> Int[Tensor, "batch seq_all"] | str | list[str]:
        """The prompt, or each of several of any lengths, and what the model adds to it: up to max_new_tokens.

        Text gives text, tokens give tokens, unless `return_type` says otherwise: "str" (a list for tokens) or
        "tokens", which have padding on the left where prompts are uneven. A text ends with the first
        `eos_token_id`, one or several (None: the tokenizer's), unless `stop_at_eos` is off; tokens of
        texts that ended early are filled with the first of them.

        `options` are the fields of `WritingConfig`: temperature, top_k, top_p, repetition_penalty and
        frequency_penalty. Without the first three the likeliest token is chosen; with top_k or top_p alone
        the temperature is 1.
        """
        if return_type not in ("tokens", "str", None):
            raise ConfigError(
                f"return_type must be 'tokens', 'str' or None: got {return_type!r}. None gives what went in."
            )
        prompts = self._prepare(tokens, prepend_bos, attention_mask, eos_token_id, stop_at_eos, options)
        written = generate(
            self,
            prompts.tokens,
            max_new_tokens,
            prompts.options,
            prompts.end_ids or None,
            generator,
            attention_mask=prompts.attention_mask,
        )
        if return_type == "tokens" or (return_type is None and isinstance(tokens, Tensor)):
            return written
        texts = self._texts(written, prompts)
        if isinstance(tokens, Tensor):
            return texts
        # The prompts as they were given: a tokenizer may decode them with other spaces.
        given = [tokens] if isinstance(tokens, str) else tokens
        before = self._texts(prompts.tokens, prompts)
        texts = [text + new[len(old) :] for text, old, new in zip(given, before, texts, strict=True)]
        return texts[0] if isinstance(tokens, str) else texts

    def stream(
        self,
        tokens: Int[Tensor, "batch seq"] | Text,
        max_new_tokens: int = 10,
        *,
        prepend_bos: bool | None = None,
        attention_mask: Mask | None = None,
        eos_token_id: int | Sequence[int] | None = None,
        stop_at_eos: bool = True,
        generator: torch.Generator | None = None,
        **options: int | float,
    ) -> Iterator[Int[Tensor, " batch"] | str | list[str]]:
        """What `generate` adds, piece by piece: for each token its text (a list for several), or for tokens its id.

            for piece in model.stream("Once upon a time", 40):
                print(piece, end="", flush=True)

        A piece is "" while a character of several tokens is not yet whole, and where a text has ended.
        """
        prompts = self._prepare(tokens, prepend_bos, attention_mask, eos_token_id, stop_at_eos, options)
        growing = grow(
            self,
            prompts.tokens,
            max_new_tokens,
            prompts.options,
            prompts.end_ids or None,
            generator,
            attention_mask=prompts.attention_mask,
        )
        before = self._texts(next(growing), prompts)
        for written in growing:
            if isinstance(tokens, Tensor):
                yield written[:, -1]
                continue
            texts = [
                old if new.endswith(SPLIT_CHARACTER) else new
                for old, new in zip(before, self._texts(written, prompts), strict=True)
            ]
            pieces = [new[len(old) :] for old, new in zip(before, texts, strict=True)]
            before = texts
            yield pieces[0] if isinstance(tokens, str) else pieces

    def _prepare(
        self,
        tokens: Tensor | Text,
        prepend_bos: bool | None,
        attention_mask: Mask | None,
        eos_token_id: int | Sequence[int] | None,
        stop_at_eos: bool,
        options: dict[str, Any],
    ) -> Prompts:
        known = [field.name for field in fields(WritingConfig)]
        for name in options:
            if name not in known:
                raise UnknownNameError("option of generate", name, known)
        if "temperature" not in options:
            options = options | {"temperature": 1.0 if options.get("top_k") or options.get("top_p") else 0.0}
        if eos_token_id is None:
            eos_token_id = getattr(self.tokenizer, "eos_token_id", None)
        ends = [eos_token_id] if isinstance(eos_token_id, int) else list(eos_token_id or ())
        ids, mask = self.read_input(tokens, attention_mask, prepend_bos)
        return Prompts(ids, mask, WritingConfig(**options), ends if stop_at_eos else [])

    def _texts(self, written: Int[Tensor, "batch seq_all"], prompts: Prompts) -> list[str]:
        """The texts of prompts and what was added, without begin, end and padding tokens."""
        n_prompt = prompts.tokens.shape[1]
        starts = [0] * len(written)
        if prompts.attention_mask is not None:
            is_real: Bool[Tensor, "batch seq"] = pad_left(prompts.tokens, prompts.attention_mask)[1]
            starts = (~is_real).sum(dim=1).tolist()
        bos = getattr(self._need_tokenizer(), "bos_token_id", None)
        texts = []
        for row, start in zip(written.tolist(), starts, strict=True):
            added = row[n_prompt:]
            end = next((idx for idx, token_id in enumerate(added) if token_id in prompts.end_ids), len(added))
            ids = row[start:n_prompt] + added[:end]
            texts.append(self._need_tokenizer().decode(ids[1:] if ids[:1] == [bos] else ids))
        return texts
