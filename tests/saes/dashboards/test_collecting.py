"""What is collected for pages: the same as each part of the analysis gives by itself."""

import pytest
import torch
from tests.interp.patching.conftest import make_random
from tests.saes.analysis.conftest import RESID, WordTokenizer, Z, make_sae, make_texts, make_transcoder

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.analysis.activations.examples import find_top_examples
from arena_lib.saes.analysis.activations.histograms import collect_activations, sample_quantiles
from arena_lib.saes.analysis.directions.logits import find_top_deembeddings, find_top_logits
from arena_lib.saes.dashboards.collecting import DashboardConfig, collect_dashboards


@pytest.fixture
def model():
    model = make_random("llama")
    model.tokenizer = WordTokenizer()
    return model


def test_each_part_is_what_the_analysis_gives(model):
    sae, texts = make_sae(), make_texts()
    cfg = DashboardConfig(k=4, buffer=2, n_each=2)
    dashboards = collect_dashboards(model, sae, texts, [8, 3], cfg, explanations={3: "names"})
    top = find_top_examples(model, sae, texts, [8, 3], k=4, buffer=2)
    acts = collect_activations(model, sae, texts, [8, 3])
    for dashboard, latent_idx in zip(dashboards, (8, 3), strict=True):
        own = acts[latent_idx]
        assert dashboard.latent_idx == latent_idx
        assert dashboard.top == top[latent_idx]
        assert dashboard.quantiles == sample_quantiles(own, 5, 2, generator=make_generator(0), buffer=2)
        assert dashboard.logits == find_top_logits(model, sae, latent_idx)
        assert dashboard.deembeddings == find_top_deembeddings(model, sae, latent_idx)
        assert dashboard.active_share == own.active_share
        assert dashboard.max == float(own.values.max())
        assert sum(dashboard.counts) == dashboard.n_active == len(own.values)
        assert dashboard.edges[0] == 0
        assert dashboard.edges[-1] == pytest.approx(dashboard.max)
        cosines = torch.nn.functional.cosine_similarity(sae.W_dec[latent_idx], sae.W_dec, dim=-1)
        order = cosines.argsort(descending=True).tolist()
        assert [neighbour.latent_idx for neighbour in dashboard.decoder_neighbours] == order[1:7]
        nearest = dashboard.encoder_neighbours[0]
        expected = torch.nn.functional.cosine_similarity(sae.W_enc[:, latent_idx], sae.W_enc.T, dim=-1)
        assert nearest.cosine == pytest.approx(expected[nearest.latent_idx].item())
        assert nearest.cosine == pytest.approx(expected.sort().values[-2].item())
    assert [dashboard.explanation for dashboard in dashboards] == ["", "names"]
    assert dashboards[0].origin == {"hook": RESID, "SAE": "TopKSAE with 37 latents"}


def test_tokens_are_left_out_where_they_have_no_meaning(model):
    (of_heads,) = collect_dashboards(model, make_sae(Z), make_texts(), [3])
    assert of_heads.logits is not None
    assert of_heads.deembeddings is None
    (inside,) = collect_dashboards(model, make_sae("blocks.1.mlp.hook_post", d_in=31), make_texts(), [3])
    assert inside.logits is None
    (transcoder,) = collect_dashboards(model, make_transcoder(), make_texts(), [3])
    assert transcoder.logits is not None


def test_a_dead_latent_has_a_page_too(model):
    sae = make_sae()
    with torch.no_grad():
        sae.b_enc[9] = -1e6
    (dead,) = collect_dashboards(model, sae, make_texts(), [9])
    assert (dead.n_active, dead.max, dead.top, sum(dead.counts)) == (0, 0.0, [], 0)
    assert dead.quantiles == [[]] * 5


def test_what_cannot_work_is_refused(model):
    with pytest.raises(ConfigError, match="there must be a latent to show"):
        collect_dashboards(model, make_sae(), make_texts(), [])
    with pytest.raises(UnknownNameError, match="no latent is called '37'"):
        collect_dashboards(model, make_sae(), make_texts(), [37])
    with pytest.raises(ConfigError, match="k must be at least 1"):
        DashboardConfig(k=0)
    with pytest.raises(ConfigError, match="n_neighbours"):
        DashboardConfig(n_neighbours=0)
