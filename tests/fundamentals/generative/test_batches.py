import pytest
import torch

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.generative.batches import check_loss, minibatches


def test_every_picture_comes_once_in_an_order_of_its_own():
    images = torch.arange(11.0).reshape(-1, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    epochs = [[batch.flatten().tolist() for batch in minibatches(images, 4, generator)] for _ in "ab"]
    assert [len(batch) for batch in epochs[0]] == [4, 4, 3]
    assert all(sorted(i for batch in epoch for i in batch) == list(range(11)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_what_cannot_work_is_refused_in_words():
    with pytest.raises(ConfigError, match="batch_size must be at least 1: got 0"):
        next(minibatches(torch.zeros(2, 1, 1, 1), 0))
    with pytest.raises(TrainingError, match="the loss must be finite: got nan"):
        check_loss(torch.tensor(float("nan")))
