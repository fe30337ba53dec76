"""What the files around the package promise each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import arena_lib

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="the files of a checkout are not here")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name):
    """The lines of the shell blocks of a Markdown file."""
    return [line for block in re.findall(r"```bash\n(.*?)```", read(name), re.S) for line in block.splitlines()]


def test_ci_runs_the_test_command_of_the_readme_as_it_stands():
    (command,) = [line for line in commands("README.md") if line.endswith(".venv/bin/nox")]
    assert command in read(".ci/run").splitlines()
    assert command in commands("CONTRIBUTING.md")


def test_version_is_the_same_everywhere():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["version"] == arena_lib.__version__
    assert f"version: {arena_lib.__version__}" in read("CITATION.cff")


def test_every_requirement_is_pinned():
    data = tomllib.loads(read("pyproject.toml"))
    wanted = [
        *data["project"]["dependencies"],
        *(name for extra in ("notebook", "real") for name in data["project"]["optional-dependencies"][extra]),
        *data["dependency-groups"]["dev"],
    ]
    pinned = {line.split("==")[0].lower() for line in read("constraints.txt").splitlines() if "==" in line}
    names = {re.split(r"[<>=\[]", requirement)[0].lower() for requirement in wanted}
    assert names <= pinned
    assert "torch==2.13.0" in read("constraints.txt").splitlines()


@pytest.mark.parametrize(
    "statement", ["import arena_lib", "import arena_lib.errors", "import arena_lib.course.content.catalog"]
)
def test_light_imports_load_no_torch(statement):
    code = f"import sys; {statement}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_folders_stay_small():
    """A folder that passes twelve modules is split; sections in tests and chapters aside."""
    for folder in [ROOT / "src/arena_lib", *(ROOT / "src/arena_lib").rglob("*/")]:
        if "__pycache__" in folder.parts or folder.parent.name == "tests":
            continue
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, f"{folder}: {sorted(modules)}"
