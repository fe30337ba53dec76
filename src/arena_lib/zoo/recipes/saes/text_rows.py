"""Real texts as rows of tokens, for an autoencoder of a model that reads English.

The texts of several sets are shuffled, joined with the token that ends a text before each of them, and cut into rows. A
text in twenty is held out, for measuring.

Shapes:  texts -> tokens "n_rows seq"
Raises:  FetchError for texts that were not fetched; ZooError for a tokenizer without a token that ends a text, or for
         too few texts.
Source:  own derivation.
"""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.errors import ZooError
from arena_lib.zoo.datasets import load_dataset

HELD_OUT = 20
"""One text in so many is kept for measuring."""
ORDER_SEED = 0
"""Of the order of the texts; every recipe has the same one, so that no recipe trains on what another is measured on."""


class TextRows(NamedTuple):
    """Rows that are cut from texts; no text is in both."""

    train: Int[Tensor, "n_rows seq"]
    """To train on."""
    held_out: Int[Tensor, "n_held_out seq"]
    """To measure on."""


def make_text_rows(tokenizer: Any, sets: Sequence[str], seq: int) -> TextRows:
    """The rows of these sets of `zoo.load_dataset`; what is left at the end and fills no row is left out."""
    texts = [text.prompt for name in sets for text in load_dataset(name)]
    random.Random(ORDER_SEED).shuffle(texts)
    kept = [text for idx, text in enumerate(texts) if idx % HELD_OUT]
    return TextRows(cut_rows(tokenizer, kept, seq), cut_rows(tokenizer, texts[::HELD_OUT], seq))


def cut_rows(tokenizer: Any, texts: Sequence[str], seq: int) -> Int[Tensor, "n_rows seq"]:
    """The texts one after the other, each after a token that ends a text, cut into rows of `seq` tokens."""
    end = find_end(tokenizer)
    stream = [token for ids in tokenizer(list(texts))["input_ids"] for token in (end, *ids)]
    n_rows = len(stream) // seq
    if not n_rows:
        raise ZooError(f"the texts must fill a row of {seq} tokens: got {len(stream)} tokens. Take more texts.")
    return torch.tensor(stream[: n_rows * seq]).view(n_rows, seq)


def find_end(tokenizer: Any) -> int:
    """The token that stood between texts when the model was trained.

    A chat model's own end token ends a message of a chat; `<|endoftext|>` is then another one.
    """
    ids = tokenizer.get_vocab()
    end = ids.get("<|endoftext|>", tokenizer.eos_token_id)
    if end is None:
        raise ZooError(
            f"the tokenizer must have a token that ends a text: got a {type(tokenizer).__name__} without one. Set its eos_token."
        )
    return int(end)
