"""Slips that no author declared are still said in words, where one small change to the reference shows the same."""

import dataclasses

import pytest
import torch

from arena_lib.checking import Case, exercise, run
from arena_lib.checking.evidence import changes


def spread(x, factor=2.0, *, offset=1.0):
    """`factor` times how far each entry is from the mean, and `offset` more."""
    kept = x[x > x.min()]
    return factor * (kept - kept.mean()) + offset


def cases(generator):
    given = [(5, {}), (7, {"factor": 3.0}), (4, {"offset": -2.0})]
    return [Case(label=f"{n}", args=(torch.randn(n, generator=generator),), kwargs=kwargs) for n, kwargs in given]


SPREAD = exercise(reference=spread, cases=cases)


def by_default(x, factor=2.0, *, offset=1.0):
    return spread(x, factor)


def turned(x, factor=2.0, *, offset=1.0):
    kept = sorted(x.tolist())[1:]
    return torch.tensor([factor * (a + sum(kept) / len(kept)) + offset for a in x.tolist() if a in kept])


def from_the_median(x, factor=2.0, *, offset=1.0):
    return factor * (x - x.median()) + offset


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (by_default, "ignores offset"),
        (turned, "adds where it should subtract"),
        (lambda x, factor=2.0, *, offset=1.0: spread(x, factor, offset=-offset), "subtracts where it should add"),
        (lambda x, factor=2.0, *, offset=1.0: spread(x, 1.0, offset=offset), "leaves a factor out"),
    ],
)
def test_a_small_change_is_said_in_words_whatever_the_code_looks_like(slip, words):
    result = run(SPREAD, slip)
    assert result.diagnosis is not None
    assert result.diagnosis.mistake == words
    assert f"Looks like: {words}" in result.message


def test_what_no_small_change_shows_has_no_name():
    assert run(SPREAD, from_the_median).diagnosis is None
    assert run(SPREAD, lambda x, factor=2.0, *, offset=1.0: 1 / 0).diagnosis is None


def test_it_is_looked_for_in_a_limited_time(monkeypatch):
    monkeypatch.setattr(changes, "SECONDS_FOR_CHANGES", -1.0)
    assert run(SPREAD, by_default).diagnosis is None


def test_a_declared_mistake_comes_first(toy):
    result = run(toy.test_half_norm, lambda x, weight: x * weight + x.detach())
    assert result.diagnosis is not None
    assert result.diagnosis.mistake == "does not halve"


def test_an_edit_that_can_not_be_executed_shows_nothing(monkeypatch):
    def build(mutant, reference):
        raise ValueError

    monkeypatch.setattr(changes, "build", build)
    assert run(dataclasses.replace(SPREAD), turned).diagnosis is None
