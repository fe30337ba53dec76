import pytest
import torch
from tests.fundamentals.generative.test_autoencoder import stripes

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.autoencoder import AutoencoderArgs
from arena_lib.fundamentals.generative.gaussians import compute_elbo
from arena_lib.fundamentals.generative.vae import VAE, VAETrainer, interpolate


def test_training_raises_the_elbo():
    images = stripes(64)
    trainer = VAETrainer(AutoencoderArgs(d_latent=2, d_hidden=16, n_epochs=6, batch_size=16, lr=5e-3), images)
    before = compute_elbo(images, *trainer.model(images)).mean().item()
    after = compute_elbo(images, *trainer.train()(images)).mean().item()
    assert after > before + 300


def test_equal_seeds_give_equal_draws_and_a_call_draws_anew():
    model, x = VAE(3, 8), torch.rand(2, 1, 28, 28)
    draws = []
    for _ in "ab":
        torch.manual_seed(1)
        draws.append(model.sample_latent_vector(x)[0])
    assert torch.equal(*draws)
    assert not torch.equal(draws[1], model.sample_latent_vector(x)[0])


def test_a_walk_has_both_ends_and_equal_steps():
    walk = interpolate(torch.tensor([0.0, 2.0]), torch.tensor([3.0, 2.0]), 4)
    torch.testing.assert_close(walk, torch.tensor([[0.0, 2], [1, 2], [2, 2], [3, 2]]))
    with pytest.raises(ConfigError, match="at least 2, for the start and the end: got 1"):
        interpolate(torch.zeros(2), torch.ones(2), 1)
