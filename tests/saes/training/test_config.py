"""The configuration: its defaults, the warm-up of sparsity, and what can't work."""

import pytest

from arena_lib.core.optimization import compute_lr
from arena_lib.errors import ConfigError
from arena_lib.saes.training.config import SAETrainingConfig, compute_sparsity_scale


def test_sparsity_grows_to_its_weight_and_stays():
    config = SAETrainingConfig(n_steps=50, sparsity_warmup=5)
    scales = [compute_sparsity_scale(step, config) for step in range(8)]
    assert scales == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0])
    assert compute_sparsity_scale(0, SAETrainingConfig(n_steps=50)) == 1


def test_the_rate_is_steady_and_falls_over_the_last_fifth():
    config = SAETrainingConfig(n_steps=100, lr=0.5)
    rates = [compute_lr(step, config) for step in range(100)]
    assert rates[:81] == [0.5] * 81
    assert rates[90] == pytest.approx(0.25)
    assert 0 < rates[99] < 0.03
    assert config.last_resampling == 80


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("sparsity_warmup", 101, "from 0 to n_steps = 100"),
        ("sparsity_warmup", -1, "from 0 to n_steps = 100"),
        ("resampling", "paper", "one of 'none', 'simple', 'advanced'"),
        ("initial_bias", "median", "'mean' or 'zeros'"),
        ("dead_window", 0, "a whole number of at least 1"),
        ("resample_every", 2.5, "a whole number of at least 1"),
        ("lr", 0.0, "above 0 and finite"),
        ("decay_share", 0.0, "above 0 and at most 1"),
        ("schedule", "linear", "one of 'cosine', 'constant', 'late_decay'"),
    ],
)
@pytest.mark.usefixtures("without_types")
def test_a_configuration_that_cannot_work_names_field_bound_and_value(field, value, bound):
    with pytest.raises(ConfigError) as caught:
        SAETrainingConfig(**{"n_steps": 100, field: value})
    assert f"SAETrainingConfig.{field} must be {bound}: got {value!r}" in str(caught.value)
