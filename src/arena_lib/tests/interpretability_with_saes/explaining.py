"""Judges of latents that are explained: by the model itself, and by another one; section 1.3.3.

Shapes:  activations "batch seq d_model"; latent_vector "d_model"; texts
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.saes.analysis.autointerp import explaining
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
                "patched[:1, list(seq_pos)] = latent_vector.to(activations)": (
                    "patches the first text only",
                    "every text of the batch",
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
    like_marks = [" a", ">>", "<<", " b", " >><<"]
    return [
        *(Case(label=label, args=(words, marked)) for label, marked in calls.items()),
        Case(label="a text that has marks of its own", args=(like_marks, [False, False, False, True, True])),
    ]


def mark_by_groups(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """Joins neighbours of a kind first."""
    pairs = zip(is_marked, str_tokens, strict=True)
    groups = ((marked, "".join(token for _, token in group)) for marked, group in groupby(pairs, key=itemgetter(0)))
    return "".join(f"<<{text}>>" if marked else text for marked, text in groups)


def mark_by_pieces(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """The mistake of marking each, and taking out every >><< that the text then has."""
    pieces = [f"<<{token}>>" if marked else token for token, marked in zip(str_tokens, is_marked, strict=True)]
    return "".join(pieces).replace(">><<", "")


def mark_from_first_to_last(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """The mistake of opening once and closing once."""
    places = [i for i, marked in enumerate(is_marked) if marked] or [0]
    between = range(places[0], places[-1] + any(is_marked))
    return mark_by_groups(str_tokens, [i in between for i in range(len(str_tokens))])


SHARED = "neighbours that are both marked share one pair of marks"

test_mark_tokens = exercise(
    reference=explaining.mark_tokens,
    cases=marking_cases,
    observe=outputs,
    accepts=[mark_by_groups],
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
                '" " * (begins and token[:1] == " ") + OPENING * begins + token[begins and token[:1] == " " :] + CLOSING * ends': (
                    "leaves a token's space outside",
                    "tokens stay as they are: the space belongs to the token, within the marks",
                ),
                "CLOSING * begins + token + OPENING * ends": ("turns the marks round", "<< opens, and >> closes"),
                "token + OPENING * begins + CLOSING * ends": ("opens after the token", "<< stands before it"),
            },
        ),
        Mistake(
            "takes away what the text itself holds",
            function=mark_by_pieces,
            why="a text may have >><< of its own, which stays: don't put in marks to take them out again",
        ),
        Mistake("marks everything from the first to the last", function=mark_from_first_to_last, why=SHARED),
    ],
)
