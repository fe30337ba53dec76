import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots.arrays import to_array, with_axes


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
