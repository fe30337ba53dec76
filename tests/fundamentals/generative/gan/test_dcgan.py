import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs, Discriminator, make_generator


def test_pictures_lie_between_minus_one_and_one_and_get_a_logit_each():
    pictures = make_generator(5, 3)(10 * torch.randn(4, 5))
    assert pictures.shape == (4, 1, 28, 28)
    assert pictures.abs().max() <= 1
    assert Discriminator(3)(pictures).shape == (4,)


@pytest.mark.parametrize("setting", [{"d_latent": 0}, {"lr": 0.0}, {"clip_grad_norm": -1.0}, {"n_shown": 0}])
def test_settings_that_cannot_work_are_refused(setting):
    with pytest.raises(ConfigError, match="must be at least 1, lr and clip_grad_norm above 0"):
        DCGANArgs(**setting)
