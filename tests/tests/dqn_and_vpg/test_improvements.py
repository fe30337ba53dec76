"""Points that lie just on an end, drawn in other precisions and by other searches."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def draw(priorities, batch_size, generator, dtype, compare):
    u = torch.rand(batch_size, generator=generator).to(dtype)
    ends = priorities.to(dtype).cumsum(0)
    points = (torch.arange(batch_size) + u) / batch_size * ends[-1]
    return compare(ends[None], points[:, None]).sum(dim=1).clamp(max=len(priorities) - 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_point_on_an_end_belongs_to_the_next_row_in_any_precision(dtype):
    def by_counting(priorities, batch_size, generator):
        return draw(priorities, batch_size, generator, dtype, torch.le)

    assert run(judges.test_sample_by_priority, by_counting).passed


def test_a_point_on_an_end_that_is_given_to_the_row_before_is_named_with_its_draw():
    def by_counting(priorities, batch_size, generator):
        return draw(priorities, batch_size, generator, torch.float32, torch.lt)

    result = run(judges.test_sample_by_priority, by_counting)
    assert result.diagnosis.mistake == "gives a point just on an end to the row that ends there"
    assert result.case == "a point just where a row's piece ends"


def test_a_place_in_a_batch_is_a_draw_and_no_argument():
    def shifted(priorities, batch_size, generator):
        return draw(priorities, batch_size, generator, torch.float32, torch.le) + 1

    message = run(judges.test_sample_by_priority, shifted).message
    assert "batch_size =" not in message.replace("batch_size=", "")
