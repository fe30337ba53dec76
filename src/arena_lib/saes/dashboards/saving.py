"""Latents' pages as files.

Raises:  ConfigError for no latents; DiskError where a file cannot be written.
"""

from collections.abc import Sequence
from pathlib import Path

from arena_lib.core.files import write_atomically
from arena_lib.errors import ConfigError, DiskError
from arena_lib.saes.dashboards.collecting import LatentDashboard
from arena_lib.saes.dashboards.overview import render_overview
from arena_lib.saes.dashboards.page import page_name, render_latent

INDEX = "index.html"


def save_dashboard(dashboard: LatentDashboard, path: str | Path) -> Path:
    """Write one latent's page; it opens by itself, without a network. Returns where it is."""
    return _write(Path(path), render_latent(dashboard))


def save_dashboards(dashboards: Sequence[LatentDashboard], folder: str | Path, *, title: str = "Latents") -> Path:
    """Write a page for each latent, linked to one another, and an overview with a search; returns where that is."""
    if not dashboards:
        raise ConfigError("there must be a latent to show: got none. Collect some with collect_dashboards.")
    folder = Path(folder)
    linked = {dashboard.latent_idx for dashboard in dashboards}
    for dashboard in dashboards:
        _write(folder / page_name(dashboard.latent_idx), render_latent(dashboard, linked=linked, index=INDEX))
    return _write(folder / INDEX, render_overview(dashboards, title=title, linked=linked))


def _write(path: Path, page: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode())
    except OSError as error:
        raise DiskError(
            f"the page must be written to {path}: got {error.strerror or error}. Choose a folder that you may write to."
        ) from error
    return path
