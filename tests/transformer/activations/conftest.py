"""A cache of everything, for the tests of caches."""

import pytest
import torch

from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.fast.model import Transformer


@pytest.fixture
def cache(any_model: Transformer, tokens: torch.Tensor) -> ActivationCache:
    with torch.no_grad():
        return any_model.run_with_cache(tokens)[1]
