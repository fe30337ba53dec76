"""Prompts: what a policy is asked to go on from, of one length or of several.

Prompts of uneven length are padded on the left, so that each one's last token stands beside the first token that is drawn.
Padding is hidden by the mask, so it doesn't matter which token it is: a tokenizer without a padding token will do.

Shapes:  tokens, attention_mask "n_prompts n_prompt"
Raises:  TokenError for a prompt without tokens; ConfigError for no prompts; ShapeError and DtypeError for a mask that isn't
         one of these tokens, True at real ones and padding on the left.
Source:  own derivation; the stories are storyworld's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib import storyworld
from arena_lib.errors import ConfigError, DtypeError, ShapeError, TokenError


@dataclass(frozen=True)
class Prompts:
    """Prompts in one tensor; `prompts[idx]` picks some of them."""

    tokens: Int[Tensor, "n_prompts n_prompt"]
    attention_mask: Bool[Tensor, "n_prompts n_prompt"]
    """True at real tokens, False at the padding on their left."""

    def __post_init__(self) -> None:
        if self.attention_mask.shape != self.tokens.shape or self.tokens.ndim != 2:
            raise ShapeError(
                "prompts must be a matrix of tokens with a mask of the same shape: got tokens "
                f"{tuple(self.tokens.shape)} and a mask {tuple(self.attention_mask.shape)}. Use pad_prompts."
            )
        if self.attention_mask.dtype != torch.bool:
            raise DtypeError(
                f"attention_mask must hold booleans, True at real tokens: got {self.attention_mask.dtype}. Call .bool() on it."
            )
        if self.attention_mask.device.type == "cpu" and not self.attention_mask[:, -1:].all():
            row = int((~self.attention_mask[:, -1]).int().argmax())
            raise ShapeError(
                f"prompts must be padded on the left, as what is drawn follows their last place: got padding there in row "
                f"{row}. Use pad_prompts, or a tokenizer with padding_side='left'."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, idx: Int[Tensor, " n"]) -> "Prompts":
        return Prompts(self.tokens[idx], self.attention_mask[idx])

    def to(self, device: torch.device) -> "Prompts":
        """Return the prompts on `device`."""
        return Prompts(self.tokens.to(device), self.attention_mask.to(device))


def pad_prompts(rows: Sequence[Sequence[int]], pad: int = 0) -> Prompts:
    """Token ids of several prompts, padded on the left to the longest.

    >>> pad_prompts([[5, 6], [7]]).tokens
    tensor([[5, 6],
            [0, 7]])
    """
    if not rows:
        raise ConfigError("there must be a prompt at least: got none. Pass a list of lists of token ids.")
    if empty := [idx for idx, row in enumerate(rows) if not len(row)]:
        raise TokenError(
            f"each prompt must hold a token at least: got none in prompt {empty[0]}. Begin it with a start token, or leave "
            "it out."
        )
    longest = max(map(len, rows))
    tokens = [[pad] * (longest - len(row)) + list(row) for row in rows]
    is_real = [[False] * (longest - len(row)) + [True] * len(row) for row in rows]
    return Prompts(torch.tensor(tokens), torch.tensor(is_real))


def make_story_prompts(n_prompts: int, seed: int = 0, split: str = "train") -> Prompts:
    """Beginnings of stories: the end-of-text token, which stands before every document, and a story's first sentence."""
    rows = []
    for idx in range(n_prompts):
        document = storyworld.tell("story", storyworld.Chooser("prompt", seed, idx), split)
        n_words = int((document.labels.sentence == 0).sum())
        rows.append(_encode(document.words[:n_words]))
    return pad_prompts(rows)


def make_holder_prompts(n_prompts: int, seed: int = 0, split: str = "train") -> Prompts:
    """Who holds what, and who gives what to whom, up to a question; the next word answers it.

    `rewards.holders.reward_fn_right_holder` knows the answer.
    """
    rows = []
    for idx in range(n_prompts):
        document = storyworld.tell_holders(storyworld.Chooser("prompt", seed, idx), split)
        rows.append(_encode(document.words[: document.answers[0]]))
    return pad_prompts(rows)


def _encode(words: Sequence[str]) -> list[int]:
    return storyworld.encode_words([storyworld.END_OF_TEXT, *words])
