"""What learners with scikit-learn at hand will write passes, too."""

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from arena_lib.checking import run
from arena_lib.tests import linear_probes as judges


class LRProbe(nn.Module):
    def __init__(self, d_in, scaler_mean=None, scaler_scale=None):
        super().__init__()
        self.net = nn.Linear(d_in, 1, bias=False)
        self.scaler_mean, self.scaler_scale = scaler_mean, scaler_scale

    def forward(self, x):
        return torch.sigmoid(self.net((x - self.scaler_mean) / self.scaler_scale))[:, 0]

    @property
    def direction(self):
        return self.net.weight.data[0] / self.scaler_scale

    @staticmethod
    def from_data(acts, labels, C=0.1, device="cpu"):
        scaler = StandardScaler().fit(acts.numpy())
        fitted = LogisticRegression(C=C, fit_intercept=False).fit(scaler.transform(acts.numpy()), labels.numpy())
        mean, scale = (torch.tensor(part, dtype=torch.float32) for part in (scaler.mean_, scaler.scale_))
        probe = LRProbe(acts.shape[1], mean, scale)
        probe.net.weight.data = torch.tensor(fitted.coef_, dtype=torch.float32)
        return probe


class LRProbeWithIntercept(LRProbe):
    @staticmethod
    def from_data(acts, labels, C=0.1, device="cpu"):
        scaler = StandardScaler().fit(acts.numpy())
        fitted = LogisticRegression(C=C).fit(scaler.transform(acts.numpy()), labels.numpy())
        mean, scale = (torch.tensor(part, dtype=torch.float32) for part in (scaler.mean_, scaler.scale_))
        probe = LRProbe(acts.shape[1], mean, scale)
        probe.net.weight.data = torch.tensor(fitted.coef_, dtype=torch.float32)
        return probe


def test_scikit_learn_with_its_default_tolerance_passes():
    result = run(judges.test_lr_probe, LRProbe)
    assert result.status == "passed", result.message


def test_weights_that_were_fitted_beside_an_intercept_do_not():
    assert run(judges.test_lr_probe, LRProbeWithIntercept).status == "failed"
