"""What the text of 0.6 says of its runs is what they give."""

import pytest
import torch
from tests.chapter_runs import read_prose, run_solutions

FEW_HALVINGS = 6
"""With these twins are found fast, and to two percent of their scales."""


@pytest.fixture(scope="module")
def run():
    return run_solutions("0.6", edits={"range(HALVINGS)": f"range({FEW_HALVINGS})"})


def test_what_the_text_of_0_6_says_of_its_runs_is_so(run):
    section, names = run
    prose = read_prose(section) + "\n".join(cell.source for cell in section.cells if cell.kind == "result")
    eigenvalues = names["eigenvalues"].flip(0)
    assert eigenvalues[8] > 5 * eigenvalues[9], "nine stand out"
    sentences = [
        f"{names['n_flat']} of the 610 eigenvalues are smaller than a hundredth",
        f"appear, called ghosts: {names['copies']['without re-orthogonalisation'][-1]} of them after 200 steps",
        f"it's {names['rests'][0]:.0%}, at 0.5 nats less than 2 %".replace("%,", " %,"),
        f"{names['n_flat_measured']} directions are flat, and {names['n_explained']} are explained",
        "There is a wall: {:.1f} nats on the way to another network, and {:.1f}".format(
            *(wall.max().item() for wall in names["walls"].values())
        ),
    ]
    assert [sentence for sentence in sentences if sentence not in prose] == []
    assert names["rests"][2] < 0.02
    assert names["by_lanczos"][n_of(names, 14)] < 1e-12 < 1e-3 < names["by_power"][n_of(names, 14)]
    assert min(names["errors"]["float32"]) > 1e-3 > 1e-9 > min(names["errors"]["float64"])
    torch.testing.assert_close(names["curves"]["network, normalised"], names["curves"]["twin, normalised"])


def n_of(names, n_products):
    """At which place of the curves that many products stand."""
    return names["n_products"].index(n_products)


def test_sharpness_and_accuracy_go_together_as_part_7_says_until_twins_turn_them_round(run):
    section, names = run
    prose = read_prose(section) + "\n".join(cell.source for cell in section.cells if cell.kind == "result")
    correlate, accuracies = names["correlate"], names["accuracies"]
    plain, twins, free = (correlate(names[name], accuracies) for name in ("sharpness", "twin_sharpness", "free"))
    assert f"{len(accuracies)} networks, and a correlation of {plain:.2f}".replace("10", "Ten") in prose
    assert f"the correlation is {twins:+.2f}" in prose
    assert f"And a correlation is left:\n# {free:.2f}" in prose or f"And a correlation is left: {free:.2f}" in prose
    torch.testing.assert_close(names["free"], names["free_of_twins"])


def test_sharpness_stays_where_part_8_says(run):
    _, names = run
    by_edge = {lr: torch.tensor(way.sharpness) * lr / 2 for lr, way in names["ways_down"].items()}
    assert round(names["ways_down"][0.1].sharpness[0]) == 15
    late = {lr: curve[len(curve) // 2 :].median().item() for lr, curve in by_edge.items()}
    assert (late[0.1], late[0.15]) == pytest.approx((1.04, 1.10), abs=0.015)
    climbs = by_edge[0.07]
    assert climbs[1:-1].diff().min() > 0, "the smallest rate rises until just before the end"
    assert climbs[-1] < climbs[-2]
    assert by_edge[0.15].min() > 1, "the largest rate is above its line from the beginning"
