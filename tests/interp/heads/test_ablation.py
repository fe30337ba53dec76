"""Ablating a head takes away what it writes, and nothing else."""

from functools import partial

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.heads import (
    generate_repeated_tokens,
    get_ablation_scores,
    head_mean_ablation_hook,
    head_resample_ablation_hook,
    head_zero_ablation_hook,
)
from arena_lib.tests.intro_to_mech_interp.small_models import make_model, make_repeated

HOOKS = [head_zero_ablation_hook, head_mean_ablation_hook, head_resample_ablation_hook]


@pytest.fixture
def z():
    return torch.randn(3, 4, 5, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("hook", HOOKS)
def test_other_heads_and_the_tensor_handed_in_stay(hook, z):
    before = z.clone()
    after = hook(z, None, 2)
    kept = [0, 1, 3, 4]
    assert torch.equal(after[:, :, kept], z[:, :, kept])
    assert torch.equal(z, before)


def test_what_becomes_of_the_head(z):
    assert (head_zero_ablation_hook(z, None, 2)[:, :, 2] == 0).all()
    mean = head_mean_ablation_hook(z, None, 2)[:, :, 2]
    torch.testing.assert_close(mean, z[:, :, 2].mean(0, keepdim=True).expand(3, 4, 2))
    assert torch.equal(head_resample_ablation_hook(z, None, 2)[:, :, 2], z[[2, 0, 1], :, 2])


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("head", [5, -1])
def test_a_head_that_is_not_there_is_refused(hook, head, z):
    with pytest.raises(UnknownNameError, match=f"no head is called '{head}'"):
        hook(z, None, head)


def test_one_example_cannot_be_resampled(z):
    with pytest.raises(ConfigError, match="got a batch of 1"):
        head_resample_ablation_hook(z[:1], None, 0)


def test_zeroing_equals_a_model_whose_head_writes_nothing():
    generator = torch.Generator().manual_seed(1)
    model = make_model(generator)
    tokens = make_repeated(model, 6, 3, generator)
    logits = model.run_with_hooks(
        tokens, fwd_hooks=[("blocks.1.attn.hook_z", partial(head_zero_ablation_hook, head_index_to_ablate=1))]
    )
    with torch.no_grad():
        model.blocks[1].attn.W_O[1] = 0.0
    torch.testing.assert_close(logits, model(tokens))


@pytest.mark.parametrize("hook", HOOKS)
def test_ours_and_the_bridge_agree(hook):
    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    tokens = generate_repeated_tokens(ours, 10, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        get_ablation_scores(ours, tokens, hook), get_ablation_scores(bridge, tokens, hook), atol=1e-4, rtol=1e-3
    )


def test_induction_heads_matter_most_in_the_second_layer():
    model = zoo.load("attn-only-2l")
    tokens = generate_repeated_tokens(model, 50, 8, torch.arange(257, 929), torch.Generator().manual_seed(0))
    scores = get_ablation_scores(model, tokens, head_mean_ablation_hook)
    assert set(scores[1].topk(3).indices.tolist()) == {0, 1, 4}
    assert scores[0].abs().max() < 0.1
