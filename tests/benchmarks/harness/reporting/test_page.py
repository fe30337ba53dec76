"""The HTML page."""

import re

import pytest
from benchmarks.harness.reporting.merging import merge
from benchmarks.harness.reporting.page import write_page


@pytest.fixture
def page(tmp_path):
    def write(*records):
        write_page(merge(records), tmp_path / "new" / "page.html")
        return (tmp_path / "new" / "page.html").read_text(encoding="utf-8")

    return write


def body(text):
    """The page without the plots' scripts."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_the_page_has_every_row_and_two_plots_for_each_machine(page, make_record, make_row, make_bare_row):
    rows = [
        make_row(share=0.5, bound="flops", goal=2.0, measure="time", is_met=False),
        make_bare_row("failed", peer="b", reason="raised <b>&"),
    ]
    text = page(make_record(*rows), make_record(*rows, machine={"gpu": "H200"}))
    assert text.count("Plotly.newPlot(") == 4
    shown = body(text)
    assert shown.count("<h2>") == shown.count("<table>") == shown.count("<caption>") == 2
    assert "<h2>H200 (Some CPU, 2 cores, 2 threads); size cpu</h2>" in shown
    assert shown.count('<td class="number">1.50 (1.40–1.60)</td>') == 2
    assert shown.count('<td class="missed">≥ 2 missed</td>') == 2
    assert shown.count('<td class="reason">failed: raised &lt;b&gt;&amp;</td>') == 2
    assert "<b>" not in shown
    assert shown.count("<li>main: 2026-01-02") == 2
    assert shown.count("2 rows: ours is faster in 1 of 1 timed row") == 2


def test_the_page_needs_no_network(page, make_record, make_row):
    text = page(make_record(make_row()))
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)


def test_a_met_goal_is_not_marked_as_missed(page, make_record, make_row):
    shown = body(page(make_record(make_row(goal=1.0, measure="time", is_met=True), make_row(peer="b"))))
    assert "≥ 1 met" in shown
    assert 'class="missed"' not in shown


def test_cells_stand_under_their_names(page, make_record, make_row):
    shown = body(page(make_record(make_row())))
    header = re.findall(r'<th scope="col" class="(.*?)">(.*?)</th>', shown)
    names = [name for _, name in header]
    cells = re.findall(r"<td class=\"(.*?)\">(.*?)</td>", shown)
    row = dict(zip(names, cells, strict=True))
    assert row["peer"] == ("", "huggingface")
    assert row["CPU ratio"] == ("number", "1.25")
    assert row["goal"] == ("", "–")
    assert [alignment for alignment, _ in header] == [alignment for alignment, _ in cells]


def test_what_has_no_figures_has_no_plots(page, make_record, make_bare_row):
    text = page(make_record(make_bare_row("skipped", reason="x"), is_noisy=True))
    assert "Plotly.newPlot(" not in text
    assert "skipped: x" in body(text)
    assert "noisy run:" not in body(text)


def test_marks_and_facts_are_explained(page, make_record, make_row):
    shown = body(page(make_record(make_row(environment="peers", launches=7), is_noisy=True)))
    assert "<li>forward, batch (cpu, float32): 7 launches</li>" in shown
    assert "<li>* from a noisy run" in shown
    assert "<li>† measured in the second environment" in shown


def test_no_record_says_so(page):
    assert "No run is stored yet." in body(page())
