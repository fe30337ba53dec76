"""Judge of learning the merges of byte-pair encoding."""

from collections import Counter
from itertools import pairwise
from typing import Any

import torch

from arena_lib.checking import Case, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.bpe_pairs import corpus, merge_pair_by_stack
from arena_lib.transformer.tokens import bpe
from arena_lib.transformer.tokens.bpe import Pair, Word

__test__ = False


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
        Case(label="one word that occurs often", args=({("a", "b"): 9, ("c", "d"): 1, ("c", "d", "e"): 1}, 1)),
        Case(label="ties between symbols of several letters", args=({("ab", "b"): 1, ("a", "bc"): 1}, 1)),
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
            "if not counts:",
            {
                "if not counts or max(counts.values()) < 2:": (
                    "stops when no pair occurs twice",
                    "it goes on as long as any word has two symbols",
                ),
            },
        ),
        *instead_of(
            "return merges",
            {
                "word_counts.clear()\n    word_counts.update(words)\n    return merges": (
                    "writes the merged words into its argument",
                    "the caller's words must stay as they were: work on a copy",
                ),
            },
        ),
        *instead_of(
            "words = joined\n",
            {
                "words = Counter(word_counts)\n": (
                    "forgets the words that it has merged",
                    "the next count must see the words with the new symbol in them",
                ),
            },
        ),
        *instead_of(
            "min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))",
            {
                "min(counts, key=lambda pair: (-counts[pair], age[pair[0]] + age[pair[1]]))": (
                    "breaks ties by the sum of both ages",
                    "of equally frequent pairs the one whose first symbol is older wins, then the one whose second is",
                ),
                "min(counts, key=lambda pair: (-counts[pair], min(age[pair[0]], age[pair[1]])))": (
                    "breaks ties by the older of the two symbols",
                    "of equally frequent pairs the one whose first symbol is older wins, then the one whose second is",
                ),
                "min(counts, key=lambda pair: (-counts[pair], max(age[pair[0]], age[pair[1]])))": (
                    "breaks ties by the younger of the two symbols",
                    "of equally frequent pairs the one whose first symbol is older wins, then the one whose second is",
                ),
                "min(counts, key=lambda pair: (-counts[pair], pair[0] + pair[1]))": (
                    "breaks ties by the joined text",
                    "of equally frequent pairs the one whose first symbol is older wins, then the one whose second is",
                ),
                "min(counts, key=lambda pair: (-counts[pair], -len(pair[0] + pair[1]), age[pair[0]], age[pair[1]]))": (
                    "breaks ties by length first",
                    "of equally frequent pairs the one whose first symbol is older wins, then the one whose second is",
                ),
                "min(counts, key=lambda pair: (-counts[pair] * len(pair[0] + pair[1]), age[pair[0]], age[pair[1]]))": (
                    "weighs the count by the length of the pair",
                    "the most frequent pair wins, however long its symbols are",
                ),
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
                "counts = sum((Counter(dict.fromkeys(pairwise(word), n)) for word, n in words.items()), Counter())": (
                    "counts a pair once in each word",
                    "a pair may occur several times in a word: every time counts",
                ),
                "counts = count_pairs(dict.fromkeys(words, 1))": (
                    "counts each word once",
                    "a word that occurs five times brings each of its pairs five times",
                ),
                "counts = {pair: n for pair, n in count_pairs(Counter(word_counts)).items() if pair not in merges}": (
                    "counts the pairs only once, before the first merge",
                    "each merge changes which symbols are neighbours, so the pairs are counted again after it",
                ),
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
            {
                "range(n_merges + 1)": ("learns one merge too many", "n_merges is the largest number of merges"),
                "range(n_merges - len(age))": (
                    "counts the first symbols among the merges",
                    "n_merges is the number of merges, not the size of the vocabulary",
                ),
            },
        ),
        *instead_of(
            "merges.append(best)",
            {
                "merges.append(best[0] + best[1])": (
                    "returns the joined symbols",
                    "a merge is the pair: joined, ('l', 'ow') and ('lo', 'w') are the same",
                ),
                "merges.append(list(best))": (
                    "makes each merge a list",
                    "bpe_encode looks merges up in a dictionary, and a list can't be a key: use tuples",
                ),
            },
        ),
    ],
)
