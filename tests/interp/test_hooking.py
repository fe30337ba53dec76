import pytest

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM, HookedModel, TracedModel
from arena_lib.interp.nnsight_models import NNsightLM


@pytest.mark.parametrize(
    ("load", "protocol", "kind"), [(zoo.load, HookedModel, HookedLM), (zoo.load_nnsight, TracedModel, NNsightLM)]
)
def test_each_kind_of_model_is_seen_in_its_own_way_and_wrapped_once(load, protocol, kind):
    model = load("tiny-gpt")
    lm = hooked(model)
    assert isinstance(model, protocol)
    assert type(lm) is kind
    assert hooked(lm) is lm


def test_other_things_are_refused():
    with pytest.raises(ConfigError, match="must have the hook interface: got str"):
        hooked("tiny-gpt")
