import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from arena_lib.errors import ConfigError
from arena_lib.interp.probes import LRProbe


def make_data(n, d_model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, generator=generator) < 0.4).long()
    towards = torch.randn(d_model, generator=generator)
    acts = torch.randn(n, d_model, generator=generator) + labels[:, None] * towards
    return acts * torch.logspace(-1, 1, d_model) + 5 * towards, labels


@pytest.mark.parametrize(("n", "d_model"), [(90, 6), (25, 70)])
@pytest.mark.parametrize("C", [0.01, 0.1, 10.0])
def test_optimum_is_that_of_scikit_learn(n, d_model, C):
    acts, labels = make_data(n, d_model)
    probe = LRProbe.from_data(acts, labels, C=C)
    scaler = StandardScaler().fit(acts.double().numpy())
    theirs = LogisticRegression(C=C, fit_intercept=False, tol=1e-10, max_iter=10_000)
    theirs.fit(scaler.transform(acts.double().numpy()), labels.numpy())
    torch.testing.assert_close(probe.weight.detach().double(), torch.from_numpy(theirs.coef_[0]), rtol=1e-3, atol=1e-4)
    new = make_data(17, d_model, seed=1)[0]
    expected = torch.from_numpy(theirs.predict_proba(scaler.transform(new.double().numpy()))[:, 1])
    torch.testing.assert_close(probe(new).detach().double(), expected, rtol=1e-3, atol=1e-4)


def test_direction_lives_in_the_space_of_the_activations():
    acts, labels = make_data(60, 5)
    probe = LRProbe.from_data(acts, labels)
    step = torch.randn(5, generator=torch.Generator().manual_seed(2))
    before, after = (probe(x).detach().logit() for x in (acts[:1], acts[:1] + step))
    torch.testing.assert_close(after - before, (step @ probe.direction)[None], rtol=1e-3, atol=1e-4)
    assert not probe.direction.requires_grad


def test_fitting_works_without_gradients_and_in_half_precision():
    acts, labels = make_data(40, 4)
    with torch.no_grad():
        probe = LRProbe.from_data(acts.bfloat16(), labels)
    assert probe(acts.bfloat16()).dtype == torch.bfloat16
    assert probe.weight.detach().abs().sum() > 0


def test_entry_that_never_varies_gets_no_weight():
    acts, labels = make_data(40, 4)
    acts[:, 2] = 7.0
    probe = LRProbe.from_data(acts, labels)
    assert probe.scaler_scale[2] == 1
    assert probe.weight[2].abs() < 1e-6


def test_one_class():
    with pytest.raises(ConfigError, match="fitted on both classes"):
        LRProbe.from_data(torch.randn(4, 3), torch.ones(4, dtype=torch.long))


def test_strength_that_cannot_work():
    with pytest.raises(ConfigError, match=r"C, the inverse strength .* must be above 0: got 0"):
        LRProbe.from_data(*make_data(10, 3), C=0.0)
