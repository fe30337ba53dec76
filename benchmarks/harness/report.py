"""The verb `report`: the table of records, the page with plots, and the README's table.

Raises:  RecordError for a file that is no record; ConfigError for a page that can't be written and for a
         README without its markers.
"""

from collections.abc import Sequence
from pathlib import Path

from arena_lib.errors import ConfigError
from benchmarks.harness.reporting.merging import read_groups
from benchmarks.harness.reporting.table import make_console, print_groups, write_markdown

FOLDER = Path(__file__).parents[1]
RESULTS = FOLDER / "results"
README = FOLDER / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def show_report(paths: Sequence[Path], html: Path | None, *, is_markdown: bool = False) -> None:
    """Print the records' table, as Markdown if asked; write the page with plots where `html` says."""
    groups = read_groups(paths)
    if is_markdown:
        print(write_markdown(groups), end="")
    else:
        print_groups(groups, make_console())
    if html is not None:
        from benchmarks.harness.reporting.page import write_page

        try:
            write_page(groups, html)
        except OSError as error:
            raise ConfigError(f"the page must be a file that can be written: {error}. Choose another.") from error


def find_results(folder: Path = RESULTS) -> list[Path]:
    """The records that are stored, in the order of their names."""
    return sorted(folder.glob("*.json"))


def fill_in(text: str, table: str) -> str:
    """A README's text with the table between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConfigError(f"a README must have the lines {BEGIN} and {END}: one is missing. Write them back.")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def update_readme(paths: Sequence[Path], readme: Path = README) -> None:
    """Write the records' table between the README's markers."""
    text = readme.read_text(encoding="utf-8")
    readme.write_text(fill_in(text, write_markdown(read_groups(paths))), encoding="utf-8")
