"""Which thresholds the detectors of attention heads may have by default."""

import importlib

import pytest

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.intro_to_mech_interp")


@pytest.mark.parametrize("threshold", [0.3, 0.36, 0.45, 0.6])
@pytest.mark.parametrize("kind", ["current", "prev", "first", "induction"])
def test_any_sensible_threshold_passes(kind, threshold):
    judge = getattr(judges, f"test_{kind}_attn_detector")
    assert run(judge, lambda cache: judge.reference(cache, threshold)).status == "passed"


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "heads that your list lacks"), (["0.0", "0.1", "1.4", "2.1"], "heads in your list that don't count")],
)
def test_a_message_says_which_heads_the_list_lacks_or_has_too_many(names, expected):
    mismatch = run(judges.test_prev_attn_detector, lambda cache: names).mismatch
    assert mismatch is not None
    assert mismatch.observation == expected
