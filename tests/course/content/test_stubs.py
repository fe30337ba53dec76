import ast

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.imports import builds_on, setup_imports
from arena_lib.course.content.stubs import exercise_text, is_stub, make_stub, needed_names, source_of
from arena_lib.errors import AuthoringError


def test_function_keeps_decorator_signature_comments_and_docstring(course):
    assert (
        make_stub(source_of("littlecourse.library:plus"))
        == '''\
@functools.cache
def plus(
    a: int,  # the left one
    b: int = 0,
) -> int:
    """The sum of a and b.

    >>> plus(1, 2)
    3
    """
    raise NotImplementedError
'''
    )


def test_class_keeps_attributes_docstrings_and_the_methods_asked_for(course):
    assert (
        make_stub(source_of("littlecourse.library:Scaler"), keep=["__init__"])
        == '''\
class Scaler:
    """Multiplies, then shifts by ten."""

    kind = "linear"

    def __init__(self, settings: Settings) -> None:
        # kept for later
        self.factor = settings.factor

    def scale(self, x: float) -> float:
        raise NotImplementedError

    @property
    def root(self) -> float:
        raise NotImplementedError

    def forward(self, x: float) -> float:
        """Scales and shifts x."""
        raise NotImplementedError
'''
    )


def test_nothing_kept_means_the_constructor_is_the_learners_too(course):
    stub = make_stub(source_of("littlecourse.library:Scaler"))
    assert "settings.factor" not in stub
    assert "kept for later" not in stub
    assert stub.count("raise NotImplementedError") == 4


CUTS = [
    ("def f(x): return x\n", "def f(x):\n    raise NotImplementedError\n"),
    (
        "def f(x={1: 2}, *, g=lambda y: y) -> dict[str, int]:  # why\n    # hidden\n    return g\n",
        "def f(x={1: 2}, *, g=lambda y: y) -> dict[str, int]:  # why\n    raise NotImplementedError\n",
    ),
    (
        "def f(\n    x: int,\n    y: list[int] = [1][0:],\n) -> int:\n    return x\n",
        "def f(\n    x: int,\n    y: list[int] = [1][0:],\n) -> int:\n    raise NotImplementedError\n",
    ),
    ("async def f():\n  return 1\n", "async def f():\n  raise NotImplementedError\n"),
    ("def f():\n    'doc'\n", "def f():\n    'doc'\n"),
    ("def f():\n    ...\n", "def f():\n    ...\n"),
    ("class A:\n    def f(self): pass\n", "class A:\n    def f(self): pass\n"),
    ("class A:\n    x: int = 1\n", "class A:\n    x: int = 1\n"),
    (
        "class A:\n  def f(self):\n    def g():\n      return 1\n    return g\n\n  def g(self):\n    return 2\n",
        "class A:\n  def f(self):\n    raise NotImplementedError\n\n  def g(self):\n    raise NotImplementedError\n",
    ),
]


@pytest.mark.parametrize(("source", "stub"), CUTS)
def test_bodies_are_cut_by_position(source, stub):
    assert make_stub(source) == stub


def test_keep_must_name_methods():
    with pytest.raises(AuthoringError, match=r"keep must name methods of A: got \['g'\]. There are \['f'\]\."):
        make_stub("class A:\n    def f(self):\n        return 1\n", keep=["f", "g"])


@pytest.fixture
def shared(course):
    """Two exercises, each a method of one class, between the others."""
    tests = course.chapters.parent / "tests" / "little" / "sums.py"
    tests.write_text(
        tests.read_text()
        + "test_forward = exercise(reference=library.Scaler, keep=['__init__', 'root', 'scale'])\n"
        + "test_scale = exercise(reference=library.Scaler, keep=['__init__', 'root', 'forward'])\n"
    )
    (tests.parent / "__init__.py").write_text("from .sums import *\n")
    chapter = course.chapters / "7_small" / "7.2_little.py"
    keys = "difficulty=1 importance=1 minutes=1\n# hint: a\n# hint: b\n# hint: c\n"
    text = chapter.read_text().replace('exercise="scaler"', 'exercise="scale"')
    chapter.write_text(text.replace("# %% result", f'# %% exercise="forward" {keys}# %% result'))
    return load_catalog([course], strict=True).section("7.2")


def test_exercises_that_share_a_class_hide_each_others_solutions(shared):
    _, scale, forward, _ = shared.exercises
    first = exercise_text(shared, scale)
    assert first.count("raise NotImplementedError") == 2
    assert "settings.factor" in first
    assert "maths.sqrt" in first
    assert exercise_text(shared, forward) == (
        'class Scaler(Scaler):\n    """Your Scaler as it is so far, and forward."""\n\n'
        '    def forward(self, x: float) -> float:\n        """Scales and shifts x."""\n        raise NotImplementedError\n'
    )


def test_solutions_of_a_shared_class_come_one_by_one(shared):
    _, scale, forward, _ = shared.exercises
    first, second = (exercise_text(shared, entry, is_solution=True) for entry in (scale, forward))
    assert "return self.factor * plus(x)" in first
    assert "return helper(self.scale(x))" not in first
    assert second.endswith('"""Scales and shifts x."""\n        return helper(self.scale(x))\n')
    namespace: dict = {}
    exec(setup_imports(shared).replace("from littlecourse.tests import little as tests", ""), namespace)
    for entry in shared.exercises[:3]:
        exec(exercise_text(shared, entry, is_solution=True), namespace)
    assert namespace["Scaler"](namespace["Settings"](factor=3.0)).forward(2.0) == 16.0


def test_second_exercise_of_a_class_builds_on_the_first(shared):
    plus, scale, forward, _ = shared.exercises
    assert builds_on(shared, forward) == [plus, scale]


def test_function_cannot_be_shared(course):
    tests = course.chapters.parent / "tests" / "little" / "sums.py"
    tests.write_text(tests.read_text().replace("reference=TheScaler", "reference=library.plus"))
    section = load_catalog([course], strict=True).section("7.2")
    with pytest.raises(
        AuthoringError, match=r"7\.2_little\.py:13: exercises may share a class.* for \['plus', 'scaler'\]"
    ):
        exercise_text(section, section.exercises[0])


def test_method_is_moved_to_the_left_margin(course):
    assert source_of("littlecourse.library:Scaler.scale").startswith("def scale(self, x: float) -> float:\n    return")


def test_missing_reference_is_said(course):
    with pytest.raises(
        AuthoringError, match=r"library\.py: a reference must be a function or class there: got 'minus'"
    ):
        source_of("littlecourse.library:minus")


def test_needed_names_come_with_the_import_that_brings_them(course):
    names = {needed.name: needed for needed in needed_names("littlecourse.library:Scaler")}
    assert sorted(names) == ["Settings", "helper", "maths", "plus"]
    assert names["maths"].statement == "import math as maths"
    assert (names["maths"].origin, names["maths"].reference) == ("math", None)
    assert names["plus"].statement == "from littlecourse.library import plus"
    assert names["plus"].reference == "littlecourse.library:plus"
    assert [needed.name for needed in needed_names("littlecourse.library:plus")] == ["functools"]


def test_constants_of_the_module_are_imported_from_it(course):
    library = course.chapters.parent / "library.py"
    library.write_text(library.read_text().replace("x + OFFSET", "x + OFFSET + ZERO") + "\n\nZERO: int = 0\n")
    assert [(needed.statement, needed.reference) for needed in needed_names("littlecourse.library:helper")] == [
        ("from littlecourse.library import OFFSET", None),
        ("from littlecourse.library import ZERO", None),
    ]


def test_name_from_nowhere_is_refused(course):
    library = course.chapters.parent / "library.py"
    library.write_text(library.read_text().replace("import functools\n", ""))
    with pytest.raises(AuthoringError, match=r"library\.py:\d+: .*got 'functools', which the module neither imports"):
        needed_names("littlecourse.library:plus")


@pytest.mark.parametrize("entry", [e for e in load_catalog().exercises if e.reference], ids=lambda entry: entry.id)
def test_every_stub_of_ours_is_python_and_gives_nothing_away(entry):
    stub = make_stub(source_of(entry.reference), entry.keep)
    (node,) = ast.parse(stub).body
    members = node.body if isinstance(node, ast.ClassDef) else [node]
    methods = [child for child in members if isinstance(child, ast.FunctionDef) and child.name not in entry.keep]
    assert methods
    for method in methods:
        assert "raise NotImplementedError" in ast.unparse(method.body[-1]) or method.body[-1] is method.body[0]
    assert needed_names(entry.reference) is not None


@pytest.mark.parametrize(
    ("source", "keep", "is_untouched"),
    [
        ("def f(x): raise NotImplementedError", (), True),
        ("def f(x):\n    'Twice x.'\n    raise NotImplementedError", (), True),
        ("def f(x):\n    y = 2 * x\n    raise NotImplementedError", (), False),
        ("def f(x): raise NotImplementedError('later')", (), False),
        ("def f(x): 'Twice x.'", (), False),
        ("class A:\n    def f(self): return 1\n    def g(self): raise NotImplementedError", ("f",), True),
        ("class A:\n    def f(self): return 1\n    def g(self): raise NotImplementedError", (), False),
        ("class A:\n    def f(self): return 1", ("f",), False),
    ],
)
def test_a_stub_has_no_body_of_its_own(source, keep, is_untouched):
    (node,) = ast.parse(source).body
    assert is_stub(node, keep) is is_untouched
