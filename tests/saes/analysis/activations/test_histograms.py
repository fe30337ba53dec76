"""How often and how strongly latents are active: counted by hand, and drawn."""

import pytest
import torch
from tests.saes.analysis.conftest import PAD

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.activations.examples import find_top_examples
from arena_lib.saes.analysis.activations.histograms import (
    collect_activations,
    compute_activation_stats,
    sample_quantiles,
    show_activation_histogram,
)
from arena_lib.saes.analysis.places import find_place


@pytest.fixture
def counted(llama, sae, texts):
    """The latents at tokens that count."""
    return find_place(llama, sae).encode(texts).detach()[texts != PAD]


def test_statistics_are_those_of_all_activations(llama, sae, texts, counted, monkeypatch):
    monkeypatch.setattr("arena_lib.saes.analysis.activations.texts.BATCH_SIZE", 3)
    stats = compute_activation_stats(llama, sae, texts)
    assert stats.n_tokens == len(counted) == 77
    assert torch.equal(stats.n_active, (counted > 0).sum(dim=0))
    torch.testing.assert_close(stats.active_share, (counted > 0).double().mean(dim=0).float())
    for latent in range(37):
        active = counted[:, latent][counted[:, latent] > 0]
        assert stats.mean[latent].item() == pytest.approx(float(active.mean()) if len(active) else 0.0, rel=1e-5)
        assert stats.max[latent].item() == pytest.approx(float(active.max()) if len(active) else 0.0, rel=1e-5)


def test_frequencies_are_drawn_for_the_latents_that_are_active(llama, sae, texts):
    with torch.no_grad():
        sae.b_enc[[4, 9]] = -1e6
    stats = compute_activation_stats(llama, sae, texts)
    figure = stats.show()
    n_dead = int((stats.n_active == 0).sum())
    assert n_dead >= 2
    assert sum(figure.data[0].y) == 37 - n_dead
    assert figure.layout.title.text == f"37 latents over 77 tokens; {n_dead} never active"
    edges = figure.data[0].customdata
    assert edges[-1][1] == pytest.approx(stats.active_share.max().log10().item(), abs=1e-5)


def test_collected_activations_lead_to_the_same_examples(llama, sae, texts, counted):
    collected = collect_activations(llama, sae, texts, range(37))
    top = find_top_examples(llama, sae, texts, range(37), k=4, buffer=2)
    for latent in range(37):
        acts = collected[latent]
        assert torch.equal(acts.values, counted[:, latent][counted[:, latent] > 0])
        assert acts.active_share == pytest.approx(float((counted[:, latent] > 0).double().mean()))
        assert acts.largest(4, buffer=2) == top[latent]


def test_padding_is_left_out_of_what_is_collected(llama, sae, texts):
    alone = collect_activations(llama, sae, [texts[:1, :5], texts[1:2]], [3, 8])
    left = torch.cat([torch.zeros(1, 3, dtype=torch.long), texts[:1, :5]], dim=1)
    tokens = torch.cat([left, texts[1:2]])
    mask = torch.ones_like(tokens)
    mask[0, :3] = 0
    padded = collect_activations(llama, sae, [(tokens, mask)], [3, 8])
    for latent in (3, 8):
        torch.testing.assert_close(padded[latent].values, alone[latent].values)
        assert torch.equal(padded[latent].rows, alone[latent].rows)
        assert torch.equal(padded[latent].positions, alone[latent].positions)
        assert padded[latent].reading.n_tokens == alone[latent].reading.n_tokens == 11


def test_the_histogram_shows_every_activation_and_says_how_many_tokens(llama, sae, texts, counted):
    latent = int((counted > 0).sum(dim=0).argmax())
    figure = show_activation_histogram(llama, sae, texts, latent)
    n_active = int((counted[:, latent] > 0).sum())
    assert sum(figure.data[0].y) == n_active
    assert figure.layout.title.text == f"Latent {latent}: active on {100 * n_active / 77:.3g}% of 77 tokens"


def test_samples_come_from_all_of_the_range(llama, sae, texts, counted):
    latent = int((counted > 0).sum(dim=0).argmax())
    acts = collect_activations(llama, sae, texts, [latent])[latent]
    ordered = acts.values.sort().values.tensor_split(4)
    samples = sample_quantiles(acts, 4, 2, generator=make_generator(0))
    assert [len(part) for part in samples] == [2, 2, 2, 2]
    for part, values in zip(samples, ordered, strict=True):
        assert all(values.min() <= example.activation <= values.max() for example in part)
        assert part[0].activation >= part[1].activation
    drawn = [sample_quantiles(acts, 4, 2, generator=make_generator(seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] == samples
    assert drawn[2] != samples
    with pytest.raises(ConfigError, match="at least one part"):
        sample_quantiles(acts, 0, 2, generator=make_generator(0))


def test_a_latent_that_is_never_active_has_no_examples(llama, sae, texts):
    with torch.no_grad():
        sae.b_enc[9] = -1e6
    acts = collect_activations(llama, sae, texts, [9])[9]
    assert acts.active_share == 0
    assert acts.largest(3) == []
    assert sample_quantiles(acts, 2, 1, generator=make_generator(0)) == [[], []]
    assert sum(show_activation_histogram(llama, sae, texts, 9).data[0].y) == 0
