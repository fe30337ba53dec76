from dataclasses import dataclass
from typing import Literal

import pytest

from arena_lib.core.configs import check_numbers, check_sizes, read_settings
from arena_lib.errors import ConfigError, UnknownNameError


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


KINDS = {"lr": float, "n": int, "is_on": bool, "name": str, "kind": Literal["a", "b"], "rate": float | None, "t": tuple}


def test_settings_are_read_by_the_types_of_their_fields():
    texts = ["lr=2", "n=3", "is_on=True", "name=3", "kind=b", "rate=1", "t=(1, 2)"]
    expected = {"lr": 2.0, "n": 3, "is_on": True, "name": "3", "kind": "b", "rate": 1.0, "t": (1, 2)}
    settings = read_settings(texts, KINDS)
    assert settings == expected
    assert {name: type(value) for name, value in settings.items()} == {k: type(v) for k, v in expected.items()}
    assert read_settings(["rate=None"], KINDS) == {"rate": None}


def test_settings_that_cannot_be_read_are_refused():
    with pytest.raises(ConfigError, match="a setting must be written name=value: got 'lr'"):
        read_settings(["lr"], KINDS)
    with pytest.raises(UnknownNameError, match=r"no setting of this is called 'lrr'\. Did you mean 'lr'"):
        read_settings(["lrr=1"], KINDS, "setting of this")
    with pytest.raises(ConfigError, match="n must be a number, True, False, None or a tuple: got 'three'"):
        read_settings(["n=three"], KINDS)
