"""The study of recovery: what counts as found, and that every variant runs."""

import pytest
import torch

from arena_lib.saes.superposition.geometry import compute_dimensionality
from arena_lib.saes.toy.gated import GatedToySAE
from arena_lib.saes.toy.recovery import (
    VARIANTS,
    RecoveryStudy,
    draw_recovery,
    draw_run,
    make_sae,
    study_recovery,
    train_pentagon,
)

TINY = {"n_inst": 2, "n_steps": 10, "n_toy_steps": 2}


def test_an_sae_is_complete_if_each_feature_is_found_and_the_lowest_loss_is_chosen():
    good, bad = [0.95, 1.0], [0.94, 1.0]
    study = RecoveryStudy(torch.tensor([[good, bad], [good, bad]]), torch.tensor([[0.1, 0.2], [0.2, 0.1]]))
    assert study.is_complete.tolist() == [[True, False], [True, False]]
    assert study.is_best_complete.tolist() == [True, False]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_measured_for_each_seed(name):
    study = study_recovery(name, seeds=(3, 4), **TINY)
    assert study.recovery.shape == (2, 2, 5)
    assert study.losses.shape == (2, 2)
    assert not torch.equal(study.recovery[0], study.recovery[1])


def test_an_sae_has_a_latent_for_each_feature_and_its_variants_kind():
    model = train_pentagon(3, seed=0, n_steps=2)
    sae = make_sae(VARIANTS["gated"], model, seed=0)
    assert isinstance(sae, GatedToySAE)
    assert sae.W_dec.shape == (3, 5, 2)


def test_the_toy_model_holds_a_pentagon_and_its_copies_are_equal():
    model = train_pentagon(3, seed=0, n_steps=600)
    shares = compute_dimensionality(model.W)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.4), rtol=0, atol=0.05)
    assert torch.equal(model.W[0], model.W[2])


def test_saes_with_resampling_find_every_feature_of_most_copies():
    study = study_recovery("L1, advanced", seeds=(0,), n_inst=5, n_steps=900, n_toy_steps=300)
    assert study.is_complete.sum() >= 2
    assert study.is_best_complete.all()


def test_figures_have_a_bar_for_each_variant_and_a_frame_for_each_row():
    bars, run = draw_recovery(n_seeds=1, **TINY)
    assert [len(trace.y) for trace in bars.data] == [len(VARIANTS)] * 2
    assert len(run.frames) == 10
    assert draw_run("JumpReLU", **TINY).layout.title.text == "JumpReLU"
