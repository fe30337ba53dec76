"""Between text and token ids, for a model that has a tokenizer.

Any tokenizer works that has `encode(text)` and `decode(ids)`: our `BPETokenizer`, those of
transformers, and those of the `tokenizers` library. Special tokens that a tokenizer adds by itself
are left out where its `encode` takes `add_special_tokens`; the first one comes from `prepend_bos`.

Shapes:  text -> tokens "batch seq"
Raises:  ConfigError without a tokenizer, or for a side that doesn't exist; TokenError for text that must be one
         token and is not, has none, or lacks the one looked for; ShapeError for texts of uneven length, or none.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: texts of uneven length make a batch only together with their mask: `to_padded_tokens`.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError, TokenError
from arena_lib.wording import counted

TokenChoice = str | int | Sequence[str] | Sequence[int] | Sequence[Sequence[str]] | Int[Tensor, "..."]
"""One token or several: ids, or text that is one token each; rows of texts give "row token"."""

MOST_LENGTHS = 8
"""A message lists up to this many texts' lengths."""


def takes_argument(function: Callable[..., Any], name: str) -> bool:
    """Whether a function can be called with the keyword `name`, as far as it says."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


class TextModel(nn.Module):
    """Adds `to_tokens` and its inverses to a model; set `model.tokenizer` first."""

    tokenizer: Any = None
    default_prepend_bos: bool = True

    def encode(self, text: str) -> list[int]:
        """The ids of `text` alone, without special tokens."""
        encode = self._need_tokenizer().encode
        encoded = (
            encode(text, add_special_tokens=False) if takes_argument(encode, "add_special_tokens") else encode(text)
        )
        return list(getattr(encoded, "ids", encoded))

    def to_tokens(self, text: str | Sequence[str], *, prepend_bos: bool | None = None) -> Int[Tensor, "batch seq"]:
        """Token ids of one text, or of several of one length.

        `prepend_bos` puts the beginning-of-sequence token first, if the tokenizer has a `bos_token_id`;
        None does so unless `default_prepend_bos` is off. Texts of several lengths: `to_padded_tokens`.
        """
        rows = self._encode_rows(text, prepend_bos)
        lengths = [len(row) for row in rows]
        if len(set(lengths)) > 1:
            listed = ", ".join(map(str, lengths[:MOST_LENGTHS])) + (
                " and others" if len(lengths) > MOST_LENGTHS else ""
            )
            raise ShapeError(
                f"texts of one batch must have the same number of tokens: got {listed}. Use "
                "to_padded_tokens(texts), which pads them and gives the attention_mask, or pass one text at a time."
            )
        return torch.tensor(rows, dtype=torch.int64, device=next(self.parameters()).device)

    def to_padded_tokens(
        self,
        texts: Sequence[str],
        *,
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] = "left",
    ) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
        """Token ids of texts of any lengths, padded to the longest, and the `attention_mask` that belongs to them.

        The mask is True at real tokens, `prepend_bos`'s among them; give it to the model with the tokens.
        Padding is the tokenizer's pad token, or else its end or begin token, or else 0: with the mask
        it doesn't matter which. With padding on the left, each text's last token is at position -1.
        """
        if padding_side not in ("left", "right"):
            raise ConfigError(f"padding_side must be 'left' or 'right': got {padding_side!r}. Choose one of the two.")
        rows = self._encode_rows(texts, prepend_bos)
        if empty := [idx for idx, row in enumerate(rows) if not row]:
            raise TokenError(
                f"each text must have at least one token: got none in text {empty[0]}. Leave that text out."
            )
        pads = [getattr(self.tokenizer, name, None) for name in ("pad_token_id", "eos_token_id", "bos_token_id")]
        pad = next((token_id for token_id in pads if token_id is not None), 0)
        padded, is_real = [], []
        for row in rows:
            n_pad = max(map(len, rows)) - len(row)
            before, after = (n_pad, 0) if padding_side == "left" else (0, n_pad)
            padded.append([pad] * before + row + [pad] * after)
            is_real.append([False] * before + [True] * len(row) + [False] * after)
        device = next(self.parameters()).device
        return torch.tensor(padded, dtype=torch.int64, device=device), torch.tensor(is_real, device=device)

    def _encode_rows(self, text: str | Sequence[str], prepend_bos: bool | None) -> list[list[int]]:
        lines = [text] if isinstance(text, str) else list(text)
        if not lines:
            raise ShapeError("a batch must have at least one text: got none. Pass a text, or a list of texts.")
        bos = getattr(self._need_tokenizer(), "bos_token_id", None)
        is_prepended = self.default_prepend_bos if prepend_bos is None else prepend_bos
        start = [bos] if is_prepended and bos is not None else []
        return [start + self.encode(line) for line in lines]

    def _need_tokenizer(self) -> Any:
        if self.tokenizer is None:
            raise ConfigError(
                "text needs a tokenizer: got a model without one. Set model.tokenizer, or load the model "
                "with arena_lib.zoo.load, which does."
            )
        return self.tokenizer

    def to_string(self, tokens: Int[Tensor, "..."] | Sequence[int] | int) -> str | list[str]:
        """The text of one id or of ids "seq", or a list of texts for ids "batch seq"; padding is part of them."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else tokens
        ids = [ids] if isinstance(ids, int) else list(ids)
        decode = self._need_tokenizer().decode
        if ids and isinstance(ids[0], list):
            return [decode(row) for row in ids]
        return decode(ids)

    def to_str_tokens(
        self,
        text: str | Sequence[str] | Int[Tensor, "..."] | Sequence[int],
        *,
        prepend_bos: bool | None = None,
    ) -> list[str] | list[list[str]]:
        """Each token as its own text: of one text or of ids "seq", or a list for each of several; a batch of one is one."""
        if isinstance(text, str):
            rows = self._encode_rows(text, prepend_bos)
        elif isinstance(text, Tensor):
            rows = text.flatten(0, -2).tolist() if text.ndim > 1 else [text.flatten().tolist()]
        elif text and all(isinstance(line, str) for line in text):
            return [self._str_tokens(row) for row in self._encode_rows(text, prepend_bos)]  # type: ignore[arg-type]
        else:
            rows = [[int(token_id) for token_id in text]]
        return self._str_tokens(rows[0]) if len(rows) == 1 else [self._str_tokens(row) for row in rows]

    def _str_tokens(self, ids: Sequence[int]) -> list[str]:
        decode = self._need_tokenizer().decode
        return [decode([token_id]) for token_id in ids]

    def to_single_str_token(self, token_id: int) -> str:
        """The text of one token."""
        return self._str_tokens([token_id])[0]

    def to_single_token(self, text: str) -> int:
        """The id of text that is one token."""
        ids = self.encode(text)
        if len(ids) != 1:
            raise TokenError(
                f"the text must be one token: got {text!r}, which is {len(ids)}: {self._str_tokens(ids)}. "
                "A leading space often makes the difference."
            )
        return ids[0]

    def to_token_ids(self, tokens: TokenChoice) -> Int[Tensor, "..."]:
        """Ids where single tokens are asked for: of one text that is one token, of several such texts, or the ids given."""
        if isinstance(tokens, str):
            tokens = self.to_single_token(tokens)
        elif not isinstance(tokens, int | Tensor):
            rows = [
                self.to_token_ids(token).tolist() if isinstance(token, str | list | tuple) else token
                for token in tokens
            ]
            tokens = torch.tensor(rows, dtype=torch.int64)
        return torch.as_tensor(tokens, device=next(self.parameters()).device)

    def get_token_position(
        self,
        single_token: str | int,
        text: str | Int[Tensor, "..."],
        mode: Literal["first", "last"] = "first",
        *,
        prepend_bos: bool | None = None,
    ) -> int:
        """Where a token, or text that is one token, stands in a text or in tokens "seq" or "1 seq": `mode` says which."""
        if mode not in ("first", "last"):
            raise ConfigError(f"mode must be 'first' or 'last': got {mode!r}. Choose one of the two.")
        if isinstance(text, str):
            text = self.to_tokens(text, prepend_bos=prepend_bos)
        if text.ndim not in (1, 2) or (text.ndim == 2 and len(text) != 1):
            raise ShapeError(
                f"a token is looked for in one text: got tokens of shape {tuple(text.shape)}. Pass one row at a time."
            )
        token_id = int(self.to_token_ids(single_token))
        places = (text.flatten() == token_id).nonzero().flatten().tolist()
        if not places:
            named = repr(single_token) if self.tokenizer is None else f"{self.to_single_str_token(token_id)!r}"
            raise TokenError(
                f"the token must occur in the text: got {named} (id {token_id}), which isn't among its "
                f"{counted(text.numel(), 'token')}. Look at them with model.to_str_tokens."
            )
        return places[0] if mode == "first" else places[-1]
