"""A model wrapped in nnsight, seen as all others: `NNsightLM` runs hooks by their canonical names inside one trace.

nnsight wraps a model of `transformers` and gives an envoy for each of its modules, `model.model.layers[2]`,
whose `.input` and `.output` can be read and set in the body of `with model.trace(prompts):`. What
nnsight 0.8.1 does on transformers 5, found by trying:

- The body is compiled from its source and runs beside the model. It must read and set modules in the order
  in which the model reaches them (else `OutOfOrderError`), start on a line of its own, and not with `try`.
- Only what `.save()` marked, and only names bound in the body, outlive the outermost trace; a list that was
  made outside may be appended to inside.
- A layer's output is a tensor, where older versions gave a tuple; attention's own is `(output, weights)`.
- Texts of unequal length are padded on the left, and their positions and mask are right: `output[:, -1]` is
  the last token of each. Token ids, a tensor "batch seq", are taken as they are.
- `with model.trace() as tracer:` takes several `with tracer.invoke(prompts):`, which run as one batch, each
  seeing its own rows. A value that one invocation makes can be used by another: after a
  `tracer.barrier(2)` that both call, or after a read of the same module in both (in the order in which the
  invocations are written). `x.output[:, -1] += h` reads the module before `h`; `x.output[:, -1] = h` doesn't.
- `model.generate(prompts, max_new_tokens=n)` reaches each module once for each new token. A plain read or
  write is of the first pass, the whole prompt; `for step in tracer.iter[:n]:` goes on to the later ones, one
  position each, and `tracer.result` is the finished token ids. `tracer.iter[:]` ends by abandoning the body,
  so what follows belongs in an invocation of its own.
- Gradients are recorded unless `torch.no_grad()` is on around the trace.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab"; hook tensors as in `transformer/activations/hooks.py`.
Raises:  ConfigError for a model that is neither of GPT-2's nor of Llama's form; UnknownNameError for a hook
         that it doesn't have: norms' scales, scores and patterns are not among them.
Source:  nnsight, github.com/ndif-team/nnsight (Fiotto-Kaufman et al. 2024, arXiv:2407.14561).
Differs: `start_at_layer` runs the earlier layers too, on nothing of consequence. As on a bridge, what is written
         to `hook_resid_mid` reaches the MLP and not the residual stream.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.models import HookedLM
from arena_lib.transformer.activations.hooks import HookFunction, HookPoint, HookSpec, NamesFilter, get_act_name
from arena_lib.transformer.fast.padding import count_places


def blocks(model: Any) -> Any:
    """The layers of a model in nnsight, as a list of envoys: `model.transformer.h` (GPT-2) or `model.model.layers`."""
    return model.transformer.h if _form(model) == "gpt2" else model.model.layers


def block(model: Any, layer: int) -> Any:
    """One layer's envoy; negative numbers count from the end.

    Its `.input` is the residual stream that enters the layer, its `.output` the one that leaves it, both
    "batch seq d_model".
    """
    layers = blocks(model)
    if not -len(layers) <= layer < len(layers):
        raise UnknownNameError("layer", str(layer), map(str, range(len(layers))))
    return layers[layer]


def out_projection(model: Any, layer: int) -> Any:
    """The map that ends a layer's attention: its `.input` is every head's z side by side, "batch seq n_heads*d_head"."""
    layer_envoy = block(model, layer)
    return layer_envoy.attn.c_proj if _form(model) == "gpt2" else layer_envoy.self_attn.o_proj


def head_output_weights(model: Any, layer: int) -> Float[Tensor, "n_heads d_head d_model"]:
    """W_O by head: what a layer's attention adds is the sum over heads of z @ W_O (and b_O, if there is one)."""
    weight = out_projection(model, layer)._module.weight
    weight = weight if _form(model) == "gpt2" else weight.T
    return einops.rearrange(
        weight, "(n_heads d_head) d_model -> n_heads d_head d_model", n_heads=model.config.num_attention_heads
    )


def _form(model: Any) -> str:
    form = getattr(getattr(model, "config", None), "model_type", None)
    if form not in ("gpt2", "llama"):
        raise ConfigError(
            f"a model in nnsight must be of GPT-2's or Llama's form: got {form!r}. "
            "Use its modules by their own names, or load one with arena_lib.zoo.load_nnsight."
        )
    return str(form)


@dataclass(frozen=True)
class Site:
    """Where the tensor of one hook name stands: an envoy's input or output, or a part of it by head."""

    name: str
    envoy: Any
    side: str
    n_heads: int = 0
    """Heads in it; 0 for a tensor that isn't split."""
    first: int = 0
    width: int = 0
    """Which entries of the last axis belong to it, where it is split."""

    def read(self) -> tuple[Tensor, Tensor]:
        """The envoy's whole tensor, and this name's view of it."""
        whole = getattr(self.envoy, self.side)
        if not self.n_heads:
            return whole, whole
        part = whole[..., self.first : self.first + self.width]
        return whole, part.unflatten(-1, (self.n_heads, self.width // self.n_heads))

    def write(self, whole: Tensor, value: Tensor) -> None:
        """Put a new value in this name's place."""
        if self.n_heads:
            part = value.flatten(-2)
            last = self.first + self.width
            value = torch.cat([whole[..., : self.first], part, whole[..., last:]], dim=-1)
        setattr(self.envoy, self.side, value)


@dataclass
class Visit:
    """What is to be done at one site."""

    site: Site
    fwd: list[HookFunction] = field(default_factory=list)
    bwd: list[HookFunction] = field(default_factory=list)
    is_cached: bool = False

    def make(self, cache: dict[str, Tensor]) -> None:
        """Wait until the model is there, hand the tensor to the hooks, and put back what they made of it."""
        whole, tensor = self.site.read()
        point = HookPoint()
        point.name = self.site.name
        for fn in self.fwd:
            replacement = fn(tensor, hook=point)
            tensor = tensor if replacement is None else replacement
        if self.bwd and tensor.requires_grad:
            tensor = tensor.clone()
            for fn in self.bwd:
                tensor.register_hook(partial(fn, hook=point))
        if self.fwd or self.bwd:
            self.site.write(whole, tensor)
        if self.is_cached:
            cache[self.site.name] = tensor


class NamedTensors(dict[str, Tensor]):
    """Tensors by hook name, full or short: `cache["z", 0]`."""

    def __missing__(self, key: Any) -> Tensor:
        """The tensor of a short name, or of a tuple (short name, layer)."""
        name = get_act_name(key) if isinstance(key, str) else get_act_name(*key)
        if name in self:
            return self[name]
        raise UnknownNameError("activation in this cache", name, self)


class NNsightLM(HookedLM):
    """A `TransformersModel` (once called `LanguageModel`) of GPT-2's or Llama's form."""

    def __init__(self, model: Any) -> None:
        cfg, self.form = model.config, _form(model)
        self.model = model
        self.n_layers, self.n_heads = int(cfg.num_hidden_layers), int(cfg.num_attention_heads)
        self.n_kv_heads = int(getattr(cfg, "num_key_value_heads", None) or self.n_heads)
        self.d_model, self.d_vocab = int(cfg.hidden_size), int(cfg.vocab_size)
        self.d_head = int(getattr(cfg, "head_dim", None) or self.d_model // self.n_heads)
        self.has_mlp = True
        self._sites = {site.name: site for site in self._list_sites()}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.W_E.device

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
        """As `HookedLM.run`, in one trace."""
        visits = {name: Visit(site) for name, site in self._sites.items()}
        for specs, direction in ((fwd_hooks, "fwd"), (bwd_hooks, "bwd")):
            for wanted, fn in specs:
                for name in self._match(wanted):
                    getattr(visits[name], direction).append(fn)
        return self._trace(tokens, visits, {}, start_at_layer, stop_at_layer)

    def run_with_cache(
        self, tokens: Int[Tensor, "batch seq"], names: NamesFilter = None, *, stop_at_layer: int | None = None
    ) -> tuple[Float[Tensor, "batch seq_out d_out"], NamedTensors]:
        """As `HookedLM.run_with_cache`, in one trace."""
        wanted, cache = set(self._match(names)), NamedTensors()
        visits = {name: Visit(site, is_cached=name in wanted) for name, site in self._sites.items()}
        return self._trace(tokens, visits, cache, None, stop_at_layer), cache

    def _trace(
        self, tokens: Tensor, visits: dict[str, Visit], cache: dict[str, Tensor], start: int | None, stop: int | None
    ) -> Tensor:
        """One trace that makes the visits in the order in which the model comes by."""
        layers = blocks(self.model)
        first = 0 if start is None else self._check_end(start)
        last = self.n_layers if stop is None else self._check_end(stop)
        ids = tokens if start is None else torch.zeros(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        if start is not None and (last <= first or first == self.n_layers):
            return tokens if stop is not None else self.unembed(tokens)
        reached = [visit for name, visit in visits.items() if self._is_between(name, start, stop)]
        todo = [visit for visit in reached if visit.fwd or visit.bwd or visit.is_cached]
        if last == 0:
            reading = layers[0], "input"
        else:
            reading = (self.model.lm_head if stop is None else layers[last - 1]), "output"
        mask = self.mask_of(ids)
        is_real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        places = {"attention_mask": is_real.long(), "position_ids": count_places(is_real)}
        with self.model.trace(input_ids=ids, **places) as tracer:
            if start is not None:
                layers[first].input = tokens
            for visit in todo:
                visit.make(cache)
            out = getattr(*reading).save()
            tracer.stop()
        return out

    def _is_between(self, name: str, start: int | None, stop: int | None) -> bool:
        """Whether a run from layer `start` to before layer `stop` comes by this site."""
        if not name.startswith("blocks."):
            return start is None if name == "hook_embed" else stop is None
        last = self.n_layers if stop is None else self._check_end(stop)
        return (0 if start is None else self._check_end(start)) <= int(name.split(".")[1]) < last

    def _check_end(self, layer: int) -> int:
        """A layer to start or stop before, which may be the one after the last."""
        if not -self.n_layers <= layer <= self.n_layers:
            raise UnknownNameError("layer", str(layer), map(str, range(self.n_layers + 1)))
        return layer + self.n_layers if layer < 0 else layer

    def _match(self, wanted: NamesFilter) -> list[str]:
        if wanted is None:
            return list(self._sites)
        if callable(wanted):
            return [name for name in self._sites if wanted(name)]
        return [self.check_hook(name) for name in ([wanted] if isinstance(wanted, str) else wanted)]

    # -- where things stand -------------------------------------------------------------------

    def _list_sites(self) -> Iterator[Site]:
        """Every hook name that this model has, in the order in which it reaches them."""
        is_gpt2 = self.form == "gpt2"
        yield Site("hook_embed", self.model.transformer.wte if is_gpt2 else self.model.model.embed_tokens, "output")
        for layer in range(self.n_layers):
            block, at = blocks(self.model)[layer], f"blocks.{layer}."
            yield Site(at + "hook_resid_pre", block, "input")
            yield from self._attention_sites(block, at)
            yield Site(at + "hook_resid_mid", block.ln_2 if is_gpt2 else block.post_attention_layernorm, "input")
            if is_gpt2:
                yield Site(at + "mlp.hook_pre", block.mlp.c_fc, "output")
                yield Site(at + "mlp.hook_post", block.mlp.c_proj, "input")
            else:
                yield Site(at + "mlp.hook_pre", block.mlp.gate_proj, "output")
                yield Site(at + "mlp.hook_pre_linear", block.mlp.up_proj, "output")
                yield Site(at + "mlp.hook_post", block.mlp.down_proj, "input")
            yield Site(at + "hook_mlp_out", block.mlp, "output")
            yield Site(at + "hook_resid_post", block, "output")
        yield Site("unembed.hook_in", self.model.lm_head, "input")

    def _attention_sites(self, block: Any, at: str) -> Iterator[Site]:
        n_heads, n_kv, width = self.n_heads, self.n_kv_heads, self.n_heads * self.d_head
        if self.form == "gpt2":
            for i, part in enumerate("qkv"):
                yield Site(f"{at}attn.hook_{part}", block.attn.c_attn, "output", n_heads, i * width, width)
            out = block.attn.c_proj
        else:
            for part, n in (("q", n_heads), ("k", n_kv), ("v", n_kv)):
                envoy = getattr(block.self_attn, f"{part}_proj")
                yield Site(f"{at}attn.hook_{part}", envoy, "output", n, 0, n * self.d_head)
            out = block.self_attn.o_proj
        yield Site(at + "attn.hook_z", out, "input", n_heads, 0, width)
        yield Site(at + "hook_attn_out", out, "output")

    def check_hook(self, name: str) -> str:
        """The full hook name, if the model has it."""
        if not self.has_hook(name):
            raise UnknownNameError("hook", name, self._sites)
        return name

    def has_hook(self, name: str) -> bool:
        """Whether there is a hook of this full name."""
        return name in self._sites

    # -- parts --------------------------------------------------------------------------------

    def _in_projection(self, layer: int, part: str) -> Float[Tensor, "n_heads d_model d_head"]:
        """W_Q, W_K or W_V, keys and values repeated."""
        module = blocks(self.model)[self.check_layer(layer)]._module
        if self.form == "gpt2":
            weight = module.attn.c_attn.weight.chunk(3, dim=-1)["qkv".index(part)]
        else:
            weight = getattr(module.self_attn, f"{part}_proj").weight.T
        split = einops.rearrange(weight, "d_model (n d_head) -> n d_model d_head", d_head=self.d_head)
        return self.repeat_kv(split, axis=0)

    def W_Q(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Queries' weights of one layer."""
        return self._in_projection(layer, "q")

    def W_K(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Keys' weights of one layer, for each query head those that it reads."""
        return self._in_projection(layer, "k")

    def W_V(self, layer: int) -> Float[Tensor, "n_heads d_model d_head"]:
        """Values' weights of one layer, for each query head those that it reads."""
        return self._in_projection(layer, "v")

    def W_O(self, layer: int) -> Float[Tensor, "n_heads d_head d_model"]:
        """Output weights of one layer."""
        return head_output_weights(self.model, self.check_layer(layer))

    def bias(self, layer: int, name: str) -> Tensor | None:
        """`b_Q`, `b_K`, `b_V` ("n_heads d_head") or `b_O` ("d_model"); None in Llama's form, which has none."""
        if self.form != "gpt2":
            return None
        attn = blocks(self.model)[self.check_layer(layer)]._module.attn
        if name == "b_O":
            return attn.c_proj.bias
        part: Tensor = attn.c_attn.bias.chunk(3)["QKV".index(name[-1])]
        return part.unflatten(0, (self.n_heads, self.d_head))

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """The token embedding."""
        module = self.model.transformer.wte if self.form == "gpt2" else self.model.model.embed_tokens
        return module._module.weight

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding."""
        return self.model.lm_head._module.weight.T

    def norm(
        self, layer: int, part: str, resid: Float[Tensor, "*any seq d_model"]
    ) -> Float[Tensor, "*any seq d_model"]:
        """The block's `ln1` or `ln2`, gain and bias included."""
        return self._norm_module(layer, part)(resid)

    def gain(self, layer: int | None, part: str = "ln1") -> tuple[Float[Tensor, " d_model"], bool]:
        """What a norm multiplies by, and whether it takes the mean away first; layer None is the final norm's."""
        norm = self._final_norm_module() if layer is None else self._norm_module(layer, part)
        return norm.weight, hasattr(norm, "bias")

    def mlp_out(self, layer: int, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_model"]:
        """What the layer's MLP adds to a stream that it reads, its norm included."""
        return blocks(self.model)[self.check_layer(layer)]._module.mlp(self.norm(layer, "ln2", resid))

    def final_norm(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_model"]:
        """The norm before the unembedding, exact: its scale is that of `resid`."""
        return self._final_norm_module()(resid)

    def unembed(self, resid: Float[Tensor, "*any seq d_model"]) -> Float[Tensor, "*any seq d_vocab"]:
        """Logits of a residual stream that leaves the last block: final norm, then W_U."""
        return self.model.lm_head._module(self.final_norm(resid))

    def unembed_tokens(
        self, resid: Float[Tensor, "*any batch seq d_model"], tokens: Int[Tensor, "batch n"]
    ) -> Float[Tensor, "*any batch seq n"]:
        """`unembed` for a few tokens of each prompt, without making the logits of the others."""
        return torch.einsum("...bsm,bnm->...bsn", self.final_norm(resid), self.W_U.T[tokens])

    @property
    def last_meeting(self) -> str:
        """A hook after the last attention at which positions may be dropped."""
        return "unembed.hook_in"

    def _norm_module(self, layer: int, part: str) -> Any:
        names = {"ln1": ("ln_1", "input_layernorm"), "ln2": ("ln_2", "post_attention_layernorm")}
        module = blocks(self.model)[self.check_layer(layer)]._module
        return getattr(module, names[part][self.form != "gpt2"])

    def _final_norm_module(self) -> Any:
        return (self.model.transformer.ln_f if self.form == "gpt2" else self.model.model.norm)._module
