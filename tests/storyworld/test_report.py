"""What counting models reach."""

import math

import pytest

from arena_lib.errors import ConfigError
from arena_lib.storyworld.report import (
    NGram,
    compute_ngram_losses,
    compute_position_entropy,
    make_texts,
    write_report,
)


def test_a_bigram_by_hand() -> None:
    model = NGram(2, d_vocab=4)
    model.count(["a", "b", "a", "b"])
    # Unigrams: a and b twice in four, two kinds. After a: b twice, one kind.
    unigram_b = (2 - 0.75 + 0.75 * 2 / 4) / 4
    assert model.probability("b", ()) == pytest.approx(unigram_b)
    assert model.probability("b", ("a",)) == pytest.approx((2 - 0.75 + 0.75 * 1 * unigram_b) / 2)
    assert model.probability("b", ("never",)) == pytest.approx(unigram_b)


@pytest.mark.parametrize("history", [(), ("a",), ("b", "a"), ("x", "a")])
def test_probabilities_sum_to_one(history: tuple[str, ...]) -> None:
    model = NGram(3, d_vocab=5)
    model.count(["a", "b", "a", "c"])
    assert sum(model.probability(word, history) for word in ("a", "b", "c", "d", "e")) == pytest.approx(1.0)


def test_losses_are_of_each_word_and_begin_with_the_documents_first() -> None:
    model = NGram(2, d_vocab=3)
    model.count(["a", "b"])
    model.count(["a", "b"])
    losses = model.losses(["a", "b"])
    assert losses[0] == pytest.approx(-math.log(model.probability("a", ("<|endoftext|>",))))
    assert losses[1] == pytest.approx(-math.log(model.probability("b", ("a",))))


def test_an_order_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1: got 0"):
        NGram(0)


def test_longer_histories_foretell_stories_better() -> None:
    train, test = make_texts(1500, "story", 0), make_texts(60, "story", 1)
    losses = [sum(map(sum, compute_ngram_losses(train, test, order))) for order in (1, 2, 3)]
    assert losses[0] > 1.5 * losses[1] > 1.5 * losses[2]


def test_texts_are_of_the_kind_asked_for_and_differ_by_seed() -> None:
    assert all(":" in words for words in make_texts(5, "countries", 0))
    assert make_texts(5, "story", 0) != make_texts(5, "story", 1)


def test_entropy_of_a_position_by_hand() -> None:
    texts = [["a", "b"], ["a", "c"], ["a"]]
    assert compute_position_entropy(texts, 0) == 0
    assert compute_position_entropy(texts, 1) == pytest.approx(math.log(2))


def test_the_report_has_every_model_and_position() -> None:
    report = write_report(n_train=60, n_test=20)
    assert report.startswith("# Storyworld version 2: story\n")
    for order in range(1, 6):
        assert f"| {order}-gram | " in report
    assert "\n| 16 | " in report
