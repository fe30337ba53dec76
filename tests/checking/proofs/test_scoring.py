"""How many mechanical edits a test rejects, and which are declared equivalent."""

import dataclasses

from arena_lib.checking import Case, exercise
from arena_lib.checking.proofs.scoring import try_mutants, undeclarable


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
