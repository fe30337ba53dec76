"""Judge of the intervention: the right vector, in the right layers, at each row's own two tokens, and then gone.

Shapes:  statements, direction "d_model" -> P(TRUE) - P(FALSE) "n_statements"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.extraction import find_blocks
from arena_lib.interp.probes.few_shot import few_shot_evaluate
from arena_lib.interp.probes.intervention import SIGNS, intervention_experiment
from arena_lib.tests.linear_probes.few_shot import EXAMPLES, FALSE, QUESTION, STATEMENTS, TRUE
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, count_hooks, make_model, make_tokenizer

__test__ = False

N_QUESTION = len(QUESTION.split())
MANY = [STATEMENTS[i % len(STATEMENTS)] for i in range(40)]
"""More than `few_shot_evaluate` reads at once unless it is told to."""


def intervention_cases(generator: torch.Generator) -> list[Case]:
    """Each intervention, in one layer and in several, batches that are full and not, and a run that fails."""
    direction = 2.0 * torch.randn(D_MODEL, generator=generator)
    cases = {
        "no intervention": ("none", [1, 2], STATEMENTS, EXAMPLES, 32, "right"),
        "adding in one layer": ("add", [1], STATEMENTS, EXAMPLES, 32, "right"),
        "subtracting in three layers, in batches": ("subtract", [3, 0, 2], STATEMENTS, EXAMPLES, 3, "right"),
        "adding in the last layer, which comes too late": ("add", [4], STATEMENTS[:3], EXAMPLES, 4, "right"),
        "subtracting, a tokenizer that pads on the left": ("subtract", [2], STATEMENTS, EXAMPLES, 4, "left"),
        "adding, no examples": ("add", [0, 3], STATEMENTS[:5], "", 5, "right"),
        "adding, 40 statements in one batch of 40": ("add", [1], MANY, "", 40, "right"),
    }
    return [
        Case(
            label=label,
            given={
                "statements": statements,
                "direction": direction,
                "examples": examples,
                "layers": layers,
                "intervention": intervention,
                "batch_size": batch_size,
                "side": side,
            },
            axes={"P(TRUE) - P(FALSE)": "n_statements"},
        )
        for label, (intervention, layers, statements, examples, batch_size, side) in cases.items()
    ]


class OutOfMemory(RuntimeError):
    """What the judge's own hook raises in the middle of a run."""


def intervened(function: Callable[..., Any], case: Case) -> Observations:
    """The differences, what becomes of the direction and the model, and hooks that are left after an error."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"])
    direction = given["direction"].clone()

    def call() -> Any:
        return function(
            *(list(given["statements"]), model, tokenizer, direction, given["examples"], TRUE, FALSE),
            *(list(given["layers"]), given["intervention"], given["batch_size"]),
        )

    found = call()
    return {
        "P(TRUE) - P(FALSE)": found.detach() if isinstance(found, Tensor) else found,
        "carries a gradient": isinstance(found, Tensor) and found.requires_grad,
        "the direction afterwards": direction,
        "hooks left on the model": hooks_in_words(count_hooks(model)),
        "hooks left after an error": hooks_in_words(_count_after_an_error(call, model)),
    }


def _count_after_an_error(call: Callable[[], Any], model: Any) -> int:
    """Hooks that remain when the last block fails in the middle of the run."""
    before = count_hooks(model)

    def fail(module: Any, inputs: Any, output: Any) -> None:
        raise OutOfMemory

    handle = model.model.norm.register_forward_hook(fail)
    try:
        call()
    except OutOfMemory:
        pass
    finally:
        handle.remove()
    return count_hooks(model) - before


Edit = Callable[[Tensor, Tensor], None]


def _intervene(
    *,
    span: tuple[int, int] = (-N_QUESTION - 2, -N_QUESTION),
    layers_of: Callable[[list[int]], list[int]] = lambda layers: layers,
    signs: tuple[float, float, float] = (0.0, 1.0, -1.0),
    change: Callable[[Tensor], Tensor] = lambda direction: direction,
    keeps_hooks: bool = False,
    tidies_after_errors: bool = True,
) -> Callable[..., Any]:
    """A solution that pads on the left, so that the two tokens stand in the same columns; right or wrong by its parts."""

    def experiment(
        statements: Any, model: Any, tokenizer: Any, direction: Tensor, examples: Any, true_id: int, false_id: int,
        intervene_layers: Any, intervention: str = "none", batch_size: int = 32,
    ) -> Any:  # fmt: skip
        sign = dict(zip(("none", "add", "subtract"), signs, strict=True))[intervention]
        found = []

        def hook(module: Any, inputs: Any, output: Any) -> None:
            resid = output if isinstance(output, Tensor) else output[0]
            resid[:, slice(*(end or None for end in span))] += sign * change(direction)

        handles = [find_blocks(model)[layer].register_forward_hook(hook) for layer in layers_of(intervene_layers)]
        try:
            for start in range(0, len(statements), batch_size):
                prompts = [examples + statement + QUESTION for statement in statements[start : start + batch_size]]
                inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
                with torch.no_grad():
                    probs = model(**inputs).logits[:, -1].softmax(-1)
                found.append(probs[:, true_id] - probs[:, false_id])
        except OutOfMemory:
            if tidies_after_errors:
                for handle in handles:
                    handle.remove()
            raise
        for handle in handles if not keeps_hooks else []:
            handle.remove()
        return torch.cat(found)

    return experiment


def _count_from_the_left(side: str | None) -> Callable[..., Any]:
    """The mistake of counting from the left where padding stands there; a side of None is the tokenizer's own."""

    def experiment(
        statements: Any, model: Any, tokenizer: Any, direction: Tensor, examples: Any, true_id: int, false_id: int,
        intervene_layers: Any, intervention: str = "none", batch_size: int = 32,
    ) -> Any:  # fmt: skip
        found = []
        for start in range(0, len(statements), batch_size):
            batch = statements[start : start + batch_size]
            n = torch.tensor([len(tokenizer.tokenize(examples + statement)) for statement in batch])

            def hook(module: Any, inputs: Any, output: Tensor, n: Tensor = n) -> Tensor:
                output = output.clone()
                output[torch.arange(len(n))[:, None], n[:, None] - torch.tensor([2, 1])] += (
                    SIGNS[intervention] * direction
                )
                return output

            prompts = [examples + statement + QUESTION for statement in batch]
            inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side=side or tokenizer.padding_side)
            mask = inputs["attention_mask"]
            last = (mask * torch.arange(mask.shape[1])).argmax(dim=1)
            handles = [find_blocks(model)[layer].register_forward_hook(hook) for layer in intervene_layers]
            try:
                with torch.no_grad():
                    probs = model(**inputs).logits[torch.arange(len(batch)), last].softmax(-1)
            finally:
                for handle in handles:
                    handle.remove()
            found.append(probs[:, true_id] - probs[:, false_id])
        return torch.cat(found)

    return experiment


def intervene_one_by_one(
    statements: Any, model: Any, tokenizer: Any, direction: Tensor, examples: Any, true_id: int, false_id: int,
    intervene_layers: Any, intervention: str = "none", batch_size: int = 32,
) -> Any:  # fmt: skip
    """Reads each statement alone, and adds a vector made for the whole sequence."""
    if intervention == "none":
        return few_shot_evaluate(statements, model, tokenizer, examples, true_id, false_id, batch_size)
    vector = direction if intervention == "add" else -direction
    found = []
    for statement in statements:
        end = len(tokenizer.tokenize(examples + statement))

        def hook(module: Any, inputs: Any, output: Any, end: int = end) -> Any:
            resid = output if isinstance(output, Tensor) else output[0]
            shift = torch.zeros_like(resid)
            shift[0, [end - 2, end - 1]] = vector
            return resid + shift if isinstance(output, Tensor) else (resid + shift, *output[1:])

        handles = [model.model.layers[layer].register_forward_hook(hook) for layer in intervene_layers]
        try:
            found.append(few_shot_evaluate([statement], model, tokenizer, examples, true_id, false_id))
        finally:
            for handle in handles:
                handle.remove()
    return torch.cat(found)


intervene_by_left_padding = _intervene()

test_intervention_experiment = exercise(
    reference=intervention_experiment,
    cases=intervention_cases,
    observe=intervened,
    accepts=[intervene_by_left_padding, intervene_one_by_one],
    mistakes=[
        Mistake(
            "takes the same columns for every row",
            "places = mask.sum(dim=1, keepdim=True) - torch.tensor([2, 1])",
            "places = (mask.shape[1] - torch.tensor([2, 1])).expand(len(batch), 2)",
            why="statements are of different length: each row has its two tokens elsewhere",
        ),
        Mistake(
            "calls few_shot_evaluate without the batch size",
            "true_id, false_id, len(batch))",
            "true_id, false_id)",
            why="it reads at most 32 at once unless told, and the hook has places for the whole batch: pass batch_size",
        ),
        Mistake(
            "counts from the left in rows that are padded on the left",
            function=_count_from_the_left("left"),
            why="the places n - 2 and n - 1 count from a row's first token: few_shot_evaluate must pad on the right",
        ),
        Mistake(
            "lets the tokenizer choose the side of the padding",
            function=_count_from_the_left(None),
            why="the places n - 2 and n - 1 hold only in rows padded on the right: padding_side='right' says so",
        ),
        Mistake(
            "changes every token",
            function=_intervene(span=(-10_000, 0)),
            why="only the statement's end is changed, where the model sums it up: examples and question stay",
        ),
        Mistake(
            "changes the last tokens of the prompt",
            function=_intervene(span=(-2, 0)),
            why="the prompt ends with the question; the statement ends in front of it",
        ),
        Mistake(
            "changes the full stop alone",
            "torch.tensor([2, 1])",
            "torch.tensor([1])",
            why="two tokens are changed: the statement's full stop and the one before it, where its last word ends",
        ),
        Mistake(
            "changes the last word alone",
            "torch.tensor([2, 1])",
            "torch.tensor([2])",
            why="two tokens are changed: the statement's full stop and the one before it, where its last word ends",
        ),
        Mistake(
            "is one token late",
            "torch.tensor([2, 1])",
            "torch.tensor([1, 0])",
            why="n tokens have the positions 0 to n - 1: the statement's last one is at n - 1",
        ),
        Mistake(
            "is one token early",
            "torch.tensor([2, 1])",
            "torch.tensor([3, 2])",
            why="n tokens have the positions 0 to n - 1: the statement's last one is at n - 1",
        ),
        Mistake(
            "counts the statement's tokens without the examples",
            "[few_shot_prompt + statement for statement in batch]",
            "list(batch)",
            why="the examples stand in front of the statement, so its tokens come after theirs",
        ),
        Mistake(
            "adds where it should subtract",
            function=_intervene(signs=(0.0, 1.0, 1.0)),
            why='"subtract" takes the direction away: it moves a true statement towards the false ones',
        ),
        Mistake(
            "subtracts where it should add",
            function=_intervene(signs=(0.0, -1.0, 1.0)),
            why='"add" moves along the direction, "subtract" against it',
        ),
        Mistake(
            "intervenes without being asked",
            function=_intervene(signs=(1.0, 1.0, -1.0)),
            why='"none" is the model as it is: what the others are compared with',
        ),
        Mistake(
            "changes nothing",
            function=_intervene(signs=(0.0, 0.0, 0.0)),
            why="what the hook returns takes the output's place: return the changed tensor, and hook before the run",
        ),
        Mistake(
            "puts the direction in place of the stream",
            "resid[rows, places] += sign * direction.to(resid)",
            "resid[rows, places] = sign * direction.to(resid)",
            why="the direction is added to what is there, which says what the statement is about",
        ),
        Mistake(
            "normalises the direction",
            "sign * direction.to(resid)",
            "sign * (direction / direction.norm()).to(resid)",
            why="the direction is used as it is: its length says how far to go",
        ),
        Mistake(
            "changes the first of the layers only",
            "for layer in intervene_layers]",
            "for layer in intervene_layers[:1]]",
            why="every layer of intervene_layers is changed",
        ),
        Mistake(
            "changes the layer after",
            "blocks[layer].register_forward_hook(shift)",
            "blocks[min(layer + 1, len(blocks) - 1)].register_forward_hook(shift)",
            why="layer l is what leaves block l, counted from 0",
        ),
        Mistake(
            "changes the layer before",
            "blocks[layer].register_forward_hook(shift)",
            "blocks[layer - 1].register_forward_hook(shift)",
            why="layer l is what leaves block l, counted from 0: hook blocks[l] itself",
        ),
        Mistake(
            "changes what enters the block",
            "[blocks[layer].register_forward_hook(shift) for layer in intervene_layers]",
            "[blocks[layer].register_forward_pre_hook(lambda m, args: (shift(m, None, args[0]), *args[1:])) for layer in intervene_layers]",
            why="a probe of layer l was fitted on what leaves block l: that is where its direction belongs",
        ),
        Mistake(
            "leaves its hooks on the model",
            function=_intervene(keeps_hooks=True),
            why="a hook that stays runs at every later call: keep what register_forward_hook returns and remove() it",
        ),
        Mistake(
            "leaves its hooks on the model after an error",
            function=_intervene(tidies_after_errors=False),
            why="a run may fail halfway: try ... finally removes the hooks whatever happens",
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(differences)",
            "differences[-1]",
            why="each statement needs its number: the batches are joined",
        ),
    ],
)
