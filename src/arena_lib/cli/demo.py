"""`arena demo`: section 1.1 worked through, then a trained model looked into, and a report of both."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arena_lib.cli.support.output import FAILED, JsonFlag, check_writable, print_json, show, verb

if TYPE_CHECKING:
    from arena_lib.course.demo import Step
    from arena_lib.course.showcase import Finding

SHOWN_IN_FULL = ("1.1/causal_mask", "1.1/attention", "1.1/sample_top_p")
"""The exercises whose diagnosis the report shows with heat maps."""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("demo")(demo)


@verb
def demo(
    model: Annotated[
        str, typer.Option(help="The model to look into; smollm2 is a real one, once fetched.")
    ] = "tiny-llama",
    output: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("output/demo.html"),
    as_json: JsonFlag = False,
) -> None:
    """See what this is in three minutes: exercises judged as a learner's, and a trained model looked into."""
    from arena_lib import zoo
    from arena_lib.core.progress import progress
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.demo import work_through
    from arena_lib.course.showcase import find

    zoo.path(model)
    check_writable("--output", output)
    began = time.perf_counter()
    section = load_catalog().section("1.1")
    n_judged = sum(entry.reference is not None for entry in section.exercises)
    steps: list[Step] = []
    with progress(n_judged, "section 1.1, as a learner") as bar:
        for step in work_through(section):
            steps.append(step)
            bar.update()
    findings = find(model)
    report = write_report(output, steps, findings, model)
    seconds = time.perf_counter() - began
    problems = [step.problem for step in steps if step.problem]
    if as_json:
        print_json(_record(steps, findings, report, seconds, problems))
    else:
        _tell(steps, findings, report, seconds, problems)
    if problems:
        raise typer.Exit(FAILED)


def _tell(steps: list[Step], findings: list[Finding], report: Path, seconds: float, problems: list[str]) -> None:
    from arena_lib.checking.reports.reporting import print_result

    for step in steps:
        if step.entry.id in SHOWN_IN_FULL[:1]:
            show(f"\n--- {step.entry.id}: the stub, a typical mistake, and the solution ---\n")
            for result in (step.stub, step.wrong.result, step.solution):
                print_result(result)
    n_good = sum(step.is_as_expected for step in steps)
    show(f"\n{n_good} of {len(steps)} exercises: stub not started, mistake named, solution passed.\n")
    for finding in findings:
        show(f"{finding.title} {finding.text}")
    for problem in problems:
        show(problem, err=True)
    show(f"\nThe report with its plots: {report.resolve()}  ({seconds:.0f} seconds)")
    show("Next: arena start 1.1")


def _record(
    steps: list[Step], findings: list[Finding], report: Path, seconds: float, problems: list[str]
) -> dict[str, Any]:
    return {
        "exercises": [
            {
                "id": step.entry.id,
                "stub": step.stub.status,
                "mistake": step.wrong.result.status,
                "named": step.wrong.result.diagnosis.mistake if step.wrong.result.diagnosis else None,
                "solution": step.solution.status,
            }
            for step in steps
        ],
        "findings": [{"title": finding.title, "text": finding.text} for finding in findings],
        "report": str(report.resolve()),
        "seconds": round(seconds, 1),
        "problems": problems,
    }


def write_report(path: Path, steps: list[Step], findings: list[Finding], model: str) -> Path:
    """One page: three exercises in full, all of them in a table, and the model's findings with their figures."""
    from arena_lib.checking.reports.html import render_html
    from arena_lib.plots import save_html

    parts: list[Any] = [_STYLE, "<h1>arena_lib in three minutes</h1>", "<h2>Tests that know the mistakes</h2>"]
    for step in steps:
        if step.entry.id in SHOWN_IN_FULL:
            wrong = step.wrong
            parts += [
                f"<h3>{html.escape(step.entry.title)} <code>{step.entry.id}</code></h3>",
                f"<p>A learner writes <code>{html.escape(step.mistake.new or 'nothing')}</code> in place of "
                f"<code>{html.escape(step.mistake.old)}</code>, and reads:</p>",
                render_html(wrong.result, expected=wrong.expected, actual=wrong.actual),
            ]
    parts += ["<h3>Every exercise of section 1.1</h3>", _table(steps), f"<h2>Inside {html.escape(model)}</h2>"]
    for finding in findings:
        parts += [f"<h3>{html.escape(finding.title)}</h3><p>{html.escape(finding.text)}</p>"]
        parts += [finding.figure] if finding.figure is not None else []
    return save_html(parts, path, title="arena demo")


_STYLE = """<style>body{max-width:1000px;margin:2em auto;padding:0 1em;line-height:1.5}
table{border-collapse:collapse;font-size:90%}td,th{border:1px solid #bbb;padding:3px 8px;text-align:left}</style>"""


def _table(steps: list[Step]) -> str:
    rows = "".join(
        f"<tr><td>{step.entry.id}</td><td>{step.stub.status.replace('_', ' ')}</td><td>{step.wrong.result.status}: "
        f"{html.escape(step.wrong.result.diagnosis.mistake if step.wrong.result.diagnosis else '?')}</td>"
        f"<td>{step.solution.status}</td></tr>"
        for step in steps
    )
    return f"<table><tr><th>exercise</th><th>stub</th><th>a typical mistake</th><th>solution</th></tr>{rows}</table>"
