"""What the functions of `arena_lib.interp` ask of a model: sizes, weights by head, norms, running with hooks.

They call `hooked(model)` first (`hooking.py`), so a learner passes whatever was loaded. Hook names are the
canonical ones (`transformer/activations/hooks.py`).

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"; W_Q, W_K, W_V by query head
         "n_heads d_model d_head", W_O "n_heads d_head d_model"; keys and values that heads share are repeated.
Raises:  ConfigError for a model without the hook interface; UnknownNameError for a layer, head or hook that
         it does not have; ShapeError for a position outside the sequence; TokenError for an answer as text that isn't
         one token.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: a bridge's `hook_resid_mid` can be read but not written: what is written there reaches the MLP and
         not the residual stream. Change `hook_attn_out` instead, which is the same on every model.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError, TokenError, UnknownNameError
from arena_lib.interp.assumptions import Assumption
from arena_lib.transformer.activations.hooks import HookFunction, HookPoint, HookSpec, NamesFilter
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import count_places
from arena_lib.transformer.scores import visible_pairs
from arena_lib.wording import counted

Head = tuple[int, int]
"""(layer, head), both counted from zero."""
Answers = Int[Tensor, "..."] | str | Sequence[str]
"""Token ids, one for each prompt; or texts of one token each: one for all prompts (" Jack"), or one for each."""


@runtime_checkable
class HookedModel(Protocol):
    """What is asked of a model with TransformerLens's hook interface: ours, or a bridge."""

    cfg: Any
    """Its sizes: n_layers, n_heads, d_model, d_head, d_vocab."""

    def run_with_hooks(self, *args: Any, **options: Any) -> Any:
        """Return logits, with functions called at hook points on the way."""

    def run_with_cache(self, *args: Any, **options: Any) -> Any:
        """Return logits, and the activations by name."""


@runtime_checkable
class TracedModel(Protocol):
    """What is asked of a model of nnsight."""

    config: Any
    """The configuration in transformers."""

    def trace(self, *args: Any, **options: Any) -> Any:
        """Return the context in whose body modules' inputs and outputs are read and set."""


class HookedLM:
    """A model with TransformerLens's hook interface: our `Transformer` or a `TransformerBridge`."""

    attention_mask: Bool[Tensor, "batch seq"] | None = None
    """Where prompts of uneven length have tokens, which `hooking.padded` sets; None: no token is padding."""

    is_parallel: bool = False
    """Whether an MLP reads what enters its layer, beside attention (GPT-J, GPT-NeoX, Falcon, phi), not after it."""

    def __init__(self, model: Any) -> None:
        missing = [name for name in ("run_with_hooks", "run_with_cache", "cfg") if not hasattr(model, name)]
        if missing:
            raise ConfigError(
                f"a model must have the hook interface: got {type(model).__name__}, which has no {missing[0]}. "
                "Load it with arena_lib.zoo.load or load_bridge, or make it ours with transformer.from_huggingface."
            )
        self.model = model
        cfg = model.cfg
        self.n_layers, self.n_heads = int(cfg.n_layers), int(cfg.n_heads)
        self.n_kv_heads = int(
            getattr(cfg, "n_kv_heads", None) or getattr(cfg, "n_key_value_heads", None) or cfg.n_heads
        )
        self.d_model, self.d_head, self.d_vocab = int(cfg.d_model), int(cfg.d_head), int(cfg.d_vocab)
        self.has_mlp = self.n_layers > 0 and hasattr(model.blocks[0], "mlp")
        self.is_parallel = bool(getattr(cfg, "parallel_attn_mlp", False))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def heads(self) -> list[Head]:
        """Every head, layer by layer."""
        return [(layer, head) for layer in range(self.n_layers) for head in range(self.n_heads)]

    @property
    def bos_token_id(self) -> int:
        """The token that begins a text."""
        token_id = getattr(getattr(self.model, "tokenizer", None), "bos_token_id", None)
        if token_id is None:
            raise ConfigError(
                f"a text must have a token to begin with: got {type(self.model).__name__} whose tokenizer has no "
                "bos_token_id. Set model.tokenizer, or tokenizer.bos_token_id."
            )
        return int(token_id)

    def answer_ids(self, answers: Answers, n_prompts: int) -> Int[Tensor, "..."]:
        """The answers' token ids; ids are left as they are."""
        if isinstance(answers, Tensor):
            return answers
        if not hasattr(self.model, "to_single_token"):
            raise TokenError(
                f"answers must be token ids for {type(self.model).__name__}: got {answers!r}. "
                "Encode them with model.tokenizer, one id for each prompt."
            )
        texts = [answers] * n_prompts if isinstance(answers, str) else answers
        ids = [int(self.model.to_single_token(text)) for text in texts]
        return torch.tensor(ids, dtype=torch.int64, device=self.device)

    # -- running ------------------------------------------------------------------------------

    def run(
        self,
        tokens: Int[Tensor, "batch seq"] | Float[Tensor, "batch seq d_model"],
        fwd_hooks: Iterable[HookSpec] = (),
        bwd_hooks: Iterable[HookSpec] = (),
        *,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
    ) -> Float[Tensor, "batch seq_out d_out"]:
        """Logits (or the residual stream entering `stop_at_layer`) with these hooks attached.

        With `start_at_layer`, `tokens` is the residual stream that enters that layer. On every model
        `hook.name` is the name that the hook was given under.
        """
        ends = {"start_at_layer": start_at_layer, "stop_at_layer": stop_at_layer}
        given = {name: layer for name, layer in ends.items() if layer is not None}
        return self.model.run_with_hooks(
            tokens, fwd_hooks=self._named(fwd_hooks), bwd_hooks=self._named(bwd_hooks), **given, **self._mask(tokens)
        )

    def run_with_cache(
        self, tokens: Int[Tensor, "batch seq"], names: NamesFilter = None, *, stop_at_layer: int | None = None
    ) -> tuple[Float[Tensor, "batch seq d_out"], Any]:
        """Logits, and a mapping from hook names, full or short (`cache["z", 0]`), to tensors."""
        given = {} if stop_at_layer is None else {"stop_at_layer": stop_at_layer}
        return self.model.run_with_cache(tokens, names_filter=names, **given, **self._mask(tokens))

    def run_layer(
        self, resid_pre: Float[Tensor, "batch seq d_model"], layer: int, fwd_hooks: Iterable[HookSpec]
    ) -> None:
        """One layer on what enters it, for the sake of what its hooks see."""
        hooks = list(fwd_hooks)
        if layer == self.n_layers - 1:  # a bridge cannot stop after its last layer
            hooks.append((self.last_meeting, lambda resid, hook: resid[:, :1]))
        self.run(resid_pre, hooks, start_at_layer=layer, stop_at_layer=layer + 1)

    def _named(self, hooks: Iterable[HookSpec]) -> list[HookSpec]:
        """The hooks, each of which sees the canonical name where a bridge has one of its own for the place."""
        named = list(hooks)
        for idx, (name, fn) in enumerate(named):
            if isinstance(name, str) and self.model.hook_dict[self.check_hook(name)].name != name:
                named[idx] = (name, partial(_call_with_place, fn=fn, name=name))
        return named

    # -- prompts of uneven length -------------------------------------------------------------

    def pad(self, is_real: Bool[Tensor, "batch seq"]) -> None:
        """Take the mask of the prompts, for every run from now on."""
        self.attention_mask = is_real

    def mask_of(self, tokens: Shaped[Tensor, "rows seq ..."]) -> Bool[Tensor, "rows seq"] | None:
        """The mask of these rows: the prompts, or several runs of them as one batch, prompts fastest."""
        if self.attention_mask is None:
            return None
        batch, seq = self.attention_mask.shape
        if tokens.shape[0] % batch or tokens.shape[1] != seq:
            raise ShapeError(
                f"tokens must be those that the model's attention mask was made for: got {tuple(tokens.shape[:2])} for a "
                f"mask of {(batch, seq)}. Call padded(model, attention_mask) with the mask of these tokens."
            )
        return self.attention_mask.repeat(tokens.shape[0] // batch, 1)

    def _mask(self, tokens: Shaped[Tensor, "rows seq ..."]) -> dict[str, Tensor]:
        """What tells the model of the padding; our own counts positions itself."""
        mask = self.mask_of(tokens)
        if mask is None:
            return {}
        if isinstance(self.model, Transformer):
            return {"attention_mask": mask}
        # A bridge gets every pair: by a mask of tokens alone, padding would see nothing and become NaN. It gets them as
        # what is added to scores, which every family's attention takes; some would add a boolean as 0 or 1.
        dtype = next(self.model.parameters()).dtype
        is_hidden = ~visible_pairs(mask, mask.shape[1])
        added = torch.zeros_like(is_hidden, dtype=dtype).masked_fill(is_hidden, torch.finfo(dtype).min)
        return {"attention_mask": added, "position_ids": count_places(mask)}

    def find_columns(self, shape: Sequence[int], position: int | Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Where a position of each prompt, or one for each, stands in "batch seq" tokens of this shape.

        Positions count from each prompt's first token; negative ones from its last.
        """
        batch, seq = shape
        wanted = torch.full((batch,), position) if isinstance(position, int) else position
        if self.attention_mask is None:
            return torch.tensor([check_position(place, seq) for place in wanted.tolist()], device=wanted.device)
        lengths = self.attention_mask.sum(dim=1).tolist()
        columns = [check_position(place, n) + seq - n for place, n in zip(wanted.tolist(), lengths, strict=True)]
        return torch.tensor(columns, device=wanted.device)

    def refuse_padding(self, what: str) -> None:
        """Raise ConfigError, for functions that compare positions across prompts, if a token is padding."""
        if self.attention_mask is not None:
            raise ConfigError(
                f"{what} compares prompts position by position: got prompts of uneven length. Give prompts of one "
                "length, and the model without a mask."
            )

    # -- parts --------------------------------------------------------------------------------

    def W_Q(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Queries' weights of one layer."""
        return self._block(layer).attn.W_Q

    def W_K(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Keys' weights of one layer, for each query head those that it reads."""
        return self.repeat_kv(self._block(layer).attn.W_K, axis=0)

    def W_V(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Values' weights of one layer, for each query head those that it reads."""
        return self.repeat_kv(self._block(layer).attn.W_V, axis=0)

    def W_O(self, layer: int) -> Float[Tensor, "n_heads d_head d_model"]:
        """Output weights of one layer."""
        return self._block(layer).attn.W_O

    def bias(self, layer: int, name: str) -> Tensor | None:
        """`b_Q`, `b_K`, `b_V` ("n_heads d_head", keys and values repeated) or `b_O` ("d_model"); None without biases."""
        bias = getattr(self._block(layer).attn, name, None)
        return self.repeat_kv(bias, axis=0) if bias is not None and name in ("b_K", "b_V") else bias

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """The token embedding."""
        return self.model.W_E

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding."""
        return self.model.W_U

    def norm(
        self, layer: int, part: str, resid: Float[Tensor, "*any seq d_model"]
    ) -> Float[Tensor, "*any seq d_model"]:
        """The block's `ln1` or `ln2`, gain and bias included."""
        return self._norm_module(layer, part)(resid)

    def gain(self, layer: int | None, part: str = "ln1") -> tuple[Float[Tensor, " d_model"], bool]:
        """What a norm multiplies by, and whether it takes the mean away first; layer None is the final norm's."""
        norm = self.model.ln_final if layer is None else self._norm_module(layer, part)
        return norm.w, hasattr(norm, "b")

    def mlp_out(self, layer: int, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_model"]:
        """What the layer's MLP adds to a stream that it reads, its norm included."""
        return self._block(layer).mlp(self._norm_module(layer, "ln2")(resid))

    def final_norm(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_model"]:
        """The norm before the unembedding, exact: its scale is that of `resid`."""
        return self.model.ln_final(resid)

    def unembed(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_vocab"]:
        """Logits of a residual stream that leaves the last block: final norm, then W_U and its bias."""
        return self.model.unembed(self.final_norm(resid))

    def unembed_tokens(
        self, resid: Float[Tensor, "*any batch seq d_model"], tokens: Int[Tensor, "batch n"]
    ) -> Float[Tensor, "*any batch seq n"]:
        """`unembed` for a few tokens of each prompt, without making the logits of the others."""
        columns = self.W_U.T[tokens]
        logits = torch.einsum("...bsm,bnm->...bsn", self.final_norm(resid), columns)
        bias = getattr(self.model.unembed, "b_U", None)
        return logits if bias is None else logits + bias[tokens][:, None]

    @property
    def last_meeting(self) -> str:
        """A hook after the last attention at which positions may be dropped: none is needed by another any more.

        On ours it stands before the last MLP, so that it is spared them too; on a bridge before the unembedding.
        """
        if not isinstance(self.model, Transformer):
            return "unembed.hook_in"
        return f"blocks.{self.n_layers - 1}.hook_resid_{'mid' if self.has_mlp else 'post'}"

    def repeat_kv(self, tensor: Tensor, axis: int) -> Tensor:
        """A tensor by key head as one by query head: query head h reads key head h // (n_heads // n_kv_heads)."""
        shares = self.n_heads // tensor.shape[axis]
        return tensor.repeat_interleave(shares, dim=axis) if shares > 1 else tensor

    def input_head(self, part: str, head: int) -> int:
        """The index in `hook_q`, `hook_k`, `hook_v` or `hook_z` of a query head's part: keys and values may be shared."""
        n_of_part = self.n_kv_heads if part in ("k", "v") else self.n_heads
        return head * n_of_part // self.n_heads

    def resid_mid(self, cache: Any, layer: int) -> Float[Tensor, "batch seq d_model"]:
        """The stream between a layer's attention and its MLP, which not every model has a hook for."""
        self.require(Assumption.STREAM)
        return cache[f"blocks.{layer}.hook_resid_pre"] + cache[f"blocks.{layer}.hook_attn_out"]

    def mlp_reads(self, cache: Any, layer: int) -> Float[Tensor, "batch seq d_model"]:
        """The stream that a layer's MLP reads: after its attention, or in a parallel block what enters the layer."""
        return cache[f"blocks.{layer}.hook_resid_pre"] if self.is_parallel else self.resid_mid(cache, layer)

    def _norm_module(self, layer: int, part: str) -> Any:
        """A norm of a block; some parallel blocks have one norm for both parts."""
        block = self._block(layer)
        return block.ln1 if self.is_parallel and getattr(block, part, None) is None else getattr(block, part)

    def _block(self, layer: int) -> Any:
        return self.model.blocks[self.check_layer(layer)]

    # -- what exists --------------------------------------------------------------------------

    def require(self, assumption: Assumption) -> None:
        """Nothing to check: GPT-2's, Llama's and the attention-only form have all of it. See `BridgeLM`."""

    def check_layer(self, layer: int) -> int:
        """The layer, if the model has it."""
        if not 0 <= layer < self.n_layers:
            raise UnknownNameError("layer", str(layer), map(str, range(self.n_layers)))
        return layer

    def check_heads(self, heads: Iterable[Head]) -> list[Head]:
        """The heads, if all of them exist."""
        known = set(self.heads)
        wanted = [(int(layer), int(head)) for layer, head in heads]
        for head in wanted:
            if head not in known:
                raise UnknownNameError("head", f"{head[0]}.{head[1]}", [f"{a}.{b}" for a, b in known])
        return wanted

    def check_hook(self, name: str) -> str:
        """The full hook name, if the model has it."""
        if not self.has_hook(name):
            raise UnknownNameError("hook", name, self.model.hook_dict)
        return name

    def has_hook(self, name: str) -> bool:
        """Whether there is a hook of this full name."""
        return name in self.model.hook_dict


AnyModel = HookedModel | TracedModel | HookedLM
"""What `hooked` takes."""


def _call_with_place(tensor: Tensor, hook: Any, *, fn: HookFunction, name: str) -> Tensor | None:
    """Calls a hook with a place of this name."""
    place = HookPoint()
    place.name, place.ctx = name, hook.ctx
    return fn(tensor, hook=place)


def check_position(position: int, seq: int) -> int:
    """A position as a number from 0 to seq - 1; negative ones count from the end."""
    if not -seq <= position < seq:
        raise ShapeError(
            f"a position must be between {-seq} and {seq - 1}: got {position}. The sequence has {counted(seq, 'position')}."
        )
    return position % seq


def check_aligned(clean: Int[Tensor, "batch seq"], corrupted: Int[Tensor, "batch2 seq2"]) -> None:
    """Two sets of prompts must have as many prompts of the same length, position for position."""
    if clean.shape != corrupted.shape:
        raise ShapeError(
            f"clean and corrupted prompts must have the same shape: got {tuple(clean.shape)} and "
            f"{tuple(corrupted.shape)}. Give as many of each, and words of as many tokens in the same places."
        )


def check_metric(value: Any, *, per_prompt: int | None = None) -> Tensor:
    """A metric must give a tensor: one number, or one for each of `per_prompt` prompts if that is given."""
    if not isinstance(value, Tensor):
        raise ConfigError(
            f"a metric must return a tensor: got {type(value).__name__}. Leave out .item() and float(): a number "
            "has no gradient, and taking it out waits for the device."
        )
    wanted = () if per_prompt is None else (per_prompt,)
    if value.shape != wanted:
        wanted_text = "one number" if per_prompt is None else f"one number for each of {per_prompt} prompts"
        raise ShapeError(
            f"the metric must return {wanted_text}: got a tensor of shape {tuple(value.shape)}. Average the rest."
        )
    return value
