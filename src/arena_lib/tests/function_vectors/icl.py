"""Judge of in-context prompts: how pairs are written down.

Shapes:  pairs of words -> a prompt and its answer.
"""

from dataclasses import replace
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.steering import icl
from arena_lib.interp.steering.icl import ICLFormat

__test__ = False


def make_prompt_cases(generator: torch.Generator) -> list[Case]:
    """Both formats, an odd one, and a single pair."""
    pairs = [("hot", "cold"), ("big", "small"), ("wet", "dry")]
    odd = ICLFormat(question="{x} ({x}) =>", answer="_{y}_", separator=" | ", start="> ")
    return [
        Case(label="three pairs as questions", args=(pairs, icl.QUESTION_ANSWER)),
        Case(label="three pairs as a list", args=(pairs, icl.RULE_LIST)),
        Case(label="two pairs in another format", args=(pairs[1:], odd)),
        Case(label="a single pair", args=([("old", "young")], odd)),
        Case(label="spaces at the edges", args=(pairs, ICLFormat(question="{x}: ", answer="{y}", start=" "))),
    ]


def prompt_and_completion(function: Any, case: Case) -> Observations:
    """The two texts, and whether the pairs stayed as they were."""
    given = list(case.args[0])
    out = function(given, *case.args[1:])
    if not (isinstance(out, tuple | list) and len(out) == 2):
        raise Unfit(f"make_prompt must return (prompt, answer): got {type(out).__name__}.")
    return {"prompt": out[0], "answer": out[1], CHANGED: [] if given == case.args[0] else case.names[:1]}


def make_prompt_by_join(word_pairs: Any, form: ICLFormat = icl.QUESTION_ANSWER) -> tuple[str, str]:
    """Joins all pieces at once."""
    pieces = [form.question.format(x=x) + form.answer.format(y=y) for x, y in word_pairs]
    answer = form.answer.format(y=word_pairs[-1][1])
    whole = form.start + form.separator.join(pieces)
    return whole[: len(whole) - len(answer)], answer


def make_prompt_with_spaces(word_pairs: Any, form: ICLFormat = icl.QUESTION_ANSWER) -> tuple[str, str]:
    """The mistake of writing answers without their template."""
    return icl.make_prompt(word_pairs, replace(form, answer=" {y}"))


test_make_prompt = exercise(
    reference=icl.make_prompt,
    cases=make_prompt_cases,
    observe=prompt_and_completion,
    accepts=[make_prompt_by_join, lambda pairs, form=icl.QUESTION_ANSWER: list(make_prompt_by_join(pairs, form))],
    mistakes=[
        *instead_of(
            "form.question.format(x=asked)\n",
            {
                "form.question.format(x=asked) + form.answer.format(y=expected)\n": (
                    "writes the last pair's answer into the prompt",
                    "the prompt ends where the last answer would begin",
                ),
                "form.question.format(x=asked) + form.answer.format(y=expected) + form.separator\n": (
                    "writes the last pair like those that are shown, with its answer",
                    "the prompt ends where the last answer would begin",
                ),
                "form.question.format(x=asked) + form.answer.format(y=expected)[: -len(expected)]\n": (
                    "ends with the space that belongs to the answer",
                    "the space in front of a word is part of its token: the answer has it, and the prompt ends before",
                ),
                "form.question.format(x=asked) + form.separator\n": (
                    "ends with a separator",
                    "nothing comes after the last question: the answer is next",
                ),
                '""\n': (
                    "leaves out the last question",
                    "the last pair's question ends the prompt, so that the model gives its answer",
                ),
                "asked\n": (
                    "writes the last word without its template",
                    "form.question says how a question is written",
                ),
            },
        ),
        *instead_of(
            "form.start + ",
            {
                "": ("forgets the start", "form.start stands in front of everything"),
                "form.start + form.separator + ": (
                    "writes a separator after the start",
                    "a separator stands between one pair and the next",
                ),
            },
        ),
        *instead_of(
            '"".join(written)',
            {
                '"".join(pair + form.start for pair in written)': (
                    "writes the start in front of every pair",
                    "form.start stands once, in front of everything",
                ),
                '"".join(written).removesuffix(form.separator)': (
                    "leaves out the separator before the question",
                    "each pair that is shown ends with form.separator, the last one too",
                ),
                '"".join(reversed(written))': (
                    "reverses the order of the pairs that are shown",
                    "the pairs stand in the order in which they are given",
                ),
                '""': (
                    "leaves out the pairs that are shown",
                    "all pairs but the last are written in front of the question, with their answers",
                ),
                '"".join(written[-1:])': (
                    "shows only one pair",
                    "all pairs but the last are written in front of the question, with their answers",
                ),
                '"\\n".join(written)': (
                    "writes line breaks of its own between the pairs",
                    "form.separator is all that stands between two pairs",
                ),
            },
        ),
        Mistake(
            "puts a space in front of each answer, whatever form.answer says",
            function=make_prompt_with_spaces,
            why="form.answer says how an answer is written: form.answer.format(y=answer)",
        ),
        *instead_of(
            "form.question.format(x=x) + form.answer.format(y=y) + form.separator",
            {
                "form.question.format(x=x) + form.answer.format(y=y)": (
                    "leaves the separators out",
                    "each pair that is shown ends with form.separator",
                ),
                "form.separator + form.question.format(x=x) + form.answer.format(y=y)": (
                    "writes the separator before each pair instead of after it",
                    "each pair that is shown ends with form.separator",
                ),
                "form.question.format(x=x) + form.separator + form.answer.format(y=y) + form.separator": (
                    "writes a separator between question and answer",
                    "a separator stands between one pair and the next; the answer follows its question directly",
                ),
            },
        ),
        *instead_of(
            "return prompt, form.answer.format(y=expected)",
            {
                "return prompt, expected": (
                    "returns the bare word as the answer",
                    "the answer is what stands in the text, with its space: that is another token than the bare word",
                ),
                'return prompt, " " + expected': (
                    "returns the answer with a space of its own",
                    "form.answer says how an answer is written: form.answer.format(y=answer)",
                ),
                "return prompt, form.answer.format(y=expected).strip()": (
                    "strips the answer's spaces",
                    "the answer is what stands in the text, with its space: that is another token than the bare word",
                ),
                "return prompt, form.question.format(x=asked)": (
                    "returns the question instead of the answer",
                    "the second result is the last pair's answer",
                ),
                "return prompt.strip(), form.answer.format(y=expected)": (
                    "strips the prompt",
                    "form.start and form.question are written as they are, with the spaces at their ends",
                ),
                "return prompt.rstrip(), form.answer.format(y=expected)": (
                    "strips the prompt's end",
                    "form.question is written as it is, with a space at its end if it has one",
                ),
                "return prompt": ("returns the prompt alone", "two texts are returned: the prompt, and the answer"),
                "return form.answer.format(y=expected), prompt": ("returns the answer first", "the prompt comes first"),
            },
        ),
        *instead_of(
            "*shown, (asked, expected) = word_pairs",
            {
                "(asked, expected), *shown = word_pairs": ("asks for the first pair", "the last pair is the question"),
                "asked, expected = word_pairs.pop()\n    shown = word_pairs": (
                    "takes the question out of the list that it was given",
                    "the caller needs the pairs again: leave the list as it is",
                ),
                "*shown, (asked, expected) = word_pairs\n    expected = word_pairs[0][1]": (
                    "returns the first pair's answer",
                    "the second result is the answer of the last pair, the one that is asked for",
                ),
                "*shown, (asked, expected) = word_pairs\n    form = QUESTION_ANSWER": (
                    "ignores the form and always uses the default one",
                    "the second argument says how pairs are written",
                ),
            },
        ),
        *instead_of(
            "form.question.format(x=x) + form.answer.format(y=y)",
            {
                "form.question.format(x=y) + form.answer.format(y=x)": (
                    "swaps the two words of each pair",
                    "the first word of a pair is the question",
                ),
                "x + form.answer.format(y=y)": (
                    "writes the words that are shown without their template",
                    "form.question says how a question is written",
                ),
            },
        ),
    ],
)
