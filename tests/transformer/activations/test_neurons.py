"""Neurons one by one, and the whole stream taken apart."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.fast.model import Transformer


@pytest.fixture(params=["gpt2", "llama"])
def with_mlp(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    return make_random(request.param)


@torch.no_grad()
def test_neurons_and_the_bias_add_up_to_the_mlps_output(with_mlp: Transformer, tokens: torch.Tensor) -> None:
    _, cache = with_mlp.run_with_cache(tokens)
    results = cache.get_neuron_results(1)
    assert results.shape == (3, 7, 23, with_mlp.cfg.d_model)
    bias = getattr(with_mlp.blocks[1].mlp, "b_out", torch.zeros(()))
    torch.testing.assert_close(results.sum(dim=-2) + bias, cache["mlp_out", 1])
    torch.testing.assert_close(cache.get_neuron_results(1, 4, (1, 3)), results[:, 1:3, [4]])
    direction = torch.randn(with_mlp.cfg.d_model, 2, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(cache.get_neuron_results(1, (3, 9), 2, direction), results[:, 2, 3:9] @ direction)
    torch.testing.assert_close(
        cache.get_neuron_results(0, project_output_onto=direction[:, 0]), cache.get_neuron_results(0) @ direction[:, 0]
    )


@torch.no_grad()
def test_stacked_neurons_and_the_remainder_add_up(with_mlp: Transformer, tokens: torch.Tensor) -> None:
    _, cache = with_mlp.run_with_cache(tokens)
    stack, labels = cache.stack_neuron_results(return_labels=True, incl_remainder=True)
    assert labels == [f"L{layer}N{neuron}" for layer in range(2) for neuron in range(23)] + ["remainder"]
    torch.testing.assert_close(stack.sum(dim=0), cache["resid_post", 1])
    torch.testing.assert_close(stack[23 + 5], cache.get_neuron_results(1)[:, :, 5])
    some, labels = cache.stack_neuron_results(1, neuron_slice=[2, 5], pos_slice=-1, return_labels=True)
    assert labels == ["L0N2", "L0N5"]
    torch.testing.assert_close(some, stack[[2, 5]][:, :, -1])
    mid = cache.stack_neuron_results(1, mlp_input=True, incl_remainder=True)
    torch.testing.assert_close(mid.sum(dim=0), cache["resid_mid", 1])
    assert cache.stack_neuron_results(0).shape == (0, 3, 7, with_mlp.cfg.d_model)
    assert torch.equal(cache.stack_neuron_results(0, incl_remainder=True)[0], cache["resid_pre", 0])


@torch.no_grad()
@pytest.mark.parametrize("mlp_input", [False, True])
def test_normalised_neurons_are_the_norms_of_the_plain_ones(
    with_mlp: Transformer, tokens: torch.Tensor, mlp_input: bool
) -> None:
    _, cache = with_mlp.run_with_cache(tokens)
    directions = torch.randn(with_mlp.cfg.d_model, 2, generator=torch.Generator().manual_seed(0)).double()
    for pos_slice in (None, 3, (2, 5)):
        options = {"mlp_input": mlp_input, "pos_slice": pos_slice}
        plain = cache.stack_neuron_results(1, incl_remainder=True, **options)
        expected = cache.apply_ln_to_stack(plain, 1, **options)
        normal = cache.stack_neuron_results(1, incl_remainder=True, apply_ln=True, **options)
        torch.testing.assert_close(normal, expected)
        for onto in (directions, directions[:, 0]):
            options |= {"project_output_onto": onto, "incl_remainder": True}
            torch.testing.assert_close(cache.stack_neuron_results(1, **options), plain @ onto)
            torch.testing.assert_close(cache.stack_neuron_results(1, apply_ln=True, **options), expected @ onto)


@torch.no_grad()
def test_the_full_decomposition_adds_up_everywhere(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens)
    has_mlp = hasattr(any_model.blocks[0], "mlp")
    direction = torch.randn(any_model.cfg.d_model, generator=torch.Generator().manual_seed(0)).double()
    for expand_neurons in (True, False):
        entries = [(None, False, "resid_post", -1), (1, False, "resid_pre", 1), (0, False, "resid_pre", 0)]
        for layer, mlp_input, *resid in entries + [(1, True, "resid_mid", 1)] * has_mlp:
            options = {"mlp_input": mlp_input, "expand_neurons": expand_neurons}
            stack, labels = cache.get_full_resid_decomposition(layer, return_labels=True, **options)
            assert len(stack) == len(labels)
            torch.testing.assert_close(stack.sum(dim=0), cache[tuple(resid)])
            at = cache.get_full_resid_decomposition(layer, pos_slice=-1, **options)
            torch.testing.assert_close(at, stack[:, :, -1])
            normal = cache.apply_ln_to_stack(stack, layer, mlp_input=mlp_input)
            options |= {"apply_ln": True}
            torch.testing.assert_close(cache.get_full_resid_decomposition(layer, **options), normal)
            options |= {"project_output_onto": direction}
            torch.testing.assert_close(cache.get_full_resid_decomposition(layer, **options), normal @ direction)


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_stacks_and_labels_are_those_of_the_bridge(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    from arena_lib.transformer.huggingface import save_pretrained

    model = make_random("gpt2").float()
    folder = save_pretrained(model, str(tmp_path))
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    ours, theirs = model.run_with_cache(tokens)[1], bridge.run_with_cache(tokens)[1]
    direction = torch.randn(15, generator=torch.Generator().manual_seed(0))

    def compare(name: str, layer: int, **options: object) -> None:
        stack, labels = getattr(ours, name)(layer, return_labels=True, **options)
        expected, their_labels = getattr(theirs, name)(layer, return_labels=True, **options)
        torch.testing.assert_close(stack, expected, rtol=1e-4, atol=1e-4)
        assert labels == [str(label).replace("tensor(", "").rstrip(")") for label in their_labels]

    for layer in (1, 2):
        compare("stack_neuron_results", layer, incl_remainder=True)
        compare("stack_neuron_results", layer, neuron_slice=[3, 20], pos_slice=2, project_output_onto=direction)
        for expand_neurons in (True, False):
            compare("get_full_resid_decomposition", layer, expand_neurons=expand_neurons)
    compare("stack_neuron_results", 1, mlp_input=True, incl_remainder=True)
    compare("get_full_resid_decomposition", 1, mlp_input=True, pos_slice=-1)
    for options in ({}, {"include_mlp_biases": False}, {"mlp_input": True}):
        expected = bridge.accumulated_bias(1, **options)
        torch.testing.assert_close(model.accumulated_bias(1, **options), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        ours.stack_activation("pattern"), theirs.stack_activation("pattern"), rtol=1e-4, atol=1e-4
    )


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_neurons_shares_of_a_logit_are_the_compatible_bridges(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    """There the gain and the centring are folded into the weights, so the directions are the folded W_U."""
    from transformer_lens.model_bridge import TransformerBridge

    from arena_lib.transformer.huggingface import save_pretrained

    model = make_random("gpt2").float()
    folder = save_pretrained(model, str(tmp_path))
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    bridge.enable_compatibility_mode()
    ours, theirs = model.run_with_cache(tokens)[1], bridge.run_with_cache(tokens)[1]
    onto = model.W_U[:, 5] - model.W_U[:, 9]
    shares = ours.stack_neuron_results(apply_ln=True, project_output_onto=onto)
    folded = bridge.W_U[:, 5] - bridge.W_U[:, 9]
    expected = theirs.stack_neuron_results(-1, apply_ln=True, project_output_onto=folded)
    torch.testing.assert_close(shares, expected, rtol=1e-3, atol=1e-4)


def test_models_without_mlps_have_no_neurons(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    _, cache = make_random("attention_only").run_with_cache(tokens)
    with pytest.raises(UnknownNameError, match="no activation in this cache is called"):
        cache.stack_neuron_results()


def test_neurons_need_the_weights_of_the_pass(with_mlp: Transformer, tokens: torch.Tensor) -> None:
    _, cache = with_mlp.run_with_cache(tokens)
    with torch.no_grad():
        with_mlp.blocks[0].mlp.W_out.mul_(2)
    with pytest.raises(ConfigError, match="weights were changed since"):
        cache.stack_neuron_results()


def test_activations_of_all_layers_are_stacked(cache: ActivationCache) -> None:
    stack = cache.stack_activation("pattern")
    assert len(stack) == cache.model.cfg.n_layers
    assert torch.equal(stack[1], cache["pattern", 1])
    assert len(cache.stack_activation("scale", 1, "ln1")) == 1
