"""Gemma Scope's layout, on files that the tests write."""

import numpy as np
import pytest
import torch

from arena_lib.errors import CheckpointError
from arena_lib.saes.formats import load_gemma_scope, load_sae, save_sae

D_IN, D_SAE, D_OUT = 6, 13, 4


def draw_arrays(d_out=D_IN):
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, d_out), "b_enc": D_SAE, "b_dec": d_out}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return {**arrays, "threshold": rng.uniform(0.1, 1.5, D_SAE).astype(np.float32)}


def apply(arrays, acts):
    """The paper's formula, in numpy."""
    pre_acts = acts @ arrays["W_enc"] + arrays["b_enc"]
    latents = pre_acts * (pre_acts > arrays["threshold"])
    return latents, latents @ arrays["W_dec"] + arrays["b_dec"]


@pytest.mark.parametrize("d_out", [D_IN, D_OUT])
def test_the_function_is_the_papers(d_out, tmp_path):
    arrays = draw_arrays(d_out)
    np.savez(tmp_path / "params.npz", **arrays)
    acts = np.random.default_rng(1).standard_normal((40, D_IN)).astype(np.float32)
    latents, recon = apply(arrays, acts)
    for path in (tmp_path, tmp_path / "params.npz"):
        sae = load_gemma_scope(path, hook_name="blocks.2.hook_resid_post", model_name="gemma-2-2b")
        np.testing.assert_allclose(sae.encode(torch.from_numpy(acts)).detach().numpy(), latents, atol=1e-5)
        np.testing.assert_allclose(sae(torch.from_numpy(acts)).detach().numpy(), recon, atol=1e-5)
        assert sae.cfg.hook_name == "blocks.2.hook_resid_post"
    assert 0 < (latents > 0).mean() < (acts @ arrays["W_enc"] + arrays["b_enc"] > 0).mean()


def test_it_can_be_saved_in_our_format(tmp_path):
    np.savez(tmp_path / "params.npz", **draw_arrays())
    sae, acts = load_gemma_scope(tmp_path), torch.ones(3, D_IN)
    assert torch.allclose(load_sae(save_sae(sae, tmp_path / "ours"))(acts), sae(acts))


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "params.npz"
    with pytest.raises(CheckpointError, match=r"must be an npz of number arrays.*No such file"):
        load_gemma_scope(file)
    file.write_bytes(b"not a zip")
    with pytest.raises(CheckpointError, match="must be an npz of number arrays"):
        load_gemma_scope(file)
    np.savez(file, **draw_arrays(), scaling_factor=np.ones(D_SAE))
    with pytest.raises(CheckpointError, match=r"weights of a JumpReLUSAE.*it comes with scaling_factor"):
        load_gemma_scope(file)
    np.savez(file, w_enc=np.ones((D_IN, D_SAE)))
    with pytest.raises(CheckpointError, match=r"must hold W_enc with two axes: got only \['w_enc'\]"):
        load_gemma_scope(file)
    np.savez(file, W_enc=np.array([object()], dtype=object))
    with pytest.raises(CheckpointError, match=r"must be an npz of number arrays.*pickle"):
        load_gemma_scope(file)
