"""What all variants share, seen on TopK: free axes, targets, what a loss reports, and bad input."""

import pytest
import torch
from tests.saes.formats.every_variant import make_variants
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.autoencoders.base import SparseLatents
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig


def make_sae(**fields: object) -> TopKSAE:
    settings = {"d_in": 5, "d_sae": 11, "k": 3, **fields}
    return TopKSAE(TopKSAEConfig(**settings), make_generator(0)).double()


def make_acts(batch: int = 7, d_in: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, d_in, generator=make_generator(seed), dtype=torch.float64)


def test_leading_axes_are_free():
    sae, acts = make_sae(), make_acts(6)
    assert torch.allclose(sae(acts.reshape(2, 3, 5)), sae(acts).reshape(2, 3, 5))
    assert sae.encode(acts[0]).shape == (11,)


def test_losses_count_what_was_active():
    losses = make_sae().compute_loss(make_acts())
    assert torch.equal(losses.n_active, (losses.latents > 0).sum(dim=0))
    assert losses.l0.item() == pytest.approx((losses.latents > 0).sum(dim=1).double().mean().item())
    assert not losses.latents.requires_grad


def test_a_transcoder_reconstructs_its_target():
    sae = make_sae(d_out=4, subtract_b_dec=False)
    assert sae(make_acts()).shape == (7, 4)
    assert sae.compute_loss(make_acts(), make_acts(7, 4, seed=2)).total.item() > 0
    with pytest.raises(ShapeError, match="a transcoder needs a target with 4 entries: got None"):
        sae.compute_loss(make_acts())


def test_an_autoencoder_starts_with_its_encoder_as_the_decoder_transposed():
    sae = make_sae()
    assert torch.equal(sae.W_enc, sae.W_dec.T)
    assert sae.W_enc.is_contiguous()
    assert sae.W_enc.data_ptr() != sae.W_dec.data_ptr()
    transcoder = make_sae(d_out=5, subtract_b_dec=False)
    assert not torch.equal(transcoder.W_enc, transcoder.W_dec.T)
    assert torch.allclose(transcoder.W_enc.norm(dim=0), torch.ones(11, dtype=torch.float64))


def test_equal_seeds_start_equally_and_leave_the_global_state_alone():
    state = torch.get_rng_state()
    assert torch.equal(make_sae().W_dec, make_sae().W_dec)
    assert torch.equal(torch.get_rng_state(), state)


def test_sparse_latents_say_the_same_as_dense_ones():
    sparse = SparseLatents(torch.tensor([[2.0, 0.0], [0.5, 1.0]]), torch.tensor([[3, 0], [3, 1]]), d_sae=5)
    assert torch.equal(sparse.to_dense(), torch.tensor([[0, 0, 0, 2.0, 0], [0, 1.0, 0, 0.5, 0]]))
    assert sparse.count_active().tolist() == [0, 1, 0, 2, 0]


def test_a_folded_scale_gives_the_same_latents_of_unscaled_activations():
    sae, acts = make_sae(), make_acts()
    torch.nn.init.normal_(sae.b_dec, generator=make_generator(3))
    latents, recon = sae.encode(acts * 0.3), sae(acts * 0.3)
    sae.fold_scale(0.3)
    assert torch.allclose(sae.encode(acts), latents)
    assert torch.allclose(sae(acts) * 0.3, recon)


def test_a_transcoder_folds_the_scales_of_input_and_target():
    sae, acts = make_sae(d_out=4, subtract_b_dec=False), make_acts()
    latents, recon = sae.encode(acts * 0.3), sae(acts * 0.3)
    sae.fold_scale(0.3, torch.tensor(7.0))
    assert torch.allclose(sae.encode(acts), latents)
    assert torch.allclose(sae(acts) * 7.0, recon)


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="cannot subtract b_dec"):
        make_sae(d_out=4)
    with pytest.raises(ConfigError, match="d_sae must be a whole number of at least 1: got 0"):
        make_sae(d_sae=0)
    with pytest.raises(
        ShapeError, match=r"must have 5 entries.*got 6, shape \(7, 6\).*trained: blocks.1.hook_resid_pre"
    ):
        make_sae(hook_name="blocks.1.hook_resid_pre").encode(make_acts(7, 6))
    with pytest.raises(ShapeError, match=r"one row for each of 7 examples and 5 entries: got shape \(7, 6\)"):
        make_sae().compute_loss(make_acts(), make_acts(7, 6))


class HostReads(TorchDispatchMode):
    """Notes the operations after which a GPU's results would have to be waited for."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(name in str(function) for name in self.WAITING):
            self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", make_variants().keys())
def test_a_training_step_reads_no_number_back_from_the_device(name):
    sae, acts = make_variants()[name].train(), torch.randn(40, 6, generator=make_generator(3))
    with HostReads() as reads:
        losses = sae.compute_loss(acts)
        losses.total.backward()
        sae.before_step()
        sae.after_step()
        count = losses.n_active
    assert reads.names == []
    with HostReads() as reads:
        count.sum().item()
    assert reads.names != []
