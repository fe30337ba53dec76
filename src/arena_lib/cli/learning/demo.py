"""`arena demo`: works through section 1.1, looks inside a trained model, and writes a report of both."""

from __future__ import annotations

import shlex
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena_lib.cli.support.output import FAILED, cannot_write, check_writable, json_option, print_json, show, verb

if TYPE_CHECKING:
    from arena_lib.course.demo import Step
    from arena_lib.course.showcase import Finding

PRINTED = "1.1/causal_mask"
"""The exercise whose three verdicts are printed."""


@click.command("demo")
@click.option("--model", default="tiny-llama", help="The model to look inside; smollm2 is a real one, once fetched.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("output/demo.html"), help="Where the report goes."
)
@json_option
@verb
def demo(model: str, output: Path, as_json: bool) -> None:
    """See what this is in under a minute.

    It works through section 1.1 as a learner would, then looks inside a trained model.
    """
    from arena_lib import zoo
    from arena_lib.core.progress import progress
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.demo import work_through
    from arena_lib.course.demo_report import write_report
    from arena_lib.course.showcase import find

    zoo.path(model)
    check_writable("--output", output)
    began = time.perf_counter()
    section = load_catalog().section("1.1")
    n_judged = sum(entry.reference is not None for entry in section.exercises)
    steps: list[Step] = []
    learner = types.ModuleType("learner")
    with progress(n_judged, "section 1.1, as a learner") as bar:
        for step in work_through(section, learner):
            steps.append(step)
            bar.update()
    findings = find(model, learner)
    try:
        report = write_report(output, steps, findings, model)
    except OSError as error:
        raise cannot_write("--output", output, error) from error
    seconds = time.perf_counter() - began
    problems = [step.problem for step in steps if step.problem]
    if as_json:
        print_json(_record(steps, findings, report, seconds, problems))
    else:
        _tell(steps, findings, report, seconds, problems)
    if problems:
        raise click.exceptions.Exit(FAILED)


def _tell(steps: list[Step], findings: list[Finding], report: Path, seconds: float, problems: list[str]) -> None:
    from arena_lib.checking.reports.reporting import print_result

    for step in steps:
        if step.entry.id == PRINTED:
            show(f"\n--- {step.entry.id}: the stub, a typical mistake, and the solution ---\n")
            for result in (step.stub, step.wrong.result, step.solution):
                print_result(result)
    n_good = sum(step.is_as_expected for step in steps)
    show(f"\n{n_good} of {len(steps)} exercises: stub not started, mistake named, solution passed.\n")
    for finding in findings:
        show(f"{finding.title} {finding.text}")
    for problem in problems:
        show(problem, err=True)
    show(f"\nThe report with its plots: {shlex.quote(str(report.resolve()))}  ({seconds:.0f} seconds)")
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
