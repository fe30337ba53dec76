"""Judges of the two steps of byte-pair encoding: counting pairs, and joining them."""

from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.transformer.tokens import bpe
from arena_lib.transformer.tokens.bpe import Pair, Word

__test__ = False

CORPUS = {"low": 5, "lower": 2, "newest": 6, "widest": 3, "l": 4, "lll": 2}


def corpus() -> dict[Word, int]:
    """The small corpus, each word as a tuple of letters."""
    return {tuple(word): count for word, count in CORPUS.items()}


def counted(function: Any, case: Case) -> Observations:
    """Pairs with their counts, as a plain dictionary; a count of zero says nothing. And whether the words changed."""
    words = dict(case.args[0])
    pairs = function(words, *case.args[1:])
    if not isinstance(pairs, dict):
        raise Unfit(f"It must return a dictionary (a Counter) from pairs to counts: got {type(pairs).__name__}.")
    return {
        "counts": {pair: count for pair, count in sorted(pairs.items()) if count},
        "the words are unchanged": words == case.args[0],
    }


def count_pairs_cases(generator: torch.Generator) -> list[Case]:
    """Words of several lengths, overlapping pairs, and words of one symbol or none."""
    return [
        Case(label="a pair twice in one word", args=({("a", "b", "a", "b"): 3, ("b", "b", "a", "b"): 2},)),
        Case(label="a small corpus", args=(corpus(),)),
        Case(label="overlapping pairs", args=({("a", "a", "a"): 3, ("a", "b", "a"): 1},)),
        Case(label="symbols that were merged before", args=({("lo", "w"): 5, ("lo", "w", "e", "r"): 2},)),
        Case(label="no pairs at all", args=({("a",): 7, (): 1},)),
    ]


def count_pairs_by_index(word_counts: dict[Word, int]) -> dict[Pair, int]:
    """A plain dictionary and indices."""
    counts: dict[Pair, int] = {}
    for word, count in word_counts.items():
        for i in range(len(word) - 1):
            pair = (word[i], word[i + 1])
            counts[pair] = counts.get(pair, 0) + count
    return counts


test_count_pairs = exercise(
    reference=bpe.count_pairs,
    cases=count_pairs_cases,
    observe=counted,
    accepts=[count_pairs_by_index],
    mistakes=[
        *instead_of(
            "return counts",
            {
                "return Counter({pair: count / counts.total() for pair, count in counts.items()})": (
                    "returns shares of all pairs",
                    "how often each pair occurs is asked for: a count",
                ),
                "for first, second in pairwise(word for word in word_counts if word):\n        counts[first[-1], second[0]] += word_counts[second]\n    return counts": (
                    "counts pairs across the border of two words",
                    "merges never cross words, and the words stand in no order",
                ),
            },
        ),
        *instead_of(
            "counts[pair] += count",
            {
                "counts[pair[::-1]] += count": (
                    "turns the pairs round",
                    "a pair is (first, second), as its symbols stand in the word",
                ),
                "counts[pair] = max(counts[pair], count)": (
                    "keeps the largest count of any word",
                    "the same pair occurs in several words: add up",
                ),
                "counts[pair] += count * list(pairwise(word)).count(pair)": (
                    "counts a pair that a word has twice four times",
                    "each place in the word adds the word's count once",
                ),
                "counts[pair] += 1": (
                    "counts each word once",
                    "a word that occurs five times brings each of its pairs five times",
                ),
                "counts[pair] = count": (
                    "keeps only the last word's count",
                    "the same pair may occur in several words: their counts are added up",
                ),
                "counts[tuple(sorted(pair))] += count": (
                    "ignores the order of the two symbols",
                    "'ab' and 'ba' are different pairs",
                ),
                "counts[pair[0] + pair[1]] += count": (
                    "joins the two symbols of a pair",
                    "keys are tuples of two symbols: joined, ('l', 'ow') and ('lo', 'w') are the same",
                ),
            },
        ),
        *instead_of(
            "pairwise(word)",
            {
                "((first, second) for at, first in enumerate(word) for second in word[at + 1 :])": (
                    "pairs each symbol with all later ones",
                    "a pair is two symbols that stand side by side",
                ),
                "pairwise(word[1:])": ("leaves out the first pair", "the first two symbols are a pair too"),
                "zip(word[-1:] + word, word)": (
                    "pairs the last symbol with the first",
                    "a word of n symbols has n - 1 pairs: it has two ends",
                ),
                "set(pairwise(word))": (
                    "counts a pair once in each word",
                    "a pair may occur several times in a word: every time counts",
                ),
                "[pair for pair in set(pairwise(word)) for symbol in merge_pair(word, pair) if symbol == pair[0] + pair[1]]": (
                    "leaves out pairs that overlap",
                    "('a', 'a', 'a') has the pair ('a', 'a') twice, though only one of them could be merged",
                ),
                "word": ("counts symbols, not pairs", "a pair is two symbols, one after the other"),
                "zip(word[::2], word[1::2])": (
                    "looks at every second place only",
                    "every place between two symbols has a pair",
                ),
                'pairwise("".join(word))': (
                    "counts pairs of letters, not of symbols",
                    "a symbol may have several letters",
                ),
                "pairwise(word[:-1])": ("leaves out the last pair", "the last two symbols are a pair too"),
            },
        ),
    ],
)


def as_word(function: Any, case: Case) -> Observations:
    """The symbols, and whether they are a tuple: words are keys of dictionaries, where a list can't be."""
    seen = outputs(function, case)
    if isinstance(seen["output"], str) or not hasattr(seen["output"], "__iter__"):
        raise Unfit(f"It must return a tuple of symbols: got {type(seen['output']).__name__}.")
    return seen | {"output": tuple(seen["output"]), "the result is a tuple": isinstance(seen["output"], tuple)}


def merge_pair_cases(generator: torch.Generator) -> list[Case]:
    """Once, several times, overlapping, at both ends, of longer symbols, and not at all."""
    words: dict[str, tuple[Word, Pair]] = {
        "in the middle": (("n", "e", "w", "e", "s", "t"), ("e", "s")),
        "twice, and not at the end": (("x", "a", "b", "y", "a", "b", "z"), ("a", "b")),
        "overlapping itself": (("a", "a", "a", "b", "a", "a"), ("a", "a")),
        "an even run": (("a", "a", "a", "a"), ("a", "a")),
        "at both ends": (("a", "b", "x", "a", "b"), ("a", "b")),
        "longer symbols": (("lo", "w", "e", "lo", "w"), ("lo", "w")),
        "the letters, but not these symbols": (("l", "ow", "lo", "w"), ("l", "o")),
        "the other way round": (("b", "a", "b"), ("a", "b")),
        "symbols that spell the pair": (("l", "ow", "x"), ("lo", "w")),
        "a single symbol": (("a",), ("a", "a")),
    }
    return [Case(label=label, args=arguments) for label, arguments in words.items()]


def merge_pair_by_stack(word: Word, pair: Pair) -> Word:
    """Pushes symbols, and joins when the last two make the pair; a joined one can't join again."""
    done: list[str] = []
    is_joined = False
    for symbol in word:
        if done and not is_joined and (done[-1], symbol) == pair:
            done[-1] += symbol
            is_joined = True
        else:
            done.append(symbol)
            is_joined = False
    return tuple(done)


def merge_pair_from_the_right(word: Word, pair: Pair) -> Word:
    """Joins the rightmost of places that overlap."""
    merged: list[str] = []
    at = len(word)
    while at > 0:
        is_pair = word[max(at - 2, 0) : at] == pair
        merged.insert(0, "".join(pair) if is_pair else word[at - 1])
        at -= 2 if is_pair else 1
    return tuple(merged)


def merge_pair_in_spaced_text(word: Word, pair: Pair) -> Word:
    """Replaces the pair in a text of the symbols with spaces between them."""
    return tuple(" ".join(word).replace(" ".join(pair), "".join(pair)).split(" "))


def merge_pair_in_text(word: Word, pair: Pair) -> Word:
    """Replaces the pair in the text of the word, which has lost the borders of its symbols."""
    return tuple("".join(word).replace("".join(pair), "".join(pair)))


test_merge_pair = exercise(
    reference=bpe.merge_pair,
    cases=merge_pair_cases,
    observe=as_word,
    accepts=[merge_pair_by_stack],
    mistakes=[
        *instead_of(
            "while at < len(word)",
            {
                "while at < len(word) - 1": (
                    "drops the last symbol unless it is merged",
                    "go on to the end of the word: what isn't merged stays as it is",
                ),
            },
        ),
        *instead_of(
            "word[at : at + 2] == pair",
            {
                "word[at : at + 2] == pair and pair not in pairwise(word[at + 1 :])": (
                    "merges the last place only",
                    "every occurrence is joined, not just the last",
                ),
                "word[at] == pair[0] and at + 1 < len(word)": (
                    "looks at the first symbol only",
                    "both symbols must be those of the pair",
                ),
                "word[at : at + 2] == pair and at % 2 == 0": (
                    "looks at every second place only",
                    "the pair may begin at any place of the word",
                ),
                "word[at : at + 2] == pair and pair[0] + pair[1] not in merged": (
                    "merges only the first occurrence",
                    "every occurrence is joined, not just the first",
                ),
                "word[at : at + 2] in (pair, pair[::-1])": (
                    "matches the pair in either order",
                    "the two symbols must stand in the pair's order: ('a', 'b') and ('b', 'a') are different pairs",
                ),
                '"".join(word[at : at + 2]) == "".join(pair)': (
                    "compares the text, not the symbols",
                    "('l', 'ow') and ('lo', 'w') spell the same, but are different pairs",
                ),
                "word[at : at + 2] == pair and at + 2 < len(word)": (
                    "leaves out a pair at the end of the word",
                    "the last two symbols are a pair too",
                ),
            },
        ),
        *instead_of(
            "at += 2",
            {
                "at += 1 if word[at + 1 : at + 3] == pair else 2": (
                    "uses a symbol twice where pairs overlap",
                    "the second symbol is part of the joined one and is used up",
                ),
                "at += 1": (
                    "does not step over the second symbol",
                    "the second symbol is part of the joined one and is used up",
                ),
            },
        ),
        *instead_of(
            "            merged.append(word[at])\n",
            {"            pass\n": ("drops the other symbols", "symbols that aren't merged stay in the word")},
        ),
        *instead_of(
            "word[at] + word[at + 1]",
            {
                "word[at : at + 2]": (
                    "leaves the pair as two symbols",
                    "joined they are one symbol: a text, not a tuple of two",
                ),
                "word[at + 1] + word[at]": ("joins the symbols the wrong way round", "the first symbol comes first"),
                'word[at] + " " + word[at + 1]': (
                    "puts a space between the symbols",
                    "the two become one symbol, without anything between them",
                ),
            },
        ),
        *instead_of(
            "return tuple(merged)",
            {
                'return "".join(merged)': ("returns a text", "the result is a word again: a tuple of symbols"),
                "return merged": (
                    "returns a list",
                    "train_bpe counts words as keys of a dictionary, and a list can't be one: return a tuple",
                ),
            },
        ),
        Mistake(
            "joins the symbols with spaces and replaces text, even inside longer symbols",
            function=merge_pair_in_spaced_text,
            why="the text 'l o' also begins 'l ow': compare whole symbols, not the letters of a text",
        ),
        Mistake(
            "joins the word into one text and splits it into letters",
            function=merge_pair_in_text,
            why="a word is a tuple of symbols, which may have several letters: join the pair, and keep the other symbols",
        ),
        Mistake(
            "merges from right to left",
            function=merge_pair_from_the_right,
            why="where occurrences overlap, the leftmost is joined",
        ),
    ],
)
