"""A byte-level BPE tokenizer, trained and run by the functions of `bpe.py`, in the file format of `tokenizers`.

Shapes:  ids are lists of int; `decode` takes a tensor "seq" too
Raises:  TokenError for ids outside the vocabulary; ConfigError for a vocabulary that is too small;
         CheckpointError for a tokenizer.json that cannot be read or works in another way.
Source:  Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.2.
Differs: special tokens come first, then the 256 bytes, then the merged tokens: the order in which
         the trainer of `tokenizers` numbers them, not GPT-2's (special tokens last).
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex
from jaxtyping import Int
from torch import Tensor

from arena_lib.core.files import write_atomically
from arena_lib.errors import CheckpointError, ConfigError, TokenError
from arena_lib.transformer.tokens.bpe import Pair, byte_alphabet, split_into_words, to_bytes, to_symbols
from arena_lib.transformer.tokens.bpe_fast import encode_word, iterate_merges
from arena_lib.wording import counted

CACHED_WORDS = 65_536
"""How many words' ids are remembered; texts repeat few words often (Zipf), so most words are found there."""

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
SINGLE_DIGITS = {"type": "Digits", "individual_digits": True}


class BPETokenizer:
    """Turns text into ids and back; `train` makes one, `load` reads one.

    >>> tokenizer = BPETokenizer.train(["low lower lowest low"], d_vocab=260, special_tokens=["<|end|>"])
    >>> tokenizer.encode("low<|end|>")
    [258, 0]
    >>> tokenizer.decode([258, 0])
    'low<|end|>'
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        *,
        has_single_digits: bool = False,
    ) -> None:
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.special_tokens = tuple(special_tokens)
        self.has_single_digits = has_single_digits
        self._check()
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._tokens = {token_id: token for token, token_id in self.vocab.items()}
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        self._special = regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")") if longest_first else None
        self._ids_by_word: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        d_vocab: int,
        special_tokens: Sequence[str] = (),
        *,
        has_single_digits: bool = False,
    ) -> "BPETokenizer":
        """Learn merges from `texts` until there are `d_vocab` tokens, or nothing is left to merge.

        Special tokens are not looked for in the texts. `has_single_digits` makes each digit a word.
        """
        least = 256 + len(special_tokens)
        if d_vocab < least:
            raise ConfigError(
                f"d_vocab must be at least {least}, for 256 bytes and {counted(len(special_tokens), 'special token')}: "
                f"got {d_vocab}. Make it larger."
            )
        counts = Counter(word for text in texts for word in cut_into_words(text, has_single_digits))
        vocab = {token: index for index, token in enumerate((*special_tokens, *sorted(byte_alphabet().values())))}
        if len(vocab) < least:
            raise ConfigError(
                f"special tokens must differ from each other and from the characters of bytes: got {special_tokens!r}. "
                f"Use a form like '<|end|>'."
            )
        merges: list[Pair] = []
        candidates = iterate_merges({to_symbols(word): count for word, count in counts.items()})
        while len(vocab) < d_vocab and (pair := next(candidates, None)):
            merges.append(pair)
            vocab.setdefault(pair[0] + pair[1], len(vocab))
        return cls(vocab, merges, special_tokens, has_single_digits=has_single_digits)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "BPETokenizer":
        """Read a byte-level BPE tokenizer.json, or the one in a folder."""
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            _require_byte_level(file, data)
            added = data.get("added_tokens") or []
            vocab = {**data["model"]["vocab"], **{token["content"]: token["id"] for token in added}}
            merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in data["model"]["merges"]]
            digits = data["pre_tokenizer"]["type"] == "Sequence"
            special = [token["content"] for token in added]
            return cls(vocab, [(first, second) for first, second in merges], special, has_single_digits=digits)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{file} must be the tokenizer.json of a byte-level BPE tokenizer: {error!r}. "
                f"Give the path of another file, or read this one with the `tokenizers` library."
            ) from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write tokenizer.json to `path` (into it, if it is a folder) for us and `tokenizers` to read."""
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        write_atomically(file, json.dumps(self._as_json(), ensure_ascii=False, indent=1).encode())
        return file

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; special tokens in it get their own id."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TokenError(
                f"a text must be valid Unicode: got a lone surrogate {text[error.start]!r} at character {error.start}. "
                f"Read the file with errors='replace'."
            ) from error
        pieces = [text] if self._special is None else self._special.split(text)
        ids: list[int] = []
        for index, piece in enumerate(pieces):
            if index % 2:  # split with one group returns the separators at odd places
                ids.append(self.vocab[piece])
            else:
                for word in cut_into_words(piece, self.has_single_digits):
                    ids += self._encode_word(word)
        return ids

    def decode(self, ids: Iterable[int] | Int[Tensor, " seq"]) -> str:
        """Return the text of `ids`; bytes that are not valid UTF-8 become U+FFFD."""
        special = set(self.special_tokens)
        tokens = [self.token(int(token_id)) for token_id in ids]
        data = b"".join(token.encode() if token in special else to_bytes(token) for token in tokens)
        return data.decode("utf-8", errors="replace")

    def token(self, token_id: int) -> str:
        """Return the token with this id, its bytes as visible characters."""
        token = self._tokens.get(token_id)
        if token is None:
            raise TokenError(
                f"ids must be from 0 to {self.d_vocab - 1}: got {token_id}. Use ids that `encode` returned."
            )
        return token

    @property
    def d_vocab(self) -> int:
        """How many ids there are: one more than the largest."""
        return max(self.vocab.values()) + 1

    def __len__(self) -> int:
        return self.d_vocab

    def _encode_word(self, word: str) -> list[int]:
        ids = self._ids_by_word.get(word)
        if ids is None:
            if len(self._ids_by_word) >= CACHED_WORDS:
                self._ids_by_word.clear()
            ids = [self.vocab[symbol] for symbol in encode_word(to_symbols(word), self._ranks)]
            self._ids_by_word[word] = ids
        return ids

    def _check(self) -> None:
        lacking = [token for token in (*byte_alphabet().values(), *self.special_tokens) if token not in self.vocab]
        lacking += [first + second for first, second in self.merges if first + second not in self.vocab]
        if lacking:
            raise ConfigError(
                f"the vocabulary must hold all 256 bytes, the special tokens and every merged token: "
                f"it lacks {lacking[:5]!r}{' and more' if len(lacking) > 5 else ''}. Add them to vocab."
            )
        if len(set(self.vocab.values())) < len(self.vocab) or min(self.vocab.values()) < 0:
            raise ConfigError(
                "each token must have an id of its own, from 0: got one twice or below 0. Number them anew."
            )
        if "" in self.special_tokens:
            raise ConfigError("a special token must have a character: got ''. Leave it out.")

    def _as_json(self) -> dict[str, Any]:
        added = [
            {
                "id": self.vocab[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in self.special_tokens
        ]
        words = (
            {"type": "Sequence", "pretokenizers": [SINGLE_DIGITS, BYTE_LEVEL]} if self.has_single_digits else BYTE_LEVEL
        )
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": sorted(added, key=lambda token: token["id"]),
            "normalizer": None,
            "pre_tokenizer": words,
            "post_processor": None,
            "decoder": BYTE_LEVEL,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": dict(sorted(self.vocab.items(), key=lambda item: item[1])),
                "merges": [list(pair) for pair in self.merges],
            },
        }


def cut_into_words(text: str, has_single_digits: bool = False) -> list[str]:
    """Split into words as `split_into_words` does, with each digit first cut off as a word of its own if asked.

    >>> cut_into_words("in 1984", has_single_digits=True)
    ['in', ' ', '1', '9', '8', '4']
    """
    if not has_single_digits:
        return split_into_words(text)
    return [word for piece in regex.findall(r"\p{N}|\P{N}+", text) for word in split_into_words(piece)]


def _require_byte_level(file: Path, data: Mapping[str, Any]) -> None:
    """Raise CheckpointError for a part of tokenizer.json that would give other ids than ours."""
    words = data["pre_tokenizer"]
    steps = words["pretokenizers"] if words["type"] == "Sequence" else [words]
    levels = [step for step in steps if step["type"] == "ByteLevel"]
    is_ours = (
        [step["type"] for step in steps] in (["ByteLevel"], ["Digits", "ByteLevel"])
        and steps[0].get("individual_digits", True)
        and not levels[0]["add_prefix_space"]
        and levels[0].get("use_regex", True)
    )
    model = data["model"]
    unknown = {
        "pre_tokenizer": None if is_ours else words,
        "normalizer": data.get("normalizer"),
        "model.type": None if model["type"] == "BPE" else model["type"],
        **{f"model.{name}": model.get(name) or None for name in OTHER_WAYS},
        "added_tokens": [t for t in data.get("added_tokens") or [] if t["lstrip"] or t["rstrip"] or t["single_word"]]
        or None,
    }
    for name, value in unknown.items():
        if value is not None:
            raise CheckpointError(
                f"{file} must be the tokenizer.json of a plain byte-level BPE tokenizer: its {name} is {value!r}. "
                f"Read it with the `tokenizers` library."
            )


OTHER_WAYS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
"""Settings of a BPE model that change its ids; ours has none of them."""
