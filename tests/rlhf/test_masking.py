"""Which tokens count, and that the others don't."""

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.rlhf.masking import find_responses, masked_mean

END = 9


def test_a_sample_counts_up_to_its_first_end_and_the_end_counts():
    tokens = torch.tensor([[1, 2, 3, 4], [1, END, END, 2], [END, 1, END, 2], [1, 2, 3, END]])
    expected = [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert torch.equal(find_responses(tokens, END), torch.tensor(expected).bool())


def test_without_an_end_every_token_counts():
    assert find_responses(torch.tensor([[END, 1, 2], [3, 4, 5]])).all()


def test_a_masked_mean_is_over_what_counts_whatever_stands_elsewhere():
    values = torch.tensor([[1.0, 2.0, torch.nan], [6.0, torch.inf, torch.nan]], requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    mean = masked_mean(values, mask)
    assert mean.item() == 3.0
    mean.backward()
    torch.testing.assert_close(values.grad, mask / 3)


def test_without_a_mask_all_count():
    assert masked_mean(torch.tensor([1.0, 2.0, 6.0])).item() == 3.0


def test_a_mask_that_counts_nothing_is_refused():
    with pytest.raises(ShapeError, match="counts nothing"):
        masked_mean(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool))


def test_a_mask_of_another_shape_is_refused(without_types):
    with pytest.raises(ShapeError, match=r"\(2, 3\): got \(3,\)"):
        masked_mean(torch.ones(2, 3), torch.ones(3, dtype=torch.bool))
