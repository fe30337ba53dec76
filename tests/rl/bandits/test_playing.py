"""The ten-armed testbed: runs can be repeated, and the textbook's results come out (Sutton and Barto 2018, chapter 2).

Fewer runs than the book's 2000 are made here, and the bounds are wide enough for them.
"""

import numpy as np
import pytest

from arena_lib.rl.bandits.agents import (
    CheatyMcCheater,
    ConstantStepAveraging,
    GradientBandit,
    RandomAgent,
    RewardAveraging,
    ThompsonSampling,
    UCBActionSelection,
)
from arena_lib.rl.bandits.playing import run_bandits
from arena_lib.rl.bandits.testbed import BernoulliBandit, MultiArmedBandit

N_RUNS, N_STEPS = 60, 400


def test_runs_can_be_repeated_and_begin_at_any_seed():
    agent = RewardAveraging(10)
    runs = run_bandits(agent, n_runs=3, n_steps=20)
    again = run_bandits(agent, n_runs=2, n_steps=20, first_seed=1)
    assert (runs.rewards[1:] == again.rewards).all()
    assert (runs.rewards[0] != runs.rewards[1]).any()


def test_cheater_is_right_from_the_second_step_and_a_random_agent_one_time_in_ten():
    assert run_bandits(CheatyMcCheater(10), n_runs=20, n_steps=5).was_best[:, 1:].all()
    runs = run_bandits(RandomAgent(10), n_runs=40, n_steps=100)
    assert runs.was_best.mean() == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 4000))
    assert runs.rewards.mean() == pytest.approx(0.0, abs=0.3)


@pytest.fixture(scope="module")
def greedy():
    return run_bandits(RewardAveraging(10, epsilon=0.0), n_runs=N_RUNS, n_steps=N_STEPS)


@pytest.fixture(scope="module")
def exploring():
    return run_bandits(RewardAveraging(10, epsilon=0.1), n_runs=N_RUNS, n_steps=N_STEPS)


def test_figure_2_2_exploring_beats_greed(greedy, exploring):
    """Greedy earns about 1 and finds the best arm in a third of the runs; epsilon 0.1 earns 1.35 and takes it in 80 %."""
    assert greedy.rewards[:, -100:].mean() == pytest.approx(1.0, abs=0.15)
    assert greedy.was_best[:, -100:].mean() == pytest.approx(0.36, abs=0.12)
    assert exploring.rewards[:, -100:].mean() == pytest.approx(1.3, abs=0.2)
    assert exploring.was_best[:, -100:].mean() == pytest.approx(0.75, abs=0.1)


def test_figure_2_3_optimism_explores_by_itself():
    optimistic = run_bandits(ConstantStepAveraging(10, epsilon=0.0, optimism=5.0), n_runs=N_RUNS, n_steps=N_STEPS)
    realistic = run_bandits(ConstantStepAveraging(10, epsilon=0.1), n_runs=N_RUNS, n_steps=N_STEPS)
    assert optimistic.was_best[:, 20:50].mean() < realistic.was_best[:, 20:50].mean(), "worse at first"
    assert optimistic.was_best[:, -100:].mean() > realistic.was_best[:, -100:].mean() + 0.03
    around = optimistic.was_best[:, 8:16].mean(axis=0)
    assert around.argmax() == 2, "a spike at the eleventh step, when every arm has disappointed once"


def test_figure_2_4_upper_bounds_beat_chance(exploring):
    ucb = run_bandits(UCBActionSelection(10, c=2.0), n_runs=N_RUNS, n_steps=N_STEPS)
    assert ucb.rewards[:, -100:].mean() > exploring.rewards[:, -100:].mean() + 0.05
    around = ucb.rewards[:, 5:13].mean(axis=0)
    assert around.argmax() == 5, "a spike at the eleventh step, when all arms have been tried once"


def test_figure_2_5_a_baseline_helps_where_rewards_are_far_from_zero():
    with_baseline, without = (
        run_bandits(
            GradientBandit(10, lr=0.4, use_baseline=use), lambda: MultiArmedBandit(10, mean=4.0), n_runs=30, n_steps=300
        )
        for use in (True, False)
    )
    assert with_baseline.was_best[:, -100:].mean() > without.was_best[:, -100:].mean() + 0.2


def test_thompson_s_regret_is_far_below_that_of_epsilon_greedy():
    thompson = run_bandits(ThompsonSampling(10), BernoulliBandit, n_runs=30, n_steps=600)
    exploring = run_bandits(RewardAveraging(10), BernoulliBandit, n_runs=30, n_steps=600)
    assert thompson.regret[:, -1].mean() < 0.5 * exploring.regret[:, -1].mean()
    late, early = thompson.regret[:, -1] - thompson.regret[:, 299], thompson.regret[:, 299]
    assert late.mean() < 0.4 * early.mean(), "regret grows like a logarithm"
