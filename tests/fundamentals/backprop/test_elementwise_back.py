import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.backprop import elementwise_back as back
from arena_lib.fundamentals.backprop.finite_differences import check_back_func

FUNCS = {
    "add": (np.add, torch.add, back.add_back0, back.add_back1),
    "subtract": (np.subtract, torch.subtract, back.subtract_back0, back.subtract_back1),
    "multiply": (np.multiply, torch.multiply, back.multiply_back0, back.multiply_back1),
    "true_divide": (np.true_divide, torch.true_divide, back.true_divide_back0, back.true_divide_back1),
    "maximum": (np.maximum, torch.maximum, back.maximum_back0, back.maximum_back1),
}


def draw(shape, seed):
    rng = np.random.default_rng(seed)
    return np.asarray(rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0], shape))


@settings(max_examples=40, deadline=None)
@given(
    shapes=arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4),
    name=st.sampled_from(sorted(FUNCS)),
)
def test_two_arguments_agree_with_torch_however_they_are_broadcast(shapes, name):
    func, torch_func, back0, back1 = FUNCS[name]
    x, y = (draw(shape, seed) for seed, shape in enumerate(shapes.input_shapes))
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, y)]
    out = torch_func(*tensors)
    grad_out = draw(shapes.result_shape, 2)
    out.backward(torch.tensor(grad_out))
    result = np.asarray(func(x, y))
    for back_func, tensor in zip((back0, back1), tensors, strict=True):
        np.testing.assert_allclose(back_func(grad_out, result, x, y), tensor.grad.numpy(), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(shapes=arrays.mutually_broadcastable_shapes(num_shapes=1, base_shape=(3, 1, 4), max_dims=3, max_side=4))
def test_unbroadcast_is_what_torch_sums_to(shapes):
    original = np.zeros(shapes.input_shapes[0])
    wide = np.random.default_rng(3).normal(size=np.broadcast_shapes(original.shape, (3, 1, 4)))
    expected = torch.tensor(wide).sum_to_size(original.shape).numpy()
    result = back.unbroadcast(wide, original)
    assert result.shape == original.shape
    np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize(
    ("wide", "narrow"), [((2, 3), (3, 2)), ((2, 3), (2,)), ((3,), (2, 3)), ((2, 3), (2, 2)), ((), (1,))]
)
def test_shapes_that_were_never_broadcast_are_refused(wide, narrow):
    with pytest.raises(ShapeError, match="must be one that broadcasts"):
        back.unbroadcast(np.zeros(wide), np.zeros(narrow))


@pytest.mark.parametrize(
    ("func", "back_func"), [(np.log, back.log_back), (np.exp, back.exp_back), (np.negative, back.negative_back)]
)
def test_one_argument_agrees_with_trying(func, back_func):
    check_back_func(func, back_func, 0, np.random.default_rng(0).uniform(0.5, 3.0, (2, 3)))


def test_where_sends_the_gradient_to_what_was_chosen():
    condition, x, y = np.array([[True], [False]]), np.ones((2, 3)), np.ones(3)
    grad_out = np.arange(1.0, 7.0).reshape(2, 3)
    assert back.where_back1(grad_out, x, condition, x, y).tolist() == [[1, 2, 3], [0, 0, 0]]
    assert back.where_back2(grad_out, x, condition, x, y).tolist() == [4, 5, 6]


def test_ties_share_the_gradient():
    x = np.array([1.0, 2.0, 3.0])
    for back_func in (back.maximum_back0, back.maximum_back1):
        assert back_func(np.array([1.0, 1.0, 4.0]), x, x, x).tolist() == [0.5, 0.5, 2.0]


def test_a_chain_by_hand_is_torchs():
    rng = np.random.default_rng(1)
    arrays_ = [rng.uniform(1.5, 3.0, shape) for shape in ((2, 1), (3,), (4, 1, 1))]
    a, b, c = (torch.tensor(array, requires_grad=True) for array in arrays_)
    torch.log(a * b * torch.log(c)).sum().backward()
    for ours, theirs in zip(back.forward_and_back(*arrays_), (a, b, c), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy())


def test_float32_gradients_stay_float32():
    x = np.array([1.0, 2.0, -1.0], np.float32)
    for func in FUNCS.values():
        for back_func in func[2:]:
            assert back_func(x, x, x, x).dtype == np.float32
