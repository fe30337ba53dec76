import re

import numpy as np
import pytest
import torch

from arena_lib.checking.comparison.describing import (
    describe,
    elements,
    is_a,
    number,
    number_pair,
    plain,
    plain_array,
    shape_of,
    type_name,
)
from arena_lib.checking.comparison.texts import MAX_TEXT


def stable_id(value):
    """The value without its address, so that every worker of a parallel run finds the same tests."""
    return re.sub(r" at 0x\w+", "", repr(value))


class Liar:
    """Says that it is an int."""

    __class__ = int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "the bool True"),
        (3, "the int 3"),
        (-3, "the int -3"),
        (10**500, "the int an integer of 1661 bits"),
        (2.828427, "the float 2.828"),
        (float("nan"), "the float nan"),
        (1 + 2j, "the complex 1+2j"),
        ("a\nb", r"the string 'a\nb'"),
        ([], "an empty list"),
        ((), "an empty tuple"),
        ({}, "an empty dict"),
        ([1, "a"], "[1, 'a']"),
        ((1, 2, 3, 4, 5), "(1, 2, 3, 4, 5)"),
        ([[1, [2]]], "[[1, [2]]]"),
        (list(range(99)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, ...] (99 in all)"),
        (("l",), "('l',)"),
        ({2, 1}, "{1, 2}"),
        ([torch.zeros(2), (1, 2)], "a list of 2: a float32 tensor of shape (2,), (1, 2)"),
        ({"a": 1, 2: 3}, "{'a': 1, 2: 3}"),
        (dict.fromkeys("abcde"), "{'a': None, 'b': None, 'c': None, 'd': None, 'e': None}"),
        (dict.fromkeys("abcde", Ellipsis), "a dict with the keys 'a', 'b', 'c', 'd', ..."),
        (torch.zeros(2, 3), "a float32 tensor of shape (2, 3)"),
        (torch.zeros(4, dtype=torch.int64), "an int64 tensor of shape (4,)"),
        (torch.zeros(4, dtype=torch.uint8), "a uint8 tensor of shape (4,)"),
        (torch.tensor(1.0), "a float32 tensor of shape ()"),
        (torch.zeros(2, device="meta"), "a float32 tensor of shape (2,) on meta"),
        (torch.eye(2).to_sparse(), "a float32 tensor of shape (2, 2) in layout sparse_coo"),
        (torch.nn.parameter.UninitializedParameter(), "a tensor of type UninitializedParameter without a plain shape"),
        (np.zeros((2, 3)), "a numpy array of float64 of shape (2, 3)"),
        (np.float32(0.5), "a numpy float32"),
        ((i for i in range(3)), "a generator"),
        (torch.nn.Linear(2, 3), "a module of type Linear"),
        (torch.nn.Linear, "the class Linear"),
        (number_pair, "the function number_pair"),
        (Liar(), "a Liar object"),
        (Ellipsis, "an ellipsis object"),
    ],
    ids=stable_id,
)
def test_describe(value, text):
    assert describe(value) == text


def test_a_long_string_is_cut():
    text = describe("a" * 10**6)
    assert text == f"the string '{'a' * (MAX_TEXT - 3)}'..."


def test_a_generator_is_not_consumed():
    values = (i for i in range(3))
    describe(values)
    assert list(values) == [0, 1, 2]


def test_a_tensor_of_a_hundred_million_entries_is_not_read(monkeypatch):
    for name in ("numpy", "tolist", "item", "clone", "contiguous", "to"):
        monkeypatch.setattr(torch.Tensor, name, lambda *args, **kwargs: pytest.fail("read the tensor"))
    assert describe(torch.zeros(1).expand(10**8)) == "a float32 tensor of shape (100000000,)"


def test_is_a_looks_at_the_type_alone():
    assert isinstance(Liar(), int)
    assert not is_a(Liar(), int)
    assert is_a(True, int)


def test_type_name_is_clean():
    assert type_name(type("Odd\nname", (), {})()) == "Odd name"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000123456, "0.0001235"),
        (1e10, "1e+10"),
        (float("-inf"), "-inf"),
        (True, "True"),
        (123456789, "123456789"),
        (2**200, "an integer of 201 bits"),
        (np.float32(0.1), "0.1"),
        (np.int8(3), "3"),
        (1.5 - 2j, "1.5-2j"),
        ("a", "the string 'a'"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_number_with_digits():
    assert number(2.828427, 3) == "2.83"


@pytest.mark.parametrize(
    ("pair", "texts"),
    [
        ((1.0, 2.0), ("1", "2")),
        ((1.0, 1.0001), ("1", "1.0001")),
        ((1.0, 1.0000001), ("1", "1.0000001")),
        ((0.1, 0.1 + 1e-16), ("0.10000000000000001", "0.1000000000000001")),
        ((1, True), ("1", "True")),
    ],
)
def test_number_pair_shows_the_difference(pair, texts):
    assert number_pair(*pair) == texts


def test_elements_of_a_subclass():
    class Odd(list):
        def __iter__(self):
            raise AssertionError

    assert elements(Odd([1, 2])) == [1, 2]
    assert elements((1, 2)) == [1, 2]
    assert elements({1, 2}) is None


def test_plain_takes_the_subclass_off():
    class Odd(torch.Tensor):
        pass

    class OddArray(np.ndarray):
        pass

    odd = torch.arange(3.0).as_subclass(Odd)
    assert type(plain(odd)) is torch.Tensor
    assert plain(odd).data_ptr() == odd.data_ptr()
    assert shape_of(odd) == (3,)
    assert type(plain_array(np.zeros(2).view(OddArray))) is np.ndarray
