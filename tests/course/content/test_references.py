import re
from pathlib import Path

import pytest

from arena_lib.course.content.references import find_definition, find_tests, locate, module_path, read_module
from arena_lib.errors import AuthoringError


@pytest.fixture
def package(course) -> Path:
    return course.chapters.parent


def write_tests(package: Path, text: str) -> None:
    (package / "tests" / "little" / "sums.py").write_text(text)


def only(package: Path, text: str):
    write_tests(package, text)
    (entry,) = find_tests("littlecourse.tests.little").values()
    return entry


IMPORTS = [
    ("import littlecourse.library\n", "littlecourse.library.plus", "littlecourse.library:plus"),
    ("import littlecourse.library as lib\n", "lib.plus", "littlecourse.library:plus"),
    ("from littlecourse import library as lib\n", "lib.plus", "littlecourse.library:plus"),
    ("from littlecourse.library import plus as add\n", "add", "littlecourse.library:plus"),
    ("from ...library import plus\n", "plus", "littlecourse.library:plus"),
    ("from ... import face\n", "face.Scaler", "littlecourse.library:Scaler"),
    ("from littlecourse import library\n", "library.Scaler.forward", "littlecourse.library:Scaler.forward"),
    ("def local(): ...\n", "local", "littlecourse.tests.little.sums:local"),
]


@pytest.mark.parametrize(("imports", "written", "reference"), IMPORTS)
def test_reference_is_followed_through_the_imports(package, imports, written, reference):
    entry = only(package, f"{imports}\ntest_plus = exercise(reference={written})\n")
    assert entry.reference == reference
    assert entry.test == "littlecourse.tests.little.sums:test_plus"
    assert (entry.line, entry.path, entry.keep) == (3, package / "tests" / "little" / "sums.py", ())


def test_only_declarations_of_tests_count(package):
    text = (
        "from littlecourse.library import plus\n"
        "test_plus: object = checking.exercise(reference=plus, keep=('a', 'b'))\n"
        "test_alias = test_plus.part('x')\n"
        "test_list = [exercise(reference=plus)]\n"
        "other = exercise(reference=plus)\n"
        "def test_function(): exercise(reference=plus)\n"
    )
    assert only(package, text).keep == ("a", "b")


KEPT = [
    ("['a', 'b']", ("a", "b")),
    ("('a',)", ("a",)),
    ("BASE", ("a", "b")),
    ("[*BASE, 'c', *MORE]", ("a", "b", "c", "d")),
    ("BASE + ['c']", ("a", "b", "c")),
]


@pytest.mark.parametrize(("written", "kept"), KEPT)
def test_methods_to_keep_may_be_named_by_constants(package, written, kept):
    text = "from littlecourse.library import plus\nBASE: list[str] = ['a', 'b']\nMORE = ('d',)\n"
    assert only(package, f"{text}test_plus = exercise(reference=plus, keep={written})\n").keep == kept


BROKEN = [
    ("test_plus = exercise(cases=None)\n", 1, "test_plus must name its reference: got none"),
    ("\ntest_plus = exercise(reference=lambda a: a)\n", 2, "must be a name or module.name: got 'lambda a: a'"),
    ("test_plus = exercise(reference=plus)\n", 1, "no function or class of this name is defined there"),
    ("from littlecourse import library\ntest_plus = exercise(reference=library.minus)\n", 2, "'library.minus' must be"),
    ("from littlecourse import library\ntest_plus = exercise(reference=library.OFFSET)\n", 2, "'library.OFFSET'"),
    ("import nowhere_at_all\ntest_plus = exercise(reference=nowhere_at_all.f)\n", 2, "no module holds it"),
    (
        "from littlecourse.library import plus\ntest_plus = exercise(reference=plus, keep=KEPT)\n",
        2,
        "keep must be a list of names of methods, or of constants that hold them: got KEPT",
    ),
    (
        "from littlecourse.library import plus\ntest_plus = exercise(reference=plus, keep=[1])\n",
        2,
        "keep must be a list of names of methods, or of constants that hold them: got [1]",
    ),
    (
        "from littlecourse.library import plus\n"
        "test_plus = exercise(reference=plus)\ntest_plus = exercise(reference=plus)\n",
        3,
        "an exercise must have one test: got a second test_plus",
    ),
    ("test_plus = exercise(reference=plus\n", 1, "the file must be Python"),
]


@pytest.mark.parametrize(("text", "line", "fact"), BROKEN)
def test_test_that_cannot_be_read_says_where(package, text, line, fact):
    write_tests(package, text)
    with pytest.raises(AuthoringError, match=re.escape(fact)) as caught:
        find_tests("littlecourse.tests.little")
    assert f"sums.py:{line}: " in str(caught.value)


def test_names_handed_on_in_a_circle_end(package):
    (package / "left.py").write_text("from .right import f\n")
    (package / "right.py").write_text("from .left import f\n")
    with pytest.raises(AuthoringError, match="no function or class of this name"):
        locate("littlecourse.left.f")


def test_section_without_tests_has_none():
    assert find_tests("arena_lib.tests.no_such_section") == {}
    assert find_tests("no_such_package.tests.little") == {}


def test_files_of_modules_are_found_without_importing_them(package):
    assert module_path("littlecourse") == package / "__init__.py"
    assert module_path("littlecourse.library") == package / "library.py"
    assert module_path("littlecourse.tests.little") == package / "tests" / "little" / "__init__.py"
    assert module_path("littlecourse.nothing") is None
    assert module_path("littlecourse.library.plus") is None
    assert module_path("textwrap").name == "textwrap.py"
    assert module_path("textwrap.dedent") is None


def test_module_that_is_missing_or_changed_is_noticed(package):
    with pytest.raises(AuthoringError, match=r"'littlecourse\.nothing' must be a module with a source file"):
        read_module("littlecourse.nothing")
    assert find_definition(read_module("littlecourse.library").tree, "minus") is None
    (package / "library.py").write_text("def minus(): ...\n\n\ndef minus(): ...\n")
    assert find_definition(read_module("littlecourse.library").tree, "minus").lineno == 4


def test_texts_that_look_like_code_are_not_taken_for_it(package):
    text = (
        '"""\nfrom scratch we build it\ntest_minus = exercise(reference=nothing)\n"""\n'
        "from littlecourse.library import (\n    Scaler,\n    plus,\n)\n\n\n"
        "def f():\n    test_times = exercise(reference=Scaler)\n\n\n"
        'test_plus = exercise(\n    reference=plus,\n    mistakes=["""\nfrom here on\n"""],\n)\n'
    )
    entry = only(package, text)
    assert (entry.test, entry.line) == ("littlecourse.tests.little.sums:test_plus", 15)


def test_a_name_that_only_begins_alike_is_no_definition():
    assert (
        locate("arena_lib.course.content.references.read_module") == "arena_lib.course.content.references:read_module"
    )
    with pytest.raises(AuthoringError, match="no function or class of this name"):
        locate("arena_lib.course.content.references.read_mod")
