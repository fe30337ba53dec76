import re

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import coloured_text


def spans(page: str) -> list[tuple[str, ...]]:
    return re.findall(r'background:rgb\((\d+),(\d+),(\d+)\);color:(#\w+)">(.*?)<br>.*?">(.*?)</span>', page)


def test_each_token_has_its_number_and_shade():
    found = spans(coloured_text([" cat", "<b>", "x", "y"], torch.tensor([2.0, 0.0, -2.0, 1.0])))
    assert found == [
        ("230", "97", "1", "#000", "␣cat", "2.00"),
        ("255", "255", "255", "#000", "&lt;b&gt;", "0.00"),
        ("33", "102", "172", "#fff", "x", "-2.00"),
        ("242", "176", "128", "#000", "y", "1.00"),
    ]


def test_title_and_digits():
    page = coloured_text(["a"], [0.123456], title="Loss & more", digits=4)
    assert "<b>Loss &amp; more</b>" in page
    assert "0.1235" in page


def test_what_is_no_number_stays_white():
    assert spans(coloured_text(["a", "b"], [float("nan"), float("inf")]))[1][:3] == ("255", "255", "255")


def test_values_must_be_as_many_as_tokens():
    with pytest.raises(ShapeError, match="got 2 for 1"):
        coloured_text(["a"], [1.0, 2.0])
