import pytest
import torch

from arena_lib.errors import UnknownNameError
from arena_lib.interp.probes import LRProbe, MMProbe, compute_accuracy, compute_generalization_matrix


def make_sets(signs, n=40):
    generator = torch.Generator().manual_seed(0)
    towards = torch.tensor([3.0, 0.0, 0.0, 1.0])
    acts, labels = {}, {}
    for i, sign in enumerate(signs):
        labels[f"set {i}"] = torch.arange(n) % 2
        acts[f"set {i}"] = (
            torch.randn(n, 4, generator=generator) + sign * (2 * labels[f"set {i}"][:, None] - 1) * towards
        )
    return acts, labels


@pytest.mark.parametrize("probe_cls", [MMProbe, LRProbe])
def test_agreeing_sets_generalise_and_opposed_ones_are_wrong(probe_cls):
    acts, labels = make_sets([1, 1, -1])
    matrix = compute_generalization_matrix(acts, labels, acts, labels, list(acts), probe_cls)
    expected = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(matrix, expected, rtol=0, atol=0.05)


def test_set_that_is_not_there():
    acts, labels = make_sets([1])
    with pytest.raises(UnknownNameError, match="no data set is called 'set 7'"):
        compute_generalization_matrix(acts, labels, acts, labels, ["set 0", "set 7"], MMProbe)


def test_accuracy_by_hand():
    acts, labels = torch.tensor([[2.0], [-1.0], [3.0], [-4.0]]), torch.tensor([1, 1, 0, 0])
    assert compute_accuracy(MMProbe(torch.tensor([1.0])), acts, labels) == 0.5
