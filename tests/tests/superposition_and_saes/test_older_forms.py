"""Classes that learners wrote elsewhere pass too: without a generator, and with one loss for all instances."""

import einops
import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.tests import superposition_and_saes as judges


class Model(nn.Module):
    def __init__(self, cfg, feature_probability=0.01, importance=1.0, device="cpu"):
        super().__init__()
        self.cfg = cfg
        shape = (cfg.n_inst, cfg.n_feats)
        self.feature_probability = torch.as_tensor(feature_probability).broadcast_to(shape)
        self.importance = torch.as_tensor(importance).broadcast_to(shape)
        self.W = nn.Parameter(nn.init.xavier_normal_(torch.empty(cfg.n_inst, cfg.d_hidden, cfg.n_feats)))
        self.b_final = nn.Parameter(torch.zeros(shape))

    def forward(self, features):
        h = einops.einsum(features, self.W, "... inst feats, inst hidden feats -> ... inst hidden")
        out = einops.einsum(h, self.W, "... inst hidden, inst hidden feats -> ... inst feats")
        return torch.relu(out + self.b_final)

    def calculate_loss(self, out, batch):
        error = self.importance * ((batch - out) ** 2)
        return einops.reduce(error, "batch inst feats -> inst", "mean").sum()


class NeuronModel(Model):
    def forward(self, features):
        h = torch.relu(einops.einsum(features, self.W, "... inst feats, inst hidden feats -> ... inst hidden"))
        out = einops.einsum(h, self.W, "... inst hidden, inst hidden feats -> ... inst feats")
        return torch.relu(out + self.b_final)


class MeanOfAll(Model):
    def calculate_loss(self, out, batch):
        return (self.importance * ((batch - out) ** 2)).mean()


@pytest.mark.parametrize(
    ("judge", "obj"),
    [
        (judges.test_model, Model),
        (judges.test_calculate_loss, Model),
        (judges.test_neuron_model, NeuronModel),
    ],
    ids=["model", "calculate_loss", "neuron_model"],
)
def test_an_older_form_passes(judge, obj):
    result = run(judge, obj)
    assert result.status == "passed", result.message


def test_a_mean_over_instances_fails_in_the_older_form_too():
    assert run(judges.test_calculate_loss, MeanOfAll).status == "failed"


def test_dimensionality_with_a_small_number_added_to_lengths_fails_only_where_a_feature_has_none():
    def dimensionality(W):
        norms = W.norm(dim=1, keepdim=True)
        overlaps = einops.einsum(W / (norms + 1e-8), W, "inst hidden i, inst hidden j -> inst i j")
        return norms.squeeze(1) ** 2 / overlaps.pow(2).sum(-1)

    result = run(judges.test_compute_dimensionality, dimensionality)
    assert result.case == "a feature of length 0, and a short one", result.message
    with_zeros = run(judges.test_compute_dimensionality, lambda W: torch.nan_to_num(dimensionality(W)))
    assert with_zeros.status == "passed", with_zeros.message
