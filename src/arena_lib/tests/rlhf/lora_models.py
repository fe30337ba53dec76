"""Judge of a whole model with adapters by hooks, section 2.4."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations, count_hooks, hooks_in_words
from arena_lib.core.device import at_least_float32
from arena_lib.rlhf.lora import hooks
from arena_lib.tests.rlhf.tiny_transformers import (
    GPT2_CONFIG,
    LLAMA_CONFIG,
    build,
    draw_tokens,
    draw_weights,
    fill,
    gradients_of,
)

__test__ = False


def model_cases(generator: torch.Generator) -> list[Case]:
    """Both forms, with and without padding; half precision; settings left out."""

    def case(label: str, cfg: Any, shape: tuple[int, int], settings: tuple[Any, ...], **given: Any) -> Case:
        dtype = given.pop("dtype", torch.float64)
        weights = {name: weight.to(dtype) for name, weight in draw_weights(cfg, generator).items()}
        named = zip(("lora_alpha", "rank"), settings, strict=False)
        words = ", ".join(f"{name}={value}" for name, value in named)
        return Case(
            label=label,
            args=(draw_tokens(*shape, generator), *given.pop("mask", ())),
            given={"config": cfg, "base": weights, "settings": settings, "dtype": dtype, **given},
            call=f"TransformerWithValueHeadLora(base_model), setup_lora({words})",
        )

    padding = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    return [
        case("GPT-2's form", GPT2_CONFIG, (2, 4), (6, 3)),
        case("Llama's form, with padding", LLAMA_CONFIG, (3, 5), (5.0, 2), mask=(padding,)),
        case("settings left out, one text of one token", LLAMA_CONFIG, (1, 1), ()),
        case("half precision", GPT2_CONFIG, (1, 3), (2, 1), dtype=torch.bfloat16),
    ]


def model_seen(cls: Any, case: Case) -> Observations:
    """What trains, what adapters begin with, what they change, and that the base model is untouched by them."""
    model, base = _make(cls, case)
    tokens, *mask = case.fresh().args
    model.setup_lora(*case.given["settings"])
    seen: Observations = {
        "what trains": sorted({_part_of(name) for name, weight in model.named_parameters() if weight.requires_grad}),
        "frozen weights outside the base model": sorted(
            name
            for name, weight in model.named_parameters()
            if not weight.requires_grad and not name.startswith("base_model.")
        ),
        "layers with hooks": [layer.layer_idx for layer in model.lora],
        "lora_alpha, rank and dtype of each layer": [
            (float(layer.lora_q.lora_alpha), layer.lora_q.rank, layer.lora_q.A.dtype) for layer in model.lora
        ],
        "largest B at first": max(
            (float(w.detach().abs().max()) for n, w in model.lora.named_parameters() if n.endswith("B")), default=0.0
        ),
    }
    if case.given["dtype"] != torch.float64:  # too coarse for the rest
        return seen | {"dtype of logits": model.forward_with_value_head(tokens)[0].dtype}
    _draw_adapters(model)
    before = base(tokens, attention_mask=mask[0] if mask else None).detach()
    logits, values = model(tokens, *mask)
    real = mask[0].bool() if mask else torch.ones_like(tokens, dtype=torch.bool)
    seen |= {"logits": logits[real], "values": values[real]}
    wanted = {f"{part}.{n}": w for part in ("lora", "value_head") for n, w in getattr(model, part).named_parameters()}
    trained = {name: weight for name, weight in wanted.items() if weight.requires_grad}
    seen |= gradients_of((logits[real] ** 2).sum() + (values[real] ** 2).sum(), trained)
    seen["hooks on the base model after a pass"] = hooks_in_words(count_hooks(base))
    seen["the base model by itself is changed"] = not torch.allclose(
        base(tokens, attention_mask=mask[0] if mask else None), before, atol=1e-9
    )
    return seen | _writing_seen(model, tokens, mask) | _context_seen(model, tokens) | _second_setup(model, tokens)


def _part_of(name: str) -> str:
    """`lora`, `value_head`, or the part of the base model, such as `base_model.embed`."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "base_model" else parts[0]


def _make(cls: Any, case: Case) -> tuple[Any, Any]:
    """A learner's model on a base model of its own, with a value head that says something."""
    base = build(case.given["config"], case.given["base"])
    model = cls(base, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    heads = {n: torch.randn(w.shape, generator=generator).to(w) for n, w in model.value_head.named_parameters()}
    fill(model.value_head, heads)
    return model, base


def _draw_adapters(model: Any, seed: int = 3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.lora.named_parameters()):
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))


def _writing_seen(model: Any, tokens: Tensor, mask: list[Tensor]) -> Observations:
    """What it writes: the likeliest tokens, drawn ones, and as many as are written by default."""
    options = {"attention_mask": mask[0]} if mask else {}
    draws = [
        model.generate(tokens, 7, temperature=1.5, generator=torch.Generator().manual_seed(seed), **options)
        for seed in (4, 4)
    ]
    return {
        "generate(tokens, 3)": model.generate(tokens, 3, **options),
        "generate(tokens, 7, temperature=1.5, generator=...)": draws[0],
        "equal generators write equal texts": torch.equal(*draws),
        "shape of generate(tokens)": tuple(model.generate(tokens, **options).shape),
        "hooks on the base model after generate": hooks_in_words(count_hooks(model.base_model)),
    }


def _context_seen(model: Any, tokens: Tensor) -> Observations:
    """The base model within `adapted`, and what an error there leaves behind."""
    with model.adapted():
        within = model.base_model(tokens)
    with contextlib.suppress(ZeroDivisionError), model.adapted():
        raise ZeroDivisionError
    left = count_hooks(model.base_model)
    model.base_model.reset_hooks()
    return {
        "base_model(tokens) within adapted()": within,
        "hooks after an error within adapted()": hooks_in_words(left),
    }


def _second_setup(model: Any, tokens: Tensor) -> Observations:
    """New adapters in place of the old ones: at first they add nothing."""
    model.setup_lora(3, 1)
    logits = model.forward_with_value_head(tokens)[0]
    return {
        "after a second setup_lora(3, 1)": [(float(h.lora_out.lora_alpha), h.lora_out.rank) for h in model.lora],
        "logits after a second setup_lora": logits,
    }


class LoraByStack(hooks.TransformerWithValueHeadLora):
    """Hooks attached by an ExitStack; weights frozen one by one; logits and values made by hand."""

    def setup_lora(self, lora_alpha: float = 32, rank: int = 4) -> None:
        for parameter in self.base_model.parameters():
            parameter.requires_grad = False
        weight = self.base_model.unembed.W_U
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        self.lora = nn.ModuleList()
        for layer_idx, _ in enumerate(self.base_model.blocks):
            self.lora.append(hooks.LoraHooks(layer_idx, self.cfg, lora_alpha=lora_alpha, rank=rank, dtype=dtype))

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            blocks: Any = self.base_model.blocks
            for layer in cast(Any, self.lora):
                ln1 = blocks[layer.layer_idx].ln1
                stack.enter_context(self.base_model.hooks(fwd_hooks=layer.fwd_hooks(ln1.gain)))
            yield

    def forward_with_value_head(self, tokens: Tensor, attention_mask: Any = None) -> tuple[Tensor, Tensor]:
        with self.adapted():
            resid = self.base_model(tokens, stop_at_layer=self.cfg.n_layers, attention_mask=attention_mask)
        normalized = self.base_model.ln_final(resid)
        return self.base_model.unembed(normalized), self.value_head(normalized)[..., 0]

    def generate(self, tokens: Tensor, max_new_tokens: int = 10, **options: Any) -> Tensor:
        with self.adapted():
            written: Any = self.base_model.generate(tokens, max_new_tokens=max_new_tokens, **options)
        return cast(Tensor, written)


class LoraByAttaching(hooks.TransformerWithValueHeadLora):
    """Hooks attached and detached one by one."""

    def setup_lora(self, lora_alpha: float = 32, rank: int = 4) -> None:
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("value_head"))
        like = at_least_float32(self.base_model.embed.W_E.detach())
        self.lora = nn.ModuleList(
            hooks.LoraHooks(i, self.cfg, lora_alpha, rank).to(like.device, like.dtype) for i in range(self.cfg.n_layers)
        )

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        attached, blocks = list[Any](), cast(Any, self.base_model.blocks)
        try:
            for layer in cast(Any, self.lora):
                for name, hook in layer.fwd_hooks(blocks[layer.layer_idx].ln1.gain):
                    point = self.base_model.hook_dict[name]
                    point.add_hook(hook)
                    attached.append((point, hook))
            yield
        finally:
            for point, hook in attached:
                point.detach(hook, "fwd")


class LeavesHooks(hooks.TransformerWithValueHeadLora):
    """Attaches hooks that stay."""

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        self.base_model.reset_hooks()
        layers: Any = zip(self.lora, self.base_model.blocks, strict=False)
        for layer, block in layers:
            for name, hook in layer.fwd_hooks(block.ln1.gain):
                self.base_model.add_hook(name, hook)
        yield


class ForgetsHooksOnError(LeavesHooks):
    """Detaches hooks, but not where an error passes."""

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        with super().adapted():
            yield
        self.base_model.reset_hooks()


class Merges(hooks.TransformerWithValueHeadLora):
    """Adds what adapters give to the weights, and never takes it away again."""

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        with torch.no_grad():
            for layer, block in zip(self.lora, self.base_model.blocks, strict=False):
                for part, weight in (("q", "W_Q"), ("k", "W_K"), ("v", "W_V"), ("out", "W_O")):
                    target = getattr(block.attn, weight)
                    target += getattr(layer, f"lora_{part}").delta().view_as(target)
        yield


FORWARD = "TransformerWithValueHeadLora.forward_with_value_head"
GENERATE = "TransformerWithValueHeadLora.generate"
MAKE = "LoraHooks(layer_idx, self.cfg, lora_alpha, rank, dtype)"
WRITE = "tokens, max_new_tokens, attention_mask=attention_mask, generator=generator, **options"

test_transformer_with_value_head_lora = exercise(
    reference=hooks.TransformerWithValueHeadLora,
    cases=model_cases,
    observe=model_seen,
    keep=["__init__"],
    equivalent={"dtype = at_least_float32(weight[:0]).dtype": "only the dtype of the rows is read"},
    accepts=[LoraByStack, LoraByAttaching],
    mistakes=[
        *instead_of(
            "self.base_model.requires_grad_(False)",
            {
                "pass": (
                    "leaves the base model's weights free to train",
                    "the base model is frozen: that it stays as it was is what makes it the reference",
                ),
                "self.requires_grad_(False)": (
                    "freezes the value head too",
                    "the value head begins at zero, so it must train",
                ),
                "self.base_model.blocks.requires_grad_(False)": (
                    "leaves embeddings and final norm free to train",
                    "every parameter of the base model is frozen, also those outside its blocks",
                ),
            },
        ),
        *instead_of(
            MAKE,
            {
                MAKE.replace("layer_idx, ", "0, "): (
                    "makes every layer's hooks for layer 0",
                    "each layer's hooks go by its own layer_idx",
                ),
                MAKE.replace("layer_idx, ", "layer_idx + 1, "): (
                    "counts layers from 1",
                    "the first block is blocks.0",
                    "UnknownNameError",
                ),
                MAKE.replace(", dtype", ""): (
                    "leaves adapters in float32 beside a float64 model",
                    "adapters have the base model's dtype, or float32 beside half precision",
                ),
                MAKE.replace(", dtype", ", weight.dtype"): (
                    "makes adapters of half precision",
                    "small steps of training would be lost there: adapters are in float32 at least",
                ),
                MAKE.replace("lora_alpha, rank", "32, rank"): ("ignores lora_alpha", "setup_lora's lora_alpha is used"),
                MAKE.replace("lora_alpha, rank", "lora_alpha, 4"): ("ignores rank", "setup_lora's rank is used"),
            },
        ),
        *instead_of(
            "self.lora = nn.ModuleList(hooks).to(weight.device)",
            {
                "self.lora.extend(hooks)": (
                    "keeps the old adapters when it is called again",
                    "new adapters take the place of old ones",
                ),
                "self.lora = nn.ModuleList(hooks).to(weight.device).requires_grad_(False)": (
                    "freezes the adapters too",
                    "adapters and the value head are what trains",
                ),
            },
        ),
        *instead_of(
            "lora.fwd_hooks(block.ln1.gain)",
            {
                "lora.fwd_hooks(lambda normalized: normalized)": (
                    "leaves out the norm's gain",
                    "hook_normalized sees vectors before the gain, and attention reads them after it",
                ),
                "lora.fwd_hooks(block.ln2.gain)": (
                    "takes the gain of the MLP's norm",
                    "attention reads what ln1 returns",
                ),
                "lora.fwd_hooks(self.base_model.ln_final.gain)": (
                    "takes the gain of the final norm",
                    "attention reads what its own block's ln1 returns",
                ),
                "lora.fwd_hooks(block.ln1)": (
                    "normalises twice",
                    "hook_normalized sees normalised vectors: only the gain is missing",
                    "RecursionError",
                ),
            },
        ),
        Mistake(
            "leaves its hooks on the base model", function=LeavesHooks, why="outside adapted the model is what it was"
        ),
        Mistake(
            "leaves its hooks on the base model after an error",
            function=ForgetsHooksOnError,
            why="a with block, or finally, also ends after an error",
        ),
        Mistake(
            "merges the adapters into the weights, once more in every pass",
            function=Merges,
            why="the base model's weights stay as they are, and the adapters' part is added by hooks",
        ),
        *instead_of(
            "with self.adapted():",
            {
                "if True:": ("leaves the adapters out of the forward pass", "it runs within adapted"),
                "with self.adapted(), self.adapted():": (
                    "attaches the adapters twice",
                    "each hook adds its part once; forward calls forward_with_value_head, so one of them is enough",
                    "AttributeError",
                ),
                "with self.adapted(), torch.no_grad():": (
                    "records no gradients in the forward pass",
                    "adapters and value head learn from it",
                ),
            },
            within=FORWARD,
        ),
        Mistake(
            "forgets attention_mask",
            "forward_with_value_head(tokens, attention_mask)",
            "forward_with_value_head(tokens)",
            why="padded texts need their mask",
        ),
        Mistake(
            "writes without the adapters",
            "with self.adapted():",
            "if True:",
            within=GENERATE,
            why="it writes within adapted",
        ),
        *instead_of(
            WRITE,
            {
                WRITE.replace(", **options", ""): ("ignores options", "temperature and the like go on to generate"),
                WRITE.replace("generator=generator", "generator=None"): (
                    "ignores the generator",
                    "a generator that is given is what tokens are drawn by",
                ),
                WRITE.replace("attention_mask=attention_mask", "attention_mask=None"): (
                    "writes without attention_mask",
                    "padded prompts need their mask",
                ),
                WRITE.replace("max_new_tokens", "10", 1): ("always writes 10 tokens", "max_new_tokens says how many"),
            },
            within=GENERATE,
        ),
    ],
)
