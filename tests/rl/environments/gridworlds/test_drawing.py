import numpy as np

from arena_lib.rl.environments.gridworlds.drawing import AGENT, ARROW, COLOURS, draw_gridworld

ROWS = ["S.#", "G.X"]


def test_every_cell_has_its_letter_s_colour():
    picture = draw_gridworld(ROWS, cell=10)
    assert picture.shape == (20, 30, 3)
    assert picture.dtype == np.uint8
    for place, letter in enumerate("".join(ROWS)):
        assert tuple(picture[place // 3 * 10 + 5, place % 3 * 10 + 5]) == COLOURS[letter]


def test_agent_is_a_disc_in_its_cell():
    changed = (draw_gridworld(ROWS, state=4, cell=10) != draw_gridworld(ROWS, cell=10)).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == (12, 17)
    assert (columns.min(), columns.max()) == (12, 17)
    assert tuple(draw_gridworld(ROWS, state=4, cell=10)[15, 15]) == AGENT


def test_arrows_point_where_the_action_goes():
    for action, (row, column) in enumerate([(0, 1), (1, 2), (2, 1), (1, 0)]):
        picture = draw_gridworld(["S"], policy=np.array([action]), cell=30)
        is_arrow = (picture == ARROW).all(axis=2)
        tips = {(0, 1): is_arrow[:10], (1, 2): is_arrow[:, 20:], (2, 1): is_arrow[20:], (1, 0): is_arrow[:, :10]}
        tails = {(0, 1): is_arrow[20:], (1, 2): is_arrow[:, :10], (2, 1): is_arrow[:10], (1, 0): is_arrow[:, 20:]}
        assert tips[row, column].any(), "the triangle reaches into the third that it points to"
        assert not tails[row, column].any()


def test_higher_values_are_greener_and_walls_keep_their_colour():
    picture = draw_gridworld(ROWS, values=np.array([1.0, 0.0, 9.0, 9.0, 0.5, 9.0]), cell=10).astype(int)
    greenness = picture[..., 1] - picture[..., 0]
    assert greenness[5, 5] > greenness[15, 15] > greenness[5, 15]
    assert tuple(picture[5, 25]) == COLOURS["#"]
