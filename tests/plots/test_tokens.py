import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import token_probabilities

P = torch.tensor([0.05, 0.5, 0.1, 0.3, 0.05])
TOKENS = [" a", " b", "<c>", " d", "\n"]


def test_the_likeliest_come_first_with_rank_and_number():
    bars = token_probabilities(P, TOKENS, top=3).data[0]
    assert bars.y == ("1. ␣b", "2. ␣d", "3. &lt;c&gt;")
    assert list(bars.x) == pytest.approx([0.5, 0.3, 0.1])
    assert bars.text == ("0.500", "0.300", "0.100")


def test_the_answer_is_hatched_and_starred():
    bars = token_probabilities(P, TOKENS, top=3, answer=" d").data[0]
    assert bars.y == ("1. ␣b", "2. ␣d ★", "3. &lt;c&gt;")
    assert bars.marker.pattern.shape == ("", "/", "")
    assert bars.marker.color[1] != bars.marker.color[0] == bars.marker.color[2]


def test_an_unlikely_answer_is_added_with_its_rank():
    bars = token_probabilities(P, TOKENS, top=2, answer="\n").data[0]
    assert bars.y == ("1. ␣b", "2. ␣d", "5. ⏎ ★")


def test_there_may_be_fewer_tokens_than_bars():
    assert len(token_probabilities([0.4, 0.6], ["a", "b"]).data[0].x) == 2


def test_the_likeliest_is_at_the_top():
    assert token_probabilities(P, TOKENS).layout.yaxis.autorange == "reversed"


@pytest.mark.parametrize("values", [torch.rand(4), torch.rand(2, 5)])
def test_other_shapes_are_refused(values):
    with pytest.raises(ShapeError):
        token_probabilities(values, TOKENS)
