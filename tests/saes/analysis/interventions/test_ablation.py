"""Ablating latents: by a hook, one at a time, and all active ones from one run."""

from functools import partial

import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random
from tests.saes.analysis.conftest import RESID, Z, make_sae, make_texts, make_transcoder

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.analysis.interventions.ablation import (
    ablate_sae_latent,
    apply_latent_change,
    compute_ablation_effects,
    run_without_latent,
)
from arena_lib.saes.analysis.places import find_place


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


@pytest.mark.parametrize(("latent_idx", "seq_pos"), [(3, 1), (3, -1), (3, None), (None, 2), (None, None)])
def test_only_what_is_asked_for_becomes_zero(latent_idx, seq_pos):
    latents = 1 + torch.rand(2, 4, 6)
    before = latents.clone()
    ablated = ablate_sae_latent(latents, None, latent_idx, seq_pos)
    assert torch.equal(latents, before)
    for position in range(4):
        for latent in range(6):
            is_hit = latent_idx in (None, latent) and seq_pos in (None, position, position - 4)
            assert torch.equal(ablated[:, position, latent], torch.zeros(2) if is_hit else before[:, position, latent])
    with pytest.raises(ShapeError, match="between -4 and 3"):
        ablate_sae_latent(latents, None, 3, 4)


@pytest.mark.parametrize("form", ["llama", "attention_only"])
@pytest.mark.parametrize("hook_name", [RESID, Z, "blocks.2.hook_resid_post"])
@pytest.mark.parametrize("seq_pos", [None, 3])
def test_effects_from_one_run_are_those_of_a_run_for_each(form, hook_name, seq_pos):
    model, sae, tokens = make_random(form), make_sae(hook_name), make_texts(n_texts=2)
    place = find_place(model, sae)
    with torch.no_grad():
        clean = model(tokens)
        latents = sae.encode(place.read(tokens))
    active = (latents if seq_pos is None else latents[:, [seq_pos]]).flatten(0, 1).ne(0).any(dim=0)
    for read_at in (None, 4):
        before = metric(clean if read_at is None else clean[:, [read_at]])
        effects = compute_ablation_effects(model, sae, tokens, metric, seq_pos=seq_pos, read_at=read_at, max_tokens=48)
        assert effects.latent_idxs == active.nonzero()[:, 0].tolist()
        for latent_idx, value in zip(effects.latent_idxs, effects.values, strict=True):
            logits = run_without_latent(model, sae, tokens, latent_idx, seq_pos)
            alone = metric(logits if read_at is None else logits[:, [read_at]]) - before
            torch.testing.assert_close(value, alone, rtol=1e-6, atol=1e-9)
    assert (effects.values.abs().max() > 1e-3) == (hook_name != "blocks.2.hook_resid_post" or seq_pos is None)


def test_a_transcoders_latents_have_the_effects_of_a_run_for_each(llama):
    sae, tokens = make_transcoder(), make_texts(n_texts=2)
    effects = compute_ablation_effects(llama, sae, tokens, metric, read_at=-1)
    alone = [metric(run_without_latent(llama, sae, tokens, i)) - metric(llama(tokens)) for i in effects.latent_idxs]
    torch.testing.assert_close(effects.values, torch.stack(alone).detach(), rtol=1e-6, atol=1e-9)
    assert effects.values.abs().max() > 1e-2


def test_a_bridge_has_the_effects_of_our_form():
    sae, tokens = make_sae(Z), make_texts(n_texts=2, seq=7)
    ours, theirs = (
        compute_ablation_effects(model, sae, tokens, metric, [1, 4, 9])
        for model in (make_random("gpt2"), make_bridge("gpt2"))
    )
    torch.testing.assert_close(ours.values, theirs.values.to(ours.values), rtol=1e-4, atol=1e-4)


def test_the_error_stays_where_every_latent_is_ablated(llama, sae):
    tokens, place = make_texts(), find_place(llama, sae)
    seen = []
    hooks = [*place.edit(partial(ablate_sae_latent)), (RESID, lambda acts, hook: seen.append(acts))]
    with torch.no_grad():
        place.lm.run(tokens, hooks)
        acts = place.read(tokens)
        expected = acts - sae(acts) + sae.b_dec
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)


def test_a_latent_that_isnt_active_has_no_effect(llama, sae):
    with torch.no_grad():
        sae.b_enc[9] = -1e6
    effects = compute_ablation_effects(llama, sae, make_texts(), metric, [9])
    assert effects.values.tolist() == pytest.approx([0.0], abs=1e-12)


def test_the_strongest_are_listed_by_size(llama, sae):
    effects = compute_ablation_effects(llama, sae, make_texts(), metric)
    strongest = effects.strongest(4)
    sizes = [abs(value) for _, value in strongest]
    assert sizes == sorted((abs(value) for value in effects.values.tolist()), reverse=True)[:4]
    assert all(effects.values[effects.latent_idxs.index(latent)].item() == value for latent, value in strongest)


def test_what_cannot_work_is_refused(llama, sae):
    tokens = make_texts()
    with pytest.raises(UnknownNameError, match="no latent is called '99'"):
        compute_ablation_effects(llama, sae, tokens, metric, [99])
    with pytest.raises(ShapeError, match="a position must be between -8 and 7"):
        compute_ablation_effects(llama, sae, tokens, metric, seq_pos=8)
    with pytest.raises(ConfigError, match="the hook must be in a block"):
        compute_ablation_effects(llama, sae, tokens, metric, hook_name="hook_embed")
    with pytest.raises(ShapeError, match="the metric must return one number"):
        compute_ablation_effects(llama, sae, tokens, lambda logits: logits[:, -1, 0])
    with torch.no_grad():
        sae.b_enc -= 1e6
    with pytest.raises(ConfigError, match="a latent must be active on the prompts"):
        compute_ablation_effects(llama, sae, tokens, metric)


@pytest.mark.parametrize("hook_name", [RESID, Z])
def test_a_change_of_latents_is_what_a_run_with_the_error_kept_makes_of_it(llama, hook_name):
    sae, tokens = make_sae(hook_name), make_texts(n_texts=2)
    place = find_place(llama, sae)
    with torch.no_grad():
        acts = place.read(tokens)
        latents = sae.encode(acts)
        changed = ablate_sae_latent(latents, latent_idx=int((latents > 0).sum(dim=(0, 1)).argmax()), seq_pos=4)
        replaced = apply_latent_change(acts, latents, changed, sae.W_dec)
        logits = place.lm.run(tokens, [(hook_name, lambda tensor, hook: replaced.view(tensor.shape))])
        kept = place.lm.run(tokens, place.edit(lambda latents, place: changed))
    assert not torch.equal(acts, replaced)
    torch.testing.assert_close(logits, kept, rtol=1e-9, atol=1e-9)
