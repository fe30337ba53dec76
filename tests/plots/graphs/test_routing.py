import numpy as np

from arena_lib.plots.graphs.routing import LABEL, box_around, place_number, route

START, END = np.array([0.0, 0.0]), np.array([40.0, 200.0])


def test_nothing_in_the_way_gives_a_straight_line():
    curve = route(START, END, [box_around(np.array([90.0, 100.0]), 20.0, 20.0)])
    np.testing.assert_allclose(curve, np.linspace(START, END, len(curve)), atol=1e-9)


def test_a_curve_passes_beside_a_box_on_the_straight_line():
    box = box_around(np.array([20.0, 100.0]), 30.0, 20.0)
    curve = route(START, END, [box])
    left, bottom, right, top = box
    x, y = curve.T
    assert not ((left <= x) & (x <= right) & (bottom <= y) & (y <= top)).any()
    np.testing.assert_allclose(curve[[0, -1]], [START, END], atol=1e-9)


def test_the_clearest_curve_is_taken_where_all_touch_something():
    wall = box_around(np.array([20.0, 100.0]), 10_000.0, 4.0)
    block = box_around(np.array([20.0, 60.0]), 20.0, 10.0)
    curve = route(START, END, [wall, block])
    left, bottom, right, top = block
    x, y = curve.T
    assert not ((left <= x) & (x <= right) & (bottom <= y) & (y <= top)).any()


def test_a_number_moves_on_where_its_place_is_taken():
    curve = route(START, END, [])
    first, box = place_number(curve, [])
    assert box == box_around(first, *LABEL)
    second, _ = place_number(curve, [box])
    dx, dy = np.abs(first - second)
    assert dx >= LABEL[0] or dy >= LABEL[1]
