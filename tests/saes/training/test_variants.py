"""Variants by name."""

import pytest

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
