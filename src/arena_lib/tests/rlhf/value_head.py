"""Judge of the value head, section 2.4."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rlhf import value_head
from arena_lib.tests.rlhf.small_models import make_policy
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask

__test__ = False


def head_cases(generator: torch.Generator) -> list[Case]:
    """Texts of several sizes, padded ones, a model with another norm, one in float64."""
    tokens = {size: torch.randint(1, 13, size, generator=generator) for size in ((3, 5), (1, 4), (2, 1), (2, 6))}
    is_real = torch.tensor([[False, False, True, True, True], [True] * 5, [False, True, True, True, True]])
    given: dict[str, dict[str, Any]] = {
        "three texts": {"tokens": tokens[3, 5]},
        "padding on the left": {"tokens": tokens[3, 5].where(is_real, 0), "mask": is_real},
        "one text": {"tokens": tokens[1, 4]},
        "texts of one token": {"tokens": tokens[2, 1]},
        "a model with LayerNorm": {"tokens": tokens[2, 6], "kind": "gpt2"},
        "a model in float64": {"tokens": tokens[2, 6], "dtype": torch.float64},
    }
    call = "TransformerWithValueHead(base_model, generator=...).forward_with_value_head(input_ids, attention_mask)"
    return [
        Case(label=label, given=more, call=call, axes={"logits": "batch seq d_vocab", "values": "batch seq"})
        for label, more in given.items()
    ]


def head_seen(cls: Any, case: Case) -> Observations:
    """The head as it begins; then, with other weights in it, logits, values, and how far gradients of values reach."""
    base = make_policy(case.given.get("kind", "llama"), seed=1).to(case.given.get("dtype", torch.float32))
    tokens, mask = case.given["tokens"].clone(), case.given.get("mask")
    made = [cls(base, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    model = made[0]
    heads = [[parameter.detach().clone() for parameter in other.value_head.parameters()] for other in made]
    first, *others = heads[0]
    seen = {
        "shapes of the head's parameters": [tuple(parameter.shape) for parameter in heads[0]],
        "dtype of the head": str(first.dtype),
        "spread of the first layer": float(first.square().mean()) ** 0.5 * base.cfg.d_model**0.5,
        "first bias, last weights and last bias begin at zero": [not parameter.any() for parameter in others],
        "equal generators give equal heads": torch.equal(first, heads[1][0]),
        "other generators give other heads": not torch.equal(first, heads[2][0]),
        "base_model is the one that was given": model.base_model is base,
        "cfg is that of the base model": model.cfg is base.cfg,
    }
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.value_head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    x = torch.randn(2, 3, base.cfg.d_model, generator=generator).to(first)
    seen["run_value_head"] = model.run_value_head(x).detach()
    result = model.forward_with_value_head(tokens, mask)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise Unfit(
            f"forward_with_value_head must return logits and values, in this order: got {type(result).__name__}."
        )
    logits, values = result
    is_real = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
    seen["logits"], seen["values"] = logits.detach() * is_real[..., None], values.detach() * is_real
    for name, output in (("logits", logits), ("values", values)):
        seen[f"gradients of {name}"] = gradient_norms(output, base, model.value_head)
    again = model(tokens, mask)
    seen["forward gives the same"] = all(torch.equal(a, b) for a, b in zip(again, result, strict=True))
    return seen


def gradient_norms(output: Tensor, *modules: nn.Module) -> list[float]:
    """How large the gradient of a weighted sum is for each module's parameters, taken together."""
    if not output.requires_grad:
        return [0.0 for _ in modules]
    weights = torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)
    norms = []
    for module in modules:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad((output * weights).sum(), parameters, allow_unused=True, retain_graph=True)
        reached = [gradient.norm() for gradient in gradients if gradient is not None]
        norms.append(float(torch.stack(reached).norm()) if reached else 0.0)
    return norms


class HeadByHook(nn.Module):
    """Runs the whole model, and takes what `ln_final` gives on the way."""

    def __init__(self, base_model: Transformer, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.base_model, self.cfg = base_model, base_model.cfg
        d_model, like = base_model.cfg.d_model, next(base_model.parameters())
        self.value_head = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.ReLU(), nn.Linear(4 * d_model, 1))
        first = next(self.value_head.parameters())
        nn.init.normal_(first, std=d_model**-0.5, generator=generator)
        for parameter in list(self.value_head.parameters())[1:]:
            nn.init.zeros_(parameter)
        self.value_head.to(device=like.device, dtype=like.dtype)

    def run_value_head(self, normalized: Tensor) -> Tensor:
        """A number for each."""
        return self.value_head(normalized)[..., 0]

    def forward_with_value_head(self, input_ids: Tensor, attention_mask: Mask | None = None) -> tuple[Tensor, Tensor]:
        """Both."""
        kept: list[Tensor] = []
        handle = self.base_model.ln_final.register_forward_hook(lambda module, args, output: kept.append(output))
        try:
            logits = self.base_model(input_ids, attention_mask=attention_mask)
        finally:
            handle.remove()
        return logits, self.run_value_head(kept[0])

    forward = forward_with_value_head


class HeadOfItsOwn(nn.Module):
    """Its head is a list of layers; a pass for the logits and another one for the values."""

    def __init__(self, base_model: Transformer, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.base_model, self.cfg = base_model, base_model.cfg
        d_model, weight = base_model.cfg.d_model, base_model.unembed.W_U
        layers = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, 1)
        self.value_head = nn.ModuleList(layers).to(weight)
        with torch.no_grad():
            drawn = torch.randn(d_model, 4 * d_model, generator=generator).T / d_model**0.5
            for parameter in self.value_head.parameters():
                parameter.mul_(0.0)
            layers[0].weight.copy_(drawn)

    def run_value_head(self, normalized: Tensor) -> Tensor:
        """A number for each."""
        first, last = self.value_head
        return last(first(normalized).clamp(min=0)).flatten(-2)

    def forward_with_value_head(self, input_ids: Tensor, attention_mask: Mask | None = None) -> tuple[Tensor, Tensor]:
        """Both."""
        base = self.base_model
        resid = base(input_ids, stop_at_layer=len(base.blocks), attention_mask=attention_mask)
        return base(input_ids, attention_mask=attention_mask), self.run_value_head(base.ln_final(resid))

    def forward(self, input_ids: Tensor, attention_mask: Mask | None = None) -> tuple[Tensor, Tensor]:
        """Both."""
        return self.forward_with_value_head(input_ids, attention_mask)


def in_method(method: str, old: str, wrong: dict[str, tuple[str, ...]]) -> tuple[Mistake, ...]:
    """Mistakes in one method of the model."""
    return instead_of(old, wrong, within=f"TransformerWithValueHead.{method}")


test_transformer_with_value_head = exercise(
    reference=value_head.TransformerWithValueHead,
    cases=head_cases,
    observe=head_seen,
    accepts=[HeadByHook, HeadOfItsOwn],
    mistakes=[
        *in_method(
            "forward_with_value_head",
            "return base.unembed(normalized), self.run_value_head(normalized)",
            {
                "return base.unembed(normalized), self.run_value_head(resid)": (
                    "gives the head the residual stream before ln_final",
                    "logits and values are made of the same vector, the normalised one",
                ),
                "return base.unembed(resid), self.run_value_head(normalized)": (
                    "unembeds the residual stream before ln_final",
                    "the logits are those of base_model(input_ids): they are made of the normalised vector",
                ),
                "return self.run_value_head(normalized), base.unembed(normalized)": (
                    "returns the values first",
                    "the logits come first, then the values",
                ),
                "return base.unembed(normalized), self.run_value_head(normalized).roll(1, dims=1)": (
                    "puts each value one place too late",
                    "the value at place i is that of the text up to the token at place i, this one included",
                ),
                "return base.unembed(normalized), nn.functional.pad(self.run_value_head(normalized)[:, :-1], (1, 0))": (
                    "puts each value one place too late",
                    "the value at place i is that of the text up to the token at place i, this one included",
                ),
                "return base.unembed(normalized), nn.functional.pad(self.run_value_head(normalized)[:, 1:], (0, 1))": (
                    "puts each value one place too early",
                    "the value at place i is that of the text up to the token at place i, and no further",
                ),
                "return base.unembed(normalized), self.run_value_head(normalized).roll(-1, dims=1)": (
                    "puts each value one place too early",
                    "the value at place i is that of the text up to the token at place i, and no further",
                ),
                "return base.unembed(normalized), self.run_value_head(normalized[:, -1:]).expand(normalized.shape[:2])": (
                    "gives every place the value of the last one",
                    "each place has the value of what was read up to there",
                ),
                "return base.unembed(normalized), self.run_value_head(normalized.detach())": (
                    "keeps the gradients of values from the base model",
                    "policy and value function share the transformer: the vector isn't detached",
                ),
                "return base.unembed(normalized), self.run_value_head(normalized).detach()": (
                    "detaches the values",
                    "the head must learn from its error: gradients flow through the values",
                ),
                "return base.unembed(normalized).detach(), self.run_value_head(normalized)": (
                    "detaches the logits",
                    "the policy learns through the logits: gradients flow through them",
                ),
            },
        ),
        *in_method(
            "forward_with_value_head",
            "stop_at_layer=base.cfg.n_layers, attention_mask=attention_mask)",
            {
                "stop_at_layer=base.cfg.n_layers)": (
                    "forgets the attention mask",
                    "padding is hidden from the model: pass attention_mask on",
                ),
                "stop_at_layer=base.cfg.n_layers - 1, attention_mask=attention_mask)": (
                    "stops before the last block",
                    "stop_at_layer=n_layers gives the residual stream after the last block",
                ),
            },
        ),
        *in_method(
            "forward",
            "(input_ids, attention_mask)",
            {
                "(input_ids)": (
                    "forgets the attention mask in forward",
                    "forward is as forward_with_value_head: pass attention_mask on",
                ),
            },
        ),
        *in_method(
            "run_value_head",
            "self.value_head(normalized).squeeze(-1)",
            {
                "self.value_head(normalized)": (
                    "leaves an axis of length 1 on the values",
                    "there is one number for each place: squeeze(-1)",
                ),
                "self.value_head(normalized).squeeze()": (
                    "squeezes every axis of length 1",
                    "a batch of one text, or a text of one token, keeps its axis: squeeze(-1)",
                ),
                "self.value_head(normalized).squeeze(-1).tanh()": (
                    "bounds the values",
                    "a value is any number: what the last layer gives",
                ),
            },
        ),
        *in_method(
            "__init__",
            "nn.ReLU()",
            {
                "nn.GELU()": ("takes GELU for ReLU", "between the layers stands a ReLU"),
                "nn.Identity()": ("forgets the ReLU", "without it both layers are one linear map"),
                "nn.Tanh()": ("takes Tanh for ReLU", "between the layers stands a ReLU"),
            },
        ),
        *in_method(
            "__init__",
            "for zeros in (hidden.bias, output.weight, output.bias):",
            {
                "for zeros in (hidden.bias,):": (
                    "does not begin the last layer at zero",
                    "every value is 0 at first: the mean of normalised rewards",
                ),
                "for zeros in ():": (
                    "leaves all but the first weights as nn.Linear draws them",
                    "both biases and the last layer begin at zero",
                ),
                "for zeros in (hidden.bias, output.bias):": (
                    "does not begin the last layer at zero",
                    "every value is 0 at first: the mean of normalised rewards",
                ),
                "for zeros in (output.weight, output.bias):": (
                    "does not begin the first bias at zero",
                    "both biases begin at zero",
                ),
                "for zeros in (hidden.bias, output.weight):": (
                    "does not begin the last bias at zero",
                    "both biases begin at zero",
                ),
            },
        ),
        *in_method(
            "__init__",
            "hidden.weight.normal_(0.0, d_model**-0.5, generator=generator)",
            {
                "hidden.weight.normal_(0.0, d_model**-0.5)": (
                    "does not draw by the generator",
                    "with `generator` given, equal ones make equal heads",
                ),
                "hidden.weight.normal_(0.0, 1.0, generator=generator)": (
                    "draws the first layer with standard deviation 1",
                    "it is d_model ** -0.5, so that the hidden numbers are about as large as the input's",
                ),
                "hidden.weight.normal_(0.0, 1 / d_model, generator=generator)": (
                    "draws the first layer with variance 1 / d_model ** 2",
                    "the standard deviation is d_model ** -0.5, the root",
                ),
                "hidden.weight.zero_()": (
                    "begins the first layer at zero too",
                    "with both layers at zero no gradient would ever reach either",
                ),
            },
        ),
        Mistake(
            "gives the hidden layer another width",
            "nn.Linear(d_model, HIDDEN_PER_INPUT * d_model), nn.Linear(HIDDEN_PER_INPUT * d_model, 1)",
            "nn.Linear(d_model, d_model), nn.Linear(d_model, 1)",
            why="it's 4 d_model wide, as a transformer's MLP is",
            within="TransformerWithValueHead.__init__",
            shows=lambda seen: seen[0].get("shapes of the head's parameters", [(64,)])[0][0] != 64,
        ),
        *in_method(
            "__init__",
            ".to(weight.device, weight.dtype)",
            {"": ("leaves the head in float32", "the head has the device and the dtype of its model")},
        ),
        *in_method(
            "__init__",
            "self.base_model = base_model",
            {
                "import copy; self.base_model = copy.deepcopy(base_model)": (
                    "copies the base model",
                    "the model that was given is the one that trains: it's kept as it is",
                ),
            },
        ),
    ],
    tolerance={"spread of the first layer": Tolerance(rtol=0.0, atol=0.17)},
)
