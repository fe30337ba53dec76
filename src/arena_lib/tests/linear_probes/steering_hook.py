"""Judge of steering: what a block returns with the hook and without, in every form and dtype, and after an error.

Shapes:  a block's output "batch seq d_model"
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.steering.deception import DeceptionSteeringHook
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, N_LAYERS, count_hooks, make_model

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
    tuples = TupleModel(generator)
    cases: dict[str, tuple[Any, ...]] = {
        "one layer of a model of transformers": (make_model(), tokens, [1], 2.5),
        "three layers, the other way": (make_model(), tokens, [3, 0, 2], -1.5),
        "the last layer": (make_model(), tokens[:1], [4], 4.0),
        "blocks that return tuples": (tuples, stream, [1, 2], 2.0),
        "a model in bfloat16": (make_model().bfloat16(), tokens, [2], 3.0),
        "a coefficient of 0": (make_model(), tokens, [2], 0.0),
    }
    return [
        Case(
            label=label,
            given={
                "model": model,
                "inputs": inputs,
                "layers": layers,
                "coefficient": coefficient,
                "direction": direction,
            },
            axes=dict.fromkeys(("inside", "inside, twice the coefficient", "afterwards"), "batch seq d_out")
            | {"_hook_fn of a tensor": RESID},
        )
        for label, (model, inputs, layers, coefficient) in cases.items()
    ]


def steered(cls: Any, case: Case) -> Observations:
    """What the model says before, inside and after, also after an error; and what the hook makes of an output."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class DeceptionSteeringHook itself: got {type(cls).__name__}.")
    given = case.given
    model, direction = given["model"], given["direction"].clone()
    n_before = count_hooks(model)
    hook: Any = cls(model, direction, list(given["layers"]), given["coefficient"])
    seen: Observations = {"hooks before it is entered": hooks_in_words(count_hooks(model) - n_before)}
    try:
        with hook as entered:
            seen["inside"] = _run(model, given["inputs"])
            hook.coefficient = 2 * given["coefficient"]
            seen["inside, twice the coefficient"] = _run(model, given["inputs"])
        seen |= {
            "it is what `as` gives": entered is hook,
            "hooks afterwards": hooks_in_words(count_hooks(model) - n_before),
        }
        seen["afterwards"] = _run(model, given["inputs"])
        seen["an error goes on its way"] = _goes_through(hook)
        seen["hooks after an error"] = hooks_in_words(count_hooks(model) - n_before)
    finally:
        _remove_all(model)
    hook.coefficient = given["coefficient"]
    return seen | _called_alone(hook, given["inputs"]) | {"the direction afterwards": direction}


def _run(model: Any, inputs: Tensor) -> Tensor | str:
    """What the model gives; in half precision, where the order of two products shows, only of which kind."""
    with torch.no_grad():
        output = model(inputs.clone())
    found: Tensor = output if isinstance(output, Tensor) else output.logits
    return found if found.dtype == torch.float32 else f"{found.dtype}, {tuple(found.shape)}"


def _goes_through(hook: Any) -> bool:
    try:
        with hook:
            raise KeyError("a reader stopped it")
    except KeyError:
        return True
    return False


def _called_alone(hook: Any, inputs: Tensor) -> Observations:
    """What `_hook_fn` makes of a tensor, of a tuple, and of a float64 one."""
    resid = torch.linspace(-1.0, 2.0, 2 * 3 * D_MODEL).reshape(2, 3, D_MODEL)
    seen: Observations = {"_hook_fn of a tensor": _result(hook, resid.clone())}
    found = _result(hook, (resid.clone(), resid[:, :1].clone(), "beside"))
    is_whole = isinstance(found, tuple) and len(found) == 3 and isinstance(found[2], str)
    seen["_hook_fn of a tuple"] = list(found) if is_whole else f"a {type(found).__name__}"
    wide = _result(hook, resid.double())
    return seen | {
        "dtype of what float64 becomes": str(wide.dtype) if isinstance(wide, Tensor) else type(wide).__name__
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


test_deception_steering_hook = exercise(
    reference=DeceptionSteeringHook,
    cases=steering_cases,
    observe=steered,
    keep=["__init__"],
    accepts=[HookThatWrites, HookThatAppends],
    mistakes=[
        Mistake(
            "forgets the coefficient",
            "(self.coefficient * self.direction)",
            "self.direction",
            why="the coefficient says how far to push",
            within="DeceptionSteeringHook._hook_fn",
        ),
        Mistake(
            "subtracts the direction",
            "resid + (self",
            "resid - (self",
            why="a positive coefficient pushes along the direction, a negative one against it",
        ),
        Mistake(
            "puts the direction in place of the stream",
            "resid + (self.coefficient * self.direction).to(resid)",
            "torch.zeros_like(resid) + (self.coefficient * self.direction).to(resid)",
            why="the stream stays, and the direction is added to it",
        ),
        Mistake(
            "steers the last token only",
            "steered = resid + (self.coefficient * self.direction).to(resid)",
            "steered = resid.clone(); steered[:, -1] += (self.coefficient * self.direction).to(resid)",
            why="it acts at every token",
        ),
        Mistake(
            "scales the stream",
            "resid + (self.coefficient * self.direction).to(resid)",
            "resid * (1 + self.coefficient * self.direction).to(resid)",
            why="steering adds a vector; it does not stretch what is there",
        ),
        Mistake(
            "leaves the direction in its own dtype",
            "(self.coefficient * self.direction).to(resid)",
            "(self.coefficient * self.direction.float())",
            why="a block in half precision must give half precision on, or the next one stops with an error",
        ),
        Mistake(
            "gives back the stream alone where there was a tuple",
            "steered if isinstance(output, Tensor) else (steered, *output[1:])",
            "steered",
            why="whoever called the block unpacks a tuple: return the same kind as the output",
        ),
        Mistake(
            "drops what stands behind the stream",
            "(steered, *output[1:])",
            "(steered,)",
            why="what stands behind the first entry is needed by the next block as it was",
        ),
        Mistake(
            "gives back a list for a tuple",
            "(steered, *output[1:])",
            "[steered, *output[1:]]",
            why="return the same kind as the output: a tuple for a tuple",
        ),
        Mistake(
            "steers one block only",
            "for block in self.blocks]",
            "for block in self.blocks[:1]]",
            why="every one of the layers is steered",
        ),
        Mistake(
            "never leaves",
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
            "swallows errors",
            "self.handles = []",
            "self.handles = []\n        return True",
            within="DeceptionSteeringHook.__exit__",
            why="what __exit__ returns says whether the error is dealt with: return nothing, and it goes on its way",
        ),
        Mistake(
            "does not return itself",
            "return self",
            "return None",
            why="`with ... as hook` gives what __enter__ returns",
        ),
    ],
)
