import json
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from arena_lib.checking import Mistake
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.demo import work_through


def learner():
    """A notebook's namespace before any cell has run."""
    return types.ModuleType("learner")


HIDES_NOTHING = Mistake("hides nothing", function=lambda attn_scores: attn_scores.clone(), why="the future shows")


@pytest.fixture
def short_section(monkeypatch):
    """Section 1.1 with two exercises, so that the demo is short."""
    from dataclasses import replace

    section = load_catalog().section("1.1")
    chosen = tuple(entry for entry in section.exercises if entry.name in ("causal_mask", "mlp"))
    cells = tuple(cell for cell in section.cells if cell.exercise is None or cell.exercise in chosen)
    return replace(section, cells=cells)


def test_every_exercise_goes_from_stub_over_mistake_to_solution(short_section):
    steps = list(work_through(short_section, learner()))
    assert [step.entry.name for step in steps] == ["causal_mask", "mlp"]
    for step in steps:
        assert step.stub.status == "not_started"
        assert step.wrong.result.status == "failed"
        assert step.wrong.result.diagnosis.mistake == step.mistake.name
        assert step.solution.passed
        assert not step.solution.is_reference
        assert step.is_as_expected
        assert step.problem == ""


def test_broken_reference_makes_the_demo_fail(short_section, monkeypatch):
    """The solution typed from the reference's file must be judged, not believed."""
    from dataclasses import replace

    from arena_lib.tests import transformer_from_scratch as judges
    from arena_lib.tests.transformer_from_scratch.causal_masks import causal_mask_by_addition

    def broken(attn_scores):
        return causal_mask_by_addition(attn_scores) + 1

    broken.__module__, broken.__qualname__ = causal_mask_by_addition.__module__, "causal_mask_by_addition"
    judge = judges.test_causal_mask
    monkeypatch.setattr(judges, "test_causal_mask", replace(judge, reference=broken, mistakes=(HIDES_NOTHING,)))
    steps = list(work_through(short_section, learner()))
    assert not steps[0].is_as_expected
    assert steps[0].solution.status == "failed"
    assert steps[0].problem.startswith("1.1/causal_mask: ")
    assert steps[1].is_as_expected


def test_command_writes_a_report_and_json(tmp_path, monkeypatch, short_section):
    from arena_lib import zoo
    from arena_lib.cli import arena

    monkeypatch.setattr("arena_lib.course.content.catalog.Catalog.section", lambda self, name: short_section)
    if not zoo.is_available("tiny-llama"):
        pytest.fail("tiny-llama must be bundled")
    report = tmp_path / "deep" / "demo.html"
    result = CliRunner().invoke(arena, ["demo", "--json", "--output", str(report)])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [row["id"] for row in record["exercises"]] == ["1.1/causal_mask", "1.1/mlp"]
    assert {row["solution"] for row in record["exercises"]} == {"passed"}
    assert record["report"] == str(report)
    assert len(record["findings"]) == 5  # without the whole model, which isn't among these exercises
    page = report.read_text(encoding="utf-8")
    assert "hides the present too" in page
    assert page.count("plotly-graph-div") >= 4
    assert "leaves out" not in page
    assert '<a href="#exercise-causal_mask">' in page


def test_command_fails_when_a_verdict_is_unexpected(tmp_path, monkeypatch, short_section):
    from arena_lib.cli import arena

    monkeypatch.setattr("arena_lib.course.content.catalog.Catalog.section", lambda self, name: short_section)
    monkeypatch.setattr("arena_lib.course.demo.Step.is_as_expected", property(lambda self: False))
    monkeypatch.setattr("arena_lib.course.showcase.find", lambda name, learner: [])
    result = CliRunner().invoke(arena, ["demo", "--output", str(tmp_path / "demo.html")])
    assert result.exit_code == 1
    assert "1.1/causal_mask: the stub must be not_started" in result.output


def test_a_terminal_shows_verdicts_with_weight_and_colour(in_terminal, short_section, tmp_path):
    from arena_lib.cli.learning.demo import _tell

    steps = [step for step in work_through(short_section, learner()) if step.entry.name == "causal_mask"]
    text = in_terminal(_tell, steps, [], tmp_path / "demo.html", 1.0, [])
    for opening in ("\x1b[1;33m○ 1.1/causal_mask", "\x1b[1;31m✗ 1.1/causal_mask", "\x1b[1;32m✓ 1.1/causal_mask"):
        assert opening in text


def test_a_report_that_cannot_be_written_is_said_before_the_work(arena, monkeypatch):
    Path("file").touch()
    monkeypatch.setattr("arena_lib.course.demo.work_through", lambda section, learner: pytest.fail("it began"))
    done = arena("demo", "--output", "file/demo.html", "--json")
    assert done.code == 2
    assert arena("demo", "--output", ".").err.startswith("arena: --output must name a file that can be written: got ")
    assert done.json["error"].startswith("--output must be in a folder that can be made: got ")


def test_unknown_model_is_said_with_the_nearest_name(tmp_path):
    from arena_lib.cli import arena

    result = CliRunner().invoke(arena, ["demo", "--model", "tiny-lama", "--output", str(tmp_path / "demo.html")])
    assert result.exit_code == 2
    assert "tiny-llama" in result.output


def test_the_readme_and_the_help_agree_on_how_long_it_takes(arena):
    readme = Path(__file__).parents[3] / "README.md"
    assert all(
        "in under a minute" in text for text in (readme.read_text(encoding="utf-8"), arena("demo", "--help").out)
    )
