import io

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from arena_lib.errors import ConfigError, MissingDependencyError
from arena_lib.rl.training import record, video
from arena_lib.rl.training.video import WIDTH


def stay(obs):
    return np.zeros(len(obs), dtype=int)


@pytest.fixture(scope="module")
def breakout():
    return record(stay, "MinAtar/Breakout-v1", n_episodes=2)


def test_every_step_is_a_picture(breakout):
    assert breakout.frames.dtype == np.uint8
    assert breakout.frames.shape[1:] == (240, 240, 3)
    assert breakout.frames_per_second == 15
    assert len(breakout.returns) == 2
    assert not np.array_equal(breakout.frames[0], breakout.frames[2])


def test_a_gif_moves_at_the_right_speed(breakout, tmp_path):
    with Image.open(breakout.save(tmp_path / "new" / "breakout.gif")) as image:
        assert image.n_frames > 10
        image.seek(1)
        assert image.info["duration"] == pytest.approx(1000 / 15, abs=8)  # a GIF counts hundredths


def test_a_webp_moves_at_the_right_speed(breakout, tmp_path):
    data = breakout.save(tmp_path / "breakout.webp").read_bytes()
    first = data.index(b"ANMF")  # size, then place and size of the frame in 4 + 12 bytes, then milliseconds in 3
    assert int.from_bytes(data[first + 20 : first + 23], "little") == round(1000 / 15)
    assert data.count(b"ANMF") > 10


def test_a_notebook_shows_it(breakout):
    html = breakout._repr_html_()
    assert html.startswith("<figure")
    assert "data:image/webp;base64," in html
    assert f"return {breakout.returns[0]:.1f}, {breakout.returns[1]:.1f}" in html
    assert repr(breakout).startswith(f"Video({len(breakout.frames)} frames, ")


def test_returns_are_shown_with_one_decimal():
    shown = video.Video(np.zeros((2, 4, 6, 3), np.uint8), 25.0, (57.9605, -3.0))
    assert "<figcaption>return 58.0, -3.0</figcaption>" in shown._repr_html_()
    assert repr(shown) == "Video(2 frames, 0.1 s, returns 58.0, -3.0)"


def test_large_and_fast_pictures_are_thinned():
    seen = record(stay, "CartPole-v1", max_steps=8)
    assert seen.frames.shape[1:] == (round(400 * WIDTH / 600), WIDTH, 3)
    assert seen.frames_per_second == 25
    assert len(seen.frames) == 5
    assert seen.returns == (8.0,)


def test_the_same_seed_shows_the_same(breakout):
    assert np.array_equal(record(stay, "MinAtar/Breakout-v1", n_episodes=2).frames, breakout.frames)


def test_what_can_not_be_recorded(breakout, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r'render_mode="rgb_array" to be recorded'):
        record(stay, lambda: gym.make("CartPole-v1"))
    with pytest.raises(ConfigError, match=r"a video must be a .webp or .gif: got 'v.mp4'"):
        breakout.save(tmp_path / "v.mp4")
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="'pillow'"):
        breakout._encode("GIF")


def test_an_encoded_video_is_one(breakout):
    assert Image.open(io.BytesIO(breakout._encode("WEBP"))).format == "WEBP"
