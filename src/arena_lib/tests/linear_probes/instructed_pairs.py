"""Judge of instructed pairs: the right instruction in front of the right fact, read where the fact ends.

Shapes:  facts -> ({layer: "n_facts d_model"}, {layer: "n_facts d_model"})
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.extraction import extract_activations
from arena_lib.interp.probes.instructed_pairs import construct_instructed_pairs
from arena_lib.tests.linear_probes.tiny_models import (
    CHAT_TEMPLATE,
    count_hooks,
    make_model,
    make_tokenizer,
)

__test__ = False

FACTS = ["cats see red lamps at night .", "dogs hear .", "owls like green lamps .", "owls hear dogs and like cats ."]
KINDS = ("honest", "dishonest")


def instructed_cases(generator: torch.Generator) -> list[Case]:
    """With a chat template and without, our instructions and others, one layer and several, one fact."""
    cases: dict[str, tuple[Any, ...]] = {
        "without a chat template": (FACTS, [1, 3], (), None, "right"),
        "with a chat template": (FACTS, [2], (), CHAT_TEMPLATE, "right"),
        "instructions of unequal length": (
            FACTS[:3],
            [3, 0],
            ("say true .", "you are a liar, say false ."),
            None,
            "right",
        ),
        "other instructions, in a chat": (
            FACTS[1:],
            [1],
            ("dogs are honest", "cats are a liar,"),
            CHAT_TEMPLATE,
            "left",
        ),
        "one fact": (FACTS[2:3], [2], (), None, "left"),
    }
    return [
        Case(
            label=label,
            given={"facts": facts, "layers": layers, "instructions": instructions, "template": template, "side": side},
            axes={f"{kind}, layer {layer}": "n_facts d_model" for kind in KINDS for layer in layers},
        )
        for label, (facts, layers, instructions, template, side) in cases.items()
    ]


def paired(function: Callable[..., Any], case: Case) -> Observations:
    """Both dictionaries by layer; whether they carry a gradient; hooks that are left on the model."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"], given["template"])
    both = function(list(given["facts"]), model, tokenizer, list(given["layers"]), *given["instructions"])
    if not (isinstance(both, tuple | list) and len(both) == 2 and all(isinstance(one, dict) for one in both)):
        raise Unfit(
            "construct_instructed_pairs must return two dictionaries from layer to activations, (honest, dishonest): "
            f"got {type(both).__name__}."
        )
    seen: Observations = {}
    for kind, acts in zip(KINDS, both, strict=True):
        if sorted(acts) != sorted(given["layers"]):
            raise Unfit(
                f"each dictionary must have the keys {given['layers']}, the layers asked for: got {list(acts)}."
            )
        for layer in given["layers"]:
            value = acts[layer]
            seen[f"{kind}, layer {layer}"] = value.detach() if isinstance(value, Tensor) else value
    carries = any(isinstance(a, Tensor) and a.requires_grad for acts in both for a in acts.values())
    return seen | {"carries a gradient": carries, "hooks left on the model": hooks_in_words(count_hooks(model))}


HONEST = "Pretend you are an honest person, and say something true."
DISHONEST = "Pretend you are a liar, and say something false."


def _pairs(
    *,
    text: Callable[[str, str, Any], str] | None = None,
    places: Callable[[int], slice] = lambda seq: slice(seq - 1, seq),
) -> Callable[..., Any]:
    """A solution that reads text after text, right or wrong by its parts."""

    def construct(
        facts: Any, model: Any, tokenizer: Any, layers: Any, honest: str = HONEST, dishonest: str = DISHONEST
    ) -> Any:
        both = []
        for instruction in (honest, dishonest):
            rows: dict[int, list[Tensor]] = {layer: [] for layer in layers}
            for fact in facts:
                inputs = tokenizer((text or _write)(instruction, fact, tokenizer), return_tensors="pt")
                with torch.no_grad():
                    hidden = model(**inputs, output_hidden_states=True).hidden_states
                for layer in layers:
                    resid = hidden[layer + 1][0]
                    rows[layer].append(resid[places(len(resid))].mean(0))
            both.append({layer: torch.stack(rows[layer]) for layer in layers})
        return tuple(both)

    return construct


def _write(instruction: str, fact: str, tokenizer: Any, *, ends_with_fact: bool = True, in_one: bool = False) -> str:
    """The text of a pair; `in_one` makes instruction and fact one message of the user."""
    if tokenizer.chat_template is None:
        return instruction + " " + fact
    messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": fact}]
    if in_one:
        messages = [{"role": "user", "content": f"{instruction} {fact}"}]
    rendered: str = tokenizer.apply_chat_template(messages, tokenize=False)
    return rendered[: rendered.rindex(fact) + len(fact)] if ends_with_fact else rendered


def construct_in_one_batch(
    facts: Any, model: Any, tokenizer: Any, layers: Any, honest: str = HONEST, dishonest: str = DISHONEST
) -> Any:
    """Reads all texts together, and takes the result apart."""
    texts = [_write(instruction, fact, tokenizer) for instruction in (honest, dishonest) for fact in facts]
    acts = extract_activations(texts, model, tokenizer, layers)
    halves = {layer: rows.chunk(2) for layer, rows in acts.items()}
    return [{layer: pair[i] for layer, pair in halves.items()} for i in range(2)]


construct_one_by_one = _pairs()

test_construct_instructed_pairs = exercise(
    reference=construct_instructed_pairs,
    cases=instructed_cases,
    observe=paired,
    accepts=[construct_one_by_one, construct_in_one_batch],
    mistakes=[
        Mistake(
            "returns the dishonest ones first",
            "[instruct(honest, fact, tokenizer) for fact in facts], model, tokenizer, layers),\n"
            "        extract_activations([instruct(dishonest, fact",
            "[instruct(dishonest, fact, tokenizer) for fact in facts], model, tokenizer, layers),\n"
            "        extract_activations([instruct(honest, fact",
            why="the result is (honest, dishonest): swapped, the direction points the other way",
        ),
        Mistake(
            "gives both halves the honest instruction",
            "instruct(dishonest, fact, tokenizer)",
            "instruct(honest, fact, tokenizer)",
            why="the instruction is the one thing in which the pairs differ",
        ),
        Mistake(
            "leaves the instruction out of the honest half",
            "instruct(honest, fact, tokenizer)",
            "fact",
            why="both halves are instructed; otherwise they differ in length and position as well",
        ),
        Mistake(
            "puts the instruction behind the fact",
            function=_pairs(
                text=lambda instruction, fact, tokenizer: _write(fact, instruction, tokenizer),
            ),
            why="a causal model reads the fact in the light of what stands in front of it",
        ),
        Mistake(
            "ignores the chat template",
            function=_pairs(text=lambda instruction, fact, tokenizer: f"{instruction} {fact}"),
            why="a chat model takes an instruction seriously where its template says that the user speaks",
        ),
        Mistake(
            "lets the user say the fact",
            function=_pairs(
                text=lambda instruction, fact, tokenizer: _write(instruction, fact, tokenizer, in_one=True)
            ),
            why="the fact is what the assistant says: it is the one who is honest or not",
        ),
        Mistake(
            "reads the template's end marker",
            function=_pairs(
                text=lambda instruction, fact, tokenizer: _write(instruction, fact, tokenizer, ends_with_fact=False)
            ),
            why="the text ends where the fact ends: continue_final_message=True leaves the template's marker away",
        ),
        Mistake(
            "averages over all tokens",
            function=_pairs(places=lambda seq: slice(0, seq)),
            why="the last token alone has seen the whole fact, and the instruction's own tokens differ anyway",
        ),
        Mistake(
            "reads the first token",
            function=_pairs(places=lambda seq: slice(0, 1)),
            why="in a causal model the first token has seen neither instruction nor fact",
        ),
    ],
)
