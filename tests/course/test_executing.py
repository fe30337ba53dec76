import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from arena_lib.course import executing
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.executing import execute, main
from arena_lib.errors import MissingDependencyError

HEAD = """\
# ---
# arena: {id: "7.2", slug: little, title: "Little things", hours: 1.5}
# objectives: ["Find the largest"]
# ---
"""
SHOWS = """\
# %% result
# What the kernel is like.
import os
import sys

names = ["ARENA_QUIET", "ARENA_HOME", "IPYTHONDIR", "OMP_WAIT_POLICY"]
print("\\n".join([sys.executable, os.getcwd(), str(os.getpid()), *map(os.environ.get, names), SCALE]))
# %% result
# A figure.
import plotly.graph_objects as go

go.Figure(go.Bar(y=[1.0, 2.0], name="the bars"))
"""
EXERCISE = """\
# %% exercise="find_largest" difficulty=2 importance=3 minutes=10
numbers = [3, 9, 4]
# region solution
largest = {solution}
# endregion
assert largest == 9, "the largest of 3, 9 and 4 is 9"
"""
SOLVED = EXERCISE.replace("{solution}", "max(numbers)")


def section_of(course, text: str) -> Section:
    (course.chapters / "7_small" / "7.2_little.py").write_text(HEAD + text)
    return load_catalog([course], strict=True).section("7.2")


@pytest.fixture
def catalog_of(course, monkeypatch):
    """Makes `main` see the little course alone."""

    def install(text: str) -> None:
        section_of(course, text)
        monkeypatch.setattr(executing, "load_catalog", lambda **options: load_catalog([course], **options))

    return install


def outputs(path: Path, kind: str) -> list:
    cells = nbformat.read(path, as_version=4).cells
    return [
        output for cell in cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == kind
    ]


def test_solutions_run_in_a_quiet_kernel_of_this_python_and_their_plots_survive(course, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    output = tmp_path / "new" / "output"
    done = execute(section_of(course, SOLVED + SHOWS), scale="tiny", limit=60.0, output=output)
    assert done.problem is None
    assert 0 < done.seconds < 60
    notebook, page = done.files
    assert (notebook, page) == (output / "7.2_little_tiny.ipynb", output / "7.2_little_tiny.html")
    (stream,) = outputs(notebook, "stream")
    python, folder, pid, quiet, home, profile, waiting, scale = stream.text.split()
    assert (python, quiet, waiting, scale) == (sys.executable, "1", "PASSIVE", "tiny")
    assert home.startswith(folder)
    assert profile.startswith(folder)
    assert not Path(folder).exists()  # the kernel's folder is taken away again
    with pytest.raises(ProcessLookupError):  # and the kernel with it
        os.kill(int(pid), 0)
    figure = [show for show in outputs(notebook, "display_data") if "application/vnd.plotly.v1+json" in show.data]
    assert len(figure) == 1
    html = page.read_text(encoding="utf-8")
    assert "the bars" in html
    assert "plotly.js v" in html  # the script itself, so that no network is needed
    assert "require.min.js" not in html


def test_the_scale_is_the_notebook_s_and_the_caller_s_environment_counts(course, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    done = execute(section_of(course, SHOWS), scale="full", limit=60.0, output=tmp_path)
    assert done.problem is None
    assert done.files[0].name == "7.2_little_full.ipynb"
    assert outputs(done.files[0], "stream")[0].text.split()[-2:] == ["ACTIVE", "full"]


def test_a_failing_exercise_is_named_with_its_error_and_what_ran_is_kept(course, tmp_path):
    text = SOLVED + "# %%\nprint('before')\n" + EXERCISE.replace("find_largest", "find_first").format(solution="3")
    done = execute(section_of(course, text + SHOWS), limit=60.0, output=tmp_path)
    chapter = course.chapters / "7_small" / "7.2_little.py"
    lines = chapter.read_text().splitlines()
    line = max(number for number, written in enumerate(lines, start=1) if written.startswith("assert largest"))
    assert done.problem == (
        f"at {chapter}:{line}, {lines[line - 1]!r}, in the exercise 7.2/find_first: "
        "AssertionError: the largest of 3, 9 and 4 is 9"
    )
    assert [output.text for output in outputs(done.files[0], "stream")] == ["before\n"]
    assert [output.ename for output in outputs(done.files[0], "error")] == ["AssertionError"]
    assert "the largest of 3, 9 and 4 is 9" in done.files[1].read_text(encoding="utf-8")


def test_a_failing_cell_without_exercise_is_found_by_its_first_line_of_code(course, tmp_path):
    text = "# %%\n\n# why\nx = 1\n\n\ndef f():\n    return nothing_there + 1\n\n\nf()\n"
    done = execute(section_of(course, text.replace("x = 1", "nothing_there + 1")), limit=60.0, output=tmp_path)
    assert done.problem is not None
    assert done.problem.startswith(f"at {course.chapters / '7_small' / '7.2_little.py'}:8, 'nothing_there + 1', in ")
    assert "'nothing_there + 1'" in done.problem
    assert "NameError: name 'nothing_there' is not defined" in done.problem


def test_an_endless_cell_is_stopped_at_the_limit(course, tmp_path):
    text = SOLVED + "# %%\nwhile True:\n    pass\n"
    done = execute(section_of(course, text), limit=6.0, output=tmp_path)
    assert done.problem is not None
    assert "'while True:'" in done.problem
    assert "it must take 6 seconds at most" in done.problem
    assert 5 < done.seconds < 30


def test_slow_cells_count_together(course, tmp_path, monkeypatch):
    """Each keeps to the limit, all of them don't."""
    monkeypatch.setattr(executing, "_run", lambda *_: None)
    done = execute(section_of(course, SOLVED), limit=1e-9, output=tmp_path)
    assert done.problem is not None
    assert "it must take 1e-09 seconds at most: got 0.0" in done.problem


def test_a_kernel_that_dies_is_a_problem_not_a_crash(course, tmp_path):
    done = execute(section_of(course, "# %%\nimport os\n\nos._exit(3)\n"), limit=60.0, output=tmp_path)
    assert done.problem is not None
    assert "'import os'" in done.problem
    assert "got a dead one" in done.problem


def test_without_nbclient_it_says_what_to_install(course, tmp_path, monkeypatch):
    monkeypatch.setattr(executing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"nbclient.*arena-lib\[notebook\]"):
        execute(section_of(course, SOLVED), output=tmp_path)


def test_main_prints_a_line_for_each_section_and_returns_0(catalog_of, tmp_path, capsys):
    catalog_of(SOLVED)
    assert main(["--scale", "tiny", "--limit", "60", "--output", str(tmp_path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("7.2_little  ")
    assert first.endswith(" s  ok")
    assert second.split(", ") == [
        "    " + str(tmp_path / "7.2_little_tiny.ipynb"),
        str(tmp_path / "7.2_little_tiny.html"),
    ]


def test_main_returns_1_for_a_failure_and_runs_the_other_sections(catalog_of, monkeypatch, tmp_path, capsys):
    catalog_of(EXERCISE.format(solution="min(numbers)"))
    assert main(["7.2", "little", "--limit", "60", "--output", str(tmp_path)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert len(lines) == 2
    assert all("in the exercise 7.2/find_largest: AssertionError" in line and "FAILED at " in line for line in lines)


@pytest.mark.parametrize(("scale", "expected"), [("tiny", 45.0), ("full", 300.0)])
def test_the_limit_follows_the_scale_unless_given(catalog_of, monkeypatch, tmp_path, scale, expected):
    catalog_of(SOLVED)
    seen = []

    def note(section, **options):
        seen.append(options)
        return executing.Execution(section=section, seconds=1.0, problem=None, files=())

    monkeypatch.setattr(executing, "execute", note)
    assert main(["--scale", scale, "--output", str(tmp_path)]) == 0
    assert main(["--scale", scale, "--limit", "7"]) == 0
    assert seen[0] == {"scale": scale, "limit": expected, "output": tmp_path}
    assert seen[1] == {"scale": scale, "limit": 7.0, "output": Path("output/notebooks")}


def test_main_says_what_it_cannot_do(catalog_of, monkeypatch, capsys):
    catalog_of(SOLVED)
    assert main(["7.3"]) == 2
    assert "no section is called '7.3'. Did you mean '7.2'?" in capsys.readouterr().err
    monkeypatch.setattr(executing.importlib.util, "find_spec", lambda name: None)
    assert main([]) == 3
    assert "nbclient" in capsys.readouterr().err
    monkeypatch.setattr(executing, "load_catalog", lambda **options: load_catalog([], **options))
    assert main([]) == 0


def test_it_is_a_command_and_loads_no_torch():
    script = "import sys, json, arena_lib.course.executing; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert json.loads(done.stdout) is False
    module = [sys.executable, "-m", "arena_lib.course.executing", "--help"]
    assert "--scale" in subprocess.run(module, capture_output=True, text=True, check=True).stdout


def test_a_line_that_fails_within_a_function_of_the_chapter_is_the_one_that_is_named(course, tmp_path):
    text = "# %% result\n# Two.\ndef f():\n    return nothing_there + 1\n\n\nf()\n"
    done = execute(section_of(course, text), limit=60.0, output=tmp_path)
    chapter = course.chapters / "7_small" / "7.2_little.py"
    assert str(done.problem).startswith(f"at {chapter}:8, 'return nothing_there + 1', in the cell ")


def test_a_page_that_cannot_be_made_costs_the_page_alone(course, tmp_path, monkeypatch):
    def raises(*_, **__):
        raise ValueError("No template sub-directory with name 'lab' found")

    monkeypatch.setattr("nbconvert.HTMLExporter", raises)
    done = execute(section_of(course, SOLVED), limit=60.0, output=tmp_path)
    assert done.problem is None
    assert [path.name for path in done.files] == ["7.2_little_tiny.ipynb"]
    assert done.line.endswith(
        "without a page, since nbconvert raised ValueError: No template sub-directory with name 'lab' found"
    )


def test_reuse_leaves_what_ran_well_until_its_text_changes(catalog_of, monkeypatch, tmp_path, capsys):
    ran = []

    def watched(section, **options):
        ran.append(section.id)
        return execute(section, **options)

    monkeypatch.setattr(executing, "execute", watched)
    words = ["7.2", "--reuse", "--output", str(tmp_path)]
    for text, times in ((SOLVED, 1), (SOLVED, 1), (SOLVED + SHOWS, 2), (EXERCISE.format(solution="3"), 3)):
        catalog_of(text)
        main(words)
        assert len(ran) == times
    capsys.readouterr()
    assert main(words) == 1  # one that failed is executed again
    assert "AssertionError" in capsys.readouterr().out
