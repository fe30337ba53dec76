"""Judge of asking the model by example: the right prompt, the right token, probabilities of the whole vocabulary.

Shapes:  statements -> P(TRUE) - P(FALSE) "n_statements"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.few_shot import few_shot_evaluate
from arena_lib.tests.linear_probes.tiny_models import (
    PAD,
    WORDS,
    count_hooks,
    make_model,
    make_tokenizer,
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
QUESTION = " This statement is:"


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
            given={
                "statements": statements,
                "examples": examples,
                "batch_size": size,
                "side": side,
                "answers": answers,
            },
            axes={"P(TRUE) - P(FALSE)": "n_statements"},
        )
        for label, (statements, examples, size, side, answers) in cases.items()
    ]


def asked(function: Callable[..., Any], case: Case) -> Observations:
    """The differences; whether they carry a gradient; hooks that are left on the model."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"])
    found = function(
        list(given["statements"]), model, tokenizer, given["examples"], *given["answers"], given["batch_size"]
    )
    return {
        "P(TRUE) - P(FALSE)": found.detach() if isinstance(found, Tensor) else found,
        "carries a gradient": isinstance(found, Tensor) and found.requires_grad,
        "hooks left on the model": hooks_in_words(count_hooks(model)),
    }


def _ask(
    *,
    question: str = QUESTION,
    side: str = "left",
    pick: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda logits, mask, ids: logits[:, -1],
    compare: Callable[[Tensor, int, int], Tensor] | None = None,
    pass_mask: bool = True,
) -> Callable[..., Any]:
    """A solution with transformers' own tools, right or wrong by its parts."""

    def evaluate(
        statements: Any, model: Any, tokenizer: Any, examples: Any, true_id: int, false_id: int, batch_size: int = 32
    ) -> Any:
        found = []
        for start in range(0, len(statements), batch_size):
            prompts = [examples + statement + question for statement in statements[start : start + batch_size]]
            inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side=side)
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            with torch.no_grad():
                logits = pick(model(ids, attention_mask=mask if pass_mask else None).logits, mask, ids)
            probs = logits.softmax(-1)
            found.append(compare(logits, true_id, false_id) if compare else probs[:, true_id] - probs[:, false_id])
        return torch.cat(found)

    return evaluate


def ask_one_by_one(
    statements: Any, model: Any, tokenizer: Any, examples: Any, true_id: int, false_id: int, batch_size: int = 32
) -> Any:
    """Reads each prompt alone, so that nothing is ever padded."""
    found = []
    with torch.inference_mode():
        for statement in statements:
            logits = model(**tokenizer(examples + statement + QUESTION, return_tensors="pt")).logits[0, -1]
            probs = torch.exp(logits - logits.logsumexp(-1))
            found.append((probs[true_id] - probs[false_id]).item())
    return torch.tensor(found)


ask_by_left_padding = _ask()
ask_by_place_of_last = _ask(
    side="right",
    pick=lambda logits, mask, ids: logits[torch.arange(len(mask)), (torch.arange(mask.shape[1]) * mask).argmax(1)],
)


def ask_with_gradient(*arguments: Any) -> Any:
    """The mistake of keeping the graph."""
    statements, model, tokenizer, examples, true_id, false_id, *_ = arguments
    rows = [model(**tokenizer(examples + s + QUESTION, return_tensors="pt")).logits[0, -1] for s in statements]
    probs = torch.stack(rows).softmax(-1)
    return probs[:, true_id] - probs[:, false_id]


test_few_shot_evaluate = exercise(
    reference=few_shot_evaluate,
    cases=few_shot_cases,
    observe=asked,
    accepts=[ask_by_left_padding, ask_by_place_of_last, ask_one_by_one],
    mistakes=[
        Mistake(
            "reads the logits at padding",
            "last = mask.sum(dim=1) - 1",
            "last = torch.full((len(mask),), mask.shape[1] - 1)",
            why="a short prompt ends before its row does; what the model says behind it answers nothing",
        ),
        Mistake(
            "reads the logits one token early",
            "mask.sum(dim=1) - 1",
            "mask.sum(dim=1) - 2",
            why="the verdict follows the prompt's last token: its logits are those at that token",
        ),
        Mistake(
            "returns P(FALSE) - P(TRUE)",
            "probs[:, true_id] - probs[:, false_id]",
            "probs[:, false_id] - probs[:, true_id]",
            why="positive means that the model thinks the statement true",
        ),
        Mistake(
            "returns P(TRUE) alone",
            "probs[:, true_id] - probs[:, false_id]",
            "probs[:, true_id]",
            why="a model that gives neither answer much probability says nothing: only the difference tells",
        ),
        Mistake(
            "subtracts logits or log-probabilities",
            ".softmax(dim=-1)",
            "",
            why="P is a probability: the softmax of the logits, and not its logarithm",
        ),
        Mistake(
            "shares the probability among the two answers only",
            function=_ask(compare=lambda logits, t, f: logits[:, [t, f]].softmax(-1) @ torch.tensor([1.0, -1.0])),
            why="the softmax runs over the whole vocabulary, so that a model that answers neither is near 0",
        ),
        Mistake(
            "takes the softmax over the batch",
            "softmax(dim=-1)",
            "softmax(dim=0)",
            why="the probabilities of one prompt's next token sum to 1 over the vocabulary",
        ),
        Mistake(
            "asks no question",
            "few_shot_prompt + statement + QUESTION",
            "few_shot_prompt + statement",
            why='the verdict follows " This statement is:", as in the examples',
        ),
        Mistake(
            "asks without examples",
            "few_shot_prompt + statement + QUESTION",
            "statement + QUESTION",
            why="the examples in front tell the model what an answer looks like",
        ),
        Mistake(
            "puts the examples behind the statement",
            "few_shot_prompt + statement + QUESTION",
            "statement + few_shot_prompt + QUESTION",
            why="the statement in question comes last, right before the question",
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(differences)",
            "differences[-1]",
            why="each statement needs its number: the batches are joined",
        ),
        Mistake(
            "pads on the left and hides no padding",
            function=_ask(pass_mask=False),
            why="a model reads padding in front of a text like any other tokens, unless attention_mask hides it",
        ),
        Mistake(
            "keeps the graph for a gradient",
            function=ask_with_gradient,
            why="nothing is trained here: a graph for every batch fills the memory",
        ),
    ],
)
