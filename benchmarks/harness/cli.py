"""The command `python -m benchmarks`: run, report, compare, study, truth.

Exit codes: 0 all well, 1 a row failed or a path got slower, 2 usage, 130 stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import torch

from arena_lib.cli.support.output import FAILED, INTERRUPTED, UsageError, show, verb
from arena_lib.core.device import pick_device
from arena_lib.core.manifest import find_commit
from arena_lib.errors import ConfigError
from benchmarks.harness.declaring import SIZES, Benchmark
from benchmarks.harness.finding import choose, find_benchmarks
from benchmarks.harness.machine import describe_machine, describe_software
from benchmarks.harness.measuring.goals import PUBLISHED
from benchmarks.harness.packages import CONSTRAINTS, read_pins
from benchmarks.harness.record import Record, RecordError, Row, write_record
from benchmarks.harness.running import Job, make_tools, run_benchmarks

DEVICES = ("auto", "cpu", "cuda")
FITTING = {"cpu": ("tiny", "cpu"), "cuda": SIZES}
"""By kind of device: the sizes that make sense on it."""
WORDS = {"agrees": "in agreement"}
"""What is said of several rows with this status, where it isn't the status itself."""


@click.group("benchmarks", no_args_is_help=True, context_settings={"show_default": True})
def benchmarks() -> None:
    """How fast the hot paths are, beside their peers, on this machine."""


@benchmarks.command("run")
@click.argument("names", nargs=-1)
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@click.option(
    "--size", help="tiny shows that everything agrees; cpu or gpu: the published size (the device's by default)."
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Keep the record in this file.")
@click.option("--environment", default="main", help="main, or peers with its older libraries.")
@click.option("--strict", is_flag=True, help="Fail where a peer that the environment pins is skipped.")
@verb
def run(
    names: tuple[str, ...], device: str, size: str | None, file: Path | None, environment: str, strict: bool
) -> None:
    """Compare results, then time ours and each peer in turns.

    Of the benchmarks that you name, or of all.
    """
    job = _make_job(names, device, size, environment, strict)
    record = _begin(job, strict)
    try:
        run_benchmarks(job, record, make_tools(job.device), _keeper(file), lambda row: show(describe_row(row)))
    except OSError as error:
        raise UsageError(f"the record must be a file that can be written: {error}. Choose another --json.") from error
    show(summarise(record, file))
    code = exit_code(record)
    if code:
        raise click.exceptions.Exit(code)


@benchmarks.command("report")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1)
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with plots here.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--readme", is_flag=True, help="Write it into benchmarks/README.md too.")
@verb
def report(files: tuple[Path, ...], html: Path | None, markdown: bool, readme: bool) -> None:
    """Print the table of one or more records.

    FILES of both environments come into one table; the stored ones by default.
    """
    from benchmarks.harness.report import find_results, show_report, update_readme

    paths = list(files) or find_results()
    if not paths:
        raise UsageError("a report must be of records: none is named, and none is stored. Run: benchmarks run --json")
    try:
        show_report(paths, html, is_markdown=markdown)
        if readme:
            update_readme(paths)
    except RecordError as error:
        raise UsageError(str(error)) from error


@benchmarks.command("compare")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@verb
def compare(old: Path, new: Path) -> None:
    """Say which paths got slower or faster against the peers of the same run.

    OLD is the record to compare with, NEW the later one.
    """
    from benchmarks.harness.comparing import compare_files

    try:
        code = compare_files(old, new)
    except RecordError as error:
        raise UsageError(str(error)) from error
    if code:
        raise click.exceptions.Exit(code)


@benchmarks.command("study")
@click.argument("name", required=False)
@click.option("--seeds", default="0-9", help="Which seeds, as in 0-9 or 0,3,5; those that are stored are left alone.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where figures are stored; benchmarks/results/studies.")
@click.option("--table", is_flag=True, help="Write docs/rl_results.md from what is stored.")
@verb
def study(name: str | None, seeds: str, folder: Path | None, table: bool) -> None:
    """Train agents over seeds, and keep every seed's figures.

    NAME is the study; without it, the studies are listed.
    """
    from benchmarks.studies.running import STORED, choose_study, find_studies, read_seeds, run_study
    from benchmarks.studies.table import DOCUMENT, make_table

    known = find_studies()
    if name is not None:
        run_study(choose_study(name, known), read_seeds(seeds), folder or STORED)
    elif not table:
        show("\n".join(f"{study.name}: {study.title}" for study in known.values()))
    if table:
        DOCUMENT.write_text(make_table(known, folder or STORED), encoding="utf-8")
        show(f"The table is in {DOCUMENT}.")


@benchmarks.command("truth")
@click.option("--search", is_flag=True, help="Score every setting that was tried, on worlds of the search.")
@click.option("--seeds", help="Score the chosen settings with these seeds, as in 0-4; those stored are left alone.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where figures are stored; benchmarks/results/studies.")
@click.option("--table", is_flag=True, help="Write docs/sae_truth.md and its figure from what is stored.")
@verb
def truth(search: bool, seeds: str | None, folder: Path | None, table: bool) -> None:
    """Score sparse autoencoders against what is true in Storyworld.

    Everything takes about an hour on one core.
    """
    from arena_lib.plots import to_png
    from benchmarks.studies.running import STORED, read_seeds
    from benchmarks.studies.truth.declaring import FINAL_WORLDS, SEARCH_SEED, SEARCH_WORLDS
    from benchmarks.studies.truth.running import Study, read_record, run_settings
    from benchmarks.studies.truth.settings import FINAL, SEARCH
    from benchmarks.studies.truth.table import DOCUMENT, FIGURE, make_document, make_figure

    folder = folder or STORED
    if search:
        run_settings("search", SEARCH, [SEARCH_SEED], Study(SEARCH_WORLDS), folder)
    if seeds is not None:
        run_settings("final", FINAL, read_seeds(seeds), Study(FINAL_WORLDS), folder)
    if table:
        record = read_record(folder)
        if record is None:
            raise UsageError(
                f"figures must be stored: got none in {folder}. Run: benchmarks truth --search --seeds 0-4"
            )
        DOCUMENT.write_text(make_document(record), encoding="utf-8")
        to_png(make_figure(record), FIGURE)
        show(f"The table is in {DOCUMENT}, the figure in {FIGURE}.")


def _make_job(names: Sequence[str], device: str, size: str | None, environment: str, strict: bool) -> Job:
    benchmarks = choose(names, find_benchmarks())
    place = _find_device(device)
    size = PUBLISHED[place.type] if size is None else size
    for what, chosen, choices in (
        ("--size", size, SIZES),
        (f"--size on {place.type}", size, FITTING[place.type]),
        ("--environment", environment, tuple(CONSTRAINTS)),
    ):
        if chosen not in choices:
            raise UsageError(f"{what} must be {' or '.join(choices)}: got {chosen!r}. Choose one.")
    pins = read_pins(environment) if strict else None
    return Job(benchmarks, place, size, environment, pins, None if environment == "main" else read_pins("main"))


def _find_device(name: str) -> torch.device:
    """CUDA if there is one, unless the option says otherwise."""
    if name not in DEVICES:
        raise UsageError(f"--device must be {' or '.join(DEVICES)}: got {name!r}. Choose one.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return pick_device(name)
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _begin(job: Job, strict: bool) -> Record:
    return Record(
        machine=describe_machine(job.device),
        software=describe_software(_requirements(job.benchmarks)),
        options={
            "size": job.size,
            "device": job.device.type,
            "names": [benchmark.name for benchmark in job.benchmarks],
            "environment": job.environment,
            "strict": strict,
        },
        commit=find_commit() or "unknown",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _requirements(benchmarks: Sequence[Benchmark]) -> list[str]:
    return [requirement for benchmark in benchmarks for requirement in benchmark.peer_packages.values()]


def _keeper(file: Path | None) -> Callable[[Record], None]:
    return (lambda record: None) if file is None else (lambda record: write_record(record, file))


def exit_code(record: Record) -> int:
    """Stopped, something failed, or all well."""
    if not record.is_complete:
        return INTERRUPTED
    return FAILED if any(row.status == "failed" for row in record.rows) else 0


def describe_row(row: Row) -> str:
    """One line: which row, and what came of it."""
    name = f"{row.path} {row.case} {row.dtype}, {row.peer}:"
    if row.ratio is not None and row.status == "measured":
        spread = f"{row.ratio.low:.2f} to {row.ratio.high:.2f} in {row.n_pairs} pairs"
        return f"{name} {row.ratio.median:.2f}x as fast ({spread})"
    if row.status == "agrees":
        return f"{name} agrees within {row.difference:.2g}"
    return f"{name} {row.status}: {row.reason}"


def summarise(record: Record, file: Path | None) -> str:
    """How the rows came out, and where they are."""
    counts = Counter(row.status for row in record.rows)
    parts = ", ".join(f"{n_rows} {WORDS.get(status, status)}" for status, n_rows in counts.items())
    lines = [f"{len(record.rows)} row{'s' * (len(record.rows) != 1)}: {parts or 'none'}."]
    if not record.is_complete:
        lines.insert(0, "Stopped: rows that were finished are kept.")
    if record.is_noisy:
        lines.append("Noisy: the machine's own speed changed by more than a tenth. Trust ratios, not times.")
    if file is not None:
        lines.append(f"The record is in {file}.")
    return "\n".join(lines)
