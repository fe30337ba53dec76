import numpy as np
import pytest
import torch

from arena_lib.checking.comparison.arrays import (
    Tolerance,
    Unreadable,
    agree,
    as_numbers,
    dtype_kind,
    read,
    tolerance_for,
    widen,
)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [
        (torch.float64, 1e-8, 1e-9),
        (torch.float32, 1e-4, 1e-5),
        (torch.float16, 1e-2, 2e-3),
        (torch.bfloat16, 3e-2, 1e-2),
        (torch.complex64, 1e-4, 1e-5),
        (torch.int32, 0.0, 0.0),
        (torch.bool, 0.0, 0.0),
        (torch.float8_e4m3fn, 0.25, 0.05),
    ],
)
def test_tolerance_follows_the_dtype(dtype, rtol, atol):
    assert tolerance_for(dtype) == Tolerance(rtol=rtol, atol=atol)


def test_a_custom_tolerance_is_absolute_plus_relative():
    expected = np.array([10.0, -10.0, 0.0])
    bound = Tolerance(rtol=0.1, atol=0.5)
    assert agree(expected + 1.5, expected, bound).tolist() == [True, True, False]
    assert agree(expected - 1.51, expected, bound).tolist() == [False, False, False]
    assert agree(expected + np.array([0, 0, 0.5]), expected, bound).all()


def test_infinity_and_nan_agree_with_themselves_only():
    special = np.array([np.inf, -np.inf, np.nan, 1.0])
    table = [[bool(agree(np.array([a]), np.array([e]), Tolerance(0.5, 0.5))[0]) for e in special] for a in special]
    assert table == np.eye(4, dtype=bool).tolist()


def test_complex_numbers_are_compared_whole():
    expected = np.array([1 + 1j])
    assert not agree(np.array([1 - 1j]), expected, Tolerance(0.1, 0.1)).any()
    assert widen(expected.astype(np.complex64)).dtype == np.complex128


def test_agree_never_broadcasts():
    with pytest.raises(ValueError, match="one shape"):
        agree(np.zeros((2, 1)), np.zeros((2, 3)), Tolerance(0.0, 0.0))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16),
        torch.tensor([[1.0, 2.0]], dtype=torch.float8_e4m3fn),
        torch.tensor([[1, 2]], dtype=torch.uint16),
        torch.tensor([[1.0, 2.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0]]).to_sparse(),
        torch.tensor([[1.0], [2.0]]).T,
        torch.tensor([[1 - 0j, 2 - 0j]]).conj(),
        torch.tensor([[-1.0, -2.0]]).mul(1j).conj().imag,
    ],
)
def test_any_readable_tensor_becomes_an_array(tensor):
    assert read(tensor).tolist() == [[1, 2]]


def test_reading_makes_no_copy_where_none_is_needed():
    tensor = torch.zeros(2, 3)
    assert read(tensor).ctypes.data == tensor.data_ptr()


def test_what_cannot_be_read_says_so():
    tensor = torch.zeros(2, 3, device="meta")
    found = read(tensor)
    assert isinstance(found, Unreadable)
    assert "whose values cannot be read" in found.reason
    assert as_numbers(tensor) is None


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (torch.uint8, "integer"),
        (torch.int64, "integer"),
        (torch.bool, "bool"),
        (torch.bfloat16, "bfloat16"),
        (np.dtype("uint32"), "integer"),
        (np.dtype("float32"), "float32"),
    ],
)
def test_dtype_kind(dtype, kind):
    assert dtype_kind(dtype) == kind
