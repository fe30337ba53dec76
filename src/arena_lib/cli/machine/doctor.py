"""`arena doctor`: Python, torch, CUDA, packages, disk: what is wrong and the one fix."""

from __future__ import annotations

import dataclasses

import click

from arena_lib.cli.support.output import ENVIRONMENT, json_option, print_json, show, verb


@click.command("doctor")
@json_option
@verb
def doctor(as_json: bool) -> None:
    """Look at this machine: what is wrong, and the one fix.

    Python, torch, CUDA, packages, models and disk.
    """
    from arena_lib.course.health import examine

    findings = examine()
    is_well = all(finding.is_ok for finding in findings)
    if as_json:
        records = [dataclasses.asdict(finding) for finding in findings]
        print_json({"ok": is_well, "findings": [{"ok": record.pop("is_ok"), **record} for record in records]})
    else:
        for finding in findings:
            show(f"{'✓' if finding.is_ok else '✗'} {finding.name}: {finding.detail}")
            if finding.fix:
                show(f"  {finding.fix}")
        show("All is well." if is_well else "Fix the first ✗ first.")
    if not is_well:
        raise click.exceptions.Exit(ENVIRONMENT)
