import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.autoencoder import Autoencoder, AutoencoderArgs, AutoencoderTrainer


def stripes(n):
    """Pictures of one number each: how far a stripe reaches."""
    levels = torch.rand(n, generator=torch.Generator().manual_seed(0))
    return (torch.arange(28) / 28 < levels[:, None]).float()[:, None, None, :].expand(n, 1, 28, 28)


def test_training_beats_the_mean_picture_and_repeats_itself():
    images = stripes(64)
    args = AutoencoderArgs(d_latent=2, d_hidden=16, n_epochs=16, batch_size=16, lr=5e-3)
    trainers = [AutoencoderTrainer(args, images) for _ in "ab"]
    model, other = (trainer.train() for trainer in trainers)
    assert trainers[0].losses == trainers[1].losses
    assert len(trainers[0].losses) == 64
    with torch.no_grad():
        error = (model(images) - images).pow(2).mean()
        assert error < (images - images.mean(dim=0)).pow(2).mean() / 2
        assert torch.equal(other(images), model(images))


def test_the_latents_are_all_that_passes():
    model = Autoencoder(3, 8)
    assert model.encoder(torch.zeros(2, 1, 28, 28)).shape == (2, 3)


@pytest.mark.parametrize("setting", [{"d_latent": 0}, {"lr": 0.0}, {"noise": -1.0}, {"batch_size": 0}])
def test_settings_that_cannot_work_are_refused(setting):
    with pytest.raises(ConfigError, match="must be at least 1, lr and noise above 0"):
        AutoencoderArgs(**setting)
