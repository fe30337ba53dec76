"""A latent's tokens: held to what adding its direction really does to the logits, and refused where that has no meaning."""

import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random
from tests.saes.analysis.conftest import RESID, WordTokenizer, Z, make_sae

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.analysis.directions.logits import (
    compute_latent_embeddings,
    compute_latent_logits,
    find_top_deembeddings,
    find_top_logits,
    show_top_deembeddings,
    show_top_logits,
)

LAST = "blocks.2.hook_resid_post"


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
@pytest.mark.parametrize("hook_name", [LAST, "blocks.2.attn.hook_z"])
def test_logits_are_what_a_direction_adds_where_the_scale_is_held(form, hook_name):
    model, sae = make_random(form), make_sae(hook_name)
    direction = sae.W_dec[5].detach()
    if hook_name.endswith("hook_z"):
        direction = torch.einsum("nh,nhm->m", direction.view(4, 6), model.blocks[2].attn.W_O)
    resid = torch.randn(1, 1, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    size = 1e-6
    with torch.no_grad():
        scale = (resid - (resid.mean(-1, keepdim=True) if form != "llama" else 0)).square().mean(-1).add(1e-5).sqrt()
        added = (model.unembed(model.ln_final(resid + size * direction)) - model.unembed(model.ln_final(resid))) / size
        # The scale changes too: along the normalised stream itself, by a multiple that one number says.
        normed = model.unembed(model.ln_final(resid)) - model.unembed(model.ln_final(torch.zeros_like(resid)))
        expected = compute_latent_logits(model, sae, [5])[0]
    difference = (added * scale)[0, 0] - expected
    difference = difference - difference.mean()
    along = normed[0, 0] - normed[0, 0].mean()
    rest = difference - along * (difference @ along) / (along @ along)
    assert rest.abs().max() < 1e-3 * expected.abs().max()
    assert expected.mean().abs() < 1e-12


def test_a_bridge_has_the_logits_of_our_form():
    sae = make_sae(Z)
    ours, theirs = (compute_latent_logits(model, sae, [0, 9]) for model in (make_random("gpt2"), make_bridge("gpt2")))
    torch.testing.assert_close(ours, theirs.to(ours), rtol=1e-6, atol=1e-6)


def test_both_ends_are_listed_with_the_largest_and_the_smallest_first(llama, sae):
    logits = compute_latent_logits(llama, sae, [7])[0]
    order = logits.argsort(descending=True).tolist()
    effects = find_top_logits(llama, sae, 7, 3)
    assert effects.top == [(f" w{i}", logits[i].item()) for i in order[:3]]
    assert effects.bottom == [(f" w{i}", logits[i].item()) for i in order[:-4:-1]]
    figure = show_top_logits(llama, sae, 7, 3)
    assert list(figure.data[0].x) == sorted(figure.data[0].x, reverse=True)
    assert len(figure.data[0].x) == 6


def test_deembeddings_are_what_each_embedding_adds_to_a_latent(llama, sae):
    effects = compute_latent_embeddings(llama, sae, [2, 11])
    with torch.no_grad():
        pre_acts = sae.compute_pre_acts(llama.W_E)[:, [2, 11]].T
    torch.testing.assert_close(effects, pre_acts - pre_acts.mean(dim=-1, keepdim=True))
    best = int(effects[1].argmax())
    assert find_top_deembeddings(llama, sae, 11, 2).top[0] == (f" w{best}", pytest.approx(effects[1, best].item()))
    assert show_top_deembeddings(llama, sae, 11, 2).data[0].x[0] == pytest.approx(effects[1, best].item())


def test_hooks_off_the_stream_are_refused():
    model = make_random("llama")
    model.tokenizer = WordTokenizer()
    with pytest.raises(ConfigError, match="must write to the residual stream, which has 24 axes"):
        find_top_logits(model, make_sae("blocks.1.mlp.hook_post", d_in=31), 3)
    with pytest.raises(ConfigError, match="that read the residual stream's 24 axes"):
        find_top_deembeddings(model, make_sae(Z), 3)
    with pytest.raises(ConfigError, match="k must be between 1 and 23"):
        find_top_logits(model, make_sae(RESID), 3, k=24)
    with pytest.raises(UnknownNameError, match="no latent is called '-1'"):
        find_top_logits(model, make_sae(RESID), -1)
