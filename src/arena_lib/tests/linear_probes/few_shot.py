"""Judge of asking the model by example: the right prompt, the right token, probabilities of the whole vocabulary.

Shapes:  statements -> P(TRUE) - P(FALSE) "n_statements"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.few_shot import QUESTION, few_shot_evaluate
from arena_lib.tests.linear_probes.tiny_models import PAD, WORDS, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import (
    Pick,
    at_padding,
    counted_from_the_left,
    last_column,
    last_token,
    read_in_batches,
    sorted_by_length,
    token_after_the_last,
    watch,
)

__test__ = False

TRUE, FALSE = WORDS.index("true"), WORDS.index("false")
EXAMPLES = "cats see red . This statement is: true dogs hear lamps . This statement is: false "
STATEMENTS = [
    "cats see red lamps at night .",
    "dogs hear .",
    f"{PAD} owls like green lamps .",
    "owls .",
    "owls hear dogs and like cats at night .",
    f"{PAD} red .",
    "dogs see owls at night .",
]
"""Of uneven length, none of them sorted; some begin with the token that also pads."""
DIFFERENCE = "P(TRUE) - P(FALSE)"
MINUS = torch.tensor([1.0, -1.0])
"""The first of two less the second, as a product."""


def few_shot_cases(generator: torch.Generator) -> list[Case]:
    """Batches that are full and not, tokenizers that pad on either side, one statement, no examples."""
    cases = {
        "uneven statements in one batch": (STATEMENTS, EXAMPLES, 32, "right", (TRUE, FALSE)),
        "several batches, the last one smaller": (STATEMENTS, EXAMPLES, 3, "right", (TRUE, FALSE)),
        "a tokenizer that pads on the left": (STATEMENTS, EXAMPLES, 4, "left", (TRUE, FALSE)),
        "no examples": (STATEMENTS[1:5], "", 4, "right", (TRUE, FALSE)),
        "one statement, other words as answers": (STATEMENTS[:1], EXAMPLES, 2, "right", (3, 9)),
    }
    return [
        Case(
            label=label,
            given={"statements": statements, "examples": examples, "rest": (*answers, size), "side": side},
            call=f"{len(statements)} statements, model, tokenizer, {'examples' if examples else repr('')}, "
            f"true_id={answers[0]}, false_id={answers[1]}, batch_size={size}",
            axes={DIFFERENCE: "statement"},
        )
        for label, (statements, examples, size, side, answers) in cases.items()
    ]


def asked(function: Callable[..., Any], case: Case) -> Observations:
    """The differences, and how the model was treated."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"])
    result, seen = watch(
        lambda: function(list(given["statements"]), model, tokenizer, given["examples"], *given["rest"]),
        model,
        given["rest"][-1],
    )
    return {DIFFERENCE: result} | seen


def _ask(
    pick: Pick,
    *,
    side: str | None = None,
    compare: Callable[[Tensor, int, int], Tensor] = lambda logits, t, f: logits.softmax(-1)[:, [t, f]] @ MINUS,
    hides_padding: bool = True,
) -> Callable[..., Any]:
    """A solution with transformers' own tools, right or wrong by its parts."""

    def evaluate(
        statements: Any, model: Any, tokenizer: Any, examples: Any, true_id: int, false_id: int, batch_size: int = 32
    ) -> Any:
        prompts = [examples + statement + QUESTION for statement in statements]
        read = read_in_batches(prompts, model, tokenizer, batch_size, side, hides_padding)
        return torch.cat([compare(pick(output.logits, ids, mask), true_id, false_id) for ids, mask, output in read])

    return evaluate


def ask_one_by_one(
    statements: Any, model: Any, tokenizer: Any, examples: Any, true_id: int, false_id: int, batch_size: int = 32
) -> Any:
    """Reads each prompt alone, so that nothing is ever padded."""
    differences = []
    with torch.inference_mode():
        for statement in statements:
            logits = model(**tokenizer(examples + statement + QUESTION, return_tensors="pt")).logits[0, -1]
            probs = torch.exp(logits - logits.logsumexp(-1))
            differences.append((probs[true_id] - probs[false_id]).item())
    return torch.tensor(differences)


test_few_shot_evaluate = exercise(
    reference=few_shot_evaluate,
    cases=few_shot_cases,
    observe=asked,
    accepts=[_ask(last_column, side="left"), _ask(last_token), ask_one_by_one],
    mistakes=[
        Mistake(
            "assumes that padding is on the right",
            function=_ask(counted_from_the_left),
            why='some tokenizers pad on the left: pass padding_side="right" to the tokenizer, or find the last 1 of the mask',
        ),
        Mistake(
            "pads on the left and counts positions from the left",
            function=_ask(counted_from_the_left, side="left"),
            why="with padding on the left every prompt ends in the last column",
        ),
        Mistake(
            "uses the last column of a batch, even if it is padding",
            function=_ask(last_column),
            why="with padding on the right a short prompt ends before its row does: find its own last token",
        ),
        *at_padding(
            _ask,
            last_column,
            "pads on the right and uses the last column",
            "a short prompt ends before its row does: read the logits at its own last token",
        ),
        *sorted_by_length("differences = []", "statements"),
        Mistake(
            "uses the first row's last position for every row",
            "mask.sum(dim=1) - 1",
            "(mask.sum(dim=1) - 1)[:1].expand(len(mask))",
            why="prompts have different lengths, so each row has its last token at its own position",
        ),
        *at_padding(
            _ask,
            token_after_the_last,
            "reads the logits one token late",
            "n tokens have the positions 0 to n - 1: the logits at n - 1 predict the next token",
        ),
        Mistake(
            "reads the logits one token early",
            "mask.sum(dim=1) - 1",
            "mask.sum(dim=1) - 2",
            why="the answer follows the prompt's last token, so the logits at that token predict it",
        ),
        *instead_of(
            "probs[:, true_id] - probs[:, false_id]",
            {
                "probs[:, false_id] - probs[:, true_id]": (
                    "returns P(FALSE) - P(TRUE)",
                    "the result is P(TRUE) - P(FALSE): positive means that the model thinks the statement true",
                ),
                "(probs[:, true_id] - probs[:, false_id]).sign()": (
                    "returns only the sign",
                    "the size of the difference says how sure the model is",
                ),
                "(probs.argmax(dim=-1) == true_id).float() - (probs.argmax(dim=-1) == false_id).float()": (
                    "looks only at the likeliest token",
                    "the result is a difference of probabilities, also where a third token is the likeliest",
                ),
                "(probs[:, true_id] - probs[:, false_id]).abs()": (
                    "loses the sign",
                    "the result is P(TRUE) - P(FALSE): negative means that the model thinks the statement false",
                ),
                "probs[:, true_id]": (
                    "returns only P(TRUE)",
                    "the result is P(TRUE) - P(FALSE), because both may be small",
                ),
                "probs[:, true_id] + probs[:, false_id]": (
                    "adds the two probabilities",
                    "the difference P(TRUE) - P(FALSE) says which of the two answers the model prefers",
                ),
                "probs[:, true_id] / (probs[:, true_id] + probs[:, false_id])": (
                    "divides by the sum of both probabilities",
                    "the result is the plain difference, near 0 if the model gives neither answer",
                ),
            },
        ),
        *instead_of(
            ".softmax(dim=-1)",
            {
                "": (
                    "subtracts logits or log-probabilities",
                    "P is a probability: apply the softmax to the logits first",
                ),
                ".softmax(dim=0)": (
                    "takes the softmax over the batch",
                    "the probabilities of one prompt's next token sum to 1 over the vocabulary",
                ),
                ".sigmoid()": (
                    "applies a sigmoid to each logit",
                    "the probabilities of one prompt's next token sum to 1 over the vocabulary: a softmax",
                ),
            },
        ),
        Mistake(
            "applies the softmax to only the two answers",
            function=_ask(last_token, compare=lambda logits, t, f: logits[:, [t, f]].softmax(-1) @ MINUS),
            why="the softmax runs over the whole vocabulary, so that a model that answers neither is near 0",
        ),
        *instead_of(
            "few_shot_prompt + statement + QUESTION",
            {
                'few_shot_prompt + statement + QUESTION + " "': (
                    "ends the prompt with a space",
                    "the space in front of an answer is part of the answer's token, so the prompt ends with the colon",
                ),
                'few_shot_prompt + statement + " " + QUESTION': (
                    "writes two spaces before the question",
                    "the question begins with a space already",
                ),
                'few_shot_prompt + " " + statement + QUESTION': (
                    "writes a space between the examples and the statement",
                    "few_shot_prompt and the statement are joined as they are",
                ),
                "few_shot_prompt + statement + QUESTION.strip()": (
                    "leaves out the space before the question",
                    'the prompt ends with " This statement is:", space included',
                ),
                "few_shot_prompt + statement": (
                    "leaves out the question",
                    'the prompt ends with " This statement is:", which the answer follows',
                ),
                "statement + QUESTION": (
                    "leaves out the examples",
                    "the examples come first, and show the model what an answer looks like",
                ),
                "statement + few_shot_prompt + QUESTION": (
                    "writes the examples after the statement",
                    "the statement comes after the examples, right before the question",
                ),
            },
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(differences)",
            "differences[-1]",
            why="each statement needs an entry of the result, so join all batches",
        ),
        *instead_of(
            "range(0, len(statements), batch_size)",
            {
                "range(0, max(len(statements) - batch_size, 0) + 1, batch_size)": (
                    "leaves out the last, smaller batch",
                    "the last batch may be smaller than the others",
                ),
                "range(0, len(statements), batch_size := len(statements))": (
                    "reads all statements at once",
                    "a thousand prompts don't fit into memory: batch_size says how many are read at once",
                ),
            },
        ),
        Mistake(
            "pads on the left and hides no padding",
            function=_ask(last_column, side="left", hides_padding=False),
            why="a model attends to padding in front of a text like to other tokens, unless attention_mask hides it",
        ),
        Mistake(
            "leaves out attention_mask if the tokenizer pads on the left",
            function=_ask(last_token, hides_padding=False),
            why="a model attends to padding in front of a text like to other tokens, unless attention_mask hides it",
        ),
        Mistake(
            "keeps the graph for a gradient",
            "with torch.no_grad():",
            "with torch.enable_grad():",
            why="nothing is trained here, and a graph for every batch would fill the memory",
        ),
    ],
)
