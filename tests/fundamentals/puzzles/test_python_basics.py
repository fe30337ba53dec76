import dataclasses
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.puzzles.python_basics import RunningMean, Schedule, count_words, in_batches


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="aAbB \n"))
def test_words_are_counted_as_counter_does(text):
    assert list(count_words(text).items()) == list(Counter(text.lower().split()).items())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 5))
def test_batches_hold_all_items_and_only_the_last_is_shorter(items, size):
    batches = list(in_batches(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(0 < len(batch) <= size for batch in batches)


def test_a_batch_without_room_is_refused():
    with pytest.raises(ConfigError, match="size must be at least 1: got 0"):
        next(in_batches([1, 2], 0))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1))
def test_a_running_mean_is_the_mean(numbers):
    mean, other = RunningMean(), RunningMean()
    for number in numbers:
        mean.add(number)
    assert mean.mean == pytest.approx(statistics.fmean(numbers), abs=1e-9)
    assert (len(mean), len(other), other.mean) == (len(numbers), 0, 0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4))
def test_a_schedule_has_as_many_steps_as_there_are_batches(n_examples, batch_size, n_epochs):
    schedule = Schedule(n_examples=n_examples, batch_size=batch_size, n_epochs=n_epochs)
    assert schedule.steps_per_epoch == len(list(in_batches(range(n_examples), batch_size)))
    assert schedule.n_steps == n_epochs * schedule.steps_per_epoch


def test_a_schedule_that_cannot_work_is_refused_and_none_can_be_changed():
    with pytest.raises(ConfigError, match=r"Schedule.batch_size must be a whole number of at least 1: got 0"):
        Schedule(n_examples=3, batch_size=0)
    schedule = Schedule(n_examples=3, batch_size=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.n_examples = 4
