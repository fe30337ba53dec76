"""Versions of a reference that ignore a parameter: they use its default, or what came first."""

import torch

from arena_lib.checking.evidence.ignoring import asked_about, ignoring


def power(x, exponent, offset=0.0, *, chunk=2):
    """x to the power of `exponent`."""
    return torch.cat([part**exponent + offset for part in x.split(chunk)])


def test_parameters_with_a_default_or_a_description_are_asked_about():
    assert asked_about(power) == ["exponent", "offset", "chunk"]


def test_a_default_is_used_whatever_is_given():
    version = ignoring(power, "offset")
    assert version.has_default
    assert version.obj(torch.tensor([3.0]), 2, 5.0).item() == 9.0


def test_a_class_is_asked_about_forward(toy):
    version = ignoring(toy.Affine, "x")
    module = version.obj(toy.Config())
    one = torch.ones(3)
    assert torch.equal(module(one), toy.Affine(toy.Config())(one))
    assert version.ignored == []


def test_the_first_value_stands_for_the_later_ones():
    version = ignoring(power, "exponent")
    x = torch.tensor([3.0])
    assert [version.obj(x, e).item() for e in (2, 3)] == [9.0, 9.0]
    assert version.ignored == [2, 3]
