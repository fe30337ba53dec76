import pytest

from arena_lib.zoo.recipes import reading, tiny_llama


@pytest.mark.parametrize("plan", [reading.PLAN, tiny_llama.PLAN])
def test_every_mixture_is_shares_of_one_whole(plan):
    for stage in plan.stages:
        assert sum(stage.mixture.values()) == pytest.approx(1)
        assert min(stage.mixture.values()) > 0


def test_rows_grow_and_random_strings_come_first():
    lengths = [stage.seq for stage in reading.PLAN.stages]
    assert lengths == sorted(lengths)
    assert reading.PLAN.stages[0].mixture == {"repetition": 1.0}
