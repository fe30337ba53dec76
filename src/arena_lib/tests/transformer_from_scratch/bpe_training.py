"""Judges of learning the merges of byte-pair encoding: counting pairs, joining them, and both in turn."""

from collections import Counter
from itertools import pairwise
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
            "counts[pair] += count",
            {
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
            "word[at : at + 2] == pair",
            {
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
                "at += 1": (
                    "does not step over the second symbol",
                    "the second symbol is part of the joined one and is used up",
                )
            },
        ),
        *instead_of(
            "            merged.append(word[at])\n",
            {"            pass\n": ("drops the other symbols", "symbols that aren't merged stay in the word")},
        ),
        *instead_of(
            "word[at] + word[at + 1]",
            {
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
                "return merged": (
                    "returns a list",
                    "train_bpe counts words as keys of a dictionary, and a list can't be one: return a tuple",
                )
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


def merges_list(function: Any, case: Case) -> Observations:
    """The merges, whether each is a tuple (bpe_encode looks them up in a dictionary), and whether the corpus changed."""
    words = dict(case.args[0])
    merges = function(words, *case.args[1:])
    if not isinstance(merges, list | tuple):
        raise Unfit(f"It must return a list of pairs: got {type(merges).__name__}.")
    return {
        "merges": [tuple(pair) for pair in merges],
        "each merge is a tuple": all(isinstance(pair, tuple) for pair in merges),
        "the words are unchanged": words == case.args[0],
    }


def train_bpe_cases(generator: torch.Generator) -> list[Case]:
    """One merge, many, more than there are, and ties that the age of symbols decides."""
    ties = {("a",): 1, ("c", "b"): 2, ("b", "a"): 2, ("a", "c"): 2}
    made_twice = {("bc", "ab"): 1, ("ab", "b", "a", "b"): 2}
    young = {("a", "b"): 9, ("x", "a", "b"): 4, ("a", "b", "x"): 4, ("x", "y"): 4, ("y", "x"): 4}
    return [
        Case(label="one merge", args=(corpus(), 1)),
        Case(label="ties between the corpus's symbols", args=(ties, 3)),
        Case(label="eight merges", args=(corpus(), 8)),
        Case(label="more than there are pairs", args=({("a", "b", "c"): 2, ("d",): 9}, 10)),
        Case(label="ties with a symbol that is younger", args=(young, 4)),
        Case(label="ties with a symbol that was made twice", args=(made_twice, 6)),
        Case(label="no merges", args=(corpus(), 0)),
        Case(label="words that become the same", args=({("a", "b", "c"): 5, ("ab", "c"): 3, ("c", "d"): 4}, 2)),
    ]


def train_bpe_by_max(word_counts: dict[Word, int], n_merges: int) -> list[Pair]:
    """Keeps words in a list, and finds the best pair by sorting."""
    symbols = sorted({symbol for word in word_counts for symbol in word})
    words = list(word_counts.items())
    merges: list[Pair] = []
    while len(merges) < n_merges:
        counts: Counter[Pair] = Counter()
        for word, count in words:
            for pair in pairwise(word):
                counts[pair] += count
        if not counts:
            return merges
        order = sorted(counts, key=lambda p: (symbols.index(p[0]), symbols.index(p[1])))
        best = max(order, key=lambda p: counts[p])
        merges.append(best)
        if best[0] + best[1] not in symbols:
            symbols.append(best[0] + best[1])
        words = [(merge_pair_by_stack(word, best), count) for word, count in words]
    return merges


OLDER_WINS = (
    "among equally frequent pairs the older first symbol wins, then the older second symbol; the corpus's symbols "
    "in sorted order are the oldest, then come the merged symbols in the order they were made"
)

test_train_bpe = exercise(
    reference=bpe.train_bpe,
    cases=train_bpe_cases,
    observe=merges_list,
    accepts=[train_bpe_by_max],
    mistakes=[
        *instead_of(
            "min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))",
            {
                "min(counts, key=lambda pair: (counts[pair], age[pair[0]], age[pair[1]]))": (
                    "merges the rarest pair",
                    "each merge joins the most frequent pair",
                ),
                "max(counts, key=lambda pair: counts[pair])": (
                    "breaks ties in favour of the pair that it met first",
                    OLDER_WINS,
                ),
                "min(counts, key=lambda pair: (-counts[pair], pair))": (
                    "breaks ties in alphabetical order",
                    OLDER_WINS,
                ),
                "min(counts, key=lambda pair: (-counts[pair], -age[pair[0]], -age[pair[1]]))": (
                    "breaks ties in favour of the youngest symbols",
                    OLDER_WINS,
                ),
                "min(counts, key=lambda pair: (-counts[pair], age[pair[1]], age[pair[0]]))": (
                    "compares the second symbols before the first ones to break ties",
                    "the age of the first symbol decides, and only then that of the second",
                ),
                "min(counts, key=lambda pair: (-counts[pair], age[pair[0]]))": (
                    "compares only the first symbols to break ties",
                    "among equally frequent pairs with the same first symbol, the one with the oldest second symbol wins",
                ),
            },
        ),
        *instead_of(
            "sorted({symbol for word in word_counts for symbol in word})",
            {
                "dict.fromkeys(symbol for word in word_counts for symbol in word)": (
                    "numbers the corpus's symbols as they come, not in sorted order",
                    "the symbols of the corpus are the oldest, in sorted order",
                )
            },
        ),
        *instead_of(
            "counts = count_pairs(words)",
            {
                "counts = {pair: n for pair, n in count_pairs(Counter(word_counts)).items() if pair not in merges}": (
                    "counts the pairs only once, before the first merge",
                    "each merge changes which symbols are neighbours, so the pairs are counted again after it",
                )
            },
        ),
        *instead_of(
            "joined[merge_pair(word, best)] += count",
            {
                "joined[merge_pair(word, best)] = 1": (
                    "forgets the words' counts after a merge",
                    "a word keeps its count when its symbols are joined",
                ),
                "joined[merge_pair(word, best)] = count": (
                    "loses a word when two become the same",
                    "two words may become the same after a merge: their counts are added up",
                ),
            },
        ),
        *instead_of(
            "age.setdefault(best[0] + best[1], len(age))",
            {
                "age[best[0] + best[1]] = len(age)": (
                    "makes a symbol the youngest again when a second merge makes it",
                    "the same letters can be joined by two merges: the symbol is as old as the first of them",
                )
            },
        ),
        *instead_of(
            "range(n_merges)",
            {"range(n_merges + 1)": ("learns one merge too many", "n_merges is the largest number of merges")},
        ),
        *instead_of(
            "merges.append(best)",
            {
                "merges.append(list(best))": (
                    "makes each merge a list",
                    "bpe_encode looks merges up in a dictionary, and a list can't be a key: use tuples",
                )
            },
        ),
    ],
)
