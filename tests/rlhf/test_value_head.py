"""Logits are the base model's; which value belongs to which token; two learning rates."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rlhf.lora import LoraConfig, attach_lora
from arena_lib.rlhf.value_head import TransformerWithValueHead, get_optimizer
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

SIZES = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
TOKENS = torch.tensor([[1, 12, 3, 4, 0], [7, 0, 2, 2, 9], [5, 6, 11, 8, 3]])


def make_model(seed: int = 0) -> TransformerWithValueHead:
    generator = torch.Generator().manual_seed(seed)
    base = Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=generator)
    return TransformerWithValueHead(base, generator=generator)


def with_trained_head() -> TransformerWithValueHead:
    model = make_model()
    with torch.no_grad():
        model.value_head[2].weight.normal_(generator=torch.Generator().manual_seed(1))
        model.value_head[2].bias.fill_(0.3)
    return model


def test_logits_are_those_of_the_base_model_and_values_begin_at_zero():
    model = make_model()
    logits, values = model.forward_with_value_head(TOKENS)
    torch.testing.assert_close(logits, model.base_model(TOKENS))
    assert values.shape == (3, 5)
    assert (values == 0).all()


def test_values_are_the_heads_of_the_normalised_residual_stream():
    model = with_trained_head()
    _, cache = model.base_model.run_with_cache(TOKENS, "ln_final.hook_normalized")
    x = cache["ln_final.hook_normalized"] * model.base_model.ln_final.w
    first, _, last = model.value_head
    expected = (x @ first.weight.T + first.bias).clamp(min=0) @ last.weight[0] + last.bias
    values = model(TOKENS)[1]
    torch.testing.assert_close(values, expected)
    assert values.std() > 0.1


def test_a_value_knows_the_tokens_up_to_its_place_and_none_after():
    model = with_trained_head()
    changed = TOKENS.clone()
    changed[:, 3] += 1
    before, after = (model(tokens)[1] for tokens in (TOKENS, changed))
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).all()


def test_padding_changes_no_value():
    model = with_trained_head()
    tokens = torch.tensor([[0, 0, 5, 6, 11], [7, 1, 2, 2, 9]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    torch.testing.assert_close(model(tokens, mask)[1][0, 2:], model(tokens[:1, 2:])[1][0])


def test_equal_generators_make_equal_heads():
    states = [make_model(seed).state_dict() for seed in (0, 0, 1)]
    name = "value_head.0.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_the_head_has_the_dtype_of_its_model():
    base = make_model().base_model.double()
    assert TransformerWithValueHead(base)(TOKENS)[1].dtype == torch.float64


def test_each_parameter_is_trained_at_the_rate_of_its_part():
    model = make_model()
    optimizer = get_optimizer(model, 1e-5, 3e-4)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (3e-4 if name.startswith("value_head") else 1e-5), name
    assert len(rates) == len(list(model.parameters()))


def test_frozen_parameters_are_left_out_and_the_optimizer_minimises():
    model = with_trained_head()
    model.base_model.embed.requires_grad_(False)
    optimizer = get_optimizer(model, 1e-3, 1e-2)
    assert id(model.base_model.embed.W_E) not in {id(p) for group in optimizer.param_groups for p in group["params"]}
    losses = []
    for _ in range(5):
        loss = model(TOKENS)[1].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_frozen_head_and_adapters_that_no_group_holds_are_refused():
    model = make_model()
    adapters = attach_lora(model, LoraConfig(targets=("W_Q",)))  # beside the whole, which freezes the head too
    with pytest.raises(ConfigError, match=r"got a frozen one\. Attach adapters to model\.base_model"):
        get_optimizer(model, 1e-3, 1e-2)
    model.value_head.requires_grad_()
    with pytest.raises(ConfigError, match="got adapters beside the whole model"):
        get_optimizer(model, 1e-3, 1e-2)
    adapters.remove(keep=False)
    attach_lora(model.base_model, LoraConfig(targets=("W_Q",)))
    groups = get_optimizer(model, 1e-3, 1e-2).param_groups
    assert [len(group["params"]) for group in groups] == [4, 4]  # A and B of each layer; two weights, two biases
