import pytest
import torch
from tests.fundamentals.generative.test_autoencoder import stripes
from torch.nn import functional as F

from arena_lib.errors import TrainingError
from arena_lib.fundamentals.generative.gan import training
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs, Discriminator, make_generator


def test_losses_are_those_of_binary_cross_entropy():
    real, fake = 5 * torch.randn(7), 5 * torch.randn(4)
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    expected = F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(fake, zeros)
    torch.testing.assert_close(training.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(
        training.generator_loss(fake), F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    )


def test_a_step_of_one_network_leaves_the_other():
    generator, discriminator = make_generator(4, 2), Discriminator(2)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in (generator, discriminator)]
    fake, real = generator(torch.randn(3, 4)), torch.rand(5, 1, 28, 28)

    def weights():
        return [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (generator, discriminator)]

    start = weights()
    training.training_step_discriminator(discriminator, optimizers[1], real, fake)
    middle = weights()
    assert torch.equal(start[0], middle[0])
    assert not torch.equal(start[1], middle[1])
    assert all(parameter.grad is None for parameter in generator.parameters())
    training.training_step_generator(generator, discriminator, optimizers[0], fake)
    end = weights()
    assert not torch.equal(middle[0], end[0])
    assert torch.equal(middle[1], end[1])


def test_training_repeats_itself_and_shows_the_same_noise_after_each_epoch():
    args = DCGANArgs(d_latent=4, n_channels=2, n_epochs=2, batch_size=6, n_shown=3)
    trainers = [training.DCGANTrainer(args, 2 * stripes(14) - 1) for _ in "ab"]
    generator, other = (trainer.train() for trainer in trainers)
    first, second = trainers
    assert first.losses_G == second.losses_G
    assert len(first.losses_D) == 6
    assert [tuple(sample.shape) for sample in first.samples] == [(3, 1, 28, 28)] * 2
    pictures = [training.generate(net, 3, 4, torch.Generator().manual_seed(1)) for net in (generator, other)]
    assert torch.equal(*pictures)
    assert 0 <= pictures[0].min() <= pictures[0].max() <= 1
    assert generator.training


def test_a_loss_that_is_no_number_stops_the_run():
    trainer = training.DCGANTrainer(
        DCGANArgs(d_latent=4, n_channels=2, n_epochs=1), torch.full((3, 1, 28, 28), torch.nan)
    )
    with pytest.raises(TrainingError, match="the loss must be finite"):
        trainer.train()
