"""The small random models that this section's judges run, and how they look at hooks and sweeps.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab".
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking.observing import Observations, count_hooks, hooks_in_words
from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

__test__ = False

D_VOCAB = 17
N_CTX = 8
GPT2_CONFIG = GPT2Config(d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=3, d_head=6, d_mlp=14)
LLAMA_CONFIG = LlamaConfig(
    d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=12, n_layers=3, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=9
)
ATTENTION_ONLY_CONFIG = AttentionOnlyConfig(d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=10, n_layers=2, n_heads=3, d_head=5)


def make_model(cfg: Any, generator: torch.Generator) -> Transformer:
    """A model in which no weight, bias or gain is zero or one. It needs no gradients."""
    forms = {GPT2Config: GPT2, LlamaConfig: Llama, AttentionOnlyConfig: AttentionOnly}
    model: Transformer = forms[type(cfg)](cfg)
    for parameter in model.requires_grad_(False).parameters():
        parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    return model


def make_tokens(batch: int, seq: int, generator: torch.Generator) -> Tensor:
    """Prompts of random tokens."""
    return torch.randint(0, D_VOCAB, (batch, seq), generator=generator)


def contrast(logits: Tensor) -> Tensor:
    """A metric with weights of its own for each prompt, which reads two positions."""
    weights = torch.arange(1, logits.shape[0] + 1).to(logits)
    return (weights * (logits[:, -1, 3] - logits[:, -1, 8] + 0.5 * logits[:, 0, 2].tanh())).sum()


def hook_at(name: str) -> HookPoint:
    """A place of this name."""
    place = HookPoint()
    place.name = name
    return place


def make_cache(tensors: dict[str, Tensor]) -> ActivationCache:
    """A cache of these, which also goes by short names: `cache["z", 1]`."""
    weight = torch.nn.Parameter(torch.zeros(1))
    model = SimpleNamespace(
        derivations={},
        cfg=SimpleNamespace(n_layers=1 + max(map(layer_of, tensors))),
        ln_final=SimpleNamespace(w=weight),
        unembed=SimpleNamespace(W_U=weight),
        blocks=[],
    )
    return ActivationCache(model, list(tensors), tensors)


def whole_cache(model: Transformer, tokens: Tensor) -> ActivationCache:
    """The cache of a run, with all that is made when it is first asked for: whoever reads it changes nothing."""
    cache = model.run_with_cache(tokens)[1]
    for name in cache:
        cache[name]
    return cache


def layer_of(name: str) -> int:
    """The layer in a hook's name."""
    return hook_at(name).layer()


def what_goes_on(
    function: Callable[..., Any],
    tensor: Tensor,
    hook: HookPoint,
    *args: Any,
    caches: Mapping[str, Mapping[str, Tensor]],
) -> Observations:
    """What the model reads after the hook, which may write or return; and whether it left the caches alone.

    Args:
        caches: those among `args`, by the name that the learner knows them under.
    """
    before, own = _copies(caches), tensor.clone()
    returned = function(own, hook, *args)
    result = own if returned is None else returned
    seen = {"activation after the hook": result.clone() if isinstance(result, Tensor) else result}
    return seen | {"caches changed in place": _changed(caches, before)}


def what_a_sweep_gives(
    function: Callable[..., Any], model: Transformer, *args: Any, caches: Mapping[str, Mapping[str, Tensor]]
) -> Observations:
    """The result, and what is left behind: hooks on the model, changed caches."""
    before = _copies(caches)
    try:
        results = function(*args)
        n_left = count_hooks(model)
    finally:
        model.reset_hooks(including_permanent=True)
    return {
        "result": results.detach() if isinstance(results, Tensor) else results,
        "caches changed in place": _changed(caches, before),
        "hooks left on the model": hooks_in_words(n_left),
    }


def _copies(caches: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {label: {name: value.clone() for name, value in cache.items()} for label, cache in caches.items()}


def _changed(caches: Mapping[str, Mapping[str, Tensor]], before: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """The caches that hold other values than before; they get those back, since the next call reads them too."""
    changed = []
    for label, kept in before.items():
        for name, value in kept.items():
            if not torch.equal(caches[label][name], value):
                caches[label][name].copy_(value)
                changed.append(label)
    return sorted(set(changed))
