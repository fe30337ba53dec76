from collections import Counter
from dataclasses import replace

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, TokenError, UnknownNameError
from arena_lib.interp.ioi import ENGLISH, STORYWORLD, IOIDataset, IOIWords, keep_single_tokens, make_ioi_dataset


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def dataset(tokenizer, words):
    return make_ioi_dataset(tokenizer, 24, generator=seeded(), words=words)


def spelled(dataset, row, position):
    return dataset.tokenizer.decode([int(dataset.toks[row, position])]).strip()


def test_the_names_stand_at_their_positions(dataset):
    for row, prompt in enumerate(dataset.prompts):
        assert spelled(dataset, row, dataset.at("IO")[row]) == prompt.io
        assert spelled(dataset, row, dataset.at("S1")[row]) == prompt.subject
        assert spelled(dataset, row, dataset.at("S2")[row]) == prompt.subject
        assert spelled(dataset, row, dataset.at("end")[row]) == "to"
        assert dataset.at("S1")[row] < dataset.at("S2")[row]
        assert (dataset.at("IO")[row] < dataset.at("S1")[row]) == prompt.is_io_first


def test_neighbours_stand_beside_their_names(dataset):
    for role in ("IO", "S1", "S2"):
        assert torch.equal(dataset.at(f"{role}+1"), dataset.at(role) + 1)
        assert torch.equal(dataset.at(f"{role}-1"), dataset.at(role) - 1)
    assert dataset.at("start").tolist() == [0] * 24


def test_answers_are_the_tokens_of_the_indirect_object_and_the_subject(dataset):
    rows = torch.arange(24)
    assert torch.equal(dataset.answer_tokens[:, 0], dataset.toks[rows, dataset.at("IO")])
    assert torch.equal(dataset.answer_tokens[:, 1], dataset.toks[rows, dataset.at("S1")])
    assert torch.equal(dataset.answer_tokens, torch.stack([dataset.io_tokens, dataset.s_tokens], dim=1))


def test_templates_and_forms_are_balanced_against_each_other(dataset):
    counts = Counter((prompt.template_idx, prompt.is_io_first) for prompt in dataset.prompts)
    assert set(counts.values()) == {6}
    assert dataset.groups.tolist() == [prompt.template_idx for prompt in dataset.prompts]


@pytest.mark.parametrize(("form", "is_io_first"), [("ABBA", True), ("BABA", False)])
def test_one_form_alone_goes_through_the_templates_in_turn(tokenizer, words, form, is_io_first):
    dataset = make_ioi_dataset(tokenizer, 5, generator=seeded(), words=words, form=form)
    assert [prompt.is_io_first for prompt in dataset.prompts] == [is_io_first] * 5
    assert dataset.groups.tolist() == [0, 1, 0, 1, 0]


def test_prompts_of_other_lengths_are_filled_up_behind_their_end(dataset):
    ends = dataset.at("end")
    assert len(ends.unique()) == 2
    for row in range(24):
        assert dataset.toks[row, ends[row] + 1 :].eq(0).all()


def test_the_seed_decides(tokenizer, words):
    first, again, other = (make_ioi_dataset(tokenizer, 6, generator=seeded(s), words=words) for s in (1, 1, 2))
    assert first.sentences == again.sentences
    assert first.sentences != other.sentences


def test_swapping_givers_keeps_the_sentence_up_to_the_giver_and_turns_the_answer(dataset):
    swapped = dataset.swap_givers()
    assert torch.equal(swapped.answer_tokens, dataset.answer_tokens.flip(1))
    rows = torch.arange(24)
    changed = swapped.toks != dataset.toks
    assert changed.sum(dim=1).eq(1).all()
    assert changed[rows, dataset.at("S2")].all()
    assert torch.equal(swapped.at("IO"), dataset.at("S1"))


def test_swapping_the_order_keeps_people_and_answers(dataset):
    swapped = dataset.swap_order()
    assert torch.equal(swapped.answer_tokens, dataset.answer_tokens)
    assert torch.equal(swapped.at("IO"), dataset.at("S1"))
    assert torch.equal(swapped.at("S2"), dataset.at("S2"))
    assert [prompt.is_io_first for prompt in swapped.prompts] == [not prompt.is_io_first for prompt in dataset.prompts]


def test_renaming_keeps_the_form_and_no_name(dataset, words):
    renamed = dataset.rename(seeded(3), words.names)
    for role, places in dataset.word_idx.items():
        assert torch.equal(renamed.at(role), places)
    for old, new in zip(dataset.prompts, renamed.prompts, strict=True):
        assert new.giver == new.subject != new.io
        assert not {new.io, new.subject} & {old.io, old.subject}
        assert new.text.replace(new.io, old.io).replace(new.subject, old.subject) == old.text


def test_abc_has_three_other_names_in_the_same_places(dataset, words):
    abc = dataset.abc(seeded(3), words.names)
    rows = torch.arange(24)
    assert torch.equal(abc.groups, dataset.groups)
    for role, places in dataset.word_idx.items():
        assert torch.equal(abc.at(role), places)
    changed = abc.toks != dataset.toks
    assert changed.sum(dim=1).eq(3).all()
    names = torch.stack([abc.toks[rows, dataset.at(role)] for role in ("IO", "S1", "S2")], dim=1)
    for row in range(24):
        assert len(set(names[row].tolist())) == 3
        assert not set(names[row].tolist()) & set(dataset.answer_tokens[row].tolist())


def test_without_a_first_token_everything_moves_by_one(tokenizer, words, dataset):
    bare = make_ioi_dataset(tokenizer, 24, generator=seeded(), words=words, prepend_bos=False)
    assert torch.equal(bare.at("S2"), dataset.at("S2") - 1)
    assert bare.toks.shape[1] == dataset.toks.shape[1] - 1


def test_a_position_is_one_number_where_all_prompts_agree(tokenizer, words, dataset):
    one = replace(words, templates=words.templates[:1])
    aligned = make_ioi_dataset(tokenizer, 8, generator=seeded(), words=one)
    assert aligned.position("S2") == int(aligned.at("S2")[0])
    with pytest.raises(ShapeError, match="one position in all prompts"):
        dataset.position("end")


def test_the_shipped_templates_align():
    for words in (STORYWORLD, ENGLISH):
        shapes = {
            tuple(part for part in template.replace(",", " ,").split() if part[0] == "{")
            for template in words.templates
        }
        places = {
            tuple(i for i, part in enumerate(template.replace(",", " ,").split()) if part[0] == "{")
            for template in words.templates
        }
        assert len(shapes) == len(places) == 1


def test_words_of_several_tokens_are_left_out(tokenizer):
    assert keep_single_tokens(tokenizer, ["Ann", "Otto", "Bob"]) == ("Ann", "Bob")


def test_an_answer_of_several_tokens_is_refused(tokenizer, words):
    with pytest.raises(TokenError, match="must be one token: got ' Otto', which is 2"):
        make_ioi_dataset(tokenizer, 4, generator=seeded(), words=replace(words, names=("Otto", "Ann")))


def test_a_name_that_is_another_word_too_is_refused(tokenizer, words):
    with pytest.raises(TokenError, match="must be 1 of the prompt's tokens"):
        make_ioi_dataset(tokenizer, 4, generator=seeded(), words=replace(words, names=("gave", "met")))


def test_templates_must_have_every_slot():
    with pytest.raises(ConfigError, match="must have each of"):
        IOIWords(templates=("When {A} met {B}, {S} gave to",), names=("Ann",), places=("park",), objects=("cup",))


def test_too_few_names_are_refused(tokenizer, words, dataset):
    with pytest.raises(ConfigError, match="2 different names must be there"):
        make_ioi_dataset(tokenizer, 1, generator=seeded(), words=replace(words, names=("Ann", "Ann")))
    with pytest.raises(ConfigError, match="3 different names"):
        dataset.abc(seeded(), ("Ann", "Bob"))


def test_roles_and_forms_that_do_not_exist_are_refused(tokenizer, words, dataset):
    with pytest.raises(UnknownNameError, match="Did you mean 'S1-1'"):
        dataset.at("S11")
    with pytest.raises(ConfigError, match="got 'ABAB'"):
        make_ioi_dataset(tokenizer, 1, generator=seeded(), words=words, form="ABAB")
    with pytest.raises(ConfigError, match="got none"):
        IOIDataset([], tokenizer)
