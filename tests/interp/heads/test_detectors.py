"""Each detector finds the heads of its kind, and no others."""

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.interp.heads import (
    current_attn_detector,
    duplicate_token_detector,
    first_attn_detector,
    induction_attn_detector,
    prev_attn_detector,
)

SEQ, N = 11, 5


def head_that_looks_at(key_of):
    pattern = torch.zeros(SEQ, SEQ)
    for query in range(SEQ):
        pattern[query, max(0, key_of(query))] = 1.0
    return pattern


CURRENT = head_that_looks_at(lambda query: query)
PREVIOUS = head_that_looks_at(lambda query: query - 1)
FIRST = head_that_looks_at(lambda query: 0)
DUPLICATE = head_that_looks_at(lambda query: query - N if query > N else 0)
INDUCTION = head_that_looks_at(lambda query: query - N + 1 if query > N else 0)
CACHE = {
    ("pattern", 0): torch.stack([PREVIOUS, CURRENT, FIRST]),
    ("pattern", 1): torch.stack([INDUCTION, DUPLICATE, PREVIOUS]),
}


@pytest.mark.parametrize(
    ("detector", "heads"),
    [
        (current_attn_detector, ["0.1"]),
        (prev_attn_detector, ["0.0", "1.2"]),
        (induction_attn_detector, ["1.0"]),
        (duplicate_token_detector, ["1.1"]),
    ],
)
def test_each_detector_names_its_heads(detector, heads):
    assert detector(CACHE) == heads


def test_heads_that_rest_on_the_first_position_are_found_by_the_share_of_their_queries():
    # The two heads that do something in the second copy rest on position 0 in half of their queries.
    assert first_attn_detector(CACHE, threshold=0.6) == ["0.2"]
    assert first_attn_detector(CACHE, threshold=0.45) == ["0.2", "1.0", "1.1"]


def test_a_length_that_is_no_repetition_is_refused():
    with pytest.raises(ShapeError, match="1 \\+ 2n positions long"):
        induction_attn_detector({("pattern", 0): torch.rand(2, 8, 8)})
