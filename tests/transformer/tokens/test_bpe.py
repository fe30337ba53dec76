import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from arena_lib.errors import TokenError
from arena_lib.transformer.tokens.bpe import (
    bpe_decode,
    bpe_encode,
    byte_alphabet,
    count_pairs,
    merge_pair,
    split_into_words,
    to_bytes,
    to_symbols,
    train_bpe,
)

# Characters that this Python's Unicode knows: newer ones are sorted into words by each library's own version.
texts = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=40)
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)


def test_alphabet_is_the_one_of_the_tokenizers_library():
    assert set(byte_alphabet().values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert len(set(byte_alphabet().values())) == 256


@pytest.mark.parametrize(
    ("byte", "symbol"),
    [
        (0, "Ā"),
        (0x20, "Ġ"),
        (0x21, "!"),
        (0x7E, "~"),
        (0x7F, "ġ"),
        (0xA0, "ł"),
        (0xA1, "¡"),
        (0xAC, "¬"),
        (0xAD, "Ń"),
        (0xAE, "®"),
        (0xFF, "ÿ"),
    ],
)
def test_alphabet_at_the_edges_of_its_ranges(byte, symbol):
    assert byte_alphabet()[byte] == symbol


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("I'll can't we've", ["I", "'ll", " can", "'t", " we", "'ve"]),
        ("I'LL", ["I", "'", "LL"]),
        ("a  b", ["a", " ", " b"]),
        ("a\n\nb", ["a", "\n", "\n", "b"]),
        ("a   ", ["a", "   "]),
        ("x1y2", ["x", "1", "y", "2"]),
        (" 12 34", [" 12", " 34"]),
        ("a\u00a0\u00a0b", ["a", "\u00a0", "\u00a0", "b"]),
        ("\x1ca", ["\x1c", "a"]),
        ("Ⅷ½x", ["Ⅷ½", "x"]),
    ],
)
def test_words_by_hand(text, words):
    assert split_into_words(text) == words


@given(texts | st.text(st.sampled_from(" \t\n'streé1½!\u3000"), max_size=30))
def test_words_and_symbols_are_those_of_the_tokenizers_library(text):
    words = split_into_words(text)
    assert ["".join(to_symbols(word)) for word in words] == [
        symbols for symbols, _ in byte_level.pre_tokenize_str(text)
    ]
    assert "".join(words) == text


def test_every_assigned_character_stands_in_the_same_kind_of_word_as_in_the_tokenizers_library():
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]
    for start in range(0, len(characters), 2000):
        text = "".join(f"a{c}1{c}!{c}\n" for c in characters[start : start + 2000])
        theirs = [text[begin:end] for _, (begin, end) in byte_level.pre_tokenize_str(text)]
        assert split_into_words(text) == theirs


def test_count_pairs_weighs_words_and_counts_overlaps():
    assert count_pairs({("a", "a", "a"): 3, ("b", "a", "a"): 5, ("c",): 7}) == {("a", "a"): 11, ("b", "a"): 5}


def test_count_pairs_leaves_its_input_as_it_was():
    words = {("a", "b"): 2}
    count_pairs(words)
    assert words == {("a", "b"): 2}


@pytest.mark.parametrize(
    ("word", "pair", "merged"),
    [
        ((), ("a", "b"), ()),
        (("a",), ("a", "b"), ("a",)),
        (("a", "b"), ("a", "b"), ("ab",)),
        (("b", "a"), ("a", "b"), ("b", "a")),
        (("a", "a", "a"), ("a", "a"), ("aa", "a")),
        (("a", "b", "c", "a", "b"), ("a", "b"), ("ab", "c", "ab")),
        (("ab", "a", "b"), ("a", "b"), ("ab", "ab")),
        (("a", "b", "a"), ("a", "b"), ("ab", "a")),
    ],
)
def test_merge_pair_by_hand(word, pair, merged):
    assert merge_pair(word, pair) == merged


def test_training_takes_the_most_frequent_pair_and_counts_again_after_each_merge():
    words = {tuple("abc"): 4, tuple("bcd"): 3, tuple("ab"): 2}
    # bc 7, ab 6, cd 3; then (a, bc) 4, (bc, d) 3, (a, b) 2; then (bc, d) 3
    assert train_bpe(words, 3) == [("b", "c"), ("a", "bc"), ("bc", "d")]


def test_training_breaks_ties_by_the_age_of_symbols():
    assert train_bpe({("z", "a"): 1, ("b", "y"): 1, ("b", "c"): 1}, 3) == [("b", "c"), ("b", "y"), ("z", "a")]


def test_a_merged_symbol_is_younger_than_every_single_one():
    # After (m, n), equally frequent: ("mn", "a") and ("z", "y"). By text "mn" < "z"; by age "z" is older.
    words = {("m", "n"): 3, ("m", "n", "a"): 2, ("z", "y"): 2}
    assert train_bpe(words, 2) == [("m", "n"), ("z", "y")]


def test_training_ends_when_nothing_is_left_to_merge():
    assert train_bpe({("a", "b"): 1}, 5) == [("a", "b")]
    assert train_bpe({}, 5) == []
    assert train_bpe({("a", "b"): 1}, 0) == []


def test_words_that_become_equal_are_counted_together():
    words = {("a", "b", "c"): 2, ("ab", "c"): 3, ("d", "e"): 4}
    assert train_bpe(words, 2) == [("d", "e"), ("ab", "c")]
    words = {("a", "b", "c"): 5, ("ab", "c"): 3, ("d", "e"): 6}
    assert train_bpe(words, 3) == [("d", "e"), ("a", "b"), ("ab", "c")]


def test_encoding_takes_the_earliest_merge_not_the_first_place():
    merges = [("b", "c"), ("a", "b")]
    assert bpe_encode(("a", "b", "c"), merges) == ("a", "bc")


def test_encoding_merges_one_place_at_a_time():
    # (a, a) at the left makes (aa, a) possible, which is earlier than a second (a, a).
    assert bpe_encode(("a",) * 4, [("aa", "a"), ("a", "a")]) == ("aaa", "a")
    assert bpe_encode(("a",) * 5, [("a", "a")]) == ("aa", "aa", "a")


def test_encoding_without_a_merge_that_fits():
    assert bpe_encode(("a", "b"), [("b", "a")]) == ("a", "b")
    assert bpe_encode((), [("b", "a")]) == ()


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=6), st.integers(0, 12))
def test_a_training_word_is_encoded_as_training_left_it(words, n_merges):
    counts = Counter(tuple(word) for word in words)
    merges = train_bpe(counts, n_merges)
    for word in counts:
        trained = word
        for pair in merges:
            trained = merge_pair(trained, pair)
        assert "".join(bpe_encode(word, merges)) == "".join(word)
        assert len(bpe_encode(word, merges)) <= len(word)
        if len({first + second for first, second in merges}) == len(merges):
            assert bpe_encode(word, merges) == trained


@given(texts)
def test_decoding_gives_the_text_back(text):
    assert bpe_decode(to_symbols(text)) == text


def test_decoding_replaces_what_is_no_utf8():
    assert bpe_decode(to_symbols("é")[:1]) == "\ufffd"


def test_a_character_that_is_no_byte_is_named():
    with pytest.raises(TokenError, match=r"must stand for a byte: got ' ' in 'a b'\. Use to_symbols"):
        to_bytes("a b")
