"""The verb `compare`: what became of every row between two records.

Exit codes: 0 nothing became slower, 1 something did or fails now, 2 nothing could be compared.

Raises:  RecordError for a file that is no record.
"""

from pathlib import Path

from benchmarks.harness.record import read_record
from benchmarks.harness.reporting.changes import print_comparison
from benchmarks.harness.reporting.table import make_console
from benchmarks.harness.reporting.verdicts import compare_records


def compare_files(old: Path, new: Path) -> int:
    """Print what became of every row; the exit code."""
    comparison = compare_records(read_record(old), read_record(new))
    print_comparison(comparison, make_console())
    return comparison.exit_code
