"""Mechanical edits: what is changed, what is left alone, and how a test is scored by them."""

import dataclasses
import textwrap

import pytest
import torch

from arena_lib.checking import Case, exercise
from arena_lib.checking.proofs.mutants import build, mutants_of, try_mutants, undeclarable

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


def blinded(toy):
    """The test with eyes for nothing but how many rows there are."""
    rows_only = {"observe": lambda f, case: {"rows": len(f(*case.args))}, "properties": ()}
    return dataclasses.replace(toy.test_half_norm, **rows_only)


def test_a_test_with_holes_scores_less(toy):
    (survivor,) = try_mutants(toy.test_half_norm).survivors
    assert survivor == "scaled = scale(x, weight) -> scaled = scale(weight, x)"
    blind = blinded(toy)
    score = try_mutants(blind)
    assert score.share < 0.5
    assert "return scaled / 2 + x.detach() -> return scaled / 2 - x.detach()" in " ".join(score.survivors)


def test_an_equivalent_edit_is_declared_by_its_name_or_by_its_place(toy):
    blind = blinded(toy)
    survivors = try_mutants(blind).survivors
    declared = dataclasses.replace(blind, equivalent=dict.fromkeys(survivors, "only rows count"))
    assert try_mutants(declared).share == 1.0
    by_place = dataclasses.replace(blind, equivalent={name.partition(" -> ")[0]: "rows" for name in survivors})
    assert try_mutants(by_place).share == 1.0
    assert undeclarable(dataclasses.replace(blind, equivalent={"x ** 3": "?"})).keys() == {"x ** 3"}


def test_an_entry_whose_edits_are_all_rejected_is_needless(toy):
    (survivor,) = try_mutants(toy.test_half_norm).survivors
    rejected = "return scaled / 2 + x.detach()"
    declared = dataclasses.replace(toy.test_half_norm, equivalent={survivor: "?", rejected: "?", "no such edit": "?"})
    assert try_mutants(declared).needless == (rejected,)


def test_an_entry_that_names_no_edit_is_given_the_nearest_that_do(toy):
    near = undeclarable(dataclasses.replace(toy.test_half_norm, equivalent={"scaled": "?", "return scald / 2": "?"}))
    assert all("scaled" in name for name in near["scaled"])
    assert near["return scald / 2"][0].startswith("return scaled / 2")


def counts_down(n):
    while n > 0:
        n -= 1
    return n


def test_an_endless_loop_is_rejected_in_time():
    test = exercise(reference=counts_down, cases=lambda generator: [Case(label="three", args=(3,))])
    assert not [name for name in try_mutants(test).survivors if "+=" in name]
