"""A toy SAE: its parts together, its resampling, and what it refuses."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy.functions import decode, encode
from arena_lib.saes.toy.gated import GatedToySAE
from arena_lib.saes.toy.jumprelu import JumpReLUToySAE, JumpReLUToySAEConfig
from arena_lib.saes.toy.sae import ToySAE, ToySAEConfig, compute_recovery

N_INST, N_FEATS, D_HIDDEN, D_SAE = 2, 5, 3, 4
KINDS = (
    (ToySAE, ToySAEConfig, ["b_enc"]),
    (GatedToySAE, ToySAEConfig, ["b_gate", "b_mag", "r_mag"]),
    (JumpReLUToySAE, JumpReLUToySAEConfig, ["b_enc"]),
)


def make_model() -> ToyModel:
    cfg = ToyModelConfig(n_inst=N_INST, n_feats=N_FEATS, d_hidden=D_HIDDEN)
    return ToyModel(cfg, 0.5, generator=make_generator(0))


def make_sae(cls=ToySAE, cfg=ToySAEConfig, **settings) -> ToySAE:
    sae = cls(cfg(n_inst=N_INST, d_in=D_HIDDEN, d_sae=D_SAE, **settings), make_model(), make_generator(1))
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            if name.startswith(("b_", "r_")):
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=make_generator(2)))
    return sae


def test_forward_is_encode_decode_and_a_weighted_loss():
    sae = make_sae(sparsity_coef=0.3)
    h = sae.generate_batch(6, make_generator(3))
    terms, loss, latents, recon = sae(h)
    torch.testing.assert_close(latents, encode(h, sae.W_enc, sae.b_enc, sae.b_dec))
    torch.testing.assert_close(recon, decode(latents, sae.W_dec_normalized, sae.b_dec))
    torch.testing.assert_close(terms["reconstruction"], (recon - h).pow(2).mean(dim=-1))
    torch.testing.assert_close(loss, terms["reconstruction"] + 0.3 * latents.sum(dim=-1))
    assert loss.shape == (6, N_INST)


def test_batches_are_the_models_hidden_states_and_the_model_is_frozen():
    sae = make_sae()
    features = sae.model.generate_batch(6, make_generator(3))
    h = sae.generate_batch(6, make_generator(3))
    torch.testing.assert_close(h[:, 1], features[:, 1] @ sae.model.W[1].T)
    assert not h.requires_grad
    assert not any(parameter.requires_grad for parameter in sae.model.parameters())


@pytest.mark.parametrize(("cls", "cfg", "biases"), KINDS)
def test_every_parameter_of_its_own_gets_a_gradient(cls, cfg, biases):
    settings = {} if cls is not JumpReLUToySAE else {"theta_init": 0.1, "ste_eps": 0.5}
    sae = make_sae(cls, cfg, **settings)
    _, loss, *_ = sae(sae.generate_batch(200, make_generator(3)))
    loss.mean(dim=0).sum().backward()
    for name, parameter in sae.named_parameters():
        assert name.startswith("model.") or parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("cls", "cfg", "biases"), KINDS)
def test_simple_resampling_restarts_dead_latents_alone(cls, cfg, biases):
    sae = make_sae(cls, cfg)
    before = {name: parameter.detach().clone() for name, parameter in sae.named_parameters()}
    frac_active = torch.ones(3, N_INST, D_SAE)
    frac_active[:, 0, 2] = 0.0
    frac_active[1:, 1, 3] = 0.0
    is_dead = sae.resample_simple(frac_active, 0.25, make_generator(4))
    assert is_dead.nonzero().tolist() == [[0, 2]]
    torch.testing.assert_close(sae.W_dec[0, 2].norm(), torch.tensor(1.0))
    torch.testing.assert_close(sae.encoder[0, :, 2], 0.25 * sae.W_dec[0, 2])
    for name in biases:
        assert getattr(sae, name)[0, 2] == 0.0
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            changed = (parameter != before[name]).nonzero().tolist()
            axis = {"W_dec": 1, "b_dec": None}.get(name, -1)
            assert all(index[0] == 0 and index[axis] == 2 for index in changed), name


@pytest.mark.parametrize(("cls", "cfg", "biases"), KINDS)
def test_advanced_resampling_takes_badly_reconstructed_examples(cls, cfg, biases):
    sae = make_sae(cls, cfg)
    frac_active = torch.ones(3, N_INST, D_SAE)
    frac_active[:, 1, 0] = 0.0
    alive_norm = sae.encoder[1, :, 1:].norm(dim=0).mean().item()
    centered = sae.generate_batch(50, make_generator(4)) - sae.b_dec
    is_dead = sae.resample_advanced(frac_active, 0.5, 50, make_generator(4))
    assert is_dead.nonzero().tolist() == [[1, 0]]
    cosines = torch.nn.functional.cosine_similarity(centered[:, 1], sae.W_dec[1, 0][None], dim=-1)
    assert cosines.max().item() == pytest.approx(1.0, abs=1e-5)  # one of this batch's examples
    assert sae.encoder[1, :, 0].norm().item() == pytest.approx(0.5 * alive_norm, rel=1e-5)
    assert sae.W_dec.requires_grad


def test_a_revived_threshold_starts_again():
    sae = make_sae(JumpReLUToySAE, JumpReLUToySAEConfig, theta_init=0.2)
    with torch.no_grad():
        sae.log_theta.fill_(3.0)
    sae.resample_simple(torch.tensor([[[0.0, 1, 1, 1], [1, 1, 1, 1]]]), 0.5, make_generator(0))
    assert sae.theta[0, 0].item() == pytest.approx(0.2)
    assert (sae.log_theta[1] == 3.0).all()
    assert (sae.log_theta[0, 1:] == 3.0).all()


def test_recovery_is_the_best_cosine_of_each_feature():
    W = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]]])
    W_dec = torch.tensor([[[3.0, 0.0], [0.0, -1.0]]])
    torch.testing.assert_close(compute_recovery(W_dec, W), torch.tensor([[1.0, 0.0, 0.5**0.5]]))


def test_another_models_sizes_are_refused(without_types):
    with pytest.raises(ConfigError, match="n_inst and d_hidden, 2 and 3: got n_inst=2 and d_in=4"):
        ToySAE(ToySAEConfig(n_inst=2, d_in=4), make_model())
    with pytest.raises(ConfigError, match="JumpReLUToySAEConfig"):
        JumpReLUToySAE(ToySAEConfig(n_inst=N_INST, d_in=D_HIDDEN), make_model())
    with pytest.raises(ConfigError):
        ToySAEConfig(sparsity_coef=-1.0)
