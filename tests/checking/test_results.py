"""A Result goes to JSON and back unchanged, and JSON of another schema is refused."""

import json

import pytest

from arena_lib.checking.results import SCHEMA, Check, Diagnosis, Mismatch, Result, Stop

PLAIN = Result(exercise="7.2/plus", status="not_started")
FULL = Result(
    exercise="7.2/plus",
    status="failed",
    is_reference=True,
    call="plus(1, 2)",
    case="two numbers",
    stop=Stop(raised="ValueError: no", line="3 of mine.py, in plus: return a + b", within="add of torch"),
    checks=(Check(name="is callable", passed=True), Check(name="values", passed=False, message="no")),
    diagnosis=Diagnosis(mistake="subtracts", why="a sum adds"),
    mismatch=Mismatch(
        observation="output",
        kind="values",
        axes=("batch", "seq"),
        expected_shape=(2, 3),
        actual_shape=(2, 3),
        n_wrong=4,
        n_total=6,
        first_index=(0, 1),
        expected="1.0",
        actual="2.0",
        pattern="all too large by 1",
    ),
    notes=("It changes x in place.",),
    needs="minus",
    hint_for="7.2/minus",
    message="✗ 7.2/plus",
    seed=5,
    seconds=0.25,
    source_hash="s1",
    test_hash="t1",
)
BARE = Result(exercise="7.2/plus", status="error", mismatch=Mismatch(observation="output", kind="type"))


@pytest.mark.parametrize("result", [PLAIN, FULL, BARE], ids=["plain", "full", "bare"])
def test_json_gives_the_same_result_back(result):
    text = result.to_json()
    assert len(text.splitlines()) == 1
    again = Result.from_json(text)
    assert again == result
    assert hash(again) == hash(result)  # tuples stayed tuples


def test_the_keys_of_the_json_are_stable():
    record = json.loads(FULL.to_json())
    assert list(record) == [
        "exercise", "status", "is_reference", "call", "case", "stop", "checks", "diagnosis", "mismatch", "notes",
        "needs", "hint_for", "printed", "message", "seed", "seconds", "source_hash", "test_hash", "schema",
    ]  # fmt: skip
    assert list(record["mismatch"]) == [
        "observation", "kind", "axes", "expected_shape", "actual_shape", "n_wrong", "n_total", "first_index",
        "expected", "actual", "pattern",
    ]  # fmt: skip
    assert record["checks"][0] == {"name": "is callable", "passed": True, "message": ""}
    assert record["diagnosis"] == {"mistake": "subtracts", "why": "a sum adds"}


def test_a_result_knows_nothing_that_it_was_not_told():
    record = json.loads(PLAIN.to_json())
    assert record == {
        "exercise": "7.2/plus", "status": "not_started", "is_reference": False, "call": "", "case": "", "stop": None,
        "checks": [], "diagnosis": None, "mismatch": None, "notes": [], "needs": "", "hint_for": "", "printed": "", "message": "", "seed": 0, "seconds": 0.0, "source_hash": None,
        "test_hash": None, "schema": SCHEMA,
    }  # fmt: skip
    mismatch = json.loads(BARE.to_json())["mismatch"]
    assert {key for key, value in mismatch.items() if value} == {"observation", "kind"}


@pytest.mark.parametrize("status", ["passed", "failed", "error", "not_started", "timeout"])
def test_only_a_pass_is_a_pass(status):
    assert Result(exercise="7.2/plus", status=status).passed is (status == "passed")


@pytest.mark.parametrize("schema", [0, 2, None])
def test_another_schema_is_refused(schema):
    record = json.loads(PLAIN.to_json()) | {"schema": schema}
    with pytest.raises(ValueError, match=rf"must have schema 1: got {schema}\. Read it with the version that wrote it"):
        Result.from_json(json.dumps(record))


def test_a_record_that_is_read_stays_as_it_was():
    record = json.loads(FULL.to_json())
    assert Result.from_record(record) == FULL
    assert record == json.loads(FULL.to_json())
