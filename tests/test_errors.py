"""Every error travels between processes, is caught by its ordinary base too, and says what to do next."""

import inspect
import pickle

import pytest

from arena_lib import errors
from arena_lib.checking.results import Result
from arena_lib.errors import ArenaError, CheckFailed, MissingDependencyError, UnknownNameError

ORDINARY_BASES = {
    "CheckFailed": AssertionError,
    "ShapeError": ValueError,
    "DtypeError": TypeError,
    "TokenError": ValueError,
    "ConfigError": ValueError,
    "DeadlockError": TimeoutError,
    "ProcessError": RuntimeError,
    "EnvError": ValueError,
    "GradientError": AssertionError,
    "UnknownNameError": LookupError,
    "FetchError": errors.ZooError,
    "HashError": errors.ZooError,
    "MissingDependencyError": ImportError,
}
EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_the_tree_is_as_drawn(kind):
    assert issubclass(kind, ArenaError)
    assert issubclass(kind, ORDINARY_BASES.get(kind.__name__, ArenaError))
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(
    "error",
    [
        CheckFailed("wrong", Result(exercise="1.1/mlp", status="failed")),
        UnknownNameError("model", "tiny-gtp", ["tiny-llama", "tiny-gpt"]),
        MissingDependencyError("gguf", "real", "SmolLM2"),
        errors.HashError("other bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_failed_check_is_its_message():
    failed = CheckFailed("first\nsecond")
    assert (str(failed), failed.result) == ("first\nsecond", None)
    assert failed._render_traceback_() == ["first", "second"]


def advice(name, known):
    return str(UnknownNameError("model", name, known)).removeprefix(f"no model is called {name!r}. ")


def test_an_unknown_name_offers_the_nearest():
    assert advice("tiny-gtp", ["tiny-gpt", "elsewhere"]) == "Did you mean 'tiny-gpt'?"
    assert advice("aaaa", ["aaab", "aaac", "aaad", "aaae"]).count(" or ") == 2


def test_a_part_of_a_name_offers_the_whole_first():
    assert advice("dqn", ["dqn_and_vpg", "den"]) == "Did you mean 'dqn_and_vpg' or 'den'?"
    assert advice("xy", ["abcdefghxy"]) == "There are: abcdefghxy."


def test_what_is_far_behind_the_nearest_is_not_offered():
    known = ["merge_pair", "mean_ablate", "mlp"]
    assert advice("mergepair", known) == "Did you mean 'merge_pair'?"
    assert advice("1.1/mergepair", [f"1.1/{name}" for name in known]) == "Did you mean '1.1/merge_pair'?"


def test_half_of_the_letters_must_agree():
    assert advice("abcd", ["abxy"]) == "Did you mean 'abxy'?"
    assert advice("abcd", ["axyz"]) == "There are: axyz."


def test_what_lies_within_the_name_is_offered_alone():
    assert advice("1.3", ["1.2", "1.3.1"]) == "Did you mean '1.3.1'?"


def test_without_a_near_name_those_that_exist_are_listed():
    assert advice("?", ["b", "a"]) == "There are: a, b."
    assert advice("?", []) == "There are none."
    assert advice("?", list("abcdef")) == "There are: a, b, c, d, e, f."


def test_of_many_names_the_command_that_lists_them_is_said_or_else_the_nearest_few():
    names = [*(f"name{i:02}" for i in range(20)), "other_q"]
    told = advice("qqqqqqqq", names)
    assert told == "There are 21. All of them: arena zoo list"  # none is near, so none is guessed
    assert str(UnknownNameError("hook", "qqqqqqqq", names)).endswith("other_q, name19, name18.")


def test_a_missing_package_names_its_extra():
    assert str(MissingDependencyError("gguf", "real", "SmolLM2")) == (
        "SmolLM2 needs the package 'gguf', which is not installed. Run: pip install 'arena-lib[real]'"
    )


def test_of_numbers_the_range_is_said():
    assert (
        UnknownNameError("layer", "9", map(str, range(5))).args[0]
        == "no layer is called '9'. There are: 0, 1, 2, 3, 4."
    )
    assert UnknownNameError("layer", "13", map(str, range(12))).args[0].endswith("There are 12, from 0 to 11.")
    assert UnknownNameError("layer", "-14", map(str, range(-1, 13))).args[0].endswith("There are 14, from -1 to 12.")
