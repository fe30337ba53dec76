"""Sweeps against one run of the model for each patch, at every site, of every form and the bridge."""

from functools import partial

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.sweeps import (
    EVERY_HEAD_SITE,
    sweep_blocks,
    sweep_every_block,
    sweep_every_head,
    sweep_heads,
)
from arena_lib.transformer.activations.hooks import get_act_name

FORMS = ["gpt2", "llama", "attention_only"]
BLOCK_SITES = ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"]


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean() + (logits[0, -1] * logits[1, -1]).sum()


def metric_of_all(logits):
    assert logits.shape == (3, 7, 23)
    return (logits[..., 2] * torch.arange(1.0, 8.0)).sum() + logits[2, 1].square().sum()


def put(activation, hook, source, index):
    patched = activation.clone()
    patched[index] = source[index]
    return patched


def loop(model, tokens, source_cache, metric, site, indices):
    """The definition: one whole run for each layer and index."""
    lm = hooked(model)
    rows = []
    for layer in range(lm.n_layers):
        source = source_cache[site, layer]
        name = get_act_name(site, layer)
        rows.append(
            torch.stack([metric(lm.run(tokens, [(name, partial(put, source=source, index=i))])) for i in indices])
        )
    return torch.stack(rows)


def block_indices(seq):
    return [(slice(None), position) for position in range(seq)]


def head_indices(lm, site, positions):
    """By query head, then position; heads that share a key have its index."""
    shares = lm.n_heads // lm.n_kv_heads if site in ("k", "v") else 1
    if site == "pattern":
        return [(slice(None), head, place) for head in range(lm.n_heads) for place in positions]
    return [(slice(None), place, head // shares) for head in range(lm.n_heads) for place in positions]


@pytest.fixture(params=[(form, is_bridge) for form in FORMS for is_bridge in (False, True)][:-1], ids=str)
def any_model(request, bridged, model_of):
    form, is_bridge = request.param
    return bridged(form) if is_bridge else model_of(form)


def run(model, tokens):
    with torch.no_grad():
        return hooked(model).run_with_cache(tokens)[1]


@torch.no_grad()
@pytest.mark.parametrize("site", BLOCK_SITES)
def test_block_sweeps_are_the_loops(any_model, prompts, site):
    clean, corrupted = prompts
    lm = hooked(any_model)
    if not lm.has_mlp and site in ("resid_mid", "mlp_out"):
        pytest.skip("the form has no such site")
    for tokens, source in ((corrupted, run(any_model, clean)), (clean, run(any_model, corrupted))):
        loop_site = "attn_out" if site == "resid_mid" else site
        if site == "resid_mid":  # what is written there doesn't reach a bridge's residual stream
            own = run(any_model, tokens)
            change = {("attn_out", i): own["attn_out", i] + source[site, i] - own[site, i] for i in range(lm.n_layers)}
        expected = loop(
            any_model, tokens, change if site == "resid_mid" else source, metric, loop_site, block_indices(7)
        )
        for settings in ({}, {"read_at": -1}, {"read_at": torch.tensor([6, -1, 6]), "max_tokens": 50}):
            found = sweep_blocks(any_model, tokens, source, metric, site, **settings)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@torch.no_grad()
@pytest.mark.parametrize("site", EVERY_HEAD_SITE)
def test_head_sweeps_are_the_loops(any_model, prompts, site):
    clean, corrupted = prompts
    lm = hooked(any_model)
    source = run(any_model, clean)
    everywhere = loop(any_model, corrupted, source, metric, site, head_indices(lm, site, [slice(None)]))
    some = [0, 4, 6]
    placed = loop(any_model, corrupted, source, metric, site, head_indices(lm, site, some))
    for settings in ({}, {"read_at": -1, "max_tokens": 50}):
        found = sweep_heads(any_model, corrupted, source, metric, site, **settings)
        torch.testing.assert_close(found, everywhere, rtol=0, atol=1e-8)
        found = sweep_heads(any_model, corrupted, source, metric, site, by_position=True, **settings)
        torch.testing.assert_close(found[..., some], placed.unflatten(1, (lm.n_heads, 3)), rtol=0, atol=1e-8)
        assert found.shape == (3, 4, 7)
    assert (everywhere - metric(lm.run(corrupted))).abs().max() > 1e-3


@torch.no_grad()
def test_a_metric_may_read_every_position(model, prompts):
    clean, corrupted = prompts
    source = run(model, clean)
    expected = loop(model, corrupted, source, metric_of_all, "z", head_indices(hooked(model), "z", [slice(None)]))
    torch.testing.assert_close(sweep_heads(model, corrupted, source, metric_of_all), expected, rtol=0, atol=1e-8)
    expected = loop(model, corrupted, source, metric_of_all, "resid_pre", block_indices(7))
    found = sweep_blocks(model, corrupted, source, metric_of_all, "resid_pre")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


def test_each_prompt_may_be_read_at_its_own_position(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("llama")
    ends = torch.tensor([2, 6, 4])
    source = run(model, clean)
    for sweep, site in ((sweep_heads, "v"), (sweep_blocks, "mlp_out"), (sweep_blocks, "resid_post")):
        whole = sweep(model, corrupted, source, lambda logits: logits[torch.arange(3), ends, 4].sum(), site)
        cut = sweep(model, corrupted, source, lambda logits: logits[:, 0, 4].sum(), site, read_at=ends)
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-10)


def test_every_sweep_stacks_its_sites(model, prompts):
    clean, corrupted = prompts
    source = run(model, clean)
    heads = sweep_every_head(model, corrupted, source, metric, read_at=-1)
    assert heads.shape == (5, 3, 4)
    for row, site in zip(heads, ("z", "q", "k", "v", "pattern"), strict=True):
        torch.testing.assert_close(row, sweep_heads(model, corrupted, source, metric, site))
    assert sweep_every_head(model, corrupted, source, metric, by_position=True).shape == (5, 3, 4, 7)
    blocks = sweep_every_block(model, corrupted, source, metric, read_at=-1)
    sites = ["resid_pre", "attn_out", "mlp_out"][: len(blocks)]
    assert len(blocks) == (3 if hooked(model).has_mlp else 2)
    for row, site in zip(blocks, sites, strict=True):
        torch.testing.assert_close(row, sweep_blocks(model, corrupted, source, metric, site))


def test_a_plain_dictionary_serves_as_a_cache(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    source = dict(run(model, clean))
    assert isinstance(next(iter(source)), str)
    sweep_heads(model, corrupted, source, metric, "q")


def test_no_result_holds_on_to_a_graph(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    assert not sweep_heads(model, corrupted, run(model, clean), metric).requires_grad
    assert not sweep_blocks(model, corrupted, run(model, clean), metric, "attn_out").requires_grad


def test_bad_input_says_what_must_hold(model_of, prompts):
    clean, corrupted = prompts
    model, source = model_of("gpt2"), run(model_of("gpt2"), clean)
    with pytest.raises(UnknownNameError, match=r"no site is called 'resid_prep'. Did you mean 'resid_pre'"):
        sweep_blocks(model, corrupted, source, metric, "resid_prep")
    with pytest.raises(UnknownNameError, match="no site is called 'result'"):
        sweep_heads(model, corrupted, source, metric, "result")
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks.0.hook_mlp_out'"):
        sweep_blocks(model_of("attention_only"), corrupted, source, metric, "mlp_out")
    with pytest.raises(ShapeError, match="both runs must have the same prompts by number and length"):
        sweep_heads(model, corrupted[:, :5], source, metric)
    with pytest.raises(ConfigError, match=r"must return a tensor: got float"):
        sweep_heads(model, corrupted, source, lambda logits: metric(logits).item())
    with pytest.raises(ShapeError, match="must return one number"):
        sweep_heads(model, corrupted, source, lambda logits: logits[:, -1, 2])
    with pytest.raises(ShapeError, match="a position must be between -7 and 6: got 7"):
        sweep_heads(model, corrupted, source, metric, read_at=7)
    with pytest.raises(ShapeError, match=r"one for each of 3 prompts: got shape \(2,\)"):
        sweep_heads(model, corrupted, source, metric, read_at=torch.tensor([1, 2]))
