import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative import pictures


def test_tiles_stand_in_rows_and_what_is_left_over_is_white():
    images = torch.arange(1.0, 4.0)[:, None, None, None].expand(3, 1, 2, 3)
    large = pictures.tile(images, 2)
    assert large.shape == (4, 6)
    assert large[[0, 0, 2, 2], [0, 3, 0, 3]].tolist() == [1, 2, 3, 0]


def test_a_map_has_its_first_row_at_the_bottom():
    figure = pictures.picture_map(
        torch.arange(4.0).reshape(4, 1, 1), [0.0, 1.0], [5.0, 6.0], x_title="x", y_title="y", title="map"
    )
    assert np.array(figure.data[0].z).tolist() == [[2, 3], [0, 1]]
    assert figure.layout.yaxis.ticktext == ("6.0", "5.0")
    assert figure.layout.yaxis.range == (2, 0)


def test_rows_have_names_and_a_film_has_a_frame_for_each_moment():
    rows = pictures.picture_rows({"a": torch.zeros(3, 2, 2), "b": torch.ones(3, 2, 2)}, title="rows")
    assert rows.layout.yaxis.ticktext == ("a", "b")
    assert rows.layout.title.text == "rows"
    film = pictures.picture_film(torch.rand(2, 4, 1, 3, 3), [1, 2], n_columns=2)
    assert [np.array(frame.data[0].z).shape for frame in film.frames] == [(6, 6)] * 2


def test_what_cannot_be_drawn_is_refused_in_words():
    with pytest.raises(ShapeError, match='axes "n height width"'):
        pictures.tile(torch.zeros(3, 3), 2)
    with pytest.raises(ConfigError, match="there must be pictures and columns: got 0 and 2"):
        pictures.tile(torch.zeros(0, 3, 3), 2)
    with pytest.raises(ShapeError, match=r"every row must have as many pictures: got \[1, 2\]"):
        pictures.picture_rows({"a": torch.zeros(1, 2, 2), "b": torch.zeros(2, 2, 2)})
    with pytest.raises(ShapeError, match="a picture for each pair"):
        pictures.picture_map(torch.zeros(3, 2, 2), [0.0, 1.0], [0.0], x_title="x", y_title="y")
    with pytest.raises(ShapeError, match="every frame must have a name"):
        pictures.picture_film(torch.zeros(2, 1, 2, 2), [1])
