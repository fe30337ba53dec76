"""Judges of part 2 of section 2.4: which tokens count, and means over those."""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.rlhf import masking
from arena_lib.rlhf.masking import require_same_shape

__test__ = False

END = 9


def response_cases(generator: torch.Generator) -> list[Case]:
    """Samples that end early, late, at once, twice and never."""

    def drawn(batch: int, gen_len: int) -> Tensor:
        return torch.randint(1, END, (batch, gen_len), generator=generator)

    mixed, ends, often = drawn(5, 7), drawn(3, 4), drawn(4, 6)
    mixed[0, 2], mixed[1, 6], mixed[2, 0], mixed[4, [1, 2, 4]] = END, END, END, END
    ends[:, 1:] = END
    often[0, ::2], often[1, 1::2], often[2, 3] = END, END, END
    often[1, 0], often[3, 4] = 0, 0
    calls: dict[str, tuple[Any, ...]] = {
        "samples that end early, late, at once and never": (mixed, END),
        "filled with end-of-text": (ends, END),
        "several ends in one sample": (often, END),
        "end-of-text is token 0": (often.clone(), 0),
        "no sample ends": (drawn(2, 5), END),
        "nothing ends a sample": (often.clone(), None),
        "nothing said about an end": (torch.tensor([[0, 0, 3], [END, 1, 0]]),),
        "one token each": (torch.tensor([[END], [4]]), END),
        "one sample": (torch.tensor([[3, 5, END, 1, 2, 8]]), END),
    }
    return [Case(label=label, args=args, axes={"output": "batch gen_len"}) for label, args in calls.items()]


def responses_by_loop(tokens: Tensor, end_of_text: int | None = None) -> Tensor:
    """Row by row, token by token."""
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for i, row in enumerate(tokens.tolist()):
        length = row.index(end_of_text) + 1 if end_of_text in row else len(row)
        mask[i, :length] = True
    return mask


def responses_by_first_end(tokens: Tensor, end_of_text: int | None = None) -> Tensor:
    """All places up to the first end; where there is none, the last place stands for it."""
    gen_len = tokens.shape[1]
    places = torch.arange(gen_len, device=tokens.device)
    if end_of_text is None:
        return (places < gen_len).expand(tokens.shape)
    first = torch.where(tokens == end_of_text, places, gen_len).amin(dim=1, keepdim=True)
    return places <= first


def responses_by_product(tokens: Tensor, end_of_text: int | None = None) -> Tensor:
    """Alive is who hasn't ended; the mask is one place behind."""
    if end_of_text is None:
        return tokens == tokens
    alive = (tokens != end_of_text).cumprod(dim=1).bool()
    return torch.cat([torch.ones_like(alive[:, :1]), alive[:, :-1]], dim=1)


NONE_BEFORE = "return n_ends_before == 0"

test_find_responses = exercise(
    reference=masking.find_responses,
    cases=response_cases,
    accepts=[responses_by_loop, responses_by_first_end, responses_by_product],
    mistakes=[
        *instead_of(
            NONE_BEFORE,
            {
                "return is_end.cumsum(dim=1) == 0": (
                    "leaves the end-of-text itself out",
                    "the policy drew that token too: it must learn when to stop",
                ),
                "return ~is_end": (
                    "leaves out the ends alone",
                    "what stands after the first end is filling, whatever token it is",
                ),
                "return torch.ones_like(is_end)": (
                    "counts everything",
                    "what stands after the first end-of-text is filling",
                ),
                "return is_end | (is_end.cumsum(dim=1) == 0)": (
                    "counts every end-of-text",
                    "the first ends the sample; the others are filling",
                ),
                "return is_end.cumsum(dim=1) < 2": (
                    "counts what stands between the first end and the second",
                    "a sample is over at its first end-of-text, and what follows is filling",
                ),
                "return n_ends_before < 2": ("stops at the second end", "a sample is over at its first end-of-text"),
                "return n_ends_before < is_end.sum(dim=1, keepdim=True).clamp(min=1)": (
                    "stops at the last end",
                    "a sample is over at its first end-of-text",
                ),
                "return (n_ends_before == 0) & is_end.any(dim=1, keepdim=True)": (
                    "counts nothing of a sample that never ends",
                    "it was cut off: all of its tokens were drawn",
                ),
                "return torch.arange(tokens.shape[1], device=tokens.device) <= is_end.int().argmax(dim=1, keepdim=True)": (
                    "counts one token alone of a sample that never ends",
                    "argmax gives 0 where there is no end: all tokens of such a sample were drawn",
                ),
                "return torch.cat([torch.ones_like(is_end[:, :1]), n_ends_before[:, :-1] == 0], dim=1)": (
                    "counts one token too many after the end",
                    "the end-of-text is the last token that counts",
                ),
                "return (n_ends_before == 0) & ~is_end[:, :1]": (
                    "takes a sample that ends at once for empty",
                    "an end-of-text in the first place was drawn too",
                ),
                "return n_ends_before > 0": ("turns the mask round", "it is True where a token was drawn"),
                "return (n_ends_before == 0).all(dim=0).expand(tokens.shape)": (
                    "ends all samples with the shortest",
                    "each sample has an end of its own",
                ),
                "return (n_ends_before == 0).long()": (
                    "gives numbers in place of booleans",
                    "the mask is of bool, so that where and & take it",
                ),
                "return (n_ends_before == 0).float()": (
                    "gives numbers in place of booleans",
                    "the mask is of bool, so that where and & take it",
                ),
            },
        ),
        *instead_of(
            "n_ends_before = is_end.cumsum(dim=1) - is_end.long()",
            {
                "n_ends_before = is_end.cumsum(dim=0) - is_end.long()": (
                    "looks for ends in the samples above",
                    "ends are counted along a sample, dim=1, not along the batch",
                ),
                "n_ends_before = is_end.flip(1).cumsum(dim=1).flip(1) - is_end.long()": (
                    "looks for ends after a token in place of before it",
                    "a token is filling if an end-of-text stands before it",
                ),
            },
        ),
        *instead_of(
            "if end_of_text is None:",
            {
                "if not end_of_text:": (
                    "takes the token 0 for no end-of-text",
                    "0 is a token like any other: ask `is None`",
                ),
            },
        ),
        *instead_of(
            "is_end = tokens == end_of_text",
            {"is_end = tokens == 0": ("looks for the token 0", "end_of_text says which token ends a sample")},
        ),
        *instead_of(
            "return torch.ones_like(tokens, dtype=torch.bool)",
            {
                "return torch.zeros_like(tokens, dtype=torch.bool)": (
                    "counts nothing where no token ends a sample",
                    "with end_of_text None all tokens were drawn",
                ),
                "return torch.ones_like(tokens)": (
                    "gives numbers where no token ends a sample",
                    "the mask is of bool, so that where and & take it",
                ),
                "end_of_text = 0": (
                    "takes the token 0 for the end where none is given",
                    "with end_of_text None no token ends a sample",
                ),
            },
        ),
    ],
)


def mean_cases(generator: torch.Generator) -> list[Case]:
    """Values of one axis to three, with something odd where the mask is False."""

    def case(label: str, mask: Tensor | None, *shape: int, filling: float = 7.0, dtype: Any = torch.float32) -> Case:
        values = torch.randn(*shape, generator=generator, dtype=dtype) + 0.4
        return Case(label=label, args=(values,) if mask is None else (values.where(mask, filling), mask))

    def draw_mask(*shape: int) -> Tensor:
        mask = torch.rand(*shape, generator=generator) < 0.5
        mask.view(-1)[0], mask.view(-1)[-1] = True, False
        return mask

    lengths = torch.arange(5) < torch.tensor([[5], [1], [3]])
    return [
        case("samples of several lengths", lengths, 3, 5),
        case("one axis", draw_mask(6), 6),
        case("three axes", draw_mask(2, 3, 5), 2, 3, 5),
        case("NaN where the mask is False", draw_mask(3, 4), 3, 4, filling=float("nan")),
        case("infinity where the mask is False", draw_mask(4, 2), 4, 2, filling=float("inf")),
        case("a row that counts nowhere", torch.tensor([[False] * 3, [True, False, True]]), 2, 3),
        case("all count", torch.ones(4, 3, dtype=torch.bool), 4, 3),
        case("one counts", torch.tensor([[False, True]]), 1, 2),
        case("no mask", None, 3, 7),
        case("in float64", draw_mask(2, 6), 2, 6, dtype=torch.float64),
        Case(
            label="a mask of another shape",
            args=(torch.arange(6.0).reshape(2, 3), torch.tensor([True, False, True])),
            raises="ShapeError",
        ),
    ]


def mean_by_index(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Picks what counts."""
    if mask is None:
        mask = torch.ones_like(values, dtype=torch.bool)
    require_same_shape(values, mask)
    return values[mask].mean()


def mean_by_filling(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Fills with zeros and divides by the number of the others."""
    if mask is None:
        return values.sum() / values.numel()
    require_same_shape(values, mask)
    return torch.masked_fill(values, mask.logical_not(), 0).sum() / mask.count_nonzero()


OVER_THE_MASK = "values.where(mask, 0.0).sum() / mask.sum()"

test_masked_mean = exercise(
    reference=masking.masked_mean,
    cases=mean_cases,
    observe=outputs_and_gradients,
    accepts=[mean_by_index, mean_by_filling],
    equivalent={"require_same_shape(values, mask) -> require_same_shape(mask, values)": "two shapes are compared"},
    mistakes=[
        *instead_of(
            OVER_THE_MASK,
            {
                "values.mean()": ("counts the filling", "the mean is over places where the mask is True"),
                "(values * mask).sum() / mask.sum()": (
                    "multiplies by the mask",
                    "0 * NaN is NaN: choose with where or masked_fill, or by index",
                ),
                "values.where(mask, 0.0).mean()": (
                    "divides by all places",
                    "the sum is divided by how many places count",
                ),
                "values.where(mask, 0.0).sum() / len(values)": (
                    "divides by the number of rows",
                    "the sum is divided by how many places count",
                ),
                "values.where(mask, 0.0).sum()": ("gives the sum", "the sum is divided by how many places count"),
                "values.where(~mask, 0.0).sum() / (~mask).sum()": (
                    "takes the mean of what doesn't count",
                    "the mask is True where a value counts",
                ),
                "(values.where(mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)).mean()": (
                    "takes the mean of each row first",
                    "all values that count have the same weight, whatever row they are in",
                ),
                "(values.where(mask, 0.0).sum(-1) / mask.sum(-1)).mean()": (
                    "takes the mean of each row first",
                    "all values that count have the same weight, whatever row they are in",
                ),
                "values.where(~mask, 0.0).sum() / mask.sum()": (
                    "adds up what doesn't count",
                    "the mask is True where a value counts; masked_fill fills where its mask is True, so it takes ~mask",
                ),
                "values.where(mask, 0.0).sum(dim=-1) / mask.sum(dim=-1)": (
                    "gives a mean for each row",
                    "one number over all axes is asked for",
                ),
                "values.masked_fill_(~mask, 0.0).sum() / mask.sum()": (
                    "writes into values",
                    "masked_fill_ writes into its tensor, masked_fill and where make a new one",
                ),
                "values.where(mask, 0.0).sum().detach() / mask.sum()": (
                    "detaches the values",
                    "a loss is made of this mean: gradients flow through values",
                ),
                "values.where(mask, 0.0).float().sum() / mask.sum()": (
                    "rounds to float32",
                    "the result has the dtype of the values",
                ),
                "values.where(mask, values.min()).sum() / mask.sum()": (
                    "fills with another value than 0",
                    "what doesn't count adds nothing to the sum",
                ),
                "values.where(mask, 0.0).sum() / (mask.sum() - 1)": (
                    "divides by one too few",
                    "a mean divides by n; n - 1 is for a variance",
                ),
            },
        ),
        *instead_of(
            "    require_same_shape(values, mask)\n",
            {
                "": (
                    "takes a mask of another shape",
                    "a mask that is broadcast hides a mistake: values and mask have one shape",
                ),
                "    mask = mask.expand(values.shape)\n": (
                    "takes a mask of another shape",
                    "a mask that is broadcast hides a mistake: values and mask have one shape",
                ),
            },
        ),
        *instead_of(
            "return values.mean()",
            {
                "return values.sum()": ("gives the sum where there is no mask", "without a mask it's the mean of all"),
                "return values.mean(dim=-1)": (
                    "gives a mean for each row where there is no mask",
                    "one number over all axes is asked for",
                ),
                "return values.mean(dim=-1).sum()": (
                    "adds up the means of rows where there is no mask",
                    "without a mask it's the mean of all",
                ),
            },
        ),
    ],
)
