"""Latents' pages in a notebook.

Raises:  MissingDependencyError without IPython, which comes with any notebook.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from arena_lib.errors import MissingDependencyError
from arena_lib.saes.dashboards.collecting import LatentDashboard
from arena_lib.saes.dashboards.page import render_latent

if TYPE_CHECKING:
    from IPython.display import HTML


def show_dashboard(dashboard: LatentDashboard, height: int = 700) -> HTML:
    """One latent's page as what a notebook shows, in a frame of its own, so many pixels high."""
    try:
        from IPython.display import HTML
    except ImportError as error:
        raise MissingDependencyError("IPython", "notebook", "Showing a page in a notebook") from error
    page = escape(render_latent(dashboard))
    title = f"Latent {dashboard.latent_idx}"
    return HTML(
        f'<div><iframe title="{title}" srcdoc="{page}" style="width: 100%; height: {height}px; border: 0"></iframe></div>'
    )
