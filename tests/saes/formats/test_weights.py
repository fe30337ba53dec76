"""Weights are taken whole or not at all."""

from pathlib import Path

import pytest
import torch
from tests.saes.formats.every_variant import make_variants

from arena_lib.errors import CheckpointError
from arena_lib.saes.formats.weights import take_weights, to_log_threshold


def test_an_sae_on_the_meta_device_gets_the_tensors_themselves():
    sae = make_variants()["ReLUSAE"]
    with torch.device("meta"):
        empty = type(sae)(sae.cfg)
    take_weights(empty, dict(sae.state_dict()), Path("file"))
    assert empty.W_enc.data_ptr() == sae.W_enc.data_ptr()


def test_nothing_is_taken_where_something_is_wrong():
    sae = make_variants()["ReLUSAE"]
    before = sae.b_enc.detach().clone()
    weights = {name: torch.zeros_like(weight) for name, weight in sae.state_dict().items()}
    for wrong, message in (
        ({**weights, "scaling_factor": torch.ones(13)}, "it comes with scaling_factor"),
        ({name: weights[name] for name in ("W_enc", "W_dec", "b_enc")}, "it comes without b_dec"),
        ({**weights, "W_enc": weights["W_enc"].T}, r"W_enc in file must have shape \(6, 13\).*got \(13, 6\)"),
    ):
        with pytest.raises(CheckpointError, match=message):
            take_weights(sae, wrong, Path("file"))
        assert torch.equal(sae.b_enc, before)


def test_a_threshold_comes_back_of_its_logarithm():
    assert torch.allclose(to_log_threshold(torch.tensor([0.5, 0.0, -1.0])).exp(), torch.tensor([0.5, 0.0, 0.0]))
