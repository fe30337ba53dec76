import torch

from arena_lib.saes.truth.labels import VARIABLES, make_labelled_rows
from arena_lib.storyworld.lexicon import GENDER
from arena_lib.storyworld.tokenizer import vocabulary

ROWS = make_labelled_rows(40, 96, seed=3)
WORDS = {idx: word for word, idx in vocabulary().items()}
BY_NAME = {variable.name: variable for variable in ROWS.variables}


def words_where(mask):
    return [WORDS[int(token)] for token in ROWS.tokens[mask]]


def test_every_variable_has_values_within_its_classes():
    assert list(BY_NAME) == list(VARIABLES)
    for variable in ROWS.variables:
        assert variable.values.shape == variable.is_counted.shape == ROWS.tokens.shape
        assert variable.values.min() == -1
        assert variable.values.max() < len(variable.classes)


def test_names_are_where_the_tokens_are_names():
    name = BY_NAME["name"]
    where = name.values >= 0
    assert words_where(where) == [name.classes[int(value)] for value in name.values[where]]
    assert not set(words_where(~where)) & set(GENDER)


def test_the_word_after_a_name_follows_one():
    after = BY_NAME["after a name"].values == 0
    assert torch.equal(after[:, 1:], (BY_NAME["name"].values >= 0)[:, :-1] & (ROWS.tokens[:, 1:] != 0))


def test_carried_variables_are_not_counted_where_a_word_states_them():
    for name in ("subject", "holder of the thing named last", "plural subject"):
        assert not set(words_where(BY_NAME[name].is_counted)) & set(GENDER)
    places = set(BY_NAME["place of the subject"].classes)
    assert not set(words_where(BY_NAME["place of the subject"].is_counted)) & places


def test_end_of_text_is_nowhere_counted():
    for variable in ROWS.variables:
        assert not variable.is_counted[ROWS.tokens == 0].any()


def test_the_holder_is_who_the_grammar_says():
    from arena_lib import storyworld

    document = storyworld.tell("holders", storyworld.Chooser(1))
    holders, counted = VARIABLES["holder of the thing named last"][2](document)
    asked = len(document.words) - 1 - document.words[::-1].index("?")
    assert holders[asked] == document.facts["correct"]
    assert counted[asked]


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    assert torch.equal(make_labelled_rows(2, 32, seed=1).tokens, make_labelled_rows(2, 32, seed=1).tokens)
    assert not torch.equal(make_labelled_rows(2, 32, seed=1).tokens, make_labelled_rows(2, 32, seed=2).tokens)
