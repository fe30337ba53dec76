"""The merges and encodings of `bpe.py` in less time: only what a merge touches is counted again.

Source:  own derivation; that a heap and a linked list make encoding O(n log n) is common knowledge.
Differs: nothing; tests hold each function equal to its plain form.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from arena_lib.transformer.tokens.bpe import Pair, Word, count_pairs, merge_pair


def iterate_merges(word_counts: Mapping[Word, int]) -> Iterator[Pair]:
    """Yield the merges of `train_bpe` one by one until no word has two symbols.

    A merge changes only the words that hold its pair, so an index from pair to words finds
    them. The heap may hold outdated counts: they are put right when they come up.
    """
    words = list(word_counts)
    counts = count_pairs(word_counts)
    age = {symbol: index for index, symbol in enumerate(sorted({symbol for word in words for symbol in word}))}
    holders: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in pairwise(word):
            holders[pair].add(index)
    repeats = list(word_counts.values())
    heap = [(-count, age[pair[0]], age[pair[1]], pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap:
        negative, *_, best = heapq.heappop(heap)
        if counts[best] != -negative:
            if counts[best] > 0:
                heapq.heappush(heap, (-counts[best], age[best[0]], age[best[1]], best))
            continue
        yield best
        age.setdefault(best[0] + best[1], len(age))
        changes: Counter[Pair] = Counter()
        for index in holders.pop(best):
            before = words[index]
            words[index] = after = merge_pair(before, best)
            for pair in pairwise(before):
                changes[pair] -= repeats[index]
            for pair in pairwise(after):
                changes[pair] += repeats[index]
                holders[pair].add(index)
        for pair, change in changes.items():
            counts[pair] += change
            if change > 0:
                heapq.heappush(heap, (-counts[pair], age[pair[0]], age[pair[1]], pair))


def encode_word(word: Word, ranks: Mapping[Pair, int]) -> Word:
    """Give the result of `bpe_encode` in O(n log n) time, for words of any length; `ranks` numbers the merges.

    Symbols are a linked list. A candidate on the heap is outdated when a neighbour was merged
    since, which its pair of symbols shows.
    """
    symbols: list[str] = list(word)
    after = [*range(1, len(word)), -1]
    before = list(range(-1, len(word) - 1))
    heap = [(ranks[pair], at) for at, pair in enumerate(pairwise(word)) if pair in ranks]
    heapq.heapify(heap)
    while heap:
        rank, at = heapq.heappop(heap)
        right = after[at]
        if not symbols[at] or right < 0 or ranks.get((symbols[at], symbols[right])) != rank:
            continue
        symbols[at] += symbols[right]
        symbols[right] = ""
        after[at] = after[right]
        if after[right] >= 0:
            before[after[right]] = at
        for left in (before[at], at):
            if left >= 0 and after[left] >= 0:
                rank_here = ranks.get((symbols[left], symbols[after[left]]))
                if rank_here is not None:
                    heapq.heappush(heap, (rank_here, left))
    return tuple(symbol for symbol in symbols if symbol)
