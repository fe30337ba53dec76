"""Versions of a reference that ignore a parameter are made of its signature, and must be rejected."""

import dataclasses

import torch

from arena_lib.checking import Case, exercise
from arena_lib.checking.proofs.parameters import parameter_problems


def power(x, exponent, offset=0.0, *, chunk=2):
    """x to the power of `exponent`."""
    return torch.cat([part**exponent + offset for part in x.split(chunk)])


def cases(generator):
    x = torch.rand(5, generator=generator) + 1
    return [Case(label=f"{e}", args=(x, e), kwargs=kwargs) for e, kwargs in [(2, {}), (3, {"offset": 1.0, "chunk": 3})]]


POWER = exercise(reference=power, cases=cases, free={"chunk": "only memory"})


def test_cases_that_vary_every_parameter_hold():
    assert parameter_problems(POWER) == []


def test_a_parameter_that_no_case_gives_is_a_problem():
    never = dataclasses.replace(
        POWER, cases=lambda generator: [dataclasses.replace(c, kwargs={}) for c in cases(generator)]
    )
    (problem,) = parameter_problems(never)
    assert "ignores 'offset' must be rejected: it passes" in problem
    assert problem.startswith(f"{__file__}:")
    assert problem.endswith('free={"offset": "only speed and memory"}.')


def test_a_described_parameter_that_never_changes_is_a_problem():
    alike = dataclasses.replace(POWER, cases=lambda generator: cases(generator)[1:])
    assert any("'exponent'" in problem for problem in parameter_problems(alike))


def test_free_is_held_to_be_free():
    problems = parameter_problems(dataclasses.replace(POWER, free={"offset": "?", "chunk": "memory", "weight": "?"}))
    assert any("'offset' is declared free, but" in problem for problem in problems)
    assert any("free must name parameters" in problem and "'weight'" in problem for problem in problems)
