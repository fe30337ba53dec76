import pytest

from arena_lib import zoo
from arena_lib.interp.steering import ICLDataset, answer_tokens
from arena_lib.interp.steering.word_pairs import ANTONYMS


def test_each_word_stands_in_one_pair():
    words = [word for pair in ANTONYMS for word in pair]
    assert len(set(words)) == len(words) == 2 * len(ANTONYMS)


def test_there_are_enough_for_prompts_of_ten_pairs():
    assert len(ICLDataset(ANTONYMS, 5, 10)) == 5


@pytest.mark.real
def test_each_word_is_one_token_of_smollm2():
    if not zoo.is_available("smollm2"):
        pytest.fail("smollm2 is not here: arena zoo fetch smollm2")
    words = [f" {word}" for pair in ANTONYMS for word in pair]
    assert len(answer_tokens(zoo.load_tokenizer("smollm2"), words)) == len(words)
