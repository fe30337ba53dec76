import ast
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from arena_lib.checking import exercise, run
from arena_lib.checking.cases import Case
from arena_lib.checking.reports.calls import call_text, named, value_text


@dataclass(frozen=True)
class Beams:
    tokens: torch.Tensor
    sums: torch.Tensor
    model: object = None


@dataclass(frozen=True)
class Wide:
    first: list[str] = field(default_factory=lambda: ["word"] * 40)
    second: list[str] = field(default_factory=lambda: ["other"] * 40)
    third: list[str] = field(default_factory=lambda: ["third"] * 40)


def call_of(case, *parameters):
    return call_text("f", parameters, case)


def test_arguments_have_the_names_of_the_parameters():
    case = Case(label="", args=(torch.tensor([3, 1]), "ab"), kwargs={"scale": 0.5})
    assert call_of(case, "tokens", "prompt", "scale") == "f(tokens=tensor([3, 1]), prompt='ab', scale=0.5)"


def test_no_positional_argument_follows_a_keyword():
    case = Case(label="", args=(1, 2, 3), kwargs={"scale": 0.5})
    for parameters in ((), ("x",), ("x", "y", "z", "scale")):
        ast.parse(call_of(case, *parameters))
    assert call_of(case, "x") == "f(1, 2, 3, scale=0.5)"


def test_what_the_observer_passes_by_name_stands_within_the_brackets():
    case = Case(label="", args=(1,), given={"end": [3, 5], "cfg": "not an argument"})
    assert call_of(case, "x", "end") == "f(x=1, end=[3, 5])"
    assert call_of(Case(label="", args=(1,), given={"end": None}), "x", "end") == "f(x=1)"


def test_a_call_that_an_author_wrote_gets_names_for_its_bare_values():
    names = ("model", "seq_len", "ids", "generator")
    assert call_of(Case(label="", call="model, 7, [2, 5], generator"), *names) == (
        "f(model, seq_len=7, ids=[2, 5], generator=generator)"
    )
    assert call_of(Case(label=""), *names) == "f(...)"


def test_a_call_that_an_author_wrote_whole_stays_as_it_is():
    assert call_of(Case(label="", call="f(2, [1]).step(3)"), "x", "y") == "f(2, [1]).step(3)"
    assert call_of(Case(label="", call="g(2)"), "x") == "f(g(2))"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("model, tokens", "model, tokens"),
        ("model, [(1, 2), (1, 0)]", "model, layer=[(1, 2), (1, 0)]"),
        ("3 texts, model, layer=2", "3 texts, model, layer=2"),
        ("model, layer=2, generator", "model, layer=2, rng=generator"),
        ("a, b, c, 7", "a, b, c, 7"),
    ],
)
def test_only_values_and_what_follows_a_keyword_need_a_name(written, text):
    parameters = ["statements", "layer", "rng"] if "model" not in written.split(",")[0] else ["model", "layer", "rng"]
    assert named(written, parameters) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.tensor([0.5, -9.0, 3.0]), "tensor([0.5, -9., 3.])"),
        (torch.tensor(-1.7), "tensor(-1.7)"),
        (torch.tensor([-0.0, torch.inf, torch.nan, 1e-9]), "tensor([0., inf, nan, 1e-09])"),
        (torch.tensor([0.5], dtype=torch.bfloat16), "tensor([0.5])"),
        (torch.zeros(9), "a float32 tensor of shape (9,)"),
        (torch.zeros(2, 2), "a float32 tensor of shape (2, 2)"),
        (torch.tensor([[1, 2], [3, 4]]), "tensor([[1, 2], [3, 4]])"),
        (torch.zeros(13, dtype=torch.int64), "an int64 tensor of shape (13,)"),
        (torch.zeros(2, dtype=torch.complex64), "a complex64 tensor of shape (2,)"),
        (torch.zeros(2, device="meta"), "a float32 tensor of shape (2,) on meta"),
        (object(), "an object object"),
        (None, "None"),
    ],
)
def test_short_values_are_written_out(value, text):
    assert value_text(value) == text


def test_a_data_class_is_written_by_its_fields():
    beams = Beams(tokens=torch.tensor([[1, 2]]), sums=torch.tensor([-0.5]), model=object())
    assert value_text(beams) == "Beams(tokens=tensor([[1, 2]]), sums=tensor([-0.5]), model=...)"
    assert value_text(Wide()) == "a Wide with first, second, third"


class Center(nn.Module):
    """Rows minus a number."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        """x minus the shift."""
        return x - self.shift


@pytest.mark.parametrize(
    ("call", "shown"),
    [("Center(2.0)(x)", "Center(2.0)(x)"), ("...", "Center(...)(x=tensor([1., 1.]))")],
)
def test_a_call_of_a_class_is_shown_as_its_author_wrote_it_or_with_the_name_of_the_class(call, shown):
    def cases(generator):
        return [Case(label="two", args=(torch.ones(2),), given={"shift": 2.0}, call=call)]

    class Mine(Center):
        def forward(self, x):
            return x + self.shift

    test = exercise(
        reference=Center,
        cases=cases,
        observe=lambda cls, case: {"output": cls(case.given["shift"])(*case.fresh().args)},
    )
    assert run(test, Mine).call == shown
