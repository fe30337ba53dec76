"""Mechanical edits: what is changed, what is left alone, and what is said of it."""

import textwrap

import pytest
import torch

from arena_lib.checking import exercise
from arena_lib.checking.variants.mutants import build, mutants_of

SOURCES = {
    "operator": ("return x * y", {"x * y -> x / y", "x * y -> x", "x * y -> y"}),
    "comparison": ("return x < y", {"x < y -> x <= y", "x < y -> x > y"}),
    "constant": ("return x[1]", {"x[1] -> x[2]", "x[1] -> x[0]"}),
    "last axis": (
        "return x.cumsum(dim=-1)",
        {"x.cumsum(dim=-1) -> x.cumsum(dim=-2)", "x.cumsum(dim=-1) -> x.cumsum()"},
    ),
    "last entry": ("return x[-1]", {"x[-1] -> x[-2]", "x[-1] -> x[0]"}),
    "name": ("return x.mean()", {"x.mean() -> x.sum()"}),
    "left out": ("return x.detach()", {"x.detach() -> x"}),
    "arguments": ("return f(x, y)", {"f(x, y) -> f(y, x)"}),
    "slice": ("return x[y:]", {"x[y:] -> x[y + 1:]"}),
    "sign": ("return -x", {"-x -> x"}),
    "statement": ("x.add_()", {"x.add_() -> None"}),
    "both": ("return x and y", {"x and y -> x or y"}),
}


def edits_of(body, tmp_path, monkeypatch):
    import importlib.util
    import sys

    path = tmp_path / "edited.py"
    path.write_text('def f(x, y=1):\n    """Says 1 + 1."""\n' + textwrap.indent(body, "    ") + "\n")
    spec = importlib.util.spec_from_file_location("edited", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "edited", module)
    spec.loader.exec_module(module)
    test = exercise(reference=module.f, cases=lambda generator: [])
    return {mutant.name.removeprefix("return ").replace("-> return ", "-> ") for mutant in mutants_of(test)}


@pytest.mark.parametrize("kind", SOURCES)
def test_each_kind_of_edit(kind, tmp_path, monkeypatch):
    body, expected = SOURCES[kind]
    assert edits_of(body, tmp_path, monkeypatch) == expected


def test_conditions_and_loops_are_edited(tmp_path, monkeypatch):
    edits = edits_of("if x:\n    return [a for a in y if a]\nreturn None", tmp_path, monkeypatch)
    assert any("not x" in edit for edit in edits)
    assert any("for a in y]" in edit.partition("->")[2] for edit in edits)


def test_what_a_learner_is_not_asked_for_is_left_alone(tmp_path, monkeypatch):
    body = "if x < 0:\n    raise ValueError(f'must be {x + 1}')\ncheck_size(x, 3)\nreturn progress(y, 'words', x)"
    assert edits_of(body, tmp_path, monkeypatch) == set()


def test_edited_references_are_executed_in_their_module(toy):
    built = [build(mutant, toy.half_norm) for mutant in mutants_of(toy.test_half_norm)]
    shown = {float(f(torch.tensor(3.0), torch.tensor(5.0))) for f in built}
    assert {15.0 * 2 + 3, 15.0 / 2 - 3} < shown


def test_kept_methods_are_left_alone(toy):
    assert all("self.w * x" in mutant.old for mutant in mutants_of(toy.test_affine))
