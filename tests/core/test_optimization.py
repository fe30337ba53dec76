import math

import pytest
import torch
from torch import nn

from arena_lib.core.optimization import TrainingConfig, compute_lr, is_decayed, make_optimizer
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.transformer.lesson import Config, DemoTransformer


def test_warmup_grows_linearly_from_the_first_update_to_the_peak():
    config = TrainingConfig(n_steps=10, lr=0.8, warmup=4)
    assert [compute_lr(step, config) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_cosine_falls_to_its_final_fraction():
    config = TrainingConfig(n_steps=104, lr=0.8, warmup=4, final_lr_fraction=0.25)
    assert compute_lr(4, config) == pytest.approx(0.8)
    assert compute_lr(54, config) == pytest.approx((0.8 + 0.2) / 2)
    assert compute_lr(29, config) == pytest.approx(0.2 + 0.6 * (1 + math.sqrt(0.5)) / 2)
    assert compute_lr(104, config) == pytest.approx(0.2)
    rates = [compute_lr(step, config) for step in range(4, 104)]
    assert rates == sorted(rates, reverse=True)


def test_a_constant_schedule_stays_at_the_peak_after_the_warmup():
    config = TrainingConfig(n_steps=9, lr=0.3, warmup=2, schedule="constant")
    assert [compute_lr(step, config) for step in range(9)] == pytest.approx([0.15] + [0.3] * 8)


@pytest.mark.parametrize(
    ("field", "values", "bound"),
    [
        ("n_steps", [0, -1], "at least 1"),
        ("log_every", [0], "at least 1"),
        ("eval_every", [0], "at least 1, or None"),
        ("checkpoint_every", [0], "at least 1, or None"),
        ("warmup", [-1, 100], "from 0 to n_steps - 1 = 99"),
        ("lr", [0.0, -1.0, math.inf, math.nan], "above 0 and finite"),
        ("eps", [0.0], "above 0 and finite"),
        ("weight_decay", [-0.1, math.inf, math.nan], "0 or above, and finite"),
        ("final_lr_fraction", [-0.1, 1.1], "from 0 to 1"),
        ("betas", [(0.9, 1.0), (-0.1, 0.9)], "two numbers in [0, 1)"),
        ("grad_clip", [0.0, -1.0, math.nan], "above 0 and finite, or None"),
    ],
)
def test_a_configuration_that_cannot_work_names_field_bound_and_value(field, values, bound):
    for value in values:
        with pytest.raises(ConfigError) as caught:
            TrainingConfig(**{"n_steps": 100, field: value})
        assert f"TrainingConfig.{field} must be {bound}: got {value!r}. Change it" in str(caught.value)


def test_the_limits_themselves_work():
    TrainingConfig(n_steps=1, warmup=0, log_every=1, eval_every=1, checkpoint_every=1)
    TrainingConfig(n_steps=5, warmup=4, weight_decay=0.0, final_lr_fraction=0.0, betas=(0.0, 0.0), grad_clip=None)
    TrainingConfig(n_steps=5, final_lr_fraction=1.0, eval_every=None, checkpoint_every=None)


def test_seed_and_trackers_are_checked():
    with pytest.raises(ConfigError, match="seed must be"):
        TrainingConfig(n_steps=5, seed=-1)
    with pytest.raises(UnknownNameError, match="no tracker is called 'mlflow'"):
        TrainingConfig(n_steps=5, trackers=("mlflow",))


def make_demo():
    return DemoTransformer(Config(d_model=6, d_vocab=11, n_ctx=7, n_layers=1, n_heads=2, d_head=3, d_mlp=5))


def test_matrices_are_decayed_and_gains_and_biases_are_not():
    decayed = {name for name, parameter in make_demo().named_parameters() if is_decayed(name, parameter)}
    matrices = {"attn.W_Q", "attn.W_K", "attn.W_V", "attn.W_O", "mlp.W_in", "mlp.W_out"}
    assert decayed == {f"blocks.0.{name}" for name in matrices} | {"embed.W_E", "pos_embed.W_pos", "unembed.W_U"}
    assert not is_decayed("norm.b", torch.zeros(2, 3))
    assert not is_decayed("layer.bias", torch.zeros(2, 3))
    assert not is_decayed("norm.w", torch.zeros(3))
    assert is_decayed("bias_layer.weight", torch.zeros(2, 3))


def test_the_optimizer_has_the_configurations_settings_and_every_trained_parameter_once():
    model = make_demo()
    model.embed.W_E.requires_grad_(False)
    config = TrainingConfig(n_steps=5, lr=0.02, weight_decay=0.3, betas=(0.8, 0.7), eps=1e-5)
    optimizer = make_optimizer(model, config)
    with_decay, without = optimizer.param_groups
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.3, 0.0)
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"], group["fused"]) == (0.02, (0.8, 0.7), 1e-5, True)
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(held) == len(trained) == len(list(model.parameters())) - 1
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in trained}


def test_a_model_of_matrices_alone_has_one_group():
    assert len(make_optimizer(nn.Linear(2, 3, bias=False), TrainingConfig(n_steps=1)).param_groups) == 1
