import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.rl.gridworlds import FREE, GRID, compare_gridworlds, episode, gridworld

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


def test_red_is_below_zero_and_blue_above():
    below, around, above = (
        gridworld(["S."], values=values).data[0] for values in ([-3.0, -1.0], [-3.0, 1.0], [3.0, 1.0])
    )
    assert (below.zmin, below.zmax, around.zmin, around.zmax, above.zmin, above.zmax) == (-3, 0, -3, 3, 0, 3)
    red, white = "#b2182b", "#ffffff"
    assert (below.colorscale[0][1], below.colorscale[-1][1]) == (red, white)
    assert around.colorscale[0][1] == red
    assert above.colorscale[0][1] == white
    assert [step[0] for step in around.colorscale] == sorted(step[0] for step in around.colorscale)


def test_free_cells_without_values_are_grey_not_white():
    heatmap = gridworld(ROWS).data[0]
    assert {colour for _, colour in heatmap.colorscale} == {FREE}
    assert not heatmap.showscale
    assert gridworld(ROWS, values=[0.0] * 6).layout.plot_bgcolor == GRID, "between white cells there are lines"


def test_maps_side_by_side_share_their_colours_and_show_each_path():
    figure = compare_gridworlds(["S.G"], {"a": [0.5, 0.1, 9.0], "b": [2.0, 1.0, 9.0]}, paths={"way": [0, 1, 2]})
    assert [(heatmap.zmin, heatmap.zmax) for heatmap in figure.data[:2]] == [(0.0, 2.0), (0.0, 2.0)]
    assert [heatmap.showscale for heatmap in figure.data[:2]] == [True, False]
    assert [(path.xaxis, path.showlegend) for path in figure.data[2:]] == [("x", True), ("x2", False)]
    assert {"a", "b"} <= {annotation.text for annotation in figure.layout.annotations}
    assert len(figure.layout.shapes) == 2, "the good end of each map"


def test_paths_go_through_their_cells_and_are_named():
    figure = gridworld(ROWS, paths={"one": [0, 1, 4], "two": [0, 1]})
    assert [trace.name for trace in figure.data[1:]] == ["one", "two"]
    assert [round(x) for x in figure.data[1].x] == [0, 1, 1]
    assert [round(y) for y in figure.data[1].y] == [0, 0, 1]
    assert figure.data[1].x[0] != figure.data[2].x[0]


def test_a_path_begins_with_a_dot_ends_with_an_arrow_and_keeps_off_the_middle():
    path = gridworld(ROWS, paths={"way": [0, 1, 4]}).data[1]
    assert (path.marker.symbol[0], path.marker.symbol[-1]) == ("circle", "arrow")
    assert path.marker.size[0] > 0 == path.marker.size[1] < path.marker.size[2]
    assert 0.2 < abs(path.x[0]) < 0.4
    assert abs(path.marker.angle[2]) == 180, "the last step goes down"
    assert gridworld(ROWS, paths={"way": [0, 1]}).data[1].marker.angle[1] == 90
    assert gridworld(ROWS, paths={"stays": [0]}).data[1].marker.size == (10,)


@pytest.mark.parametrize("wrong", [{"values": [1.0]}, {"policy": [1, 2]}])
def test_what_does_not_fit_the_map_is_refused(wrong):
    with pytest.raises(ShapeError, match="one entry for each cell of the map"):
        gridworld(ROWS, **wrong)


def test_episode_has_a_frame_for_each_step_of_the_longest_path():
    figure = episode(ROWS, {"long": [0, 1, 4, 3], "short": [0, 1]})
    assert len(figure.frames) == 4
    trails, heads = figure.frames[3].data[::2], figure.frames[3].data[1::2]
    assert [len(trail.x) for trail in trails] == [4, 2], "who has arrived stays"
    assert [head.x[0] for head in heads] == [trail.x[-1] for trail in trails]
    assert figure.frames[0].traces == (1, 2, 3, 4)
    assert len(figure.layout.sliders[0].steps) == 4


def test_legend_of_an_episode_keeps_its_symbols_in_every_frame():
    figure = episode(ROWS, {"long": [0, 1, 4, 3], "short": [0, 1]})
    for data in (figure.data[1:], *(frame.data for frame in figure.frames)):
        named = [trace for trace in data if trace.showlegend is not False]
        assert [trace.name for trace in named] == ["long", "short"]
        assert [(trace.marker.size, len(trace.x)) for trace in named] == [(16, 1), (16, 1)]
    assert len({trace.marker.symbol for trace in named}) == 2


def test_walkers_leave_the_letters_free():
    heads = episode(ROWS, {name: [0, 1] for name in "abcd"}).data[2::2]
    assert min(min(abs(head.x[0]), abs(head.y[0])) for head in heads) > 0.2
    assert len({head.x[0] for head in heads}) == len({head.y[0] for head in heads}) == 4, "no two share a line"
