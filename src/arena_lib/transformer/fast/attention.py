"""What the fast forms' attention shares: one weight for q, k and v, seen head by head.

`W_QKV` holds the columns of all queries, then all keys, then all values, so that one product
makes the three. `W_Q`, `W_K` and `W_V` are views of it: writing into them writes into it.
State dicts speak the per-head names of the lesson form and never mention `W_QKV`.

Shapes:  q "batch seq n_heads d_head"; k, v "batch seq n_kv_heads d_head"; n_heads is a multiple
         of n_kv_heads, and query head h reads key head h // (n_heads // n_kv_heads).
Raises:  ShapeError for a KV cache that doesn't fit; torch's load_state_dict reports keys and shapes that do not fit.
Source:  Vaswani et al. 2017, arXiv:1706.03762, section 3.2; Ainslie et al. 2023,
         arXiv:2305.13245 (grouped queries).
Differs: scores and pattern exist only while something is attached to them; otherwise torch's
         fused scaled_dot_product_attention computes z without them.
"""

from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.errors import ShapeError
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.norms import LayerNorm, RMSNorm
from arena_lib.transformer.scores import attention_scores, fused_attention, mix_values
from arena_lib.wording import counted

Visible = Bool[Tensor, "batch 1 seq_q seq_k"]
"""Which keys each query sees, where texts are padded: `scores.visible_pairs`."""


@runtime_checkable
class KVCacheLike(Protocol):
    """Keys and values of earlier positions, as `Transformer.forward` uses them.

    The lesson's `KVCache` is one. The model reads `n_seen` before its first layer; each layer
    then calls `extend` once, with keys that are rotated where the form rotates them. Where texts are
    padded it leaves their mask on the cache, as `attention_mask`, so that no later call can forget it.
    """

    @property
    def n_seen(self) -> int:
        """How many positions are held."""
        ...

    def extend(self, layer_idx: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add new positions, "batch seq n_kv_heads d_head", after a layer's old ones; return all of them."""
        ...


def check_kv_cache(kv_cache: KVCacheLike, layers: range, batch: int) -> None:
    """Refuse a cache of another batch, or one whose layers differ in length; of caches that show their `keys`."""
    n_seen = kv_cache.n_seen
    keys = getattr(kv_cache, "keys", None)
    if not isinstance(keys, list):
        return
    for layer_idx in layers:
        if layer_idx >= len(keys):
            raise ShapeError(
                f"the KV cache must have room for every layer: got one of {counted(len(keys), 'layer')} for layer "
                f"{layer_idx}. Make it with model.cfg.n_layers."
            )
        held = keys[layer_idx]
        n_held = 0 if held is None else held.shape[1]
        if n_held != n_seen:
            raise ShapeError(
                f"every layer that runs must hold as many positions as the KV cache's first: got {n_seen} in layer 0 and "
                f"{n_held} in layer {layer_idx}. A pass that failed or stopped early leaves such a cache: start a new one."
            )
        if held is not None and held.shape[0] != batch:
            raise ShapeError(
                f"the KV cache must hold as many texts as the batch has, {batch}: got {held.shape[0]}. "
                "Start a new cache for another batch."
            )


def keep_mask(kv_cache: KVCacheLike, is_real: Bool[Tensor, "batch seq_k"] | None, batch: int) -> None:
    """Leave a call's mask on the cache; what it says of the texts held must be what their own call said.

    Values are compared where the mask lies on a CPU.
    """
    n_seen, held = kv_cache.n_seen, getattr(kv_cache, "attention_mask", None)
    if n_seen and held is not None and is_real is None:
        raise ShapeError(
            f"attention_mask must go on covering the padded texts that the KV cache holds, here {(batch, n_seen)} of it: "
            "got none, or only ones. Pass their mask with a column more for each new token: "
            "torch.cat([attention_mask, torch.ones_like(tokens)], dim=1)."
        )
    if n_seen and is_real is not None and is_real.device.type == "cpu" and not torch.compiler.is_compiling():
        before = torch.ones_like(is_real[:, :n_seen]) if held is None else held[:, :n_seen]
        if not torch.equal(is_real[:, :n_seen], before):
            row = int((is_real[:, :n_seen] != before).any(dim=1).int().argmax())
            raise ShapeError(
                f"attention_mask must say of the {counted(n_seen, 'position')} that the KV cache holds what was said when "
                f"they were read: got another in row {row}. Pass the first mask with a column more for each new token."
            )
    if is_real is not None or held is not None:
        setattr(kv_cache, "attention_mask", is_real)  # noqa: B010 -- not part of the protocol for mypy


class FusedAttention(nn.Module):
    """The weights of one attention layer and the steps that all forms share; a form adds its `forward`."""

    def __init__(self, *, d_model: int, n_heads: int, n_kv_heads: int, d_head: int, has_bias: bool) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.d_head = n_heads, n_kv_heads, d_head
        d_qkv = (n_heads + 2 * n_kv_heads) * d_head
        self.W_QKV = nn.Parameter(torch.empty(d_model, d_qkv))
        self.W_O = nn.Parameter(torch.empty(n_heads, d_head, d_model))
        self.b_QKV = nn.Parameter(torch.zeros(d_qkv)) if has_bias else None
        self.b_O = nn.Parameter(torch.zeros(d_model)) if has_bias else None
        self.hook_q, self.hook_k, self.hook_v = HookPoint(), HookPoint(), HookPoint()
        self.hook_attn_scores, self.hook_pattern = HookPoint(), HookPoint()
        self.hook_z, self.hook_result = HookPoint(), HookPoint()

    def split(
        self, qkv: Float[Tensor, "*any d_qkv"]
    ) -> tuple[
        Float[Tensor, "*any n_heads d_head"],
        Float[Tensor, "*any n_kv_heads d_head"],
        Float[Tensor, "*any n_kv_heads d_head"],
    ]:
        """The three parts of the fused axis, by head: disjoint views, each of which may be written into."""
        n_q, n_kv = self.n_heads, self.n_kv_heads
        heads = qkv.unflatten(-1, (n_q + 2 * n_kv, self.d_head))
        return heads.narrow(-2, 0, n_q), heads.narrow(-2, n_q, n_kv), heads.narrow(-2, n_q + n_kv, n_kv)

    @property
    def W_Q(self) -> Float[Tensor, "n_heads d_model d_head"]:
        """Queries' weights, a writable view of `W_QKV`."""
        return self.split(self.W_QKV)[0].movedim(1, 0)

    @property
    def W_K(self) -> Float[Tensor, "n_kv_heads d_model d_head"]:
        """Keys' weights, a writable view of `W_QKV`."""
        return self.split(self.W_QKV)[1].movedim(1, 0)

    @property
    def W_V(self) -> Float[Tensor, "n_kv_heads d_model d_head"]:
        """Values' weights, a writable view of `W_QKV`."""
        return self.split(self.W_QKV)[2].movedim(1, 0)

    @property
    def b_Q(self) -> Float[Tensor, "n_heads d_head"] | None:
        """Queries' bias, a writable view of `b_QKV`; None without biases."""
        return None if self.b_QKV is None else self.split(self.b_QKV)[0]

    @property
    def b_K(self) -> Float[Tensor, "n_kv_heads d_head"] | None:
        """Keys' bias, a writable view of `b_QKV`; None without biases."""
        return None if self.b_QKV is None else self.split(self.b_QKV)[1]

    @property
    def b_V(self) -> Float[Tensor, "n_kv_heads d_head"] | None:
        """Values' bias, a writable view of `b_QKV`; None without biases."""
        return None if self.b_QKV is None else self.split(self.b_QKV)[2]

    def replace_parts(
        self, parts: tuple[Tensor, Tensor, Tensor], inputs: dict[str, Float[Tensor, "batch seq n_heads d_model"]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(q, k, v) with those that `inputs` names ("q", "k", "v") made anew from an input for each head."""
        weights = {"q": (self.W_Q, self.b_Q), "k": (self.W_K, self.b_K), "v": (self.W_V, self.b_V)}
        named = dict(zip("qkv", parts, strict=True))
        for name, x in inputs.items():
            weight, bias = weights[name]
            part = torch.einsum("bsnd,ndh->bsnh", x, weight)
            named[name] = part if bias is None else part + bias
        return named["q"], named["k"], named["v"]

    def attend(
        self,
        q: Float[Tensor, "batch seq_q n_heads d_head"],
        k: Float[Tensor, "batch seq_k n_kv_heads d_head"],
        v: Float[Tensor, "batch seq_k n_kv_heads d_head"],
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch seq_q n_heads d_head"]:
        """z; scores and pattern are built only while something is attached to them."""
        if self.hook_attn_scores.is_idle and self.hook_pattern.is_idle:
            return fused_attention(q, k, v, visible)
        scores = self.hook_attn_scores(attention_scores(q, k, visible))
        return mix_values(self.hook_pattern(scores.softmax(dim=-1)), v)

    def pattern(
        self,
        q: Float[Tensor, "batch seq_q n_heads d_head"],
        k: Float[Tensor, "batch seq_k n_kv_heads d_head"],
        visible: Visible | None = None,
    ) -> Float[Tensor, "batch n_heads seq_q seq_k"]:
        """Softmax over the keys of `attention_scores`."""
        return attention_scores(q, k, visible).softmax(dim=-1)

    def head_results(self, z: Float[Tensor, "batch seq n_heads d_head"]) -> Float[Tensor, "batch seq n_heads d_model"]:
        """What each head adds to the residual stream, without `b_O`."""
        return torch.einsum("bsnh,nhd->bsnd", z, self.W_O)

    def merge(self, z: Float[Tensor, "batch seq n_heads d_head"]) -> Float[Tensor, "batch seq d_model"]:
        """The sum of the heads' outputs, plus `b_O`."""
        if self.hook_result.is_idle:
            return F.linear(z.flatten(-2), self.W_O.flatten(0, 1).T, self.b_O)
        total = self.hook_result(self.head_results(z)).sum(dim=-2)
        return total if self.b_O is None else total + self.b_O

    def per_head_weights(self) -> dict[str, Tensor]:
        """Every weight by the lesson form's names; q, k and v as views of the fused ones."""
        named = {"W_Q": self.W_Q, "W_K": self.W_K, "W_V": self.W_V, "W_O": self.W_O}
        biases = {"b_Q": self.b_Q, "b_K": self.b_K, "b_V": self.b_V, "b_O": self.b_O}
        return named | {name: bias for name, bias in biases.items() if bias is not None}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, weight in self.per_head_weights().items():
            destination[prefix + name] = weight if keep_vars else weight.detach().contiguous()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = self.per_head_weights()
        unexpected_keys += [
            key for key in state_dict if strict and key.startswith(prefix) and key.removeprefix(prefix) not in own
        ]
        for name, weight in own.items():
            given = state_dict.get(prefix + name)
            if given is None:
                missing_keys.append(prefix + name)
            elif given.shape != weight.shape:
                error_msgs.append(f"size mismatch for {prefix + name}: {tuple(given.shape)}, not {tuple(weight.shape)}")
            else:
                with torch.no_grad():
                    weight.copy_(given)


class AttentionBlock(nn.Module):
    """The points at a block's entrance, which its form's `forward` passes."""

    ln1: LayerNorm | RMSNorm
    attn: FusedAttention

    def __init__(self) -> None:
        super().__init__()
        self.hook_resid_pre, self.hook_attn_out, self.hook_resid_post = HookPoint(), HookPoint(), HookPoint()
        self.hook_q_input, self.hook_k_input, self.hook_v_input = HookPoint(), HookPoint(), HookPoint()

    def head_inputs(
        self, resid_pre: Float[Tensor, "batch seq d_model"]
    ) -> dict[str, Float[Tensor, "batch seq n_heads d_model"]]:
        """For each of q, k and v whose input has a hook: the hooked copies of resid_pre by head, normalised."""
        inputs = {}
        for name, point in (("q", self.hook_q_input), ("k", self.hook_k_input), ("v", self.hook_v_input)):
            if not point.is_idle:
                n_heads = self.attn.n_heads if name == "q" else self.attn.n_kv_heads
                copies = resid_pre[:, :, None].repeat(1, 1, n_heads, 1)
                inputs[name] = self.ln1.plain(point(copies))
        return inputs
