"""Judge of one layer's adapters and their hooks, section 2.4."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.rlhf.lora import hooks
from arena_lib.rlhf.lora.adapter import Lora
from arena_lib.tests.rlhf.tiny_transformers import GPT2_CONFIG, LLAMA_CONFIG, gradients_of
from arena_lib.transformer.activations.hooks import HookPoint

__test__ = False


def hook_cases(generator: torch.Generator) -> list[Case]:
    """As many keys as queries, and fewer; one token; activations of another dtype than the adapters'."""

    def case(label: str, cfg: Any, shape: tuple[int, int], layer_idx: int, *settings: Any, dtype: Any = None) -> Case:
        built = hooks.LoraHooks(layer_idx, cfg, *settings)
        own = built.lora_q.A.dtype

        def draw(*axes: int, dtype: torch.dtype = dtype or own) -> Tensor:
            return torch.randn(*shape, *axes, generator=generator, dtype=dtype)

        n_kv_heads = getattr(cfg, "n_kv_heads", cfg.n_heads)
        activations = {
            "attn_in": draw(cfg.d_model, dtype=own),
            "z": draw(cfg.n_heads, cfg.d_head, dtype=own),
            "q": draw(cfg.n_heads, cfg.d_head),
            "k": draw(n_kv_heads, cfg.d_head),
            "v": draw(n_kv_heads, cfg.d_head),
            "attn_out": draw(cfg.d_model),
        }
        named = zip(("lora_alpha", "rank", "dtype"), settings, strict=False)
        words = ", ".join([str(layer_idx), "cfg", *(f"{name}={value}" for name, value in named)])
        given = {
            "config": cfg,
            "layer_idx": layer_idx,
            "settings": settings,
            "weights": random_weights(built, generator),
            "activations": activations,
        }
        return Case(label=label, given=given, call=f"LoraHooks({words}), then its hooks")

    return [
        case("as many keys as queries", GPT2_CONFIG, (2, 5), 1, 6, 3, torch.float64),
        case("fewer keys and values than queries", LLAMA_CONFIG, (3, 4), 2, 16, 2, torch.float64),
        case("one token", LLAMA_CONFIG, (1, 1), 0, 0.5, 5, torch.float64),
        case("settings left out", GPT2_CONFIG, (1, 2), 0),
        case("adapters in float64 beside float32", GPT2_CONFIG, (2, 3), 0, 8, 1, torch.float64, dtype=torch.float32),
    ]


def point_at(layer_idx: int, name: str) -> HookPoint:
    """The hook point of this name in a layer."""
    point = HookPoint()
    point.name = f"blocks.{layer_idx}.{name}"
    return point


def hooks_seen(cls: Any, case: Case) -> Observations:
    """What each hook returns for given adapters, and where gradients flow; adapters as they begin."""
    layer_idx, weights = case.given["layer_idx"], case.given["weights"]
    layer: Any = cls(layer_idx, case.given["config"], *case.given["settings"])
    seen: Observations = {
        "layer_idx": layer.layer_idx,
        "shapes": {name: tuple(parameter.shape) for name, parameter in sorted(layer.named_parameters())},
        "dtypes": sorted({str(parameter.dtype) for parameter in layer.parameters()}),
        "which B are 0 at first": sorted(
            name for name, weight in layer.named_parameters() if name.endswith("B") and not weight.any()
        ),
    }
    load_by_name(layer, weights)
    leaves = {name: x.clone().requires_grad_() for name, x in case.given["activations"].items()}
    passed = {name: leaf.clone() for name, leaf in leaves.items()}
    layer.attn_in, layer.z = passed["attn_in"], passed["z"]
    for part in "qkv":
        seen[part] = layer.lora_hook_qkv(passed[part], point_at(layer_idx, f"attn.hook_{part}"))
    seen["attn_out"] = layer.lora_hook_out(passed["attn_out"], point_at(layer_idx, "hook_attn_out"))
    if leaves["q"].dtype != torch.float64:  # gradients in float32 would be rounded
        return seen
    total = sum((seen[name] ** 2).sum() for name in ("q", "k", "v", "attn_out"))
    return seen | gradients_of(total, leaves | dict(layer.named_parameters()))


class HooksByFactors(hooks.LoraHooks):
    """With the factors themselves, and a branch for each of q, k and v."""

    def __init__(self, layer_idx: int, cfg: Any, lora_alpha: float = 32, rank: int = 4, dtype: Any = None) -> None:
        nn.Module.__init__(self)
        is_grouped = hasattr(cfg, "n_kv_heads")
        self.layer_idx = layer_idx
        for part in "qkv":
            n_heads = cfg.n_kv_heads if is_grouped and part != "q" else cfg.n_heads
            lora = Lora(cfg.d_model, cfg.d_head, rank=rank, lora_alpha=lora_alpha, n_inst=n_heads, dtype=dtype)
            self.add_module(f"lora_{part}", lora)
        self.lora_out = Lora(cfg.d_head * cfg.n_heads, cfg.d_model, rank=rank, lora_alpha=lora_alpha, dtype=dtype)

    def lora_hook_qkv(self, qkv_hook_out: Tensor, hook: HookPoint) -> Tensor:
        """Each head's A reads the one residual stream."""
        if hook.name.endswith("q"):
            lora = self.lora_q
        elif hook.name.endswith("k"):
            lora = self.lora_k
        else:
            lora = self.lora_v
        added = torch.einsum("bsd,ndr,nrh->bsnh", self.attn_in, lora.A, lora.B) * lora.scale
        return (qkv_hook_out + added).to(qkv_hook_out)

    def lora_hook_out(self, attn_out: Tensor, hook: HookPoint) -> Tensor:
        """By the weight's delta."""
        return torch.addmm(
            attn_out.flatten(0, 1), self.z.flatten(2).flatten(0, 1).to(attn_out), self.lora_out.delta().to(attn_out)
        ).view_as(attn_out)


class HooksByWriting(hooks.LoraHooks):
    """Writes into what the hooks get, as hooks may, and lets one axis of copies be broadcast."""

    def lora_hook_qkv(self, qkv_hook_out: Tensor, hook: HookPoint) -> Tensor:
        """`lora_q` and its kin by name."""
        lora = getattr(self, "lora_" + hook.name[-1])
        qkv_hook_out += lora(self.attn_in.unsqueeze(2).expand(-1, -1, qkv_hook_out.shape[2], -1))
        return qkv_hook_out

    def lora_hook_out(self, attn_out: Tensor, hook: HookPoint) -> Tensor:
        """Flattened."""
        attn_out += self.lora_out(self.z.flatten(start_dim=2))
        return attn_out


LORA_K = "self.lora_k = Lora(cfg.d_model, cfg.d_head, rank, lora_alpha, n_kv_heads, dtype)"
OUT = "Lora(cfg.n_heads * cfg.d_head, cfg.d_model, rank, lora_alpha, None, dtype)"
RETURN_QKV = "return qkv_hook_out + lora(copies).to(qkv_hook_out.dtype)"
RETURN_OUT = "return attn_out + self.lora_out(z).to(attn_out.dtype)"

test_lora_hooks = exercise(
    reference=hooks.LoraHooks,
    cases=hook_cases,
    observe=hooks_seen,
    keep=["keep_z", "forget", "fwd_hooks"],
    accepts=[HooksByFactors, HooksByWriting],
    mistakes=[
        Mistake(
            "gives keys and values as many adapters as there are queries",
            'getattr(cfg, "n_kv_heads", cfg.n_heads)',
            "cfg.n_heads",
            why="with grouped queries there are cfg.n_kv_heads heads of keys and of values",
        ),
        *instead_of(
            LORA_K,
            {
                "self.lora_k = self.lora_q": (
                    "lets keys share the queries' adapters",
                    "W_Q and W_K are two weights, so each has adapters of its own",
                ),
                LORA_K.replace("n_kv_heads", "None"): (
                    "gives keys one adapter for all heads",
                    "each key head has an adapter of its own: n_inst says how many",
                ),
            },
        ),
        *instead_of(
            OUT,
            {
                "Lora(cfg.d_head, cfg.d_model, rank, lora_alpha, cfg.n_heads, dtype)": (
                    "gives W_O an adapter for each head",
                    "lora_out is a single one, which reads all heads' z side by side",
                ),
                OUT.replace("lora_alpha", "32"): (
                    "leaves lora_out at lora_alpha 32",
                    "all four take the lora_alpha given",
                ),
                OUT.replace(", dtype", ""): ("leaves lora_out in float32", "all four have the dtype that is given"),
            },
        ),
        *instead_of(
            '"hook_k": self.lora_k, "hook_v": self.lora_v',
            {
                '"hook_k": self.lora_v, "hook_v": self.lora_k': (
                    "swaps the adapters of keys and values",
                    "hook_k gets what lora_k makes, hook_v what lora_v makes",
                ),
                '"hook_k": self.lora_q, "hook_v": self.lora_q': (
                    "uses the queries' adapters for keys and values",
                    "hook.name says which of the three it is",
                ),
            },
        ),
        *instead_of(
            RETURN_QKV,
            {
                "return lora(copies).to(qkv_hook_out.dtype)": (
                    "puts the adapters' part in place of q, k and v",
                    "what the frozen weight gave stays, and the adapters' part is added to it",
                ),
                "return qkv_hook_out + lora(copies)": (
                    "returns q, k and v in the adapters' dtype",
                    "the model goes on in the dtype that the hook got",
                ),
                "return qkv_hook_out + lora.scale * lora(copies).to(qkv_hook_out.dtype)": (
                    "multiplies by lora_alpha / rank twice",
                    "Lora's forward has the scale in it",
                ),
                "return qkv_hook_out + 2 * lora(copies).to(qkv_hook_out.dtype)": (
                    "adds the adapters' part twice",
                    "it is added once to each of q, k and v",
                ),
                "return qkv_hook_out - lora(copies).to(qkv_hook_out.dtype)": (
                    "subtracts the adapters' part",
                    "what the adapters make is added",
                ),
                "return qkv_hook_out + lora(qkv_hook_out).to(qkv_hook_out.dtype)": (
                    "feeds an adapter with q, k or v itself",
                    "an adapter reads what the weight beside it reads: attn_in",
                    "RuntimeError",
                ),
                "return qkv_hook_out + lora(copies).detach().to(qkv_hook_out.dtype)": (
                    "detaches what the adapters of q, k and v make",
                    "the adapters learn from the gradient that comes back here",
                ),
            },
        ),
        Mistake(
            "detaches attn_in",
            "einops.repeat(self.attn_in,",
            "einops.repeat(self.attn_in.detach(),",
            why="the adapters of earlier layers learn from what later ones read",
        ),
        Mistake(
            "lays z out with the heads last",
            "-> batch seq (n_heads d_head)",
            "-> batch seq (d_head n_heads)",
            why="W_O reads the entries of head 0, then those of head 1",
        ),
        *instead_of(
            RETURN_OUT,
            {
                "return self.lora_out(z).to(attn_out.dtype)": (
                    "puts the adapter's part in place of attention's output",
                    "what W_O gave stays, and the adapter's part is added to it",
                ),
                "return attn_out + self.lora_out(self.attn_in).to(attn_out.dtype)": (
                    "feeds lora_out with attn_in",
                    "W_O reads z, so the adapter beside it does too",
                    "RuntimeError",
                ),
                "return attn_out + self.lora_out(z)": (
                    "returns attention's output in the adapters' dtype",
                    "the model goes on in the dtype that the hook got",
                ),
                "return attn_out": ("leaves attention's output as it is", "lora_out's part is added"),
                "return attn_out + 2 * self.lora_out(z).to(attn_out.dtype)": (
                    "adds lora_out's part twice",
                    "it is added once",
                ),
            },
        ),
    ],
)
