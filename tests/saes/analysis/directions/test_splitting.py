"""Feature splitting: latents of a wide SAE made from those of a narrow one by hand."""

import pytest
import torch
from tests.saes.analysis.conftest import make_sae

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.analysis.directions.splitting import (
    compute_cosines,
    find_children,
    find_feature_splits,
    match_one_to_one,
)


def test_cosines_are_torchs():
    a, b = (torch.randn(n, 7, generator=make_generator(n)) for n in (3, 5))
    expected = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1)
    torch.testing.assert_close(compute_cosines(a, b), expected)
    assert compute_cosines(torch.zeros(1, 7), b).abs().sum() == 0


def test_each_wide_latent_belongs_to_the_nearest_narrow_one_alone():
    cosines = torch.tensor([[0.9, 0.75, 0.5, 0.99], [0.8, 0.75, 0.6, -1.0]])
    assert find_children(cosines, 0.7) == [[3, 0, 1], []]
    assert find_children(cosines, 0.6) == [[3, 0, 1], [2]]
    assert find_children(cosines, 1.0) == [[], []]


def test_known_splits_are_found():
    narrow, wide = make_sae(d_sae=5, k=2, d_in=60), make_sae(d_sae=9, k=2, seed=8, d_in=60)
    with torch.no_grad():
        noise = 0.1 * torch.randn(9, 60, generator=make_generator(2), dtype=torch.float64)
        parents = [3, 3, 3, 0, 1]
        wide.W_dec[:5] = (narrow.W_dec / narrow.W_dec.norm(dim=1, keepdim=True))[parents] * 4 + noise[:5]
    splits = find_feature_splits(narrow, wide)
    assert [sorted(children) for children in splits.children] == [[3], [4], [], [0, 1, 2], []]
    assert {parent: sorted(children) for parent, children in splits.split.items()} == {3: [0, 1, 2]}
    assert splits.new == [5, 6, 7, 8]
    assert splits.lost == [2, 4]
    similar = [splits.cosines[3, child].item() for child in splits.children[3]]
    assert similar == sorted(similar, reverse=True)


def test_pairs_are_each_others_nearest():
    cosines = torch.tensor([[0.9, 0.95, 0.0], [0.92, 0.1, 0.2], [0.3, 0.4, 0.5]])
    assert match_one_to_one(cosines, 0.7).tolist() == [[0, 1], [1, 0]]
    assert match_one_to_one(cosines, 0.4).tolist() == [[0, 1], [1, 0], [2, 2]]
    permutation = torch.randperm(11, generator=make_generator(0))
    directions = torch.randn(11, 30, generator=make_generator(1))
    pairs = match_one_to_one(compute_cosines(directions[permutation], directions))
    assert pairs[:, 1].tolist() == permutation.tolist()


def test_what_cannot_work_is_refused():
    with pytest.raises(ShapeError, match="got directions with 24 and 25 entries"):
        find_feature_splits(make_sae(), make_sae(d_in=25))
    with pytest.raises(ConfigError, match=r"above 0 and at most 1: got 1.5"):
        find_feature_splits(make_sae(), make_sae(), 1.5)
