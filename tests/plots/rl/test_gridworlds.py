import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.rl.gridworlds import episode, gridworld

ROWS = ["S.#", "G.X"]


def test_free_cells_show_values_and_arrows():
    figure = gridworld(ROWS, values=[0.1, 0.2, 9.0, 9.0, 0.3, 9.0], policy=[0, 1, 0, 0, 2, 3])
    assert [list(row) for row in figure.data[0].text] == [["0.10<br>↑", "0.20<br>→", ""], ["", "0.30<br>↓", ""]]
    assert np.isnan(figure.data[0].z[0][2])
    assert figure.data[0].zmax == 0.3, "ends and walls don't stretch the colours"


def test_ends_walls_and_cliffs_are_boxes():
    assert len(gridworld(ROWS).layout.shapes) == 3
    assert [annotation.text for annotation in gridworld(ROWS).layout.annotations] == ["G", "X"]
    assert len(gridworld(["SCC"]).layout.shapes) == 2


def test_values_below_zero_are_dark_where_they_are_lowest():
    figure = gridworld(["S."], values=[-3.0, -1.0])
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-3.0, 0.0)
    assert figure.data[0].colorscale[-1][1] == "#ffffff"
    assert (gridworld(["S."], values=[-3.0, 1.0]).data[0].zmin, gridworld(["S."]).data[0].showscale) == (-3.0, False)


def test_paths_go_through_their_cells_and_are_named():
    figure = gridworld(ROWS, paths={"one": [0, 1, 4], "two": [0, 1]})
    assert [trace.name for trace in figure.data[1:]] == ["one", "two"]
    assert [round(x) for x in figure.data[1].x] == [0, 1, 1]
    assert [round(y) for y in figure.data[1].y] == [0, 0, 1]
    assert figure.data[1].x[0] != figure.data[2].x[0]


@pytest.mark.parametrize("wrong", [{"values": [1.0]}, {"policy": [1, 2]}])
def test_what_does_not_fit_the_map_is_refused(wrong):
    with pytest.raises(ShapeError, match="one entry for each cell of the map"):
        gridworld(ROWS, **wrong)


def test_episode_has_a_frame_for_each_step_of_the_longest_path():
    figure = episode(ROWS, {"long": [0, 1, 4, 3], "short": [0, 1]})
    assert len(figure.frames) == 4
    assert [len(trace.x) for trace in figure.frames[3].data] == [4, 2], "who has arrived stays"
    assert figure.frames[2].data[0].marker.size == (0, 0, 20)
    assert figure.frames[0].traces == (1, 2)
    assert len(figure.layout.sliders[0].steps) == 4
