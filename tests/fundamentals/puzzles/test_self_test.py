import re
from collections import Counter

import einops
import pytest
import torch

from arena_lib.course.content.catalog import load_catalog
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.fundamentals.puzzles.self_test import PARTS, QUESTIONS, questions_as_text, where_to_begin

RIGHT = {question.name: question.right for question in QUESTIONS}


def test_the_parts_are_those_of_the_chapter():
    text = "\n".join(cell.source for cell in load_catalog().section("0.0").cells if cell.kind == "markdown")
    assert re.findall(r"^## (\d\. .*)$", text, re.M) == list(PARTS)


def test_every_part_is_asked_about_and_no_letter_is_always_right():
    assert list(dict.fromkeys(question.part for question in QUESTIONS)) == list(PARTS)
    assert len(RIGHT) == len(QUESTIONS)
    assert min(Counter(RIGHT.values()).values()) >= 4


def right(name):
    """The right choice as it is written."""
    (question,) = [question for question in QUESTIONS if question.name == name]
    return dict(zip("abc", question.choices, strict=True))[question.right]


def test_answers_that_can_be_computed_are_right():
    generator = iter([1, 2, 3])
    list(generator)
    square = torch.ones(4, 4)
    computed = {
        "comprehension": [n * n for n in range(5) if n % 2],
        "generator": list(generator),
        "order": int(torch.arange(6).reshape(2, 3)[1, 0]),
        "merging": tuple(einops.rearrange(torch.zeros(4, 5, 6), "a b c -> (a c) b").shape),
        "reduce": tuple(einops.reduce(torch.zeros(3, 8), "batch (row two) -> batch row", "mean", two=2).shape),
        "repeat": einops.repeat(torch.tensor([1, 2]), "n -> (n k)", k=2).tolist(),
        "rule": tuple((torch.zeros(5, 1) + torch.zeros(3)).shape),
        "pairs": tuple(torch.zeros(5, 5)[torch.tensor([0, 1, 2]), torch.tensor([2, 1, 0])].shape),
    }
    assert {name: right(name) for name in computed} == {name: str(value) for name, value in computed.items()}
    rows = square * torch.arange(1, 5)[:, None]
    assert (rows / rows.sum(dim=1))[0].tolist() == pytest.approx([1 / 4, 1 / 8, 1 / 12, 1 / 16])


def test_all_right_leaves_nothing_to_read():
    advice = where_to_begin(RIGHT)
    assert (advice.n_right, advice.wrong, advice.unanswered, advice.read_first) == (len(QUESTIONS), (), (), ())
    assert repr(advice).startswith("17 of 17 questions right. You know what this section teaches")


def test_wrong_and_open_answers_name_their_parts_in_order():
    answers = RIGHT | {"bytes": "a", "merging": " (D) ", "order": "B"}
    advice = where_to_begin(answers)
    assert advice.read_first == ("2. Shapes", "8. How long will it take?")
    assert (advice.wrong, advice.unanswered) == (("order", "bytes"), ("merging",))
    assert "    part 2. Shapes (order, merging)\n    part 8. How long will it take? (bytes)\nSkip" in repr(advice)


def test_no_answers_mean_everything():
    advice = where_to_begin({})
    assert advice.read_first == PARTS
    assert "Skip" not in repr(advice)


def test_the_sections_that_are_named_are_there():
    ids = {section.id for section in load_catalog().sections}
    assert set(re.findall(r"\d\.\d", repr(where_to_begin(RIGHT)))) <= ids


def test_questions_are_printed_with_all_their_choices():
    text = questions_as_text()
    assert text.count("(d) I'm not sure") == len(QUESTIONS)
    assert all(question.text in text for question in QUESTIONS)


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("letter", ["e", "", 1, "ab"])
def test_an_answer_that_is_no_choice_is_refused(letter):
    with pytest.raises(ConfigError, match="the answer to 'order' must be a, b, c or d: got"):
        where_to_begin({"order": letter})


def test_a_question_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match=r"no question is called 'ordr'. Did you mean 'order'"):
        where_to_begin({"ordr": "a"})
