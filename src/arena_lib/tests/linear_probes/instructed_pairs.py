"""Judge of instructed pairs: the right instruction in front of the right fact, read where the fact ends.

Shapes:  facts -> ({layer: "n_facts d_model"}, {layer: "n_facts d_model"})
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.extraction import extract_activations
from arena_lib.interp.probes.instructed_pairs import construct_instructed_pairs, instruct
from arena_lib.tests.linear_probes.tiny_models import CHAT_TEMPLATE, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import AFTER_FINAL_NORM, BEFORE_FINAL_NORM, read, watch

__test__ = False

FACTS = ["cats see red lamps at night .", "dogs hear .", "owls like green lamps .", "owls hear dogs and like cats ."]
KINDS = ("honest", "dishonest")
HONEST = "Pretend you are an honest person, and say something true."
DISHONEST = "Pretend you are a liar, and say something false."


def instructed_cases(generator: torch.Generator) -> list[Case]:
    """With a chat template and without, our instructions and others, one layer and several, one fact."""
    uneven = ("say true .", "you are a liar, say false .")
    others = ("dogs are honest", "cats are a liar,")
    cases: dict[str, tuple[Any, ...]] = {
        "without a chat template": (FACTS, [1, 3], (), None, "right"),
        "with a chat template": (FACTS, [2], (), CHAT_TEMPLATE, "right"),
        "instructions of unequal length": (FACTS[:3], [3, 0], uneven, None, "right"),
        "other instructions, in a chat": (FACTS[1:], [1], others, CHAT_TEMPLATE, "left"),
        "one fact, the last layer": (FACTS[2:3], [4], (), None, "left"),
    }
    return [
        Case(
            label=label,
            given={"call": (facts, layers, instructions), "template": template, "side": side},
            call=", ".join([f"{len(facts)} facts, model, tokenizer, layers={layers}", *map(repr, instructions)]),
            axes={f"{kind}, layer {layer}": "fact d_model" for kind in KINDS for layer in layers},
        )
        for label, (facts, layers, instructions, template, side) in cases.items()
    ]


def paired(function: Callable[..., Any], case: Case) -> Observations:
    """Both dictionaries by layer, and how the model was treated."""
    facts, layers, instructions = case.given["call"]
    model, tokenizer = make_model(), make_tokenizer(case.given["side"], case.given["template"])
    result, seen = watch(lambda: function(list(facts), model, tokenizer, list(layers), *instructions), model)
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(part, dict) for part in result)):
        raise Unfit(
            "construct_instructed_pairs must return two dictionaries from layer to activations, (honest, dishonest): "
            f"got {type(result).__name__}."
        )
    for acts in result:
        if set(acts) != set(layers):
            raise Unfit(f"each dictionary must have the keys {layers}, the layers asked for: got {list(acts)}.")
    return {
        f"{kind}, layer {layer}": acts[layer] for kind, acts in zip(KINDS, result, strict=True) for layer in layers
    } | seen


def _read_one_by_one(
    places: Callable[[int], slice] = lambda seq: slice(seq - 1, seq), *, offset: int = 1, reads_blocks: bool = True
) -> Callable[..., Any]:
    """A solution that reads text after text, right or wrong by the places that it takes the mean of."""

    def construct(
        facts: Any, model: Any, tokenizer: Any, layers: Any, honest: str = HONEST, dishonest: str = DISHONEST
    ) -> Any:
        both = []
        for instruction in (honest, dishonest):
            rows: dict[int, list[Tensor]] = {layer: [] for layer in layers}
            for fact in facts:
                inputs = tokenizer(_write(instruction, fact, tokenizer), return_tensors="pt")
                with torch.no_grad():
                    hidden = (
                        read(model, inputs.input_ids) if reads_blocks else model(**inputs, output_hidden_states=True)
                    ).hidden_states
                for layer in layers:
                    resid = hidden[layer + offset][0]
                    rows[layer].append(resid[places(len(resid))].mean(0))
            both.append({layer: torch.stack(rows[layer]) for layer in layers})
        return tuple(both)

    return construct


def _write(instruction: str, fact: str, tokenizer: Any) -> str:
    """The text of a pair, cut where the fact ends."""
    if tokenizer.chat_template is None:
        return instruction + " " + fact
    messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": fact}]
    rendered: str = tokenizer.apply_chat_template(messages, tokenize=False)
    return rendered[: rendered.rindex(fact) + len(fact)]


def construct_in_one_batch(
    facts: Any, model: Any, tokenizer: Any, layers: Any, honest: str = HONEST, dishonest: str = DISHONEST
) -> Any:
    """Reads all texts together, and takes the result apart."""
    texts = [instruct(instruction, fact, tokenizer) for instruction in (honest, dishonest) for fact in facts]
    acts = extract_activations(texts, model, tokenizer, layers)
    halves = {layer: rows.chunk(2) for layer, rows in acts.items()}
    return [{layer: pair[i] for layer, pair in halves.items()} for i in range(2)]


def _split_by_halves(is_swapped: bool) -> Callable[..., Any]:
    """The mistake of making the texts pair by pair, and taking the first half of the rows for one instruction."""

    def construct(
        facts: Any, model: Any, tokenizer: Any, layers: Any, honest: str = HONEST, dishonest: str = DISHONEST
    ) -> Any:
        both = (dishonest, honest) if is_swapped else (honest, dishonest)
        texts = [instruct(instruction, fact, tokenizer) for fact in facts for instruction in both]
        acts = extract_activations(texts, model, tokenizer, layers)
        return tuple({layer: rows.chunk(2)[i] for layer, rows in acts.items()} for i in range(2))

    return construct


test_construct_instructed_pairs = exercise(
    reference=construct_instructed_pairs,
    cases=instructed_cases,
    observe=paired,
    accepts=[_read_one_by_one(), construct_in_one_batch],
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
            "uses the honest instruction in both halves",
            "instruct(dishonest, fact, tokenizer)",
            "instruct(honest, fact, tokenizer)",
            why="the two texts of a pair differ only in their instruction",
        ),
        *instead_of(
            "instruct(honest, fact, tokenizer)",
            {
                "fact": (
                    "leaves out the instruction in the honest half",
                    "both halves have an instruction, so that they don't differ in length and position as well",
                ),
                "instruct(dishonest, fact, tokenizer)": (
                    "uses the dishonest instruction in both halves",
                    "the two texts of a pair differ only in their instruction",
                ),
            },
        ),
        *instead_of(
            "if tokenizer.chat_template is None:",
            {
                "instruction, fact = fact, instruction\n    if tokenizer.chat_template is None:": (
                    "writes the instruction after the fact",
                    "a causal model sees only earlier tokens, so the instruction must come before the fact",
                ),
                "instruction, fact = fact, instruction\n    if True:": (
                    "writes the instruction after the fact, without the chat template",
                    "a causal model sees only earlier tokens, so the instruction must come before the fact",
                ),
                "return fact\n    if True:": (
                    "leaves out the instructions",
                    "the two texts of a pair differ only in their instruction",
                ),
                "if True:": (
                    "ignores the chat template",
                    "with a chat template the instruction is the user's message, and the fact the assistant's",
                ),
            },
            within="instruct",
        ),
        Mistake(
            "ignores the arguments for the instructions",
            "if honest == dishonest:",
            f"honest, dishonest = {HONEST!r}, {DISHONEST!r}\n    if honest == dishonest:",
            why="the two instructions are arguments: use the caller's texts",
        ),
        Mistake(
            "writes the fact into the user's message",
            '{"role": "user", "content": instruction}, {"role": "assistant", "content": fact}',
            '{"role": "user", "content": f"{instruction} {fact}"}',
            within="instruct",
            why="the fact is the assistant's message, because the assistant is honest or not",
        ),
        Mistake(
            "writes the instruction as a system message",
            '"user"',
            '"system"',
            within="instruct",
            why="the instruction is the user's message; not every chat template has system messages",
        ),
        Mistake(
            "leaves out the space between instruction and fact",
            'f"{instruction} {fact}"',
            'f"{instruction}{fact}"',
            within="instruct",
            why="without a chat template the text is the instruction, a space, and the fact",
        ),
        Mistake(
            "reads the template's end marker",
            ", continue_final_message=True",
            "",
            within="instruct",
            why="the text ends where the fact ends: continue_final_message=True leaves out the template's end marker",
        ),
        Mistake(AFTER_FINAL_NORM, function=_read_one_by_one(reads_blocks=False), why=BEFORE_FINAL_NORM),
        Mistake(
            "counts the embedding as layer 0",
            function=_read_one_by_one(offset=0),
            why="the activations of layer l are block l's output: entry l + 1 of hidden_states, as entry 0 is the embedding",
        ),
        *[
            Mistake(
                "writes the texts by turns and splits them into halves",
                function=_split_by_halves(is_swapped),
                why="the first result has each fact after the honest instruction, the second after the dishonest one",
            )
            for is_swapped in (False, True)
        ],
        Mistake(
            "averages over all tokens",
            function=_read_one_by_one(lambda seq: slice(0, seq)),
            why="only the last token has seen the whole fact, and the instruction's own tokens always differ",
        ),
        Mistake(
            "reads the first token",
            function=_read_one_by_one(lambda seq: slice(0, 1)),
            why="in a causal model the first token has seen neither instruction nor fact",
        ),
    ],
)
