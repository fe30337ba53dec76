import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError, MissingDependencyError, UnknownNameError
from arena_lib.rl.environments import CountingEnv, list_environments, make_env, make_vector_env, making


@pytest.mark.parametrize("env_id", sorted(making.OWN))
def test_each_of_our_own_can_be_made_without_registration(env_id):
    env = make_env(env_id)
    assert env.spec.id == env_id
    assert env_id not in gym.registry
    env.reset(seed=0)
    assert env_id in list_environments()


@pytest.mark.parametrize(
    ("env_id", "nearest"),
    [("Cartpole-v1", "'CartPole-v1'"), ("LunarLander-v2", "'LunarLander-v3'"), ("arena/Probe9-v0", "'arena/Probe")],
)
def test_an_unknown_id_offers_the_nearest(env_id, nearest):
    with pytest.raises(UnknownNameError, match=f"no environment is called '{env_id}'. Did you mean .*{nearest}"):
        make_env(env_id)


@pytest.mark.parametrize(("env_id", "package"), [("LunarLander-v3", "box2d"), ("HalfCheetah-v5", "mujoco")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, env_id, package):
    monkeypatch.setattr(making, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=rf"{env_id} needs the package '{package}'.*arena-lib\[rl\]"):
        make_env(env_id)


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (gym.error.DependencyNotInstalled("pygame is not installed"), "pygame"),
        (ModuleNotFoundError("No module named 'imageio'", name="imageio"), "imageio"),
    ],
)
def test_what_gymnasium_finds_missing_is_said_our_way(monkeypatch, error, package):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(gym, "make", refuse)
    with pytest.raises(MissingDependencyError, match=f"needs the package '{package}'"):
        make_env("CartPole-v1", render_mode="rgb_array")


def test_wrappers_lie_around_it_the_first_innermost():
    class Outer(gym.Wrapper):
        pass

    class Inner(gym.Wrapper):
        pass

    env = make_env("CartPole-v1", wrappers=[Inner, Outer])
    assert isinstance(env, Outer)
    assert isinstance(env.env, Inner)
    envs = make_vector_env(CountingEnv, 2, wrappers=[Inner])
    assert all(isinstance(env, Inner) for env in envs.envs)


def test_a_picture_can_be_asked_for():
    env = make_env("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_environments_are_apart_and_have_the_mode(mode):
    envs = make_vector_env("CartPole-v1", 3, mode=mode)
    assert envs.metadata["autoreset_mode"] is mode
    obs, _ = envs.reset(seed=0)
    assert len(np.unique(obs[:, 0])) == 3


@pytest.mark.parametrize("n_envs", [0, -1, True])
def test_a_number_of_environments_must_be_one(n_envs):
    with pytest.raises(ConfigError, match="n_envs must be a whole number of at least 1"):
        make_vector_env("CartPole-v1", n_envs)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [({}, "egl"), ({"MUJOCO_GL": "osmesa"}, "osmesa"), ({"DISPLAY": ":0"}, None)],
    ids=["no screen", "chosen by the user", "a screen"],
)
def test_pictures_are_drawn_without_a_screen(monkeypatch, given, chosen):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(making.sys, "platform", "linux")
    monkeypatch.setattr(gym, "make", lambda *_, **__: CountingEnv())
    make_env("HalfCheetah-v5", render_mode="rgb_array")
    assert making.os.environ.get("MUJOCO_GL") == chosen
    assert making.os.environ.get("SDL_VIDEODRIVER") == (None if "DISPLAY" in given else "dummy")


def test_mujoco_leaves_no_file_in_the_folder_and_what_it_warns_of_is_logged(tmp_path, monkeypatch, caplog):
    mujoco = pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mujoco, "get_mju_user_warning", lambda: None)
    make_env("HalfCheetah-v5").close()
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == []
    mujoco.MjModel.from_xml_string(
        "<mujoco><compiler settotalmass='1'/><worldbody><geom size='1'/></worldbody></mujoco>"
    )
    assert list(tmp_path.iterdir()) == []
