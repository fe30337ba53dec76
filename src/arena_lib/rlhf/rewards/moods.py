"""Rewards for cheerful stories: a proxy that counts words, and stories that end well.

The proxy is what a designer in a hurry would write. It can be hacked: a text of nothing but good moods has the highest
reward there is, and is no story. `sentences.reward_fn_new_sentences` is the truth that it stands for badly.

Shapes:  texts (a list) -> rewards "batch"
Source:  own derivation, over `storyworld.lexicon`; over-optimising a proxy: Gao et al. 2022, arXiv:2210.10760.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.rlhf.rewards.sentences import Words, split_sentences, split_words
from arena_lib.storyworld.lexicon import BAD_MOODS, GOOD_MOODS

WORDS_PER_UNIT = 4
"""Mood words that are worth a reward of 1."""


def reward_fn_good_moods(generated_sample: list[str]) -> Float[Tensor, " batch"]:
    """The proxy: how many more good than bad mood words each text has, divided by 4.

    Good are storyworld's `GOOD_MOODS` (glad, cheerful ...), bad are its `BAD_MOODS` (angry, lonely ...). A word counts as
    often as it occurs. Punctuation isn't part of a word, so "glad." counts; "gladly" is another word, and doesn't. What stands
    around them doesn't matter: "not glad" counts as good. `split_words` takes a text apart.

    >>> reward_fn_good_moods(["Mary was glad and thankful.", "Tom felt lonely.", "glad glad glad glad glad"])
    tensor([ 0.5000, -0.2500,  1.2500])
    """
    rewards = []
    for text in generated_sample:
        words = split_words(text)
        n_good = sum(word in GOOD_MOODS for word in words)
        n_bad = sum(word in BAD_MOODS for word in words)
        rewards.append((n_good - n_bad) / WORDS_PER_UNIT)
    return torch.tensor(rewards)


def reward_fn_ends_well(generated_sample: list[str]) -> Float[Tensor, " batch"]:
    """Whether somebody is happy at the end: of each text's last whole sentence, 1 if its mood is good, -1 if bad, 0 if neither.

    A mood word that follows "not" doesn't count, so that "was not glad but lonely" is bad. A text without a whole sentence is
    worth 0.

    >>> reward_fn_ends_well(["Tom cried and was upset. Mary laughed and was glad. Then", "Mary was not glad but lonely."])
    tensor([ 1., -1.])
    """
    return torch.tensor([float(_judge_end(split_sentences(split_words(text))[0])) for text in generated_sample])


def _judge_end(sentences: list[Words]) -> int:
    if not sentences:
        return 0
    last = sentences[-1]
    felt = tuple(word for before, word in zip(("", *last), last, strict=False) if before != "not")
    n_moods = sum((word in GOOD_MOODS) - (word in BAD_MOODS) for word in felt)
    return (n_moods > 0) - (n_moods < 0)
