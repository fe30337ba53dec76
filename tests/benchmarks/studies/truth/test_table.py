import pytest
from benchmarks.harness.cli import benchmarks
from benchmarks.studies.truth.running import read_record
from benchmarks.studies.truth.table import DOCUMENT, FIGURE, Hook, list_rows, make_document, make_figure
from click.testing import CliRunner

RECORD = read_record()
LABELS = [
    ["name: Ada", "token", "name", 900, 0.9, 0.1],
    ["name: Bo", "token", "name", 800, 0.95, 0.1],
    ["next", "local", "next", 700, 0.85, 0.2],
    ["kind: story", "carried", "kind", 600, 0.9, 0.3],
]
LEFT_OUT = [["mood", "token", "mood", 900, 0.5, 0.1], ["name: Cy", "token", "name", 20, 0.99, 0.0]]


def figures(*f1):
    rates = [[value, 0.6, 0.7, value + 0.1, 0.5, 0.8, 3] for value in f1]
    scores = {label[0]: rate for label, rate in zip(LABELS, rates, strict=True)}
    return {"l0": 3.0, "added_loss": 0.125, "fvu": 0.2, "dead_share": 0.0, "cpu_seconds": 1.0, "scores": scores}


@pytest.fixture
def part():
    settings = {
        "poor": ("topk", {"0": figures(0.1, 0.1, 0.1, 0.1), "1": figures(0.1, 0.1, 0.1, 0.1)}),
        "random": ("random", {"0": figures(0.05, 0.05, 0.05, 0.05)}),
        "good": ("relu", {"0": figures(0.6, 0.8, 0.3, 0.4), "1": figures(0.7, 0.9, 0.3, 0.6)}),
        "not yet": ("relu", {}),
    }
    baselines = {"residual basis": figures(*[0.2] * 4)["scores"], "neurons": figures(0.4, 0.2, 0.3, 0.1)["scores"]}
    return {
        "hooks": {"blocks.1.hook_resid_post": {"labels": LABELS, "left_out": LEFT_OUT, "baselines": baselines}},
        "settings": {
            name: {"setting": {"hook": "blocks.1.hook_resid_post", "variant": variant, "why": "why?"}, "seeds": seeds}
            for name, (variant, seeds) in settings.items()
        },
    }


def test_settings_are_ordered_by_what_they_reach_and_stand_after_what_needs_no_training(part):
    hook = Hook("blocks.1.hook_resid_post", part["hooks"]["blocks.1.hook_resid_post"])
    plain, trained = list_rows(part, hook)
    assert [row.name for row in plain] == ["always yes", "residual basis", "neurons", "probe", "random"]
    assert [row.name for row in trained] == ["good", "poor"]
    assert trained[0].reach(["name: Ada", "name: Bo"]).tolist() == pytest.approx([0.7, 0.8])
    assert plain[3].reach(["next"]).tolist() == [0.85]


def test_the_tables_say_mean_spread_and_union(part):
    text = make_tables(part)
    assert "| good | 2 | 3 | 0.125 | 0.2 | 0 | 0.75 ± 0.07 / 0.85 | 0.30 ± 0.00 / 0.40 | 0.50 ± 0.14 / 0.60 |" in text
    assert "| neurons |  |  |  |  |  | 0.30 / 0.40 | 0.30 / 0.40 | 0.10 / 0.20 |" in text
    assert "| variable | labels | always yes | residual basis | neurons | probe | random | good | poor |" in text
    assert "| name | 2 | 0.10 / 0.10 | 0.20 / 0.30 |" in text
    assert "| kind | 0.60 | 0.70 | 0.50 | 0.80 |" in text
    assert "- mood 0.50 (900)" in text
    assert "- read by the probe, yet too rare to be scored: 1 of name" in text


def make_tables(part):
    from benchmarks.studies.truth.table import describe_hook

    hook = Hook("blocks.1.hook_resid_post", part["hooks"]["blocks.1.hook_resid_post"])
    return "\n".join(describe_hook(part, hook))


def test_the_figure_has_a_bar_for_each_variable(part):
    figure = make_figure({"final": part})
    assert [bar.name for bar in figure.data] == [
        "always yes", "residual basis", "neurons", "random", "good", "good, up to five", "probe",
    ]  # fmt: skip
    assert list(figure.data[4].y) == pytest.approx([0.75, 0.3, 0.5])


def test_a_table_needs_stored_figures(tmp_path):
    result = CliRunner().invoke(benchmarks, ["truth", "--table", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "figures must be stored: got none in" in " ".join(result.output.split())


@pytest.mark.skipif(RECORD is None or not DOCUMENT.exists(), reason="docs/ is not here")
def test_the_document_is_what_the_stored_figures_say():
    assert DOCUMENT.read_text(encoding="utf-8") == make_document(RECORD)
    assert FIGURE.exists()
