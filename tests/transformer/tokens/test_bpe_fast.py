from collections import Counter
from itertools import islice
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from arena_lib.transformer.tokens.bpe import bpe_encode, train_bpe
from arena_lib.transformer.tokens.bpe_fast import encode_word, iterate_merges

words = st.text("abc", max_size=9)
symbols = st.text("ab", min_size=1, max_size=3)


@given(st.lists(words, max_size=8), st.integers(0, 15))
def test_merges_are_those_of_the_plain_form(texts, n_merges):
    counts = Counter(tuple(text) for text in texts)
    assert list(islice(iterate_merges(counts), n_merges)) == train_bpe(counts, n_merges)


@given(st.dictionaries(words, st.integers(1, 4), max_size=12))
def test_all_merges_are_those_of_the_plain_form(counts):
    by_word = {tuple(word): count for word, count in counts.items()}
    assert list(iterate_merges(by_word)) == train_bpe(by_word, 200)


@given(st.text("ab", max_size=20), st.lists(st.tuples(symbols, symbols), max_size=8, unique=True))
def test_encoding_is_that_of_the_plain_form_for_any_merges(text, merges):
    word = tuple(text)
    assert encode_word(word, {pair: rank for rank, pair in enumerate(merges)}) == bpe_encode(word, merges)


@given(st.lists(words, min_size=1, max_size=5), words)
def test_encoding_is_that_of_the_plain_form_for_learned_merges(texts, text):
    merges = train_bpe(Counter(tuple(text) for text in texts), 10)
    assert encode_word(tuple(text), {pair: rank for rank, pair in enumerate(merges)}) == bpe_encode(tuple(text), merges)


def test_a_long_word_takes_no_quadratic_time():
    merges = {("a" * 2**power,) * 2: power for power in range(5)}
    start = perf_counter()
    encoded = encode_word(("a",) * 50_000, merges)
    assert perf_counter() - start < 10  # the plain form would take hours
    assert encoded == ("a" * 32,) * 1562 + ("a" * 16,)
