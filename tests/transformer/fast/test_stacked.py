"""Weights of all layers by TransformerLens's names."""

import inspect
import pickle
from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import MissingWeightError, UnknownNameError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.stacked import StackedWeights


@pytest.mark.parametrize("name", ["W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O"])
def test_attention_weights_are_stacked_by_layer(any_model: Transformer, name: str) -> None:
    stacked = getattr(any_model, name)
    for layer_idx, block in enumerate(any_model.blocks):
        weight = getattr(block.attn, name)
        assert torch.equal(stacked[layer_idx], torch.zeros_like(stacked[layer_idx]) if weight is None else weight)
    cfg = any_model.cfg
    n_heads = getattr(cfg, "n_kv_heads", cfg.n_heads) if name[-1] in "KV" else cfg.n_heads
    shapes = {
        "W_O": (n_heads, cfg.d_head, cfg.d_model),
        "b_O": (cfg.d_model,),
        "b": (n_heads, cfg.d_head),
        "W": (n_heads, cfg.d_model, cfg.d_head),
    }
    assert stacked.shape == (cfg.n_layers, *shapes.get(name, shapes[name[0]]))


@pytest.mark.parametrize("name", ["W_in", "W_out", "b_in", "b_out"])
def test_mlp_weights_are_stacked_by_layer(make_random: Callable[..., Transformer], name: str) -> None:
    gpt2, llama = make_random("gpt2"), make_random("llama")
    assert torch.equal(getattr(gpt2, name)[1], getattr(gpt2.blocks[1].mlp, name))
    if name.startswith("W"):
        assert torch.equal(getattr(llama, name)[1], getattr(llama.blocks[1].mlp, name))
    else:
        width = 23 if name == "b_in" else 18
        assert torch.equal(getattr(llama, name), torch.zeros(2, width, dtype=torch.float64))


def test_gates_are_stacked(make_random: Callable[..., Transformer]) -> None:
    llama = make_random("llama")
    assert torch.equal(llama.W_gate[0], llama.blocks[0].mlp.W_gate)


def test_embeddings_go_by_short_names(any_model: Transformer) -> None:
    assert any_model.W_E is any_model.embed.W_E
    assert torch.equal(any_model.W_U, any_model.unembed.W_U)
    assert any_model.b_U.shape == (37,)
    if hasattr(any_model, "pos_embed"):
        assert any_model.W_pos is any_model.pos_embed.W_pos


def test_an_unknown_weight_is_named(make_random: Callable[..., Transformer]) -> None:
    with pytest.raises(UnknownNameError, match=r"no weight of a block is called 'mlp\.W_in'"):
        make_random("attention_only").stack("mlp.W_in")


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_a_weight_that_the_form_does_not_have_is_an_attribute_it_does_not_have(
    form: str, make_random: Callable[..., Transformer]
) -> None:
    model = make_random(form)
    lacks = {"gpt2": ["W_gate"], "llama": ["W_pos"], "attention_only": ["W_in", "W_gate", "W_out", "b_in", "b_out"]}
    names = [name for name, value in vars(StackedWeights).items() if isinstance(value, property)]
    assert [name for name in names if not hasattr(model, name)] == [name for name in names if name in lacks[form]]
    for name in lacks[form]:
        assert getattr(model, name, None) is None
    assert dict(inspect.getmembers(model))["W_E"] is model.W_E


def test_the_error_names_the_weights_there_are(make_random: Callable[..., Transformer]) -> None:
    with pytest.raises(MissingWeightError, match=r"'mlp\.W_gate'\. Did you mean 'mlp") as caught:
        _ = make_random("gpt2").W_gate
    assert isinstance(caught.value, UnknownNameError)
    assert isinstance(caught.value, AttributeError)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    with pytest.raises(AttributeError, match="pos_embed"):
        _ = make_random("llama").W_pos


@pytest.mark.filterwarnings("ignore")
def test_stacks_are_those_of_the_bridge(make_random: Callable[..., Transformer], tmp_path: object) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    from arena_lib.transformer.huggingface import save_pretrained

    model = make_random("gpt2").float()
    bridge = TransformerBridge.boot_transformers(str(save_pretrained(model, str(tmp_path))), device="cpu")
    for name in (
        "W_Q",
        "W_K",
        "W_V",
        "W_O",
        "b_Q",
        "b_V",
        "b_O",
        "W_in",
        "W_out",
        "b_in",
        "b_out",
        "W_E",
        "W_U",
        "W_pos",
    ):
        torch.testing.assert_close(getattr(model, name), getattr(bridge, name), msg=name)


def test_biases_before_a_layer_are_summed(any_model: Transformer) -> None:
    has_mlp = hasattr(any_model.blocks[0], "mlp")
    b_O, b_out = any_model.b_O, any_model.b_out if has_mlp else torch.zeros_like(any_model.b_O)
    assert not any_model.accumulated_bias(0).any()
    torch.testing.assert_close(any_model.accumulated_bias(2), (b_O + b_out)[:2].sum(dim=0))
    torch.testing.assert_close(any_model.accumulated_bias(1, mlp_input=True), b_O[:2].sum(dim=0) + b_out[0])
    torch.testing.assert_close(any_model.accumulated_bias(2, include_mlp_biases=False), b_O[:2].sum(dim=0))
    n_layers = any_model.cfg.n_layers
    for layer, mlp_input in ((n_layers + 1, False), (-1, False), (n_layers, True)):
        with pytest.raises(UnknownNameError, match=f"no layer is called '{layer}'"):
            any_model.accumulated_bias(layer, mlp_input=mlp_input)
