"""Byte-pair encoding in its plainest form: count pairs, merge the most frequent one, repeat.

A word is a tuple of symbols. At first each symbol is one byte, written as one visible
character (a space is "Ġ"); each merge joins two symbols that stand side by side. These
functions are what learners write in section 1.1; `bpe_fast.py` gives the same merges and
the same encodings in less time, and `BPETokenizer` wires them into a tokenizer.

Raises:  TokenError for a character that stands for no byte.
Source:  Gage 1994, "A new algorithm for data compression"; Sennrich et al. 2016,
         arXiv:1508.07909, section 3.2; Radford et al. 2019, "Language models are
         unsupervised multitask learners", section 2.2 (bytes, and no merges across words;
         the pattern of words is the one published with that model).
Differs: ties are broken as the `tokenizers` library does. Characters newer than the Unicode
         version of the `regex` package here may be put into words differently elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType

import regex

from arena_lib.errors import TokenError

Word = tuple[str, ...]
Pair = tuple[str, str]

WORD_PATTERN = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
"""English contractions; then letters, digits, or other signs, each with one space before; then other white space."""

VISIBLE_BYTES = (range(ord("!"), ord("~") + 1), range(ord("¡"), ord("¬") + 1), range(ord("®"), ord("ÿ") + 1))
"""The bytes whose own Latin-1 character can be seen; the others borrow characters from U+0100 on."""


@cache
def byte_alphabet() -> Mapping[int, str]:
    """Return the visible character that stands for each byte, GPT-2's choice.

    >>> byte_alphabet()[ord("a")], byte_alphabet()[ord(" ")], byte_alphabet()[0]
    ('a', 'Ġ', 'Ā')
    """
    visible = {byte for span in VISIBLE_BYTES for byte in span}
    hidden = [byte for byte in range(256) if byte not in visible]
    borrowed = {byte: chr(256 + index) for index, byte in enumerate(hidden)}
    return MappingProxyType({byte: borrowed.get(byte, chr(byte)) for byte in range(256)})


@cache
def _bytes_by_symbol() -> Mapping[str, int]:
    return MappingProxyType({symbol: byte for byte, symbol in byte_alphabet().items()})


def split_into_words(text: str) -> list[str]:
    """Split a text into the words that merges never cross; joined, they are the text again.

    >>> split_into_words("The cat's 12  hats!")
    ['The', ' cat', "'s", ' 12', ' ', ' hats', '!']
    """
    words: list[str] = WORD_PATTERN.findall(text)
    return words


def to_symbols(text: str) -> Word:
    """Write each UTF-8 byte of `text` as its visible character.

    >>> to_symbols(" hé")
    ('Ġ', 'h', 'Ã', '©')
    """
    alphabet = byte_alphabet()
    return tuple(alphabet[byte] for byte in text.encode("utf-8"))


def count_pairs(word_counts: Mapping[Word, int]) -> Counter[Pair]:
    """Count how often each pair of neighbouring symbols occurs, over all words with their counts.

    Pairs may overlap: ("a", "a", "a") has the pair ("a", "a") twice.

    >>> count_pairs({("l", "o", "w"): 5, ("l", "o", "t"): 2}) == {("l", "o"): 7, ("o", "w"): 5, ("o", "t"): 2}
    True
    """
    counts: Counter[Pair] = Counter()
    for word, count in word_counts.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    """Join every occurrence of `pair` in `word` into one symbol, going from left to right; the result is a tuple again.

    >>> merge_pair(("a", "a", "a", "b", "a", "a"), ("a", "a"))
    ('aa', 'a', 'b', 'aa')
    """
    merged: list[str] = []
    at = 0
    while at < len(word):
        if word[at : at + 2] == pair:
            merged.append(word[at] + word[at + 1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return tuple(merged)


def train_bpe(word_counts: Mapping[Word, int], n_merges: int) -> list[Pair]:
    """Learn up to `n_merges` merges: each time the most frequent pair of neighbours is joined everywhere.

    Of equally frequent pairs the one whose first symbol is oldest wins, then the one whose second
    symbol is oldest. The symbols in `word_counts` are the oldest, in sorted order; then come the
    joined ones in the order in which they were first made. It ends early when no word has two symbols.
    The words that are given stay as they were; words that a merge makes alike count as one.

    >>> train_bpe({("l", "o", "w"): 5, ("s", "l", "o", "w"): 2, ("l", "o", "t"): 3}, 2)
    [('l', 'o'), ('lo', 'w')]
    """
    age = {symbol: index for index, symbol in enumerate(sorted({symbol for word in word_counts for symbol in word}))}
    words = Counter(word_counts)
    merges: list[Pair] = []
    for _ in range(n_merges):
        counts = count_pairs(words)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault(best[0] + best[1], len(age))
        joined: Counter[Word] = Counter()
        for word, count in words.items():
            joined[merge_pair(word, best)] += count
        words = joined
    return merges


def bpe_encode(word: Word, merges: Sequence[Pair]) -> Word:
    """Apply to one word the merges that were learned: of all that fit, always the earliest one, at its leftmost place.

    After each merge the search begins again. `merges` stand in the order in which they were learned, so you
    may as well join all places of a pair at once, from the left. The result is a tuple.

    >>> bpe_encode(("s", "l", "o", "w"), [("l", "o"), ("lo", "w")])
    ('s', 'low')
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while True:
        places = [(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks]
        if not places:
            return word
        _, at = min(places)
        word = (*word[:at], word[at] + word[at + 1], *word[at + 2 :])


def bpe_decode(symbols: Iterable[str]) -> str:
    """Turn symbols back into text: `to_bytes` gives the bytes, which are UTF-8.

    Bytes that are not valid UTF-8 become U+FFFD, as `bytes.decode` with errors="replace" writes it.

    >>> bpe_decode(("Ġh", "Ã", "©"))
    ' hé'
    """
    return to_bytes("".join(symbols)).decode("utf-8", errors="replace")


def to_bytes(symbols: str) -> bytes:
    """Return the bytes that visible characters stand for."""
    table = _bytes_by_symbol()
    try:
        return bytes(table[symbol] for symbol in symbols)
    except KeyError as error:
        raise TokenError(
            f"each character of a symbol must stand for a byte: got {error.args[0]!r} in {symbols!r}. "
            f"Use to_symbols to write text as symbols."
        ) from error
