from dataclasses import replace
from pathlib import Path

import pytest
import torch

from arena_lib.checking import Case, Mistake, verify
from arena_lib.checking.proofs.mutants import try_mutants


def stub(x, weight):
    raise NotImplementedError


def test_sound_exercise_holds(toy):
    verification = verify(toy.test_half_norm, stub=stub, exercise_id="9.9/half_norm")
    assert verification.holds
    assert verification.id == "9.9/half_norm"
    assert verification.reference == "passed"
    assert verification.accepts == ("passed",)
    assert verification.stub == "not_started"
    assert [m.name for m in verification.mistakes] == [m.name for m in toy.test_half_norm.mistakes]
    assert all(m.rejected and m.named for m in verification.mistakes)


def problems(test, **options):
    return "\n".join(verify(test, **options).problems)


def test_accepted_solution_that_fails_is_a_problem(toy):
    broken = replace(toy.test_half_norm, accepts=(lambda x, weight: x,))
    problem = problems(broken)
    assert "the accepted solution <lambda> must pass" in problem
    assert "How the two differ:\n  call     half_norm(" in problem
    assert not any(words in problem for words in ("does not pass yet", "For a hint"))


def test_exercise_without_accepted_solutions_is_a_problem(toy):
    assert "at least one accepted solution" in problems(replace(toy.test_half_norm, accepts=()))


def test_stub_that_passes_is_a_problem(toy):
    assert "the stub must be not_started: got passed" in problems(toy.test_half_norm, stub=toy.half_norm_in_one_line)


def test_too_few_mistakes_are_a_problem(toy):
    few = replace(toy.test_half_norm, mistakes=toy.test_half_norm.mistakes[:2])
    assert "at least 3 mistakes: got 2" in problems(few)


def test_mistake_that_changes_nothing_is_a_problem(toy):
    harmless = Mistake("harmless", "scaled / 2", "scaled * 0.5", why="it is the same")
    test = replace(toy.test_half_norm, mistakes=(*toy.test_half_norm.mistakes, harmless))
    assert "the mistake 'harmless' must be rejected: it passed, and shows what the reference does" in problems(test)


def test_two_mistakes_that_look_the_same_are_a_problem(toy):
    twin = Mistake("twin", "return scaled / 2", "return scaled", why="the same as the first")
    test = replace(toy.test_half_norm, mistakes=(*toy.test_half_norm.mistakes, twin))
    assert "the mistake 'twin' must be named: the diagnosis names 'does not halve'" in problems(test)


def with_mistake(toy, **fields):
    raising = Mistake("divides by nothing", "scaled / 2", "scaled / undefined", why="there is no such name", **fields)
    return replace(toy.test_half_norm, mistakes=(*toy.test_half_norm.mistakes, raising))


def test_a_mistake_that_raises_in_every_case_must_declare_it(toy):
    (problem,) = verify(with_mistake(toy)).problems
    assert (
        "the mistake 'divides by nothing' must run in one case at least: it raises NameError: name 'undefined'"
        in problem
    )
    assert problem.endswith("add raises='NameError'.")
    verification = verify(with_mistake(toy, raises="NameError"))
    assert verification.holds
    assert (verification.mistakes[-1].status, verification.mistakes[-1].named) == ("error", True)


def test_a_mistake_raises_what_it_declares_and_nothing_else(toy):
    assert "it raises NameError" in problems(with_mistake(toy, raises="ValueError"))


def test_a_mistake_may_raise_in_one_case(toy):
    sometimes = Mistake("divides", "scaled / 2", "scaled / (2 if len(x) > 1 else undefined) * 3", why="?")
    test = replace(toy.test_half_norm, mistakes=(*toy.test_half_norm.mistakes, sometimes))
    assert verify(test).holds


def test_a_mistake_that_declares_what_it_never_raises_is_a_problem(toy):
    first, *others = toy.test_half_norm.mistakes
    test = replace(toy.test_half_norm, mistakes=(replace(first, raises="KeyError"), *others))
    assert "must raise what it declares: no case raises KeyError. Drop raises='KeyError'." in problems(test)


def test_a_mistake_without_a_reason_is_a_problem(toy):
    first, *others = toy.test_half_norm.mistakes
    test = replace(toy.test_half_norm, mistakes=(replace(first, why=" "), *others))
    assert "the mistake 'does not halve' must say why it is wrong: got no why" in problems(test)


def test_the_reference_is_no_accepted_solution(toy):
    test = replace(toy.test_half_norm, accepts=(toy.half_norm,))
    assert "must be written differently: got the reference itself" in problems(test)


def test_an_entry_of_equivalent_whose_edit_is_rejected_is_a_hole(toy):
    entry = "return scaled / 2 + x.detach() -> return scaled / 2 - x.detach()"
    (hole,) = verify(replace(toy.test_half_norm, equivalent={entry: "?"})).holes
    assert f"equivalent must name edits that pass: got {entry!r}, which is rejected. Drop it." in hole


def test_every_problem_of_a_declaration_begins_with_its_place(toy):
    test = replace(toy.test_half_norm, accepts=(), mistakes=toy.test_half_norm.mistakes[:1])
    lines = Path(toy.__file__).read_text().splitlines()
    of_test = next(n for n, line in enumerate(lines, start=1) if line.startswith("test_half_norm = exercise("))
    assert [problem.split(": ")[0] for problem in verify(test).problems] == [f"{toy.__file__}:{of_test}"] * 2


def test_reference_that_breaks_its_own_property_is_a_problem(toy):
    def never(seen, case):
        """Never holds."""
        return "no"

    assert "the reference must pass" in problems(replace(toy.test_half_norm, properties=(never,)))


@pytest.mark.parametrize("key", ["id", "reference", "accepts", "stub", "mistakes", "seconds", "problems"])
def test_record_has_the_keys_of_the_contract(toy, key):
    assert key in verify(toy.test_half_norm).to_record()


def test_a_reference_that_raises_in_every_case_is_the_one_problem(toy):
    broken = replace(toy.test_half_norm, reference=toy.misspelled)
    (problem,) = verify(broken, tries_edits=False).problems
    assert problem.startswith(f"{toy.__file__}:")
    assert "the reference must run: it raises AttributeError" in problem


def test_a_reference_that_raises_in_one_case_is_asked_about_and_nobody_else_is_blamed(toy, as_an_author):
    def cases(generator):
        return [*toy.test_half_norm.cases(generator), Case(label="a text", args=(torch.ones(2), "0.8"))]

    verification = verify(replace(toy.test_half_norm, cases=cases), tries_edits=False)
    (problem,) = verification.problems
    assert "in the case 'a text' the reference, or the observer that calls it, raises TypeError" in problem
    assert (verification.reference, verification.accepts) == ("error", ())


def test_a_case_of_a_module_class_without_a_config_is_told_of_module_case(toy):
    def cases(generator):
        return [Case(label="a row", args=(torch.ones(1, 3),))]

    (problem,) = verify(replace(toy.test_affine, cases=cases), tries_edits=False).problems
    assert "the case 'a row' must have given={'cfg': ..., 'weights': ...}" in problem
    assert "KeyError" not in problem


def test_an_example_that_cannot_be_read_is_the_one_problem(toy, monkeypatch):
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>>OFFSET\n2.0\n")
    (problem,) = verify(toy.test_half_norm, tries_edits=False).problems
    assert "must be written as Python's prompt shows it" in problem


def test_an_entry_of_equivalent_that_names_no_edit_is_told_of_those_that_pass_first(toy):
    blind = replace(toy.test_half_norm, observe=lambda obj, case: {"output": 1}, properties=())
    hole, *_ = verify(replace(blind, equivalent={"scaled": "?"})).holes
    survivors = try_mutants(blind).survivors
    assert "got 'scaled'. Paste `old -> new`, or `old` alone, from the edits that arena verify lists: " in hole
    assert any(repr(edit) in hole for edit in survivors)


def test_mistakes_that_give_wrong_shapes_alone_are_remarked_on(toy):
    shapes = [
        Mistake(
            f"gives a wrong shape {i}", "return scaled / 2", f"return (scaled / 2).expand({i}, *x.shape)", why="one row"
        )
        for i in (3, 4, 5)
    ]
    (remark,) = verify(replace(toy.test_half_norm, mistakes=shapes), tries_edits=False).remarks
    assert "every mistake gives a wrong shape, which a learner sees without a test" in remark
    assert verify(toy.test_half_norm, tries_edits=False).remarks == ()
    mixed = replace(toy.test_half_norm, mistakes=(*shapes, toy.test_half_norm.mistakes[0]))
    assert verify(mixed, tries_edits=False).remarks == ()
