"""Judges of using learned merges: words into symbols, and symbols back into text."""

from itertools import pairwise
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.tests.transformer_from_scratch.bpe_training import as_word, merge_pair_by_stack
from arena_lib.transformer.tokens import bpe
from arena_lib.transformer.tokens.bpe import Pair, Word

__test__ = False


def bpe_encode_cases(generator: torch.Generator) -> list[Case]:
    """Merges that build on each other, merges in competition, and words without any."""
    merges = [("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w"), ("n", "e"), ("w", "e"), ("we", "r")]
    cases: dict[str, tuple[Word, list[Pair]]] = {
        "merges that build on each other": (tuple("lowest"), merges),
        "an earlier merge wins": (tuple("newest"), merges),
        "the earliest merge comes last in the word": (tuple("abc"), [("b", "c"), ("a", "b")]),
        "a later merge must wait": (tuple("abcd"), [("c", "d"), ("a", "b"), ("ab", "cd")]),
        "the leftmost place first": (tuple("aaaaa"), [("a", "a"), ("aa", "a"), ("aa", "aa")]),
        "nothing to merge": (tuple("xyz"), merges),
        "one symbol": (("l",), merges),
        "a merge made possible by a later one": (("a", "b", "c"), [("ab", "c"), ("a", "b")]),
    }
    return [Case(label=label, args=arguments) for label, arguments in cases.items()]


def bpe_encode_by_rank(word: Word, merges: list[Pair]) -> list[str]:
    """Finds the best pair, and merges its leftmost place."""
    symbols = list(word)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda p: merges.index(p) if p in merges else len(merges))
        if best not in merges:
            break
        i = next(i for i in range(len(symbols)) if (symbols[i], symbols[i + 1]) == best)
        symbols[i : i + 2] = ["".join(best)]
    return symbols


def bpe_encode_all_places(word: Word, merges: list[Pair]) -> Word:
    """Joins every place of the best pair at once."""
    while True:
        ranked = [pair for pair in merges if pair in set(pairwise(word))]
        if not ranked:
            return word
        word = tuple(merge_pair_by_stack(word, ranked[0]))


test_bpe_encode = exercise(
    reference=bpe.bpe_encode,
    cases=bpe_encode_cases,
    observe=as_word,
    accepts=[bpe_encode_by_rank, bpe_encode_all_places],
    mistakes=[
        Mistake(
            "merges from left to right, whatever was learned first",
            "_, at = min(places)",
            "_, at = min(places, key=lambda place: place[1])",
            why="the merge that was learned first comes first, wherever it stands in the word",
        ),
        Mistake(
            "applies the latest merge first",
            "_, at = min(places)",
            "_, at = max(places)",
            why="merges are applied in the order in which they were learned",
        ),
        Mistake(
            "stops after one merge",
            "word = (*word[:at], word[at] + word[at + 1], *word[at + 2 :])",
            "return (*word[:at], word[at] + word[at + 1], *word[at + 2 :])",
            why="a merged symbol may be part of a further merge: go on until none applies",
        ),
        Mistake(
            "merges the rightmost place first",
            "_, at = min(places)",
            "_, at = min(places, key=lambda place: (place[0], -place[1]))",
            why="of several places of the same pair the leftmost is merged first",
        ),
        Mistake(
            "goes through the merges once",
            "    while True:\n        places = [(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks]\n        if not places:\n            return word\n        _, at = min(places)\n        word = (*word[:at], word[at] + word[at + 1], *word[at + 2 :])\n",
            "    for pair in merges:\n        word = merge_pair(word, pair)\n    return word\n",
            why="a later merge can make an earlier one possible: look at all of them after each step",
        ),
    ],
)


def bpe_decode_cases(generator: torch.Generator) -> list[Case]:
    """Spaces, characters of several bytes, a character cut in two, and nothing."""
    texts = {"words with spaces": " the cat", "several bytes": "naïve 雪 🙂", "line breaks": "a\n\tb", "nothing": ""}
    cases = [Case(label=label, args=(bpe.to_symbols(text),)) for label, text in texts.items()]
    joined = ("".join(bpe.to_symbols("na")), "".join(bpe.to_symbols("ïve")))
    cut = bpe.to_symbols("a雪b")
    return [
        *cases,
        Case(label="symbols of several bytes", args=(joined,)),
        Case(label="a character without its last byte", args=(cut[:3] + cut[4:],)),
    ]


def bpe_decode_by_loop(symbols: Any) -> str:
    """Looks each character up in the alphabet turned round."""
    table = {symbol: byte for byte, symbol in bpe.byte_alphabet().items()}
    return b"".join(bytes([table[c]]) for symbol in symbols for c in symbol).decode(errors="replace")


test_bpe_decode = exercise(
    reference=bpe.bpe_decode,
    cases=bpe_decode_cases,
    accepts=[bpe_decode_by_loop],
    mistakes=[
        Mistake(
            "joins the symbols without turning them into bytes",
            'to_bytes("".join(symbols)).decode("utf-8", errors="replace")',
            '"".join(symbols)',
            why="symbols are written with stand-ins: the space is 'Ġ' until it is turned back",
        ),
        Mistake(
            "decodes each symbol by itself",
            'to_bytes("".join(symbols)).decode("utf-8", errors="replace")',
            '"".join(to_bytes(symbol).decode("utf-8", errors="replace") for symbol in symbols)',
            why="a character of several bytes may be spread over symbols: join the bytes first",
        ),
        Mistake(
            "leaves out bytes that are no UTF-8",
            'errors="replace"',
            'errors="ignore"',
            why="U+FFFD shows that something was there",
        ),
        Mistake(
            "reads the bytes as Latin-1",
            '"utf-8"',
            '"latin-1"',
            why="the bytes came from UTF-8, where a character may take several",
        ),
        Mistake(
            "puts spaces between the symbols",
            '"".join(symbols)',
            '"Ġ".join(symbols)',
            why="a space is part of the symbol that follows it",
        ),
    ],
)
