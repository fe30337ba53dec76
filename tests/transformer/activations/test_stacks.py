"""Stacks: what adds up to the residual stream, and to logits."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.fast.model import Transformer


def test_components_add_up_to_the_residual_stream(cache: ActivationCache) -> None:
    for layer in range(cache.model.cfg.n_layers):
        torch.testing.assert_close(cache.decompose_resid(layer).sum(dim=0), cache["resid_pre", layer])
    for layer in (None, -1, cache.model.cfg.n_layers):
        torch.testing.assert_close(cache.decompose_resid(layer).sum(dim=0), cache["resid_post", -1])


def test_components_are_labelled(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    _, cache = make_random("gpt2").run_with_cache(tokens)
    _, labels = cache.decompose_resid(1, mlp_input=True, return_labels=True)
    assert labels == ["embed", "pos_embed", "0_attn_out", "0_mlp_out", "1_attn_out"]
    torch.testing.assert_close(cache.decompose_resid(1, mlp_input=True).sum(dim=0), cache["resid_mid", 1])
    assert cache.decompose_resid(mode="attn", return_labels=True)[1][2:] == ["0_attn_out", "1_attn_out"]
    assert cache.decompose_resid(mode="mlp", return_labels=True)[1][2:] == ["0_mlp_out", "1_mlp_out"]
    _, cache = make_random("attention_only").run_with_cache(tokens)
    assert cache.decompose_resid(2, return_labels=True)[1] == ["embed", "0_attn_out", "1_attn_out"]
    with pytest.raises((ConfigError, Exception), match=r"mode must be|Type-check"):
        cache.decompose_resid(mode="both")  # type: ignore[arg-type]


def test_normalised_components_add_up_to_each_norms_output(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    for form in ("gpt2", "llama"):
        model = make_random(form)
        _, cache = model.run_with_cache(tokens)
        block = model.blocks[1]
        for norm, resid, stack in [
            (block.ln1, cache["resid_pre", 1], cache.decompose_resid(1, apply_ln=True)),
            (block.ln2, cache["resid_mid", 1], cache.decompose_resid(1, mlp_input=True, apply_ln=True)),
            (model.ln_final, cache["resid_post", 1], cache.decompose_resid(apply_ln=True)),
        ]:
            bias = norm.b if form == "gpt2" else 0
            torch.testing.assert_close(stack.sum(dim=0) + bias, norm(resid))


def test_accumulated_stream(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    model = make_random("gpt2")
    logits, cache = model.run_with_cache(tokens)
    stack, labels = cache.accumulated_resid(incl_mid=True, return_labels=True)
    assert labels == ["0_pre", "0_mid", "1_pre", "1_mid", "final_post"]
    assert torch.equal(stack[0], cache["resid_pre", 0])
    assert torch.equal(stack[1], cache["resid_mid", 0])
    assert torch.equal(stack[2], cache["resid_pre", 1])
    assert torch.equal(stack[4], cache["resid_post", 1])
    assert cache.accumulated_resid(1, incl_mid=True, return_labels=True)[1] == ["0_pre", "0_mid", "1_pre"]
    lens = cache.accumulated_resid(apply_ln=True)
    torch.testing.assert_close(model.unembed(lens[-1]), logits)
    torch.testing.assert_close(lens[0], model.ln_final(cache["resid_pre", 0]))


@torch.no_grad()
def test_the_embeddings_can_be_left_out(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens)
    n_embeds = len(any_model.embed_hooks)
    for options in ({}, {"layer": 1, "mode": "attn"}, {"apply_ln": True, "pos_slice": -1}):
        stack, labels = cache.decompose_resid(**options, return_labels=True)
        rest, others = cache.decompose_resid(**options, incl_embeds=False, return_labels=True)
        assert torch.equal(rest, stack[n_embeds:])
        assert others == labels[n_embeds:]
    assert cache.decompose_resid(0, incl_embeds=False).shape == (0, 3, 7, any_model.cfg.d_model)


@torch.no_grad()
def test_a_stack_of_some_examples_is_scaled_as_they_are(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens)
    whole = cache.decompose_resid()
    answers = torch.tensor([5, 9, 2])
    for picked, places in [(1, 1), ((0, 2), slice(0, 2)), ([2, 0], [2, 0]), (slice(1, None), slice(1, None))]:
        some = cache.apply_slice_to_batch_dim(picked).decompose_resid()
        assert torch.equal(cache.apply_ln_to_stack(some, batch_slice=picked), cache.apply_ln_to_stack(whole)[:, places])
        attrs = cache.logit_attrs(some[..., -1, :], answers[places], pos_slice=-1, batch_slice=picked)
        torch.testing.assert_close(attrs, cache.logit_attrs(whole[..., -1, :], answers, pos_slice=-1)[:, places])
    with pytest.raises(ShapeError, match="the batch_slice that it was taken with"):
        cache.logit_attrs(whole[:, :1], 5)  # one example would stand for all
    with pytest.raises(ShapeError, match="Leave batch_slice out"):
        cache.apply_slice_to_batch_dim(0).logit_attrs(whole[:, 0], 5, batch_slice=0)


def test_a_stack_of_heads_by_layer_is_scaled_as_one_of_all_heads(cache: ActivationCache) -> None:
    stack = cache.stack_head_results(pos_slice=-1)
    by_layer = stack.unflatten(0, (cache.model.cfg.n_layers, -1))
    scaled = cache.apply_ln_to_stack(by_layer, pos_slice=-1)
    assert torch.equal(scaled.flatten(0, 1), cache.apply_ln_to_stack(stack, pos_slice=-1))


def test_head_results_and_the_remainder_add_up(cache: ActivationCache) -> None:
    cfg = cache.model.cfg
    stack, labels = cache.stack_head_results(return_labels=True, incl_remainder=True)
    assert labels == [f"L{i}H{h}" for i in range(cfg.n_layers) for h in range(cfg.n_heads)] + ["remainder"]
    torch.testing.assert_close(stack.sum(dim=0), cache["resid_post", -1])
    torch.testing.assert_close(stack[cfg.n_heads + 1], cache["result", 1][:, :, 1])
    assert torch.equal(cache.stack_head_results(1), stack[: cfg.n_heads])
    assert cache.stack_head_results(0).shape == (0, 3, 7, cfg.d_model)
    remainder, labels = cache.stack_head_results(0, incl_remainder=True, return_labels=True)
    assert labels == ["remainder"]
    assert torch.equal(remainder[0], cache["resid_pre", 0])


def test_positions_can_be_picked(cache: ActivationCache) -> None:
    everywhere = cache.decompose_resid(apply_ln=True)
    torch.testing.assert_close(cache.decompose_resid(apply_ln=True, pos_slice=-1), everywhere[:, :, -1])
    torch.testing.assert_close(cache.decompose_resid(apply_ln=True, pos_slice=slice(2, 5)), everywhere[:, :, 2:5])
    heads = cache.stack_head_results(apply_ln=True, incl_remainder=True)
    picked = cache.stack_head_results(apply_ln=True, incl_remainder=True, pos_slice=3)
    torch.testing.assert_close(picked, heads[:, :, 3])
    torch.testing.assert_close(cache.accumulated_resid(pos_slice=3), cache.accumulated_resid()[:, :, 3])


def test_attributions_add_up_to_the_logit(any_model: Transformer, tokens: torch.Tensor) -> None:
    logits, cache = any_model.run_with_cache(tokens)
    answers, others = torch.tensor([3, 9, 30]), torch.tensor([8, 0, 2])
    stack = cache.decompose_resid(pos_slice=-1)
    bias = any_model.ln_final.b if hasattr(any_model.ln_final, "b") else torch.zeros(())
    constant = (bias * any_model.W_U.T[answers]).sum(dim=-1)
    attrs = cache.logit_attrs(stack, answers, pos_slice=-1)
    rows = torch.arange(3)
    torch.testing.assert_close(attrs.sum(dim=0) + constant, logits[rows, -1, answers])
    difference = cache.logit_attrs(stack, answers, others, pos_slice=-1)
    torch.testing.assert_close(difference, attrs - cache.logit_attrs(stack, others, pos_slice=-1))


def test_attributions_for_one_token_and_for_each_position(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens)
    stack = cache.decompose_resid()
    each = cache.logit_attrs(stack, tokens)
    batch = cache.logit_attrs(stack, tokens[:, 4])
    torch.testing.assert_close(batch[:, :, 4], each[:, :, 4])
    one = cache.logit_attrs(stack, 11)
    torch.testing.assert_close(one, cache.logit_attrs(stack, torch.full((3, 7), 11)))
    with pytest.raises(
        ShapeError, match=r"tokens must be one token or have the stack's first axes \(3, 7\): got \(7,\)"
    ):
        cache.logit_attrs(stack, tokens[0])


def test_an_unknown_layer_is_named(cache: ActivationCache) -> None:
    with pytest.raises(UnknownNameError, match="no layer is called '9'"):
        cache.decompose_resid(9)
    with pytest.raises(UnknownNameError, match="no layer is called '-2'"):
        cache.accumulated_resid(-2)


@pytest.mark.filterwarnings("ignore")
def test_stacks_are_those_of_the_bridge(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: object
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    from arena_lib.transformer.huggingface import save_pretrained

    model = make_random("gpt2").float()
    folder = save_pretrained(model, str(tmp_path))
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    with torch.no_grad():
        _, theirs = bridge.run_with_cache(tokens)
        _, ours = model.run_with_cache(tokens)
        for stack, expected in [
            (ours.decompose_resid(return_labels=True), theirs.decompose_resid(return_labels=True)),
            (ours.decompose_resid(1, return_labels=True), theirs.decompose_resid(1, return_labels=True)),
            (ours.stack_head_results(return_labels=True), theirs.stack_head_results(return_labels=True)),
            (
                ours.accumulated_resid(incl_mid=True, apply_ln=True, return_labels=True),
                theirs.accumulated_resid(incl_mid=True, apply_ln=True, return_labels=True),
            ),
        ]:
            torch.testing.assert_close(stack[0], expected[0], rtol=1e-4, atol=1e-4)
            assert stack[1] == expected[1]


@pytest.mark.parametrize(
    ("pos_slice", "picked"),
    [((0, 3), slice(0, 3)), ((1, 4, 2), slice(1, 4, 2)), ([0, 3], [0, 3]), ((None, -1), slice(-1))],
)
def test_a_tuple_of_positions_is_a_slice_and_a_list_is_a_list(
    cache: ActivationCache, pos_slice: tuple[int, ...], picked: slice
) -> None:
    whole = cache.decompose_resid()
    assert torch.equal(cache.decompose_resid(pos_slice=pos_slice), whole[:, :, picked])
    sliced = cache.stack_head_results(pos_slice=pos_slice, apply_ln=True)
    torch.testing.assert_close(sliced, cache.stack_head_results(apply_ln=True)[:, :, picked])
