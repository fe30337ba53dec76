"""Judge of what a model that explains latents is told, section 1.3.3."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.saes.analysis.autointerp import explaining

__test__ = False

LINES = "the user's lines, from the first numbered one"


def prompt_cases(generator: torch.Generator) -> list[Case]:
    """One example and several, the marked token in the middle and at both ends, line breaks, ten and more."""
    kite = (3.5, [" Anna", " gave", " a", " kite", "."], 3)
    first, last = (2.5, ["Otto", " sat", " down"], 0), (2.0, [" the", " old", " boat"], 2)
    broken = (1.5, [" end", ".\n", "It", " rained", "\n\n"], 2)
    marked_break = (1.2, [" over", "\n", " and"], 1)
    again = (1.0, [" a", " kite", " a", " kite"], 1)
    calls = {
        "one example": [kite],
        "marks at both ends": [first, last],
        "line breaks": [kite, broken, marked_break],
        "the same token twice": [again, kite],
        "eleven examples": [kite, first, last, broken, again] * 2 + [last],
        "not in order of their activations": [again, last, kite],
    }
    return [Case(label=label, args=(examples,)) for label, examples in calls.items()]


def read_prompt(function: Callable[..., Any], case: Case) -> Observations:
    """Who says what; of the user's message the numbered lines and what follows, without empty ones; changed examples."""
    passed = copy.deepcopy(case.args)
    prompt = function(*passed)
    by_role = prompt if isinstance(prompt, Mapping) else {}
    lines = [line for line in str(by_role.get("user", "")).splitlines() if line.strip()]
    begin = next((i for i, line in enumerate(lines) if re.match(r"\W?\d+[^\w\s]", line)), len(lines))
    return {
        "the roles": list(by_role),
        LINES: lines[begin:],
        "the system message": by_role.get("system"),
        "the assistant's message": by_role.get("assistant"),
        CHANGED: [] if passed == case.args else case.names[:1],
    }


def prompt_by_hand(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """Line by line."""
    lines = []
    for number, (_, words, at) in enumerate(examples, 1):
        line = "".join([*words[:at], f"<<{words[at]}>>", *words[at + 1 :]]).replace("\n", "⏎")
        lines.append(f"{number}. {line}")
    user = "Here are some texts.\n" + "\n".join(lines) + "\n"
    return {"system": explaining.EXPLAINER, "user": user, "assistant": explaining.BEGINNING}


def prompt_with_empty_lines(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """Line breaks go token by token, and between two examples stands an empty line."""
    lines: list[str] = []
    for _, words, at in examples:
        pieces = [word.replace("\n", "⏎") for word in words]
        pieces[at] = f"<<{pieces[at]}>>"
        lines.append(f"{len(lines) + 1}. {''.join(pieces)}")
    return {"system": explaining.EXPLAINER, "user": "\n\n".join(lines), "assistant": explaining.BEGINNING}


def give_prompt(user: str) -> dict[str, str]:
    """The dictionary, once the user's message is written."""
    return {"system": explaining.EXPLAINER, "user": user, "assistant": explaining.BEGINNING}


def prompt_in_messages(examples: Sequence[tuple[float, list[str], int]]) -> Any:
    """The mistake of giving the conversation as chat models take it."""
    return explaining.to_messages(explaining.create_prompt(examples))


def prompt_with_words_replaced(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """The mistake of looking for the token in the text."""
    marked = ["".join(words).replace(words[at], f"<<{words[at]}>>") for _, words, at in examples]
    return give_prompt(explaining.number_texts(marked))


def prompt_with_spaces(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """The mistake of taking tokens for words."""
    lines = [[f"<<{word}>>" if i == at else word for i, word in enumerate(words)] for _, words, at in examples]
    return give_prompt(explaining.number_texts([" ".join(line) for line in lines]))


def prompt_with_spaces_outside(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """The mistake of marking a word without the space that belongs to its token."""
    marked = []
    for _, words, at in examples:
        word = words[at].lstrip(" ")
        space = words[at][: len(words[at]) - len(word)]
        marked.append("".join([*words[:at], f"{space}<<{word}>>", *words[at + 1 :]]))
    return give_prompt(explaining.number_texts(marked))


def prompt_that_spoils(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """The mistake of putting the marks into the examples' own tokens."""
    for _, words, at in examples:
        words[at] = f"<<{words[at]}>>"
    return give_prompt(explaining.number_texts(["".join(words) for _, words, _ in examples]))


def has_decimals(seen: Sequence[Observations]) -> bool:
    """Whether a line has a number with a decimal point, which no token of the cases has."""
    return any(re.search(r"\d\.\d", line) for shown in seen for line in shown.get(LINES, []))


BREAK = "a line break becomes ⏎, so that an example stays on its line and the explainer sees the break"
FORM = 'a line begins with its number and a full stop: "1. "'

test_create_prompt = exercise(
    reference=explaining.create_prompt,
    cases=prompt_cases,
    observe=read_prompt,
    accepts=[prompt_by_hand, prompt_with_empty_lines],
    mistakes=[
        Mistake(
            "writes the marks into the examples",
            function=prompt_that_spoils,
            why="the caller still needs the tokens as they are: copy the list before you write into it",
        ),
        Mistake(
            "gives a list of messages",
            function=prompt_in_messages,
            why="a dictionary from the role to the text: the list for a chat model is made of it later",
        ),
        Mistake(
            "marks the same word elsewhere, too",
            function=prompt_with_words_replaced,
            why="only the token at the position was looked at",
        ),
        Mistake("puts spaces between tokens", function=prompt_with_spaces, why="tokens bring their spaces along"),
        Mistake(
            "leaves a token's space outside",
            function=prompt_with_spaces_outside,
            why="the space belongs to the token, within the marks",
        ),
        *instead_of(
            "[i == position for i in range(len(str_tokens))]",
            {
                "[True for i in range(len(str_tokens))]": ("marks every token", "the token itself, and no other"),
                "[False for i in range(len(str_tokens))]": ("marks nothing", "the token itself is marked"),
                "[i == position + 1 for i in range(len(str_tokens))]": (
                    "marks the token after it",
                    "positions count from 0",
                ),
                "[token == str_tokens[position] for token in str_tokens]": (
                    "marks the same word elsewhere, too",
                    "only the token at the position was looked at",
                ),
            },
        ),
        *instead_of(
            "number_texts(marked)",
            {
                'number_texts(marked).replace("⏎", "\\n")': (
                    "keeps line breaks",
                    BREAK,
                ),
                '"\\n".join(text.replace("\\n", "⏎") for text in marked)': (
                    "leaves out the numbers",
                    "each line begins with its number",
                ),
                '"\\n".join(f"{i}. {text}" for i, text in enumerate(t.replace("\\n", "⏎") for t in marked))': (
                    "numbers from 0",
                    "the first is number 1",
                ),
                "number_texts([text.strip() for text in marked])": (
                    "takes spaces away",
                    "a text keeps the space that it begins with",
                ),
                "number_texts(sorted(marked))": ("sorts the examples", "they stay in their order"),
                'number_texts(marked).replace("⏎", " ")': ("turns line breaks into spaces", BREAK),
                'number_texts(marked).replace("⏎", "")': ("takes line breaks out", BREAK),
                'number_texts(marked).replace("⏎", "\\\\n")': ("writes line breaks as \\n", BREAK),
                '"\\n".join(f"{i}) {text}" for i, text in enumerate((t.replace("\\n", "⏎") for t in marked), 1))': (
                    "numbers with a bracket",
                    FORM,
                ),
                '"\\n".join(f"{i}: {text}" for i, text in enumerate((t.replace("\\n", "⏎") for t in marked), 1))': (
                    "numbers with a colon",
                    FORM,
                ),
                '"\\n".join(f"{i}.{text}" for i, text in enumerate((t.replace("\\n", "⏎") for t in marked), 1))': (
                    "leaves out the space after the number",
                    "number, full stop and a space, and then the text with the space that it begins with",
                ),
            },
        ),
        Mistake(
            "shows the activations",
            "number_texts(marked)",
            'number_texts([f"({e[0]:.1f}) {text}" for e, text in zip(examples, marked)])',
            why="a line has its number and the text: the explainer needs no more",
            shows=has_decimals,
        ),
        *instead_of(
            '"assistant": BEGINNING}',
            {
                '"assistant": EXPLAINER}': (
                    "lets the assistant begin with the task",
                    "the assistant begins with BEGINNING",
                ),
                '"assistant": ""}': ("leaves the assistant's message empty", "the assistant begins with BEGINNING"),
                "}": ("leaves out the assistant's message", "the answer is to begin with BEGINNING"),
            },
        ),
        *instead_of(
            'return {"system": EXPLAINER, ',
            {
                'return {"system": BEGINNING, ': ("leaves out the task", "the system message is EXPLAINER"),
                "return {": (
                    "has no system message",
                    "the task is a message of its own, by `system`; the `user` brings the texts",
                ),
                'return {"system": "", ': ("leaves out the task", "the system message is EXPLAINER"),
            },
        ),
        Mistake(
            "puts the system message last",
            'return {"system": EXPLAINER, "user": "The texts:\\n\\n" + number_texts(marked), "assistant": BEGINNING}',
            'return {"user": "The texts:\\n\\n" + number_texts(marked), "assistant": BEGINNING, "system": EXPLAINER}',
            why="system, user, assistant: a conversation is read in this order",
        ),
    ],
)
