"""The demo's report: one page that needs no network, for wide and narrow screens, light and dark."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena_lib.checking import Mistake
    from arena_lib.course.demo import Step
    from arena_lib.course.showcase import Finding

SHOWN_IN_FULL = ("1.1/causal_mask", "1.1/attention", "1.1/sample_top_p")
"""The exercises whose diagnosis is shown with heat maps."""

STYLE = """<style>
:root { color-scheme: light dark; --line: #bbb; --link: #0b57d0 }
body { max-width: 1060px; margin: 2em auto; padding: 0 1em; line-height: 1.5; background: #fff; color: #1a1a1a }
a { color: var(--link) }
table.verdicts { border-collapse: collapse; font-size: 90% }
table.verdicts td, table.verdicts th { border: 1px solid var(--line); padding: 3px 8px; text-align: left }
code { overflow-wrap: anywhere }
.wide { overflow-x: auto; margin: 0.8em 0 }
.figure { background: #fff; border-radius: 4px }
@media (prefers-color-scheme: dark) {
  :root { --line: #666; --link: #8ab4f8 }
  body { background: #16181c; color: #e8e8e8 }
}
</style>"""


def write_report(path: Path, steps: list[Step], findings: list[Finding], model: str) -> Path:
    """Three exercises in full, all of them in a table, and the model's findings with their figures."""
    from arena_lib.plots import save_html

    parts: list[Any] = [STYLE, _opening(steps, findings, model)]
    parts.append('<h2 id="tests">Tests that know the mistakes</h2>')
    for step in steps:
        if step.entry.id in SHOWN_IN_FULL:
            parts.append(_diagnosis(step))
    parts += ['<h3 id="table">Every exercise of section 1.1</h3>', _table(steps)]
    parts.append(f'<h2 id="model">Inside {html.escape(model)}</h2>')
    for number, finding in enumerate(findings):
        title, text = html.escape(finding.title), html.escape(finding.text)
        parts.append(f'<h3 id="finding-{number}">{title}</h3><p>{text}</p>')
        if finding.figure is not None:
            parts += ['<div class="wide figure">', finding.figure, "</div>"]
    return save_html(parts, path, title="arena demo")


def _opening(steps: list[Step], findings: list[Finding], model: str) -> str:
    """What the page shows, and where."""
    shown = [step for step in steps if step.entry.id in SHOWN_IN_FULL]
    diagnoses = "".join(f'<li><a href="#{_anchor(step)}">{html.escape(step.entry.title)}</a></li>' for step in shown)
    findings_list = "".join(
        f'<li><a href="#finding-{number}">{html.escape(finding.title.rstrip(":"))}</a></li>'
        for number, finding in enumerate(findings)
    )
    return (
        "<h1>arena_lib in a minute</h1>"
        "<p>arena_lib is a course in which you write the parts of a transformer yourself, and tests tell you which "
        f"mistake you made. For this page {len(steps)} exercises of section 1.1 were worked through in a notebook as a "
        "learner gets it: the untouched stub, a typical mistake, the solution. Then the finished classes were given "
        f"the weights of the trained model {html.escape(model)}, and the library looked into it.</p>"
        '<nav><b>Contents</b><ul><li><a href="#tests">Tests that know the mistakes</a><ul>'
        f'{diagnoses}<li><a href="#table">Every exercise of section 1.1</a></li></ul></li>'
        f'<li><a href="#model">Inside {html.escape(model)}</a><ul>{findings_list}</ul></li></ul></nav>'
    )


def _anchor(step: Step) -> str:
    return f"exercise-{step.entry.name}"


def _diagnosis(step: Step) -> str:
    """One exercise: what a learner writes, and what the test answers."""
    from arena_lib.checking.reports.html import render_html

    wrong = step.wrong
    return (
        f'<h3 id="{_anchor(step)}">{html.escape(step.entry.title)} <code>{step.entry.id}</code></h3>'
        f"<p>{describe_mistake(step.mistake)}, and reads:</p>"
        f'<div class="wide">{render_html(wrong.result, expected=wrong.expected, actual=wrong.actual)}</div>'
    )


def describe_mistake(mistake: Mistake) -> str:
    """What the learner writes, as HTML: `y` in place of `x`, or that they leave `x` out."""
    old, new = (html.escape(text.strip()) for text in (mistake.old or "", mistake.new or ""))
    if not old:
        return f"A learner's version {html.escape(mistake.name)}"
    if not new:
        return f"A learner leaves out <code>{old}</code>"
    return f"A learner writes <code>{new}</code> in place of <code>{old}</code>"


def _table(steps: list[Step]) -> str:
    rows = "".join(
        f"<tr><td>{step.entry.id}</td><td>{step.stub.status.replace('_', ' ')}</td><td>{step.wrong.result.status}: "
        f"{html.escape(step.wrong.result.diagnosis.mistake if step.wrong.result.diagnosis else '?')}</td>"
        f"<td>{step.solution.status}</td></tr>"
        for step in steps
    )
    head = "<tr><th>exercise</th><th>stub</th><th>a typical mistake</th><th>solution</th></tr>"
    return f'<div class="wide"><table class="verdicts">{head}{rows}</table></div>'
