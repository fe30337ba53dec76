"""Many latents on one page, with a search and columns to sort by.

The table is there without its script, which hides and orders rows and makes no HTML of any text.

Shapes:  several `LatentDashboard` -> HTML
Raises:  ConfigError for no latents.
"""

from collections.abc import Collection, Sequence

from arena_lib.errors import ConfigError
from arena_lib.saes.dashboards.collecting import LatentDashboard
from arena_lib.saes.dashboards.escaping import show_text, show_token
from arena_lib.saes.dashboards.page import page_name, render_text
from arena_lib.saes.dashboards.style import OVERVIEW_STYLE, STYLE, make_page
from arena_lib.wording import counted

N_TOKENS = 5
"""Tokens of each latent that are listed."""
SCRIPT = """
const rows = [...document.querySelectorAll(".latents tbody tr")];
const texts = rows.map(row => row.textContent.replaceAll("␣", " ").toLowerCase());
const query = document.getElementById("query"), shown = document.getElementById("shown");
function search() {
  const words = query.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let n = 0;
  rows.forEach((row, i) => {
    row.hidden = !words.every(word => texts[i].includes(word));
    n += !row.hidden;
  });
  shown.textContent = `${n} of ${rows.length} shown`;
}
query.addEventListener("input", search);
document.querySelectorAll(".latents th button").forEach(button => button.addEventListener("click", () => {
  const header = button.closest("th"), key = button.dataset.key;
  const sign = header.getAttribute("aria-sort") === "descending" ? 1 : -1;
  document.querySelectorAll(".latents th").forEach(other => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
  const body = document.querySelector(".latents tbody");
  [...rows].sort((a, b) => sign * (Number(a.dataset[key]) - Number(b.dataset[key]))).forEach(row => body.append(row));
}));
search();
"""


def render_overview(
    dashboards: Sequence[LatentDashboard], *, title: str = "Latents", linked: Collection[int] = ()
) -> str:
    """The page as HTML; latents in `linked` have pages of their own beside it."""
    if not dashboards:
        raise ConfigError("an overview needs at least one latent: got none. Collect some with collect_dashboards.")
    facts = "".join(
        f"<li><b>{show_text(name)}</b> {show_text(fact)}</li>" for name, fact in dashboards[0].origin.items()
    )
    head = "".join(
        f'<th scope="col"><button type="button" data-key="{key}">{name}</button></th>'
        for key, name in (("latent", "latent"), ("share", "active on"), ("max", "at most"))
    )
    body = (
        f'<h1>{show_text(title)}</h1><ul class="facts">{facts}</ul>'
        '<div class="search"><label for="query">Search</label> <input id="query" type="search" autocomplete="off" '
        'placeholder="a number, a token, an explanation">'
        f'<output id="shown" for="query">{counted(len(dashboards), "latent")}</output></div>'
        f'<table class="latents"><thead><tr>{head}<th scope="col" class="wide">makes likelier</th><th scope="col" class="wide">example</th></tr></thead>'
        f"<tbody>{''.join(_row(dashboard, linked) for dashboard in dashboards)}</tbody></table>"
    )
    return make_page(title, body, style=STYLE + OVERVIEW_STYLE, script=SCRIPT)


def _row(dashboard: LatentDashboard, linked: Collection[int]) -> str:
    """One latent: numbers, likelier tokens, what it was explained as, and its most activating example."""
    name = str(dashboard.latent_idx)
    if dashboard.latent_idx in linked:
        name = f'<a href="{page_name(dashboard.latent_idx)}">{name}</a>'
    pairs = dashboard.logits.top[:N_TOKENS] if dashboard.logits else []
    tokens = " ".join(f'<bdi class="token">{show_token(token)}</bdi>' for token, _ in pairs)
    explanation = f"<p>{show_text(dashboard.explanation)}</p>" if dashboard.explanation else ""
    example = f'<div class="text">{render_text(dashboard.top[0], dashboard.max)}</div>' if dashboard.top else ""
    numbers = (
        f'data-latent="{dashboard.latent_idx}" data-share="{dashboard.active_share!r}" data-max="{dashboard.max!r}"'
    )
    return (
        f'<tr {numbers}><td class="number">{name}</td><td class="number" data-label="active on">{dashboard.active_share:.3%}</td>'
        f'<td class="number" data-label="at most">{dashboard.max:.3g}</td><td class="wide">{tokens}</td>'
        f'<td class="wide">{explanation}{example}</td></tr>'
    )
