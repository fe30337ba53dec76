import pytest

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM
from arena_lib.interp.nnsight_models import NNsightLM


@pytest.mark.parametrize(("load", "kind"), [(zoo.load, HookedLM), (zoo.load_nnsight, NNsightLM)])
def test_each_kind_of_model_is_seen_in_its_own_way_and_wrapped_once(load, kind):
    lm = hooked(load("tiny-gpt"))
    assert type(lm) is kind
    assert hooked(lm) is lm


def test_other_things_are_refused():
    with pytest.raises(ConfigError, match="must have the hook interface: got str"):
        hooked("tiny-gpt")
