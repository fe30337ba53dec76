"""Names and places of matrices, in our models, torch's layers and transformers'."""

import pytest
import torch
from tests.rlhf.lora.small_models import make_gpt2, make_llama
from torch import nn

from arena_lib.errors import UnknownNameError
from arena_lib.rlhf.lora import list_matrices
from arena_lib.rlhf.lora.matrices import pick_matrices
from arena_lib.transformer.huggingface import to_huggingface
from arena_lib.transformer.lesson import Config, DemoTransformer

ATTN, MLP = ("W_Q", "W_K", "W_V", "W_QKV", "W_O"), ("W_gate", "W_in", "W_out")


def put(model, matrix, delta):
    """The parameter with the matrix's region set to `delta`, and 0 elsewhere."""
    weight = torch.zeros_like(model.get_submodule(matrix.module_name)._parameters[matrix.parameter])
    region = matrix.region(weight)
    region.copy_(matrix.arrange(delta, region))
    return weight


def test_the_matrices_of_our_llama_have_per_head_names():
    names = {f"blocks.{i}.attn.{name}" for i in range(2) for name in ATTN}
    names |= {f"blocks.{i}.mlp.{name}" for i in range(2) for name in MLP}
    assert set(list_matrices(make_llama(tie_embeddings=True))) == names
    assert set(list_matrices(make_llama(tie_embeddings=False))) == names | {"unembed.W_U"}


@pytest.mark.parametrize("name", ["W_Q", "W_K", "W_V", "W_O"])
@pytest.mark.parametrize("make", [make_llama, make_gpt2], ids=["llama", "gpt2"])
def test_a_matrix_of_attention_is_the_weight_of_that_name_with_its_heads_joined(make, name):
    model = make()
    attn, matrix = model.blocks[1].attn, list_matrices(model)[f"blocks.1.attn.{name}"]
    delta = torch.randn(matrix.d_in, matrix.d_out, dtype=torch.float64)
    parameter = attn._parameters[matrix.parameter]
    with torch.no_grad():
        parameter.copy_(put(model, matrix, delta))
        x = torch.randn(matrix.d_in, dtype=torch.float64)
        by_head = getattr(attn, name)
        if name == "W_O":
            heads = torch.einsum("hd,hdm->m", x.unflatten(0, by_head.shape[:2]), by_head)
        else:
            heads = torch.einsum("m,hmd->hd", x, by_head).flatten()
        assert torch.allclose(x @ delta, heads, atol=1e-12)
        others = sum(int((getattr(attn, other) != 0).any()) for other in ("W_Q", "W_K", "W_V") if other != name)
        assert others == 0 or name == "W_O"


def test_the_lesson_forms_weights_by_head_are_matrices_too():
    cfg = Config(d_model=10, d_vocab=17, n_ctx=9, n_layers=1, n_heads=3, d_head=4, d_mlp=20)
    model = DemoTransformer(cfg)
    matrix = list_matrices(model)["blocks.0.attn.W_K"]
    assert (matrix.d_in, matrix.d_out, matrix.form) == (10, 12, "heads in out")
    delta = torch.randn(10, 12)
    weight = put(model, matrix, delta)
    x = torch.randn(10)
    assert torch.allclose(torch.einsum("m,hmd->hd", x, weight).flatten(), x @ delta, atol=1e-5)


def test_torchs_linear_has_its_output_axis_first():
    model = nn.Sequential(nn.Linear(3, 4))
    matrix = list_matrices(model)["0"]
    delta = torch.randn(3, 4)
    assert (matrix.d_in, matrix.d_out) == (3, 4)
    assert torch.equal(put(model, matrix, delta), delta.T)


def test_what_is_looked_up_or_shared_is_no_matrix():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "first": nn.Linear(3, 3), "again": nn.Linear(3, 3)})
    model["again"].weight = model["first"].weight
    assert list_matrices(model) == {}
    tied = to_huggingface(make_llama(tie_embeddings=True))
    assert "lm_head" not in list_matrices(tied)
    assert "model.layers.1.mlp.down_proj" in list_matrices(tied)


def test_transformers_conv1d_keeps_its_input_axis_first():
    matrix = list_matrices(to_huggingface(make_gpt2()))["transformer.h.0.attn.c_attn"]
    assert (matrix.d_in, matrix.d_out, matrix.form) == (15, 45, "in out")


def test_targets_are_names_or_their_ends():
    matrices = list_matrices(make_llama())
    assert list(pick_matrices(matrices, ["W_V", "0.attn.W_Q"])) == [
        "blocks.0.attn.W_Q",
        "blocks.0.attn.W_V",
        "blocks.1.attn.W_V",
    ]
    with pytest.raises(UnknownNameError, match="no matrix is called 'q_proj'"):
        pick_matrices(matrices, ["q_proj"])
    with pytest.raises(UnknownNameError, match="no matrix is called 'Q'"):
        pick_matrices(matrices, ["Q"])
