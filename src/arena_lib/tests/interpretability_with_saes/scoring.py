"""Judges of how a judge's answers about a latent are read and scored, section 1.3.3.

Shapes:  answers as texts; a yes or no for each text
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.saes.analysis.autointerp import scoring

__test__ = False

# -- parse_predictions --------------------------------------------------------------------------------


def answer_cases(generator: torch.Generator) -> list[Case]:
    """Plain answers, talkative ones, ranges, numbers that name no text, "none" in several places, and no answer."""
    calls = {
        "plain": ("2, 5", 9),
        "in words": ("Texts 4 and 7, and also 9.", 9),
        "twice the same": ("3: yes. So 3.", 5),
        "numbers that no text has": ("0, 3, 12 and 40", 12),
        "nothing but such": ("13", 12),
        "two digits": ("11 and 1", 14),
        "a confidence": ("Text 6, I am 0.9 sure.", 9),
        "a sentence ends with a number": ("It is 3. Not 2.5", 9),
        "a range": ("2-4, 7", 9),
        "a range in words": ("1 to 3 and 8", 9),
        "a range with a long dash": ("Texts 3–5", 6),
        "a range with spaces": ("Texts 2 - 4", 6),
        "a range that is too long": ("7-99", 8),
        "a list with bullets": ("- 1\n- 4\n- 6", 7),
        "bullets without spaces": ("-1\n-4\n-6", 7),
        "two ranges": ("1-3, 6-8", 9),
        "none": ("None", 4),
        "none, with spaces before it": ("  None of 1 to 4.", 4),
        "none of so many": ("None of the 9 texts fits.", 9),
        "none at the end": ("I would say: none", 6),
        "some, and none of the others": ("1 and 4, none of the others", 6),
        "a longer word": ("Nonetheless I can't say.", 6),
        "no answer": ("", 3),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def parse_by_words(answer: str, n_examples: int) -> set[int] | None:
    """Word by word, without a pattern for the whole."""
    text = answer.lower().strip()
    if text.startswith("none") and not text[4:5].isalnum():
        return set()
    found: set[int] = set()
    for line in text.splitlines():
        line = re.sub(r"\d*\.\d+", " x ", line)
        tokens = re.findall(r"\d+|[a-z]+|[^\sa-z\d]", line)
        for i, token in enumerate(tokens):
            if token.isdigit():
                found.add(int(token))
                if i >= 2 and tokens[i - 1] in ("-", "–", "to") and tokens[i - 2].isdigit():
                    found.update(range(int(tokens[i - 2]), min(int(token), n_examples) + 1))
    found = {i for i in found if 0 < i <= n_examples}
    if found or "none" in re.findall(r"[a-z]+", text):
        return found
    return None


def parse_whole_answers(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of reading only what keeps to the form that was asked for."""
    if answer.strip().lower().startswith("none"):
        return set()
    try:
        return {int(piece) for piece in answer.split(",") if 1 <= int(piece) <= n_examples}
    except ValueError:
        return None


def parse_pieces(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of taking only those numbers that spaces and commas set apart."""
    if re.match(r"none\b", answer.strip().lower()):
        return set()
    named = {int(piece) for piece in re.split(r"[\s,]+", answer) if piece.isdigit()} & set(range(1, n_examples + 1))
    return named if named or re.search(r"\bnone\b", answer.lower()) else None


def parse_from_zero(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of giving places in a list."""
    named = scoring.parse_predictions(answer, n_examples)
    return None if named is None else {i - 1 for i in named}


def parse_into_list(answer: str, n_examples: int) -> Any:
    """The mistake of giving the numbers in their order."""
    named = scoring.parse_predictions(answer, n_examples)
    return None if named is None else sorted(named)


def parse_or_refuse(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of refusing an answer for one number that no text has."""
    named = scoring.parse_predictions(answer, 100)
    return named if named is None or max(named, default=0) <= n_examples else None


def parse_range_without_end(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of taking the end of a range for Python's."""

    def numbers(found: re.Match[str]) -> str:
        return ",".join(map(str, range(int(found[1]), int(found[2]))))

    return scoring.parse_predictions(re.sub(r"(\d+) *(?:-|–|to) *(\d+)", numbers, answer), n_examples)


def parse_first_range(answer: str, n_examples: int) -> set[int] | None:
    """The mistake of reading a range, or else the numbers."""
    found = re.search(r"(?<![\d.])(\d+) *(?:-|–|to) *(\d+)", answer)
    is_none = re.match(r"none\b", answer.strip().lower())
    return scoring.parse_predictions(answer if is_none or not found else found[0], n_examples)


NUMBERS = "a text's number is a whole number from 1 to n_examples"
NONE_FIRST = "an answer that begins with none names no text"

test_parse_predictions = exercise(
    reference=scoring.parse_predictions,
    cases=answer_cases,
    observe=outputs,
    accepts=[parse_by_words],
    mistakes=[
        Mistake(
            "reads lists with commas only",
            function=parse_whole_answers,
            why="there may be words around the numbers, and ranges",
        ),
        Mistake(
            "overlooks numbers beside a full stop or a dash",
            function=parse_pieces,
            why="a number may stand right before a full stop, a colon or a dash",
        ),
        Mistake(
            "gives a list",
            function=parse_into_list,
            why="a set, as the type says: twice the same number is once, and the order says nothing",
            shows=lambda seen: any(isinstance(shown.get("output"), list) for shown in seen),
        ),
        Mistake("counts texts from 0", function=parse_from_zero, why="the texts are numbered from 1"),
        Mistake(
            "can't read an answer with a number that no text has",
            function=parse_or_refuse,
            why="such a number names no text; the others still do",
        ),
        Mistake(
            "leaves out the end of a range", function=parse_range_without_end, why="2-4 names 2, 3 and 4: both ends"
        ),
        Mistake(
            "reads the first range and nothing else",
            function=parse_first_range,
            why="there may be more ranges, and numbers beside them",
        ),
        *instead_of(
            'if re.match(r"none\\b", words):',
            {
                'if re.match(r"none", words):': (
                    "takes any word that begins with none",
                    "the word is none: nonetheless is another one",
                ),
                'if re.search(r"none\\b", words):': (
                    "takes none anywhere for the whole answer",
                    "none counts for the whole only where the answer begins with it",
                ),
                'if "none" in words:': (
                    "takes none anywhere, even in a longer word, for the whole answer",
                    "it counts for the whole only as a word, and where the answer begins with it",
                ),
                'if re.match(r"none$", words):': ("reads the numbers after none", NONE_FIRST),
            },
        ),
        *instead_of(
            "words = answer.strip().lower()",
            {
                "words = answer.strip()": ("sees small letters only", "None and none are one word"),
                "words = answer.lower()": ("stumbles over a space at the beginning", "spaces around it don't count"),
            },
        ),
        *instead_of(
            'number = r"(?<![\\d.])(\\d+)(?!\\d|\\.\\d)"',
            {
                'number = r"(\\d+)"': ("takes decimals for texts", "a number with a decimal point names no text"),
                'number = r"(?<!\\d)(\\d+)(?!\\d|\\.\\d)"': (
                    "takes what follows a decimal point for a text",
                    "neither half of 0.9 is a whole number",
                ),
                'number = r"(?<![\\d.])(-?\\d+)(?!\\d|\\.\\d)"': (
                    "takes a dash for a minus sign",
                    "a dash before a number is a bullet or a range",
                ),
                'number = r"(\\d)"': ("reads digits", "11 is one number"),
                'number = r"(?<![\\d.])(\\d+)(?!\\d|\\.)"': (
                    "overlooks a number at the end of a sentence",
                    "a full stop after a number is no decimal point",
                ),
            },
        ),
        *instead_of(
            "named &= set(range(1, n_examples + 1))",
            {
                "named &= set(range(n_examples + 1))": ("takes 0 for a text", NUMBERS),
                "named &= set(range(1, n_examples))": ("leaves out the last text", NUMBERS),
                "named &= set(range(1, 10**6))": ("keeps numbers that no text has", NUMBERS),
            },
        ),
        *instead_of(
            'rf"{number} *(?:-|–|to) *{number}"',
            {
                'rf"{number}(?:-|–|to){number}"': (
                    "reads ranges without spaces only",
                    "there may be spaces around the dash",
                ),
                'rf"{number} *(?:-) *{number}"': ("knows one kind of dash", '"-", "–" and "to" make a range'),
                'rf"{number}\\s*(?:-|–|to)\\s*{number}"': (
                    "takes a list with bullets for a range",
                    "a range stands on one line",
                ),
                'rf"{number} *(?:-|–) *{number}"': ("doesn't know ranges in words", '"-", "–" and "to" make a range'),
                'rf"{number}x{number}"': ("takes a range for two numbers", "2-4 names 3 as well"),
            },
        ),
        *instead_of(
            "named |= set(range(int(first), min(int(last), n_examples) + 1))",
            {
                "named |= set(range(int(first), int(last) + 1)) if int(last) <= n_examples else set()": (
                    "drops a range that goes too far",
                    "of 7-99 the texts that there are count",
                ),
            },
        ),
        *instead_of(
            'return named if named or re.search(r"\\bnone\\b", words) else None',
            {
                "return named": (
                    "gives an empty set for an answer that it can't read",
                    "None says that an answer can't be read",
                ),
                "return named or None": (
                    "can't read none at the end",
                    "no number, and the word none: an empty set",
                ),
            },
        ),
    ],
)

# -- score_predictions --------------------------------------------------------------------------------


def judged_cases(generator: torch.Generator) -> list[Case]:
    """As many right texts as wrong ones, and uneven numbers; a judge who names all, none, and the wrong ones."""
    even, uneven = [True, False, False, True], [True, False, False, False, False, False, True]
    calls = {
        "one of two": ({1}, even),
        "all right": ({1, 7}, uneven),
        "none named": (set(), uneven),
        "all named": ({1, 2, 3, 4, 5, 6, 7}, uneven),
        "the wrong ones": ({2, 3}, uneven),
        "one found, one false alarm": ({2, 7}, uneven),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def rates(function: Callable[..., Any], case: Case) -> Observations:
    """Both numbers."""
    result = function(*case.args)
    return {name: float(result[name]) for name in ("accuracy", "balanced_accuracy")}


def rates_by_counts(predicted: set[int], truth: Sequence[bool]) -> dict[str, float]:
    """From the four counts."""
    right = {i for i, is_right in enumerate(truth, start=1) if is_right}
    wrong = set(range(1, len(truth) + 1)) - right
    found, spared = len(right & predicted), len(wrong - predicted)
    balanced = (found / len(right) + spared / len(wrong)) / 2
    return {"accuracy": (found + spared) / len(truth), "balanced_accuracy": balanced}


def rates_of_what_is_said(predicted: set[int], truth: Sequence[bool]) -> dict[str, float]:
    """The mistake of taking shares among what the judge says, not among what is true."""
    said = [i in predicted for i in range(1, len(truth) + 1)]
    hits = [a == b for a, b in zip(said, truth, strict=True)]
    shares = [
        sum(h for h, s in zip(hits, said, strict=True) if s == kind) / max(said.count(kind), 1)
        for kind in (True, False)
    ]
    return {"accuracy": sum(hits) / len(truth), "balanced_accuracy": sum(shares) / 2}


test_score_predictions = exercise(
    reference=scoring.score_predictions,
    cases=judged_cases,
    observe=rates,
    accepts=[rates_by_counts],
    mistakes=[
        *instead_of(
            "enumerate(truth, start=1)",
            {"enumerate(truth)": ("counts texts from 0", "the texts are numbered from 1")},
        ),
        *instead_of(
            "(i in predicted) == right",
            {
                "(i in predicted) and right": (
                    "counts only what was rightly named",
                    "a text that is rightly left out is a hit, too",
                ),
                "(i in predicted) != right": ("counts the errors", "a hit is a text that was judged right"),
                "(i in predicted) or right": ("counts what is named or right", "a hit is a text that was judged right"),
            },
        ),
        *instead_of(
            "sum(shares) / 2",
            {
                "sum(shares)": ("forgets to halve", "the mean of both"),
                "sum(is_hit) / len(truth)": ("gives the accuracy twice", "each kind of text counts half"),
                "shares[0]": ("gives the share of right texts that were found", "each kind of text counts half"),
                "min(shares)": ("takes the worse of the two shares", "the mean of both"),
                "shares[0] * shares[1]": ("multiplies the shares", "the mean of both"),
            },
        ),
        Mistake(
            "divides by the number of all texts",
            "/ sum(r == kind for r in truth)",
            "/ len(truth)",
            why="each share is one of the texts of its kind",
        ),
        Mistake(
            "takes shares among the texts that are named",
            function=rates_of_what_is_said,
            why="among the texts that are right, and among those that aren't: recall, not precision",
        ),
        Mistake(
            "counts only what was rightly named in the accuracy",
            '"accuracy": sum(is_hit) / len(truth)',
            '"accuracy": len([i for i in predicted if truth[i - 1]]) / len(truth)',
            why="a text that is rightly left out is a hit, too",
        ),
    ],
)
