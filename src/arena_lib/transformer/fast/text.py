"""Between text and token ids, for a model that has a tokenizer.

Any tokenizer works that has `encode(text)` and `decode(ids)`: our `BPETokenizer`, those of
transformers, and those of the `tokenizers` library.

Shapes:  text -> tokens "batch seq"
Raises:  ConfigError without a tokenizer; TokenError for text that must be one token and is not.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: sequences of uneven length are padded on the right.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, TokenError


class TextModel(nn.Module):
    """Adds `to_tokens` and its inverses to a model; set `model.tokenizer` first."""

    tokenizer: Any = None
    default_prepend_bos: bool = True

    def encode(self, text: str) -> list[int]:
        """The ids of `text` alone, without special tokens."""
        if self.tokenizer is None:
            raise ConfigError(
                "text needs a tokenizer: got a model without one. Set model.tokenizer, or load the model "
                "with arena_lib.zoo.load, which does."
            )
        if hasattr(self.tokenizer, "encode_plus") or hasattr(self.tokenizer, "token_to_id"):
            encoded = self.tokenizer.encode(text, add_special_tokens=False)
        else:
            encoded = self.tokenizer.encode(text)
        return list(getattr(encoded, "ids", encoded))

    def to_tokens(self, text: str | Sequence[str], *, prepend_bos: bool | None = None) -> Int[Tensor, "batch seq"]:
        """Token ids of one text or several; `prepend_bos` puts the beginning-of-sequence token first, if there is one."""
        bos = getattr(self.tokenizer, "bos_token_id", None)
        is_prepended = self.default_prepend_bos if prepend_bos is None else prepend_bos
        start = [bos] if is_prepended and bos is not None else []
        rows = [start + self.encode(line) for line in ([text] if isinstance(text, str) else text)]
        length = max(len(row) for row in rows)
        pads = [getattr(self.tokenizer, name, None) for name in ("pad_token_id", "eos_token_id", "bos_token_id")]
        pad = next((token_id for token_id in pads if token_id is not None), 0)
        padded = [row + [pad] * (length - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64, device=next(self.parameters()).device)

    def to_string(self, tokens: Int[Tensor, "..."] | Sequence[int]) -> str | list[str]:
        """The text of ids "seq", or a list of texts for ids "batch seq"."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
        if isinstance(ids, int):
            ids = [ids]
        if ids and isinstance(ids[0], list):
            return [self.tokenizer.decode(row) for row in ids]
        return self.tokenizer.decode(ids)

    def to_str_tokens(
        self, text: str | Int[Tensor, "..."] | Sequence[int], *, prepend_bos: bool | None = None
    ) -> list[str]:
        """Each token of one sequence (text or ids) as its own text."""
        tokens = self.to_tokens(text, prepend_bos=prepend_bos) if isinstance(text, str) else torch.as_tensor(text)
        return [self.tokenizer.decode([token_id]) for token_id in tokens.flatten().tolist()]

    def to_single_token(self, text: str) -> int:
        """The id of text that is one token."""
        ids = self.encode(text)
        if len(ids) != 1:
            raise TokenError(
                f"the text must be one token: got {text!r}, which is {len(ids)}: {[self.tokenizer.decode([i]) for i in ids]}. "
                "A leading space often makes the difference."
            )
        return ids[0]
