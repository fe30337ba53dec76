"""What `arena verify` leaves to read."""

from arena_lib.course.authoring.verify_tables import edits_page, edits_share, messages_text


def record(name, n_tried, n_rejected, n_equivalent, survivors=()):
    scores = {"n_tried": n_tried, "n_rejected": n_rejected, "n_equivalent": n_equivalent, "survivors": survivors}
    return {"id": name, "mutants": scores, "mistakes": [{"name": "adds", "message": f"{name} fails"}]}


EXPLORATORY = {"id": "1.1/explore", "mutants": None, "mistakes": []}
RECORDS = [record("1.1/a", 10, 8, 1, ["x -> y"]), record("1.1/b", 12, 10, 2), EXPLORATORY]


def test_the_share_is_of_edits_that_are_wrong():
    assert edits_share(RECORDS) == 18 / 19
    assert edits_share([EXPLORATORY]) == 1.0


def test_the_page_has_a_row_an_exercise_and_what_passes():
    page = edits_page(RECORDS, "arena verify 1.1 --table edits.md")
    assert "Written by `arena verify 1.1 --table edits.md`. Every operator" in page
    assert "| 1.1/a | 10 | 1 | 8 |" in page
    assert "| **all** | 22 | 3 | 18 (94.7%) |" in page
    assert page.endswith("Edits that pass:\n\n- 1.1/a: `x -> y`\n")
    assert edits_page(RECORDS[1:], "").endswith("No edit passes.\n")


def test_every_message_stands_under_the_mistake_that_was_made():
    rule = "-" * 100
    assert messages_text(RECORDS).splitlines() == [
        "1.1/a: adds",
        rule,
        "1.1/a fails",
        "",
        "1.1/b: adds",
        rule,
        "1.1/b fails",
    ]
