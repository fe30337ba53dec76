import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array, with_axes
from arena_lib.plots.style import DASHES, MARKERS, SEQUENCE, escape, token_labels, token_text


@pytest.mark.parametrize(
    ("token", "text"), [(" a\n", "␣a⏎"), ("\t", "⇥"), ("", "(empty)"), ("<b>&", "&lt;b&gt;&amp;"), ("a b", "a␣b")]
)
def test_token_text_makes_blanks_visible_and_escapes(token, text):
    assert token_text(token) == text


def test_labels_are_short_and_unlike():
    labels = token_labels(["a", "a", "x" * 14, "x" * 15])
    assert labels == ["a 0", "a 1", "x" * 14 + " 2", "x" * 13 + "… 3"]


def test_escape():
    assert escape("<a> & b") == "&lt;a&gt; &amp; b"


def test_curves_stay_unlike_for_long():
    looks = {(SEQUENCE[i % len(SEQUENCE)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]) for i in range(42)}
    assert len(looks) == 42


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64, torch.bool])
def test_tensors_of_any_dtype_become_float64(dtype):
    array = to_array(torch.tensor([0, 1]).to(dtype))
    assert array.dtype == "float64"
    assert array.tolist() == [0, 1]


def test_a_tensor_with_a_graph_is_taken():
    assert to_array(torch.ones(2, requires_grad=True) * 2).tolist() == [2, 2]


def test_the_error_names_the_axes():
    with pytest.raises(ShapeError, match=r'"layer head": got \(2,\). Pick one example'):
        with_axes([1, 2], "layer head")
