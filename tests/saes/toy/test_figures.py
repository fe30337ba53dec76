"""The figures of toy SAEs stand beside those of the papers."""

from arena_lib.saes.superposition.paper.figures import FIGURES
from arena_lib.saes.toy.figures import ALL_FIGURES


def test_all_figures_are_the_papers_and_recovery():
    assert list(ALL_FIGURES) == [*FIGURES, "recovery"]
    drawn = ALL_FIGURES["recovery"].draw(seed=1, **ALL_FIGURES["recovery"].tiny)
    assert len(drawn) == 2
