import dataclasses
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arena_lib.checking.comparison.values as values
from arena_lib.checking.comparison.comparing import Raised, Tolerance, compare, equal, tolerance_for
from arena_lib.errors import AuthoringError


def stable_id(value):
    """The value without its address, so that every worker of a parallel run finds the same tests."""
    return re.sub(r" at 0x\w+", "", repr(value))


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64])
def test_values_within_tolerance_agree_and_beyond_do_not(dtype):
    expected = torch.full((3, 4), 2.0, dtype=dtype)
    bound = tolerance_for(dtype).atol + 2 * tolerance_for(dtype).rtol
    steps = expected.clone()
    steps[1, 2] += 0.45 * bound
    assert compare(steps, expected) is None
    steps[1, 2] += 2.2 * bound
    mismatch = compare(steps, expected)
    assert (mismatch.kind, mismatch.first_index, mismatch.n_wrong) == ("values", (1, 2), 1)


def test_an_explicit_tolerance_replaces_the_dtype_s():
    expected, actual = torch.ones(3), torch.ones(3) + 0.05
    assert compare(actual, expected).kind == "values"
    assert compare(actual, expected, tolerance=Tolerance(rtol=0.0, atol=0.06)) is None
    assert compare(actual, expected, tolerance=Tolerance(rtol=0.06, atol=0.0)) is None
    assert compare(torch.ones(3) + 1e-6, expected, tolerance=Tolerance(rtol=0.0, atol=0.0)).n_wrong == 3


def test_a_mismatch_says_where_and_what():
    expected = numbers(2, 3, 5)
    actual = expected.clone()
    actual[1, 0, 4] = 7.25
    actual[1, 2, 0] = 8
    mismatch = compare(actual, expected, axes="batch seq d_model", observation="gradient of x")
    assert mismatch.observation == "gradient of x"
    assert mismatch.axes == ("batch", "seq", "d_model")
    assert mismatch.expected_shape == mismatch.actual_shape == (2, 3, 5)
    assert (mismatch.n_wrong, mismatch.n_total) == (2, 30)
    assert mismatch.first_index == (1, 0, 4)
    assert mismatch.expected == f"{expected[1, 0, 4].item():.4g}"
    assert mismatch.actual == "7.25"


def test_axes_that_do_not_fit_the_rank_are_dropped():
    assert compare(torch.zeros(2), torch.ones(2), axes="batch seq").axes == ()


@pytest.mark.parametrize(
    ("shape", "kind"), [((3, 1), "shape"), ((1, 5), "shape"), ((5,), "rank"), ((1, 3, 5), "rank"), ((), "rank")]
)
def test_nothing_broadcasts(shape, kind):
    mismatch = compare(torch.ones(shape), torch.ones(3, 5), axes="seq d_model")
    assert (mismatch.kind, mismatch.expected_shape, mismatch.actual_shape) == (kind, (3, 5), shape)


def test_shape_is_looked_at_before_dtype_and_dtype_before_values():
    expected = torch.ones(2, 3)
    assert compare(torch.zeros(3, 2, dtype=torch.float64), expected).kind == "shape"
    mismatch = compare(torch.zeros(2, 3, dtype=torch.float64), expected)
    assert (mismatch.kind, mismatch.expected, mismatch.actual, mismatch.pattern) == (
        "dtype",
        "float32",
        "float64",
        None,
    )
    assert compare(torch.zeros(2, 3), expected).kind == "values"


def test_right_values_of_another_dtype_are_said_to_be_right():
    mismatch = compare(torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3))
    assert (mismatch.actual, mismatch.pattern) == ("bfloat16", "the values are right, only their dtype is not")


@pytest.mark.parametrize("width", [torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16])
def test_widths_of_integers_do_not_matter(width):
    assert compare(torch.tensor([1, 2, 3], dtype=width), torch.tensor([1, 2, 3])) is None
    assert compare(torch.tensor([1, 2, 4], dtype=width), torch.tensor([1, 2, 3])).first_index == (2,)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(torch.bool, torch.int64), (torch.int64, torch.bool), (torch.int64, torch.float32), (torch.float32, torch.int64)],
)
def test_kinds_of_numbers_matter(actual, expected):
    assert compare(torch.ones(3, dtype=actual), torch.ones(3, dtype=expected)).kind == "dtype"


def test_large_integers_are_compared_exactly():
    big = 2**53
    assert compare(torch.tensor([big]), torch.tensor([big + 1])).kind == "values"


def test_infinities_and_nan():
    inf, nan = torch.inf, torch.nan
    assert compare(torch.tensor([inf, -inf, nan]), torch.tensor([inf, -inf, nan])) is None
    assert compare(torch.tensor([1.0, inf]), torch.tensor([1.0, -inf])).kind == "values"
    assert compare(torch.tensor([1.0, -1e9]), torch.tensor([1.0, -inf])).kind == "values"
    assert compare(torch.tensor([1.0, -inf]), torch.tensor([1.0, 2.0])).kind == "nonfinite"
    assert compare(torch.tensor([1.0, 2.0]), torch.tensor([1.0, nan])).kind == "values"
    assert compare(torch.tensor([-inf, 2.0]), torch.tensor([3.0, -inf])).kind == "values"
    assert compare(torch.tensor([nan, 2.0]), torch.tensor([3.0, -inf])).kind == "nonfinite"


def test_the_first_nan_is_shown_though_another_entry_is_wrong_before_it():
    mismatch = compare(torch.tensor([9.0, 1.0, torch.nan]), torch.tensor([0.0, 1.0, 2.0]))
    assert (mismatch.kind, mismatch.first_index, mismatch.n_wrong, mismatch.actual) == ("nonfinite", (2,), 2, "nan")


def test_numbers_that_look_alike_get_more_digits():
    mismatch = compare(torch.tensor([1.0002]), torch.tensor([1.0]))
    assert (mismatch.expected, mismatch.actual) == ("1", "1.0002")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.tensor(3), 3),
        (np.int32(3), 3),
        (torch.tensor(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (2, 2.0),
        (0.5 + 1e-6, 0.5),
        (np.bool_(True), True),
        (torch.tensor(True), True),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (10**30, 10**30),
        (1 + 2j, 1 + 2j),
        ("a", "a"),
        (None, None),
        ([1, 2], (1, 2)),
        ((1, [2, "a"]), [1.0, (2, "a")]),
        ({"a": 1, "b": torch.ones(2)}, {"b": torch.ones(2), "a": 1}),
        ({1, 2}, {2, 1}),
        (torch.float32, torch.float32),
        (torch.Size([2, 3]), (2, 3)),
        (np.ones((2, 3)), np.ones((2, 3))),
        (np.array(["a"]), np.array(["a"])),
        (range(3), range(3)),
        (b"x", b"x"),
        ([], []),
        (Raised("ValueError", "mine"), Raised("ValueError", "yours")),
        (torch.eye(3).to_sparse(), torch.eye(3)),
        (torch.ones(3).double().requires_grad_().float(), torch.ones(3)),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
    ],
    ids=stable_id,
)
def test_accepts(actual, expected):
    assert compare(actual, expected) is None
    assert equal(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "kind"),
    [
        (3.0, 3, "dtype"),
        (1, True, "dtype"),
        (True, 1, "dtype"),
        (4, 3, "values"),
        (0.51, 0.5, "values"),
        (2e-5, 1e-5, "values"),
        (10**30, 10**30 + 1, "type"),
        (torch.tensor([3]), 3, "rank"),
        (torch.tensor([3, 4]), 3, "type"),
        ("3", 3, "type"),
        (None, 3, "type"),
        (3, None, "type"),
        (False, None, "type"),
        (1.0, torch.tensor(1.0), "type"),
        ("b", "a", "values"),
        (1, "a", "type"),
        ([1], [1, 2], "length"),
        ([1, 2, 3], [1, 2], "length"),
        ([1, 3], [1, 2], "values"),
        ({1, 2}, [1, 2], "type"),
        ((i for i in [1, 2]), [1, 2], "type"),
        ({"a": 1}, {"a": 1, "b": 2}, "missing"),
        ({"a": 1, "b": 2}, {"a": 1}, "length"),
        ({"a": 2}, {"a": 1}, "values"),
        ({1}, {1, 2}, "values"),
        (np.ones(3), torch.ones(3), "type"),
        (torch.ones(3), np.ones(3), "type"),
        (np.ones(3, dtype=np.float32), np.ones(3), "dtype"),
        (np.ones((3, 1)), np.ones(3), "rank"),
        (np.zeros(3), np.ones(3), "values"),
        (torch.float64, torch.float32, "values"),
        (int, torch.float32, "type"),
        (range(4), range(3), "values"),
        (Raised("KeyError"), Raised("ValueError"), "raised"),
        (Raised("KeyError"), torch.ones(2), "raised"),
        (torch.ones(2), Raised("KeyError"), "raised"),
        (torch.ones(2, 3, device="meta"), torch.ones(2, 3), "type"),
    ],
    ids=stable_id,
)
def test_rejects(actual, expected, kind):
    assert compare(actual, expected).kind == kind


@pytest.mark.parametrize(
    ("actual", "expected", "advice"),
    [
        (np.ones(3), torch.ones(3), "torch.from_numpy"),
        (1.0, torch.tensor(1.0), ".item()"),
        (None, torch.tensor(1.0), "`return`"),
        (None, [1], "`return`"),
        ([1.0], torch.ones(1), "torch.stack"),
        (torch.ones(1), [1.0], ".tolist()"),
        (torch.ones(1), np.ones(1), ".numpy()"),
        ((i for i in [1]), [1], "list(...)"),
    ],
)
def test_another_kind_of_value_comes_with_advice(actual, expected, advice):
    assert advice in compare(actual, expected).pattern


@pytest.mark.parametrize(
    ("actual", "expected", "path"),
    [
        ([torch.ones(1), "b"], [torch.ones(1), "a"], "output[1]"),
        ((torch.ones(2), torch.ones(3)), (torch.ones(2), torch.zeros(3)), "output[1]"),
        ({"q": [torch.ones(1), {"k": 2.0}]}, {"q": [torch.ones(1), {"k": 3.0}]}, "output['q'][1]['k']"),
        ({7: "a"}, {7: "b"}, "output[7]"),
        ([torch.ones(1), [3, 5]], [torch.ones(1), [3, 4]], "output[1]"),
    ],
)
def test_the_path_leads_into_containers(actual, expected, path):
    assert compare(actual, expected).observation == path


def test_a_list_of_numbers_is_compared_as_one_array():
    mismatch = compare([5, 6, 7, 9], [5, 6, 7, 8], axes="seq")
    assert (mismatch.axes, mismatch.first_index, mismatch.n_wrong, mismatch.n_total) == (("seq",), (3,), 1, 4)
    assert (mismatch.expected, mismatch.actual) == ("8", "9")


def test_a_list_with_a_float_for_an_integer_is_found():
    mismatch = compare([1, 2.0], [1, 2])
    assert (mismatch.observation, mismatch.kind) == ("output[1]", "dtype")


def test_short_sequences_are_shown_whole_and_long_ones_by_their_first_wrong_entry():
    mismatch = compare({"q": ("e", "t")}, {"q": ("e", "s")})
    assert (mismatch.observation, mismatch.expected, mismatch.actual) == ("output['q']", "('e', 's')", "('e', 't')")
    words = [f"word {i}" for i in range(30)]
    mismatch = compare([*words, "b"], [*words, "a"])
    assert (mismatch.observation, mismatch.expected, mismatch.actual) == ("output[30]", "'a'", "'b'")


def test_sequences_that_are_written_alike_are_shown_by_their_first_wrong_entry():
    mismatch = compare([1.0, 1234567.0], [1.0, 1234800.0])
    assert (mismatch.n_wrong, mismatch.first_index) == (1, (1,))


def test_integers_beyond_float64_in_a_list_are_compared_exactly():
    mismatch = compare([2**60 + 1, 1], [2**60, 1])
    assert (mismatch.actual, mismatch.expected) == (f"[{2**60 + 1}, 1]", f"[{2**60}, 1]")


def test_lists_of_other_lengths_say_both():
    mismatch = compare([1, 2, 3], [1, 2])
    assert (mismatch.expected_shape, mismatch.actual_shape) == ((2,), (3,))
    assert mismatch.actual == "[1, 2, 3]"


def test_strings_say_where_they_differ():
    mismatch = compare("the cat sat", "the dog sat")
    assert (mismatch.first_index, mismatch.expected, mismatch.actual) == ((4,), "'the dog sat'", "'the cat sat'")
    assert mismatch.pattern is None
    assert compare("the cat sat on the mat", "the dog sat on the mat.").pattern == (
        "the strings differ from character 4 on; 23 characters expected, 22 given"
    )
    assert compare("a" * 20, "b" * 20).pattern is None
    assert compare("a" * 21, "b" * 20).pattern is not None
    assert compare("the", "the dog").first_index == (3,)
    assert compare("x" * 50 + "a", "x" * 50 + "b").expected == "..." + repr("x" * 20 + "b")
    assert compare("a" + "x" * 59, "b" + "x" * 60).expected == repr("b" + "x" * 59) + "..."
    assert compare("a" + "x" * 59, "b" + "x" * 60).actual == repr("a" + "x" * 59)


def test_dataclasses_are_compared_field_by_field():
    @dataclasses.dataclass
    class Step:
        loss: float
        tokens: list[int]

    assert compare(Step(1.0, [1]), Step(1.0, [1])) is None
    assert compare(Step(2.0, [1]), Step(1.0, [1])).observation == "output.loss"
    assert compare((1.0, [1]), Step(1.0, [1])).kind == "type"


@pytest.mark.parametrize("expected", [object(), torch.Generator(), torch.ones(2, device="meta")], ids=stable_id)
def test_an_author_is_told_what_cannot_be_compared(expected):
    with pytest.raises(AuthoringError, match=r"Observe"):
        compare(torch.ones(2), expected)


def test_raised_reads_as_an_exception():
    assert str(Raised("KeyError", "'a'\n")) == "KeyError: 'a'"
    assert str(Raised("KeyError")) == "KeyError"
    mismatch = compare(Raised("KeyError", "'a'"), torch.ones(2))
    assert (mismatch.expected, mismatch.actual) == ("a float32 tensor of shape (2,)", "KeyError: 'a'")


def test_equal_looks_for_no_pattern(monkeypatch):
    def fail(*args):
        raise AssertionError("equal must not look for patterns")

    monkeypatch.setattr(values, "find_pattern", fail)
    monkeypatch.setattr(values, "find_shape_pattern", fail)
    assert not equal(torch.ones(2, 3), torch.zeros(2, 3))
    assert not equal(torch.ones(3, 2), torch.zeros(2, 3))
    assert equal(torch.ones(2) + 0.1, torch.ones(2), Tolerance(rtol=0.2, atol=0.0))


def test_a_huge_tensor_of_the_wrong_shape_is_not_read(monkeypatch):
    monkeypatch.setattr(values, "read", lambda tensor: pytest.fail("read a tensor of the wrong shape"))
    assert compare(torch.zeros(1).expand(10**8), torch.ones(2, 3)).actual_shape == (10**8,)


def test_the_learner_s_tensors_are_not_changed():
    actual = numbers(2, 3).requires_grad_()
    before = actual.detach().clone()
    compare(actual, numbers(2, 3) + 1)
    assert torch.equal(actual, before)
    assert actual.grad is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_compare_agrees_with_torch_on_finite_tensors(data):
    shape = data.draw(st.lists(st.integers(1, 3), max_size=3))
    size = int(np.prod(shape))
    floats = st.sampled_from([0.0, 1.0, 1.0001, 1.00011, 1.00009, -1.0, 1e-5, 1.1e-5, 1e6, 1e6 + 100.0, 3.0])
    pair = [
        torch.tensor(data.draw(st.lists(floats, min_size=size, max_size=size)), dtype=torch.float64).reshape(shape)
        for _ in range(2)
    ]
    tolerance = Tolerance(rtol=1e-4, atol=1e-5)
    close = torch.isclose(pair[0], pair[1], rtol=1e-4, atol=1e-5)
    mismatch = compare(*pair, tolerance=tolerance)
    assert (mismatch is None) == bool(close.all()) == equal(*pair, tolerance)
    if mismatch is not None:
        assert mismatch.n_wrong == int((~close).sum())
        assert mismatch.first_index == tuple((~close).nonzero()[0].tolist())


@pytest.mark.parametrize("fraction", [0.5, -0.25])
def test_integers_beyond_floats_differ_beside_fractions(fraction):
    assert compare([2**53 + 1, fraction], [2**53 + 1, fraction]) is None
    assert compare([2**53 + 1, fraction], [2**53, fraction]) is not None
    assert compare([2**53, fraction], [2**53 + 1, fraction]) is not None
