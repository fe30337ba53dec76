"""One interface over three autoreset modes, judged by an environment that counts."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from arena_lib.errors import ConfigError, DtypeError, EnvError, ShapeError, TrainingError
from arena_lib.rl.environments import CountingEnv, Episode, Stepper, make_vector_env, spread_seed
from arena_lib.rl.environments.stepping import get_autoreset_mode, name_of

EVERY_MODE = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


def counting(mode, n_envs=3, **options):
    return make_vector_env(lambda: CountingEnv(**options), n_envs, mode=mode)


def walk(stepper, n_calls):
    for _ in range(n_calls):
        yield stepper.step(np.zeros(stepper.n_envs, dtype=np.int64))


@EVERY_MODE
def test_the_successor_is_the_next_count_in_every_real_step(mode):
    for step in walk(Stepper(counting(mode), seed=0), 40):
        real = step.is_real
        assert np.array_equal(step.next_obs[real], step.obs[real] + 1)
        assert (step.rewards == real).all()


@EVERY_MODE
def test_the_next_actions_are_for_the_next_episode_after_an_end(mode):
    stepper = Stepper(counting(mode, lengths=(2, 3)), seed=0)
    seen = [float(step.obs[0, 0]) for step in walk(stepper, 14) if step.is_real[0]]
    assert seen[:10] == [0, 1, 100, 101, 102, 200, 201, 300, 301, 302]


@EVERY_MODE
def test_termination_and_truncation_stay_apart(mode):
    steps = list(walk(Stepper(counting(mode, lengths=(2,)), seed=0), 12))
    ends = [(bool(step.terminated[0]), bool(step.truncated[0])) for step in steps if step.done[0]]
    assert ends[:4] == [(True, False), (False, True), (True, False), (False, True)]


def test_only_next_step_has_phantoms_and_they_are_not_counted():
    counts = {}
    for mode in AutoresetMode:
        stepper = Stepper(counting(mode, n_envs=2, lengths=(3,)), seed=0)
        phantoms = sum(int((~step.is_real).sum()) for step in walk(stepper, 16))
        counts[mode] = (phantoms, stepper.n_steps)
    assert counts[AutoresetMode.NEXT_STEP] == (8, 24)
    assert counts[AutoresetMode.SAME_STEP] == counts[AutoresetMode.DISABLED] == (0, 32)


@EVERY_MODE
def test_finished_gives_each_episode_once(mode):
    stepper = Stepper(counting(mode, n_envs=2, lengths=(2, 3)), seed=0)
    list(walk(stepper, 3))
    assert stepper.finished() == [Episode(0, 2.0, 2, step=4), Episode(1, 2.0, 2, step=4)]
    assert stepper.finished() == []
    list(walk(stepper, 4))  # in NEXT_STEP the first of them is a phantom
    assert [(episode.total_reward, episode.length) for episode in stepper.finished()[:2]] == [(3.0, 3), (3.0, 3)]


@EVERY_MODE
def test_a_restart_drops_what_was_going_on(mode):
    stepper = Stepper(counting(mode, lengths=(3,)), seed=0)
    list(walk(stepper, 5))
    n_before = stepper.n_steps
    stepper.restart(seed=1)
    assert (stepper.obs == 0).all()
    list(walk(stepper, 3))
    assert stepper.n_steps == n_before + 9
    assert {episode.length for episode in stepper.finished()} == {3}


@EVERY_MODE
def test_a_cartpole_takes_the_same_course_in_every_mode(mode):
    """Against environments that are stepped one by one, by hand."""
    stepper = Stepper(make_vector_env("CartPole-v1", 2, mode=mode), seed=5)
    singles = [gym.make("CartPole-v1") for _ in range(2)]
    expected = [env.reset(seed=seed)[0] for env, seed in zip(singles, spread_seed(5, 2), strict=True)]
    assert np.array_equal(stepper.obs, expected)
    generator = np.random.default_rng(0)
    for _ in range(150):
        actions = generator.integers(2, size=2)
        step = stepper.step(actions)
        for env_idx in np.flatnonzero(step.is_real):
            obs, _, terminated, truncated, _ = singles[env_idx].step(actions[env_idx])
            assert np.array_equal(step.next_obs[env_idx], obs)
            if terminated or truncated:
                assert step.done[env_idx]
                expected[env_idx] = singles[env_idx].reset()[0]
    assert len(stepper.finished()) > 5


def test_gymnasiums_own_vector_cartpole_is_stepped_too():
    stepper = Stepper(gym.make_vec("CartPole-v1", num_envs=5, vectorization_mode="vector_entry_point"), seed=0)
    assert stepper.mode is AutoresetMode.NEXT_STEP
    steps = [stepper.step(np.ones(5, dtype=np.int64)) for _ in range(30)]
    assert sum(int((~step.is_real).sum()) for step in steps) > 5
    assert all(episode.total_reward == episode.length for episode in stepper.finished())


def test_vector_wrappers_are_stepped_through():
    envs = gym.wrappers.vector.RecordEpisodeStatistics(counting(AutoresetMode.SAME_STEP))
    for step in walk(Stepper(envs, seed=0), 20):
        assert np.array_equal(step.next_obs, step.obs + 1)


def test_the_environment_may_write_over_what_it_gave():
    envs = SyncVectorEnv([CountingEnv] * 2, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
    steps = list(walk(Stepper(envs, seed=0), 3))
    assert [float(step.obs[0, 0]) for step in steps] == [0, 1, 2]


def test_neighbouring_seeds_share_no_environment():
    assert not set(spread_seed(0, 8)) & set(spread_seed(1, 8))
    first, second = (Stepper(make_vector_env("CartPole-v1", 4), seed=seed).obs for seed in (0, 0))
    assert np.array_equal(first, second)


# What an environment must not do


def test_a_mode_must_be_declared():
    envs = counting(AutoresetMode.SAME_STEP)
    envs.metadata["autoreset_mode"] = True
    with pytest.raises(EnvError, match=r"CountingEnv must declare its autoreset mode .* got True\. Set it to one of"):
        Stepper(envs, seed=0)


def claim(says, does):
    envs = counting(does, lengths=(2,))
    envs.metadata["autoreset_mode"] = says
    return envs


@pytest.mark.parametrize(
    ("says", "does", "why"),
    [
        (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, "SAME_STEP: it gave no info"),
        (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, "NEXT_STEP: it gave info"),
        (AutoresetMode.DISABLED, AutoresetMode.SAME_STEP, "DISABLED: it gave info"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_another_mode_than_declared_is_an_error(says, does, why):
    with pytest.raises(EnvError, match=why):
        list(walk(Stepper(claim(says, does), seed=0), 6))


class PaysInPhantoms(gym.vector.VectorWrapper):
    def step(self, actions):
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        return obs, rewards + 1, terminated, truncated, info


class ResetsEverything(gym.vector.VectorWrapper):
    def reset(self, *, seed=None, options=None):
        return self.env.reset(seed=seed)


def test_a_phantom_that_pays_is_an_error():
    envs = PaysInPhantoms(counting(AutoresetMode.NEXT_STEP, lengths=(2,)))
    with pytest.raises(EnvError, match="must only reset in the step after an end"):
        list(walk(Stepper(envs, seed=0), 6))


def test_a_reset_of_more_than_was_asked_is_an_error():
    makers = [lambda: CountingEnv((2,)), lambda: CountingEnv((5,))]
    envs = ResetsEverything(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED))
    with pytest.raises(EnvError, match="must reset only what"):
        list(walk(Stepper(envs, seed=0), 6))


class Broken(CountingEnv):
    """Counts until it gives `value` as an observation, or as a reward."""

    def __init__(self, *, obs=None, reward=None):
        super().__init__((9,))
        self.broken_obs, self.broken_reward = obs, reward

    def step(self, action):
        obs, reward, *rest = super().step(action)
        if self.t == 3:
            obs = obs if self.broken_obs is None else self.broken_obs
            reward = reward if self.broken_reward is None else self.broken_reward
        return obs, reward, *rest


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"obs": np.array([np.nan], np.float32)}, r"finite observations: got \[nan\] in environment 0 after 4 steps"),
        ({"reward": float("inf")}, "must give 2 finite rewards"),
        ({"obs": np.zeros(3, np.float32)}, "must be able to step"),
    ],
    ids=["NaN", "infinite reward", "another shape"],
)
def test_what_no_agent_could_learn_from_is_an_error(fault, message):
    stepper = Stepper(make_vector_env(lambda: Broken(**fault), 2), seed=0)
    with pytest.raises(EnvError, match=message):
        list(walk(stepper, 5))


class AnotherShape(gym.vector.VectorWrapper):
    def reset(self, *, seed=None, options=None):
        obs, info = self.env.reset(seed=seed, options=options)
        return obs[:, :, None], info


def test_observations_have_the_declared_shape():
    with pytest.raises(EnvError, match=r"must give observations of shape \(3, 1\): got \(3, 1, 1\)"):
        Stepper(AnotherShape(counting(AutoresetMode.SAME_STEP)), seed=0)


def test_spaces_must_hold_arrays():
    class Named(CountingEnv):
        def __init__(self):
            super().__init__()
            self.observation_space = gym.spaces.Dict({"count": self.observation_space})

        def _obs(self):
            return {"count": super()._obs()}

    with pytest.raises(ConfigError, match=r"the observation space must be one of Box, .*Named has Dict.*FlattenObs"):
        Stepper(make_vector_env(Named, 2), seed=0)


@pytest.mark.parametrize(
    ("actions", "kind", "message"),
    [
        (np.zeros((3, 1), np.int64), ShapeError, r"must have shape \(3,\): got \(3, 1\)"),
        (np.zeros(3), DtypeError, "must be whole numbers: got dtype float64"),
    ],
)
def test_actions_must_fit(actions, kind, message):
    with pytest.raises(kind, match=message):
        Stepper(counting(AutoresetMode.SAME_STEP), seed=0).step(actions)


def test_a_policy_that_became_nan_is_said():
    stepper = Stepper(counting(AutoresetMode.SAME_STEP, is_continuous=True), seed=0)
    with pytest.raises(TrainingError, match="must be finite"):
        stepper.step(np.full((3, 1), np.nan, np.float32))


def test_names_and_modes_of_environments():
    assert name_of(make_vector_env("CartPole-v1", 1)) == "CartPole-v1"
    assert name_of(counting(AutoresetMode.DISABLED)) == "CountingEnv"
    assert get_autoreset_mode(counting(AutoresetMode.DISABLED)) is AutoresetMode.DISABLED
