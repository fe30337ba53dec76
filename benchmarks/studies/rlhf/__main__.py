"""Runs what is missing of the studies of `arena_lib.rlhf`, keeps every seed's raw figures, and writes the table.

python -m benchmarks.studies.rlhf --seeds 0-4 --arms grpo
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arena_lib.core.files import write_atomically
from arena_lib.core.manifest import find_commit, find_versions
from arena_lib.errors import TrainingError
from benchmarks.studies.rlhf import preferred, rewarded, table
from benchmarks.studies.running import STORED, read_seeds

Run = Callable[[int], dict[str, Any]]


def find_arms() -> dict[str, Run]:
    """What is run for each seed, by name."""
    arms: dict[str, Run] = {name: lambda seed, name=name: rewarded.run_arm(name, seed) for name in rewarded.ARMS}
    return {**arms, "preferences": preferred.run_seed}


def run_missing(arms: dict[str, Run], seeds: list[int], folder: Path) -> None:
    """Run each arm and seed that isn't stored; a run whose training fails is kept as a failure."""
    for name, run in arms.items():
        file = find_file(name, folder)
        record = json.loads(file.read_text()) if file.is_file() else {"arm": name, "seeds": {}}
        for seed in seeds:
            if str(seed) in record["seeds"]:
                continue
            try:
                record["seeds"][str(seed)] = run(seed)
            except TrainingError as error:
                record["seeds"][str(seed)] = {"failure": str(error)}
            record |= {"commit": find_commit(), "versions": find_versions()}
            write_atomically(file, (json.dumps(record, indent=1) + "\n").encode())


def find_file(name: str, folder: Path = STORED) -> Path:
    """Where an arm's figures lie.

    >>> find_file("grpo, KL 0.1").name
    'rlhf-grpo-kl-0.1.json'
    """
    return folder / f"rlhf-{name.replace(',', '').replace(' ', '-').lower()}.json"


def read_stored(folder: Path = STORED) -> dict[str, dict[str, Any]]:
    """The seeds of every arm that is stored."""
    files = {name: find_file(name, folder) for name in find_arms()}
    return {name: json.loads(file.read_text())["seeds"] for name, file in files.items() if file.is_file()}


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, or write what is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.rlhf", description=__doc__)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--arms", default="", help="those whose names begin so; all by default")
    parser.add_argument("--folder", type=Path, default=STORED)
    parser.add_argument(
        "--table", action="store_true", help=f"write {table.DOCUMENT.name} and its figures, and run nothing"
    )
    options = parser.parse_args(arguments)
    if options.table:
        table.write(read_stored(options.folder))
        return
    chosen = {name: run for name, run in find_arms().items() if name.startswith(options.arms)}
    run_missing(chosen, read_seeds(options.seeds), options.folder)
    sys.stdout.write(table.make_document({name: read_stored(options.folder)[name] for name in chosen}))


if __name__ == "__main__":
    main()
