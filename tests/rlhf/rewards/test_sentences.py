"""All that storyworld says is grammatical; what it can't say isn't."""

import pytest

from arena_lib import storyworld
from arena_lib.rlhf.rewards.sentences import (
    AGREEING,
    PEOPLE,
    PRONOUN_SLOTS,
    begins_sentence,
    fillers,
    is_sentence,
    reward_fn_new_sentences,
    split_sentences,
    split_words,
)
from arena_lib.storyworld.frames import list_frames
from arena_lib.storyworld.lexicon import HELD_OUT_NAMES


@pytest.mark.parametrize("kind", ["story", "indirect_object", "company", "holders", "facts"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_sentence_of_a_document_is_one_and_begins_as_one(kind, split):
    for seed in range(15):
        document = storyworld.tell(kind, storyworld.Chooser("grammar", seed), split)
        sentences, rest = split_sentences(tuple(document.words))
        assert rest == ()
        for sentence in sentences:
            assert is_sentence(sentence), " ".join(sentence)
            assert all(begins_sentence(sentence[:n]) for n in range(1, len(sentence))), " ".join(sentence)


def test_a_sentence_with_a_word_replaced_at_random_is_hardly_ever_one():
    choose, vocabulary = storyworld.Chooser(0), storyworld.list_vocabulary_words()
    n_sentences = n_grammatical = 0
    for seed in range(100):
        for sentence in split_sentences(tuple(storyworld.tell("story", storyworld.Chooser(seed)).words))[0]:
            changed = list(sentence)
            changed[choose.between(0, len(sentence) - 2)] = choose.pick(vocabulary)
            n_sentences += 1
            n_grammatical += is_sentence(tuple(changed))
    assert n_sentences > 400
    assert n_grammatical < 0.1 * n_sentences  # some name for another name, some place for another place


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Tom owned an empty box .", None),
        ("Tom was holding a box .", "Tom was holding an box ."),
        ("Tom owned some red boxes .", "Tom owned a red boxes ."),
        ("The box was with Tom .", "The boxes was with Tom ."),
        ("The boxes were with Tom .", "The box were with Tom ."),
        ("The dog with the boxes has come from the park .", "The dog with the boxes have come from the park ."),
        ("There Tom found the box and took it .", "There Tom found the box and took them ."),
        ("Mary had a hot cup in her hands .", "Mary had a hot cup in his hands ."),
        ("He hurt himself in the park .", "He hurt herself in the park ."),
        ("Tom gave the box to Mary .", "Tom gave the box to Tom ."),
        ("Tom set out and soon he reached the park .", "Tom set out and soon she reached the park ."),
        ("Tom set out and soon Tom reached the park .", "Tom set out and soon Mary reached the park ."),
        ("She felt glad .", "she felt glad ."),
        ("Mary was not upset but glad .", "Mary was not glad but glad ."),
        ("Mary was not glad but cheerful .", "Mary was not glad but tall ."),
        ("Then she took the box .", "Then She took the box ."),
        ("Then Tom gave the box to Mary .", "Then she gave the box to ."),
        ("While Tom and Mary were working in the park , Tom spoke to Mary .", "While Tom and Mary were working in the park ."),
        ("When Tom met Mary in the park , Mary handed the box to Tom .", "When Tom met Tom in the park , Mary spoke to Tom ."),
        ("Who had the box ? Tom .", "Who had the box ?"),
        ("Where was Tom ? In the park .", "Where was Tom ? Tom ."),
    ],
)  # fmt: skip
def test_words_must_agree(right, wrong):
    if wrong is None:  # no frame joins these words
        assert not is_sentence(tuple(right.split()))
    else:
        assert is_sentence(tuple(right.split()))
        assert not is_sentence(tuple(wrong.split()))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("glad glad", False),
        ("Tom the", False),
        ("Then She", False),
        ("The", True),
        ("Then she", True),
        ("When Tom and Mary went to the park ,", True),
        ("When Tom and Mary went to the park , Tom gave", True),
        ("When Tom and Mary went to the park , she", False),
    ],
)
def test_what_a_sentence_can_begin_with(words, expected):
    assert begins_sentence(tuple(words.split())) == expected


def test_every_slot_has_words_and_held_out_people_are_people():
    slots = {piece for frame in list_frames() for piece in frame.split() if piece[0] == "{"}
    assert all(fillers(slot, is_first=False) for slot in slots)
    assert slots >= PEOPLE | set(PRONOUN_SLOTS) | set(AGREEING)
    assert fillers("{R}", is_first=False) >= HELD_OUT_NAMES


def test_the_reward_is_the_share_of_good_new_sentences():
    texts = [
        "Mary felt glad. Tom felt lonely.",
        "Mary felt glad. Mary felt glad. Mary felt glad.",
        "Mary felt glad. glad glad.",
        "Mary felt glad. Then she",
        "Mary felt glad. she she",
        "Then she",
        "",
    ]
    assert reward_fn_new_sentences(texts).tolist() == pytest.approx([1, 1 / 3, 1 / 2, 1, 1 / 2, 0, 0])


def test_texts_are_split_as_the_tokenizer_joins_them():
    document = storyworld.tell("story", storyworld.Chooser(3))
    joined = "".join(word if word in ".,?:" else f" {word}" for word in document.words)
    assert split_words(joined) == tuple(document.words)
    assert split_words("a<b 12é_") == ("a", "<", "b", "1", "2", "é", "_")
