"""`arena new`: what it writes is found, verified and judged like our own course."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.fixture
def installed(arena, tmp_path, monkeypatch):
    """A course from the template, with the metadata that an installer makes of its pyproject.toml."""
    assert arena("new", "course", "my_course").code == 0
    root = Path("my_course").absolute()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / "site" / "my_course-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = project["entry-points"]["arena_lib.courses"]
    (metadata / "entry_points.txt").write_text(
        "[arena_lib.courses]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    for folder in (metadata.parent, root / "src"):
        monkeypatch.syspath_prepend(folder)
    places = [str(metadata.parent), str(root / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    monkeypatch.chdir(root)
    yield root
    for module in [name for name in sys.modules if name.split(".")[0] == "my_course"]:
        del sys.modules[module]


def test_a_course_from_the_template_and_an_exercise_in_it_are_verified(arena, installed):
    made = arena("new", "exercise", "my-course.1/shift_rows", "--json")
    assert made.json["exercise"] == "my-course.1/shift_rows"
    assert made.json["line"] == 14
    assert all(Path(path).is_file() for path in made.json["paths"])
    done = subprocess.run(
        [sys.executable, "-m", "arena_lib", "verify", "my-course.1", "--json"], capture_output=True, text=True
    )
    records = json.loads(done.stdout)["exercises"]
    assert [record["id"] for record in records] == ["my-course.1/center_rows", "my-course.1/shift_rows"]
    assert all(record["holds"] for record in records), records
    assert done.returncode == 0


def test_a_new_course_says_what_to_type_next(arena):
    done = arena("new", "course", "my_course")
    assert done.out.splitlines()[-1] == "Next: pip install -e my_course, then: arena verify my-course.1"


def test_a_new_exercise_says_where_its_cell_is(arena, installed):
    chapter = installed / "src/my_course/chapters/my-course_my_course/my-course.1_my_course_basics.py"
    line = chapter.read_text().count("\n") + 1
    told = arena("new", "exercise", "my-course.1/shift_rows").out
    assert f"Its cell ends the chapter, {chapter}:{line}. Move it to where the text wants it." in told
    assert chapter.read_text().splitlines()[line - 1].startswith('# %% exercise="shift_rows"')


def test_the_first_exercise_of_a_second_section_brings_its_package_of_tests(arena, installed):
    chapters = installed / "src/my_course/chapters/my-course_my_course"
    head = '# ---\n# arena: {id: "my-course.2", slug: my_course_more, title: "More, and more", hours: 1}\n# ---\n'
    (chapters / "my-course.2_my_course_more.py").write_text(head)
    nothing = arena("verify", "my-course.2")
    assert nothing.code == 1
    assert "there must be an exercise to verify: got none in" in nothing.err
    assert "Write one: arena new exercise my-course.2/NAME" in nothing.err
    assert arena("new", "exercise", "my-course.2/shift_rows").code == 0
    tests = installed / "src/my_course/tests/my_course_more/__init__.py"
    assert "from my_course.tests.my_course_more.shift_rows import test_shift_rows" in tests.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "arena_lib", "verify", "my-course.2", "--json"], capture_output=True, text=True
    )
    (record,) = json.loads(done.stdout)["exercises"]
    assert (record["id"], record["holds"], done.returncode) == ("my-course.2/shift_rows", True, 0)


def test_a_broken_chapter_costs_the_other_sections_nothing(arena, installed, monkeypatch):
    chapters = installed / "src/my_course/chapters/my-course_my_course"
    (chapters / "my-course.2_broken.py").write_text("# no head\n")
    monkeypatch.setattr(
        "arena_lib.course.authoring.verify_sections.verify_sections", lambda *_: [{"holds": True, "mutants": None}]
    )
    one = arena("verify", "my-course.1", "--json")
    assert one.code == 0
    assert "my-course.2_broken.py:1: a chapter must begin with" in one.err
    assert one.json["left_out"] == [one.err.removeprefix("left out: ").strip()]
    assert arena("verify", "--json").code == 1
    broken = arena("verify", "my-course.2")
    assert (broken.code, "my-course.2_broken.py:1: a chapter must begin with" in broken.err) == (1, True)
    assert arena("new", "exercise", "my-course.1/shift_rows").code == 0


@pytest.mark.parametrize("place", ["my-course.2_more.py", "my-course_my_course/more.py", "my-course_my_course/a/b.py"])
def test_a_chapter_that_is_misplaced_or_misnamed_is_said_where_its_section_is_asked_for(arena, installed, place):
    path = installed / "src/my_course/chapters" / place
    path.parent.mkdir(exist_ok=True)
    path.write_text('# ---\n# arena: {id: "my-course.2", slug: my_course_more, title: More, hours: 1}\n# ---\n')
    for asked in ("my-course.2", "my-course.2/shift_rows"):
        done = arena("verify", asked)
        assert f"left out: {path}:" in done.err or f"{path}:1: a chapter must be in a folder" in done.err
        assert done.code


def test_new_exercises_follow_the_style_of_the_project(arena, installed):
    arena("new", "exercise", "my-course.1/a_first_one")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(Path(__file__).parents[3] / "pyproject.toml")]
    # Whose package is first-party differs from project to project, and so does the order of imports; chapters are text.
    for command in (
        ["check", *config, "--ignore", "I001", "--exclude", "chapters", "src"],
        ["format", "--check", *config, "src"],
    ):
        done = subprocess.run([*ruff, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_a_new_exercise_belongs_to_the_course_one_stands_in(arena, installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = arena("new", "exercise", "my-course.1/shift_rows")
    assert done.code == 2
    assert "must belong to the course that you stand in: got section my-course.1" in done.err
    assert not (installed / "src/my_course/shift_rows.py").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("exercise", "center_rows"), "must be called SECTION/NAME: got 'center_rows'. Write, say, 1.1/center_rows."),
        (("exercise", "1.2"), "must be called SECTION/NAME: got '1.2'. Write, say, 1.2/NAME."),
        (("exercise", "my-course.1/center_rows"), "must have files of its own"),
        (("exercise", "my-course.1/Wrong"), "must be a lower-case name in Python, in ASCII: got 'Wrong'"),
        (("exercise", "my-course.9/shift_rows"), "no section is called 'my-course.9'"),
        (("exercise", "my-course.1/lambda"), "must be free: got 'lambda', which is a keyword of Python"),
        (("exercise", "my-course.1/match"), "must be free: got 'match', which is a keyword of Python"),
        (("exercise", "my-course.1/sum"), "must be free: got 'sum', which is a builtin of Python"),
        (("exercise", "my-course.1/json"), "must be free: got 'json', which is a module of Python's standard library"),
        (("exercise", "my-course.1/torch"), "must be free: got 'torch', which is a module that is installed, "),
        (("exercise", "my-course.1/cases"), "must be free: got 'cases', which is a name that the file of its test"),
        (("exercise", "my-course.1/exercise"), "must be free: got 'exercise', which is a name that the file of its"),
        (
            ("exercise", "my-course.1/outputs_and_gradients"),
            "must be free: got 'outputs_and_gradients', which is a name",
        ),
        (("exercise", "my-course.1/tests"), "must have files of its own"),
        (("course", "class"), "must be free: got 'class', which is a keyword of Python"),
        (("course", "torch"), "must be free: got 'torch', which is a module that is installed, "),
        (("course", "arena_lib"), "must be free: got 'arena_lib', which is a module that is installed, "),
        (("course", "my_course", "--folder", ".."), "must have a folder of its own"),
    ],
)
def test_nothing_is_written_where_a_name_is_wrong(arena, installed, words, message):
    before = {path: path.read_bytes() for path in installed.rglob("*.*") if path.is_file()}
    done = arena("new", *words)
    assert (done.code, message in done.err) == (2, True), done.err
    assert {path: path.read_bytes() for path in installed.rglob("*.*") if path.is_file()} == before


REFERENCE_OF_THE_EXAMPLE = '''"""Random signs.

Source:  own derivation.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def draw_signs(n: int, p: float = 0.5, *, generator: torch.Generator) -> Float[Tensor, " n"]:
    """`n` signs, each 1.0 with probability `p` and else -1.0, drawn from the generator alone."""
    return torch.where(torch.rand(n, generator=generator) < p, 1.0, -1.0)
'''
AROUND_THE_EXAMPLE = """import torch
from arena_lib.checking import Case, Mistake, Tolerance, exercise
from my_course.draw_signs import draw_signs


def signs_by_bernoulli(n, p=0.5, *, generator):
    return 2 * torch.bernoulli(torch.full((n,), p), generator=generator) - 1


"""


@pytest.mark.skipif(not CONTRIBUTING.is_file(), reason="the files of a checkout are not here")
def test_the_judge_in_contributing_holds(arena, installed):
    blocks = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.S)
    (example,) = [block for block in blocks if "test_draw_signs = " in block]
    assert arena("new", "exercise", "my-course.1/draw_signs").code == 0
    (installed / "src/my_course/draw_signs.py").write_text(REFERENCE_OF_THE_EXAMPLE)
    (installed / "src/my_course/tests/my_course_basics/draw_signs.py").write_text(AROUND_THE_EXAMPLE + example)
    command = [sys.executable, "-m", "arena_lib", "verify", "my-course.1/draw_signs"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


CLASS_AFTER_THE_EXAMPLE = """

class CenterByLerp(RunningCenter):
    def forward(self, x):
        if self.training:
            self.mean = torch.lerp(self.mean, x.detach().mean(0), self.momentum)
        return x - self.mean


test_running_center = exercise(
    reference=RunningCenter,
    cases=cases,
    observe=trained_then_evaluated,
    keep=["__init__"],
    accepts=[CenterByLerp],
    mistakes=[
        Mistake("moves the mean in evaluation too", "if self.training:", "if True:", why="only training moves it"),
        Mistake("adds the mean", "x - self", "x + self", why="what is left is centred"),
        Mistake("forgets the old mean", "(1 - self.momentum) * self.mean + ", "", why="the mean moves slowly"),
    ],
)
"""


@pytest.mark.skipif(not CONTRIBUTING.is_file(), reason="the files of a checkout are not here")
def test_the_class_in_contributing_holds_and_is_called_as_it_is_written(arena, installed, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.S)
    (example,) = [block for block in blocks if "class RunningCenter" in block]
    reference, _, judge = example.partition("def cases")
    assert arena("new", "exercise", "my-course.1/running_center").code == 0
    (installed / "src/my_course/running_center.py").write_text(
        f'"""A running mean."""\n\nimport torch\nfrom torch import Tensor, nn\n\n\n{reference}'
    )
    head = "import torch\n\nfrom arena_lib.checking import Case, Mistake, exercise\n"
    head += "from my_course.running_center import RunningCenter\n\n\ndef cases"
    tests = installed / "src/my_course/tests/my_course_basics/running_center.py"
    tests.write_text(head + judge + CLASS_AFTER_THE_EXAMPLE)
    messages = tmp_path / "messages.txt"
    command = [sys.executable, "-m", "arena_lib", "verify", "my-course.1/running_center", "--messages", str(messages)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  call     RunningCenter(5, 0.1)(x)\n" in messages.read_text()
