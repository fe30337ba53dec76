from dataclasses import dataclass

import pytest

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.errors import ConfigError


@dataclass(frozen=True)
class Sizes:
    d_model: object = 4
    lr: object = 0.1


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_a_size_must_be_a_whole_number_of_at_least_one(value):
    check_sizes(Sizes(d_model=1), "d_model")
    with pytest.raises(ConfigError) as caught:
        check_sizes(Sizes(d_model=value), "d_model")
    assert str(caught.value) == (
        f"Sizes.d_model must be a whole number of at least 1: got {value!r}. Pass d_model=1 or more."
    )


def test_the_least_size_may_be_another():
    check_sizes(Sizes(d_model=0), "d_model", least=0)
    with pytest.raises(ConfigError, match=r"at least 5: got 4\. Pass d_model=5 or more"):
        check_sizes(Sizes(), "d_model", least=5)


@pytest.mark.parametrize("value", [0, -0.5, float("inf"), float("nan")])
def test_a_number_must_be_finite_and_above_zero(value):
    check_numbers(Sizes(lr=1e-9), "lr")
    with pytest.raises(ConfigError, match=r"Sizes.lr must be finite and above 0: got"):
        check_numbers(Sizes(lr=value), "lr")


def test_zero_passes_where_it_works():
    check_numbers(Sizes(lr=0), "lr", zero_works=True)
    with pytest.raises(ConfigError, match=r"at least 0: got -0\.5\. Leave it out to get the default"):
        check_numbers(Sizes(lr=-0.5), "lr", zero_works=True)


def test_the_first_field_that_cannot_work_is_named():
    with pytest.raises(ConfigError, match="lr must be a whole number"):
        check_sizes(Sizes(), "d_model", "lr")
