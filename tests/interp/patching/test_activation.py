"""Activation patching by its loops: what must hold of any model, and the same numbers on a bridge."""

import pytest
import torch
from tests.interp.patching.conftest import make_random

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.activation import (
    get_act_patch_attn_head_all_pos_every,
    get_act_patch_attn_head_out_all_pos,
    get_act_patch_block_every,
    get_act_patch_resid_pre,
    patch_attn_patterns,
    patch_head_vector,
    patch_residual_component,
)
from arena_lib.transformer.activations.hooks import HookPoint

BY_POSITION = [get_act_patch_resid_pre, get_act_patch_block_every]
BY_HEAD = [get_act_patch_attn_head_out_all_pos, get_act_patch_attn_head_all_pos_every]
WHOLE = [get_act_patch_block_every, get_act_patch_attn_head_all_pos_every]
"""Those that hold the other two as their first part."""


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -2, 5].square().mean()


def cached(model, tokens):
    with torch.no_grad():
        return hooked(model).run_with_cache(tokens)[1]


def close(a, b, atol=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.fixture
def prompts(prompts):
    """Shorter ones, since each position costs a run."""
    return tuple(tokens[:, :4] for tokens in prompts)


@pytest.mark.parametrize("sweep", WHOLE)
def test_patching_a_run_with_itself_changes_nothing(model, prompts, sweep):
    tokens, _ = prompts
    results = sweep(model, tokens, cached(model, tokens), metric)
    close(results, metric(model(tokens)).detach().expand_as(results))


def test_shapes_and_order(prompts):
    corrupted, clean = prompts
    model = make_random("llama")
    cache = cached(model, clean)
    for sweep, whole, shape in zip(
        (get_act_patch_resid_pre, get_act_patch_attn_head_out_all_pos), WHOLE, ((3, 3, 4), (5, 3, 4)), strict=True
    ):
        results = whole(model, corrupted, cache, metric)
        assert results.shape == shape
        close(results[0], sweep(model, corrupted, cache, metric))


def test_a_model_without_mlps_has_two_places(prompts):
    model = make_random("attention_only")
    assert get_act_patch_block_every(model, prompts[0], cached(model, prompts[1]), metric).shape == (2, 3, 4)


def test_patching_every_position_of_the_first_stream_is_the_clean_run(model, prompts):
    """With one prompt token apart from the clean ones, patching that position brings everything back."""
    corrupted, _ = prompts
    clean = corrupted.clone()
    clean[:, 2] = (clean[:, 2] + 1) % 20
    results = get_act_patch_resid_pre(model, corrupted, cached(model, clean), metric)
    close(results[0, 2], metric(model(clean)).detach())
    close(results[:, :2], metric(model(corrupted)).detach().expand(3, 2))


def test_one_patch_by_hand(model, prompts):
    """Entry [layer, pos] is the run that goes on from a stream with one position exchanged."""
    corrupted, clean = prompts
    stream = cached(model, corrupted)["resid_pre", 2].clone()
    stream[:, 2] = cached(model, clean)["resid_pre", 2][:, 2]
    with torch.no_grad():
        expected = metric(model(stream, start_at_layer=2))
    close(get_act_patch_resid_pre(model, corrupted, cached(model, clean), metric)[2, 2], expected)


def test_heads_that_share_keys_and_values_have_the_same_numbers(prompts):
    model, (corrupted, clean) = make_random("llama"), prompts
    z, q, k, v, pattern = get_act_patch_attn_head_all_pos_every(model, corrupted, cached(model, clean), metric)
    for shared in (k, v):
        close(shared[:, 0::2], shared[:, 1::2])
        assert not torch.allclose(shared[:, 0], shared[:, 2])
    for own in (z, q, pattern):
        assert not torch.allclose(own[:, 0], own[:, 1])


def test_denoising_and_noising_are_one_function_with_the_roles_swapped(model, prompts):
    """Patching the whole of what differs gives the other run, from either side."""
    one = prompts[0]
    other = one.clone()
    other[:, 2] = (other[:, 2] + 1) % 20
    for runs, source in ((one, other), (other, one)):
        results = get_act_patch_resid_pre(model, runs, cached(model, source), metric)
        close(results[0, 2], metric(model(source)).detach())


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("sweep", WHOLE)
def test_a_bridge_gives_the_same_numbers(bridged, prompts, sweep, form):
    corrupted, clean = prompts
    ours, theirs = (sweep(m, corrupted, cached(m, clean), metric) for m in (make_random(form), bridged(form)))
    close(ours, theirs, atol=1e-8)


@pytest.mark.parametrize(
    ("patch", "axis", "shape"),
    [
        (patch_residual_component, 1, (2, 3, 5)),
        (patch_head_vector, 2, (2, 5, 3, 4)),
        (patch_attn_patterns, 1, (2, 3, 5, 5)),
    ],
)
def test_a_hook_exchanges_one_slice_and_leaves_its_arguments_alone(patch, axis, shape):
    now, clean = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    hook, before = HookPoint(), (now.clone(), clean.clone())
    patched = patch(now, hook, 1, {hook.name: clean})
    for index in range(3):
        assert torch.equal(patched.select(axis, index), (clean if index == 1 else now).select(axis, index))
    assert torch.equal(now, before[0])
    assert torch.equal(clean, before[1])


@pytest.mark.parametrize("sweep", BY_POSITION + BY_HEAD)
def test_prompts_of_another_number_or_length_are_refused(prompts, sweep):
    model = make_random("gpt2")
    corrupted, clean = prompts
    for other in (clean[:2], clean[:, :3]):
        with pytest.raises(ShapeError, match="must have the same shape: got a cache of"):
            sweep(model, corrupted, cached(model, other), metric)


@pytest.mark.parametrize("sweep", BY_POSITION + BY_HEAD)
def test_metrics_that_are_no_number_as_a_tensor_are_refused(prompts, sweep):
    model = make_random("gpt2")
    cache = cached(model, prompts[1])
    with pytest.raises(ConfigError, match="a metric must return a tensor: got float"):
        sweep(model, prompts[0], cache, lambda logits: float(metric(logits)))
    with pytest.raises(ShapeError, match="the metric must return one number"):
        sweep(model, prompts[0], cache, lambda logits: logits[:, -1, 0])


def test_positions_and_heads_that_do_not_exist_are_refused():
    hook = HookPoint()
    with pytest.raises(ShapeError, match="a position must be between -3 and 2: got 3"):
        patch_residual_component(torch.zeros(2, 3, 5), hook, 3, {"": torch.zeros(2, 3, 5)})
    with pytest.raises(UnknownNameError, match="no head is called '4'"):
        patch_head_vector(torch.zeros(2, 3, 4, 5), hook, 4, {"": torch.zeros(2, 3, 4, 5)})
    with pytest.raises(UnknownNameError, match="no head is called '4'"):
        patch_attn_patterns(torch.zeros(2, 4, 3, 3), hook, 4, {"": torch.zeros(2, 4, 3, 3)})


def test_a_cache_without_what_is_patched_is_refused(prompts):
    model = make_random("gpt2")
    cache = hooked(model).run_with_cache(prompts[1], ["blocks.0.hook_resid_pre"])[1]
    with pytest.raises(UnknownNameError, match=r"no activation in this cache is called 'blocks\.1\.hook_resid_pre'"):
        get_act_patch_resid_pre(model, prompts[0], cache, metric)
