"""Judges of where a latent is most active, section 1.3.3.

Shapes:  acts of one latent "batch seq" -> places "n_found 2"; tokens "n_texts seq" -> examples
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.saes.analysis.activations import examples
from arena_lib.tests.interpretability_with_saes.small_models import (
    D_SAE,
    GPT,
    LLAMA,
    RESID,
    make_model,
    make_sae,
    make_texts,
)

__test__ = False

# -- find_top_positions -------------------------------------------------------------------------------


def position_cases(generator: torch.Generator) -> list[Case]:
    """Ties, neighbours, rows of few and of many positions, and fewer positive ones than k."""
    acts = torch.randn(4, 7, generator=generator)
    tied = torch.tensor([[0.0, 2.0, 1.0, 2.0, 0.5], [2.0, 0.0, 2.0, -1.0, 1.0], [0.0, 0.0, 3.0, 2.5, 0.2]])
    rising = torch.tensor([[0.5, 1.0, 1.5, 2.0, 0.7, 0.0, 0.3], [0.0, 0.2, 0.0, 0.4, 0.1, 0.6, 0.9]])
    tall = torch.randn(9, 2, generator=generator)
    axes = {"output": "n_found row_and_position"}
    return [
        Case(label="three of them", args=(acts, 3, 0), axes=axes),
        Case(label="equal ones, the earlier first", args=(tied, 5, 0), axes=axes),
        Case(label="not next to each other", args=(tied, 6, 1), axes=axes),
        Case(label="two positions apart at least", args=(tied, 4, 2), axes=axes),
        Case(label="a better one comes later in the text", args=(rising, 9, 2), axes=axes),
        Case(label="more than there are above 0", args=(rising, 50, 0), axes=axes),
        Case(label="short texts", args=(tall, 4, 0), axes=axes),
        Case(label="fewer than k above 0", args=(tied - 1.9, 8, 0), axes=axes),
        Case(label="nothing above 0", args=(-acts.abs(), 2, 0), axes=axes),
    ]


def top_by_rounds(acts: Tensor, k: int, min_distance: int = 0) -> Tensor:
    """Takes the largest, crosses out what is near, and starts again."""
    left = acts.clone()
    places: list[list[int]] = []
    while len(places) < k and bool((left > 0).any()):
        row, position = divmod(int(left.argmax()), left.shape[1])
        places.append([row, position])
        left[row, max(position - min_distance, 0) : position + min_distance + 1] = -torch.inf
    return torch.tensor(places, dtype=torch.int64).view(len(places), 2)


NEAR = "a place is left out if a better one of the same text is at most min_distance positions away, on either side"

test_find_top_positions = exercise(
    reference=examples.find_top_positions,
    cases=position_cases,
    observe=outputs,
    accepts=[top_by_rounds],
    mistakes=[
        *instead_of(
            "if len(found) == k or acts[row, position] <= 0:",
            {
                "if len(found) > k or acts[row, position] <= 0:": ("gives k + 1", "at most k places"),
                "if len(found) == k:": ("gives places that aren't active", "only activations above 0 count"),
                "if len(found) == k or acts[row, position] < 0:": ("takes 0 for active", "above 0, not 0 itself"),
            },
        ),
        *instead_of(
            "any(row == a and abs(position - b) <= min_distance for a, b in found)",
            {
                "any(row == a and abs(position - b) < min_distance for a, b in found)": (
                    "allows a distance of exactly min_distance",
                    NEAR,
                ),
                "any(abs(position - b) <= min_distance for a, b in found)": (
                    "looks for neighbours in other texts",
                    NEAR,
                ),
                "any(row == a and 0 <= position - b <= min_distance for a, b in found)": (
                    "looks for neighbours on one side",
                    NEAR,
                ),
                "any(row == a for a, b in found)": ("gives one place of each text", NEAR),
            },
        ),
        *instead_of(
            "acts.flatten().argsort(descending=True, stable=True)",
            {
                "acts.flatten().argsort(stable=True)": ("begins with the smallest", "the largest comes first"),
                "acts.flatten().argsort(descending=True, stable=True)[:k]": (
                    "looks at the k largest alone",
                    "for each one that is left out because of its neighbour the next largest comes in",
                ),
                "acts.flatten().abs().argsort(descending=True, stable=True)": (
                    "sorts by absolute value",
                    "a latent is active where it's above 0",
                ),
                "(acts.numel() - 1 - acts.flatten().flip(0).argsort(descending=True, stable=True))": (
                    "puts the later of two equal ones first",
                    "of equal ones the earlier text comes first, and in a text the earlier position",
                ),
            },
        ),
        *instead_of(
            "torch.tensor(found, dtype=torch.long).reshape(-1, 2)",
            {
                "torch.tensor(found, dtype=torch.long).reshape(-1, 2).flip(1)": (
                    "gives position and row",
                    "first the text, then the position in it",
                ),
                "torch.tensor(found)": (
                    "gives no second axis where nothing is active",
                    "a result without rows still has the axis of row and position: reshape(-1, 2), and whole numbers",
                ),
            },
        ),
    ],
    equivalent={
        "order = acts.flatten().argsort(descending=True, stable=True) -> order = acts.flatten().argsort(descending=True)": (
            "on a CPU torch's sort keeps the order of equal ones anyway"
        ),
        "order = acts.flatten().argsort(descending=True, stable=True) -> "
        "order = acts.flatten().argsort(descending=True, stable=False)": (
            "on a CPU torch's sort keeps the order of equal ones anyway"
        ),
    },
)

# -- fetch_max_activating_examples --------------------------------------------------------------------


def example_cases(generator: torch.Generator) -> list[Case]:
    """Texts in one piece and in batches, padded on the right; windows that are cut at both ends; each option."""
    model = make_model(LLAMA, generator)
    sae, nameless = make_sae(generator), make_sae(generator, "", k=5)
    texts = make_texts(5, 9, generator)
    texts[1, 5] = texts[3, 2] = 7
    mask = torch.arange(9) < torch.tensor([[9], [6], [4], [8], [9]])
    gpt, of_gpt = make_model(GPT, generator), make_sae(generator)
    busiest = _busiest(model, sae, texts)

    def case(label: str, sae: Any, texts: Any, latent_idx: int, *rest: int, model: Any = model, **options: Any) -> Case:
        return Case(label=label, args=(model, sae, texts, latent_idx, *rest), kwargs=options)

    return [
        case("the six largest", sae, texts, busiest, 100, 6, 2),
        case("batches, of which two are read", sae, [texts[:2], texts[2:4], texts[4:]], busiest, 2, 4, 3),
        case("padding on the right", sae, [(texts, mask)], busiest, 3, 9, 3),
        case("tokens alone", sae, texts, busiest, 9, 3, 0),
        case("windows longer than the texts", sae, texts[:2], busiest, 9, 3, 20),
        case("examples that don't overlap", sae, texts, busiest, 9, 7, 1, may_overlap=False),
        case("a token to leave out", sae, texts, busiest, 9, 12, 1, skip=[7]),
        case("nothing to leave out", sae, texts, busiest, 9, 12, 1, skip=[]),
        case(
            "another model, and the hook by name",
            nameless,
            texts,
            _busiest(gpt, of_gpt, texts),
            model=gpt,
            hook_name=RESID,
        ),
    ]


def _busiest(model: Any, sae: Any, texts: Tensor) -> int:
    """The latent that is active on most tokens."""
    _, cache = model.run_with_cache(texts, RESID)
    return int((sae.encode(cache[RESID]) > 0).sum(dim=(0, 1))[: D_SAE - 1].argmax())


def rows_of_examples(function: Callable[..., Any], case: Case) -> Observations:
    """Activations, words and places, each in the order of the examples."""
    found = list(function(*case.args, **case.kwargs))
    for entry in found:
        if not isinstance(entry, (tuple, list)) or len(entry) != 3:
            raise Unfit(f"Each entry must be (activation, tokens, which of them): got {type(entry).__name__}.")
    return {
        "activations": torch.tensor([float(activation) for activation, _, _ in found]),
        "words": [list(words) for _, words, _ in found],
        "which word": [int(position) for _, _, position in found],
    }


def fetch_by_hand(
    model: Any,
    sae: Any,
    tokens: Any,
    latent_idx: int,
    total_batches: int = 100,
    k: int = 10,
    buffer: int = 10,
    *,
    hook_name: str | None = None,
    may_overlap: bool = True,
    skip: Any = None,
) -> list[tuple[float, list[str], int]]:
    """Reads the cache, keeps every active token, and sorts at the end."""
    name, skipped = hook_name or sae.cfg.hook_name, {model.tokenizer.bos_token_id} if skip is None else set(skip)
    active = []
    batches = [tokens] if isinstance(tokens, Tensor) else tokens[:total_batches]
    for batch in batches:
        rows, mask = (batch, torch.ones_like(batch)) if isinstance(batch, Tensor) else batch
        _, cache = model.run_with_cache(rows, name)
        acts = sae.encode(cache[name])[..., latent_idx]
        counts = mask.bool() & torch.tensor([[int(token) not in skipped for token in row] for row in rows])
        best = examples.find_top_positions(acts * counts, k, 0 if may_overlap else buffer)
        for row, position in best.tolist():
            text = [model.tokenizer.decode([int(token)]) for token in rows[row, : int(mask[row].sum())]]
            start = max(0, position - buffer)
            active.append((float(acts[row, position]), text[start : position + buffer + 1], position - start))
    active.sort(key=lambda entry: -entry[0])
    return active[:k]


APART = "only where they may not overlap must they be apart"
WINDOW = "the window has up to `buffer` tokens on each side, and is cut where the text begins and ends"

test_fetch_max_activating_examples = exercise(
    reference=examples.fetch_max_activating_examples,
    cases=example_cases,
    observe=rows_of_examples,
    accepts=[fetch_by_hand],
    mistakes=[
        *instead_of(
            "range(max(position - buffer, 0), min(position + buffer + 1, acts.shape[1]))",
            {
                "range(max(position - buffer, 0), min(position + buffer, acts.shape[1]))": (
                    "has one token too few after it",
                    WINDOW,
                ),
                "range(max(position - buffer - 1, 0), min(position + buffer + 1, acts.shape[1]))": (
                    "has one token too many before it",
                    WINDOW,
                ),
                "range(max(position - buffer, 0), position + 1)": ("shows nothing after it", WINDOW),
            },
        ),
        *instead_of(
            "acts = batch.counted[..., 0]",
            {
                "acts = batch.latents[..., 0]": (
                    "counts padding and the first token",
                    "padding is no text, and the token that begins one is unlike all others",
                ),
            },
        ),
        Mistake(
            "shows padding",
            "[i for i in near if batch.is_real[row, i]]",
            "list(near)",
            why="padding is no part of a text",
        ),
        Mistake(
            "says that the token is in the middle",
            "window.index(position)",
            "buffer",
            why="where a window is cut on the left, the token stands further to the left in it",
        ),
        *instead_of(
            "sorted(best, key=lambda example: example.activation, reverse=True)[:k]",
            {
                "best[:k]": ("keeps the first k that it meets", "the most active of all batches"),
                "sorted(best, key=lambda example: example.activation)[:k]": (
                    "keeps the least active",
                    "the most active first",
                ),
                "sorted(best, key=lambda example: example.activation, reverse=True)": (
                    "keeps k of every batch",
                    "k in all",
                ),
            },
        ),
        *instead_of(
            "0 if may_overlap else buffer",
            {
                "buffer if may_overlap else 0": ("looks for distant examples by default", APART),
                "0": ("ignores may_overlap", APART),
                "buffer": ("never lets examples overlap", APART),
            },
        ),
        Mistake("reads every batch", "total_batches=total_batches", "total_batches=None", why="total_batches are read"),
        Mistake(
            "ignores skip", "skip=skip", "skip=None", why="tokens of skip are never chosen, and no others if it's given"
        ),
    ],
    equivalent={"acts = batch.counted[..., 0] -> acts = batch.counted[..., -1]": "one latent was asked for"},
)
