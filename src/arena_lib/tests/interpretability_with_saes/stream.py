"""Judges of the stream of activations: which positions, at what scale, mixed how; section 1.3.3.

Shapes:  tokens "batch seq"; acts "batch d_in"; halves of a buffer "n_half d_in"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, outputs_and_gradients
from arena_lib.saes.training import store

__test__ = False

# -- pick_positions -----------------------------------------------------------------------------------


def position_cases(generator: torch.Generator) -> list[Case]:
    """Padding on either side, none, and tokens to leave out that stand anywhere."""
    tokens = torch.randint(2, 9, (3, 7), generator=generator)
    tokens[0, 2] = tokens[1, 5] = tokens[2, 0] = 1
    right = torch.arange(7) < torch.tensor([[7], [4], [1]])
    left = torch.arange(7) >= torch.tensor([[0], [3], [5]])
    starts = tokens.clone()
    starts[1, 3] = starts[2, 5] = 1  # the first real tokens of the rows that are padded on the left

    def case(label: str, tokens: Tensor, mask: Tensor | None, skip_first: bool, skip_tokens: tuple[int, ...]) -> Case:
        return Case(
            label=label,
            args=(tokens, mask),
            kwargs={"skip_first": skip_first, "skip_tokens": skip_tokens},
            axes={"output": "batch seq"},
        )

    return [
        case("no mask, nothing to leave out", tokens, None, False, ()),
        case("padding on the right", tokens, right, False, ()),
        case("padding on the left, without first tokens", tokens, left, True, ()),
        case("a mask of numbers", tokens, left.long(), True, (3, 1)),
        case("no mask, without first tokens", tokens, None, True, ()),
        case("two tokens to leave out", tokens, right, False, (1, int(tokens[0, 0]))),
        case("first tokens that are left out anyway", starts, left, True, (1,)),
    ]


def pick_by_index(tokens: Tensor, attention_mask: Tensor | None, *, skip_first: bool, skip_tokens: tuple) -> Tensor:
    """Looks up each row's first real position."""
    real = torch.full(tokens.shape, True) if attention_mask is None else attention_mask != 0
    if skip_first:
        first = real.int().argmax(dim=1)
        real = real & (torch.arange(tokens.shape[1]) != first[:, None])
    return real & ~torch.isin(tokens, torch.tensor(skip_tokens, dtype=tokens.dtype))


FIRST_REAL = "each row's first real token is left out, wherever its padding ends"

test_pick_positions = exercise(
    reference=store.pick_positions,
    cases=position_cases,
    observe=outputs,
    accepts=[pick_by_index],
    mistakes=[
        *instead_of(
            "is_picked &= is_picked.cumsum(dim=1) != 1",
            {
                "is_picked[:, 0] = False": ("leaves out the first column", FIRST_REAL),
                "is_picked &= is_picked.cumsum(dim=1) == 1": ("keeps first tokens only", FIRST_REAL),
                "is_picked &= is_picked.cumsum(dim=0) != 1": ("counts down the batch", FIRST_REAL),
                "is_picked &= is_picked.cumsum(dim=1) > 2": ("leaves out two tokens", FIRST_REAL),
                "pass": ("ignores skip_first", FIRST_REAL),
            },
        ),
        *instead_of(
            "is_picked &= tokens != token",
            {
                "is_picked &= tokens == token": ("keeps only the tokens to leave out", "tokens of skip_tokens go"),
                "is_picked |= tokens != token": (
                    "joins the conditions with or",
                    "a position must meet every condition: padding stays out",
                ),
                "is_picked &= tokens != skip_tokens[0]": ("leaves out the first of them only", "all of skip_tokens go"),
                "is_picked &= tokens != skip_tokens[-1]": ("leaves out the last of them only", "all of skip_tokens go"),
            },
        ),
        *instead_of(
            "attention_mask.bool().clone()",
            {
                "~attention_mask.bool()": ("picks the padding", "the mask is True at real tokens"),
                "torch.ones_like(tokens, dtype=torch.bool)": ("ignores the mask", "padding isn't part of a text"),
                "attention_mask.clone()": ("keeps the mask's dtype", "each position is True or False"),
                "attention_mask.bool()": (
                    "writes into the mask",
                    "the mask belongs to the caller: make a new tensor",
                ),
            },
        ),
        Mistake(
            "leaves out the first of those that remain",
            "if skip_first:\n        is_picked &= is_picked.cumsum(dim=1) != 1\n"
            "    for token in skip_tokens:\n        is_picked &= tokens != token\n",
            "for token in skip_tokens:\n        is_picked &= tokens != token\n"
            "    if skip_first:\n        is_picked &= is_picked.cumsum(dim=1) != 1\n",
            why=FIRST_REAL + ", also where that is one of skip_tokens",
        ),
    ],
)

# -- compute_scale ------------------------------------------------------------------------------------


def scale_cases(generator: torch.Generator) -> list[Case]:
    """Rows of very different lengths."""
    lengths = torch.rand(6, 1, generator=generator) * 9 + 0.5
    return [
        Case(label="rows of many lengths", args=(lengths * torch.randn(6, 4, generator=generator),)),
        Case(label="one row", args=(3 + torch.randn(1, 5, generator=generator),)),
        Case(label="small numbers", args=(0.01 * torch.randn(3, 8, generator=generator),)),
    ]


def scale_by_loop(acts: Tensor) -> Tensor:
    """Squares and roots by hand."""
    lengths = [row.square().sum().sqrt() for row in acts]
    return acts.shape[1] ** 0.5 * len(lengths) / sum(lengths[1:], start=lengths[0])


test_compute_scale = exercise(
    reference=store.compute_scale,
    cases=scale_cases,
    observe=outputs_and_gradients,
    accepts=[scale_by_loop],
    mistakes=[
        *instead_of(
            "acts.shape[-1] ** 0.5",
            {
                "acts.shape[-1]": ("forgets the root", "the mean norm becomes sqrt(d_in)"),
                "1": ("makes the mean norm 1", "the mean norm becomes sqrt(d_in)"),
                "len(acts) ** 0.5": ("takes the number of rows", "d_in is the length of a row"),
            },
        ),
        *instead_of(
            "acts.float().norm(dim=-1).mean()",
            {
                "acts.float().norm()": ("takes the norm of everything", "each row has a norm, and their mean counts"),
                "acts.float().norm(dim=0).mean()": ("takes norms of columns", "an activation is a row"),
                "acts.float().square().sum(dim=-1).mean().sqrt()": (
                    "takes the root of the mean square",
                    "it's the mean of norms: the root comes before the mean",
                ),
                "acts.float().square().sum(dim=-1).mean()": ("takes squared norms", "a norm has a root"),
                "acts.float().norm(dim=-1).median()": ("takes the median", "the mean of the norms"),
                "acts.float().norm(dim=-1).max()": ("takes the largest norm", "the mean of the norms"),
                "acts.float().norm(dim=-1).sum()": ("sums the norms", "the mean of the norms"),
                "acts.float().abs().sum(dim=-1).mean()": ("sums absolute values", "a norm is a root of squares"),
                "acts.float().mean(dim=0).norm()": ("takes the norm of the mean", "norms first, then their mean"),
            },
        ),
        Mistake(
            "turns the fraction round",
            "acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1).mean()",
            "acts.float().norm(dim=-1).mean() / acts.shape[-1] ** 0.5",
            why="activations are multiplied by the result, so long ones need a small number",
        ),
        Mistake(
            "takes the mean of each row's own scale",
            "acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1).mean()",
            "(acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1)).mean()",
            why="one number for all rows: the mean norm comes first",
        ),
    ],
)

# -- mix_halves ---------------------------------------------------------------------------------------


def half_cases(generator: torch.Generator) -> list[Case]:
    """Rows of activations, and the numbers of places; orders that are no symmetric permutations."""

    def case(label: str, n_half: int, *row: int) -> Case:
        held, chunk = torch.randn(n_half, *row, generator=generator), torch.randn(2 * n_half, *row, generator=generator)
        split, order = (torch.randperm(2 * n_half, generator=generator) for _ in range(2))
        return Case(label=label, args=(held, chunk, split, order))

    places = (torch.tensor([11, 12, 13]), torch.tensor([21, 22, 23, 24, 25, 26]))
    orders = (torch.tensor([4, 0, 5, 1, 3, 2]), torch.tensor([3, 1, 5, 0, 2, 4]))
    return [
        Case(label="numbers that can be followed", args=(*places, *orders)),
        case("rows of activations", 4, 3),
        case("halves of one row", 1, 5),
    ]


def mix_by_places(held: Tensor, chunk: Tensor, split: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Takes the halves of the order first, and rows afterwards."""
    n_half = len(held)
    pool = torch.empty_like(chunk)
    pool[:n_half], pool[n_half:] = held, chunk[split[:n_half]]
    return torch.stack([pool[int(i)] for i in order]), chunk[split[n_half:]]


test_mix_halves = exercise(
    reference=store.mix_halves,
    cases=half_cases,
    observe=outputs,
    accepts=[mix_by_places],
    mistakes=[
        *instead_of(
            "now, later = chunk[split].chunk(2)",
            {
                "now, later = chunk.chunk(2)": (
                    "cuts the chunk as it was read",
                    "neighbours of a text would stay together: reorder it by split before it's cut",
                ),
                "later, now = chunk[split].chunk(2)": ("holds back the first half", "the first half goes now"),
                "now, later = chunk[split.argsort()].chunk(2)": (
                    "reads split backwards",
                    "entry i of split says which row comes i-th: chunk[split]",
                ),
                "now, later = chunk[split][::2], chunk[split][1::2]": (
                    "takes every second row",
                    "the first half goes now, the second half is held back",
                ),
            },
        ),
        *instead_of(
            "torch.cat([held, now])[order]",
            {
                "torch.cat([held, now])": ("doesn't shuffle what is served", "order mixes the two halves"),
                "torch.cat([now, held])[order]": ("puts the new half first", "what was held back comes first"),
                "torch.cat([held, now])[order.argsort()]": (
                    "reads order backwards",
                    "entry i of order says which row is served i-th",
                ),
                "torch.cat([held, later])[order]": (
                    "serves the half that is held back",
                    "each row is served once: those that go now",
                ),
                "chunk[split][order]": ("serves the new chunk alone", "half of what is served was held back before"),
            },
        ),
        *instead_of(
            "[order], later",
            {
                "[order], held": ("holds back the old half again", "the new half is held back"),
                "[order], now": ("holds back what is served", "each row is served once"),
                "[order], chunk[len(held) :]": (
                    "holds back rows as they were read",
                    "split says which rows are held back, too: the second half of chunk[split]",
                ),
            },
        ),
    ],
)
