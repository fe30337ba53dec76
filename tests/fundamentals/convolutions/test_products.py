import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import DtypeError, ShapeError
from arena_lib.fundamentals.convolutions import as_strided_mm, as_strided_mv, as_strided_trace

sizes = st.integers(1, 6)
layouts = st.sampled_from(
    [lambda t: t, lambda t: t.T.contiguous().T, lambda t: torch.stack([t, t + 9], dim=-1)[..., 0]]
)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, layouts, layouts)
def test_products_agree_with_torch_whatever_the_layout(i, j, k, of_A, of_B):
    A, B = of_A(torch.randn(i, j)), of_B(torch.randn(j, k))
    torch.testing.assert_close(as_strided_mm(A, B), A @ B)
    torch.testing.assert_close(as_strided_mv(A, B[:, -1]), A @ B[:, -1])
    torch.testing.assert_close(as_strided_trace(A), A.diagonal().sum())


@pytest.mark.usefixtures("without_types")
def test_lengths_that_differ_are_refused_by_name():
    with pytest.raises(ShapeError, match="columns of matA and rows of matB must be equally many: got 3 and 2"):
        as_strided_mm(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="columns of mat and numbers in vec must be equally many: got 3 and 4"):
        as_strided_mv(torch.zeros(2, 3), torch.zeros(4))


@pytest.mark.usefixtures("without_types")
def test_wrong_axes_and_dtypes_are_refused_by_name():
    with pytest.raises(ShapeError, match='mat must have the axes "i j"'):
        as_strided_trace(torch.zeros(3))
    with pytest.raises(ShapeError, match='matB must have the axes "j k"'):
        as_strided_mm(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(ShapeError, match='vec must have the axes "j"'):
        as_strided_mv(torch.zeros(2, 3), torch.zeros(3, 1))
    with pytest.raises(DtypeError, match=r"mat and vec must have one dtype: got torch.float32 and torch.int64"):
        as_strided_mv(torch.zeros(2, 3), torch.arange(3))
    with pytest.raises(DtypeError, match="matA and matB must have one dtype"):
        as_strided_mm(torch.zeros(2, 3), torch.zeros(3, 2).double())
