"""What functions of `arena_lib.interp` take for granted about a model, each measured on that very model.

GPT-2's and Llama's forms have all of it. Other families differ in one place or another: Gemma 2 normalises what
heads write, OLMo 2 has no norm before attention. `BridgeLM` (`bridge_models.py`) asks for an assumption where a
function relies on it; the first time, a run of twelve tokens shows by how much it is off.

Shapes:  tokens "3 4", spread over the vocabulary.
Raises:  ConfigError for an assumption that the model breaks, with the size of the error and what to do.
Source:  own derivation. Families: docs/interp_by_family.md.
"""

import warnings
from collections.abc import Callable
from copy import copy
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.transformer.activations.hooks import HookSpec

if TYPE_CHECKING:
    from arena_lib.interp.models import HookedLM

TOLERANCE = 1e-4
"""The largest error, as a share of the largest entry, that counts as rounding in float32."""
ROUNDINGS = 8
"""How many roundings of a coarser dtype an error may amount to."""
LARGE_LOGIT = 300.0
"""Logits to which unembedding is stretched, so that a softcap, at 30 in Gemma 2, shows."""
TEST_SCORE = 3.0
"""The size of the attention scores, times the root of d_head, on which their formula is tested."""


class Assumption(Enum):
    """Something that must hold for a function to be right; its value says it in words."""

    STREAM = "what attention and MLPs write must add up to the residual stream"
    HEADS = "what heads write must be their z through W_O, with nothing after it"
    VALUES = "a head's z must be its values, weighted by its pattern"
    PATTERN = "a hook that changes a head's pattern must change its z"
    READS = "heads must read the stream that enters their layer, through ln1, W_Q, W_K and W_V"
    MLP = "an MLP must read, through its norm, the stream after its own layer's attention, or beside it"
    SCORES = "attention scores must be queries times keys, with nothing between"
    EMBED = "a token must enter the stream as its row of W_E, times one number"
    LINEAR = "logits must be the final norm's output through W_U, with nothing after it"
    LOGITS = "logits must be what final norm and unembedding make of the stream"
    RESUME = "a run must be able to start at a layer"
    PADDING = "a padded prompt must get what it gets alone"


ADVICE = (
    "Use a function that only runs the model with hooks; docs/interp_by_family.md lists what works on which family."
)


def check(lm: "HookedLM", assumption: Assumption) -> float:
    """Raise ConfigError if the model breaks the assumption; returns the factor of `EMBED`, and 1 for all others.

    A model that keeps an assumption is not measured again; one that breaks it is, for it may have been a hook's fault.
    """
    held = _HELD.setdefault(lm.model, {})
    if assumption not in held:
        try:
            error, factor = measure(lm, assumption)
        except Exception as problem:  # another library's code, which may fail in any way
            raise _refusal(lm, assumption, f"it can't be computed ({type(problem).__name__}: {problem})") from problem
        if not error <= tolerance(lm):
            raise _refusal(lm, assumption, f"the error is {error:.2g} of the largest entry")
        held[assumption] = factor
    return held[assumption]


_HELD: "WeakKeyDictionary[Any, dict[Assumption, float]]" = WeakKeyDictionary()


def measure(lm: "HookedLM", assumption: Assumption) -> tuple[float, float]:
    """How far off the assumption is, as a share of the largest entry; and the factor of `EMBED`."""
    training = [module for module in lm.model.modules() if module.training]
    lm.model.eval()
    try:
        with torch.no_grad():
            return _MEASURES[assumption](lm)
    finally:
        for module in training:
            module.training = True


def tolerance(lm: "HookedLM") -> float:
    """The largest error that counts as rounding in the model's dtype."""
    return max(TOLERANCE, ROUNDINGS * torch.finfo(next(lm.model.parameters()).dtype).eps)


def family(model: Any) -> str:
    """What to call a model's kind: its class in transformers, if it has one."""
    return str(getattr(model.cfg, "architecture", None) or type(getattr(model, "original_model", model)).__name__)


def read_gain(norm: Any, d_model: int, like: Tensor, limit: float) -> tuple[Float[Tensor, " d_model"], bool]:
    """What a norm multiplies by, and whether it takes the mean away first, told from what it does.

    The gain is the norm's weight, or 1 more (Gemma), or 1 where it has none (OLMo).
    """
    x = torch.randn(4, d_model, generator=torch.Generator().manual_seed(0)).to(like)
    weight = getattr(norm, "w", None)
    candidates = [torch.ones_like(x[0])] if weight is None else [weight, 1 + weight]
    with torch.no_grad():
        silence = norm(torch.zeros_like(x))
        out, shifted = norm(x) - silence, norm(x + 1) - silence
        is_centred = _relative_error(shifted, out) <= limit
        centred = x - x.mean(dim=-1, keepdim=True) if is_centred else x
        errors = [_proportion(out, centred * gain, each=True)[0] for gain in candidates]
    best = min(range(len(candidates)), key=errors.__getitem__)
    if not errors[best] <= limit:
        raise ConfigError(
            "a norm must divide by one scale and multiply by one gain: got "
            f"{type(norm).__name__}, the error is {errors[best]:.2g} of the largest entry. {ADVICE}"
        )
    return candidates[best], is_centred


def _refusal(lm: "HookedLM", assumption: Assumption, fault: str) -> ConfigError:
    return ConfigError(f"{assumption.value}: got {family(lm.model)}, where {fault}. {ADVICE}")


# -- measures ---------------------------------------------------------------------------------------

Measured = tuple[float, float]


def _tokens(lm: "HookedLM") -> Int[Tensor, "3 4"]:
    return torch.linspace(0, lm.d_vocab - 1, 12, device=lm.device).long().unflatten(0, (3, 4))


def _relative_error(value: Tensor, expected: Tensor) -> float:
    difference, size = (value - expected).abs().max(), expected.abs().max()
    return float(difference / size) if difference else 0.0


def _proportion(value: Tensor, expected: Tensor, *, each: bool = False) -> Measured:
    """How far `value` is from a multiple of `expected` (row by row, with `each`), and by what it is multiplied."""
    products, squares = value * expected, expected * expected
    factor = products.sum(-1, keepdim=True) / squares.sum(-1, keepdim=True) if each else products.sum() / squares.sum()
    return _relative_error(factor * expected, value), float(factor.mean())


def _plus(value: Tensor, bias: Tensor | None) -> Tensor:
    return value if bias is None else value + bias


def _by_layer(error_of_layer: "Callable[[HookedLM, Any, int], float]", lm: "HookedLM") -> Measured:
    """The largest error of any layer."""
    _, cache = lm.run_with_cache(_tokens(lm))
    return max(error_of_layer(lm, cache, layer) for layer in range(lm.n_layers)), 1.0


def _measure_stream(lm: "HookedLM") -> Measured:
    _, cache = lm.run_with_cache(_tokens(lm))
    total = cache["blocks.0.hook_resid_pre"]
    for layer in range(lm.n_layers):
        for kind in ("attn_out", "mlp_out") if lm.has_mlp else ("attn_out",):
            total = total + cache[f"blocks.{layer}.hook_{kind}"]
    return _relative_error(total, cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"]), 1.0


def _heads_error(lm: "HookedLM", cache: Any, layer: int) -> float:
    written = torch.einsum("bsnh,nhm->bsm", cache[f"blocks.{layer}.attn.hook_z"], lm.W_O(layer))
    return _relative_error(_plus(written, lm.bias(layer, "b_O")), cache[f"blocks.{layer}.hook_attn_out"])


def _values_error(lm: "HookedLM", cache: Any, layer: int) -> float:
    at = f"blocks.{layer}.attn.hook_"
    v = lm.repeat_kv(cache[at + "v"], axis=2)
    return _relative_error(torch.einsum("bnqk,bknh->bqnh", cache[at + "pattern"], v), cache[at + "z"])


def _measure_pattern(lm: "HookedLM") -> Measured:
    """What heads that look nowhere still have in z, where a family's attention has used its pattern before the hook."""
    left: dict[str, Tensor] = {}

    def keep(z: Tensor, hook: Any) -> None:
        left[hook.name] = z

    hooks: list[HookSpec] = []
    for layer in range(lm.n_layers):
        hooks.append((f"blocks.{layer}.attn.hook_pattern", lambda pattern, hook: torch.zeros_like(pattern)))
        hooks.append((f"blocks.{layer}.attn.hook_z", keep))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bridge's own, of the edit that it discards
        lm.run(_tokens(lm), hooks)
    _, cache = lm.run_with_cache(_tokens(lm))
    return max(float(z.abs().max() / cache[name].abs().max()) for name, z in left.items()), 1.0


def _reads_error(lm: "HookedLM", cache: Any, layer: int) -> float:
    normed = lm.norm(layer, "ln1", cache[f"blocks.{layer}.hook_resid_pre"])
    errors = []
    for part, weight in (("q", lm.W_Q), ("k", lm.W_K), ("v", lm.W_V)):
        made = _plus(torch.einsum("bsm,nmh->bsnh", normed, weight(layer)), lm.bias(layer, f"b_{part.upper()}"))
        errors.append(_relative_error(made, lm.repeat_kv(cache[f"blocks.{layer}.attn.hook_{part}"], axis=2)))
    return max(errors)


def _mlp_error(lm: "HookedLM", cache: Any, layer: int) -> float:
    return _relative_error(lm.mlp_out(layer, lm.mlp_reads(cache, layer)), cache[f"blocks.{layer}.hook_mlp_out"])


def _measure_scores(lm: "HookedLM") -> Measured:
    """Log-odds of the own key against a key of zero, which has the score zero wherever it stands.

    Queries and keys are drawn at random. Both sit at the second position, so that rotations cancel; a bias by
    distance (ALiBi) is the same in each row.
    """
    generator, like = torch.Generator().manual_seed(0), next(lm.model.parameters())
    scale = (TEST_SCORE / lm.d_head**0.5) ** 0.5
    k = scale * torch.randn(3, lm.n_kv_heads, lm.d_head, generator=generator).to(like)
    own = scale * torch.randn(3, lm.n_heads, lm.d_head, generator=generator).to(like)
    lengths = torch.tensor([0.5, 1.0, 1.5])[:, None, None].to(like)
    q = lengths * (lm.repeat_kv(k, axis=1) + own)
    patterns: dict[int, Tensor] = {}
    hooks: list[HookSpec] = []
    for layer in range(lm.n_layers):
        at = f"blocks.{layer}.attn.hook_"
        hooks += [(at + part, partial(_put_second, value=value)) for part, value in (("q", q), ("k", k))]
        hooks.append((at + "pattern", partial(_keep_pattern, layer=layer, kept=patterns)))
    lm.run(_tokens(lm), hooks)
    expected = (q * lm.repeat_kv(k, axis=1)).sum(dim=-1).float()
    errors = []
    for pattern in patterns.values():
        scores = pattern[:, :, 1, 1].float().log() - pattern[:, :, 1, 0].float().log()
        errors.append(_proportion(scores - scores.mean(dim=0), expected - expected.mean(dim=0))[0])
    return max(errors), 1.0


def _put_second(activation: Tensor, hook: Any, value: Tensor) -> Tensor:
    """A hook: the value at the second position, zero at all others."""
    patched = torch.zeros_like(activation)
    patched[:, 1] = value
    return patched


def _keep_pattern(pattern: Tensor, hook: Any, layer: int, kept: dict[int, Tensor]) -> None:
    kept[layer] = pattern


def _measure_embed(lm: "HookedLM") -> Measured:
    _, cache = lm.run_with_cache(_tokens(lm))
    entered, rows = cache["blocks.0.hook_resid_pre"], lm.W_E[_tokens(lm)]
    error, factor = _proportion(entered - entered[:1], rows - rows[:1])  # what positions add goes away
    return error, factor if abs(factor - 1) > tolerance(lm) else 1.0


def _measure_linear(lm: "HookedLM") -> Measured:
    logits, cache = lm.run_with_cache(_tokens(lm))
    final = lm.final_norm(cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"])
    bias = getattr(lm.model.unembed, "b_U", None)
    plain = _relative_error(_plus(final @ lm.W_U, bias), logits)
    stretch = LARGE_LOGIT / max(1.0, float((final @ lm.W_U).abs().max()))
    stretched = lm.run(_tokens(lm), [("unembed.hook_in", lambda resid, hook: stretch * resid)])
    return max(plain, _relative_error(_plus(stretch * final @ lm.W_U, bias), stretched)), 1.0


def _measure_logits(lm: "HookedLM") -> Measured:
    logits, cache = lm.run_with_cache(_tokens(lm))
    return _relative_error(lm.unembed(cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"]), logits), 1.0


def _measure_resume(lm: "HookedLM") -> Measured:
    logits, cache = lm.run_with_cache(_tokens(lm))
    layers = (0, lm.n_layers - 1)
    resumed = [lm.run(cache[f"blocks.{layer}.hook_resid_pre"], start_at_layer=layer) for layer in layers]
    return max(_relative_error(other, logits) for other in resumed), 1.0


def _measure_padding(lm: "HookedLM") -> Measured:
    """Prompts of 2, 3 and 4 tokens in one batch, padded on the left, beside each alone."""
    tokens, last = _tokens(lm), f"blocks.{lm.n_layers - 1}.hook_resid_post"
    in_batch = copy(lm)
    in_batch.pad(torch.arange(4, device=lm.device).expand(3, 4) >= torch.tensor([[2], [1], [0]], device=lm.device))
    logits, cache = in_batch.run_with_cache(tokens)
    errors = []
    for row in range(3):
        alone, own = lm.run_with_cache(tokens[row : row + 1, 2 - row :])
        errors.append(_relative_error(logits[row, 2 - row :], alone[0]))
        errors.append(_relative_error(cache[last][row, 2 - row :], own[last][0]))
    return max(errors), 1.0


_MEASURES: "dict[Assumption, Callable[[HookedLM], Measured]]" = {
    Assumption.STREAM: _measure_stream,
    Assumption.HEADS: partial(_by_layer, _heads_error),
    Assumption.VALUES: partial(_by_layer, _values_error),
    Assumption.PATTERN: _measure_pattern,
    Assumption.READS: partial(_by_layer, _reads_error),
    Assumption.MLP: partial(_by_layer, _mlp_error),
    Assumption.SCORES: _measure_scores,
    Assumption.EMBED: _measure_embed,
    Assumption.LINEAR: _measure_linear,
    Assumption.LOGITS: _measure_logits,
    Assumption.RESUME: _measure_resume,
    Assumption.PADDING: _measure_padding,
}
