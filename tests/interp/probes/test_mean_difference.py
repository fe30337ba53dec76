import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes import MMProbe, split_by_label


def make_data(n=80, d_model=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=generator)
    mixing = torch.randn(d_model, d_model, generator=generator)
    acts = torch.randn(n, d_model, generator=generator) @ mixing + 0.6 * labels[:, None] * mixing[0]
    return acts, labels


def test_by_hand():
    acts = torch.tensor([[2.0, 0.0], [4.0, 2.0], [0.0, 1.0], [0.0, 3.0]])
    probe = MMProbe.from_data(acts, torch.tensor([1, 1, 0, 0]))
    torch.testing.assert_close(probe.direction, torch.tensor([3.0, -1.0]))
    # Deviations (-1,-1), (1,1), (0,-1), (0,1): Sigma is [[2, 2], [2, 4]] / 4, and its inverse [[4, -2], [-2, 2]].
    torch.testing.assert_close(probe.inverse, torch.tensor([[4.0, -2.0], [-2.0, 2.0]]))
    x = torch.tensor([[1.0, 0.0], [0.0, 0.1]])
    torch.testing.assert_close(probe(x), torch.tensor([3.0, -0.1]).sigmoid())
    torch.testing.assert_close(probe(x, iid=True), torch.tensor([14.0, -0.8]).sigmoid())


def test_tilted_direction_is_that_of_linear_discriminant_analysis():
    acts, labels = make_data()
    probe = MMProbe.from_data(acts, labels)
    tilted = probe.inverse @ probe.direction
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(acts.numpy(), labels.numpy()).coef_[0]
    cosine = torch.cosine_similarity(tilted.double(), torch.from_numpy(theirs).double(), dim=0)
    assert cosine > 0.9999


def test_directions_that_never_vary_are_left_out():
    acts, labels = make_data(n=6, d_model=5)
    wide = torch.cat([acts, torch.zeros(6, 20)], dim=1)
    probe = MMProbe.from_data(wide, labels)
    assert probe(wide, iid=True).isfinite().all()
    assert probe.inverse[5:].abs().max() == 0


def test_buffers_move_with_the_probe():
    probe = MMProbe.from_data(*make_data()).double()
    assert probe.direction.dtype == probe.inverse.dtype == torch.float64


@pytest.mark.parametrize("label", [0, 1])
def test_one_class(label):
    with pytest.raises(ConfigError, match=f"fitted on both classes: got 4 statements, all labelled {label}"):
        MMProbe.from_data(torch.randn(4, 3), torch.full((4,), label))


def test_other_labels():
    with pytest.raises(ConfigError, match=r"labels must be 1 \(true\) and 0 \(false\): got -1"):
        split_by_label(torch.randn(3, 2), torch.tensor([1, -1, 0]))


def test_too_few_labels():
    with pytest.raises(ShapeError, match="got 3 activations and 2 labels"):
        split_by_label(torch.randn(3, 2), torch.tensor([1, 0]))
