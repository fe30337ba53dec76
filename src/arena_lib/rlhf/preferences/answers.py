"""Answers to prompts as tokens, and pairs of answers of which one was preferred.

Shapes:  tokens, attention_mask "batch seq" with seq = n_prompt + gen_len; is_response "batch gen_len"
Raises:  ShapeError for masks and pairs that don't fit, or pairs of different prompts; TokenError for an answer without tokens.
Source:  own derivation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.core.batches import Movable, ShuffledBatches
from arena_lib.errors import ShapeError, TokenError
from arena_lib.rlhf.rollouts import Rollouts


@dataclass(frozen=True)
class Answers:
    """Prompts, padded on the left, each with one answer, filled on the right."""

    tokens: Int[Tensor, "batch seq"]
    """Prompts, then answers."""
    attention_mask: Bool[Tensor, "batch seq"]
    """True at real tokens: neither padding of the prompt nor what fills a row after its answer."""
    n_prompt: int
    """Where answers begin: how many tokens stand before, padding included."""

    def __post_init__(self) -> None:
        if self.attention_mask.shape != self.tokens.shape or not 1 <= self.n_prompt < self.tokens.shape[1]:
            raise ShapeError(
                "answers must have a mask of their tokens' shape, and a prompt that leaves room for them: got tokens "
                f"{tuple(self.tokens.shape)}, a mask {tuple(self.attention_mask.shape)} and n_prompt {self.n_prompt}. "
                "Use make_answers, or rollouts' own tokens and masks."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Int[Tensor, " n"] | slice) -> "Answers":
        return Answers(self.tokens[rows], self.attention_mask[rows], self.n_prompt)

    @property
    def is_response(self) -> Bool[Tensor, "batch gen_len"]:
        """Which of the tokens after the prompt belong to the answer, its end-of-text included."""
        return self.attention_mask[:, self.n_prompt :]

    def to(self, device: torch.device | str) -> "Answers":
        """Return the answers on `device`."""
        return Answers(self.tokens.to(device), self.attention_mask.to(device), self.n_prompt)


def make_answers(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], filling: int = 0) -> Answers:
    """Answers of token ids, one for each prompt; an end-of-text that ended an answer is its last token.

    >>> answers = make_answers([[5, 6], [7]], [[8], [9, 10, 0]])
    >>> answers.tokens
    tensor([[ 5,  6,  8,  0,  0],
            [ 0,  7,  9, 10,  0]])
    >>> answers.is_response
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    if len(prompts) != len(responses) or not len(prompts):
        raise ShapeError(f"each prompt must have one answer: got {len(prompts)} and {len(responses)}. Repeat prompts.")
    for kind, texts in (("prompt", prompts), ("answer", responses)):
        if empty := [i for i, text in enumerate(texts) if not len(text)]:
            raise TokenError(f"each {kind} must have a token: got none in {kind} {empty[0]}. Put an end-of-text there.")
    n_prompt, gen_len = max(map(len, prompts)), max(map(len, responses))
    tokens = torch.full((len(prompts), n_prompt + gen_len), filling)
    is_real = torch.zeros_like(tokens, dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        place = slice(n_prompt - len(prompt), n_prompt + len(response))
        tokens[row, place] = torch.tensor([*prompt, *response])
        is_real[row, place] = True
    return Answers(tokens, is_real, n_prompt)


def answers_from_rollouts(rollouts: Rollouts) -> Answers:
    """What a policy drew, as answers: what fills rows after an end-of-text is masked."""
    attention_mask = rollouts.attention_mask.clone()
    attention_mask[:, rollouts.n_prompt :] = rollouts.is_response
    return Answers(rollouts.tokens, attention_mask, rollouts.n_prompt)


@dataclass(frozen=True)
class PreferencePairs:
    """Row i of `chosen` was preferred to row i of `rejected`, an answer to the same prompt."""

    chosen: Answers
    """The preferred answers."""
    rejected: Answers
    """The others."""

    def __post_init__(self) -> None:
        shapes = [(tuple(side.tokens.shape), side.n_prompt) for side in (self.chosen, self.rejected)]
        if shapes[0] != shapes[1]:
            raise ShapeError(
                f"chosen and rejected answers must have the same shape and n_prompt: got {shapes[0]} and {shapes[1]}. Take "
                "both from one Answers, as make_pairs does."
            )
        self._require_same_prompts()

    def _require_same_prompts(self) -> None:
        chosen, rejected = self.chosen, self.rejected
        if chosen.tokens.device.type != "cpu":  # looking would wait for the device
            return
        masks = [side.attention_mask[:, : side.n_prompt].bool() for side in (chosen, rejected)]
        differ = (masks[0] != masks[1]) | (chosen.tokens != rejected.tokens)[:, : chosen.n_prompt] & masks[0]
        if differ.any():
            raise ShapeError(
                "chosen and rejected answers must belong to the same prompt: got different ones in row "
                f"{int(differ.any(dim=1).int().argmax())}. Compare answers to one prompt, as make_pairs does."
            )

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: Int[Tensor, " n"] | slice) -> "PreferencePairs":
        return PreferencePairs(self.chosen[rows], self.rejected[rows])

    @property
    def both(self) -> Answers:
        """The chosen answers, then the rejected ones: for one pass of a model over all."""
        chosen, rejected = self.chosen, self.rejected
        tokens = torch.cat([chosen.tokens, rejected.tokens])
        return Answers(tokens, torch.cat([chosen.attention_mask, rejected.attention_mask]), chosen.n_prompt)

    def to(self, device: torch.device | str) -> "PreferencePairs":
        """Return the pairs on `device`."""
        return PreferencePairs(self.chosen.to(device), self.rejected.to(device))


@runtime_checkable
class Rows(Protocol):
    """What has rows: pairs, or pairs with what a reference model says of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Movable: ...


class RowBatches:
    """Batches of rows, in a new random order each epoch; a last, smaller batch is left out.

    A `Trainer` keeps the place in the epoch in its checkpoints.
    """

    def __init__(self, data: Rows, batch_size: int) -> None:
        self.data = data
        self._rows = ShuffledBatches(torch.arange(len(data))[:, None], batch_size)
        self.state_dict, self.load_state_dict = self._rows.state_dict, self._rows.load_state_dict

    def __call__(self, generator: torch.Generator) -> Movable:
        """Return the next batch."""
        return self.data[self._rows(generator).tokens[:, 0]]
