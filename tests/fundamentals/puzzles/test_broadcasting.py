import einops
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import broadcasting

sizes = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_tables_and_rows_agree_with_torch(n_rows, n_columns):
    matrix, down, along = torch.randn(n_rows, n_columns), torch.randn(n_rows), torch.randn(n_columns)
    table = broadcasting.addition_table(down, along)
    assert table.tolist() == [[float(down[i] + along[j]) for j in range(n_columns)] for i in range(n_rows)]
    torch.testing.assert_close(
        broadcasting.centre_columns(matrix).mean(dim=0), torch.zeros(n_columns), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(broadcasting.normalize_rows(matrix), F.normalize(matrix, dim=1))
    cosines = F.cosine_similarity(matrix[:, None], matrix[None], dim=-1)
    torch.testing.assert_close(broadcasting.cos_sim_matrix(matrix), cosines, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes)
def test_distances_agree_with_torch(n_first, n_second, dim):
    first, second = torch.randn(n_first, dim), torch.randn(n_second, dim)
    torch.testing.assert_close(broadcasting.distance_matrix(first, second), torch.cdist(first, second))


@settings(max_examples=25, deadline=None)
@given(sizes)
def test_every_week_is_normalised_by_itself(n_weeks):
    temps = torch.randn(7 * n_weeks) * torch.arange(1, n_weeks + 1).repeat_interleave(7) + 10
    weeks = temps.reshape(-1, 7)
    torch.testing.assert_close(broadcasting.temperatures_average(temps), weeks.mean(dim=1))
    differences = weeks - weeks.mean(dim=1, keepdim=True)
    torch.testing.assert_close(broadcasting.temperatures_differences(temps), differences.flatten())
    scaled = differences / weeks.std(dim=1, keepdim=True)
    torch.testing.assert_close(broadcasting.temperatures_normalized(temps), scaled.flatten())


def test_days_that_are_no_whole_weeks_are_refused():
    with pytest.raises(einops.EinopsError, match="divide"):
        broadcasting.temperatures_average(torch.rand(15))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1), st.integers(5, 8))
def test_one_hot_agrees_with_torch(labels, n_classes):
    tensor = torch.tensor(labels)
    assert torch.equal(broadcasting.one_hot(tensor, n_classes), F.one_hot(tensor, n_classes).float())


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_a_window_is_a_band_below_the_diagonal(seq, window):
    seen = broadcasting.can_see(seq, window)
    assert torch.equal(seen, torch.ones(seq, seq, dtype=torch.bool).tril().triu(1 - window))
    assert seen.sum(dim=1).tolist() == [min(q + 1, window) for q in range(seq)]
