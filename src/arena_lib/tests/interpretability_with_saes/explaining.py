"""Judges of latents that are explained: by the model itself, and by another one; section 1.3.3.

Shapes:  activations "batch seq d_model"; latent_vector "d_model"; texts
"""

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
