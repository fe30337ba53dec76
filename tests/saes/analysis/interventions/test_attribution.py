"""Attribution of latents: first order against small ablations, and integrated gradients by completeness."""

import math

import pytest
import torch
from tests.interp.patching.conftest import make_random
from tests.saes.analysis.conftest import RESID, Z, make_sae, make_texts, make_transcoder

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.interventions.ablation import run_without_latent
from arena_lib.saes.analysis.interventions.attribution import (
    EffectComparison,
    attribute_ablations,
    attribute_latents,
    compare_ablation_to_attribution,
)
from arena_lib.saes.analysis.places import find_place

STEP = 1e-5
"""So small a part of a latent that the model is straight along it."""


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


@pytest.mark.parametrize("form", ["llama", "attention_only"])
@pytest.mark.parametrize("hook_name", [RESID, Z, "blocks.2.hook_resid_post"])
@pytest.mark.parametrize("read_at", [None, 4])
def test_taking_a_little_of_a_latent_away_does_what_its_attribution_says(form, hook_name, read_at):
    model, sae, tokens = make_random(form), make_sae(hook_name), make_texts(n_texts=2)
    place = find_place(model, sae)
    effects = attribute_latents(model, sae, tokens, metric, read_at=read_at)
    with torch.no_grad():
        latents = sae.encode(place.read(tokens))
        where = slice(None) if read_at is None else [read_at]
        before = metric(model(tokens)[:, where])
        strongest = effects.flatten().abs().argsort(descending=True)[:6].tolist()
        for flat in strongest:
            text, position, latent = (int(i) for i in torch.unravel_index(torch.tensor(flat), effects.shape))

            def shrink(latents, hook, at=(text, position, latent)):
                latents[at] *= 1 - STEP

            change = (metric(place.lm.run(tokens, place.edit(shrink))[:, where]) - before) / STEP
            assert effects[text, position, latent].item() == pytest.approx(change.item(), rel=1e-3)
    assert torch.equal(effects != 0, (effects != 0) & (latents != 0))
    assert effects.abs().max() > 1e-3


def test_integrated_effects_sum_to_what_ablating_all_latents_does():
    model, sae, tokens = make_random("llama"), make_sae(), make_texts(n_texts=2)
    with torch.no_grad():
        whole = (metric(run_without_latent(model, sae, tokens)) - metric(model(tokens))).item()
    errors = []
    for n_steps in (None, 4, 64):
        effects = attribute_latents(model, sae, tokens, metric, n_steps=n_steps, max_tokens=100)
        errors.append(abs(effects.sum().item() - whole) / abs(whole))
    assert errors[2] < 5e-3
    assert errors[2] < errors[1] < errors[0]


def test_a_transcoders_effects_sum_too(llama):
    sae, tokens = make_transcoder(), make_texts(n_texts=2)
    whole = (metric(run_without_latent(llama, sae, tokens)) - metric(llama(tokens))).item()
    effects = attribute_latents(llama, sae, tokens, metric, n_steps=64)
    assert effects.sum().item() == pytest.approx(whole, rel=5e-3)


def test_where_the_model_is_linear_attribution_is_ablation():
    """With one latent active, unembedding alone after it and a metric linear in logits of an attention-only model's end."""
    latents = torch.rand(2, 3, 5, dtype=torch.float64)
    W_dec = torch.randn(5, 4, dtype=torch.float64)
    weights = torch.randn(2, 3, 4, dtype=torch.float64)
    effects = attribute_ablations(latents, weights, W_dec)
    for latent in range(5):
        without = latents.clone()
        without[..., latent] = 0
        change = ((without - latents) @ W_dec * weights).sum(dim=-1)
        torch.testing.assert_close(effects[..., latent], change)


def test_the_comparison_has_both_effects_of_the_same_latents(llama, sae):
    tokens = make_texts(n_texts=1)
    for seq_pos in (None, 4, -1):
        both = compare_ablation_to_attribution(llama, sae, tokens, metric, seq_pos=seq_pos)
        attributed = attribute_latents(llama, sae, tokens, metric)
        attributed = attributed.sum(dim=(0, 1)) if seq_pos is None else attributed[0, seq_pos]
        torch.testing.assert_close(both.attribution, attributed[both.latent_idxs])
        before = metric(llama(tokens))
        alone = [metric(run_without_latent(llama, sae, tokens, i, seq_pos)) - before for i in both.latent_idxs]
        torch.testing.assert_close(both.ablation, torch.stack(alone).detach(), rtol=1e-6, atol=1e-9)
        reference = torch.corrcoef(torch.stack([both.ablation, both.attribution]))[0, 1].item()
        assert both.correlation == pytest.approx(reference)
        differences = (both.ablation - both.attribution).abs()
        assert abs(both.worst[1] - both.worst[2]) == differences.max().item()
    assert len(both.show().data[0].x) == len(both.latent_idxs)


def test_two_effects_are_needed_for_a_correlation():
    single = EffectComparison([3], torch.tensor([1.0]), torch.tensor([2.0]))
    assert math.isnan(single.correlation)


def test_what_cannot_work_is_refused(llama, sae):
    tokens = make_texts()
    with pytest.raises(ConfigError, match="n_steps must be at least 1: got 0"):
        attribute_latents(llama, sae, tokens, metric, n_steps=0)
    with pytest.raises(ConfigError, match="must pass gradients on"):
        attribute_latents(llama, sae, tokens, lambda logits: logits.detach().sum())
    with pytest.raises(ConfigError, match="inference_mode"), torch.inference_mode():
        attribute_latents(llama, sae, tokens, metric)


def test_weights_get_no_gradients(llama, sae):
    attribute_latents(llama, sae, make_texts(), metric, n_steps=2)
    assert all(parameter.grad is None for parameter in [*llama.parameters(), *sae.parameters()])
