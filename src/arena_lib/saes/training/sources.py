"""Batches of tokens from texts, shuffled anew in each epoch, padded to the longest of each batch.

    source = TextBatches(model, ["Mary gave the ball to John.", ...], batch_size=16)

Tokens that are at hand come from `core.batches.ShuffledBatches` or `random_windows`, Storyworld without end from
`zoo.recipes.StoryBatches`.

Shapes:  texts -> tokens "batch seq", attention_mask "batch seq"
Raises:  ConfigError for too few texts; what `to_padded_tokens` raises for a text without tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.core.batches import ShuffledBatches
from arena_lib.errors import ConfigError


class TextBatches:
    """Batches of texts, tokenized when they are needed; a last, smaller batch of an epoch is left out.

    A text of more than `n_ctx` tokens is cut there.
    """

    def __init__(self, model: Any, texts: Sequence[str], batch_size: int = 16, n_ctx: int | None = None) -> None:
        if isinstance(texts, str) or not hasattr(model, "to_padded_tokens"):
            raise ConfigError(
                f"TextBatches needs a model with to_padded_tokens and a list of texts: got {type(model).__name__} and "
                f"{type(texts).__name__}. Load the model with arena_lib.zoo.load, and pass [text] for a single text."
            )
        self.model, self.texts = model, texts
        self.n_ctx = getattr(model.cfg, "n_ctx", None) if n_ctx is None else n_ctx
        self._order = ShuffledBatches(torch.arange(len(texts))[:, None], batch_size)

    def __call__(self, generator: torch.Generator) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
        """The next texts as tokens, padded on the right, and which tokens are real."""
        texts = [self.texts[idx] for idx in self._order(generator).tokens.squeeze(1).tolist()]
        tokens, is_real = self.model.to_padded_tokens(texts, padding_side="right")
        return tokens[:, : self.n_ctx], is_real[:, : self.n_ctx]

    def state_dict(self) -> dict[str, Any]:
        """The place in the current epoch."""
        return self._order.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place that `state_dict` returned."""
        self._order.load_state_dict(state)
