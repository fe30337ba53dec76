import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from arena_lib.errors import ConfigError
from arena_lib.rl.bandits.testbed import BernoulliBandit, MultiArmedBandit


@pytest.mark.parametrize("make", [MultiArmedBandit, BernoulliBandit])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bandits_pass_gymnasium_s_own_check(make):
    check_env(make(4), skip_render_check=True)


@pytest.mark.parametrize(("make", "deviation"), [(MultiArmedBandit, 1.0), (BernoulliBandit, None)])
def test_rewards_have_the_arm_s_mean(make, deviation):
    bandit = make(3)
    bandit.reset(seed=0)
    rewards = np.array([bandit.step(2)[1] for _ in range(4000)])
    chance = bandit.means[2]
    deviation = deviation or np.sqrt(chance * (1 - chance))
    assert abs(rewards.mean() - chance) < 5 * deviation / np.sqrt(4000)
    assert rewards.std() == pytest.approx(deviation, rel=0.1)


def test_reset_draws_new_arms_and_names_the_best():
    bandit = MultiArmedBandit(5, mean=4.0)
    bandit.reset(seed=1)
    first = bandit.means.copy()
    *_, info = bandit.step(0)
    assert info["best_arm"] == first.argmax()
    bandit.reset()
    assert (bandit.means != first).all()
    bandit.reset(seed=1)
    assert (bandit.means == first).all()
    assert first.mean() == pytest.approx(4.0, abs=2.3)


def test_a_single_arm_is_refused():
    with pytest.raises(ConfigError, match="at least 2"):
        MultiArmedBandit(1)
