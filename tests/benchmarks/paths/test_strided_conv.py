"""The path of strided convolutions: each case agrees with torch's, and wrong outputs are refused."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths import strided_conv


def make(case):
    return strided_conv.BENCHMARK.make(Place(torch.device("cpu"), torch.float32, "tiny", case))


@pytest.mark.parametrize("case", strided_conv.BENCHMARK.cases)
def test_every_case_agrees(case):
    workload = make(case)
    ours = workload.ours()
    assert ours.abs().max() > 1
    assert workload.agree(ours, workload.peers["torch"]()()) < 1e-5


def test_wrong_outputs_are_refused():
    workload = make("wide")
    ours = workload.ours()
    for wrong in (ours.flip(0), 1.01 * ours, torch.zeros_like(ours)):
        with pytest.raises(Disagreement, match="differ by"):
            workload.agree(wrong, ours)
    with pytest.raises(Disagreement, match="different shapes"):
        workload.agree(ours[1:], ours)


def test_every_multiplication_is_counted():
    workload = make("stride-2")
    output = workload.ours()
    batch, in_channels, _, _, kernel, _ = strided_conv.SIZES["stride-2", "tiny"]
    assert workload.flops == 2 * output.numel() * in_channels * kernel**2
    assert workload.units == batch
