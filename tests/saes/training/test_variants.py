"""Variants by name."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.training.variants import VARIANTS, has_weighed_sparsity, list_fields, make_sae, suggest_settings

SIZES = {"d_in": 6, "d_sae": 24}
NEED_TARGET = {name for name in VARIANTS if "transcoder" in name}


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_is_made_with_suggested_settings(name):
    sae = make_sae(name, **SIZES, d_out=5 if name in NEED_TARGET else None, seed=3, model_name="tiny")
    assert type(sae) is VARIANTS[name]
    assert (sae.cfg.d_sae, sae.cfg.model_name, sae.cfg.d_target) == (24, "tiny", 5 if name in NEED_TARGET else 6)
    for field, value in suggest_settings(name, **SIZES).items():
        assert getattr(sae.cfg, field) == value


def test_settings_and_seeds_are_heeded():
    assert make_sae("topk", **SIZES, settings={"k": 3}).cfg.k == 3
    assert make_sae("topk", **SIZES, seed=1).W_dec.equal(make_sae("topk", **SIZES, seed=1).W_dec)
    assert not make_sae("topk", **SIZES, seed=1).W_dec.equal(make_sae("topk", **SIZES, seed=2).W_dec)
    assert suggest_settings("jumprelu", 256, 9)["l0_coef"] == 2 * suggest_settings("jumprelu", 128, 9)["l0_coef"]


def test_sparsity_is_weighed_in_some_and_counted_in_others():
    weighed = {name for name in VARIANTS if has_weighed_sparsity(name)}
    assert {"relu", "gated", "jumprelu", "skip-transcoder"} <= weighed
    assert not weighed & {"topk", "batch-topk", "matryoshka", "topk-skip-transcoder"}


def test_names_and_settings_that_are_not_there_are_refused():
    with pytest.raises(UnknownNameError, match="no variant is called 'top'"):
        make_sae("top", **SIZES)
    with pytest.raises(UnknownNameError, match="no setting of topk is called 'l1_coef'"):
        make_sae("topk", **SIZES, settings={"l1_coef": 1})
    with pytest.raises(ConfigError, match="must know how wide its target is"):
        make_sae("transcoder", **SIZES)
    assert "d_in" not in list_fields("topk")


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_trains_in_bfloat16_as_in_float32(name):
    d_out = 48 if name in NEED_TARGET else None
    sae = make_sae(name, d_in=64, d_sae=256, d_out=d_out)
    acts, target = (torch.randn(128, width, generator=make_generator(1)) for width in (64, d_out or 1))
    dead = torch.arange(256) < 40  # so that the auxiliary loss, where there is one, has work
    gradients = {}
    for is_narrow in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=is_narrow):
            losses = sae.compute_loss(acts, target if d_out else None, dead=dead)
        weights = dict(sae.named_parameters())
        gradients[is_narrow] = torch.autograd.grad(losses.total, list(weights.values()))
    assert losses.total.dtype == torch.float32
    for weight, expected, actual in zip(weights, gradients[False], gradients[True], strict=True):
        assert actual.dtype == torch.float32
        assert torch.cosine_similarity(expected.flatten(), actual.flatten(), dim=0) > 0.99, weight
