"""Attribution patching against activation patching where both agree, and integrated gradients by completeness."""

import pytest
import torch

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.attribution import BLOCK_SITES, HEAD_SITES, attribute_patches
from arena_lib.interp.patching.sweeps import sweep_blocks, sweep_heads

STEP = 1e-5
"""So small a part of the way between two runs that the model is straight along it."""


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


def sites_of(lm):
    return [site for site in (*BLOCK_SITES, *HEAD_SITES) if lm.has_mlp or site not in ("resid_mid", "mlp_out")]


@torch.no_grad()
def near(lm, tokens, others):
    """Activations a small step from those of `tokens` towards those of the others, each by itself."""
    own, source = (lm.run_with_cache(each)[1] for each in (tokens, others))
    return {name: own[name] + STEP * (source[name] - own[name]) for name in own}


@pytest.mark.parametrize("read_at", [None, -1])
def test_a_small_patch_does_what_its_attribution_says(model, prompts, read_at):
    clean, corrupted = prompts
    lm = hooked(model)
    source = near(lm, corrupted, clean)
    sites = sites_of(lm)
    scores = attribute_patches(model, corrupted, source, metric, sites, read_at=read_at)
    by_position = attribute_patches(model, corrupted, source, metric, sites, by_position=True, read_at=read_at)
    with torch.no_grad():
        base = metric(lm.run(corrupted))
    for site in sites:
        if site in BLOCK_SITES:
            pairs = [(scores[site], sweep_blocks(model, corrupted, source, metric, site))]
        else:
            placed = sweep_heads(model, corrupted, source, metric, site, by_position=True)
            pairs = [(scores[site], sweep_heads(model, corrupted, source, metric, site)), (by_position[site], placed)]
        for found, patched in pairs:
            effect = patched - base
            torch.testing.assert_close(found, effect, rtol=0, atol=1e-3 * float(effect.abs().max()))
            assert effect.abs().max() > 1e-3 * STEP


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_has_the_scores_of_our_form(model_of, bridged, prompts, form):
    clean, corrupted = prompts
    found = []
    for model in (model_of(form), bridged(form)):
        lm = hooked(model)
        with torch.no_grad():
            source = lm.run_with_cache(clean)[1]
        found.append(attribute_patches(model, corrupted, source, metric, sites_of(lm), read_at=-1))
    for site, ours in found[0].items():
        torch.testing.assert_close(found[1][site], ours, rtol=0, atol=1e-4 * float(ours.abs().max()))


def test_integrated_gradients_of_the_input_add_up_to_the_difference(model, prompts):
    clean, corrupted = prompts
    with torch.no_grad():
        source = model.run_with_cache(clean)[1]
        difference = metric(model(clean)) - metric(model(corrupted))
    missing = []
    for n_steps in (50, 100, 200):
        scores = attribute_patches(
            model, corrupted, source, metric, ["resid_pre"], n_steps=n_steps, read_at=-1, max_tokens=500
        )
        missing.append(abs(float(scores["resid_pre"][0].sum() - difference)))
    assert missing[2] < 1e-3 * abs(float(difference))
    assert missing[2] < missing[0] / 3
    plain = attribute_patches(model, corrupted, source, metric, ["resid_pre"])["resid_pre"][0].sum()
    assert abs(float(plain - difference)) > 10 * missing[2]


def test_one_step_is_the_gradient_half_way(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    with torch.no_grad():
        own, source = (model.run_with_cache(tokens)[1] for tokens in (corrupted, clean))
    start, way = own["resid_pre", 0], source["resid_pre", 0] - own["resid_pre", 0]
    half = (start + way / 2).requires_grad_()
    (gradient,) = torch.autograd.grad(metric(model(half, start_at_layer=0)), half)
    found = attribute_patches(model, corrupted, source, metric, ["resid_pre"], n_steps=1)["resid_pre"][0]
    torch.testing.assert_close(found, (gradient * way).sum(dim=(0, 2)), rtol=0, atol=1e-10)


def test_steps_in_parts_are_steps_at_once(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("llama")
    with torch.no_grad():
        source = model.run_with_cache(clean)[1]
    given = (model, corrupted, source, metric, ["z", "mlp_out"])
    once = attribute_patches(*given, n_steps=5, read_at=torch.tensor([3, 6, 2]))
    parts = attribute_patches(*given, n_steps=5, read_at=torch.tensor([3, 6, 2]), max_tokens=45)
    for site in once:
        torch.testing.assert_close(parts[site], once[site])


def test_weights_that_are_frozen_and_a_caller_without_gradients_change_nothing(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    with torch.no_grad():
        source = model.run_with_cache(clean)[1]
    expected = attribute_patches(model, corrupted, source, metric)["z"]
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        found = attribute_patches(model.requires_grad_(False), corrupted, source, metric)["z"]
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    assert expected.shape == (3, 4)


def test_all_sites_together_take_one_pass_forward_and_back(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    with torch.no_grad():
        source = model.run_with_cache(clean)[1]
    passes = []
    model.add_hook("ln_final.hook_scale", lambda scale, hook: passes.append(torch.is_grad_enabled()))
    attribute_patches(model, corrupted, source, metric, [*BLOCK_SITES, *HEAD_SITES])
    assert passes == [False, True]


def test_bad_input_says_what_must_hold(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    with torch.no_grad():
        source = model.run_with_cache(clean)[1]
    with pytest.raises(UnknownNameError, match=r"no site is called 'resid_pst'. Did you mean 'resid_post'"):
        attribute_patches(model, corrupted, source, metric, ["resid_pst"])
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks.0.hook_mlp_out'"):
        attribute_patches(model_of("attention_only"), corrupted, source, metric, ["mlp_out"])
    with pytest.raises(ConfigError, match="a metric must pass gradients on"):
        attribute_patches(model, corrupted, source, lambda logits: logits.detach().sum())
    with pytest.raises(ConfigError, match="n_steps must be at least 1: got 0"):
        attribute_patches(model, corrupted, source, metric, n_steps=0)
    with pytest.raises(ConfigError, match=r"inside torch\.inference_mode\(\)"), torch.inference_mode():
        attribute_patches(model, corrupted, source, metric)
