"""What the text of 0.6 says of its runs is what they give."""

import torch
from tests.chapter_runs import read_prose, run_solutions


def test_what_the_text_of_0_6_says_of_its_runs_is_so():
    section, names = run_solutions("0.6", part=7)
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
