"""The path of log-probabilities: GRPO's case has clipped tokens and filling, and its peers agree on the gradient."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths.token_logprobs import BENCHMARK

PLACE = Place(torch.device("cpu"), torch.float64, "tiny", "grpo")


def test_the_gradient_of_grpo_is_that_of_whole_logits():
    workload = BENCHMARK.make(PLACE)
    ours, theirs = workload.ours().clone(), workload.peers["whole-logits"]()().clone()
    assert ours.abs().max() > 0
    assert workload.agree(ours, theirs) < 1e-9
    with pytest.raises(Disagreement):
        workload.agree(ours, 1.01 * theirs)


def test_trl_agrees():
    pytest.importorskip("trl")
    workload = BENCHMARK.make(PLACE)
    ours = workload.ours().clone()
    assert workload.agree(ours, workload.peers["trl"]()().clone()) < 1e-9


def test_each_case_has_its_size_and_only_grpo_has_trl():
    for case in BENCHMARK.cases:
        peers = BENCHMARK.make(Place(torch.device("cpu"), torch.float32, "tiny", case)).peers
        assert set(peers) == ({"whole-logits", "trl"} if case == "grpo" else {"whole-logits"})
