"""What is kept of a reference and its mistakes, and that cases are the same whenever they are made."""

import dataclasses

import torch

from arena_lib.checking.evidence.expectations import cases_of, expectations_of


def test_a_test_has_one_set_of_expectations_for_a_device(toy):
    assert expectations_of(toy.test_half_norm) is expectations_of(toy.test_half_norm)
    assert expectations_of(dataclasses.replace(toy.test_half_norm, seed=1)) is not expectations_of(toy.test_half_norm)


def test_cases_are_the_same_whatever_was_drawn_before(toy):
    """Also the weights of a module, which it draws from the global generator when it is built."""

    def of_a_module(generator):
        cases = toy.affine_cases(generator)
        return [dataclasses.replace(case, given=case.given | {"weights": {"w": torch.randn(3)}}) for case in cases]

    test = dataclasses.replace(toy.test_affine, cases=of_a_module)
    torch.manual_seed(1)
    first = cases_of(test)[0].given["weights"]["w"]
    torch.manual_seed(2)
    assert torch.equal(cases_of(test)[0].given["weights"]["w"], first)


def test_a_case_does_not_hang_on_those_before_it(toy):
    test = dataclasses.replace(toy.test_half_norm, reference=lambda x, weight: torch.rand(len(x)), properties=())
    first = expectations_of(test).reference
    again = expectations_of(dataclasses.replace(test)).reference
    assert all(torch.equal(one["output"], other["output"]) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[0]["output"][:1], first[1]["output"])
