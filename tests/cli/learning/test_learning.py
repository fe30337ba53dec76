"""`arena start`, `hint`, `reset`, `solution`, `progress`: a learner's way through an exercise."""

import json
import re
from pathlib import Path

import pytest

from arena_lib.checking.results import Result
from arena_lib.cli.support.exploring import EXPLORING_A_SCRIPT
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.record.progress import ProgressStore

MASK = "1.1/causal_mask"
HINTS = load_catalog().exercise(MASK).hints


def test_start_writes_once_and_beside_it_when_asked(arena):
    assert arena("start", "1.1", "--folder", "mine", "--format", "py", "--json").json == {
        "section": "1.1",
        "path": "mine/1.1_transformer_from_scratch.py",
    }
    again = arena("start", "1.1", "--folder", "mine", "--format", "py")
    assert again.code == 2
    assert "--fresh" in again.err
    assert arena("start", "1.1", "--folder", "mine", "--format", "py", "--fresh").code == 0
    assert len(list(Path("mine").glob("*.py"))) == 2
    assert {path.suffix for path in Path("mine", "figures").iterdir()} == {".png"}


def test_start_quotes_the_commands_that_it_prints(arena):
    out = arena("start", "1.1", "--folder", "a b").out
    assert "jupyter lab 'a b/1.1_transformer_from_scratch.ipynb'" in out
    assert out.rstrip().endswith("arena check 'a b/1.1_transformer_from_scratch.ipynb'")


def test_start_list_and_progress_count_the_same_exercises(arena):
    started = re.search(r"(\d+) exercises", arena("start", "1.2").out)[1]
    ProgressStore().record(Result(exercise="1.2/inspect_model", status="passed"))
    assert f"1 of {started} done" in arena("list", "1.2").out
    assert f"1.2 Intro to mechanistic interpretability: 1 of {started} done" in arena("progress").out
    (section,) = [one for one in arena("progress", "--json").json["sections"] if one["id"] == "1.2"]
    assert (section["done"], section["of"]) == (1, int(started))


def test_start_says_how_to_go_on_with_each_format(arena):
    name = "1.1_transformer_from_scratch"
    for file_format, *told in (
        ("py", f"Write in any editor and run: arena check {name}.py", EXPLORING_A_SCRIPT),
        ("ipynb", f"Open it (jupyter lab {name}.ipynb), or write in any editor and run: arena check {name}.ipynb"),
    ):
        assert arena("start", "1.1", "--format", file_format).out.splitlines()[1:] == told


def test_a_script_begun_is_named_and_stays_the_one_that_is_judged(arena):
    arena("start", "1.1", "--format", "py")
    (script,) = Path().glob("*.py")
    script.write_text(script.read_text().replace("\n    raise NotImplementedError", "\n    return {}", 1))
    told = f"{script} is there too, with 1 exercise begun. Commands that aren't given a file take the one that you worked on last."
    assert told in arena("start", "1.1").out.splitlines()
    arena("start", "1.2")
    assert arena("check", "-e", "1.1/count_pairs").err == f"judging 1 exercise of {script} ...\n"
    assert "is there too" not in arena("start", "1.3.1").out


@pytest.mark.parametrize(("option", "value"), [("--format", "docx"), ("--scale", "huge")])
def test_start_knows_its_options(arena, option, value):
    done = arena("start", "1.1", option, value)
    assert done.code == 2
    assert f"{option} must be" in done.err


def test_each_call_gives_the_next_hint_and_the_last_one_again(arena):
    given = [arena("hint", MASK, "--json").json for _ in range(4)]
    assert [g["tier"] for g in given] == [1, 2, 3, 3]
    assert [g["hint"] for g in given] == [*HINTS, HINTS[-1]]
    assert all(g["of"] == 3 and g["exercise"] == MASK for g in given)
    assert "arena solution 1.1/causal_mask --give-up" in arena("hint", "causal_mask").out


def test_without_a_name_the_hint_is_for_what_was_tried_last(arena):
    assert f"{load_catalog().exercises[0].id}, hint 1 of 3" in arena("hint").out
    ProgressStore().record(Result(exercise=MASK, status="failed"))
    assert f"{MASK}, hint 1 of 3" in arena("hint").out
    assert arena("hint", "--json").json["tier"] == 2


def test_a_hint_can_be_chosen(arena):
    assert HINTS[1] in arena("hint", MASK, "--tier", 2).out
    assert arena("hint", MASK, "--json").json["tier"] == 3
    done = arena("hint", MASK, "--tier", 4)
    assert (done.code, "must be from 1 to 3: got 4" in done.err) == (2, True)


def test_an_unknown_exercise_offers_the_nearest(arena):
    done = arena("hint", "casual_mask")
    assert done.code == 2
    assert "'causal_mask'" in done.err
    done = arena("hint", "zzzz")
    assert re.search(r"There are \d+\. All of them: arena list$", done.err.strip())


@pytest.mark.parametrize("verb", ["hint", "solution"])
@pytest.mark.parametrize("name", ["1.1", "transformer_from_scratch"])
def test_a_section_in_place_of_an_exercise_is_told_so(arena, verb, name):
    done = arena(verb, name)
    assert done.code == 2
    first = load_catalog().section("1.1").exercises[0].id
    assert done.err == (
        f"arena: {name} is a section: name an exercise of it, such as {first}. All of them: arena list 1.1\n"
    )


def test_a_part_of_a_sections_name_offers_it(arena):
    assert "Did you mean 'dqn_and_vpg'" in arena("start", "dqn").err


def test_the_solution_waits_for_a_pass_or_for_giving_up(arena, solved):
    done = arena("solution", MASK)
    assert done.code == 1
    assert "--give-up" in done.err
    assert "masked_fill" not in done.out + done.err
    given = arena("solution", MASK, solved, "--give-up", "--json").json
    assert set(given) == {"exercise", "solution", "diff", "file"}
    assert "-def causal_mask(scores):" in given["diff"]
    assert given["file"] == str(solved)
    assert arena("solution", MASK).code == 0  # seen once, it needn't be given up again
    assert [event.kind for event in ProgressStore().events()] == ["solution"]


def test_reset_brings_the_stub_back_and_says_where_the_old_code_is(arena):
    path = Path(arena("start", "1.1", "--json").json["path"])
    assert "nothing was changed" in arena("reset", MASK).out
    path.write_text(path.read_text().replace("raise NotImplementedError", "return 'mine'"))
    done = arena("reset", "causal_mask")
    assert done.code == 0
    assert "Your old code is in causal_mask_before_reset.py." in done.out
    assert "Reload Notebook from Disk" in done.out
    assert "return 'mine'" in Path("causal_mask_before_reset.py").read_text()
    record = arena("reset", MASK, path, "--json").json
    assert record == {"exercise": MASK, "file": str(path), "kept": None}
    counts = arena("check", path, "-e", MASK, "--json").json["counts"]
    assert counts["not_started"] == 1
    assert arena("reset", MASK, "gone.ipynb").code == 2


def test_reset_says_that_a_pass_still_counts(arena):
    path = Path(arena("start", "1.1", "--json").json["path"])
    path.write_text(path.read_text().replace("raise NotImplementedError", "return 'mine'"))
    ProgressStore().record(Result(exercise=MASK, status="passed"))
    done = arena("reset", MASK)
    assert "You passed it before, so your progress still counts it as done." in done.out


def test_after_a_pass_the_solution_is_shown(arena, solved):
    arena("check", solved, "-e", MASK)
    done = arena("solution", MASK)
    assert done.code == 0
    assert "def causal_mask" in done.out
    assert [event.kind for event in ProgressStore().events()] == ["verdict"]


def test_progress_moves_between_machines(arena, home):
    arena("hint", MASK)
    assert arena("progress", "--export", "events.jsonl", "--json").json == {"exported": 1, "path": "events.jsonl"}
    assert json.loads(arena("progress", "--export", "-").out)["kind"] == "hint"
    shown = arena("progress", "--export", "-", "--json").json
    assert (shown["exported"], shown["path"], [event["kind"] for event in shown["events"]]) == (1, "-", ["hint"])
    assert "--export must name a file" in arena("progress", "--export", ".", "--json").json["error"]
    assert arena("progress", "--export", "events.jsonl").out == "1 event written to events.jsonl.\n"
    for file in home.iterdir():
        file.unlink()
    assert arena("progress", "--import", "events.jsonl", "--json").json == {"imported": 1, "known": 0}
    assert arena("progress", "--import", "events.jsonl", "--json").json == {"imported": 0, "known": 1}
    gone = arena("progress", "--import", "gone.jsonl")
    assert gone.code == 2
    assert "there is no file gone.jsonl" in gone.err
    assert "Errno" not in gone.err
    assert arena("progress", "--import", "e", "--export", "e").code == 2
    Path("bad.jsonl").write_text("what\n")
    done = arena("progress", "--import", "bad.jsonl")
    assert (done.code, "line 1" in done.err) == (2, True)


def test_progress_says_what_comes_next(arena):
    first = next(entry for entry in load_catalog().exercises if entry.test)
    record = arena("progress", "--json").json
    assert record["next"] == first.id
    assert set(record["sections"][0]["exercises"][0]) == {
        "id", "state", "attempts", "hints", "solution_seen", "minutes", "estimate", "passed_at", "last_status",
        "last_mistake",
    }  # fmt: skip
    assert f"Next: {first.id}" in arena("progress").out


def test_progress_of_one_section_can_be_asked_for(arena):
    assert [s["id"] for s in arena("progress", "transformer_from_scratch", "--json").json["sections"]] == ["1.1"]
    assert arena("progress", "1.2").out.startswith("1.2 Intro to mechanistic interpretability: 0 of ")
    done = arena("progress", "1.7")
    assert (done.code, "no section is called '1.7'" in done.err) == (2, True)
    done = arena("progress", "1.1", "--export", "-")
    assert (done.code, "--export and --import are of everything: got 1.1 too" in done.err) == (2, True)
