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
