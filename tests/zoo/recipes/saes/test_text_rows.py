"""Texts as rows of tokens: nothing is on both sides, and each text stands after an end."""

import pytest
import torch

from arena_lib.errors import ZooError
from arena_lib.zoo.datasets import LabelledText
from arena_lib.zoo.recipes.saes import text_rows

END = 9_999


class Words:
    """A tokenizer whose texts are numbers."""

    eos_token_id = 7

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def get_vocab(self):
        return self.vocabulary

    def __call__(self, texts):
        return {"input_ids": [[int(word) for word in text.split()] for text in texts]}


@pytest.fixture
def sets(monkeypatch):
    """Two sets, whose texts are a number three times."""
    numbers = {"low": range(100, 160), "high": range(500, 540)}
    read = {name: [LabelledText(f"{i} {i} {i}", 0) for i in some] for name, some in numbers.items()}
    monkeypatch.setattr(text_rows, "load_dataset", read.__getitem__)
    return tuple(read)


def test_no_text_is_on_both_sides_and_both_sets_are_read(sets):
    tokenizer = Words({"<|endoftext|>": END})
    rows = text_rows.make_text_rows(tokenizer, sets, 5)
    train, held_out = (set(part.unique().tolist()) - {END} for part in rows)
    assert not train & held_out
    assert {len(part[0]) for part in rows} == {5}
    assert rows.train.shape == (95 * 4 // 5, 5)
    assert rows.held_out.shape == (5 * 4 // 5, 5)
    assert min(train) < 200 < 500 <= max(train)
    assert all(
        torch.equal(part, again) for part, again in zip(rows, text_rows.make_text_rows(tokenizer, sets, 5), strict=True)
    )
    first = rows.train.flatten()[1::4]
    assert first.tolist() != sorted(first.tolist())


def test_texts_follow_one_another_each_after_an_end():
    rows = text_rows.cut_rows(Words({"<|endoftext|>": END}), ["1 2 3", "4", "5 6", "8"], 3)
    assert rows.tolist() == [[END, 1, 2], [3, END, 4], [END, 5, 6]]


def test_the_end_of_a_text_is_the_models_own_unless_that_ends_a_message():
    assert text_rows.find_end(Words({"<|endoftext|>": 0})) == 0
    assert text_rows.find_end(Words({"</s>": 7})) == 7
    endless = Words({})
    endless.eos_token_id = None
    with pytest.raises(ZooError, match="must have a token that ends a text: got a Words without one"):
        text_rows.find_end(endless)


def test_too_few_texts_are_refused():
    with pytest.raises(ZooError, match="must fill a row of 128 tokens: got 4 tokens"):
        text_rows.cut_rows(Words({"<|endoftext|>": END}), ["1 2 3"], 128)
