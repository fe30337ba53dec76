import numpy as np
import pytest
import torch
from torch import nn

from arena_lib.checking.cases import Case
from arena_lib.checking.observing import (
    CHANGED,
    module_outputs,
    module_outputs_and_gradients,
    outputs,
    outputs_and_gradients,
)


def case(*args, **options):
    return Case(label="a case", args=args, names=["x", "y"], **options)


def test_outputs_are_what_the_call_returns():
    seen = outputs(lambda x, y, z=0: x + y + z, case(torch.ones(2), 3, kwargs={"z": 10}))
    assert seen == {"output": seen["output"], CHANGED: []}
    assert seen["output"].tolist() == [14.0, 14.0]


def test_arguments_stay_the_cases_own():
    one = case(torch.zeros(2))
    outputs(lambda x: x.add_(1), one)
    assert one.args[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("observe", [outputs, outputs_and_gradients])
def test_changed_arguments_are_named(observe):
    def spoil(x, y):
        y.mul_(2)
        return x * 1

    assert observe(spoil, case(torch.ones(2), torch.ones(3)))[CHANGED] == ["y"]


def test_tensors_inside_an_argument_are_named_by_their_place():
    def spoil(x):
        x[1].zero_()
        return x[0] * 1

    assert outputs(spoil, case([torch.ones(2), torch.ones(3)]))[CHANGED] == ["x[1]"]


def test_nan_that_stays_is_no_change():
    assert outputs(lambda x: x * 1, case(torch.tensor([torch.nan])))[CHANGED] == []


def test_gradient_is_that_of_a_random_projection():
    x = torch.tensor([1.0, 2.0, 3.0])
    linear = outputs_and_gradients(lambda x: x * 1, case(x))["gradient of x"]
    scaled = outputs_and_gradients(lambda x: x * 3, case(x))["gradient of x"]
    torch.testing.assert_close(scaled, 3 * linear)
    assert len(set(linear.tolist())) == 3


def test_gradient_that_does_not_flow_is_zero():
    seen = outputs_and_gradients(lambda x, y: x.detach() * y, case(torch.ones(2), torch.ones(2)))
    assert seen["gradient of x"].tolist() == [0.0, 0.0]
    assert seen["gradient of y"].abs().min() > 0


def test_gradient_through_several_outputs_is_summed():
    alone = outputs_and_gradients(lambda x: (x * 1,), case(torch.ones(2)))["gradient of x"]
    both = outputs_and_gradients(lambda x: (x * 1, x * 1), case(torch.ones(2)))["gradient of x"]
    assert not torch.allclose(alone, both)


def test_integer_arguments_have_no_gradient():
    seen = outputs_and_gradients(lambda x, y: y[x], case(torch.tensor([1]), torch.ones(2)))
    assert set(seen) == {"output", CHANGED, "gradient of y"}


def test_gradient_that_cannot_be_computed_is_an_observation():
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise RuntimeError("no way back")

    seen = outputs_and_gradients(Broken.apply, case(torch.ones(2)))
    assert seen["gradient of x"].kind == "RuntimeError"


def test_output_without_tensors_has_zero_gradients():
    seen = outputs_and_gradients(lambda x: 3, case(torch.ones(2)))
    assert seen["output"] == 3
    assert seen["gradient of x"].tolist() == [0.0, 0.0]


class Scale(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.w = nn.Parameter(torch.full((cfg,), 9.0))

    def forward(self, x):
        return x * self.w


def scale_case():
    return case(torch.ones(2, 3), given={"cfg": 3, "weights": {"w": torch.tensor([1.0, 2.0, 3.0])}})


def test_module_is_built_from_the_config_and_gets_the_weights():
    assert module_outputs(Scale, scale_case())["output"].tolist() == [[1.0, 2.0, 3.0]] * 2


def test_gradients_of_parameters_are_observed():
    seen = module_outputs_and_gradients(Scale, scale_case())
    assert set(seen) == {"output", CHANGED, "gradient of x", "gradient of w"}
    torch.testing.assert_close(seen["gradient of w"], (seen["gradient of x"] / torch.tensor([1.0, 2.0, 3.0])).sum(0))


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])
def test_arrays_are_each_calls_own_and_changes_in_them_are_seen(dtype):
    def spoil(x, y):
        y[0] = 1 - y[0] if dtype != "bool" else not y[0]
        return x.sum()

    given = case(np.ones(3, dtype), np.zeros(2, dtype)[::-1])
    assert [outputs(spoil, given)[CHANGED] for _ in range(2)] == [["y"], ["y"]]
    assert not given.args[1].any()
    assert outputs(lambda x, y: x.sum(), given)[CHANGED] == []
