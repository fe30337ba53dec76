"""Places in a model where a function may look at, or change, what flows by.

A `HookPoint` is called on an activation and gives it back. While nothing is attached it does
nothing else, so a model may have hundreds of them. The interface is TransformerLens's.

Canonical names, with L the layer (axes as in docs/STYLE.md; the table is tested against
TransformerLens's bridge):

    hook_embed                      token embeddings                     batch seq d_model
    hook_pos_embed                  position embeddings, GPT-2 and       batch seq d_model
                                    attention-only forms
    blocks.L.hook_resid_pre         residual stream into the block       batch seq d_model
    blocks.L.hook_q_input (k, v)    per head, before ln1; on demand      batch seq n_heads d_model
    blocks.L.ln1.hook_scale         what ln1 divides by                  batch seq 1
    blocks.L.ln1.hook_normalized    ln1's output before the gain         batch seq d_model
    blocks.L.attn.hook_q (k, v)     before rotation                      batch seq n_heads d_head
    blocks.L.attn.hook_rot_q (k)    after rotation, Llama form           batch seq n_heads d_head
    blocks.L.attn.hook_attn_scores  masked, before softmax               batch n_heads seq_q seq_k
    blocks.L.attn.hook_pattern      after softmax                        batch n_heads seq_q seq_k
    blocks.L.attn.hook_z            values mixed by the pattern          batch seq n_heads d_head
    blocks.L.attn.hook_result       each head's output; on demand        batch seq n_heads d_model
    blocks.L.hook_attn_out          what attention adds                  batch seq d_model
    blocks.L.hook_resid_mid         between attention and MLP            batch seq d_model
    blocks.L.hook_mlp_in            a copy of resid_mid; on demand       batch seq d_model
    blocks.L.ln2.hook_scale, blocks.L.ln2.hook_normalized                as ln1
    blocks.L.mlp.hook_pre           before the activation function       batch seq d_mlp
    blocks.L.mlp.hook_pre_linear    what the gate multiplies, Llama      batch seq d_mlp
    blocks.L.mlp.hook_post          into W_out                           batch seq d_mlp
    blocks.L.hook_mlp_out           what the MLP adds                    batch seq d_model
    blocks.L.hook_resid_post        residual stream out of the block     batch seq d_model
    ln_final.hook_scale, ln_final.hook_normalized                        as ln1

The attention-only form has no hook_resid_mid, ln2, mlp, hook_mlp_in and hook_mlp_out. Where
heads share keys and values, k and v have n_kv_heads heads.

"On demand" points are computed only while something is attached to them. Tensors have the model's
dtype, except hook_scale and hook_normalized, which are float32 where the model is in half precision:
a large stream's scale is beyond float16.

Writing in place. A hook may write into the tensor it gets, and what follows reads the new
values; returning a tensor replaces it. Cached tensors are references, so a write also shows in
every cached name of the same tensor, and there are two such pairs: hook_resid_post of a layer
is hook_resid_pre of the next, and in the Llama form hook_embed is hook_resid_pre of layer 0.
All other tensors have entries of their own: q, k and v are disjoint parts of one product, and
a write into one leaves the others alone. What the cache makes on first access (`derived.py`) is
made from the tensors as they then are. To keep what was cached, return a new tensor. Under
autograd, torch refuses backward through a value written after an operation saved it (the
pattern, for one): return a new tensor there too.

Shapes:  each name's tensor as in the table.
Raises:  UnknownNameError for a hook name the model does not have; ConfigError for a test of names that picks
         none, or hooks that aren't pairs; DtypeError and ShapeError for what a hook may not return.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: hook points are no modules; backward hooks sit on the tensor, so that they still fire
         after the `with` block in which the forward pass ran.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from arena_lib.errors import ConfigError, DtypeError, ShapeError, UnknownNameError

HookFunction = Callable[..., Tensor | None]
NamesFilter = str | Sequence[str] | Callable[[str], bool] | None
HookSpec = tuple[str | Callable[[str], bool], HookFunction]


IN_ATTENTION = ("q", "k", "v", "rot_q", "rot_k", "z", "result", "attn_scores", "pattern")
IN_MLP = ("pre", "pre_linear", "post")
SHORT_NAMES = {
    "attn": "pattern",
    "attn_logits": "attn_scores",
    "query": "q",
    "key": "k",
    "value": "v",
    "mlp_pre": "pre",
    "mlp_post": "post",
}
MODULES = {"a": "attn", "attention": "attn", "m": "mlp", "b": "", "block": "", "blocks": ""}
"""TransformerLens's other names of modules."""


def get_act_name(name: str, layer: int | None = None, module: str | None = None) -> str:
    """The full name of a hook from its short one; a full name stays as it is. Layer and module may be part of it.

    >>> get_act_name("pattern", 3), get_act_name("k7")
    ('blocks.3.attn.hook_pattern', 'blocks.7.attn.hook_k')
    >>> get_act_name("resid_post", 0)
    'blocks.0.hook_resid_post'
    >>> get_act_name("scale", 2, "ln2"), get_act_name("scale2ln2")
    ('blocks.2.ln2.hook_scale', 'blocks.2.ln2.hook_scale')
    >>> get_act_name("scale"), get_act_name("embed")
    ('ln_final.hook_scale', 'hook_embed')
    """
    if "." in name or name.startswith("hook_"):
        return name
    if name.endswith("_grad"):
        return f"{get_act_name(name.removesuffix('_grad'), layer, module)}_grad"
    if parts := re.fullmatch(r"([a-z_]+)(\d+)([a-z]\w*)?", name):
        if layer is not None or (module and parts[3]):
            raise ConfigError(
                f"a layer or module must be given once: got {name!r} with {layer if module is None else module!r} beside it. "
                "Leave one out."
            )
        name, layer, module = parts[1], int(parts[2]), parts[3] or module
    name = SHORT_NAMES.get(name, name)
    module = MODULES.get(module or "", module)
    own = "attn" if name in IN_ATTENTION else "mlp" if name in IN_MLP else None
    if own is not None and module not in (None, "", own):
        raise UnknownNameError(f"module with a hook_{name}", str(module), [own])
    if own is None and layer is None and name in ("scale", "normalized"):
        own = "ln_final"
    steps = [] if layer is None else [f"blocks.{layer}"]
    return ".".join([*steps, *filter(None, [own or module]), f"hook_{name}"])


class HookPoint:
    """One named place; calling it hands the tensor to whatever is attached."""

    def __init__(self) -> None:
        self.name = ""
        self.ctx: dict[str, Any] = {}
        self.fwd: list[HookFunction] = []
        self.bwd: list[HookFunction] = []
        self.permanent: list[HookFunction] = []
        self.sink: dict[str, Tensor] | None = None
        self.is_idle = True

    def __call__(self, tensor: Tensor) -> Tensor:
        """Give the tensor back, after whatever is attached has seen it."""
        return tensor if self.is_idle else self._visit(tensor)

    def __repr__(self) -> str:
        return f"HookPoint({self.name!r})"

    def layer(self) -> int:
        """The layer this point belongs to.

        >>> point = HookPoint()
        >>> point.name = "blocks.3.attn.hook_z"
        >>> point.layer()
        3
        """
        parts = self.name.split(".")
        if parts[0] != "blocks":
            raise ConfigError(
                f"hook.layer() needs a hook inside a block: got {self.name!r}. Use hook.name for one outside."
            )
        return int(parts[1])

    def add_hook(
        self,
        hook: HookFunction,
        dir: Literal["fwd", "bwd"] = "fwd",  # noqa: A002 -- the interface's own word
        is_permanent: bool = False,
        prepend: bool = False,
    ) -> None:
        """Attach `hook(tensor, hook) -> tensor or None` after the hooks that are there, or with `prepend` before them.

        The model's `reset_hooks` removes it, unless it is permanent. A backward hook (`dir="bwd"`) gets the
        gradient and may return another, also as the only entry of a tuple.
        """
        if dir not in ("fwd", "bwd"):
            raise ConfigError(f"dir must be 'fwd' or 'bwd': got {dir!r}. Backward hooks get the gradient.")
        _require_function(hook)
        self.attach(hook, dir, prepend)
        if is_permanent:
            self.permanent.append(hook)

    def attach(self, fn: HookFunction, direction: str, prepend: bool = False) -> None:
        """Add `fn` to the hooks of one direction, as the last one or the first."""
        fns = self.fwd if direction == "fwd" else self.bwd
        fns.insert(0 if prepend else len(fns), fn)
        self.refresh()

    def detach(self, fn: HookFunction, direction: str) -> None:
        """Remove the latest `fn`, if it is still there."""
        fns = self.fwd if direction == "fwd" else self.bwd
        for idx in reversed(range(len(fns))):
            if fns[idx] is fn:
                del fns[idx]
                break
        self.refresh()

    def remove_hooks(
        self,
        dir: Literal["fwd", "bwd", "both"] = "both",  # noqa: A002 -- the interface's own word
        including_permanent: bool = False,
    ) -> None:
        """Remove what is attached here, but for permanent hooks, which go only if asked for."""
        if dir not in ("fwd", "bwd", "both"):
            raise ConfigError(f"dir must be 'fwd', 'bwd' or 'both': got {dir!r}. Backward hooks get the gradient.")
        kept = [] if including_permanent else self.permanent
        if dir != "bwd":
            self.fwd = [fn for fn in self.fwd if any(fn is other for other in kept)]
        if dir != "fwd":
            self.bwd = [fn for fn in self.bwd if any(fn is other for other in kept)]
        self.permanent = [fn for fn in self.permanent if any(fn is other for other in (*self.fwd, *self.bwd))]
        self.refresh()

    def refresh(self) -> None:
        """Note whether anything is attached, after a change."""
        self.is_idle = not (self.fwd or self.bwd) and self.sink is None

    def _visit(self, tensor: Tensor) -> Tensor:
        for fn in tuple(self.fwd):
            replacement = fn(tensor, hook=self)
            tensor = tensor if replacement is None else self._checked(replacement, tensor)
        if tensor.requires_grad:
            for fn in tuple(self.bwd):
                tensor.register_hook(partial(self._visit_gradient, fn))
        if self.sink is not None:
            self.sink[self.name] = tensor
        return tensor

    def _visit_gradient(self, fn: HookFunction, gradient: Tensor) -> Tensor | None:
        replacement: Any = fn(gradient, hook=self)
        if isinstance(replacement, tuple) and len(replacement) == 1:
            replacement = replacement[0]
        return None if replacement is None else self._checked(replacement, gradient)

    def _checked(self, replacement: Any, tensor: Tensor) -> Tensor:
        """What a hook returned, unless it can't stand for the tensor; examples and positions may be fewer or more."""
        if not isinstance(replacement, Tensor):
            raise DtypeError(
                f"a hook must return a tensor, or None to keep the one it got: the one at {self.name!r} returned "
                f"{type(replacement).__name__}. Return tensor * 0 or torch.full_like(tensor, value) for a constant."
            )
        if replacement.ndim != tensor.ndim or replacement.shape[-1:] != tensor.shape[-1:]:
            raise ShapeError(
                f"a hook must return a tensor with the axes of the one it got: the one at {self.name!r} got "
                f"{tuple(tensor.shape)} and returned {tuple(replacement.shape)}. Keep every axis, also those of length 1."
            )
        return replacement


def _require_function(hook: Any) -> None:
    if not callable(hook):
        raise DtypeError(
            f"a hook must be a function of a tensor and its hook point: got {type(hook).__name__}. Write "
            "lambda tensor, hook: tensor * 0, or def f(tensor, hook)."
        )


class HookedModel(nn.Module):
    """A module that finds the hook points inside it and attaches functions to them by name."""

    hook_dict: dict[str, HookPoint]

    def name_hooks(self) -> None:
        """Give every hook point its name: the path of its module, then its attribute."""
        self.hook_dict = {}
        for path, module in self.named_modules():
            for attribute, value in vars(module).items():
                if isinstance(value, HookPoint):
                    value.name = f"{path}.{attribute}" if path else attribute
                    self.hook_dict[value.name] = value

    def match_hooks(self, name: NamesFilter) -> list[HookPoint]:
        """The points that a name, a list of names or a test of names picks out; None picks all."""
        if name is None:
            return list(self.hook_dict.values())
        if callable(name):
            matching = [point for known, point in self.hook_dict.items() if name(known)]
            if not matching:
                raise ConfigError(
                    f"a test of hook names must be true for at least one: got one that is false for all "
                    f"{len(self.hook_dict)}. They look like {next(iter(self.hook_dict), None)!r}; model.hook_dict "
                    "lists them."
                )
            return matching
        points = []
        for wanted in [name] if isinstance(name, str) else name:
            if wanted not in self.hook_dict:
                raise UnknownNameError("hook", wanted, self.hook_dict)
            points.append(self.hook_dict[wanted])
        return points

    def add_hook(
        self,
        name: str | Callable[[str], bool],
        hook: HookFunction,
        dir: Literal["fwd", "bwd"] = "fwd",  # noqa: A002 -- the interface's own word
        is_permanent: bool = False,
        prepend: bool = False,
    ) -> None:
        """Attach a hook by name, as `HookPoint.add_hook` does, until `reset_hooks`; a permanent one outlives that."""
        for point in self.match_hooks(name):
            point.add_hook(hook, dir, is_permanent, prepend)

    def add_perma_hook(self, name: str | Callable[[str], bool], hook: HookFunction) -> None:
        """Attach a hook that `reset_hooks()` leaves in place."""
        self.add_hook(name, hook, is_permanent=True)

    def reset_hooks(self, *, including_permanent: bool = False) -> None:
        """Remove the hooks of every point, and empty each point's `ctx`."""
        for point in self.hook_dict.values():
            point.remove_hooks(including_permanent=including_permanent)
            point.ctx.clear()

    @contextmanager
    def hooks(self, fwd_hooks: Iterable[HookSpec] = (), bwd_hooks: Iterable[HookSpec] = ()) -> Iterator[Any]:
        """Attach hooks for the length of a `with` block; each is `(name or test of names, function)`."""
        wanted = [(*_checked_pair(spec), "fwd") for spec in fwd_hooks]
        wanted += [(*_checked_pair(spec), "bwd") for spec in bwd_hooks]
        attached = [(point, fn, direction) for name, fn, direction in wanted for point in self.match_hooks(name)]
        try:
            for point, fn, direction in attached:
                point.attach(fn, direction)
            yield self
        finally:
            for point, fn, direction in reversed(attached):
                point.detach(fn, direction)


def _checked_pair(spec: Any) -> HookSpec:
    if not isinstance(spec, tuple | list) or len(spec) != 2:
        raise ConfigError(
            f"hooks must be a list of pairs (name, function): got {type(spec).__name__} in place of a pair. Write "
            "[(name, function)], also for a single one."
        )
    name, fn = spec
    _require_function(fn)
    return name, fn
