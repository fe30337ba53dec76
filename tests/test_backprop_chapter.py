"""What the text of 0.4 says of its runs is what they give."""

import numpy as np
from tests.chapter_runs import run_solutions


def test_what_the_text_of_0_4_says_of_its_runs_is_so():
    _, names = run_solutions("0.4")
    central, forward, steps = (np.array(names[name]) for name in ("central", "forward", "steps"))
    assert 1e-6 <= steps[central.argmin()] <= 1e-5
    assert central.min() < 1e-9 < forward.min()
    assert [round(100 * extreme(names["accuracies"]), 1) for extreme in (min, max)] == [94.5, 95.0]
    assert all(abs(losses[0] - np.log(10)) < 0.05 for losses in names["losses"])
    heights = {way: [names["valley"](place) for place in names[way]] for way in ("newton", "descent")}
    assert heights["newton"][-1] == heights["newton"][-2]
    assert 0.5e-4 < heights["descent"][-1] - heights["newton"][-1] < 1.5e-4
    model, pictures = names["model"], names["data"].train_images
    lifted = model.hidden(names["Tensor"](pictures.reshape(len(pictures), -1))).array[:, :20] > 0
    assert (lifted.mean(axis=0) < 0.01).nonzero()[0].tolist() == [6], "the seventh of those shown is dead"
