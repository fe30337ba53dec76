import pytest

from arena_lib.fundamentals.backprop import is_grad_enabled, no_grad


def test_blocks_nest_and_end_whatever_happens():
    assert is_grad_enabled()
    with no_grad():
        with no_grad():
            assert not is_grad_enabled()
        assert not is_grad_enabled()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()
