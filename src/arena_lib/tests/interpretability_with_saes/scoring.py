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


NUMBERS = "a text's number is a whole number from 1 to n_examples"
NONE_FIRST = "an answer that begins with none names no text"

test_parse_predictions = exercise(
    reference=scoring.parse_predictions,
    cases=answer_cases,
    observe=outputs,
    accepts=[parse_by_words],
    mistakes=[
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
                'rf"{number}x{number}"': ("takes a range for two numbers", "2-4 names 3 as well"),
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
