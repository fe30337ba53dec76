"""The study of batch sizes: the same starts, judged on the same examples."""

import pytest
import torch

from arena_lib.saes.superposition.paper.batch_sizes import draw_batch_sizes, train_by_batch_size

SMALL = {"n_densities": 2, "n_seeds": 3, "n_steps": 4, "n_examples": 2_000}


def test_equal_batch_sizes_come_to_equal_losses_and_others_do_not():
    runs = train_by_batch_size(batch_sizes=(8, 8, 32), **SMALL)
    assert torch.equal(runs[0].losses, runs[1].losses)
    assert not torch.equal(runs[0].losses, runs[2].losses)
    assert runs[0].losses.shape == runs[0].n_represented.shape == (2, 3)
    # Few updates change little: rows are densities, so the dense row loses far more than the sparse one.
    assert runs[0].losses[0].min() > 5 * runs[0].losses[1].max()


def test_figures_show_each_batch_size():
    training, final = draw_batch_sizes(batch_sizes=(8, 32), **SMALL)
    assert [trace.name for trace in training.data] == [trace.name for trace in final.data] == ["batch 8", "batch 32"]
    assert final.data[0].x.tolist() == pytest.approx([1.0, 50.0])
