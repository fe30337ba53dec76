"""What learners hand in for the exercises on byte-pair encoding: lists for tuples, and pairs that were miscounted."""

import importlib
from collections import Counter
from itertools import pairwise

from arena_lib.checking import run
from arena_lib.transformer.tokens import bpe

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def count_pairs_by_adding_counters(word_counts):
    return dict(sum((Counter({pair: n}) for word, n in word_counts.items() for pair in pairwise(word)), Counter()))


def count_pairs_without_overlaps(word_counts):
    counts = Counter()
    for word, n in word_counts.items():
        last = {}
        for at, pair in enumerate(pairwise(word)):
            if last.get(pair) != at - 1:
                counts[pair] += n
                last[pair] = at
    return counts


def merge_pair_as_list(word, pair):
    return list(bpe.merge_pair(word, pair))


def merge_pair_by_replacing_text(word, pair):
    return tuple(" ".join(word).replace(" ".join(pair), "".join(pair)).split(" "))


def merge_pair_by_replacing_letters(word, pair):
    return tuple("".join(word).replace("".join(pair), "".join(pair)))


def encode_merge_by_merge(word, merges):
    before = ()
    while before != word:
        before = word
        for pair in merges:
            word = bpe.merge_pair(word, pair)
    return word


def test_pairs_counted_by_adding_counters_pass():
    assert run(judges.test_count_pairs, count_pairs_by_adding_counters).status == "passed"


def test_overlaps_that_are_left_out_are_named():
    result = run(judges.test_count_pairs, count_pairs_without_overlaps)
    assert result.diagnosis.mistake == "leaves out pairs that overlap"


def test_lists_are_named_where_a_tuple_is_needed():
    assert run(judges.test_merge_pair, merge_pair_as_list).diagnosis.mistake == "returns a list"
    result = run(judges.test_bpe_encode, lambda word, merges: list(bpe.bpe_encode(word, merges)))
    assert result.diagnosis.mistake == "returns a list"
    result = run(judges.test_train_bpe, lambda words, n: [list(pair) for pair in bpe.train_bpe(words, n)])
    assert result.diagnosis.mistake == "makes each merge a list"


def test_merges_in_turn_are_named():
    result = run(judges.test_bpe_encode, encode_merge_by_merge)
    assert result.diagnosis.mistake == "continues with the next merge, without starting again from the first"


def test_pairs_joined_in_a_text_are_named():
    result = run(judges.test_merge_pair, merge_pair_by_replacing_text)
    assert result.diagnosis.mistake == "joins the symbols with spaces and replaces text, even inside longer symbols"
    result = run(judges.test_merge_pair, merge_pair_by_replacing_letters)
    assert result.diagnosis.mistake == "joins the word into one text and splits it into letters"
