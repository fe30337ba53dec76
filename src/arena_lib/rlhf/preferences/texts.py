"""A trained reward model as a reward function of texts, which the trainers of `arena_lib.rlhf` take.

Texts are encoded in one way for training and for use: the beginning-of-sequence token, then the text, without a token for
its end, which trainers leave out of the texts that they hand over.

Shapes:  texts (a list) -> rewards "batch"
Raises:  what the tokenizer and the model raise, for texts that are too long for instance.
Source:  own derivation.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.rlhf.preferences.answers import Answers
from arena_lib.rlhf.preferences.ensembles import RewardEnsemble
from arena_lib.rlhf.preferences.reward_model import RewardModel
from arena_lib.rlhf.rewards.checking import RewardFn
from arena_lib.transformer.fast.model import Transformer


def encode_texts(transformer: Transformer, texts: list[str]) -> Answers:
    """Texts as answers to a prompt of one token, the beginning of a sequence; rows are filled on the right.

    Pairs of them train a reward model that judges texts later: `make_pairs(encode_texts(transformer, texts), ...)`.
    """
    tokens, is_real = transformer.to_padded_tokens(texts, prepend_bos=True, padding_side="right")
    if tokens.shape[1] < 2:  # all texts are empty: room for an answer
        tokens, is_real = (torch.nn.functional.pad(x, (0, 1)) for x in (tokens, is_real))
    return Answers(tokens, is_real, n_prompt=1)


def make_reward_fn(model: RewardModel | RewardEnsemble, batch_size: int = 256) -> RewardFn:
    """The model's reward of each text, in evaluation mode and without gradients."""
    first: Any = model.models[0] if isinstance(model, RewardEnsemble) else model  # a learner's own class, too
    transformer = first.transformer

    def learned_reward(texts: list[str]) -> Float[Tensor, " batch"]:
        return model.score(encode_texts(transformer, texts), batch_size)

    return learned_reward
