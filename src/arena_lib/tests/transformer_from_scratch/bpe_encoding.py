"""Judges of using learned merges: words into symbols, and symbols back into text."""

from itertools import pairwise
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.tests.transformer_from_scratch.bpe_pairs import as_word, merge_pair_by_stack
from arena_lib.transformer.tokens import bpe
from arena_lib.transformer.tokens.bpe import Pair, Word

__test__ = False


def bpe_encode_cases(generator: torch.Generator) -> list[Case]:
    """Merges that build on each other, merges in competition, and words without any."""
    merges = [("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w"), ("n", "e"), ("w", "e"), ("we", "r")]
    cases: dict[str, tuple[Word, list[Pair]]] = {
        "merges that build on each other": (tuple("lower"), merges),
        "merges at both ends": (tuple("lowest"), merges),
        "a longer symbol that can't be made here": (tuple("abc"), [("a", "b"), ("b", "c"), ("a", "bc")]),
        "an earlier merge wins": (tuple("newest"), merges),
        "the earliest merge comes last in the word": (tuple("abc"), [("b", "c"), ("a", "b")]),
        "a later merge must wait": (tuple("abcd"), [("c", "d"), ("a", "b"), ("ab", "cd")]),
        "a merge that a later one makes possible comes next": (tuple("abcdc"), [("ab", "c"), ("a", "b"), ("c", "d")]),
        "the leftmost place first": (tuple("aaaaa"), [("a", "a"), ("aa", "a"), ("aa", "aa")]),
        "nothing to merge": (tuple("xyz"), merges),
        "one symbol": (("l",), merges),
        "symbols that spell a merge": (("a", "bc", "d"), [("a", "b"), ("ab", "c"), ("bc", "d")]),
        "a merge made possible by a later one": (("a", "b", "c"), [("ab", "c"), ("a", "b")]),
    }
    return [Case(label=label, args=arguments) for label, arguments in cases.items()]


def bpe_encode_by_rank(word: Word, merges: list[Pair]) -> Word:
    """Finds the best pair, and merges its leftmost place."""
    symbols = list(word)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda p: merges.index(p) if p in merges else len(merges))
        if best not in merges:
            break
        i = next(i for i in range(len(symbols)) if (symbols[i], symbols[i + 1]) == best)
        symbols[i : i + 2] = ["".join(best)]
    return tuple(symbols)


def bpe_encode_all_places(word: Word, merges: list[Pair]) -> Word:
    """Joins every place of the best pair at once."""
    while True:
        ranked = [pair for pair in merges if pair in set(pairwise(word))]
        if not ranked:
            return word
        word = merge_pair_by_stack(word, ranked[0])


def goes_through_the_merges_again(word: Word, merges: list[Pair]) -> Word:
    """Applies all merges in turn, again and again."""
    before = None
    while word != before:
        before = word
        for pair in merges:
            word = merge_pair_by_stack(word, pair)
    return word


def merges_one_place_of_each(word: Word, merges: list[Pair]) -> Word:
    """Goes through the merges once, and joins the leftmost place of each."""
    for pair in merges:
        at = next((at for at, neighbours in enumerate(pairwise(word)) if neighbours == pair), None)
        if at is not None:
            word = (*word[:at], word[at] + word[at + 1], *word[at + 2 :])
    return word


def takes_the_longest_symbol(word: Word, merges: list[Pair]) -> Word:
    """Cuts the longest known symbol off the front of what is left."""
    known, rest = {"".join(pair) for pair in merges}, "".join(word)
    symbols: list[str] = []
    while rest:
        n = next((n for n in range(len(rest), 1, -1) if rest[:n] in known), 1)
        symbols.append(rest[:n])
        rest = rest[n:]
    return tuple(symbols)


test_bpe_encode = exercise(
    reference=bpe.bpe_encode,
    cases=bpe_encode_cases,
    observe=as_word,
    accepts=[bpe_encode_by_rank, bpe_encode_all_places],
    mistakes=[
        *instead_of(
            "[(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks]",
            {
                '[\n            (rank, at)\n            for at, pair in enumerate(pairwise(word))\n            for rank, merge in enumerate(merges)\n            if "".join(merge) == "".join(pair)\n        ]': (
                    "compares the text of pairs, not their symbols",
                    "('l', 'ow') and ('lo', 'w') spell the same, but are different pairs",
                ),
            },
        ),
        *instead_of(
            "_, at = min(places)",
            {
                "_, at = max(places, key=lambda place: (place[0], -place[1]))": (
                    "applies the latest merge first, at its leftmost place",
                    "merges are applied in the order in which they were learned",
                ),
                "_, at = min(places, key=lambda place: place[1])": (
                    "merges from left to right, not in the order of learning",
                    "the merge that was learned first comes first, wherever it is in the word",
                ),
                "_, at = max(places)": (
                    "applies the latest merge first",
                    "merges are applied in the order in which they were learned",
                ),
                "_, at = min(places, key=lambda place: (place[0], -place[1]))": (
                    "merges the rightmost place first",
                    "of several places of the same pair the leftmost is merged first",
                ),
            },
        ),
        *instead_of(
            "word = (*word[:at], word[at] + word[at + 1], *word[at + 2 :])",
            {
                "return (*word[:at], word[at] + word[at + 1], *word[at + 2 :])": (
                    "stops after one merge",
                    "a merged symbol may be part of a further merge: go on until none applies",
                )
            },
        ),
        *instead_of(
            "            return word\n",
            {
                "            return list(word)\n": (
                    "returns a list",
                    "the result is a word again, a tuple: it can be a key of a dictionary",
                )
            },
        ),
        *instead_of(
            "    ranks = {pair: rank",
            {
                "    for pair in merges:\n        word = merge_pair(word, pair)\n    return word\n    ranks = {pair: rank": (
                    "goes through the merges once",
                    "a later merge can make an earlier one possible: look at all of them after each step",
                ),
                "    for pair in reversed(merges):\n        word = merge_pair(word, pair)\n    return word\n    ranks = {pair: rank": (
                    "goes through the merges once, the latest first",
                    "merges are applied in the order in which they were learned",
                ),
            },
        ),
        Mistake(
            "continues with the next merge, without starting again from the first",
            function=goes_through_the_merges_again,
            why="a merge can make an earlier one possible, which then comes first: look at all of them after each step",
        ),
        Mistake(
            "applies each merge at one place only",
            function=merges_one_place_of_each,
            why="a merge applies at every place where its pair stands: look for places until none is left",
        ),
        Mistake(
            "takes the longest symbol it knows",
            function=takes_the_longest_symbol,
            why="the order in which merges were learned decides, not the length of what they make",
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
        *instead_of(
            'to_bytes("".join(symbols)).decode("utf-8", errors="replace")',
            {
                '"".join(\n        "\\ufffd" if "\\udc80" <= c <= "\\udcff" else c\n        for c in to_bytes("".join(symbols)).decode("utf-8", errors="surrogateescape")\n    )': (
                    "writes one U+FFFD for each single byte",
                    "the first bytes of a character that breaks off become one U+FFFD together",
                ),
                'to_bytes("".join(symbols)).decode("utf-8", errors="backslashreplace")': (
                    "writes bytes that are not valid UTF-8 as escapes",
                    'they become U+FFFD: errors="replace"',
                ),
                'to_bytes("".join(symbols)).decode("utf-8", errors="replace").replace("\\ufffd", "?")': (
                    "writes a question mark for bytes that are not valid UTF-8",
                    "they become U+FFFD, which no text has by itself",
                ),
                '"".join(symbols).replace("Ġ", " ").replace("Ċ", "\\n").encode("latin-1", errors="replace").decode("utf-8", errors="replace")': (
                    "turns back the space and the line break only",
                    "all bytes that can't be seen have stand-ins: to_bytes knows them",
                ),
                '"".join(symbols).replace("Ġ", " ").encode("latin-1", errors="ignore").decode("utf-8", errors="replace")': (
                    "turns back the space and drops other stand-ins",
                    "all bytes that can't be seen have stand-ins: to_bytes knows them",
                ),
                '"".join(symbols)': (
                    "joins the symbols without turning them into bytes",
                    "symbols are written with stand-ins: the space is 'Ġ' until it is turned back",
                ),
                '"".join(symbols).replace("Ġ", " ")': (
                    "turns back only the space",
                    "line breaks and the bytes of other characters have stand-ins too",
                ),
                '"".join(to_bytes(symbol).decode("utf-8", errors="replace") for symbol in symbols)': (
                    "decodes each symbol by itself",
                    "a character of several bytes may be spread over symbols: join the bytes first",
                ),
                'to_bytes("".join(symbols)).decode("utf-8", errors="ignore")': (
                    "leaves out bytes that are not valid UTF-8",
                    "invalid bytes become U+FFFD, which shows that something was there",
                ),
                'to_bytes("".join(symbols)).decode("utf-8")': (
                    "raises an error for bytes that are not valid UTF-8",
                    'a text may be cut within a character: errors="replace" writes U+FFFD',
                ),
                'to_bytes("".join(symbols)).decode("latin-1")': (
                    "reads the bytes as Latin-1",
                    "the bytes came from UTF-8, where a character may take several",
                ),
                '" ".join(to_bytes(symbol).decode("utf-8", errors="replace") for symbol in symbols)': (
                    "puts spaces between the symbols",
                    "a space is part of the symbol that follows it",
                ),
                'to_bytes("".join(symbols))': ("returns bytes", "the result is a text: decode the bytes as UTF-8"),
                'to_bytes("".join(symbols)).decode("utf-8", errors="replace").strip()': (
                    "strips the spaces at the ends",
                    "the space before a word is part of the text",
                ),
            },
        ),
    ],
)
