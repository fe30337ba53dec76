"""One way to see every model: `hooked(model)` takes ours, TransformerLens's bridge, and nnsight's.

Prompts of uneven length go through any function of this package as one batch:

    tokens, attention_mask = model.to_padded_tokens(prompts)
    model = padded(model, attention_mask)
    logits, labels = logit_lens(model, tokens)

Each prompt then gets what it gets alone. Positions count from its own first token, and results by
position have a column for each column of `tokens`.

Raises:  ConfigError for a model without the hook interface, or padded prompts on a bridge of a family that doesn't
         heed their mask; ShapeError for padding that isn't on the left.
"""

from copy import copy
from typing import Any

from arena_lib.errors import ShapeError
from arena_lib.interp.bridge_models import BridgeLM
from arena_lib.interp.models import HookedLM
from arena_lib.interp.nnsight_models import NNsightLM
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask, read_mask


def hooked(model: Any) -> HookedLM:
    """The model as the functions of this package see it; a `HookedLM` comes back as it is."""
    if isinstance(model, HookedLM):
        return model
    if isinstance(model, Transformer):
        return HookedLM(model)
    is_traced = not hasattr(model, "run_with_hooks") and hasattr(model, "trace")
    return NNsightLM(model) if is_traced else BridgeLM(model)


def padded(model: Any, attention_mask: Mask) -> HookedLM:
    """The model for prompts that are padded on the left: every run of it gets their mask.

    Padding on the right needs none of this, since no token of a causal model sees what follows it:
    say where each prompt ends (`read_at`, `end`).
    """
    lm = copy(hooked(model))
    batch, seq = attention_mask.shape
    is_real = read_mask(attention_mask, batch, seq, lm.device)
    if is_real is not None and not is_real[:, -1].all():
        raise ShapeError(
            "padding must stand on the left, so that every prompt ends at the last position: got padding on the right "
            f"of row {int((~is_real[:, -1]).int().argmax())}. Move it with pad_left(tokens, attention_mask)."
        )
    if is_real is not None:
        lm.pad(is_real)
    return lm
