import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.fundamentals.backprop import FORWARD_FUNCS, Tensor, backprop, no_grad, wrap_forward_fn

SHAPES = {"a": (2, 3), "b": (3,), "c": (3, 4), "d": (2, 1)}


def random_program(seed, lib):
    """A calculation of thirty random steps, the same for either library: what is made of what, and how."""
    rng = np.random.default_rng(seed)
    arrays = {name: rng.uniform(0.5, 1.5, shape) for name, shape in SHAPES.items()}
    leaves = {name: lib["leaf"](array) for name, array in arrays.items()}
    nodes = [
        leaves["a"],
        leaves["a"] * leaves["b"],
        lib["relu"](leaves["a"] @ leaves["c"])[:, :3],
        leaves["d"] + leaves["b"],
    ]
    for _ in range(30):
        x, y = (nodes[i] for i in rng.integers(len(nodes), size=2))
        step = rng.integers(7)
        nodes.append(
            x + y if step == 0
            else x * y * 0.5 if step == 1
            else x - y if step == 2
            else lib["log"](x * x + 1.0) if step == 3
            else lib["exp"](-x * x) if step == 4
            else x / (y * y + 1.0) if step == 5
            else lib["maximum"](x, y)
        )  # fmt: skip
    return leaves, nodes[-1] + nodes[-5] * nodes[-9]


OURS = {
    "leaf": lambda array: Tensor(array, requires_grad=True),
    "relu": lambda x: np.maximum(x, 0.0),
    "log": np.log,
    "exp": np.exp,
    "maximum": np.maximum,
}
THEIRS = {
    "leaf": lambda array: torch.tensor(array, requires_grad=True),
    "relu": torch.relu,
    "log": torch.log,
    "exp": torch.exp,
    "maximum": torch.maximum,
}


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_have_torchs_gradients(seed):
    ours, end = random_program(seed, OURS)
    theirs, torch_end = random_program(seed, THEIRS)
    np.testing.assert_allclose(end.array, torch_end.detach().numpy(), rtol=1e-12)
    weights = np.random.default_rng(seed + 100).normal(size=end.shape)
    backprop(end, Tensor(weights))
    torch_end.backward(torch.tensor(weights))
    for name, leaf in ours.items():
        if theirs[name].grad is None:
            assert leaf.grad is None
        else:
            np.testing.assert_allclose(leaf.grad.array, theirs[name].grad.numpy(), rtol=1e-9, atol=1e-12)


def test_gradients_add_up_over_calls_in_a_tensor_of_their_own():
    x = Tensor([1.0, 2.0], requires_grad=True)
    backprop(x * 3)
    first = x.grad
    backprop(x * x)
    assert first.array.tolist() == [3, 3]
    assert x.grad.array.tolist() == [5, 7]


def test_no_two_gradients_share_memory():
    x, y = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    end_grad = Tensor(np.ones((2, 3)))
    backprop(x + y, end_grad)
    x.grad.array *= 5
    assert y.grad.array.tolist() == end_grad.array.tolist() == np.ones((2, 3)).tolist()


def test_a_sum_repeats_its_gradient_in_an_array_that_can_be_written():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    backprop(x.sum())
    x.grad.array[0, 0] = 9
    assert x.grad.array.sum() == 14


def test_a_chain_of_ten_thousand_steps():
    x = Tensor(1.0, requires_grad=True)
    total = x
    for _ in range(10_000):
        total = total + 1.0
    backprop(total)
    assert x.grad.item() == 1.0


def test_what_nothing_was_recorded_of_is_refused():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        y = x * 2
    for end in (y, Tensor([1.0]), (x * 2).detach(), x > 0):
        with pytest.raises(ConfigError, match="requires a gradient"):
            backprop(end)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"got \(3,\) for \(2, 3\)"):
        backprop(Tensor(np.ones((2, 3)), requires_grad=True) * 1.0, Tensor([1.0, 2.0, 3.0]))


def test_a_function_without_backward_function_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(FORWARD_FUNCS, np.arctan, wrap_forward_fn(np.arctan))
    with pytest.raises(UnknownNameError, match="argument 0 of arctan"):
        backprop(np.arctan(Tensor([1.0], requires_grad=True)))


def test_float32_stays_float32():
    x = Tensor(np.ones((4, 3), np.float32), requires_grad=True)
    backprop(np.maximum(x @ np.ones((3, 2), np.float32), 0.0).exp().sum(dim=1).log().mean())
    assert x.grad.dtype == np.float32
