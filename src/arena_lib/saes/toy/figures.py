"""Every figure on superposition and toy SAEs by its name."""

from arena_lib.saes.superposition.paper.figures import FIGURES, PaperFigure
from arena_lib.saes.toy.recovery import draw_recovery

ALL_FIGURES = FIGURES | {
    "recovery": PaperFigure(
        draw_recovery,
        "toy SAEs that find the true features",
        {"n_seeds": 1, "n_inst": 2, "n_steps": 20, "n_toy_steps": 5},
    )
}
"""Those of the papers, then the toy SAEs'."""
