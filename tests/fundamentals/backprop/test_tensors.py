import numpy as np
import pytest

from arena_lib.errors import ConfigError, DtypeError, ShapeError
from arena_lib.fundamentals.backprop import FORWARD_FUNCS, Tensor


@pytest.fixture
def x():
    return Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)


def test_a_tensor_knows_what_its_array_knows(x):
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
    assert x.T.shape == (3, 2)
    assert x.is_leaf
    assert not (x * 2).is_leaf
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor([1.0, 2.0], requires_grad=True)) == "Tensor([1., 2.], requires_grad=True)"


@pytest.mark.parametrize("array", [3, [1, 2], np.array([True])])
def test_whole_numbers_have_no_gradient(array):
    assert not Tensor(array).requires_grad
    with pytest.raises(DtypeError, match="only a tensor of floats"):
        Tensor(array, requires_grad=True)


@pytest.mark.parametrize("array", ["text", [None], [[1.0], [2.0, "a"]]])
def test_what_holds_no_numbers_is_no_tensor(array):
    with pytest.raises((DtypeError, ValueError)):
        Tensor(array)


def test_a_tensor_of_a_tensor_is_refused(x):
    with pytest.raises(ConfigError, match=r"x\.array"):
        Tensor(x)
    with pytest.raises(ConfigError, match=r"x\.array"):
        np.asarray(x)


def test_arrays_and_numbers_on_either_side_make_tensors(x):
    row = np.array([1.0, 2.0, 4.0])
    for result, expected in (
        (row * x, row * x.array),
        (x * row, row * x.array),
        (2 - x, 2 - x.array),
        (row / (x + 1), row / (x.array + 1)),
        (row @ np.ones(3) * x, 7 * x.array),
        (np.ones((4, 2)) @ x, np.ones((4, 2)) @ x.array),
    ):
        assert isinstance(result, Tensor)
        assert result.requires_grad
        np.testing.assert_array_equal(result.array, expected)


def test_functions_of_numpy_are_recorded(x):
    for result, expected in (
        (np.sum(x, axis=0), x.array.sum(axis=0)),
        (np.sum(x, axis=1, keepdims=True), x.array.sum(axis=1, keepdims=True)),
        (np.reshape(x, (3, -1)), x.array.reshape(3, -1)),
        (np.transpose(x), x.array.T),
        (np.expand_dims(x, (0, 2)), x.array[None, :, None]),
        (np.squeeze(x[:, :1]), x.array[:, 0]),
        (np.broadcast_to(x, (4, 2, 3)), np.broadcast_to(x.array, (4, 2, 3))),
        (np.where(x > 2, x, 0.0), np.where(x.array > 2, x.array, 0)),
        (x.mean(dim=1), x.array.mean(axis=1)),
        (x.mean(axis=0, keepdims=True), x.array.mean(axis=0, keepdims=True)),
        (x.permute(1, 0), x.array.T),
        (x.permute((1, 0)), x.array.T),
        (x.reshape(6), x.array.ravel()),
        (x.reshape((3, 2)), x.array.reshape(3, 2)),
        (x.sum(1), x.array.sum(1)),
        (x[:, ::2], x.array[:, ::2]),
    ):
        assert result.requires_grad
        np.testing.assert_array_equal(result.array, expected)


def test_no_gradient_flows_through_comparisons(x):
    for result in (x > 2, x == x, x <= 1.0, np.ones_like(x), np.zeros_like(x), x.argmax(), x.argmax(dim=1)):
        assert not result.requires_grad
        assert result.recipe is None
    assert x.argmax(dim=1).array.tolist() == [2, 2]


def test_a_tensor_is_itself_alone_in_sets_and_dictionaries(x):
    twin = Tensor(x.array)
    assert (x == twin).array.all()
    assert len({x, twin}) == 2
    assert {x: "x", twin: "twin"}[x] == "x"


def test_only_one_entry_is_true_or_false(x):
    assert Tensor(1.0)
    assert not Tensor([0.0])
    with pytest.raises(ShapeError, match=r"one entry.*\(2, 3\)"):
        bool(x)


def test_changes_in_place_are_refused(x):
    with pytest.raises(ConfigError, match=r"x = x \+ y"):
        x += 1
    with pytest.raises(ConfigError, match="in place"):
        np.multiply(x, 2, out=x.array)
    with pytest.raises(TypeError):
        x[0] = 1.0


def test_what_is_not_recorded_is_refused_by_name(x):
    with pytest.raises(ConfigError, match=r"got arctan\. There are: .*exp.*FORWARD_FUNCS\[np\.arctan\]"):
        np.arctan(x)
    with pytest.raises(ConfigError, match="got median"):
        np.median(x)
    with pytest.raises(ConfigError, match=r"np\.add\.reduce"):
        np.add.reduce(x)
    with pytest.raises(ConfigError, match="with where"):
        np.add(x, x, where=True)
    assert np.arctan not in FORWARD_FUNCS


def test_a_detached_tensor_remembers_nothing(x):
    detached = (x * 2).detach()
    assert (detached.requires_grad, detached.recipe) == (False, None)


def test_item_is_a_number():
    assert type(Tensor(2.5).item()) is float
