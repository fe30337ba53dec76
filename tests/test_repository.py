"""What the files around the package promise each other."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import arena_lib
from arena_lib.course.content.catalog import load_catalog
from arena_lib.errors import CheckFailed
from arena_lib.tests import transformer_from_scratch
from arena_lib.transformer import lesson

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


def test_the_example_of_the_readme_runs_and_gives_what_it_says():
    (example,) = re.findall(r"```python\n(.*?)```", read("README.md"), re.S)
    names = {}
    exec(example, names)
    assert f'# "{names["guess"]}"' in example
    assert names["other_guess"] != names["guess"]
    assert names["scores"].shape == (names["model"].cfg.n_layers, names["model"].cfg.n_heads)


def test_the_readme_lists_the_sections_that_are_there():
    rows = re.findall(r"^\| ([\d.]+) \| (.+) \| (\d+) \| (\d+) \|$", read("README.md"), re.M)
    sections = load_catalog().sections
    assert rows == [(s.id, s.title, str(len(s.exercises)), f"{s.hours:g}") for s in sections]


def test_the_readme_shows_a_message_as_it_is_printed(monkeypatch):
    (shown,) = re.findall(r"```\n(✗ .*?)\n```", read("README.md"), re.S)
    learner = types.ModuleType("learner")
    monkeypatch.setitem(sys.modules, "learner", learner)
    exec(inspect.getsource(lesson).replace("/ self.cfg.d_head**0.5", "/ self.cfg.d_head"), learner.__dict__)
    with pytest.raises(CheckFailed) as failure:
        transformer_from_scratch.test_attention(learner.Attention)
    # The values are those that the test's case drew.
    texts = str(failure.value), shown
    printed, promised = (re.sub(r"expected \S+, got \S+$", "", text, flags=re.M) for text in texts)
    assert printed == promised


def test_version_is_the_same_everywhere():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["version"] == arena_lib.__version__
    assert f"version: {arena_lib.__version__}" in read("CITATION.cff")


def test_changelog_and_citation_agree_on_the_release():
    """The changelog's newest heading is `Unreleased` while the citation has no date, else version and date."""
    newest = re.search(r"^## (.+)$", read("CHANGELOG.md"), re.M)[1]
    released = re.search(r"^date-released: (\S+)$", read("CITATION.cff"), re.M)
    assert newest == (f"{arena_lib.__version__} - {released[1]}" if released else "Unreleased")


def test_the_repository_is_the_same_everywhere():
    project = tomllib.loads(read("pyproject.toml"))
    urls = project["project"]["urls"]
    repository = urls["Repository"]
    assert all(url.startswith(repository) for url in urls.values())
    (substitution,) = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    on_pypi = re.sub(substitution["pattern"], substitution["replacement"], read("README.md"))
    assert f"]({repository}/blob/main/CONTRIBUTING.md)" in on_pypi
    assert re.search(r"\]\((?!https?:|#)", on_pypi) is None
    assert f'repository-code: "{repository}"' in read("CITATION.cff")
    for path in [*(ROOT / ".github").rglob("*.yml"), *ROOT.glob("*.md")]:
        linked = re.findall(r"https://github\.com/[\w.-]+/arena_lib", path.read_text(encoding="utf-8"))
        assert set(linked) <= {repository}, path


def names_of(requirements):
    return {re.split(r"[<>=\[]", requirement)[0].lower() for requirement in requirements}


def test_every_requirement_is_pinned():
    data = tomllib.loads(read("pyproject.toml"))
    wanted = [
        *data["project"]["dependencies"],
        *(name for extra in ("notebook", "real", "rl") for name in data["project"]["optional-dependencies"][extra]),
        *data["dependency-groups"]["dev"],
        *data["dependency-groups"]["browser"],
        *data["dependency-groups"]["site"],
        *data["dependency-groups"]["agreement"],
        *data["dependency-groups"]["bench"],
    ]
    pinned = {line.split("==")[0].lower() for line in read("constraints.txt").splitlines() if "==" in line}
    assert names_of(wanted) <= pinned
    assert "torch==2.13.0" in read("constraints.txt").splitlines()


def imported_packages():
    """What the library's files import, outside the standard library and ours."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"arena_lib"}


def test_the_library_requires_what_it_imports_and_nothing_for_its_tests():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    imports_of = {"pyyaml": "yaml", "pillow": "PIL", "opencv-python-headless": "cv2", "umap-learn": "umap"}
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    required, optional = (
        {imports_of.get(name, name.replace("-", "_")) for name in names_of(requirements)}
        for requirements in (project["dependencies"], extras)
    )
    with_jupyterlab = {"IPython", "jupyter_client", "nbclient", "nbconvert", "nbformat"}
    for_authors = {"playwright"}
    assert imported_packages() - required <= optional | with_jupyterlab | for_authors
    assert required - imported_packages() == {"jupytext"}  # it opens our scripts in JupyterLab


@pytest.mark.parametrize(
    "statement", ["import arena_lib", "import arena_lib.errors", "import arena_lib.course.content.catalog"]
)
def test_light_imports_load_no_torch(statement):
    code = f"import sys; {statement}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def documents():
    """Every Markdown file and every text that a Python file holds outside its code, by file."""
    for folder in ("src", "tests", "benchmarks", "chapters"):
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            texts = [
                node.value.value
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ]
            yield path, "\n".join([*texts, *re.findall(r"#.*", source)])


def test_documents_that_texts_cite_lie_in_the_repository():
    cited = [
        (path, name)
        for path, text in documents()
        for name in re.findall(
            r"[\w./-]*\b(?:DESIGN|STYLE|CURRICULUM|ASSETS|PERFORMANCE|README|CONTRIBUTING)\b[\w.]*", text
        )
    ]
    assert any("STYLE.md" in name for _, name in cited)
    ours = {
        str(path.relative_to(ROOT)) for folder in ("", "docs", "benchmarks") for path in (ROOT / folder).glob("*.md")
    }
    unknown = [(str(path), name) for path, name in cited if name.strip(".").removesuffix(".md") + ".md" not in ours]
    assert unknown == []


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/DESIGN.md",
        "docs/STYLE.md",
        "docs/coming_from_transformerlens.md",
        "benchmarks/README.md",
    ],
)
def test_links_between_the_documents_lead_somewhere(name):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", read(name)):
        assert (ROOT / name).parent.joinpath(link).exists(), link


def test_folders_stay_small():
    """A folder that passes twelve modules is split; sections in tests and chapters aside."""
    for folder in [ROOT / "src/arena_lib", *(ROOT / "src/arena_lib").rglob("*/")]:
        if "__pycache__" in folder.parts or folder.parent.name == "tests":
            continue
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, f"{folder}: {sorted(modules)}"


TESTED_ELSEWHERE = {
    "__main__.py": "cli/machine/test_machine.py",
    "storyworld/labels.py": "storyworld/test_world.py",  # fields without code
    "course/content/catalog_types.py": "course/content/test_catalog.py",  # fields without code
    "course/content/figures.py": "course/authoring/test_drawing.py",
    "course/record/event_file.py": "course/record/test_progress.py",
    "course/record/events.py": "course/record/test_progress.py",
    "course/tables.py": "cli/learning/test_list.py",
    "cli/machine/doctor.py": "cli/machine/test_machine.py",
    "cli/learning/hint.py": "cli/learning/test_learning.py",
    "cli/learning/progress.py": "cli/learning/test_learning.py",
    "cli/learning/reset.py": "cli/learning/test_learning.py",
    "cli/learning/solution.py": "cli/learning/test_learning.py",
    "cli/learning/start.py": "cli/learning/test_learning.py",
    "cli/machine/zoo.py": "cli/machine/test_machine.py",
    "cli/support/checkout.py": "cli/authors/test_docs.py",
    "cli/support/output.py": "cli/machine/test_machine.py",
    "cli/support/verb_group.py": "cli/test_conventions.py",
    "cli/learning/watch_session.py": "cli/learning/test_watching.py",
}
"""Modules without a test file of their own, and where their tests are: commands that are tested as learners use them,
parts of a process or of a record that only work together."""


MOST_LINES = 400
"""Of a Python file; a chapter is one long text."""


def test_no_file_is_too_long_to_read():
    paths = [path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(read(path).splitlines()) for path in [*paths, ROOT / "noxfile.py"]
    }
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}, "split it by noun"


def test_tests_mirror_the_source_path_by_path():
    """Every module has tests/<its path>/test_<its name>; judges aside, which one proof covers all."""
    package = ROOT / "src" / "arena_lib"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if path.name != "__init__.py"}
    judged = {module for module in modules if module.startswith("tests/")}
    tested = {module for module in modules if (ROOT / "tests" / module).with_name(f"test_{Path(module).name}").exists()}
    untested = modules - judged - tested
    assert untested - set(TESTED_ELSEWHERE) == set(), "give each a test file of its own"
    assert set(TESTED_ELSEWHERE) - untested == set(), "these have their own test file, or are gone"
    assert all((ROOT / "tests" / test).exists() for test in TESTED_ELSEWHERE.values())
