"""A model with adapters is the model whose weights are the sums; only adapters train; what is undone is undone to the bit."""

import copy

import pytest
import torch
from tests.rlhf.lora.small_models import attach_drawn, draw_tokens, make_gpt2, make_llama
from torch import nn

from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Trainer
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.rlhf.lora import Lora, LoraConfig, attach_lora
from arena_lib.transformer.huggingface import to_huggingface
from arena_lib.transformer.kv_cache import KVCache
from arena_lib.transformer.lesson import Config, DemoTransformer

EVERY = {
    "llama": (lambda: make_llama(tie_embeddings=False), ("W_Q", "W_K", "W_V", "W_O", "W_gate", "W_in", "W_out", "W_U")),
    "llama, queries and values": (make_llama, ("W_Q", "W_V")),
    "gpt2": (make_gpt2, ("W_QKV", "W_O", "W_in", "W_out")),
    "gpt2, parts": (make_gpt2, ("W_K", "W_V", "W_O")),
    "transformers' llama": (lambda: to_huggingface(make_llama()), ("q_proj", "v_proj", "o_proj", "down_proj")),
    "transformers' gpt2": (lambda: to_huggingface(make_gpt2()), ("c_attn", "c_fc")),
}


def logits_of(model, tokens):
    output = model(tokens)
    return output if isinstance(output, torch.Tensor) else output.logits


def add_by_hand(model, adapters):
    """The same sums written into a copy's weights, by the names that state dicts have."""
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    for name, matrix in adapters.matrices.items():
        delta = adapters[name].A @ adapters[name].B * adapters.cfg.alpha / adapters.cfg.rank
        if matrix.form == "out in":
            state[f"{name}.weight"] += delta.T
        elif name.endswith("W_QKV"):
            prefix, n = name.removesuffix("W_QKV"), 0
            for part in ("W_Q", "W_K", "W_V"):
                weight = state[prefix + part]
                width = weight.shape[0] * weight.shape[2]
                state[prefix + part] += delta[:, n : n + width].unflatten(1, (weight.shape[0], -1)).permute(1, 0, 2)
                n += width
        elif name.endswith(("W_Q", "W_K", "W_V")):
            weight = state[name]
            state[name] += delta.unflatten(1, (weight.shape[0], -1)).permute(1, 0, 2)
        elif name.endswith("W_O"):
            state[name] += delta.unflatten(0, state[name].shape[:2])
        else:
            state[name if name in state else f"{name}.weight"] += delta
    return state


@pytest.mark.parametrize(("make", "targets"), EVERY.values(), ids=EVERY.keys())
def test_a_model_with_adapters_is_the_model_with_the_sums_as_weights(make, targets):
    model, plain, tokens = make(), make(), draw_tokens()
    with torch.no_grad():
        before = logits_of(model, tokens)
        adapters = attach_drawn(model, LoraConfig(targets=targets, rank=3, alpha=2.0))
        unmerged = logits_of(model, tokens)
        state = add_by_hand(plain, adapters)
        plain.load_state_dict(state)
        assert torch.allclose(unmerged, logits_of(plain, tokens), atol=1e-10)
        assert (unmerged - before).abs().max() > 0.05
        with adapters.merged():
            assert torch.equal(logits_of(model, tokens), unmerged)
        with adapters.disabled():
            assert torch.equal(logits_of(model, tokens), before)
        assert torch.equal(logits_of(model, tokens), unmerged)
    adapters.remove(keep=True)
    assert torch.equal(logits_of(model, tokens), unmerged)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert not hasattr(model, "lora")


@pytest.mark.parametrize(("make", "targets"), EVERY.values(), ids=EVERY.keys())
def test_without_keeping_the_model_is_what_it_was_to_the_bit(make, targets):
    model = make().float()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    cls = type(model.get_submodule(next(iter(model._modules))))
    adapters = attach_drawn(model, LoraConfig(targets=targets))
    adapters.merge()
    adapters.unmerge()
    adapters.merge()
    adapters.remove(keep=False)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == trained
    assert type(model.get_submodule(next(iter(model._modules)))) is cls
    assert all("Adapted" not in str(type(module).__mro__) for module in model.modules())


def test_at_first_nothing_changes_and_the_seed_decides_the_draw():
    model, tokens = make_llama(), draw_tokens()
    before = model(tokens)
    first = attach_lora(model, LoraConfig(seed=1))
    assert torch.equal(model(tokens), before)
    drawn = first["blocks.1.attn.W_V"].A.clone()
    first.remove(keep=False)
    again = attach_lora(model, LoraConfig(seed=1))
    assert torch.equal(again["blocks.1.attn.W_V"].A, drawn)
    assert not torch.equal(again["blocks.1.attn.W_V"].A, again["blocks.0.attn.W_V"].A)


def test_gradients_are_those_of_the_sum():
    """Against central differences of the loss, in float64."""
    model, tokens = make_llama(), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(targets=("W_Q", "W_K", "W_O", "W_out"), rank=2, alpha=3.0))
    model(tokens, return_type="loss").backward()
    for name in adapters.matrices:
        for factor in (adapters[name].A, adapters[name].B):
            place, eps = (1, 1), 1e-5
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    factor[place] += sign * eps
                    losses.append(model(tokens, return_type="loss"))
                    factor[place] -= sign * eps
            assert float(factor.grad[place]) == pytest.approx(
                float(losses[0] - losses[1]) / (2 * eps), rel=1e-4, abs=1e-9
            )


def test_only_adapters_train_in_the_trainer_and_a_run_goes_on_from_its_checkpoint(tmp_path):
    model = make_llama().float()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    adapters = attach_lora(model, LoraConfig(targets=("W_Q", "W_V", "W_out"), rank=2))
    config = TrainingConfig(n_steps=6, lr=1e-2)

    def batches(generator):
        return torch.randint(17, (4, 7), generator=generator)

    Trainer(model, config, batches, folder=tmp_path).train()
    after = model.state_dict()
    moved = [name for name in after if name not in before or not torch.equal(before[name], after[name])]
    assert moved
    assert all(name.startswith("lora.") for name in moved)
    assert len(moved) == 2 * len(adapters.matrices)

    other = make_llama().float()
    attach_lora(other, LoraConfig(targets=("W_Q", "W_V", "W_out"), rank=2))
    trainer = Trainer(other, config, batches, folder=tmp_path)
    trainer.restore()
    assert all(torch.equal(weight, after[name]) for name, weight in other.state_dict().items())


def test_stacked_weights_caches_and_generation_see_the_sums():
    model, tokens = make_llama(), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(targets=("W_Q", "W_V"), rank=2))
    with torch.no_grad(), adapters.disabled():
        W_Q, W_K, plain = model.W_Q, model.W_K, model(tokens)
    with torch.no_grad():
        assert (model.W_Q - W_Q).abs().max() > 0.1
        assert torch.equal(model.W_K, W_K)
        logits, cache = model.run_with_cache(tokens)
        assert (logits - plain).abs().max() > 0.05
        results = cache.stack_head_results(layer=1)
        assert torch.allclose(results.sum(dim=0), cache["attn_out", 0], atol=1e-10)
        kv_cache = KVCache(model.cfg.n_layers)
        with adapters.merged():
            steps = [model(tokens[:, i : i + 1], kv_cache=kv_cache) for i in range(tokens.shape[1])]
        assert torch.allclose(torch.cat(steps, dim=1), logits, atol=1e-10)


def test_a_cache_never_mixes_a_pass_with_weights_that_it_did_not_use():
    model = make_llama()
    adapters = attach_drawn(model, LoraConfig(targets=("W_O",), rank=2))
    with torch.no_grad():
        cache = model.run_with_cache(draw_tokens())[1]
        with pytest.raises(ConfigError, match="must be made of those of its pass"):
            cache.stack_head_results(layer=1)
        adapters.remove(keep=True)
        cache = model.run_with_cache(draw_tokens())[1]
        assert torch.allclose(cache.stack_head_results(layer=1).sum(dim=0), cache["attn_out", 0], atol=1e-10)


def test_a_module_may_have_several_adapted_weights_and_a_copy_is_independent():
    model, tokens = make_llama(), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(targets=("W_gate", "W_in", "W_out"), rank=2))
    twin = copy.deepcopy(model)
    expected = model(tokens).detach()
    assert torch.equal(twin(tokens), expected)
    with torch.no_grad():
        adapters["blocks.0.mlp.W_in"].B.zero_()
        assert not torch.equal(model(tokens), expected)
        assert torch.equal(twin(tokens), expected)
        with twin.lora.disabled():
            assert not torch.equal(twin(tokens), expected)
    assert twin.lora.model is twin


def test_the_lesson_form_takes_adapters_too():
    cfg = Config(d_model=10, d_vocab=17, n_ctx=9, n_layers=1, n_heads=3, d_head=4, d_mlp=20)
    model, tokens = DemoTransformer(cfg), draw_tokens()
    before = model(tokens).detach()
    adapters = attach_drawn(model, LoraConfig(targets=("W_Q", "W_V", "W_O"), rank=2))
    changed = model(tokens).detach()
    assert (changed - before).abs().max() > 1e-3
    adapters.remove(keep=True)
    assert torch.allclose(model(tokens), changed, atol=1e-6)


def test_half_precision_weights_have_adapters_of_float32():
    model, tokens = make_llama().to(torch.bfloat16), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(rank=2))
    assert adapters["blocks.0.attn.W_Q"].A.dtype == torch.float32
    assert model(tokens).isfinite().all()
    assert model.blocks[0].attn.W_QKV.dtype == torch.bfloat16


def test_dropout_acts_in_training_alone():
    model, tokens = make_llama(), draw_tokens()
    attach_drawn(model, LoraConfig(targets=("W_Q", "W_out"), dropout=0.5))
    model.eval()
    quiet = model(tokens)
    assert torch.equal(model(tokens), quiet)
    model.train()
    assert not torch.equal(model(tokens), model(tokens))
    with torch.no_grad(), model.lora.merged():
        assert torch.equal(model(tokens), quiet)


def test_adapters_that_change_while_merged_are_refused():
    model, tokens = make_llama(), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(rank=2))
    adapters.merge()
    with torch.no_grad():
        adapters["blocks.1.attn.W_Q"].B.mul_(2)
    with pytest.raises(ConfigError, match="must stay as they are while merged: got changed ones for W_QKV"):
        model(tokens)
    adapters.merge()
    assert torch.equal(model(tokens), model(tokens))


def test_what_cannot_work_is_refused(without_types):
    model = make_llama()
    with pytest.raises(UnknownNameError, match="no matrix is called 'W_E'"):
        attach_lora(model, LoraConfig(targets=("W_E",)))
    assert not hasattr(model, "lora")
    assert all(weight.requires_grad for weight in model.parameters())
    adapters = attach_lora(model)
    with pytest.raises(ConfigError, match="must have no adapters yet"):
        attach_lora(model)
    with pytest.raises(UnknownNameError, match=r"no adapted matrix is called 'blocks.0.attn.W_K'"):
        adapters["blocks.0.attn.W_K"]
    with pytest.raises(ConfigError, match="targets must be a tuple of names: got 'W_Q'"):
        LoraConfig(targets="W_Q")
    with pytest.raises(ConfigError, match="rank must be"):
        LoraConfig(rank=0)


def test_any_module_will_do():
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    adapters = attach_drawn(model, LoraConfig(targets=("0", "2"), rank=2))
    x = torch.randn(4, 5)
    first, second = adapters["0"], adapters["2"]
    assert isinstance(first, Lora)
    hidden = (x @ model[0]._parameters["weight"].T + model[0].bias + first(x)).relu()
    expected = hidden @ model[2]._parameters["weight"].T + model[2].bias + second(hidden)
    assert torch.allclose(model(x), expected, atol=1e-5)


def test_adapters_within_a_part_or_around_it_are_seen():
    model = make_llama()
    attach_lora(model.blocks[0], LoraConfig(targets=("W_Q",)))
    with pytest.raises(ConfigError, match="must have no adapters yet"):
        attach_lora(model)
    model.blocks[0].lora.remove(keep=False)
    attach_lora(model)
    with pytest.raises(ConfigError, match="must have no adapters yet"):
        attach_lora(model.blocks[0], LoraConfig(targets=("W_Q",)))


def test_weights_that_change_while_merged_are_noticed():
    model = make_llama()
    adapters = attach_drawn(model, LoraConfig(targets=("W_Q",)))
    tokens = draw_tokens()
    adapters.merge()
    with torch.no_grad():
        model.blocks[0].attn._parameters["W_QKV"].mul_(2)
    with pytest.raises(ConfigError, match=r"weights must stay as they are while merged: .* Call unmerge\(\)"):
        model(tokens)
    adapters.merge()
    merged = model(tokens)
    adapters.unmerge()
    torch.testing.assert_close(model(tokens), merged)
