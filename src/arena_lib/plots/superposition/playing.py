"""What a moving picture needs below it: buttons to play and pause, and a slider of its frames."""

from collections.abc import Sequence
from typing import Any

FRAME_MS = 120
"""Milliseconds for each frame."""


def controls(steps: Sequence[int | str], *, prefix: str = "after update ", redraw: bool = False) -> dict[str, Any]:
    """Buttons and slider, as arguments of `update_layout`; `steps` name the frames, such as the updates made at each.

    The slider says `prefix` and the name of the frame that is shown, the last one at first. Anything but scatters, such as a
    heat map, is drawn anew only with `redraw`.

    >>> sorted(controls([10, 20]))
    ['sliders', 'updatemenus']
    """
    moment = {"mode": "immediate", "transition": {"duration": 0}}
    play = [None, {**moment, "frame": {"duration": FRAME_MS, "redraw": redraw}, "fromcurrent": False}]
    pause = [[None], {**moment, "frame": {"duration": 0, "redraw": False}}]
    buttons = [
        {"label": label, "method": "animate", "args": args} for label, args in (("Play", play), ("Pause", pause))
    ]
    still = {**moment, "frame": {"duration": 0, "redraw": redraw}}
    stops = [{"label": str(step), "method": "animate", "args": [[str(step)], still]} for step in steps]
    return {
        "updatemenus": [
            {
                "type": "buttons",
                "direction": "left",
                "x": 0.0,
                "y": -0.08,
                "xanchor": "left",
                "yanchor": "top",
                "buttons": buttons,
            }
        ],
        "sliders": [
            {
                "steps": stops,
                "active": len(steps) - 1,
                "x": 0.26,
                "len": 0.74,
                "y": -0.08,
                "currentvalue": {"prefix": prefix},
            }
        ],
    }
