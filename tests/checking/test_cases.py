"""A case's arguments are its own: copied, moved and named wherever tensors hide in them."""

from collections import namedtuple

import pytest
import torch

from arena_lib.checking.cases import Case, map_case, map_tensors, tensors_in
from arena_lib.errors import AuthoringError

Pair = namedtuple("Pair", "left right")


def case(*args, **options):
    return Case(label="a case", args=args, **options)


def test_a_case_moves_its_arguments_and_what_is_given():
    moved = case(
        torch.ones(2), kwargs={"y": torch.ones(3)}, given={"cfg": 3, "weights": {"w": torch.ones(1)}}, names=["x"]
    ).to("meta")
    assert {t.device.type for t in tensors_in([moved.args, moved.kwargs, moved.given])} == {"meta"}
    assert (moved.given["cfg"], moved.label, moved.names) == (3, "a case", ["x"])
    assert len(tensors_in([moved.args, moved.kwargs, moved.given])) == 3


def test_a_fresh_case_copies_nested_arguments():
    one = case([torch.zeros(1)], {"a": (torch.zeros(1), {3}, bytearray(b"x"))}, kwargs={"y": torch.zeros(1)})
    fresh = one.fresh()
    for tensor in tensors_in([fresh.args, fresh.kwargs]):
        tensor.add_(1)
    fresh.args[1]["a"][1].add(4)
    fresh.args[1]["a"][2].append(0)
    fresh.args[0].append(0)
    assert [tensor.item() for tensor in tensors_in([one.args, one.kwargs])] == [0, 0, 0]
    assert one.args[1]["a"][1:] == ({3}, bytearray(b"x"))
    assert len(one.args[0]) == 1


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_fresh_tensor_is_a_leaf_that_collects_a_gradient_as_the_first_did(requires_grad):
    tensor = torch.ones(2, requires_grad=requires_grad) * 1
    (fresh,) = case(tensor).fresh().args
    assert (fresh.is_leaf, fresh.requires_grad) == (True, requires_grad)


def test_what_is_given_stays_the_same_object():
    given = {"weights": torch.ones(1)}
    assert case(given=given).fresh().given is given


@pytest.mark.parametrize("value", ["text", 3, None, range(2), Pair(torch.ones(1), 2), frozenset({1})])
def test_what_is_no_plain_container_is_left_alone(value):
    assert map_tensors(lambda tensor: tensor + 1, value) is value


def test_the_kind_of_a_container_stays():
    doubled = map_tensors(lambda tensor: tensor * 2, {"a": [torch.ones(1)], "b": (torch.ones(1), 5)})
    assert doubled == {"a": [torch.full((1,), 2.0)], "b": (torch.full((1,), 2.0), 5)}


def test_tensors_are_found_in_order():
    first, second, third = torch.ones(1), torch.ones(2), torch.ones(3)
    assert [len(t) for t in tensors_in([second, {"a": (first, "x")}, third])] == [2, 1, 3]
    assert tensors_in("none") == []


def test_a_mapped_case_keeps_all_but_its_tensors():
    mapped = map_case(lambda t: t + 1, case(torch.zeros(1), 7, kwargs={"y": torch.zeros(1)}, axes={"output": "seq"}))
    assert (mapped.args[0].item(), mapped.args[1], mapped.kwargs["y"].item()) == (1, 7, 1)
    assert (mapped.label, mapped.axes) == ("a case", {"output": "seq"})


def names(case):
    return [name for name, _ in case.named_tensors(case.args, case.kwargs)]


def test_tensors_bear_the_names_of_their_arguments():
    x, y, z = torch.ones(1), torch.ones(2), torch.ones(3)
    one = case(x, 3, y, kwargs={"z": z, "eps": 1}, names=["first", "n", "second"])
    assert [(name, len(t)) for name, t in one.named_tensors(one.args, one.kwargs)] == [
        ("first", 1), ("second", 2), ("z", 3),
    ]  # fmt: skip


def test_arguments_without_a_name_are_counted_from_one():
    assert names(case(torch.ones(1), torch.ones(1), torch.ones(1), names=["x"])) == ["x", "argument 2", "argument 3"]
    assert names(case(torch.ones(1))) == ["argument 1"]


def test_several_tensors_of_one_argument_are_numbered():
    x = torch.ones(1)
    assert names(case([x, x], [x], names=["pair", "single"])) == ["pair[0]", "pair[1]", "single"]


def test_fewer_arguments_than_names_are_fine():
    assert names(case(torch.ones(1), names=["x", "y", "z"])) == ["x"]


def test_arguments_without_their_comma_are_refused(as_an_author):
    with pytest.raises(
        AuthoringError, match=r"the case 'a row' must have a tuple of arguments: got args of type Tensor"
    ):
        Case(label="a row", args=torch.ones(2))
    with pytest.raises(
        AuthoringError, match=r"the case 'a row' must have its keyword arguments by name: got kwargs of"
    ):
        Case(label="a row", kwargs=[1])
