import pytest
import torch
from sklearn.decomposition import PCA

from arena_lib.errors import ShapeError
from arena_lib.interp.probes import get_pca_components


@pytest.mark.parametrize(("n_statements", "d_model", "k"), [(30, 7, 3), (6, 19, 5)])
def test_components_are_those_of_scikit_learn(n_statements, d_model, k):
    generator = torch.Generator().manual_seed(0)
    acts = torch.randn(n_statements, d_model, generator=generator) * torch.logspace(1, -1, d_model) + 3
    ours = get_pca_components(acts, k)
    theirs = torch.from_numpy(PCA(k).fit(acts.numpy()).components_.copy()).T
    torch.testing.assert_close((ours * theirs).sum(dim=0).abs(), torch.ones(k), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.T @ ours, torch.eye(k), rtol=1e-4, atol=1e-5)


def test_more_components_than_statements():
    with pytest.raises(ShapeError, match="k must be between 1 and 4"):
        get_pca_components(torch.randn(4, 9), 5)
