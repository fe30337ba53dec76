import pytest
import torch

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.fundamentals.puzzles.drawings import _DOTS, COLOURS, draw


def test_every_character_has_five_by_seven_dots_and_is_unlike_the_others():
    for character, dots in _DOTS.items():
        rows = dots.split()
        assert [len(row) for row in rows] == [5] * 7, character
        assert set(dots) <= set("#. "), character
    assert len(set(_DOTS.values())) == len(_DOTS) == 36


def test_ink_has_its_colour_and_paper_is_white():
    images = draw("1A1A1A1")
    assert images.shape == (7, 3, 10, 8)
    for i, image in enumerate(images):
        colour = torch.tensor(COLOURS[i % len(COLOURS)])[:, None]
        pixels = image.flatten(1)
        is_ink = (pixels == colour).all(dim=0)
        assert is_ink.sum() == _DOTS["1A"[i % 2]].count("#")
        assert (pixels[:, ~is_ink] == 1).all()


def test_no_character_looks_the_same_when_mirrored_or_upside_down():
    for image in draw("".join(_DOTS)):
        assert not torch.equal(image, image.flip(-1))
        assert not torch.equal(image, image.flip(-2))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="at least one character"):
        draw("")
    with pytest.raises(UnknownNameError, match="no drawn character is called 'a'"):
        draw("Ba")
