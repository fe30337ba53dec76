"""One way to see every model: `hooked(model)` takes ours, TransformerLens's bridge, and nnsight's.

Raises:  ConfigError for a model without the hook interface.
"""

from typing import Any

from arena_lib.interp.models import HookedLM
from arena_lib.interp.nnsight_models import NNsightLM


def hooked(model: Any) -> HookedLM:
    """The model as the functions of this package see it; a `HookedLM` comes back as it is."""
    if isinstance(model, HookedLM):
        return model
    is_traced = not hasattr(model, "run_with_hooks") and hasattr(model, "trace")
    return NNsightLM(model) if is_traced else HookedLM(model)
