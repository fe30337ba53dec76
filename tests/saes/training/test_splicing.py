"""Reconstructions in place of activations: where, with or without the error, and what changed latents do."""

import pytest
import torch
from tests.saes.training.toys import D_MODEL, MLP_IN, MLP_OUT, RESID, SEQ, TOKENS, make_model, make_sae

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.training.splicing import find_hook_names, replace_positions, run_with_sae, splicing_hooks

HEADS = "blocks.1.attn.hook_z"


def run_by_hand(model, name, replacement):
    return model.run_with_hooks(TOKENS[:4], fwd_hooks=[(name, lambda tensor, hook: replacement.reshape(tensor.shape))])


def read(model, name):
    return model.run_with_cache(TOKENS[:4])[1][name]


def test_the_model_goes_on_from_the_reconstruction():
    model, sae = make_model(), make_sae()
    expected = run_by_hand(model, RESID, sae(read(model, RESID)))
    logits = run_with_sae(model, sae, TOKENS[:4], RESID)
    torch.testing.assert_close(logits, expected)
    assert (logits - model(TOKENS[:4])).abs().max() > 0.1


def test_a_hook_with_heads_is_read_and_written_with_all_of_them_side_by_side():
    model, sae = make_model(), make_sae(d_in=8)
    expected = run_by_hand(model, HEADS, sae(read(model, HEADS).flatten(2)))
    torch.testing.assert_close(run_with_sae(model, sae, TOKENS[:4], HEADS), expected)


def test_a_transcoder_reads_at_one_hook_and_writes_at_another():
    model, sae = make_model(), make_sae(d_out=D_MODEL, subtract_b_dec=False, hook_name=MLP_IN, hook_name_out=MLP_OUT)
    expected = run_by_hand(model, MLP_OUT, sae(read(model, MLP_IN)))
    torch.testing.assert_close(run_with_sae(model, sae, TOKENS[:4]), expected)


def test_some_positions_only():
    model, sae = make_model(), make_sae()
    is_spliced = torch.zeros(4, SEQ, dtype=torch.bool)
    is_spliced[2, 3:5] = True
    acts = read(model, RESID)
    logits = run_with_sae(model, sae, TOKENS[:4], RESID, is_spliced=is_spliced)
    torch.testing.assert_close(logits, run_by_hand(model, RESID, torch.where(is_spliced[..., None], sae(acts), acts)))
    own = model(TOKENS[:4])
    torch.testing.assert_close(logits[[0, 1, 3]], own[[0, 1, 3]])
    torch.testing.assert_close(logits[2, :3], own[2, :3])


def test_with_its_error_the_model_is_its_own_and_latents_have_gradients():
    model, sae = make_model(), make_sae()
    seen = []

    def watch(latents):
        seen.append(latents)
        latents.retain_grad()
        return latents

    logits = run_with_sae(model, sae, TOKENS[:4], RESID, keeps_error=True, change=watch)
    torch.testing.assert_close(logits, model(TOKENS[:4]), rtol=1e-4, atol=1e-4)
    logits[:, -1].square().sum().backward()
    (latents,) = seen
    assert (latents.grad[latents > 0] != 0).any()


def test_a_changed_latent_moves_the_activations_by_its_direction_alone():
    model, sae = make_model(), make_sae()
    acts = read(model, RESID)

    def add(latents):
        latents = latents.clone()
        latents[..., 5] += 2.0
        return latents

    logits = run_with_sae(model, sae, TOKENS[:4], RESID, keeps_error=True, change=add)
    torch.testing.assert_close(logits, run_by_hand(model, RESID, acts + 2.0 * sae.W_dec[5]), rtol=1e-4, atol=1e-4)


def test_a_model_in_half_precision_gets_its_own_dtype_back():
    model, sae = make_model().to(torch.bfloat16), make_sae()
    assert run_with_sae(model, sae, TOKENS[:2], RESID).dtype == torch.bfloat16


def test_a_bridge_gives_the_same():
    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    tokens = torch.randint(300, 500, (2, 5), generator=torch.Generator().manual_seed(0))
    sae = make_sae(d_in=128, hook_name="blocks.2.hook_resid_post")
    torch.testing.assert_close(run_with_sae(bridge, sae, tokens), run_with_sae(ours, sae, tokens), rtol=1e-3, atol=1e-3)


def test_padding_on_the_left_needs_its_mask():
    model, sae = make_model(), make_sae(hook_name=RESID)
    alone = run_with_sae(model, sae, TOKENS[:1, :4])
    tokens = torch.cat([torch.zeros(1, 3, dtype=torch.int64), TOKENS[:1, :4]], dim=1)
    mask = torch.tensor([[False] * 3 + [True] * 4])
    padded = run_with_sae(model, sae, tokens, attention_mask=mask)
    torch.testing.assert_close(padded[:, 3:], alone, rtol=1e-4, atol=1e-4)


def test_names_of_hooks_come_from_the_call_or_the_config():
    assert find_hook_names(make_sae(hook_name=RESID)) == (RESID, RESID)
    assert find_hook_names(make_sae(hook_name=RESID), MLP_IN) == (MLP_IN, MLP_IN)
    transcoder = make_sae(d_out=D_MODEL, subtract_b_dec=False, hook_name=MLP_IN, hook_name_out=MLP_OUT)
    assert find_hook_names(transcoder) == (MLP_IN, MLP_OUT)
    with pytest.raises(ConfigError, match="the name of a hook is needed: got none"):
        find_hook_names(make_sae())
    with pytest.raises(ConfigError, match="a transcoder writes where its target comes from: got no hook_name_out"):
        find_hook_names(make_sae(d_out=D_MODEL, subtract_b_dec=False), MLP_IN)


def test_positions_are_replaced_in_the_form_and_dtype_of_the_activations():
    acts = torch.zeros(1, 2, 3, 2, dtype=torch.bfloat16)
    replaced = replace_positions(acts, torch.ones(1, 2, 6), torch.tensor([[False, True]]))
    assert replaced.dtype == torch.bfloat16
    assert replaced[0, 0].sum() == 0
    assert replaced[0, 1].sum() == 6


def test_an_autoencoder_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=rf"got d_in 9 and {D_MODEL} at {RESID}"):
        run_with_sae(make_model(), make_sae(d_in=9), TOKENS[:2], RESID)
    with pytest.raises(UnknownNameError, match="no hook is called"):
        run_with_sae(make_model(), make_sae(), TOKENS[:2], "blocks.9.hook_resid_post")
    assert len(splicing_hooks(make_sae(), RESID)) == 1
