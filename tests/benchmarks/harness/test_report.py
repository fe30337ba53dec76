"""The verb `report`, and the README's table."""

from pathlib import Path

import pytest
from benchmarks.harness.record import RecordError, write_record
from benchmarks.harness.report import BEGIN, END, README, fill_in, find_results, show_report, update_readme
from benchmarks.harness.reporting.merging import read_groups
from benchmarks.harness.reporting.table import write_markdown

from arena_lib.errors import ConfigError


@pytest.fixture
def files(tmp_path, make_record, make_row):
    write_record(make_record(make_row()), tmp_path / "b.json")
    write_record(make_record(make_row(environment="peers", peer="old")), tmp_path / "a.json")
    return [tmp_path / "b.json", tmp_path / "a.json"]


def test_the_readmes_table_is_what_the_stored_results_give():
    table = write_markdown(read_groups(find_results()))
    text = README.read_text(encoding="utf-8")
    assert text == fill_in(text, table), "run: python -m benchmarks report --readme"


def test_report_prints_a_table_of_all_files(files, capsys):
    show_report(files, None)
    shown = capsys.readouterr().out
    assert "huggingface" in shown
    assert "old †" in shown
    assert "| --- |" not in shown


def test_report_prints_markdown(files, capsys):
    show_report(files, None, is_markdown=True)
    assert capsys.readouterr().out == write_markdown(read_groups(files))


def test_report_writes_the_page(files, tmp_path, capsys):
    show_report(files, tmp_path / "page.html")
    assert "old †" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "huggingface" in capsys.readouterr().out


def test_a_page_that_cannot_be_written_is_told(files, tmp_path):
    with pytest.raises(ConfigError, match="the page must be a file that can be written"):
        show_report(files, tmp_path)


def test_a_file_that_is_no_record_is_told(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        show_report([tmp_path / "none.json"], None)


def test_results_are_the_folders_records_by_name(files, tmp_path):
    (tmp_path / "notes.md").write_text("")
    assert find_results(tmp_path) == [tmp_path / "a.json", tmp_path / "b.json"]
    assert find_results(tmp_path / "none") == []


def test_what_stands_around_the_markers_stays(files, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"Über\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    update_readme(files, readme)
    table = write_markdown(read_groups(files))
    assert readme.read_text(encoding="utf-8") == f"Über\n{BEGIN}\n\n{table}\n{END}\nafter\n"
    update_readme(files, readme)
    assert readme.read_text(encoding="utf-8") == f"Über\n{BEGIN}\n\n{table}\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_readme_without_markers_is_left_alone(files, tmp_path, text):
    readme = Path(tmp_path / "README.md")
    readme.write_text(text)
    with pytest.raises(ConfigError, match="must have the lines"):
        update_readme(files, readme)
    assert readme.read_text() == text
