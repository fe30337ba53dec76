"""A pass becomes stale when what judges changes, and never for a word beside it."""

import pytest

from arena_lib.checking.fingerprint import fingerprint

REFERENCE = '''
def other(x):
    return x


def double(x):
    """Doubles."""
    return 2 * x  # twice
'''
TEST = '''
LIMIT = 3


def cases(generator):
    """One."""
    return [LIMIT]


def other_cases(generator):
    return []


test_other = exercise(reference=other, cases=other_cases)
test_double = exercise(
    reference=double,
    cases=cases,
    accepts=[lambda x: x + x],
    mistakes=[Mistake("adds two", "2 * x", "2 + x", why="it doubels")],
)
'''


def of(reference=REFERENCE, test=TEST):
    return fingerprint(reference, "double", test, "test_double")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("doubels", "doubles"),
        ("adds two", "adds 2"),
        ("lambda x: x + x", "lambda x: x * 2"),
        ('"""One."""', '"""A single one."""'),
        ("    return []", "    return [1]"),
        ("LIMIT = 3", "# three\nLIMIT = 3"),
    ],
)
def test_words_proofs_and_neighbours_change_nothing(old, new):
    assert old in TEST
    assert of(test=TEST.replace(old, new)) == of()


@pytest.mark.parametrize(
    ("old", "new"),
    [("LIMIT = 3", "LIMIT = 4"), ("[LIMIT]", "[LIMIT + 1]"), ("    cases=cases,", "    cases=cases,\n    seed=1,")],
)
def test_what_the_declaration_rests_on_counts(old, new):
    assert old in TEST
    assert of(test=TEST.replace(old, new)) != of()


def test_the_reference_counts_as_parsed():
    assert of(REFERENCE.replace("Doubles.", "Twice x.").replace("  # twice", "")) == of()
    assert of(REFERENCE.replace("return x\n", "return -x\n")) == of()
    assert of(REFERENCE.replace("2 * x", "3 * x")) != of()


def test_a_method_is_found_in_its_class():
    source = "class A:\n    def f(self):\n        return {}\n"
    one, two = (fingerprint(source.format(n), "A.f", TEST, "test_double") for n in (1, 2))
    assert one != two


def test_a_definition_that_is_not_there_is_said():
    with pytest.raises(KeyError, match="missing"):
        fingerprint(REFERENCE, "missing", TEST, "test_double")


def test_what_is_made_inside_a_function_rests_on_the_whole_file():
    source = "def make():\n    def double(x):\n        return {}\n    test_double = exercise(reference=double)\n"
    one, two, three = (
        fingerprint(source.format(2), "make.<locals>.double", text, "test_double")
        for text in (source, source, source + "A = 1\n")
    )
    assert one == two != three
