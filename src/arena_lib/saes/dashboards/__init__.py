"""Pages about latents that stand alone: no network, no script from elsewhere, safe against any text in them.

dashboards = collect_dashboards(model, sae, tokens, [7, 12, 98])
save_dashboard(dashboards[0], "latent_7.html")          # one latent
save_dashboards(dashboards, "latents")                  # a page for each, and index.html with a search
show_dashboard(dashboards[0])                           # in a notebook
"""

from arena_lib.saes.dashboards.collecting import DashboardConfig, LatentDashboard, collect_dashboards
from arena_lib.saes.dashboards.overview import render_overview
from arena_lib.saes.dashboards.page import render_latent
from arena_lib.saes.dashboards.saving import save_dashboard, save_dashboards
from arena_lib.saes.dashboards.showing import show_dashboard

__all__ = [
    "DashboardConfig",
    "LatentDashboard",
    "collect_dashboards",
    "render_latent",
    "render_overview",
    "save_dashboard",
    "save_dashboards",
    "show_dashboard",
]
