import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.backprop import Tensor, backprop
from arena_lib.fundamentals.backprop.classifier import MLP, SGD, Linear, Module, Parameter, cross_entropy, relu


def test_parameters_of_nested_modules_are_found_in_order():
    class Net(Module):
        def __init__(self):
            self.first = Linear(2, 3)
            self.scale = Parameter(np.ones(3))
            self.no_parameter = Tensor(np.ones(3), requires_grad=True)
            self.last = Linear(3, 1, bias=False)

    net = Net()
    expected = [net.first.weight, net.first.bias, net.scale, net.last.weight]
    assert all(found is known for found, known in zip(net.parameters(), expected, strict=True))
    with pytest.raises(NotImplementedError):
        net(Tensor([[1.0, 2.0]]))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n", "d_in", "d_out"), [(1, 3, 2), (4, 2, 5), (3, 3, 3)])
def test_a_layer_is_torchs(n, d_in, d_out, bias):
    layer, theirs = Linear(d_in, d_out, bias), torch.nn.Linear(d_in, d_out, bias, dtype=torch.float64)
    layer.weight.array = theirs.weight.detach().numpy()
    if bias:
        layer.bias.array = theirs.bias.detach().numpy()
    x = np.random.default_rng(0).normal(size=(n, d_in))
    out, torch_out = layer(Tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(out.array, torch_out.detach().numpy())
    backprop((out * out).sum())
    (torch_out**2).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.array, theirs.weight.grad.numpy())


def test_first_weights_are_spread_as_torchs_are():
    ours = Linear(100, 400, rng=np.random.default_rng(0))
    theirs = torch.nn.Linear(100, 400)
    for mine, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert np.abs(mine.array).max() <= 0.1
        assert mine.array.std() == pytest.approx(float(other.detach().std()), rel=0.1)
    assert np.array_equal(ours.weight.array, Linear(100, 400, rng=np.random.default_rng(0)).weight.array)
    assert not np.array_equal(Linear(3, 2).weight.array, Linear(3, 2).weight.array)


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (-1, 3)])
def test_layers_without_inputs_or_outputs_are_refused(sizes):
    with pytest.raises(ConfigError, match="at least one input"):
        Linear(*sizes)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize(("batch", "classes"), [(1, 2), (5, 3), (4, 4)])
def test_cross_entropy_is_torchs(batch, classes, scale):
    rng = np.random.default_rng(0)
    logits, labels = scale * rng.normal(size=(batch, classes)), rng.integers(classes, size=batch)
    ours, theirs = Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    losses = cross_entropy(ours, Tensor(labels))
    expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(labels), reduction="none")
    np.testing.assert_allclose(losses.array, expected.detach().numpy(), atol=1e-12)
    backprop(losses.mean())
    expected.mean().backward()
    np.testing.assert_allclose(ours.grad.array, theirs.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ConfigError, match="whole numbers from 0 to 2"):
        cross_entropy(Tensor(np.zeros((2, 3))), Tensor(labels))


@pytest.mark.parametrize(("logits", "labels"), [((2, 3), 3), ((3,), 3), ((2, 3, 4), 2)])
def test_shapes_that_do_not_fit_are_refused(logits, labels):
    with pytest.raises(ShapeError, match="one for each row"):
        cross_entropy(Tensor(np.zeros(logits)), Tensor(np.zeros(labels, int)))


def test_relu_has_half_a_slope_at_zero():
    x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    backprop(relu(x))
    assert x.grad.array.tolist() == [0, 0.5, 1]


def test_training_is_torchs_step_by_step():
    model = MLP(5, 7, 3, np.random.default_rng(0))
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3)).double()
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        other.data = torch.tensor(mine.array)
    optimizer, torch_optimizer = SGD(model.parameters(), lr=0.3), torch.optim.SGD(theirs.parameters(), lr=0.3)
    rng = np.random.default_rng(1)
    for _ in range(50):
        x, labels = rng.normal(size=(6, 5)), rng.integers(3, size=6)
        loss = cross_entropy(model(Tensor(x)), Tensor(labels)).mean()
        optimizer.zero_grad()
        backprop(loss)
        optimizer.step()
        torch_loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels))
        torch_optimizer.zero_grad()
        torch_loss.backward()
        torch_optimizer.step()
        assert loss.item() == pytest.approx(torch_loss.item(), rel=1e-9)
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.array, other.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lr", [0.0, -0.1, float("nan")])
def test_a_rate_that_is_not_above_zero_is_refused(lr):
    with pytest.raises(ConfigError, match="lr must be above 0"):
        SGD([Parameter([1.0])], lr)


def test_an_optimizer_without_parameters_is_refused():
    with pytest.raises(ConfigError, match="parameters to learn"):
        SGD(iter(()), 0.1)
