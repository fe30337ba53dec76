"""One latent's page: where it is active and how strongly, the tokens that it favours and reads, latents near it.

The page needs no script. Nothing rests on colour alone: each example says its activation, its own token is framed, and each
token says its number when pointed at.

Shapes:  a `LatentDashboard` -> HTML
Source:  own design, after the feature dashboards of Bricken et al. 2023, "Towards monosemanticity".
"""

from collections.abc import Collection, Sequence

from arena_lib.saes.analysis.activations.examples import Example
from arena_lib.saes.analysis.directions.logits import TokenEffects
from arena_lib.saes.dashboards.collecting import LatentDashboard, Neighbour
from arena_lib.saes.dashboards.escaping import show_text, show_token
from arena_lib.saes.dashboards.style import make_page
from arena_lib.wording import counted

HEIGHT = 100
"""Of the histogram's tallest bar, in units of its own."""


def render_latent(dashboard: LatentDashboard, *, linked: Collection[int] = (), index: str = "") -> str:
    """The page as HTML. Neighbours in `linked` have pages beside this one; `index` is the address of their overview."""
    top_of_range = dashboard.max or 1.0
    parts = [
        f'<p><a href="{show_text(index)}">All latents</a></p>' if index else "",
        _heading(dashboard),
        f'<h2 id="activations">Activations</h2><div class="card">{draw_histogram(dashboard)}</div>',
        _tokens(dashboard),
        '<h2 id="examples">Most activating examples</h2>' + render_examples(dashboard.top, top_of_range),
        _quantiles(dashboard.quantiles, top_of_range),
        _neighbours(dashboard, linked),
    ]
    return make_page(f"Latent {dashboard.latent_idx}", "\n".join(filter(None, parts)))


def page_name(latent_idx: int) -> str:
    """The file name of a latent's page."""
    return f"latent_{latent_idx}.html"


def render_examples(examples: Sequence[Example], top_of_range: float) -> str:
    """Examples as a list, each token on a shade of its activation."""
    if not examples:
        return '<p class="soft">It is active on none of these texts.</p>'
    rows = (
        f'<li><span class="number">{example.activation:.3g}</span>'
        f'<span class="text">{render_text(example, top_of_range)}</span></li>'
        for example in examples
    )
    return f'<ol class="examples">{"".join(rows)}</ol>'


def render_text(example: Example, top_of_range: float) -> str:
    """One example's tokens, each set apart from the others' direction of writing; shades begin after a token's spaces."""
    spans = []
    for i, (token, act) in enumerate(zip(example.str_tokens, example.activations, strict=True)):
        share = min(max(act / top_of_range, 0.0), 1.0)
        peak = ' class="peak"' if i == example.position else ""
        shade = f' style="--a:{share:.2f}"' if share else ""
        word = token.lstrip(" ") or token
        spaces = token[: len(token) - len(word)]
        spans.append(f'{spaces}<bdi{peak}{shade} title="{show_token(token)} {act:.3g}">{show_text(word)}</bdi>')
    return "".join(spans)


def draw_histogram(dashboard: LatentDashboard) -> str:
    """The histogram of activations above 0: bars as SVG, what stands at the axes as text."""
    counts, edges = dashboard.counts, dashboard.edges
    largest = max(counts, default=0)
    if not largest:
        return '<p class="soft">No activations above 0.</p>'
    bars = "".join(
        f'<rect x="{i + 0.05}" y="{HEIGHT - HEIGHT * count / largest:.2f}" width="0.9" height="{HEIGHT * count / largest:.2f}">'
        f"<title>{edges[i]:.3g} to {edges[i + 1]:.3g}: {counted(count, 'token')}</title></rect>"
        for i, count in enumerate(counts)
        if count
    )
    said = f"Histogram of {counted(dashboard.n_active, 'activation')} from {edges[0]:.3g} to {edges[-1]:.3g}"
    return (
        f'<div class="axis">{counted(largest, "token")}</div>'
        f'<svg viewBox="0 0 {len(counts)} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{said}">{bars}</svg>'
        f'<div class="axis"><span>{edges[0]:.3g}</span><span>activation</span><span>{edges[-1]:.3g}</span></div>'
    )


def _heading(dashboard: LatentDashboard) -> str:
    facts = "".join(f"<li><b>{show_text(name)}</b> {show_text(fact)}</li>" for name, fact in dashboard.origin.items())
    explanation = f"<p>{show_text(dashboard.explanation)}</p>" if dashboard.explanation else ""
    return (
        f'<h1>Latent {dashboard.latent_idx}</h1>{explanation}<ul class="facts">{facts}'
        f"<li><b>active on</b> {100 * dashboard.active_share:.3g}% of {counted(dashboard.n_tokens, 'token')}</li>"
        f"<li><b>at most</b> {dashboard.max:.3g}</li></ul>"
    )


def _tokens(dashboard: LatentDashboard) -> str:
    """Both lists of tokens, side by side where there is room."""
    cards = []
    for effects, top, bottom in (
        (dashboard.logits, "Makes likelier", "Makes less likely"),
        (dashboard.deembeddings, "Embeddings that raise it", "Embeddings that lower it"),
    ):
        if effects is not None:
            cards += [_effects(top, effects.top, effects)] if effects.top else []
            cards += [_effects(bottom, effects.bottom, effects, low=True)] if effects.bottom else []
    if not cards:
        return ""
    return f'<h2 id="tokens">Tokens</h2><div class="columns">{"".join(cards)}</div>'


def _effects(title: str, pairs: Sequence[tuple[str, float]], effects: TokenEffects, *, low: bool = False) -> str:
    """One list of tokens, each with a bar as long as its number."""
    longest = max((abs(value) for _, value in [*effects.top, *effects.bottom]), default=0.0) or 1.0
    kind = "meter low" if low else "meter"
    rows = "".join(
        f'<tr><td class="token"><bdi>{show_token(token)}</bdi></td><td class="number">{value:.2f}</td>'
        f'<td><span class="{kind}" style="width:{100 * abs(value) / longest:.0f}%"></span></td></tr>'
        for token, value in pairs
    )
    return f'<div class="card"><h3>{title}</h3><table class="meters"><tbody>{rows}</tbody></table></div>'


def _quantiles(quantiles: Sequence[Sequence[Example]], top_of_range: float) -> str:
    """Samples from all of the range, the strongest part first."""
    parts = []
    for number, examples in reversed(list(enumerate(quantiles, start=1))):
        if examples:
            strengths = [example.activation for example in examples]
            title = f"Part {number} of {len(quantiles)}: {min(strengths):.3g} to {max(strengths):.3g}"
            parts.append(
                f'<details open><summary class="soft">{title}</summary>{render_examples(examples, top_of_range)}</details>'
            )
    if not parts:
        return ""
    lead = '<p class="soft">Drawn from equally many activations each, the strongest part first.</p>'
    return f'<h2 id="range">Examples from all of its range</h2>{lead}{"".join(parts)}'


def _neighbours(dashboard: LatentDashboard, linked: Collection[int]) -> str:
    """Latents whose directions are nearest."""
    cards = [
        _near(title, neighbours, linked)
        for title, neighbours in (
            ("By decoder: they write alike", dashboard.decoder_neighbours),
            ("By encoder: they read alike", dashboard.encoder_neighbours),
        )
        if neighbours
    ]
    if not cards:
        return ""
    return f'<h2 id="neighbours">Nearest latents</h2><div class="columns">{"".join(cards)}</div>'


def _near(title: str, neighbours: Sequence[Neighbour], linked: Collection[int]) -> str:
    rows = []
    for neighbour in neighbours:
        name = f"latent {neighbour.latent_idx}"
        if neighbour.latent_idx in linked:
            name = f'<a href="{page_name(neighbour.latent_idx)}">{name}</a>'
        rows.append(f'<tr><td>{name}</td><td class="number">cosine {neighbour.cosine:.3f}</td></tr>')
    return f'<div class="card"><h3>{title}</h3><table><tbody>{"".join(rows)}</tbody></table></div>'
