"""Seeded choices."""

from collections import Counter

import pytest

from arena_lib.storyworld.choice import Chooser


def test_the_same_seeds_give_the_same_stream() -> None:
    first, second = Chooser("a", 1), Chooser("a", 1)
    assert [first.between(0, 99) for _ in range(20)] == [second.between(0, 99) for _ in range(20)]


def test_seeds_are_kept_apart() -> None:
    assert [Chooser("a", 11).between(0, 10**9)] != [Chooser("a", 1, 1).between(0, 10**9)]


def test_the_stream_is_the_same_on_every_machine() -> None:
    choose = Chooser("golden", 0)
    assert [choose.between(0, 99) for _ in range(5)] == GOLDEN


def test_between_reaches_both_ends_and_nothing_else() -> None:
    choose = Chooser(0)
    assert {choose.between(2, 4) for _ in range(200)} == {2, 3, 4}


def test_sample_draws_without_replacement_and_leaves_the_options_alone() -> None:
    choose, options = Chooser(0), [1, 2, 3, 4]
    draws = Counter(tuple(sorted(choose.sample(options, 2))) for _ in range(600))
    assert options == [1, 2, 3, 4]
    assert len(draws) == 6
    assert all(len(set(pair)) == 2 for pair in draws)
    assert min(draws.values()) > 50


def test_sample_is_in_random_order() -> None:
    choose = Chooser(0)
    assert {tuple(choose.sample("abc", 3)) for _ in range(200)} == {tuple(order) for order in ORDERS}


def test_weighted_draws_by_weight() -> None:
    choose = Chooser(0)
    counts = Counter(choose.weighted({"rare": 1, "often": 3, "never": 0}) for _ in range(4000))
    assert counts["never"] == 0
    assert counts["often"] / 4000 == pytest.approx(0.75, abs=0.04)


def test_chance_holds_as_often_as_it_says() -> None:
    choose = Chooser(0)
    assert sum(choose.chance(0.2) for _ in range(4000)) / 4000 == pytest.approx(0.2, abs=0.04)


ORDERS = ("abc", "acb", "bac", "bca", "cab", "cba")
GOLDEN = [53, 7, 70, 74, 58]
