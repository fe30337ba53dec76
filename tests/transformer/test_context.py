from types import SimpleNamespace

import pytest

from arena_lib.errors import TokenError
from arena_lib.transformer.context import check_room, n_ctx_of

MODEL = SimpleNamespace(cfg=SimpleNamespace(n_ctx=8))


def test_n_ctx_is_read_from_the_config_if_there_is_one():
    assert n_ctx_of(MODEL) == 8
    assert n_ctx_of(lambda tokens: tokens) is None
    assert n_ctx_of(SimpleNamespace(cfg=SimpleNamespace(n_ctx="many"))) is None


def test_the_last_new_token_needs_no_room():
    check_room(MODEL, 5, 4)
    with pytest.raises(
        TokenError, match=r"context of 8 tokens: got a prompt of 5 and max_new_tokens=5\. .*=4 or fewer"
    ):
        check_room(MODEL, 5, 5)


def test_a_prompt_that_fills_more_than_the_context_must_be_shorter():
    with pytest.raises(TokenError, match=r"got a prompt of 9 and max_new_tokens=1\. Pass a shorter prompt\.$"):
        check_room(MODEL, 9, 1)
    check_room(MODEL, 8, 1)
    with pytest.raises(TokenError, match=r"got a prompt of 8 and max_new_tokens=2\. Pass max_new_tokens=1 or fewer\.$"):
        check_room(MODEL, 8, 2)


def test_a_prompt_must_hold_a_token():
    with pytest.raises(TokenError, match="at least one token: got 0"):
        check_room(MODEL, 0, 1)
    check_room(MODEL, 1, 8)


def test_a_model_that_names_no_context_has_no_limit():
    check_room(object(), 10, 10**6)
