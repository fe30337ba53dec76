import pytest

from arena_lib.checking.adapting import method_or_function
from arena_lib.checking.modules import Unfit

adapt = method_or_function("double", build=lambda cls: cls(2), stand_in={"factor": 3})


class Doubler:
    def __init__(self, factor):
        self.factor = factor

    def double(self, x):
        return self.factor * x


def test_function_stays_as_it_is():
    def double(x):
        return 2 * x

    assert adapt(double) is double


def test_class_gives_its_method():
    assert adapt(Doubler)(5) == 10


def test_unbound_method_is_bound_to_an_instance_of_its_class():
    assert adapt(Doubler.double)(5) == 10


def test_bound_method_stays_as_it_is():
    assert adapt(Doubler(7).double)(5) == 35


def test_method_whose_class_is_gone_gets_a_stand_in():
    def double(self, x):
        return self.factor * x

    assert adapt(double)(5) == 15


def test_class_without_the_method_is_unfit():
    with pytest.raises(Unfit, match="must have a method double"):
        adapt(dict)
