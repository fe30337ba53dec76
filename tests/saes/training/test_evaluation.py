"""An evaluation beside the same numbers computed from whole runs; padding; what can't be evaluated."""

import pytest
import torch
from tests.saes.training.toys import D_MODEL, MLP_IN, MLP_OUT, RESID, SEQ, TOKENS, make_model, make_sae

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.training import metrics
from arena_lib.saes.training.evaluation import evaluate_sae
from arena_lib.saes.training.splicing import run_with_sae
from arena_lib.transformer.fast.padding import pad_left
from arena_lib.transformer.loss import cross_entropy_next_token


def ablate(model, tokens, value, name=RESID):
    logits = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda tensor, hook: value.expand_as(tensor))])
    return cross_entropy_next_token(logits, tokens).item()


@torch.no_grad()
def test_every_number_is_that_of_whole_runs():
    model, sae, tokens = make_model(), make_sae(), TOKENS[:10]
    acts = model.run_with_cache(tokens)[1][RESID].flatten(0, 1)
    recon, latents = sae(acts), sae.encode(acts)
    clean = cross_entropy_next_token(model(tokens), tokens).item()
    spliced = cross_entropy_next_token(run_with_sae(model, sae, tokens, RESID), tokens).item()
    mean, zero = ablate(model, tokens, acts.mean(dim=0)), ablate(model, tokens, torch.zeros(D_MODEL))
    frequencies = metrics.compute_frequencies(latents)
    expected = {
        "l0": metrics.compute_l0(latents).item(),
        "added_loss": spliced - clean,
        "loss_recovered": (mean - spliced) / (mean - clean),
        "loss_recovered_zero": (zero - spliced) / (zero - clean),
        "clean_loss": clean,
        "spliced_loss": spliced,
        "mean_ablated_loss": mean,
        "zero_ablated_loss": zero,
        "fvu": metrics.compute_fvu(acts, recon).item(),
        "cosine": metrics.compute_cosine(acts, recon).item(),
        "norm_ratio": metrics.compute_norm_ratio(acts, recon).item(),
        "relative_bias": metrics.compute_relative_bias(acts, recon).item(),
        "dead_share": metrics.compute_dead_share(frequencies).item(),
        "dense_share": metrics.compute_dense_share(frequencies).item(),
        "n_positions": 10 * SEQ,
    }
    for batch_size in (3, 10, 32):
        found = evaluate_sae(model, sae, tokens, RESID, batch_size=batch_size).to_dict()
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_counts_nowhere(side):
    model, sae = make_model(), make_sae(hook_name=RESID)
    mask = torch.ones(6, SEQ, dtype=torch.bool)
    mask[::2, 4:] = False
    tokens = TOKENS[:6].where(mask, 0)
    other = TOKENS[:6].where(mask, 7)  # another padding token
    pairs = [(tokens, mask), (other, mask)]
    if side == "left":
        pairs = [pad_left(*pair) for pair in pairs]
    found = [evaluate_sae(model, sae, pair[0], attention_mask=pair[1], batch_size=4).to_dict() for pair in pairs]
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-5)
    assert found[0]["n_positions"] == int(mask.sum())
    whole = evaluate_sae(model, sae, tokens).to_dict()
    assert whole["clean_loss"] != pytest.approx(found[0]["clean_loss"], rel=1e-3)


def test_padded_and_single_texts_give_the_same_losses():
    model, sae = make_model(), make_sae(hook_name=RESID)
    mask = torch.ones(1, SEQ, dtype=torch.bool)
    mask[0, 4:] = False
    alone = evaluate_sae(model, sae, TOKENS[:1, :4]).to_dict()
    padded = evaluate_sae(model, sae, TOKENS[:1], attention_mask=mask).to_dict()
    assert alone == pytest.approx(padded, rel=1e-4, abs=1e-5)


def test_positions_that_are_left_out_keep_the_models_own_activations():
    model, sae = make_model(), make_sae(hook_name=RESID)
    skipping = evaluate_sae(model, sae, TOKENS[:8], skip_first=True, skip_tokens=(4,))
    is_out = TOKENS[:8] == 4
    is_out[:, 0] = True
    logits = run_with_sae(model, sae, TOKENS[:8], is_spliced=~is_out)
    assert skipping.spliced_loss == pytest.approx(cross_entropy_next_token(logits, TOKENS[:8]).item(), rel=1e-4)
    assert skipping.n_positions == int((~is_out).sum())


@torch.no_grad()
def test_a_perfect_autoencoder_adds_no_loss():
    sae = TopKSAE(TopKSAEConfig(d_in=D_MODEL, d_sae=2 * D_MODEL, k=2 * D_MODEL), make_generator(0))
    both = torch.cat([torch.eye(D_MODEL), -torch.eye(D_MODEL)])
    sae.W_dec.copy_(both)
    sae.W_enc.copy_(both.T)
    found = evaluate_sae(make_model(), sae, TOKENS[:5], RESID)
    assert found.added_loss == pytest.approx(0, abs=1e-5)
    assert found.loss_recovered == pytest.approx(1, abs=1e-4)
    assert (found.fvu, found.dead_share) == (pytest.approx(0, abs=1e-6), 0)
    assert found.l0 == pytest.approx(D_MODEL)


def test_a_transcoder_is_measured_against_what_its_layer_writes():
    model = make_model()
    sae = make_sae(d_out=D_MODEL, subtract_b_dec=False, hook_name=MLP_IN, hook_name_out=MLP_OUT)
    found = evaluate_sae(model, sae, TOKENS[:6])
    cache = model.run_with_cache(TOKENS[:6])[1]
    target = cache[MLP_OUT].flatten(0, 1)
    assert found.fvu == pytest.approx(metrics.compute_fvu(target, sae(cache[MLP_IN].flatten(0, 1))).item(), rel=1e-4)
    assert found.zero_ablated_loss == pytest.approx(ablate(model, TOKENS[:6], torch.zeros(D_MODEL), MLP_OUT), rel=1e-4)


def test_tokens_of_which_none_counts_are_refused():
    with pytest.raises(ConfigError, match=r"needs a position that counts: got \(3, 1\) tokens"):
        evaluate_sae(make_model(), make_sae(hook_name=RESID), TOKENS[:3, :1], skip_first=True)
    with pytest.raises(ConfigError, match=r"needs a position that counts: got \(3, 1\) tokens"):
        evaluate_sae(make_model(), make_sae(hook_name=RESID), TOKENS[:3, :1])
