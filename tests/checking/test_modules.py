"""A learner's module class is built for a case and gets its weights by name, or is told what doesn't fit."""

import pytest
import torch
from torch import nn

from arena_lib.checking.cases import Case
from arena_lib.checking.modules import Unfit, build_module, load_by_name, module_case, random_weights
from arena_lib.errors import AuthoringError


class Scale(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.w = nn.Parameter(torch.full((cfg,), 9.0))
        self.b = nn.Parameter(torch.zeros(cfg))

    def forward(self, x):
        return x * self.w + self.b


WEIGHTS = {"w": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([4.0, 5.0, 6.0])}
CASE = Case(label="a case", given={"cfg": 3, "weights": WEIGHTS})


def unfit(cls):
    with pytest.raises(Unfit) as caught:
        build_module(cls, CASE)
    return str(caught.value)


def test_a_class_is_built_from_the_config_and_gets_the_weights():
    module = build_module(Scale, CASE)
    assert type(module) is Scale
    assert {name: p.tolist() for name, p in module.named_parameters()} == {
        name: value.tolist() for name, value in WEIGHTS.items()
    }
    assert all(p.is_leaf and p.requires_grad for p in module.parameters())
    module.w.data.zero_()
    assert WEIGHTS["w"].tolist() == [1, 2, 3]


def test_what_is_no_module_class_is_unfit():
    text = "This test takes the class itself, a subclass of nn.Module: got {}. Pass the class, without calling it."
    assert unfit(Scale(3)) == text.format("an instance of Scale")
    assert unfit(dict) == text.format("<class 'dict'>")
    assert unfit(5) == text.format("5")
    assert len(unfit("x" * 500)) < 200


def test_missing_and_unexpected_parameters_are_named_in_order():
    class Other(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.v, self.b, self.a = (nn.Parameter(torch.ones(cfg)) for _ in range(3))

    assert unfit(Other) == (
        "Other must have exactly the parameters b, w: missing: w; not expected: a, v. "
        "Keep the names that __init__ of the exercise gives."
    )


def test_a_parameter_too_few_or_too_many_is_unfit():
    class Fewer(Scale):
        def __init__(self, cfg):
            super().__init__(cfg)
            del self.b

    class More(Scale):
        def __init__(self, cfg):
            super().__init__(cfg)
            self.more = nn.Parameter(torch.ones(1))

    assert "parameters b, w: missing: b. Keep" in unfit(Fewer)
    assert "parameters b, w: not expected: more. Keep" in unfit(More)


def test_another_shape_is_unfit_and_nothing_is_copied():
    module = nn.Module()
    module.w, module.b = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1, 3))
    with pytest.raises(Unfit) as caught:
        load_by_name(module, WEIGHTS)
    assert str(caught.value) == (
        "Module.b must have the shape (3,): got (1, 3). The axes of every parameter are in the docstring."
    )
    assert module.w.tolist() == [0, 0, 0]


def test_a_module_without_parameters_fits_no_weights():
    load_by_name(nn.ReLU(), {})
    with pytest.raises(Unfit, match="missing: b, w"):
        load_by_name(nn.ReLU(), WEIGHTS)


def test_the_module_goes_where_its_weights_are():
    class Moved(Scale):
        def to(self, device):
            self.device = device
            return self

    module = Moved(3)
    load_by_name(module, WEIGHTS)
    assert module.device == torch.device("cpu")


def test_random_weights_leave_no_gain_at_one_and_no_bias_at_zero():
    weights = random_weights(nn.LayerNorm(50), torch.Generator().manual_seed(0))
    assert ((weights["weight"] - 1).abs() > 1e-4).all()
    assert (weights["bias"].abs() > 1e-4).all()
    again = random_weights(nn.LayerNorm(50), torch.Generator().manual_seed(0))
    assert torch.equal(weights["bias"], again["bias"])


def test_random_weights_lie_around_half_of_the_parameters_by_the_scale():
    norm = nn.LayerNorm(4000)
    weights = random_weights(norm, torch.Generator().manual_seed(0))
    wider = random_weights(norm.double(), torch.Generator().manual_seed(0), scale=2.0)
    assert weights["weight"].mean().item() == pytest.approx(0.5, abs=0.05)
    assert weights["weight"].std().item() == pytest.approx(0.5, abs=0.05)
    assert weights["bias"].mean().item() == pytest.approx(0.0, abs=0.05)
    assert wider["weight"].std().item() == pytest.approx(2.0, abs=0.2)
    assert wider["weight"].dtype == torch.float64
    assert not weights["weight"].requires_grad


def test_a_module_case_carries_what_building_needs():
    generator = torch.Generator().manual_seed(1)
    made = module_case("three wide", Scale, 3, (torch.ones(2, 3),), "batch d_model", generator)
    assert (made.label, made.axes, made.given["cfg"]) == ("three wide", {"output": "batch d_model"}, 3)
    again = random_weights(Scale(3), torch.Generator().manual_seed(1))
    assert all(torch.equal(made.given["weights"][name], value) for name, value in again.items())
    assert made.given["weights"].keys() == again.keys()
    assert torch.equal(build_module(Scale, made)(*made.args), made.args[0] * again["w"] + again["b"])


def test_a_case_without_config_or_weights_is_told_of_module_case():
    with pytest.raises(AuthoringError, match="got no cfg and no weights"):
        build_module(Scale, Case(label="a case", args=(torch.ones(3),)))
    with pytest.raises(AuthoringError, match="got no weights"):
        build_module(Scale, Case(label="a case", given={"cfg": 3}))
