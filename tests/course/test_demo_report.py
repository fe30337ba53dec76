"""What the demo's report says of a learner's mistake."""

import pytest

from arena_lib.checking import Mistake
from arena_lib.course.demo_report import describe_mistake


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (Mistake("m", "a < b", "a > b"), "A learner writes <code>a &gt; b</code> in place of <code>a &lt; b</code>"),
        (Mistake("m", " / self.cfg.d_head**0.5", ""), "A learner leaves out <code>/ self.cfg.d_head**0.5</code>"),
        (Mistake("swaps both", function=max), "A learner's version swaps both"),
    ],
)
def test_a_mistake_is_said_as_what_the_learner_writes(mistake, words):
    assert describe_mistake(mistake) == words
