"""Judges of learning the merges of byte-pair encoding: counting pairs, joining them, and both in turn."""

from collections import Counter
from itertools import pairwise
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, outputs
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
        "the words afterwards": words == case.args[0],
    }


def count_pairs_cases(generator: torch.Generator) -> list[Case]:
    """Words of several lengths, overlapping pairs, and words of one symbol or none."""
    return [
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
        Mistake(
            "counts each word once",
            "counts[pair] += count",
            "counts[pair] += 1",
            why="a word that occurs five times brings each of its pairs five times",
        ),
        Mistake(
            "counts a pair once in each word",
            "in pairwise(word)",
            "in set(pairwise(word))",
            why="a pair may stand in a word several times, and overlapping itself",
        ),
        Mistake(
            "keeps only the last word's count",
            "counts[pair] += count",
            "counts[pair] = count",
            why="the same pair occurs in several words: add up",
        ),
        Mistake(
            "does not look at overlapping pairs",
            "pairwise(word)",
            "zip(word[::2], word[1::2])",
            why="every place between two symbols has a pair, not every second one",
        ),
        Mistake(
            "ignores the order of the two symbols",
            "counts[pair] += count",
            "counts[tuple(sorted(pair))] += count",
            why="'ab' and 'ba' are different pairs",
        ),
    ],
)


def as_word(function: Any, case: Case) -> Observations:
    """The symbols, whether they come as a tuple or as a list."""
    seen = outputs(function, case)
    if isinstance(seen["output"], str) or not hasattr(seen["output"], "__iter__"):
        raise Unfit(f"It must return a tuple of symbols: got {type(seen['output']).__name__}.")
    return seen | {"output": tuple(seen["output"])}


def merge_pair_cases(generator: torch.Generator) -> list[Case]:
    """Once, several times, overlapping, at both ends, of longer symbols, and not at all."""
    words: dict[str, tuple[Word, Pair]] = {
        "in the middle": (("n", "e", "w", "e", "s", "t"), ("e", "s")),
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


def merge_pair_by_stack(word: Word, pair: Pair) -> list[str]:
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
    return done


test_merge_pair = exercise(
    reference=bpe.merge_pair,
    cases=merge_pair_cases,
    observe=as_word,
    accepts=[merge_pair_by_stack],
    mistakes=[
        Mistake(
            "merges the first place only",
            "if word[at : at + 2] == pair:",
            "if word[at : at + 2] == pair and pair[0] + pair[1] not in merged:",
            why="every occurrence is joined, not just the first",
        ),
        Mistake(
            "does not step over the second symbol",
            "at += 2",
            "at += 1",
            why="the second symbol is part of the joined one and is used up",
        ),
        Mistake(
            "matches the pair in either order",
            "word[at : at + 2] == pair",
            "word[at : at + 2] in (pair, pair[::-1])",
            why="'ba' is not 'ab'",
        ),
        Mistake(
            "drops the other symbols",
            "            merged.append(word[at])\n",
            "            pass\n",
            why="what isn't merged stays as it is",
        ),
        Mistake(
            "compares the text, not the symbols",
            "word[at : at + 2] == pair",
            '"".join(word[at : at + 2]) == "".join(pair)',
            why="('l', 'ow') and ('lo', 'w') spell the same, but are different pairs",
        ),
        Mistake(
            "joins the symbols the wrong way round",
            "word[at] + word[at + 1]",
            "word[at + 1] + word[at]",
            why="the first symbol comes first",
        ),
    ],
)


def merges_list(function: Any, case: Case) -> Observations:
    """The merges as a list of pairs, and whether the corpus changed."""
    words = dict(case.args[0])
    merges = function(words, *case.args[1:])
    if not isinstance(merges, list | tuple):
        raise Unfit(f"It must return a list of pairs: got {type(merges).__name__}.")
    return {"merges": [tuple(pair) for pair in merges], "the words are unchanged": words == case.args[0]}


def train_bpe_cases(generator: torch.Generator) -> list[Case]:
    """One merge, many, more than there are, and ties that the age of symbols decides."""
    ties = {("b", "a"): 2, ("a", "c"): 2, ("c", "b"): 2}
    made_twice = {("bc", "ab"): 1, ("ab", "b", "a", "b"): 2}
    young = {("a", "b"): 9, ("x", "a", "b"): 4, ("a", "b", "x"): 4, ("x", "y"): 4, ("y", "x"): 4}
    return [
        Case(label="one merge", args=(corpus(), 1)),
        Case(label="eight merges", args=(corpus(), 8)),
        Case(label="more than there are pairs", args=({("a", "b", "c"): 2, ("d",): 9}, 10)),
        Case(label="ties between old symbols", args=(ties, 3)),
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
        words = [(tuple(merge_pair_by_stack(word, best)), count) for word, count in words]
    return merges


test_train_bpe = exercise(
    reference=bpe.train_bpe,
    cases=train_bpe_cases,
    observe=merges_list,
    accepts=[train_bpe_by_max],
    mistakes=[
        Mistake(
            "merges the rarest pair",
            "(-counts[pair], age",
            "(counts[pair], age",
            why="the most frequent pair is worth a symbol of its own",
        ),
        Mistake(
            "counts pairs once and never again",
            "counts = count_pairs(words)",
            "counts = {pair: n for pair, n in count_pairs(Counter(word_counts)).items() if pair not in merges}",
            why="each merge changes which symbols stand side by side: count anew",
        ),
        Mistake(
            "forgets the words' counts after a merge",
            "joined[merge_pair(word, best)] += count",
            "joined[merge_pair(word, best)] = 1",
            why="a word keeps its count when its symbols are joined",
        ),
        Mistake(
            "loses a word when two become the same",
            "joined[merge_pair(word, best)] += count",
            "joined[merge_pair(word, best)] = count",
            why="two words may be spelled alike after a merge: their counts add up",
        ),
        Mistake(
            "breaks ties by the alphabet",
            "age[pair[0]], age[pair[1]])",
            "pair)",
            why="of equally frequent pairs the one with the oldest symbols wins",
        ),
        Mistake(
            "breaks ties by the youngest symbol",
            "age[pair[0]], age[pair[1]])",
            "-age[pair[0]], -age[pair[1]])",
            why="of equally frequent pairs the one with the oldest symbols wins",
        ),
        Mistake(
            "makes a symbol young again when it is made once more",
            "age.setdefault(best[0] + best[1], len(age))",
            "age[best[0] + best[1]] = len(age)",
            why="the same letters can be joined by two merges: the symbol is as old as the first of them",
        ),
        Mistake(
            "learns one merge too many",
            "range(n_merges)",
            "range(n_merges + 1)",
            why="n_merges is the most",
        ),
    ],
)
