"""A reward for the right answer: who has the thing that the story's question asks about.

Shapes:  texts (a list) -> rewards "batch"
Source:  own derivation, over the documents of `storyworld.tell_holders`.
Differs: reads the sentences of those documents alone. Where anything else tells who has a thing, it is overlooked.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.rlhf.rewards.sentences import Words, fits, split_sentences, split_words
from arena_lib.storyworld.frames import HOLDER_MOVES, HOLDER_STARTS, split_frame


def reward_fn_right_holder(generated_sample: list[str]) -> Float[Tensor, " batch"]:
    """1 where the last question of a text about who has a thing is answered rightly, 0 elsewhere.

    The texts must be whole, prompts with answers. Only the word after the question mark counts.

    >>> reward_fn_right_holder(["Tom had the ball. Tom gave the ball to Mary. Who had the ball? Mary."])
    tensor([1.])
    """
    return torch.tensor([float(_is_right(split_words(text))) for text in generated_sample])


def _is_right(words: Words) -> bool:
    if "?" not in words[:-1]:
        return False
    mark = len(words) - 1 - words[::-1].index("?")
    sentences, question = split_sentences(words[:mark])
    thing = next((word for word in reversed(question) if word != "now"), "")
    holder = read_holders(sentences).get(thing)
    return holder is not None and words[mark + 1] == holder


def read_holders(sentences: list[Words]) -> dict[str, str]:
    """Who has each thing in the end, of those that the sentences tell of.

    >>> read_holders([("Tom", "had", "the", "ball", "."), ("Amy", "took", "the", "ball", "from", "Tom", ".")])
    {'ball': 'Amy'}
    """
    holders: dict[str, str] = {}
    for sentence in sentences:
        for table, slot in ((HOLDER_STARTS, "{S}"), (HOLDER_MOVES, "{R}")):
            for frame in map(split_frame, (*table[0], *table[1])):
                if fits(frame, sentence):
                    filled = dict(zip(frame, sentence, strict=True))
                    holders[filled["{o}"]] = filled[slot]
    return holders
