"""Maps of directions: principal components, clusters, UMAP where it is installed."""

import builtins

import pytest
import torch
from tests.saes.analysis.conftest import make_sae

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, MissingDependencyError, ShapeError
from arena_lib.saes.analysis.directions.logits import find_top_logits
from arena_lib.saes.analysis.directions.maps import (
    ALONE,
    cluster_directions,
    compute_sae_umap_data,
    project_pca,
    project_umap,
    stack_directions,
)


def blobs(n_each: int = 12) -> torch.Tensor:
    """Three groups of directions in 20 dimensions."""
    centres = torch.linalg.qr(torch.randn(20, 20, generator=make_generator(0)))[0][:3]
    return centres.repeat_interleave(n_each, dim=0) + 0.08 * torch.randn(3 * n_each, 20, generator=make_generator(1))


def test_the_plane_is_that_of_the_greatest_variance():
    directions = torch.randn(31, 9, generator=make_generator(0), dtype=torch.float64) * torch.linspace(3, 0.1, 9)
    points = project_pca(directions)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(directions.T))
    torch.testing.assert_close(torch.cov(points.T), torch.diag(eigenvalues[[-1, -2]]), rtol=1e-6, atol=1e-9)
    assert (points.gather(0, points.abs().argmax(dim=0)[None]) > 0).all()
    torch.testing.assert_close(project_pca(directions), points)


def test_groups_are_found_and_numbered_by_size():
    strays = torch.linalg.qr(torch.randn(20, 20, generator=make_generator(0)))[0][3:5]
    directions = torch.cat([blobs(), strays])
    order = torch.randperm(len(directions), generator=make_generator(4))
    truth = torch.tensor([0] * 12 + [1] * 12 + [2] * 12 + [ALONE] * 2)[order]
    found = cluster_directions(directions[order])
    for group in (0, 1, 2):
        assert len(found[truth == group].unique()) == 1
    assert (found[truth == ALONE] == ALONE).all()
    assert sorted(found.unique().tolist()) == [-1, 0, 1, 2]
    unequal = cluster_directions(torch.cat([blobs(2)[:2], blobs(5)[5:10], blobs(4)[8:12]]), min_cluster_size=3)
    assert unequal.tolist() == [ALONE] * 2 + [0] * 5 + [1] * 4


def test_a_chain_holds_a_group_together():
    angles = torch.arange(8) * 0.4
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert cluster_directions(directions, threshold=0.9).tolist() == [0] * 8
    assert cluster_directions(directions, threshold=0.95).tolist() == [ALONE] * 8


def test_several_saes_are_one_map_with_what_is_known_of_each_latent(llama):
    saes = {11: make_sae(d_sae=11), 19: make_sae(d_sae=19, seed=4)}
    with torch.no_grad():
        saes[19].W_dec[2:6] = saes[11].W_dec[7] * torch.tensor([[1.0], [2.0], [0.5], [3.0]])
    found = compute_sae_umap_data(saes, {11: {7: "names"}}, model=llama, find_clusters=True)
    assert found.widths == [11] * 11 + [19] * 19
    assert found.latent_idxs == [*range(11), *range(19)]
    assert found.texts[7] == "names"
    assert found.texts[12] == ", ".join(token for token, _ in find_top_logits(llama, saes[19], 1, 3).top)
    assert [i for i, cluster in enumerate(found.clusters) if cluster == 0] == [7, 13, 14, 15, 16]
    torch.testing.assert_close(found.points, project_pca(stack_directions(list(saes.values()))))
    figure = found.show()
    wide, narrow = figure.data  # the narrow one's latents lie on top
    assert (wide.name, narrow.name) == ("19 latents", "11 latents")
    assert narrow.text[7] == "11/7 names (cluster 0)"
    alone = compute_sae_umap_data(saes, sae_widths=[19], project=lambda directions: directions[:, :2])
    assert (set(alone.widths), set(alone.texts), set(alone.clusters)) == ({19}, {""}, {ALONE})
    torch.testing.assert_close(alone.points, stack_directions([saes[19]])[:, :2])


def test_what_cannot_work_is_refused():
    with pytest.raises(ConfigError, match="at least one SAE"):
        compute_sae_umap_data({})
    with pytest.raises(ShapeError, match=r"got directions with \[24, 25\] entries"):
        compute_sae_umap_data({1: make_sae(), 2: make_sae(d_in=25)})
    with pytest.raises(ConfigError, match="must be keys of saes, 1: got 3"):
        compute_sae_umap_data({1: make_sae()}, sae_widths=[3])
    with pytest.raises(ConfigError, match="at least three directions"):
        project_pca(torch.eye(2))


def test_umap_says_how_to_install_it(monkeypatch):
    real_import = builtins.__import__

    def without_umap(name, *rest, **options):
        if name == "umap":
            raise ImportError(name)
        return real_import(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(MissingDependencyError, match=r"pip install 'arena-lib\[maps\]'"):
        project_umap(torch.eye(4))


def test_umap_keeps_groups_together():
    pytest.importorskip("umap", reason="comes with the extra `maps`", exc_type=ImportError)
    points = project_umap(blobs(), n_neighbors=8)
    assert torch.equal(points, project_umap(blobs(), n_neighbors=8))
    groups = points.unflatten(0, (3, 12))
    centres = groups.mean(dim=1)
    spread = (groups - centres[:, None]).norm(dim=-1).max()
    assert torch.pdist(centres).min() > 2 * spread
