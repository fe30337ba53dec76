"""The form by hooks computes what the form by weights does, forward and backward; only adapters and head train."""

import copy

import pytest
import torch
from tests.rlhf.lora.small_models import attach_drawn, draw_tokens, make_gpt2, make_llama

from arena_lib.errors import ConfigError
from arena_lib.rlhf.lora import LoraConfig, LoraHooks, TransformerWithValueHeadLora
from arena_lib.rlhf.value_head import TransformerWithValueHead, get_optimizer
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig

PARTS = {"lora_q": "W_Q", "lora_k": "W_K", "lora_v": "W_V", "lora_out": "W_O"}
MODELS = pytest.mark.parametrize("make", [make_llama, make_gpt2])


def make_drawn(make=make_llama, seed=6):
    """A model whose adapters and value head say something."""
    model = TransformerWithValueHeadLora(make(), generator=torch.Generator().manual_seed(2))
    model.setup_lora(lora_alpha=6, rank=3)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (*model.lora.parameters(), *model.value_head.parameters()):
            parameter.normal_(0.0, 0.3, generator=generator)
    return model


def copy_factors(model, adapters):
    """Every head gets the same A, and its own columns of B."""
    for layer_idx, hooks in enumerate(model.lora):
        for part, weight in PARTS.items():
            lora, source = getattr(hooks, part), adapters[f"blocks.{layer_idx}.attn.{weight}"]
            with torch.no_grad():
                lora.A.copy_(source.A)
                n_inst = 1 if lora.B.ndim == 2 else len(lora.B)
                lora.B.copy_(torch.stack(source.B.chunk(n_inst, dim=1)).view_as(lora.B))


@MODELS
def test_both_forms_give_equal_logits_and_gradients_for_equal_factors(make):
    fast, tokens = make(), draw_tokens()
    adapters = attach_drawn(fast, LoraConfig(targets=tuple(PARTS.values()), rank=3, alpha=6.0))
    model = make_drawn(make)
    copy_factors(model, adapters)
    logits, expected = model.forward_with_value_head(tokens)[0], fast(tokens)
    assert torch.allclose(logits, expected, atol=1e-10)
    weights = torch.randn(logits.shape, dtype=logits.dtype, generator=torch.Generator().manual_seed(7))
    (logits * weights).sum().backward()
    (expected * weights).sum().backward()
    for layer_idx, hooks in enumerate(model.lora):
        for part, weight in PARTS.items():
            lora, source = getattr(hooks, part), adapters[f"blocks.{layer_idx}.attn.{weight}"]
            by_head = lora.A.ndim == 3
            assert torch.allclose(lora.A.grad.sum(0) if by_head else lora.A.grad, source.A.grad, atol=1e-8)
            joined = torch.cat(list(lora.B.grad), dim=1) if by_head else lora.B.grad
            assert torch.allclose(joined, source.B.grad, atol=1e-8)
            assert source.A.grad.abs().max() > 1e-3


@MODELS
def test_adapters_of_each_head_are_sums_in_the_weights(make):
    model, tokens = make_drawn(make), draw_tokens()
    written = TransformerWithValueHead(copy.deepcopy(model.base_model))
    written.value_head = model.value_head
    with torch.no_grad():
        for hooks, block in zip(model.lora, written.base_model.blocks, strict=True):
            for part, weight in PARTS.items():
                target = getattr(block.attn, weight)
                target += getattr(hooks, part).delta().view_as(target)
    for actual, expected in zip(model(tokens), written(tokens), strict=True):
        assert torch.allclose(actual, expected, atol=1e-10)
    options = {"temperature": 1.5, "top_k": 9}
    drawn, expected = (
        owner.generate(tokens, 2, generator=torch.Generator().manual_seed(3), **options)
        for owner in (model, written.base_model)
    )
    assert torch.equal(drawn, expected)
    mask = torch.ones_like(tokens)
    mask[0, :3] = 0
    assert torch.equal(
        model.generate(tokens, 2, attention_mask=mask), written.base_model.generate(tokens, 2, attention_mask=mask)
    )
    for actual, expected in zip(model(tokens, mask), written(tokens, mask), strict=True):
        assert torch.allclose(actual[mask.bool()], expected[mask.bool()], atol=1e-10)


def test_at_first_nothing_is_added_and_afterwards_adapters_and_head_train():
    model, tokens = TransformerWithValueHeadLora(make_llama()), draw_tokens()
    before = model(tokens)[0]
    model.setup_lora()
    assert torch.allclose(model(tokens)[0], before, atol=1e-12)
    trained = {name.partition(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {"lora", "value_head"}
    assert [hooks.layer_idx for hooks in model.lora] == [0, 1]
    assert model.lora[0].lora_q.scale == 32 / 4


def test_the_base_model_alone_is_the_reference_and_keeps_no_hook():
    model, tokens = make_drawn(), draw_tokens()
    reference = make_llama()(tokens)
    assert not torch.allclose(model(tokens)[0], reference, atol=1e-3)
    assert torch.equal(model.base_model(tokens), reference)
    with pytest.raises(ZeroDivisionError), model.adapted():
        1 / 0
    assert all(point.is_idle for point in model.base_model.hook_dict.values())
    assert "attn_in" not in vars(model.lora[0])
    copied = copy.deepcopy(model)
    assert torch.equal(copied(tokens)[0], model(tokens)[0])


def test_half_precision_has_adapters_in_float32_and_outputs_in_its_own_dtype():
    model = TransformerWithValueHeadLora(make_llama().to(torch.bfloat16))
    model.setup_lora(rank=2)
    with torch.no_grad():
        model.lora[0].lora_out.B.fill_(0.3)
    assert model.lora[1].lora_v.A.dtype == torch.float32
    assert model(draw_tokens())[0].dtype == torch.bfloat16


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="rank must be a whole number"):
        LoraHooks(0, make_llama().cfg, rank=0)
    cfg = AttentionOnlyConfig(d_model=6, d_vocab=5, n_ctx=4, n_layers=1, n_heads=2, d_head=3)
    with pytest.raises(ConfigError, match="Use attach_lora"):
        TransformerWithValueHeadLora(AttentionOnly(cfg))
    with pytest.raises(ConfigError, match=r"adapters beside the whole model\. Attach adapters to model\.base_model"):
        get_optimizer(make_drawn(), 1e-3, 1e-2)
