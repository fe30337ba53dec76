"""What a moving picture needs below it: buttons to play and pause, and a slider of its frames."""

from collections.abc import Sequence
from typing import Any

FRAME_MS = 120
"""Milliseconds for each frame."""


def controls(steps: Sequence[int]) -> dict[str, Any]:
    """Buttons and slider, as arguments of `update_layout`; `steps` are the updates made at each frame, and its name.

    >>> sorted(controls([10, 20]))
    ['sliders', 'updatemenus']
    """
    moment = {"mode": "immediate", "transition": {"duration": 0}}
    play = [None, {**moment, "frame": {"duration": FRAME_MS, "redraw": False}, "fromcurrent": False}]
    pause = [[None], {**moment, "frame": {"duration": 0, "redraw": False}}]
    buttons = [
        {"label": label, "method": "animate", "args": args} for label, args in (("Play", play), ("Pause", pause))
    ]
    still = {**moment, "frame": {"duration": 0, "redraw": False}}
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
                "x": 0.2,
                "len": 0.8,
                "y": -0.08,
                "currentvalue": {"prefix": "after update "},
            }
        ],
    }
