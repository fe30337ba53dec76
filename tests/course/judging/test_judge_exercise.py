"""One exercise judged in this process: what is said of memory, and of what never came to be defined."""

import pytest

from arena_lib.checking.results import Result
from arena_lib.course.judging.judge_exercise import OUT_OF_MEMORY, explain_memory

FAILED = Result(exercise="7.3/plus", status="error", message="plus raised")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GB")])
def test_a_verdict_on_code_that_ran_out_of_memory_says_so(error):
    assert explain_memory(FAILED, error).notes == (OUT_OF_MEMORY,)


@pytest.mark.parametrize("error", [None, RuntimeError("shapes differ")])
def test_other_verdicts_stay_as_they_are(error):
    assert explain_memory(FAILED, error) == FAILED
