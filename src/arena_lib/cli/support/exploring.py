"""What commands say of exercises that have no test and are there to explore."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena_lib.course.content.catalog_types import Section

EXPLORING_A_SCRIPT = (
    "To explore: run the cells that end in `explored(...)`, from the first cell on, in an editor that knows `# %%` cells, "
    "such as VS Code."
)


def more_to_explore(section: Section, n_judged: int | None = None) -> str:
    """What a count of judged exercises leaves out of the section, in words; nothing where only some were judged.

    With the exercises that are counted, these make as many as `arena list` and `arena progress` count.
    """
    n_tested = sum(entry.test is not None for entry in section.exercises)
    n_more = len(section.exercises) - n_tested
    if n_more == 0 or n_judged not in (None, n_tested):
        return ""
    return f" ({n_more} more {'is' if n_more == 1 else 'are'} to explore)"
