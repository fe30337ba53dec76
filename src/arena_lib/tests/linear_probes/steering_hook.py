"""Judge of steering: what a block returns with the hook and without, in every form and dtype, and after an error.

Shapes:  a block's output "batch seq d_model"
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.extraction import find_blocks
from arena_lib.interp.steering.deception import DeceptionSteeringHook
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, N_LAYERS, make_model
from arena_lib.tests.linear_probes.watching import count_hooks

__test__ = False

RESID = "batch seq d_model"


class TupleBlock(nn.Module):
    """A block as older libraries write them: it returns the stream and something beside."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, resid: Tensor) -> tuple[Tensor, Tensor, str]:
        """The next stream, what was added, and a word."""
        added = (resid @ self.weight).tanh()
        return resid + added, added, "beside"


class TupleModel(nn.Module):
    """A model of such blocks, which keeps what each of them returned beside the stream."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=D_MODEL)
        weights = torch.randn(N_LAYERS, D_MODEL, D_MODEL, generator=generator) / 2
        self.blocks = nn.ModuleList(TupleBlock(weight) for weight in weights)

    def forward(self, resid: Tensor) -> Tensor:
        """The stream that leaves the last block, and what stood beside it."""
        beside = []
        for block in self.blocks:
            resid, added, _ = block(resid)
            beside.append(added)
        return torch.cat([resid, *beside], dim=-1)


def steering_cases(generator: torch.Generator) -> list[Case]:
    """Tensors and tuples, one layer and several, both ways, half precision, a coefficient that is changed."""
    tokens = torch.randint(1, 15, (2, 7), generator=generator)
    stream = torch.randn(3, 4, D_MODEL, generator=generator)
    direction = 3.0 * torch.randn(D_MODEL, generator=generator)
    cases: dict[str, tuple[Any, ...]] = {
        "blocks that return tuples": (TupleModel(generator), stream, [1, 2], 2.0),
        "one layer of a model of transformers": (make_model(), tokens, [1], 2.5),
        "three layers, the other way": (make_model(), tokens, [3, 0, 2], -1.5),
        "the last layer": (make_model(), tokens[:1], [4], 4.0),
        "a model in bfloat16": (make_model().bfloat16(), tokens, [2], 3.0),
        "a coefficient of 0": (make_model(), tokens, [2], 0.0),
    }
    runs = ("output with the hook", "output with twice the coefficient", "output after the hook")
    return [
        Case(
            label=label,
            given={"model": model, "inputs": inputs, "how": (layers, coefficient), "direction": direction},
            call=f"model, direction, layers={layers}, coefficient={coefficient}",
            axes=dict.fromkeys(runs, "batch seq d_out") | {"_hook_fn of a tensor": RESID},
        )
        for label, (model, inputs, layers, coefficient) in cases.items()
    ]


def steered(cls: Any, case: Case) -> Observations:
    """What the model says inside and after, also after an error; and what the hook makes of an output."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class DeceptionSteeringHook itself: got {type(cls).__name__}.")
    model, inputs, (layers, coefficient) = case.given["model"], case.given["inputs"], case.given["how"]
    direction, handed_on = case.given["direction"].clone(), set[str]()
    n_before = count_hooks(model)
    hook: Any = cls(model, direction, list(layers), coefficient)
    before = hooks_in_words(count_hooks(model) - n_before)
    try:
        with hook as entered:
            blocks = find_blocks(model)
            witnesses = [blocks[layer].register_forward_hook(_witness(handed_on)) for layer in layers]
            inside = _run(model, inputs)
            hook.coefficient = 2 * coefficient
            twice = _run(model, inputs)
            for witness in witnesses:
                witness.remove()
        seen: Observations = {
            "result of a steered block": " or ".join(sorted(handed_on)),
            "output with the hook": inside,
            "output with twice the coefficient": twice,
            "hooks before `with`": before,
            "`with ... as` gives the hook itself": entered is hook,
            "hooks after `with`": hooks_in_words(count_hooks(model) - n_before),
            "output after the hook": _run(model, inputs),
            "an error inside `with` is raised": _goes_through(hook),
            "hooks after an error": hooks_in_words(count_hooks(model) - n_before),
        }
    finally:
        _remove_all(model)
    hook.coefficient = coefficient
    return seen | _called_alone(hook) | {"the direction after the calls": direction}


def _witness(handed_on: set[str]) -> Any:
    """A forward hook that notes what a block returns, and gives the next one what it can go on with.

    So what a learner's hook returns is told as it is, and not by the error that it causes in our model.
    """

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        handed_on.add(_kind(output))
        parts = list(output) if isinstance(output, tuple | list) else [output]
        if isinstance(module, TupleBlock):
            return tuple(parts) if len(parts) == 3 else (parts[0], parts[0], "beside")
        return parts[0].to(next(module.parameters()).dtype)

    return hook


def _kind(output: Any) -> str:
    """A block's output in words: "a tuple of (a float32 tensor, a str)"."""
    if isinstance(output, Tensor):
        return f"a {str(output.dtype).removeprefix('torch.')} tensor"
    name = f"a {type(output).__name__}"
    return f"{name} of ({', '.join(map(_kind, output))})" if isinstance(output, tuple | list) else name


def _run(model: Any, inputs: Tensor) -> Tensor | str:
    """What the model gives; in half precision, where the order of two products shows, only of which kind."""
    with torch.no_grad():
        output = model(inputs.clone())
    logits: Tensor = output if isinstance(output, Tensor) else output.logits
    return logits if logits.dtype == torch.float32 else f"{_kind(logits)}, {tuple(logits.shape)}"


def _goes_through(hook: Any) -> bool:
    try:
        with hook:
            raise KeyError("a reader stopped it")
    except KeyError:
        return True
    return False


def _called_alone(hook: Any) -> Observations:
    """What `_hook_fn` makes of a tensor, of a tuple, and of a tensor in float64."""
    resid = torch.linspace(-1.0, 2.0, 2 * 3 * D_MODEL).reshape(2, 3, D_MODEL)
    whole = _result(hook, (resid.clone(), resid[:, :1].clone(), "beside"))
    parts = whole if isinstance(whole, tuple | list) else (whole,)
    return {
        "_hook_fn of a tensor": _result(hook, resid.clone()),
        "kind of _hook_fn of a tuple": _kind(whole),
        "the stream in _hook_fn of a tuple": parts[0],
        "other entries of the tuple are unchanged": len(parts) == 3
        and torch.equal(parts[1], resid[:, :1])
        and parts[2] == "beside",
        "kind of _hook_fn of a tensor in float64": _kind(_result(hook, resid.double())),
    }


def _result(hook: Any, output: Any) -> Any:
    """What the block would have returned: what the hook gives, or the output that it changed in place."""
    with torch.no_grad():
        returned = hook._hook_fn(nn.Identity(), (), output)
    return output if returned is None else returned


def _remove_all(model: Any) -> None:
    """Takes away what an object left behind, so that the next one finds a clean model."""
    from torch.nn.modules.module import Module

    for module in model.modules():
        assert isinstance(module, Module)
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()


class HookThatWrites(DeceptionSteeringHook):
    """Changes the output in place, and keeps its handles in a stack."""

    def _hook_fn(self, module: Any, input: Any, output: Any) -> None:  # noqa: A002
        resid = output[0] if isinstance(output, tuple) else output
        resid += self.direction.to(resid.device, resid.dtype) * self.coefficient

    def __enter__(self) -> Any:
        from contextlib import ExitStack

        self.stack = ExitStack()
        for block in self.blocks:
            self.stack.callback(block.register_forward_hook(self._hook_fn).remove)
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.close()


class HookThatAppends(DeceptionSteeringHook):
    """Adds each handle to the list that __init__ made, and takes them out again."""

    def _hook_fn(self, module: Any, input: Any, output: Any) -> Any:  # noqa: A002
        if isinstance(output, tuple):
            return (self._hook_fn(module, input, output[0]), *output[1:])
        return torch.add(output, self.direction.to(output), alpha=self.coefficient)

    def __enter__(self) -> Any:
        for block in self.blocks:
            self.handles.append(block.register_forward_hook(self._hook_fn))
        return self

    def __exit__(self, *error: Any) -> None:
        while self.handles:
            self.handles.pop().remove()


class HookThatMultipliesOnce(DeceptionSteeringHook):
    """The mistake of multiplying in __enter__."""

    def _hook_fn(self, module: Any, input: Any, output: Any) -> Any:  # noqa: A002
        push = getattr(self, "push", self.coefficient * self.direction)
        resid = output if isinstance(output, Tensor) else output[0]
        steered = resid + push.to(resid)
        return steered if isinstance(output, Tensor) else (steered, *output[1:])

    def __enter__(self) -> Any:
        self.push = self.coefficient * self.direction
        return super().__enter__()


class HookOfInputs(DeceptionSteeringHook):
    """The mistake of hooking what enters the blocks."""

    def __enter__(self) -> Any:
        self.handles = [
            block.register_forward_pre_hook(lambda module, inputs: (self._hook_fn(module, (), inputs[0]), *inputs[1:]))
            for block in self.blocks
        ]
        return self


test_deception_steering_hook = exercise(
    reference=DeceptionSteeringHook,
    cases=steering_cases,
    observe=steered,
    keep=["__init__"],
    accepts=[HookThatWrites, HookThatAppends],
    mistakes=[
        *instead_of(
            "resid + (self.coefficient * self.direction).to(resid)",
            {
                "resid + self.direction.to(resid)": (
                    "forgets the coefficient",
                    "the direction is multiplied by the coefficient before it is added",
                ),
                "resid - (self.coefficient * self.direction).to(resid)": (
                    "subtracts the direction",
                    "a positive coefficient pushes along the direction, a negative one against it",
                ),
                "resid * 0 + (self.coefficient * self.direction).to(resid)": (
                    "replaces the stream by the direction",
                    "the direction is added to the stream, which stays",
                ),
                "resid + (self.coefficient * self.direction).to(resid) * (torch.arange(resid.shape[1]) == "
                "resid.shape[1] - 1)[:, None]": ("steers the last token only", "the direction is added at every token"),
                "resid * (1 + self.coefficient * self.direction).to(resid)": (
                    "scales the stream",
                    "steering adds a vector to the stream, and does not scale it",
                ),
                "resid + (self.coefficient * self.direction.float())": (
                    "keeps the direction in its own dtype",
                    "the output must keep its dtype, or the next block stops with an error",
                ),
                "resid.float() + (self.coefficient * self.direction.float())": (
                    "makes the stream float32",
                    "bring the direction to the stream's dtype, not the stream to the direction's",
                ),
            },
        ),
        Mistake(
            "multiplies by the coefficient once, when the block begins",
            function=HookThatMultipliesOnce,
            why="the coefficient may be changed at any time, so multiply in the hook itself",
        ),
        Mistake(
            "steers what enters the blocks",
            function=HookOfInputs,
            why="the direction is added to what leaves a block: register_forward_hook, not register_forward_pre_hook",
        ),
        *instead_of(
            "steered if isinstance(output, Tensor) else (steered, *output[1:])",
            {
                "steered": (
                    "returns only the stream where there was a tuple",
                    "the code that called the block unpacks a tuple, so return the same kind as the output",
                ),
                "(steered,) if isinstance(output, Tensor) else (steered, *output[1:])": (
                    "returns a tuple where there was a tensor",
                    "the next block takes a tensor, so return the same kind as the output",
                ),
                "steered if isinstance(output, Tensor) else (steered,)": (
                    "drops the other entries of the tuple",
                    "the entries after the stream are needed later, so return them unchanged",
                ),
                "steered if isinstance(output, Tensor) else [steered, *output[1:]]": (
                    "returns a list instead of a tuple",
                    "return the same kind as the output: a tuple for a tuple",
                ),
                "(steered,)": (
                    "always returns a tuple of only the stream",
                    "return the same kind as the output, with all entries after the first unchanged",
                ),
                "None": (
                    "returns nothing",
                    "the tensor that the hook returns replaces the output; without a return the output is unchanged",
                ),
                "steered if isinstance(output, Tensor) else output": (
                    "does not change a tuple",
                    "where a block returns a tuple, its first entry is the stream: steer that",
                ),
            },
        ),
        Mistake(
            "steers only one block",
            "for block in self.blocks]",
            "for block in self.blocks[:1]]",
            why="every layer of the argument layers is steered",
        ),
        Mistake(
            "never removes its hooks",
            "for handle in self.handles:\n            handle.remove()\n        self.handles = []",
            "self.handles = []",
            why="a hook that stays steers every later call: remove() each handle",
        ),
        Mistake(
            "removes its first hook only",
            "for handle in self.handles:",
            "for handle in self.handles[:1]:",
            why="each block has a hook of its own",
        ),
        Mistake(
            "removes its hooks only if there was no error",
            "for handle in self.handles:",
            "for handle in self.handles if error is None else []:",
            why="__exit__ runs after an error too, and the hooks must go then as well",
        ),
        Mistake(
            "swallows errors",
            "self.handles = []",
            "self.handles = []\n        return True",
            within="DeceptionSteeringHook.__exit__",
            why="a true value from __exit__ swallows the error: return nothing, so that the error is raised",
        ),
        Mistake(
            "returns nothing from __enter__",
            "return self",
            "return None",
            why="`with ... as hook` gives what __enter__ returns",
        ),
    ],
)
