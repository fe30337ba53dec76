"""Dead latents get new weights, the others keep theirs, and the optimizer forgets."""

import pytest
import torch
from tests.saes.autoencoders.plain import D_IN, D_OUT, D_SAE, draw, make

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig
from arena_lib.saes.autoencoders.resampling import (
    ENCODER_SCALE,
    compute_resampling_weights,
    draw_rows_by_error,
    resample_advanced,
    resample_simple,
)
from arena_lib.saes.autoencoders.transcoders import SkipTranscoder, TranscoderConfig

DEAD = torch.arange(D_SAE) % 4 == 1
N_DEAD = 3
VARIANTS = {
    "relu": lambda: make(ReLUSAE, ReLUSAEConfig, l1_coef=0.3),
    "gated": lambda: make(GatedSAE, GatedSAEConfig, l1_coef=0.3),
    "jumprelu": lambda: make(JumpReLUSAE, JumpReLUSAEConfig, l0_coef=0.3),
    "skip transcoder": lambda: make(SkipTranscoder, TranscoderConfig, l1_coef=0.3, d_out=D_OUT),
}
BOTH = [resample_simple, resample_advanced]


def target_of(sae, batch):
    return None if sae.cfg.d_out is None else draw(batch, D_OUT, seed=5)


@pytest.mark.parametrize("resample", BOTH)
@pytest.mark.parametrize("make_variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_dead_get_new_weights_and_the_living_keep_theirs(make_variant, resample):
    sae = make_variant()
    before = {name: weight.detach().clone() for name, weight in sae.named_parameters()}
    resample(sae, DEAD, draw(20, D_IN), make_generator(1), target=target_of(sae, 20))
    for name, weight in sae.named_parameters():
        if name not in sae.latent_axes:
            assert torch.equal(weight, before[name])
            continue
        now, then = (tensor.movedim(sae.latent_axes[name], 0) for tensor in (weight, before[name]))
        assert torch.equal(now[~DEAD], then[~DEAD]), name
        assert (now[DEAD] != then[DEAD]).all(), name
    assert torch.allclose(sae.W_dec[DEAD].norm(dim=1), torch.ones(N_DEAD).double())
    assert sum(axis is not None for axis in sae.latent_axes.values()) >= 3


@pytest.mark.parametrize("resample", BOTH)
def test_equal_generators_draw_equally_and_the_global_state_stays(resample):
    state, ends = torch.get_rng_state(), []
    for seed in (1, 1, 2):
        sae = VARIANTS["relu"]()
        resample(sae, DEAD, draw(20, D_IN), make_generator(seed))
        ends.append(sae.W_dec.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_new_latents_point_at_examples_and_their_encoder_is_a_fifth_as_long_as_the_livings():
    sae, acts = VARIANTS["relu"](), draw(20, D_IN)
    lengths = sae.W_enc.detach().norm(dim=0)[~DEAD].mean()
    resample_advanced(sae, DEAD, acts, make_generator(1))
    centered = acts - sae.b_dec
    directions = centered / centered.norm(dim=1, keepdim=True)
    nearest = (sae.W_dec[DEAD] @ directions.T).max(dim=1)
    assert torch.allclose(nearest.values, torch.ones(N_DEAD).double())
    assert len(nearest.indices.unique()) == N_DEAD
    assert torch.allclose(sae.W_enc[:, DEAD].T, ENCODER_SCALE * lengths * sae.W_dec[DEAD])
    assert (sae.b_enc[DEAD] == 0).all()


def test_a_transcoders_new_latents_read_the_input_and_write_the_target_of_one_example():
    sae, acts, target = VARIANTS["skip transcoder"](), draw(20, D_IN), draw(20, D_OUT, seed=5)
    W_enc, W_dec = draw_rows_by_error(sae, DEAD, acts, target, make_generator(1))
    by_input = (W_enc @ (acts / acts.norm(dim=1, keepdim=True)).T).argmax(dim=1)
    centered = target - sae.b_dec
    by_target = (W_dec @ (centered / centered.norm(dim=1, keepdim=True)).T).argmax(dim=1)
    assert torch.equal(by_input, by_target)


def test_examples_are_drawn_by_their_error_squared():
    assert torch.allclose(compute_resampling_weights(torch.tensor([3.0, 1.0, 0.0])), torch.tensor([0.9, 0.1, 0.0]))
    assert torch.equal(compute_resampling_weights(torch.zeros(4)), torch.full((4,), 0.25))
    assert torch.allclose(compute_resampling_weights(torch.tensor([3e30, 1e30])), torch.tensor([0.9, 0.1]))
    sae, acts = VARIANTS["relu"](), draw(20, D_IN)
    acts[4] *= 1e4
    _, W_dec = draw_rows_by_error(sae, torch.arange(D_SAE) == 0, acts, generator=make_generator(0))
    assert torch.allclose(W_dec[0], (acts[4] - sae.b_dec) / (acts[4] - sae.b_dec).norm())


def test_more_dead_latents_than_examples_share_examples():
    sae = VARIANTS["relu"]()
    resample_advanced(sae, torch.ones(D_SAE, dtype=torch.bool), draw(3, D_IN), make_generator(1))
    assert sae.W_enc.isfinite().all()
    assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(D_SAE).double())


@pytest.mark.parametrize("resample", BOTH)
def test_without_dead_latents_nothing_changes(resample):
    sae = VARIANTS["relu"]()
    before = sae.W_dec.detach().clone()
    resample(sae, torch.zeros(D_SAE, dtype=torch.bool), draw(20, D_IN), make_generator(1))
    assert torch.equal(sae.W_dec, before)


@pytest.mark.parametrize("make_variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_adam_forgets_the_dead_and_remembers_the_living(make_variant):
    sae = make_variant()
    optimizer = torch.optim.Adam(sae.parameters())
    sae.compute_loss(draw(20, D_IN), target_of(sae, 20)).total.backward()
    optimizer.step()
    before = {name: optimizer.state[weight]["exp_avg"].clone() for name, weight in sae.named_parameters()}
    resample_simple(sae, DEAD, draw(20, D_IN), make_generator(1), optimizer=optimizer)
    for name, weight in sae.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            now = optimizer.state[weight][moment]
            if name in sae.latent_axes:
                assert (now.movedim(sae.latent_axes[name], 0)[DEAD] == 0).all()
        axis = sae.latent_axes.get(name)
        kept = (optimizer.state[weight]["exp_avg"], before[name])
        if axis is not None:
            kept = tuple(tensor.movedim(axis, 0)[~DEAD] for tensor in kept)
        assert torch.equal(*kept)
