import pytest

from arena_lib import storyworld, zoo
from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.steering.icl import (
    QUESTION_ANSWER,
    RULE_LIST,
    ICLDataset,
    ICLSequence,
    accuracy,
    answer_tokens,
    decode_each,
    make_prompt,
)

PAIRS = list(storyworld.RULES["adjectives"]["comparative"].items())
TABLE = dict(PAIRS)


def shown_pairs(seq):
    return seq.word_pairs[:-1]


def test_prompt_is_written_as_storyworld_writes_its_lists():
    document = storyworld.tell_rule(storyworld.Chooser(0), rule="comparative", n_pairs=3)
    words = document.words
    pairs = [(words[i], words[i + 2]) for i in range(0, len(words) - 1, 4)]
    prompt, answer = make_prompt(pairs, RULE_LIST)
    tokenizer = zoo.load_tokenizer("tiny-llama")
    assert tokenizer(prompt + answer).input_ids == [0, *storyworld.encode_words(words[:-1])]


def test_questions_go_through_all_pairs_before_one_comes_twice():
    data = ICLDataset(PAIRS[:7], 14, 2, bidirectional=False)
    asked = [seq[-1] for seq in data.seqs]
    assert sorted(asked[:7]) == sorted(asked[7:]) == sorted(PAIRS[:7])
    assert data.completions == [" " + TABLE[x] for x, _ in asked]
    assert len(data) == 14
    assert data[3] is data.seqs[3]


def test_no_pair_shown_shares_a_word_with_the_question():
    opposites = list(storyworld.RULES["adjectives"]["opposite"].items())
    for seq in ICLDataset(opposites, 100, 5, bidirectional=False).seqs:
        assert not {word for pair in shown_pairs(seq) for word in pair} & set(seq[-1])
        assert len({*shown_pairs(seq)}) == 5


def test_bidirectional_turns_about_half_of_the_pairs_round():
    data = ICLDataset(PAIRS, 60, 5)
    turned = [pair not in PAIRS for seq in data.seqs for pair in seq.word_pairs]
    assert 0.4 < sum(turned) / len(turned) < 0.6
    assert not any(pair not in PAIRS for seq in ICLDataset(PAIRS, 20, 5, False).seqs for pair in seq.word_pairs)


def test_corrupted_prompts_ask_the_same_and_show_nothing_right():
    data = ICLDataset(PAIRS, 30, 4, bidirectional=False, seed=3)
    corrupted = data.create_corrupted_dataset()
    assert corrupted.completions == data.completions
    for clean, spoiled in zip(data.seqs, corrupted.seqs, strict=True):
        assert [x for x, _ in clean.word_pairs] == [x for x, _ in spoiled.word_pairs]
        assert all(TABLE[x] != y and y in TABLE.values() for x, y in shown_pairs(spoiled))
    assert data.create_corrupted_dataset().prompts == corrupted.prompts


def test_seed_decides_and_another_one_decides_otherwise():
    first, again, other = (ICLDataset(PAIRS, 9, 3, seed=seed).prompts for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_zero_shot_data_set_asks_without_showing():
    data = ICLDataset(PAIRS, 9, 3, bidirectional=False, form=RULE_LIST)
    zero = data.create_zero_shot_dataset()
    assert all(len(seq) == 1 for seq in zero.seqs)
    assert zero.prompts[0] == f"<|endoftext|> {zero[0][0][0]}:"


def test_demonstrations_may_come_from_other_pairs():
    data = ICLDataset(PAIRS[:5], 10, 4, bidirectional=False, demonstrations=PAIRS[5:20])
    assert all(pair in PAIRS[5:20] for seq in data.seqs for pair in shown_pairs(seq))
    assert all(seq[-1] in PAIRS[:5] for seq in data.create_corrupted_dataset().seqs)
    corrupted = data.create_corrupted_dataset()
    assert all(pair[0] in dict(PAIRS[5:20]) for seq in corrupted.seqs for pair in shown_pairs(seq))


def test_too_few_pairs_are_refused():
    with pytest.raises(ConfigError, match="share no word with it: got 2"):
        ICLDataset(PAIRS[:3], 2, 3, bidirectional=False)
    with pytest.raises(ConfigError, match="got size 0"):
        ICLDataset(PAIRS, 0, 3)
    with pytest.raises(ConfigError, match="0 pairs"):
        ICLDataset([], 2, 0)


def test_sequences_and_data_sets_show_what_they_are():
    seq = ICLSequence([("hot", "cold"), ("big", "small")])
    assert repr(seq) == "ICLSequence('Q: hot\\nA: cold\\n\\nQ: big\\nA:' -> ' small')"
    assert seq.form is QUESTION_ANSWER
    assert repr(ICLDataset(PAIRS, 3, 0)).startswith("ICLDataset(3 prompts, the first is ICLSequence(")


def test_answers_must_be_one_token():
    tokenizer = zoo.load_tokenizer("tiny-llama")
    ids = answer_tokens(tokenizer, [" cold", " bigger"])
    assert decode_each(tokenizer, ids) == [" cold", " bigger"]
    with pytest.raises(TokenError, match="got ' cowardly', which is"):
        answer_tokens(tokenizer, [" cold", " cowardly"])


def test_accuracy_is_the_share_of_right_guesses():
    assert accuracy([" a", " b", " c", "d"], [" a", " x", " c", " d"]) == 0.5
    with pytest.raises(ConfigError, match="got 1 and 2"):
        accuracy([" a"], [" a", " b"])
    with pytest.raises(ConfigError, match="got 0 and 0"):
        accuracy([], [])
