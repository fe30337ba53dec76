"""Judges of latents that are explained: by the model itself, and by another one; section 1.3.3.

Shapes:  activations "batch seq d_model"; latent_vector "d_model"; texts
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.saes.analysis.autointerp import explaining, scoring
from arena_lib.saes.analysis.interventions import patchscopes

__test__ = False

# -- hook_fn_patch_scoping ----------------------------------------------------------------------------


def patching_cases(generator: torch.Generator) -> list[Case]:
    """One place and several, several texts, half precision, and the single positions of a model that writes."""

    def case(label: str, batch: int, seq: int, d_model: int, where: list[int], dtype: Any = torch.float32) -> Case:
        acts = torch.randn(batch, seq, d_model, generator=generator).to(dtype)
        vector = 3 * torch.randn(d_model, generator=generator)
        return Case(label=label, args=(acts, None, where, vector), axes={"output": "batch seq d_model"})

    return [
        case("one place", 1, 6, 4, [4]),
        case("two places in two texts", 2, 5, 3, [1, 3]),
        case("the first and the last position", 1, 4, 6, [0, 3]),
        case("a model in bfloat16", 1, 3, 4, [2], torch.bfloat16),
        case("a token as it's written", 1, 1, 5, [4]),
        case("a token as it's written, and position 0", 2, 1, 4, [0]),
    ]


def patch_by_where(activations: Tensor, hook: Any, seq_pos: Sequence[int], latent_vector: Tensor) -> Tensor:
    """Chooses between the two."""
    seq = activations.shape[1]
    if seq == 1:
        return activations
    at = torch.isin(torch.arange(seq), torch.tensor(list(seq_pos)))
    return torch.where(at[:, None], latent_vector.to(activations.dtype), activations)


test_hook_fn_patch_scoping = exercise(
    reference=patchscopes.hook_fn_patch_scoping,
    cases=patching_cases,
    observe=outputs,
    accepts=[patch_by_where],
    mistakes=[
        *instead_of(
            "patched[:, list(seq_pos)] = latent_vector.to(activations)",
            {
                "patched[:, list(seq_pos)] += latent_vector.to(activations)": (
                    "adds the vector",
                    "it takes their place",
                ),
                "patched[:, list(seq_pos)[:1]] = latent_vector.to(activations)": (
                    "patches the first place only",
                    "every position of seq_pos",
                ),
                "patched[:, :] = latent_vector.to(activations)": ("patches every position", "seq_pos, and no others"),
                "patched[:, [p - 1 for p in seq_pos]] = latent_vector.to(activations)": (
                    "is one position too early",
                    "seq_pos counts from 0",
                ),
                "patched[:, list(seq_pos)] = latent_vector.to(activations) / latent_vector.norm()": (
                    "normalises the vector",
                    "the caller decides how long it is",
                ),
            },
        ),
        Mistake(
            "patches the tokens that are written",
            "if activations.shape[1] == 1:",
            "if activations.shape[1] == 1 and max(seq_pos) > 0:",
            why="a pass over a single position is a token that the model writes, and comes back as it is",
        ),
        Mistake(
            "writes into the activations",
            "patched = activations.clone()",
            "patched = activations",
            why="a new tensor: the activations stay as they are",
        ),
    ],
)

# -- mark_tokens --------------------------------------------------------------------------------------


def marking_cases(generator: torch.Generator) -> list[Case]:
    """Marks alone, side by side, at both ends, everywhere and nowhere."""
    words = [" Anna", " gave", " a", " red", " kite", "."]
    calls = {
        "one token": [False, True, False, False, False, False],
        "the first token": [True, False, False, False, False, False],
        "neighbours": [False, False, True, True, True, False],
        "both ends": [True, False, False, False, False, True],
        "neighbours at both ends": [True, True, False, False, True, True],
        "two apart": [False, True, False, True, False, False],
        "everywhere": [True] * 6,
        "nowhere": [False] * 6,
    }
    return [Case(label=label, args=(words, marked)) for label, marked in calls.items()]


def mark_by_pieces(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """Marks each, and takes out what meets."""
    pieces = [f"<<{token}>>" if marked else token for token, marked in zip(str_tokens, is_marked, strict=True)]
    return "".join(pieces).replace(">><<", "")


SHARED = "neighbours that are both marked share one pair of marks"

test_mark_tokens = exercise(
    reference=explaining.mark_tokens,
    cases=marking_cases,
    observe=outputs,
    accepts=[mark_by_pieces],
    mistakes=[
        *instead_of(
            "begins = marked and (i == 0 or not is_marked[i - 1])",
            {
                "begins = marked": ("opens at every marked token", SHARED),
                "begins = marked and not is_marked[i - 1]": (
                    "looks at the last token before the first",
                    "before the first token stands nothing: is_marked[-1] is the last one's",
                ),
                "begins = marked and i > 0 and not is_marked[i - 1]": (
                    "never opens at the first token",
                    "it may be marked",
                ),
            },
        ),
        *instead_of(
            "ends = marked and (i + 1 == len(str_tokens) or not is_marked[i + 1])",
            {
                "ends = marked": ("closes at every marked token", SHARED),
                "ends = marked and i + 1 < len(str_tokens) and not is_marked[i + 1]": (
                    "never closes at the last token",
                    "the last token may be marked",
                ),
            },
        ),
        *instead_of(
            "OPENING * begins + token + CLOSING * ends",
            {
                "OPENING * begins + token.strip() + CLOSING * ends": ("takes spaces away", "tokens stay as they are"),
                "CLOSING * begins + token + OPENING * ends": ("turns the marks round", "<< opens, and >> closes"),
                "token + OPENING * begins + CLOSING * ends": ("opens after the token", "<< stands before it"),
            },
        ),
    ],
)

# -- create_prompt ------------------------------------------------------------------------------------


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
    """Who says what; of the user's message the numbered lines and what stands after them."""
    prompt = function(*case.args)
    lines = str(prompt["user"]).splitlines()
    begin = next((i for i, line in enumerate(lines) if re.match(r"\d+\.", line)), len(lines))
    return {
        "roles": list(prompt),
        "the user's lines, from the first numbered one": lines[begin:],
        "system": prompt["system"],
        "assistant": prompt["assistant"],
    }


def prompt_by_hand(examples: Sequence[tuple[float, list[str], int]]) -> dict[str, str]:
    """Line by line."""
    lines = []
    for number, (_, words, at) in enumerate(examples, 1):
        line = "".join([*words[:at], f"<<{words[at]}>>", *words[at + 1 :]]).replace("\n", "⏎")
        lines.append(f"{number}. {line}")
    user = "Here are some texts.\n" + "\n".join(lines) + "\n"
    return {"system": explaining.EXPLAINER, "user": user, "assistant": explaining.BEGINNING}


test_create_prompt = exercise(
    reference=explaining.create_prompt,
    cases=prompt_cases,
    observe=read_prompt,
    accepts=[prompt_by_hand],
    mistakes=[
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
                    "a line break becomes ⏎, so that an example stays on its line",
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
            },
        ),
        *instead_of(
            'return {"system": EXPLAINER, "user": "The texts:\\n\\n" + number_texts(marked), "assistant": BEGINNING}',
            {
                'return {"system": EXPLAINER, "user": "The texts:\\n\\n" + number_texts(marked), "assistant": EXPLAINER}': (
                    "lets the assistant begin with the task",
                    "the assistant begins with BEGINNING",
                ),
                'return {"system": BEGINNING, "user": "The texts:\\n\\n" + number_texts(marked), "assistant": BEGINNING}': (
                    "leaves out the task",
                    "the system message is EXPLAINER",
                ),
                'return {"user": "The texts:\\n\\n" + number_texts(marked), "assistant": BEGINNING, "system": EXPLAINER}': (
                    "puts the system message last",
                    "system, user, assistant: a conversation is read in this order",
                ),
            },
        ),
    ],
)

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
    ],
)
