"""Training toy SAEs: the history, resampling at its time, and true features found."""

import math

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import linear_lr, make_adam
from arena_lib.saes.toy.gated import GatedToySAE
from arena_lib.saes.toy.sae import ToySAE, ToySAEConfig
from arena_lib.saes.toy.training import ToySAETrainingConfig, forget_moments, train_toy_sae

SHORT = ToySAETrainingConfig(n_steps=7, batch_size=5, log_every=3, resample_every=2, resample_window=2)


def make_pentagons(n_inst: int, feature_probability: float = 0.025) -> ToyModel:
    """What training finds for five sparse features in two dimensions."""
    model = ToyModel(ToyModelConfig(n_inst=n_inst), feature_probability)
    angles = torch.arange(5) * 2 * math.pi / 5
    with torch.no_grad():
        model.W.copy_(torch.stack([angles.cos(), angles.sin()]))
    return model


def make_sae(cls=ToySAE, n_inst: int = 3, **settings) -> ToySAE:
    return cls(ToySAEConfig(n_inst=n_inst, **settings), make_pentagons(n_inst), make_generator(1))


def test_rows_hold_terms_activity_and_decoders():
    seen = []
    sae = make_sae()
    history = train_toy_sae(sae, SHORT, on_row=lambda step, sae: seen.append(step))
    assert history.steps.tolist() == seen == [3, 6, 7]
    assert set(history.terms) == {"reconstruction", "sparsity", "loss"}
    assert history.terms["loss"].shape == (3, 3)
    assert history.frac_active.shape == (3, 3, 5)
    assert history.W_dec.shape == (3, 3, 5, 2)
    assert torch.equal(history.W_dec[-1], sae.W_dec_normalized.detach())
    total = history.terms["reconstruction"] + 0.2 * history.terms["sparsity"]
    torch.testing.assert_close(history.terms["loss"], total)


@pytest.mark.parametrize("resampling", ["none", "simple", "advanced"])
def test_dead_latents_are_resampled_when_due_but_not_at_the_end(resampling):
    sae = make_sae()
    with torch.no_grad():
        sae.b_enc[1, 4] = -100.0
    config = ToySAETrainingConfig(
        n_steps=6, batch_size=50, resample_every=2, resample_window=2, resampling=resampling, lr=1e-5
    )
    history = train_toy_sae(sae, config)
    if resampling == "none":
        assert history.resampled == {}
        assert sae.b_enc[1, 4] < -99
    else:
        assert list(history.resampled) == [2, 4]
        assert history.resampled[2][1, 4]
        assert sae.b_enc[1, 4] > -1


def test_averages_of_the_old_weights_are_forgotten():
    sae = make_sae(GatedToySAE)
    optimizer = make_adam(list(sae.parameters()), 1e-3)
    _, losses, *_ = sae(sae.generate_batch(200, make_generator(0)))
    losses.sum().backward()
    optimizer.step()
    before = {name: optimizer.state[parameter]["exp_avg"].clone() for name, parameter in named(sae, optimizer)}
    is_dead = torch.tensor([[False] * 5, [False, True, False, False, False], [False] * 5])
    forget_moments(optimizer, sae, is_dead)
    for name, parameter in named(sae, optimizer):
        state = optimizer.state[parameter]
        now = state["exp_avg"]
        latent = {"W_dec": (1, 1), "b_dec": ()}.get(name, (1, ..., 1))
        if name == "b_dec":
            assert torch.equal(now, before[name])
            continue
        assert not now[latent].any(), name
        assert not state["exp_avg_sq"][latent].any(), name
        kept = before[name].clone()
        kept[latent] = 0.0
        assert torch.equal(now, kept), name


def named(sae, optimizer):
    return [(name, parameter) for name, parameter in sae.named_parameters() if parameter in optimizer.state]


def test_equal_seeds_give_equal_weights_and_the_model_stays_as_it_is():
    weights = []
    for seed in (0, 0, 1):
        sae = make_sae()
        W = sae.model.W.clone()
        train_toy_sae(sae, ToySAETrainingConfig(n_steps=7, batch_size=50, seed=seed))
        weights.append(sae.W_dec.detach())
        assert torch.equal(W, sae.model.W)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_lowers_the_loss():
    history = train_toy_sae(
        make_sae(), ToySAETrainingConfig(n_steps=200, batch_size=256, lr=2e-2, schedule=linear_lr, resampling="none")
    )
    assert (history.terms["loss"][-1] < 0.9 * history.terms["loss"][0]).all()


def test_nan_names_the_instance():
    sae = make_sae()
    with torch.no_grad():
        sae.W_dec[2] = torch.nan
    with pytest.raises(TrainingError, match="instance 2 by step 3"):
        train_toy_sae(sae, ToySAETrainingConfig(n_steps=7, batch_size=5, log_every=3))


def test_bad_configurations_are_refused(without_types):
    with pytest.raises(ConfigError, match="resample_window must be at most resample_every = 5: got 6"):
        ToySAETrainingConfig(resample_every=5, resample_window=6)
    with pytest.raises(ConfigError, match="resampling must be"):
        ToySAETrainingConfig(resampling="anthropic")
    with pytest.raises(ConfigError):
        ToySAETrainingConfig(n_steps=0)
