"""What the text of 0.2 says of views and convolutions is what its cells give."""

import torch
from tests.chapter_runs import run_solutions


def test_what_the_text_of_0_2_says_of_its_convolutions_is_so():
    _, names = run_solutions("0.2", "tiny")
    assert names["sliding_windows"](names["signal"], 3).numel() == 24
    assert names["grid"].as_strided((2, 3, 3, 3), (5, 1, 5, 1)).numel() == 54
    across, down = names["answers_of_kernels"][0, 2:].abs().sum(dim=(1, 2))
    assert across > 2 * down, "trousers have edges across, and hardly any down"
    assert (names["theirs"] - names["yours"]).abs().max() < 1e-5
    assert names["agreed"] == 1
    losses = torch.tensor([names["losses_of_yours"], names["losses_of_theirs"]])
    assert losses.shape == (2, 16)
    assert (losses[0] - losses[1]).abs().max() < 1e-6
    assert losses[0, 0] - losses[0, -1] > 0.5
    assert names["maxpool2d"](names["dark"][None, None], 3, 2, 1).amax() <= 0
