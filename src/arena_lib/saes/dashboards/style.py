"""The look of the pages, and the frame that they share: one file each, light and dark, for wide and narrow screens.

Shades are so strong that the text on them keeps a contrast of 4.5 or more on either background (WCAG 2.2, 1.4.3).

A page says what it may load: nothing. So even a text that got past `escaping` could neither run nor fetch anything.

Source:  W3C Content Security Policy, level 3.
"""

import base64
import hashlib

from arena_lib.saes.dashboards.escaping import show_text

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --soft: #595959; --line: #ccc; --card: #f6f7f9;
  --link: #0b57d0; --bar: #0072b2; --low: #a34700; --heat: 230 97 1; --strength: 1 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --ink: #e8e8e8; --soft: #a8adb5; --line: #4a4f57; --card: #1f2228;
    --link: #8ab4f8; --bar: #56b4e9; --low: #e69f00; --heat: 240 130 40; --strength: .6 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 0 .2rem } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem }
h3 { font-size: 1rem; margin: 0 0 .3rem; font-weight: 600 }
a { color: var(--link) }
p { margin: .3rem 0 } .soft { color: var(--soft) }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .4rem 0; padding: 0; list-style: none }
.columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; min-width: 0 }
table { border-collapse: collapse; width: 100% } td, th { padding: .1rem .5rem .1rem 0; text-align: left; vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.token { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .9em }
.meter { display: block; height: .55rem; min-width: 1px; background: var(--bar) } .meter.low { background: var(--low) }
.meters td:last-child { width: 40% ; vertical-align: middle }
svg { display: block; width: 100%; height: 8rem; fill: var(--bar); border-bottom: 1px solid var(--soft) }
.axis { display: flex; justify-content: space-between; gap: 1rem; font-size: .85rem; color: var(--soft) }
ol.examples { list-style: none; margin: 0; padding: 0 }
ol.examples li { display: flex; gap: .8rem; padding: .3rem 0; border-top: 1px solid var(--line) }
ol.examples .number { flex: 0 0 3.2rem; color: var(--soft) }
.text { min-width: 0; white-space: pre-wrap; font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .9em }
.text bdi { border-radius: 2px; background: rgb(var(--heat) / calc(var(--a, 0) * var(--strength))) }
.text bdi.peak { font-weight: 700; outline: 1.5px solid var(--ink) }
details { margin: .5rem 0 } summary { cursor: pointer }
"""

OVERVIEW_STYLE = """
.search { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; margin: 1rem 0 }
.search input { font: inherit; padding: .35rem .6rem; border: 1px solid var(--soft); border-radius: 6px; width: min(100%, 24rem);
  background: var(--paper); color: var(--ink) }
.latents th button { font: inherit; font-weight: 600; padding: 0; border: 0; background: none; color: var(--link); cursor: pointer }
.latents th, .latents td { padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line) }
.latents th { white-space: nowrap }
@media (max-width: 44rem) {
  .latents, .latents tbody { display: block } .latents thead tr { display: flex; flex-wrap: wrap; gap: 0 1rem }
  .latents thead th { border: 0 } .latents thead th.wide { display: none }
  .latents tbody tr { display: grid; grid-template-columns: auto auto 1fr; border-top: 1px solid var(--line); padding: .4rem 0 }
  .latents tbody tr[hidden] { display: none }
  .latents tbody td { border: 0; padding: .1rem 1rem .1rem 0 } .latents tbody td.number { text-align: left }
  .latents tbody td[data-label]::before { content: attr(data-label) " "; color: var(--soft) }
  .latents tbody td.wide { grid-column: 1 / -1 }
}
"""


def make_page(title: str, body: str, *, style: str = STYLE, script: str = "") -> str:
    """A whole page; `body` is HTML, the title is text. Its script, if there is one, is the only one that may run."""
    allowed = "'none'"
    if script:
        allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{show_text(title)}</title><style>{style}</style></head>\n<body>\n{body}\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body></html>\n"
    )
