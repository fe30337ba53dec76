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
Raises:  UnknownNameError for a hook name the model does not have; ConfigError for a test of names
         that picks none.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: hook points are no modules; backward hooks sit on the tensor, so that they still fire
         after the `with` block in which the forward pass ran.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from arena_lib.errors import ConfigError, UnknownNameError

HookFunction = Callable[..., Tensor | None]
NamesFilter = str | Sequence[str] | Callable[[str], bool] | None
HookSpec = tuple[str | Callable[[str], bool], HookFunction]


IN_ATTENTION = ("q", "k", "v", "rot_q", "rot_k", "z", "result", "attn_scores", "pattern")
IN_MLP = ("pre", "pre_linear", "post")
SHORT_NAMES = {"attn": "pattern", "attn_logits": "attn_scores", "query": "q", "key": "k", "value": "v"}


def get_act_name(name: str, layer: int | None = None, module: str | None = None) -> str:
    """The full name of a hook from its short one; a full name stays as it is.

    >>> get_act_name("pattern", 3)
    'blocks.3.attn.hook_pattern'
    >>> get_act_name("resid_post", 0)
    'blocks.0.hook_resid_post'
    >>> get_act_name("scale", 2, "ln2"), get_act_name("scale"), get_act_name("embed")
    ('blocks.2.ln2.hook_scale', 'ln_final.hook_scale', 'hook_embed')
    """
    if "." in name or name.startswith("hook_"):
        return name
    if name.endswith("_grad"):
        return f"{get_act_name(name.removesuffix('_grad'), layer, module)}_grad"
    name = SHORT_NAMES.get(name, name)
    if name in IN_ATTENTION:
        module = "attn"
    elif name in IN_MLP:
        module = "mlp"
    elif layer is None and name in ("scale", "normalized"):
        module = "ln_final"
    parts = [] if layer is None else [f"blocks.{layer}"]
    return ".".join([*parts, *([module] if module else []), f"hook_{name}"])


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

    def attach(self, fn: HookFunction, direction: str) -> None:
        """Append `fn` to the hooks of one direction."""
        (self.fwd if direction == "fwd" else self.bwd).append(fn)
        self.refresh()

    def detach(self, fn: HookFunction, direction: str) -> None:
        """Remove the latest `fn`, if it is still there."""
        fns = self.fwd if direction == "fwd" else self.bwd
        for idx in reversed(range(len(fns))):
            if fns[idx] is fn:
                del fns[idx]
                break
        self.refresh()

    def refresh(self) -> None:
        """Note whether anything is attached, after a change."""
        self.is_idle = not (self.fwd or self.bwd) and self.sink is None

    def _visit(self, tensor: Tensor) -> Tensor:
        for fn in tuple(self.fwd):
            replacement = fn(tensor, hook=self)
            tensor = tensor if replacement is None else replacement
        if tensor.requires_grad:
            for fn in tuple(self.bwd):
                tensor.register_hook(partial(fn, hook=self))
        if self.sink is not None:
            self.sink[self.name] = tensor
        return tensor


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
    ) -> None:
        """Attach `hook(tensor, hook) -> tensor or None` until `reset_hooks`; a permanent one outlives that."""
        if dir not in ("fwd", "bwd"):
            raise ConfigError(f"dir must be 'fwd' or 'bwd': got {dir!r}. Backward hooks get the gradient.")
        for point in self.match_hooks(name):
            point.attach(hook, dir)
            if is_permanent:
                point.permanent.append(hook)

    def add_perma_hook(self, name: str | Callable[[str], bool], hook: HookFunction) -> None:
        """Attach a hook that `reset_hooks()` leaves in place."""
        self.add_hook(name, hook, is_permanent=True)

    def reset_hooks(self, *, including_permanent: bool = False) -> None:
        """Remove the hooks of every point, and empty each point's `ctx`."""
        for point in self.hook_dict.values():
            kept = [] if including_permanent else point.permanent
            point.fwd = [fn for fn in point.fwd if any(fn is other for other in kept)]
            point.bwd = [fn for fn in point.bwd if any(fn is other for other in kept)]
            point.permanent = list(kept)
            point.ctx.clear()
            point.refresh()

    @contextmanager
    def hooks(self, fwd_hooks: Iterable[HookSpec] = (), bwd_hooks: Iterable[HookSpec] = ()) -> Iterator[Any]:
        """Attach hooks for the length of a `with` block; each is `(name or test of names, function)`."""
        wanted = [(*spec, "fwd") for spec in fwd_hooks] + [(*spec, "bwd") for spec in bwd_hooks]
        attached = [(point, fn, direction) for name, fn, direction in wanted for point in self.match_hooks(name)]
        try:
            for point, fn, direction in attached:
                point.attach(fn, direction)
            yield self
        finally:
            for point, fn, direction in reversed(attached):
                point.detach(fn, direction)
