"""What the text of 0.3 says of its runs is what they give."""

import pytest
import torch
from tests.chapter_runs import run_solutions

ALL_RATES = "[1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0]"
BEST_RATES = [3e-3, 3e-2, 1e-1, 3e-1]
"""Those of which the text says that one of the optimizers is best with it."""


@pytest.fixture(scope="module")
def names():
    _, names = run_solutions("0.3", scale="tiny", part=5, full_from=2, edits={ALL_RATES: repr(BEST_RATES)})
    return names


def test_what_the_text_of_0_3_says_of_ways_and_singular_values_is_so(names):
    def heights(surface, ways):
        return [round(names[surface].fn(*way[-1]).item(), 4) for way in names[ways].values()]

    assert [round(height, 2) for height in heights("ravine", "ravine_ways")] == [0.74, 0.06, 0.03, 2.81]
    assert [round(height, 3) for height in heights("banana", "banana_ways")][:2] == [3.466, 0.011]
    assert heights("banana", "banana_ways")[2] == 0.0003
    assert names["steps_to_leave"] == {"plain": 67, "momentum": 25, "RMSprop": 4, "Adam": 6}
    after = names["after"]["after 5 steps"][names["before"] >= 0.01]
    assert after.min() >= 0.68
    assert after.max() <= 1.21


@pytest.mark.parametrize(
    ("name", "rate", "loss"),
    [
        ("plain", 0.3, 0.65),
        ("momentum 0.9", 0.1, 0.34),
        ("RMSprop", 0.003, 0.54),
        ("Adam", 0.03, 0.32),
        ("Muon", 0.03, 0.15),
    ],
)
def test_each_optimizer_is_best_at_the_rate_of_the_text(names, name, rate, loss):
    losses = dict(zip(names["rates"], names["sweep"][name], strict=True))
    assert min(losses, key=losses.__getitem__) == rate
    assert losses[rate] == pytest.approx(loss, abs=0.02)


def test_a_cosine_ends_where_the_text_says_and_a_constant_rate_far_below(names):
    accuracies = names["test_accuracy"]
    assert accuracies["constant"] == pytest.approx(0.83, abs=0.03)
    assert accuracies["cosine"] == pytest.approx(0.94, abs=0.015)
    assert accuracies["warm-up and cosine"] == pytest.approx(0.94, abs=0.015)


def test_the_search_finds_what_the_text_says(names):
    trials = names["study"].trials
    scores = torch.tensor([trial.value for trial in trials])
    assert (len(scores), scores[:10].mean().item()) == (30, pytest.approx(0.37, abs=0.01))
    assert (scores[-10:].mean().item(), scores.max().item()) == pytest.approx((0.75, 0.80), abs=0.01)
    best = [trials[i].params for i in scores.argsort(descending=True)[:4]]
    assert all(0.009 <= params["learning_rate"] <= 0.016 and params["batch_size"] == 32 for params in best)
    near = [t for t in trials if 0.008 <= t.params["learning_rate"] <= 0.016 and t.params["batch_size"] == 256]
    assert sorted(round(trial.value, 2) for trial in near) == [0.61, 0.64]
