"""Parts 6 to 10: what learners would write in other ways passes, and what they get wrong is rejected."""

import einops
import pytest
import torch
from torch.nn import functional

from arena_lib.checking import run
from arena_lib.saes.toy.jumprelu import heaviside_gradients, jumprelu_gradients
from arena_lib.tests import superposition_and_saes as judges


def pre_acts_by_instance(h, W_enc, b_enc, b_dec):
    moved = h - b_dec
    return torch.stack([moved[..., i, :] @ W_enc[i] + b_enc[i] for i in range(len(W_enc))], dim=-2)


def encode_by_matmul(h, W_enc, b_enc, b_dec):
    return ((h - b_dec).unsqueeze(-2).matmul(W_enc).squeeze(-2) + b_enc).clamp(min=0)


def decode_by_broadcasting(latents, W_dec, b_dec):
    return (latents[..., None] * W_dec).sum(dim=-2).add(b_dec)


def recovery_by_torch(W_dec, W):
    cosines = functional.cosine_similarity(W_dec[:, :, None], W.mT[:, None], dim=-1)
    return cosines.max(dim=1).values


def dead_by_sum(frac_active_in_window):
    return ~(frac_active_in_window > 0).any(0)


def replace_one_by_one(W_enc, W_dec, is_dead, directions, enc_norm):
    with torch.no_grad():
        for i, latent in is_dead.nonzero().tolist():
            W_dec[i, latent] = directions[i, latent]
            W_enc[i, :, latent] = directions[i, latent] * enc_norm[i]


def probabilities_by_instance(losses):
    columns = []
    for column in losses.T:
        squares = column**2
        columns.append(squares / squares.sum() if squares.sum() > 0 else torch.full_like(column, 1 / len(column)))
    return torch.stack(columns, dim=1)


def draw_by_instance(h, probabilities, d_sae, generator):
    rows = [torch.multinomial(p, d_sae, replacement=True, generator=generator) for p in probabilities.T]
    return torch.stack([h[row, i] for i, row in enumerate(rows)])


def tie_by_diagonal(W_gate, r_mag):
    return W_gate @ torch.diag_embed(torch.exp(r_mag))


def gate_by_product(pre_gate, pre_mag):
    return (pre_gate > 0) * pre_mag.clamp(min=0)


def auxiliary_in_words(h, pre_gate, W_dec, b_dec):
    frozen, start = W_dec.detach().clone(), b_dec.detach().clone()
    gate_alone = einops.einsum(pre_gate.relu(), frozen, "b i s, i s d -> b i d") + start
    return ((h - gate_alone) ** 2).sum(-1) / h.shape[-1]


def window_by_two_sides(x):
    return torch.logical_and(x > -0.5, x < 0.5).type_as(x)


def step_gradients_by_where(z, theta, eps, grad_output):
    is_near = (z - theta).abs() < eps / 2
    return grad_output * 0, torch.where(is_near, -grad_output / eps, torch.zeros_like(z))


def jump_gradients_by_where(z, theta, eps, grad_output):
    is_near = (z - theta).abs() < eps / 2
    through = torch.where(z > theta, grad_output, torch.zeros_like(z))
    return through, torch.where(is_near, -grad_output * theta / eps, torch.zeros_like(z))


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, theta, eps):
        ctx.save_for_backward(z, theta)
        ctx.width = eps
        return torch.where(z > theta, torch.ones_like(z), torch.zeros_like(z))

    @staticmethod
    def backward(ctx, grad_output):
        z, theta = ctx.saved_tensors
        grad_z, grad_theta = heaviside_gradients(z, theta, ctx.width, grad_output)
        return grad_z, grad_theta.reshape(-1, *theta.shape).sum(dim=0), None


class Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, theta, eps):
        ctx.save_for_backward(z, theta)
        ctx.width = eps
        return z * (z > theta)

    @staticmethod
    def backward(ctx, grad_output):
        z, theta = ctx.saved_tensors
        grad_z, grad_theta = jumprelu_gradients(z, theta, ctx.width, grad_output)
        return grad_z, grad_theta.reshape(-1, *theta.shape).sum(dim=0), None


@pytest.mark.parametrize(
    ("judge", "solution"),
    [
        (judges.test_compute_pre_acts, pre_acts_by_instance),
        (judges.test_encode, encode_by_matmul),
        (judges.test_decode, decode_by_broadcasting),
        (judges.test_compute_recovery, recovery_by_torch),
        (judges.test_find_dead, dead_by_sum),
        (judges.test_replace_latents, replace_one_by_one),
        (judges.test_resampling_probabilities, probabilities_by_instance),
        (judges.test_draw_examples, draw_by_instance),
        (judges.test_tie_magnitudes, tie_by_diagonal),
        (judges.test_gate_latents, gate_by_product),
        (judges.test_compute_auxiliary_loss, auxiliary_in_words),
        (judges.test_rectangle, window_by_two_sides),
        (judges.test_heaviside_gradients, step_gradients_by_where),
        (judges.test_jumprelu_gradients, jump_gradients_by_where),
        (judges.test_heaviside, Step),
        (judges.test_jumprelu, Jump),
    ],
)
def test_other_ways_to_write_it_pass(judge, solution):
    result = run(judge, solution)
    assert result.status == "passed", result.message


def recovery_by_latent(W_dec, W):
    return functional.cosine_similarity(W_dec[:, :, None], W.mT[:, None], dim=-1).amax(dim=2)


def dead_by_the_last_update(frac_active_in_window):
    return frac_active_in_window[-1] == 0


def probabilities_by_softmax(losses):
    return losses.pow(2).softmax(dim=0)


def gate_by_sigmoid(pre_gate, pre_mag):
    return torch.sigmoid(pre_gate) * pre_mag.relu()


def auxiliary_that_trains_the_start(h, pre_gate, W_dec, b_dec):
    return auxiliary_in_words(h - b_dec, pre_gate, W_dec, torch.zeros_like(b_dec))


def jump_gradients_of_a_step(z, theta, eps, grad_output):
    return heaviside_gradients(z, theta, eps, grad_output)


class StepThatForgetsTheRest(Step):
    @staticmethod
    def backward(ctx, grad_output):
        z, theta = ctx.saved_tensors
        grad_z, grad_theta = heaviside_gradients(z, theta, ctx.width, grad_output)
        return grad_z, grad_theta.reshape(-1, *theta.shape).mean(dim=0), None


@pytest.mark.parametrize(
    ("judge", "slip"),
    [
        (judges.test_compute_recovery, recovery_by_latent),
        (judges.test_find_dead, dead_by_the_last_update),
        (judges.test_resampling_probabilities, probabilities_by_softmax),
        (judges.test_gate_latents, gate_by_sigmoid),
        (judges.test_compute_auxiliary_loss, auxiliary_that_trains_the_start),
        (judges.test_jumprelu_gradients, jump_gradients_of_a_step),
        (judges.test_heaviside, StepThatForgetsTheRest),
    ],
)
def test_slips_are_rejected_with_a_message_about_what_was_seen(judge, slip):
    result = run(judge, slip)
    assert result.status == "failed"
    assert len(result.message.splitlines()) <= 25
