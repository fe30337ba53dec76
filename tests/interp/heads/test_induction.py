"""Repeated tokens and the induction score, on ours and on the bridge."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.heads import (
    compute_induction_scores,
    generate_repeated_tokens,
    induction_attn_detector,
    induction_score,
    induction_score_hook,
    prev_attn_detector,
    run_and_cache_model_repeated_tokens,
)
from arena_lib.interp.heads.induction import check_repeated
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig

WORDS = torch.arange(257, 929)
"""Tokens of the bundled models that are words; below stand the bytes, which they hardly ever read."""


def repeated(model, n=20, batch=4):
    return generate_repeated_tokens(model, n, batch, WORDS, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def attn_only():
    return zoo.load("attn-only-2l")


def test_the_second_copy_is_the_first(attn_only):
    tokens = repeated(attn_only, n=7, batch=3)
    assert tokens.shape == (3, 15)
    assert (tokens[:, 0] == attn_only.tokenizer.bos_token_id).all()
    assert torch.equal(tokens[:, 1:8], tokens[:, 8:])
    assert check_repeated(tokens) == 7


def test_score_by_hand():
    pattern = torch.zeros(2, 1, 5, 5)
    pattern[0, 0, 3, 2], pattern[0, 0, 4, 3] = 0.5, 0.9
    pattern[1, 0, 3, 2], pattern[1, 0, 4, 3] = 0.1, 0.3
    pattern[:, 0, 1, 0] = pattern[:, 0, 2, 1] = 1.0  # on the stripe, before the second copy
    assert induction_score(pattern).item() == pytest.approx((0.5 + 0.9 + 0.1 + 0.3) / 4)


def test_heads_found_in_the_bundled_models(attn_only):
    _, _, cache = run_and_cache_model_repeated_tokens(attn_only, 50, 4, WORDS, torch.Generator().manual_seed(0))
    assert {"1.0", "1.1", "1.4"} <= set(induction_attn_detector(cache, threshold=0.6)) <= {"1.0", "1.1", "1.4", "1.7"}
    assert prev_attn_detector(cache, threshold=0.6) == [f"0.{head}" for head in range(8)]


def test_the_hook_leaves_its_scores_at_its_place(attn_only):
    tokens = repeated(attn_only)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(2)]
    attn_only.run_with_hooks(tokens, fwd_hooks=[(name, induction_score_hook) for name in names])
    left = torch.stack([attn_only.hook_dict[name].ctx["induction_score"] for name in names])
    torch.testing.assert_close(left, compute_induction_scores(attn_only, tokens))
    attn_only.reset_hooks()


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-gpt"])
def test_ours_and_the_bridge_have_the_same_scores(name):
    ours, bridge = zoo.load(name), zoo.load_bridge(name)
    tokens = repeated(ours)
    assert torch.equal(tokens, repeated(bridge))
    torch.testing.assert_close(
        compute_induction_scores(ours, tokens), compute_induction_scores(bridge, tokens), atol=1e-4, rtol=1e-3
    )


def test_an_untrained_model_has_no_induction_heads():
    cfg = AttentionOnlyConfig(d_model=16, n_heads=4, d_head=4, d_vocab=929)
    model = AttentionOnly(cfg, generator=torch.Generator().manual_seed(0))
    model.tokenizer = zoo.load_tokenizer("attn-only-2l")
    assert compute_induction_scores(model, repeated(model)).max() < 0.1


def test_tokens_that_are_not_repeated_are_refused(attn_only):
    tokens = repeated(attn_only, n=4, batch=2)
    tokens[1, 6] += 1
    with pytest.raises(ConfigError, match="at position 2 of row 1"):
        compute_induction_scores(attn_only, tokens)
    with pytest.raises(ShapeError, match="got 8"):
        compute_induction_scores(attn_only, tokens[:, :8])


def test_a_model_without_a_tokenizer_has_no_first_token():
    model = AttentionOnly(AttentionOnlyConfig(d_model=4, n_heads=1, d_head=4, d_vocab=9))
    with pytest.raises(ConfigError, match="token to begin with"):
        generate_repeated_tokens(model, 3)


def test_a_module_without_hooks_is_refused():
    with pytest.raises(ConfigError, match="hook interface: got Linear"):
        generate_repeated_tokens(torch.nn.Linear(2, 2), 3)
