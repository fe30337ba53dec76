"""Steering: what the hook adds, and that generation heeds it."""

import pytest
import torch
from tests.interp.patching.conftest import make_random
from tests.saes.analysis.conftest import make_sae

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, TokenError, UnknownNameError
from arena_lib.interp.steering.writing import GREEDY_WRITING
from arena_lib.saes.analysis.interventions.steering import generate_with_steering, steering_hook

PROMPT = " Tina was in the garden."
HOOK = "blocks.2.hook_resid_pre"


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


@pytest.fixture
def happy(model):
    """An SAE whose latent 3 writes the direction of one token's logit."""
    sae = make_sae("blocks.3.hook_resid_post", d_in=128, d_sae=19).float()
    with torch.no_grad():
        sae.W_dec[3] = model.W_U[:, model.to_single_token(" kite")]
    return sae


@pytest.mark.parametrize("shape", [(2, 5, 24), (2, 5, 4, 6)])
def test_a_multiple_of_the_direction_is_added_everywhere(shape):
    sae, acts = make_sae(), torch.randn(shape, dtype=torch.float64)
    before = acts.clone()
    steered = steering_hook(acts, None, sae=sae, latent_idx=4, steering_coefficient=-2.5)
    torch.testing.assert_close((steered - before).flatten(2), (-2.5 * sae.W_dec[4]).expand(2, 5, 24))
    assert torch.equal(acts, before)


def test_a_strong_push_writes_the_token_it_points_to(model, happy):
    texts = [
        generate_with_steering(model, happy, PROMPT, 3, size, 4, options=GREEDY_WRITING) for size in (0.0, 1e4, -1e4)
    ]
    assert texts[0] == model.generate(PROMPT, 4)
    assert texts[1] == PROMPT + 4 * " kite"
    assert texts[2] not in texts[:2]


def test_equal_seeds_write_equal_texts_and_hooks_are_gone_afterwards(model, happy):
    before = model(model.to_tokens(PROMPT))
    texts = [
        generate_with_steering(model, happy, PROMPT, 3, 2.0, 8, generator=make_generator(seed)) for seed in (0, 0, 1, 2)
    ]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1
    assert torch.equal(model(model.to_tokens(PROMPT)), before)


def test_what_cannot_work_is_refused(model, happy):
    with pytest.raises(UnknownNameError, match="no latent is called '19'"):
        generate_with_steering(model, happy, PROMPT, 19)
    with pytest.raises(UnknownNameError, match="no hook is called"):
        generate_with_steering(model, happy, PROMPT, 3, hook_name="blocks.9.hook_resid_pre")
    with pytest.raises(TokenError):
        generate_with_steering(model, happy, PROMPT, 3, max_new_tokens=1000)
    with pytest.raises(ConfigError, match="text needs a tokenizer"):
        generate_with_steering(make_random("llama"), make_sae(), PROMPT, 3)
