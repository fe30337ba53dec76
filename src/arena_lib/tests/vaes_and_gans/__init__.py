"""Judges of section 0.5, VAEs and GANs."""

from arena_lib.checking import also_called
from arena_lib.tests.vaes_and_gans.bending import test_leaky_relu, test_sigmoid, test_tanh
from arena_lib.tests.vaes_and_gans.bounds import test_compute_elbo, test_interpolate, test_log_likelihood
from arena_lib.tests.vaes_and_gans.clouds import test_kl_to_standard_normal, test_reparameterise
from arena_lib.tests.vaes_and_gans.first_weights import test_initialize_weights
from arena_lib.tests.vaes_and_gans.folding import test_autoencoder, test_make_decoder, test_make_encoder
from arena_lib.tests.vaes_and_gans.gan_losses import test_discriminator_loss, test_generator_loss
from arena_lib.tests.vaes_and_gans.gan_networks import test_discriminator, test_make_generator
from arena_lib.tests.vaes_and_gans.gan_steps import test_training_step_discriminator, test_training_step_generator
from arena_lib.tests.vaes_and_gans.gan_turns import test_dcgan_trainer
from arena_lib.tests.vaes_and_gans.planes import (
    test_conv_transpose2d,
    test_conv_transpose2d_module,
    test_fractional_stride_2d,
)
from arena_lib.tests.vaes_and_gans.rating import test_class_entropy, test_classifier_score
from arena_lib.tests.vaes_and_gans.rows import (
    test_conv_transpose1d,
    test_conv_transpose1d_minimal,
    test_fractional_stride_1d,
    test_stamp_kernel,
)
from arena_lib.tests.vaes_and_gans.trainers import test_autoencoder_trainer, test_vae_trainer
from arena_lib.tests.vaes_and_gans.variational import test_vae

test_Tanh = also_called(test_tanh)  # noqa: N816 -- here and below: as the classes are called
test_Sigmoid = also_called(test_sigmoid)  # noqa: N816
test_LeakyReLU = also_called(test_leaky_relu)  # noqa: N816
test_ConvTranspose2d = also_called(test_conv_transpose2d_module)  # noqa: N816

__test__ = False

__all__ = [
    "test_ConvTranspose2d",
    "test_LeakyReLU",
    "test_Sigmoid",
    "test_Tanh",
    "test_autoencoder",
    "test_autoencoder_trainer",
    "test_class_entropy",
    "test_classifier_score",
    "test_compute_elbo",
    "test_conv_transpose1d",
    "test_conv_transpose1d_minimal",
    "test_conv_transpose2d",
    "test_conv_transpose2d_module",
    "test_dcgan_trainer",
    "test_discriminator",
    "test_discriminator_loss",
    "test_fractional_stride_1d",
    "test_fractional_stride_2d",
    "test_generator_loss",
    "test_initialize_weights",
    "test_interpolate",
    "test_kl_to_standard_normal",
    "test_leaky_relu",
    "test_log_likelihood",
    "test_make_decoder",
    "test_make_encoder",
    "test_make_generator",
    "test_reparameterise",
    "test_sigmoid",
    "test_stamp_kernel",
    "test_tanh",
    "test_training_step_discriminator",
    "test_training_step_generator",
    "test_vae",
    "test_vae_trainer",
]
