import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import attention
from arena_lib.plots.attention import MAX_WRITTEN

TOKENS = ["<bos>", " a", " b", " a"]


def pattern(n_heads: int, seq: int) -> torch.Tensor:
    scores = torch.randn(n_heads, seq, seq, generator=torch.Generator().manual_seed(0))
    return scores.masked_fill(torch.ones(seq, seq).triu(1).bool(), -torch.inf).softmax(-1)


def test_rows_are_queries_and_columns_keys():
    weights = pattern(3, 4)
    figure = attention(weights, TOKENS)
    assert len(figure.data) == 3
    for head in range(3):
        assert torch.allclose(torch.tensor(figure.data[head].z), weights[head].double())
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.yaxis.title.text == "query"
    assert figure.layout.xaxis.title.text == "key"


def test_each_position_has_its_own_label_even_if_tokens_repeat():
    figure = attention(pattern(1, 4), TOKENS)
    assert figure.data[0].x == figure.data[0].y == ("&lt;bos&gt; 0", "␣a 1", "␣b 2", "␣a 3")


def test_keys_may_have_other_tokens():
    figure = attention(torch.rand(2, 4, 3), TOKENS, key_tokens=["x", "y", "z"])
    assert figure.data[1].x == ("x 0", "y 1", "z 2")
    assert len(figure.data[1].y) == 4


def test_one_head_needs_no_axis_of_heads():
    assert len(attention(pattern(1, 4)[0], TOKENS).data) == 1


def test_numbers_are_written_where_there_is_room_and_something_to_read():
    figure = attention([[1.0, 0.0], [0.004, 0.996]], ["a", "b"])
    assert figure.data[0].text == (["1.00", ""], ["", "1.00"])
    n = MAX_WRITTEN + 1
    assert attention(pattern(1, n), ["a"] * n).data[0].text is None
    assert attention(pattern(1, n - 1), ["a"] * (n - 1)).data[0].text is not None


def test_all_heads_share_one_scale_from_zero_to_one():
    figure = attention(pattern(5, 4), TOKENS)
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}


def test_heads_are_named_and_the_hover_text_says_which():
    figure = attention(pattern(2, 4), TOKENS, head_names=["L0H1", "L1H4"], title="Two heads")
    assert [note.text for note in figure.layout.annotations] == ["L0H1", "L1H4"]
    assert figure.data[1].hovertemplate.startswith("L1H4<br>query %{y}<br>key %{x}")
    assert figure.layout.title.text == "Two heads"
    assert [note.text for note in attention(pattern(2, 4), TOKENS).layout.annotations] == ["head 0", "head 1"]


def test_more_than_four_heads_take_more_rows():
    narrow, wide, tall = (attention(pattern(n, 4), TOKENS, title="Heads").layout for n in (1, 4, 5))
    assert narrow.width < wide.width == tall.width
    assert narrow.height == wide.height < tall.height


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (4,), (2, 4, 3), (2, 3, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"4 queries and 4 keys: got \("):
        attention(torch.rand(shape), TOKENS)


def test_names_must_be_as_many_as_heads():
    with pytest.raises(ShapeError, match="got 1 for 2"):
        attention(pattern(2, 4), TOKENS, head_names=["a"])
