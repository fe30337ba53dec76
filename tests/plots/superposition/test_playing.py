"""Buttons and a slider."""

import plotly.graph_objects as go

from arena_lib.plots.superposition.playing import controls


def test_every_frame_has_a_stop_and_the_last_one_is_shown():
    figure = go.Figure().update_layout(**controls([3, 7, 20]))
    (slider,) = figure.layout.sliders
    assert [stop.args[0] for stop in slider.steps] == [("3",), ("7",), ("20",)]
    assert slider.active == 2


def test_one_button_plays_all_frames_and_one_pauses():
    figure = go.Figure().update_layout(**controls([3, 7]))
    play, pause = figure.layout.updatemenus[0].buttons
    assert play.args[0] is None
    assert pause.args[0] == (None,)
    assert pause.args[1]["mode"] == "immediate"


def test_other_figures_say_their_own_prefix_and_are_drawn_anew():
    figure = go.Figure().update_layout(**controls(["a", "b"], prefix="turned by ", redraw=True))
    (slider,) = figure.layout.sliders
    assert slider.currentvalue.prefix == "turned by "
    play, _ = figure.layout.updatemenus[0].buttons
    assert play.args[1]["frame"]["redraw"]
    assert all(stop.args[1]["frame"]["redraw"] for stop in slider.steps)
