"""Judge of the intervention: the right vector, in the right layers, at each row's own two tokens, and then gone.

Shapes:  statements, direction "d_model" -> P(TRUE) - P(FALSE) "n_statements"
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.extraction import find_blocks
from arena_lib.interp.probes.few_shot import QUESTION, few_shot_evaluate
from arena_lib.interp.probes.intervention import SIGNS, intervention_experiment
from arena_lib.tests.linear_probes.few_shot import DIFFERENCE, EXAMPLES, FALSE, STATEMENTS, TRUE
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import (
    hooks_after_an_error,
    last_token,
    leaves_hooks,
    read_in_batches,
    watch,
)

__test__ = False

MANY = [STATEMENTS[i % len(STATEMENTS)] for i in range(40)]
"""More than `few_shot_evaluate` reads at once unless it is told to."""
COLUMNS_FROM_THE_RIGHT = torch.tensor([-2, -1]) - len(QUESTION.split())


class Experiment(NamedTuple):
    """The arguments of one call."""

    statements: list[str]
    model: Any
    tokenizer: Any
    direction: Tensor
    examples: str
    true_id: int
    false_id: int
    layers: list[int]
    intervention: str = "none"
    batch_size: int = 32


def intervention_cases(generator: torch.Generator) -> list[Case]:
    """Each intervention, in one layer and in several, batches that are full and not, and a run that fails."""
    direction = 2.0 * torch.randn(D_MODEL, generator=generator)
    cases = {
        "adding in one layer": ("add", [1], STATEMENTS[:4], EXAMPLES, 32, "right"),
        "subtracting in three layers, in batches": ("subtract", [3, 0, 2], STATEMENTS, EXAMPLES, 3, "right"),
        "no intervention": ("none", [1, 2], STATEMENTS[:4], EXAMPLES, 4, "right"),
        "subtracting, a tokenizer that pads on the left": ("subtract", [2], STATEMENTS, EXAMPLES, 4, "left"),
        "adding, no examples": ("add", [0, 3], STATEMENTS[:5], "", 5, "right"),
        "adding, 40 statements in one batch of 40": ("add", [1], MANY, "", 40, "right"),
    }
    return [
        Case(
            label=label,
            given={"texts": (statements, examples), "direction": direction, "rest": rest, "side": side},
            call=f"{len(statements)} statements, model, tokenizer, direction, {'examples' if examples else repr('')}, "
            f"true_id={TRUE}, false_id={FALSE}, intervene_layers={rest[0]}, intervention={rest[1]!r}, batch_size={rest[2]}",
            axes={DIFFERENCE: "statement", "the direction afterwards": "d_model"},
        )
        for label, (word, layers, statements, examples, batch_size, side) in cases.items()
        for rest in [(layers, word, batch_size)]
    ]


def intervened(function: Callable[..., Any], case: Case) -> Observations:
    """The differences, how the model was treated, what became of the direction, and hooks left after an error."""
    (statements, examples), (layers, word, batch_size) = case.given["texts"], case.given["rest"]
    model, tokenizer, direction = make_model(), make_tokenizer(case.given["side"]), case.given["direction"].clone()

    def call() -> Any:
        rest = (direction, examples, TRUE, FALSE, list(layers), word, batch_size)
        return function(list(statements), model, tokenizer, *rest)

    result, seen = watch(call, model, batch_size)
    seen = {DIFFERENCE: result, "the direction afterwards": direction} | seen
    if len(layers) > 2:
        seen["hooks left after an error"] = hooks_after_an_error(call, model)
    return seen


def _intervene(side: str | None, *, counts_from_the_left: bool) -> Callable[..., Any]:
    """A solution that changes the blocks' outputs in place, right or wrong by the side that is padded."""

    def experiment(*arguments: Any) -> Tensor:
        asked, differences = Experiment(*arguments), []
        for start in range(0, len(asked.statements), asked.batch_size):
            begun = [asked.examples + text for text in asked.statements[start : start + asked.batch_size]]
            n = torch.tensor([len(asked.tokenizer.tokenize(text)) for text in begun])
            places = n[:, None] - torch.tensor([2, 1]) if counts_from_the_left else COLUMNS_FROM_THE_RIGHT

            def hook(module: Any, inputs: Any, output: Tensor, places: Tensor = places) -> None:
                output[torch.arange(len(output))[:, None], places] += SIGNS[asked.intervention] * asked.direction

            handles = [find_blocks(asked.model)[layer].register_forward_hook(hook) for layer in asked.layers]
            prompts = [text + QUESTION for text in begun]
            try:
                ids, mask, output = next(read_in_batches(prompts, asked.model, asked.tokenizer, len(prompts), side))
            finally:
                for handle in handles:
                    handle.remove()
            probs = last_token(output.logits, ids, mask).softmax(-1)
            differences.append(probs[:, asked.true_id] - probs[:, asked.false_id])
        return torch.cat(differences)

    return experiment


def intervene_one_by_one(*arguments: Any) -> Tensor:
    """Reads each statement alone, and adds a vector made for the whole sequence."""
    asked, differences = Experiment(*arguments), []
    how = (asked.model, asked.tokenizer, asked.examples, asked.true_id, asked.false_id)
    if asked.intervention == "none":
        return few_shot_evaluate(asked.statements, *how, asked.batch_size)
    vector = asked.direction if asked.intervention == "add" else -asked.direction
    for statement in asked.statements:
        end = len(asked.tokenizer.tokenize(asked.examples + statement))

        def hook(module: Any, inputs: Any, output: Any, end: int = end) -> Any:
            resid = output if isinstance(output, Tensor) else output[0]
            shift = torch.zeros_like(resid)
            shift[0, [end - 2, end - 1]] = vector
            return resid + shift if isinstance(output, Tensor) else (resid + shift, *output[1:])

        handles = [asked.model.model.layers[layer].register_forward_hook(hook) for layer in asked.layers]
        try:
            differences.append(few_shot_evaluate([statement], *how))
        finally:
            for handle in handles:
                handle.remove()
    return torch.cat(differences)


TWO_TOKENS = "two tokens are changed: the statement's full stop and the token before it, which ends the last word"
LAST_PLACE = "n tokens have the positions 0 to n - 1, so the statement's last token is at n - 1"
EACH_ROW = "statements have different lengths, so each row has its two tokens at other positions"
LAYER_L = "the activations of layer l are block l's output, and blocks are counted from 0: hook blocks[l]"

test_intervention_experiment = exercise(
    reference=intervention_experiment,
    cases=intervention_cases,
    observe=intervened,
    accepts=[_intervene("left", counts_from_the_left=False), intervene_one_by_one],
    equivalent={
        "resid = block_output(output).clone() -> resid = block_output(output)": "a block's output may be changed in place",
        "(resid, *output[1:])": "blocks return tensors here, as the docstring says",
    },
    mistakes=[
        *instead_of(
            "torch.tensor([2, 1])",
            {
                "torch.tensor([1])": ("changes only the full stop", TWO_TOKENS),
                "torch.tensor([2])": ("changes only the last word", TWO_TOKENS),
                "torch.tensor([3, 2, 1])": ("changes three tokens", TWO_TOKENS),
                "torch.tensor([1, 0])": ("changes tokens one position too late", LAST_PLACE),
                "torch.tensor([3, 2])": ("changes tokens one position too early", LAST_PLACE),
            },
        ),
        *instead_of(
            "[few_shot_prompt + statement for statement in batch]",
            {
                "list(batch)": (
                    "counts the statement's tokens without the examples",
                    "the examples come before the statement, so its positions begin after theirs",
                ),
                '[few_shot_prompt + statement + " This statement is:" for statement in batch]': (
                    "changes the last tokens of the prompt",
                    "the prompt ends with the question, and the statement ends before it",
                ),
            },
        ),
        *instead_of(
            "mask.sum(dim=1, keepdim=True) -",
            {
                "mask.sum(dim=1, keepdim=True).amax(dim=0, keepdim=True).expand(len(mask), 1) -": (
                    "uses the longest row's columns for every row",
                    EACH_ROW,
                ),
                "mask[:1].sum(dim=1, keepdim=True).expand(len(mask), 1) -": (
                    "uses the first row's columns for every row",
                    EACH_ROW,
                ),
            },
        ),
        *instead_of(
            "SIGNS[intervention]",
            {
                "abs(SIGNS[intervention])": (
                    "always adds the direction",
                    '"subtract" subtracts the direction, which moves a true statement towards the false ones',
                ),
                "-abs(SIGNS[intervention])": ("always subtracts the direction", '"add" moves along the direction'),
                "-SIGNS[intervention]": (
                    "swaps adding and subtracting",
                    '"add" moves along the direction, "subtract" against it',
                ),
                'SIGNS[intervention] or SIGNS["add"]': (
                    "changes activations for intervention 'none' too",
                    '"none" is the unchanged model, with which the others are compared',
                ),
                "0 * SIGNS[intervention]": (
                    "changes nothing",
                    "the tensor that a hook returns replaces the output: return the changed tensor, and add the hook before the run",
                ),
            },
        ),
        *instead_of(
            "resid[rows, places] += sign * direction.to(resid)",
            {
                "resid += sign * direction.to(resid)": (
                    "changes every token",
                    "only the two tokens at the statement's end are changed; examples and question stay",
                ),
                "resid[rows, places] = sign * direction.to(resid)": (
                    "replaces the stream by the direction",
                    "the direction is added to the stream, which holds what the statement is about",
                ),
                "resid[rows, places] += sign * (direction / direction.norm()).to(resid)": (
                    "normalises the direction",
                    "the direction is used as it is: its length says how far the stream is moved",
                ),
            },
        ),
        Mistake(
            "calls few_shot_evaluate without the batch size",
            "true_id, false_id, len(batch))",
            "true_id, false_id)",
            why="few_shot_evaluate reads at most 32 prompts at once by default, but the hook needs the whole batch: pass batch_size",
        ),
        Mistake(
            "reads all statements at once",
            "range(0, len(statements), batch_size)",
            "range(0, len(statements), batch_size := len(statements))",
            why="a thousand prompts don't fit into memory: batch_size says how many are read at once",
        ),
        Mistake(
            "counts from the left in rows that are padded on the left",
            function=_intervene("left", counts_from_the_left=True),
            why="the places n - 2 and n - 1 count from a row's first token: few_shot_evaluate must pad on the right",
        ),
        Mistake(
            "lets the tokenizer choose the side of the padding",
            function=_intervene(None, counts_from_the_left=True),
            why="the places n - 2 and n - 1 hold only in rows padded on the right: padding_side='right' says so",
        ),
        Mistake(
            "changes only the first of the layers",
            "for layer in intervene_layers]",
            "for layer in intervene_layers[:1]]",
            why="every layer of intervene_layers is changed",
        ),
        *instead_of(
            "blocks[layer].register_forward_hook(shift)",
            {
                "blocks[layer + 1].register_forward_hook(shift)": ("changes the layer after", LAYER_L),
                "blocks[layer - 1].register_forward_hook(shift)": ("changes the layer before", LAYER_L),
                "blocks[layer].register_forward_pre_hook(lambda m, args: (shift(m, None, args[0]), *args[1:]))": (
                    "changes the block's input",
                    "a probe of layer l was fitted on block l's output, so its direction is added there",
                ),
            },
        ),
        Mistake(
            "leaves its hooks on the model",
            "for handle in handles:\n                handle.remove()",
            "pass",
            shows=leaves_hooks,
            why="a hook that stays runs at every later call: keep the handle that register_forward_hook returns, and call its remove()",
        ),
        Mistake(
            "leaves its hooks on the model after an error",
            "finally:",
            "except ZeroDivisionError:\n            raise\n        else:",
            why="a run may fail halfway: try ... finally removes the hooks whatever happens",
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(differences)",
            "differences[-1]",
            why="each statement needs an entry of the result, so join all batches",
        ),
    ],
)
