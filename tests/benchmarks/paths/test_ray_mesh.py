"""The path of rays and a mesh: every form agrees, and wrong distances are refused."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths import ray_mesh


@pytest.fixture(scope="module")
def workload():
    return ray_mesh.BENCHMARK.make(Place(torch.device("cpu"), torch.float32, "tiny", "knot"))


@pytest.mark.parametrize("peer", ray_mesh.BENCHMARK.peers)
def test_every_form_agrees(workload, peer):
    ours = workload.ours()
    assert ours.isfinite().any()
    assert ours.isinf().any()
    assert workload.agree(ours, workload.peers[peer]()()) < 1e-4


def test_wrong_distances_are_refused(workload):
    ours = workload.ours()
    for wrong in (
        ours.roll(1),
        1.01 * ours,
        ours.nan_to_num(posinf=0.0),
        torch.full_like(ours, torch.inf),
        ours * torch.nan,
    ):
        with pytest.raises(Disagreement, match="have other distances"):
            workload.agree(wrong, ours)
    with pytest.raises(Disagreement, match="different shapes"):
        workload.agree(ours[1:], ours)


def test_a_few_rays_may_pass_an_edge():
    theirs = torch.full((4000,), 2.0)
    ours = theirs.clone()
    ours[:3] = torch.tensor([torch.inf, 5.0, 1.0])
    assert ray_mesh.compare_distances(ours, theirs) == 0.0
    ours[3:6] = torch.inf
    with pytest.raises(Disagreement):
        ray_mesh.compare_distances(ours, theirs)
