import numpy as np
import pytest
from scipy.stats import trim_mean

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rl.training.curves import bootstrap_interval, compute_band, interquartile_mean, sample_curve

SCORES = np.random.default_rng(3).gamma(2.0, 10.0, size=(10, 3))


@pytest.mark.parametrize("shape", [(3,), (4,), (5,), (10,), (11,), (10, 3)])
def test_the_interquartile_mean_is_scipys_trimmed_mean(shape):
    """Which rliable, the code of the paper, takes too."""
    scores = SCORES.ravel()[: np.prod(shape)].reshape(shape)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25, axis=None))


def test_a_failure_is_the_worst_score_and_no_more():
    assert interquartile_mean([-np.inf, 1.0, 2.0, 3.0]) == 1.5
    assert interquartile_mean([-np.inf, -np.inf, 2.0, 3.0]) == -np.inf


def resample_by_hand(scores, seed, n_resamples):
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(scores), size=(n_resamples, *scores.shape))
    for rows in drawn:
        yield trim_mean([[scores[rows[i, j], j] for j in range(scores.shape[1])] for i in range(len(rows))], 0.25, None)


@pytest.mark.parametrize("scores", [SCORES, SCORES[:, :1]], ids=["tasks", "one task"])
def test_the_interval_is_of_seeds_drawn_for_each_task_apart(scores):
    means = sorted(resample_by_hand(scores, 1, 200))
    low, high = bootstrap_interval(scores, n_resamples=200, seed=1)
    expected = np.quantile(means, [0.025, 0.975], method="nearest")
    assert (low, high) == pytest.approx(tuple(expected))


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    """95 of 100 intervals would; a bootstrap over 20 seeds is a little narrow. Exact, for all draws are seeded."""
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval(generator.normal(size=20), n_resamples=300, seed=trial)
        hits += low <= 0.0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_failures_leave_an_interval():
    low, high = bootstrap_interval([-np.inf, *map(float, range(9))], n_resamples=100)
    assert low == -np.inf or np.isfinite(low)
    assert np.isfinite(high)


def test_a_band_is_the_interval_at_each_point():
    band = compute_band(SCORES, n_resamples=500)
    assert band.center == pytest.approx([interquartile_mean(column) for column in SCORES.T])
    assert (band.low <= band.center).all()
    assert (band.center <= band.high).all()
    assert band.low[1] == pytest.approx(bootstrap_interval(SCORES[:, 1], n_resamples=5000)[0], rel=0.1)


def test_a_curve_is_sampled_from_episodes():
    episodes = [(10, 1.0, 10), (15, 3.0, 5), (30, 8.0, 15)]
    sampled = sample_curve(episodes, [5, 10, 14, 15, 30, 99], n_recent=2)
    assert sampled == pytest.approx([np.nan, 1.0, 1.0, 2.0, 5.5, 5.5], nan_ok=True)
    assert np.isnan(sample_curve([], [1, 2])).all()


def test_what_has_no_mean():
    with pytest.raises(ConfigError, match="at least one seed"):
        interquartile_mean([])
    with pytest.raises(ShapeError, match="n_seeds and n_points"):
        compute_band(np.zeros(3))
    with pytest.raises(ShapeError, match="n_seeds and n_tasks"):
        bootstrap_interval(np.zeros((2, 3, 4)))
