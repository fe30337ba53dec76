"""Statistics by hand."""

import pytest
from benchmarks.harness.measuring.spreads import compute_ratios, compute_spread, relative_difference
from benchmarks.harness.record import Spread


def test_a_spread_is_the_median_and_the_tenth_and_ninetieth_percentile():
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]
    assert compute_spread(values[::-1]) == Spread(median=32.0, low=2.0, high=512.0)


def test_between_two_values_it_is_interpolated():
    assert compute_spread([10.0, 20.0]) == Spread(median=15.0, low=11.0, high=19.0)


def test_one_value_has_no_spread():
    with pytest.raises(ValueError, match="two values or more: got 1"):
        compute_spread([1.0])


def test_ratios_are_of_pairs_and_above_one_where_ours_is_faster():
    assert compute_ratios(ours=[1.0, 2.0, 4.0], theirs=[3.0, 1.0, 4.0]) == [3.0, 0.5, 1.0]


def test_the_median_of_ratios_is_not_the_ratio_of_medians():
    """The second pair met another program, which slowed both of it."""
    ours, theirs = [1.0, 10.0, 2.0], [2.0, 20.0, 4.0]
    assert compute_spread(compute_ratios(ours, theirs)).median == 2.0


def test_sides_of_different_lengths_are_no_pairs():
    with pytest.raises(ValueError, match="zip"):
        compute_ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("one", "other", "difference"), [(2.0, 3.0, 0.5), (3.0, 2.0, 0.5), (7.0, 7.0, 0.0)])
def test_a_difference_is_of_the_smaller_whichever_comes_first(one, other, difference):
    assert relative_difference(one, other) == difference
