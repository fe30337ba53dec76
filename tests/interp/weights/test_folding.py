import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random

from arena_lib.errors import UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.weights import fold_norm, folded_reader, folded_unembedding

FORMS = ["gpt2", "llama", "attention_only"]


@pytest.mark.parametrize("form", FORMS)
def test_folded_weights_do_what_norm_and_weight_do_up_to_scale_and_bias(form):
    model = make_random(form)
    x = torch.randn(4, model.cfg.d_model, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        for layer in range(model.cfg.n_layers):
            norm = model.blocks[layer].ln1
            bias = getattr(norm, "b", torch.zeros_like(norm.w))
            for name in ("W_Q", "W_K", "W_V"):
                weight = getattr(hooked(model), name)(layer)
                folded = x @ folded_reader(model, layer, name) / norm.scale(x)
                torch.testing.assert_close(folded + (bias @ weight)[:, None], norm(x) @ weight)
        bias = getattr(model.ln_final, "b", torch.zeros_like(model.ln_final.w))
        folded = x @ folded_unembedding(model) / model.ln_final.scale(x) + bias @ model.W_U
        torch.testing.assert_close(folded, model.ln_final(x) @ model.W_U)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_gives_the_same_folded_weights(form):
    model, bridge = make_random(form), make_bridge(form)
    for name in ("W_Q", "W_K", "W_V"):
        torch.testing.assert_close(folded_reader(bridge, 1, name), folded_reader(model, 1, name))
    torch.testing.assert_close(folded_unembedding(bridge), folded_unembedding(model))


def test_by_hand():
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    gain = torch.tensor([2.0, 1.0, 1.0])
    scaled = torch.tensor([[2.0, 4.0], [3.0, 4.0], [5.0, 9.0]])
    torch.testing.assert_close(fold_norm(weight, gain, False), scaled)
    torch.testing.assert_close(fold_norm(weight, gain), scaled - torch.tensor([10 / 3, 17 / 3]))
    assert weight[0, 0] == 1.0


def test_names_and_layers_that_are_not_there_are_refused():
    model = make_random("gpt2")
    with pytest.raises(UnknownNameError, match="'W_O'"):
        folded_reader(model, 0, "W_O")
    with pytest.raises(UnknownNameError, match="layer"):
        folded_reader(model, 3, "W_Q")
