"""What a learner of 0.5 reads of likely mistakes, and styles that pass."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from arena_lib.checking import run
from arena_lib.fundamentals.generative import activations, transposed_2d
from arena_lib.tests import vaes_and_gans as tests


def said(test, thing):
    result = run(test, thing)
    assert result.status == "failed"
    return str(result.message)


def test_kernels_that_are_not_turned_around_are_named():
    def conv_transpose1d_minimal(x, weights):
        reach = weights.shape[-1] - 1
        return F.conv1d(F.pad(x, (reach, reach)), weights.transpose(0, 1))

    message = said(tests.test_conv_transpose1d_minimal, conv_transpose1d_minimal)
    assert "Looks like: doesn't turn the kernels around" in message


def test_one_stride_for_both_directions_is_named():
    def fractional_stride_2d(x, stride_h, stride_w):
        out = torch.zeros(*x.shape[:2], stride_h * (x.shape[2] - 1) + 1, stride_h * (x.shape[3] - 1) + 1).to(x)
        out[..., ::stride_h, ::stride_h] = x
        return out

    assert "one stride for both directions" in said(tests.test_fractional_stride_2d, fractional_stride_2d)


def test_a_slope_that_is_ignored_is_named():
    class LeakyReLU(nn.Module):
        def __init__(self, negative_slope=0.01):
            super().__init__()
            self.negative_slope = negative_slope

        def forward(self, x):
            return F.leaky_relu(x)

        def extra_repr(self):
            return f"negative_slope={self.negative_slope}"

    assert "Looks like: ignores negative_slope" in said(tests.test_leaky_relu, LeakyReLU)


def test_an_instance_in_place_of_the_class_is_said():
    message = said(tests.test_tanh, nn.Tanh())
    assert "takes a class" in message
    assert "without" in message


@pytest.mark.parametrize(
    "layer", [transposed_2d.ConvTranspose2d, activations.LeakyReLU, activations.Sigmoid, activations.Tanh]
)
def test_the_judge_of_a_class_is_called_by_its_name_as_well(layer, capsys):
    getattr(tests, f"test_{layer.__name__}")(layer)
    assert "passed" in capsys.readouterr().out


class Tanh(nn.Module):
    def forward(self, x):
        return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


def test_the_formula_as_it_stands_gives_nan_and_is_told_so():
    assert "gives nan for large numbers" in said(tests.test_tanh, Tanh)


@pytest.mark.parametrize(
    ("test", "thing"),
    [
        (tests.test_tanh, nn.Tanh),
        (tests.test_sigmoid, nn.Sigmoid),
        (tests.test_leaky_relu, nn.LeakyReLU),
        (tests.test_conv_transpose2d, F.conv_transpose2d),
    ],
)
def test_what_pytorch_has_passes(test, thing):
    def conv_transpose2d(x, weights, stride=1, padding=0):
        return F.conv_transpose2d(x, weights, stride=stride, padding=padding)

    assert run(test, conv_transpose2d if thing is F.conv_transpose2d else thing).status == "passed"


def test_one_noise_for_all_latents_of_a_picture_is_named():
    def reparameterise(mu, logsigma, generator=None):
        return mu + logsigma.exp() * torch.randn(len(mu), 1, generator=generator)

    message = said(tests.test_reparameterise, reparameterise)
    assert "Looks like: draws one number for all dimensions of an example" in message


def test_a_logarithm_of_the_variance_is_named():
    def reparameterise(mu, logsigma, generator=None):
        return mu + (logsigma / 2).exp() * torch.randn(mu.shape, generator=generator, dtype=mu.dtype)

    assert "takes logsigma for the logarithm of the variance" in said(tests.test_reparameterise, reparameterise)


def test_pictures_that_are_not_detached_are_named():
    def training_step_discriminator(discriminator, optimizer, img_real, img_fake, clip_grad_norm=1.0):
        optimizer.zero_grad()
        loss = F.softplus(-discriminator(img_real)).mean() + F.softplus(discriminator(img_fake)).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(discriminator.parameters(), clip_grad_norm)
        optimizer.step()
        return loss.detach()

    message = said(tests.test_training_step_discriminator, training_step_discriminator)
    assert "Looks like: doesn't detach the generated pictures" in message


def test_the_loss_that_saturates_is_named():
    def generator_loss(logits_fake):
        return torch.log(1 - torch.sigmoid(logits_fake)).clamp(min=-400).mean()

    assert run(tests.test_generator_loss, generator_loss).status == "failed"

    def another(logits_fake):
        return F.logsigmoid(-logits_fake).mean()

    another.__name__ = "generator_loss"
    assert "takes the loss that saturates" in said(tests.test_generator_loss, another)


def test_biases_of_batch_norms_that_are_left_are_named():
    def initialize_weights(model):
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.weight.data.normal_(0, 0.02)
                if module.bias is not None:
                    module.bias.data.zero_()
            elif isinstance(module, nn.BatchNorm2d) and module.affine:
                module.weight.data.normal_(1, 0.02)

    assert "leaves the biases of batch norms" in said(tests.test_initialize_weights, initialize_weights)
