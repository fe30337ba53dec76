"""Judges of the hooks that ablate: a head's output made zero, or the mean over examples.

Shapes:  z "batch seq n_heads d_head".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.ablation import head_mean_ablation_hook, head_zero_ablation_hook
from arena_lib.transformer.activations.hooks import HookPoint

__test__ = False

Z = "batch seq n_heads d_head"


def z_cases(generator: torch.Generator) -> list[Case]:
    """A head in the middle, the first of several, the last, and batches of one."""
    calls = {
        "a head in the middle": ((3, 5, 4, 2), 2),
        "the first head": ((2, 3, 5, 4), 0),
        "the last head": ((4, 6, 3, 5), 2),
        "a batch of one": ((1, 4, 2, 3), 1),
    }
    return [
        Case(
            label=label,
            given={"z": 1 + torch.randn(*shape, generator=generator), "head": head},
            axes={"z after the hook": Z},
            call=f"z, hook, {head}",
        )
        for label, (shape, head) in calls.items()
    ]


def z_that_goes_on(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook: the tensor it returned, or else the one it got."""
    place, z = HookPoint(), case.given["z"].clone()
    place.name = "blocks.1.attn.hook_z"
    returned = function(z, place, case.given["head"])
    return {"z after the hook": z if returned is None else returned}


def zero_in_place(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Writes into z and returns nothing."""
    z[:, :, head_index_to_ablate, :] = 0.0


def zero_by_mask(z: Tensor, hook: Any, head_index_to_ablate: int) -> Tensor:
    """Multiplies with a mask."""
    keep = torch.arange(z.shape[2]) != head_index_to_ablate
    return z * keep[:, None]


AXES_OF_Z = "z has the axes batch, seq, n_heads, d_head, so heads are the third axis"
OTHER_HEADS = "the other heads of the layer must stay as they are"
WRONG_RETURNS = instead_of(
    "return z",
    {
        "return None": (
            "changes a copy and returns nothing",
            "z.clone() is a new tensor: return it, or write into the z that the hook received",
        ),
        "return z[:, :, head]": (
            "returns only this head",
            "the tensor that a hook returns replaces z, so it must have all heads",
        ),
    },
)
FROM_ZERO = "heads are counted from zero: this head is z[:, :, head]"
MAY_WRITE = {"z = z.clone() -> z = z": "a hook may write into z"}


def _with_zeros(z: Tensor, index: Any) -> Tensor:
    z[index] = 0.0
    return z


test_head_zero_ablation_hook = exercise(
    reference=head_zero_ablation_hook,
    cases=z_cases,
    observe=z_that_goes_on,
    accepts=[zero_in_place, zero_by_mask],
    equivalent=MAY_WRITE,
    mistakes=[
        Mistake(
            "uses the axis of positions as that of the heads",
            function=lambda z, hook, head_index_to_ablate: _with_zeros(z, (slice(None), head_index_to_ablate)),
            why=AXES_OF_Z,
        ),
        Mistake(
            "uses the axis of d_head as that of the heads",
            function=lambda z, hook, head_index_to_ablate: _with_zeros(
                z, (..., min(head_index_to_ablate, z.shape[-1] - 1))
            ),
            why=AXES_OF_Z,
        ),
        Mistake(
            "uses the axis of d_head as that of the heads",
            function=lambda z, hook, head_index_to_ablate: _with_zeros(z, (..., head_index_to_ablate)),
            why=AXES_OF_Z,
        ),
        Mistake(
            "uses the batch axis as that of the heads",
            function=lambda z, hook, head_index_to_ablate: _with_zeros(z, head_index_to_ablate),
            why=AXES_OF_Z,
        ),
        *instead_of(
            "z[:, :, head] = 0.0",
            {
                "z[:] = 0.0": ("sets all heads to zero", OTHER_HEADS),
                "z[:, :, : head + 1] = 0.0": ("clears the heads before it as well", OTHER_HEADS),
                "z[:, :, head:] = 0.0": ("clears the heads after it as well", OTHER_HEADS),
                "z[:, :, head - 1] = 0.0": ("counts heads from one", FROM_ZERO),
                "z[:, :, head] = z[:, :, head] if head == 0 else 0.0": (
                    "leaves head 0 as it is",
                    "0 is a head like any other: `if head:` is false for it",
                ),
                "z[:, :, head, 0] = 0.0": (
                    "clears one entry of the head",
                    "all d_head entries of the head go: z[:, :, head]",
                ),
                "z[:, 1:, head] = 0.0": (
                    "leaves the first position as it is",
                    "the head becomes zero at every position",
                ),
                "z[:, :, head] = 1.0": ("sets the head to one", "nothing is left of the head: its entries become 0"),
                "z[:, :, head] = -torch.inf": (
                    "sets the head to minus infinity",
                    "that hides a score before softmax; what a head reads out is nothing when it is 0",
                ),
                "z[:, :, head] *= 0.5": (
                    "makes the head smaller only",
                    "nothing is left of the head: its entries become 0",
                ),
                "z *= torch.nn.functional.one_hot(torch.tensor(head), z.shape[2])[:, None]": (
                    "sets the other heads to zero instead of this one",
                    "only the given head becomes zero; " + OTHER_HEADS,
                ),
                "z = z[:, :, torch.arange(z.shape[2]) != head]": (
                    "removes the head from the tensor",
                    "the model needs all heads: the shape stays, and this head's entries become 0",
                ),
                "z[:1, :, head] = 0.0": (
                    "sets the head to zero only in the first example",
                    "the head becomes zero in every example of the batch",
                ),
                "z[:, -1:, head] = 0.0": (
                    "sets the head to zero only at the last position",
                    "the head becomes zero at every position",
                ),
                **{
                    f"z[:, :, head] = z[:, :, head].mean({over})": (
                        "sets the head to a mean",
                        "zero ablation sets all entries of the head to 0",
                    )
                    for over in ("dim=0", "dim=1, keepdim=True", "dim=(0, 1)", "")
                },
            },
        ),
        *WRONG_RETURNS,
    ],
)


def mean_in_place(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Writes the mean into z."""
    z[:, :, head_index_to_ablate, :] = torch.mean(z[:, :, head_index_to_ablate, :], dim=0)


def mean_by_where(z: Tensor, hook: Any, head_index_to_ablate: int) -> Tensor:
    """Chooses between z and its mean over examples."""
    is_ablated = (torch.arange(z.shape[2]) == head_index_to_ablate)[:, None]
    return torch.where(is_ablated, z.mean(0, keepdim=True), z)


EACH_ITS_OWN = "the mean is over the examples alone: each position, each head and each entry has its own"
ANOTHER_EXAMPLE = (
    "uses another example's output",
    "every example gets the mean over all examples; using another example's output is resampling",
)
ONE_HEAD_MEAN = "z[:, :, head].mean(dim=0)"

test_head_mean_ablation_hook = exercise(
    reference=head_mean_ablation_hook,
    cases=z_cases,
    observe=z_that_goes_on,
    accepts=[mean_in_place, mean_by_where],
    equivalent=MAY_WRITE,
    mistakes=[
        *instead_of(
            ONE_HEAD_MEAN,
            {
                "z[:, :, head].mean(dim=(0, 1))": (
                    "averages over positions too",
                    "the mean is over the examples, separately at each position",
                ),
                "z[:, :, head].mean(dim=1, keepdim=True)": (
                    "averages over positions instead of examples",
                    "the mean is over the examples, the batch axis, separately at each position",
                ),
                "z.mean(dim=2)": (
                    "averages over the heads",
                    "each head has a mean of its own: the mean is over the examples",
                ),
                "z[:, :, head].mean(dim=-1, keepdim=True)": (
                    "averages over a head's entries",
                    "the mean is a vector of d_head entries: average over the examples",
                ),
                "z.mean(dim=(0, 2))": ("averages over examples and heads", "each head has a mean of its own"),
                "z[:, :, head].mean(dim=(0, 2), keepdim=True)[0]": (
                    "averages over examples and a head's entries",
                    "the mean is a vector of d_head entries at each position",
                ),
                "z.mean(dim=(0, 1, 2))": ("averages over examples, positions and heads", EACH_ITS_OWN),
                "z.mean()": ("uses one mean of all heads", EACH_ITS_OWN),
                "z[:, :, torch.arange(z.shape[2]) != head].mean(dim=2)": (
                    "uses the mean of the other heads",
                    "each head has a mean of its own: the mean is over the examples",
                ),
                "z[:, :, head] - z[:, :, head].mean(dim=0)": (
                    "subtracts the mean",
                    "the mean takes the place of what the head reads out for this example",
                ),
                "z[:, :, head] + z[:, :, head].mean(dim=0)": (
                    "adds the mean",
                    "the mean takes the place of what the head reads out for this example",
                ),
                "(z[:, :, head].sum(dim=0) - z[:, :, head]) / max(len(z) - 1, 1)": (
                    "leaves the example itself out of its mean",
                    "every example gets the same mean, over the whole batch",
                ),
                "z[0, :, head]": (
                    "uses the first example's output",
                    "every example gets the mean over all of them",
                ),
                "z[:, :, head].flip(0)": ANOTHER_EXAMPLE,
                "z[:, :, head].mean()": (
                    "uses one mean of all numbers",
                    "the mean is over the examples only: each position and each entry has its own",
                ),
                "z[:, :, head].sum(dim=0)": ("sums over the examples", "a mean keeps the size of what the head writes"),
                "z[:, :, head].median(dim=0).values": (
                    "uses the median",
                    "z is replaced by the mean over the examples, not by the median",
                ),
                "z[:, :, head].roll(1, dims=0)": ANOTHER_EXAMPLE,
                "0.0": (
                    "sets the head to zero",
                    "mean ablation keeps what the head does on average: its z becomes the mean over the examples",
                ),
            },
        ),
        *instead_of(
            f"z[:, :, head] = {ONE_HEAD_MEAN}",
            {
                "z[:] = z.mean(dim=0)": ("ablates all heads", OTHER_HEADS),
                "z[:, :, head - 1] = z[:, :, head - 1].mean(dim=0)": ("counts heads from one", FROM_ZERO),
                "z[:, head] = z[:, head].mean(dim=0)": ("uses the axis of positions as that of the heads", AXES_OF_Z),
                "z[head] = z.mean(dim=0)": ("uses the batch axis as that of the heads", AXES_OF_Z),
                "z[..., head] = z[..., head].mean(dim=0)": ("uses the axis of d_head as that of the heads", AXES_OF_Z),
                f"z[:1, :, head] = {ONE_HEAD_MEAN}": (
                    "changes the first example only",
                    "every example of the batch gets the mean",
                ),
                "z[:, -1, head] = z[:, -1, head].mean(dim=0)": (
                    "changes the last position only",
                    "the head is ablated at every position",
                ),
                f"z[:, 1:, head] = {ONE_HEAD_MEAN}[1:]": (
                    "leaves the first position as it is",
                    "the head is ablated at every position",
                ),
                "for row in z:\n        row[:, head] = z[:, :, head].mean(dim=0)": (
                    "changes the examples while it averages over them",
                    "the second mean has the first one in it: take the mean once, before you write into z",
                ),
                "z = z.mean(dim=0, keepdim=True)": (
                    "leaves one example of the batch",
                    "the shape of z stays: every example gets the mean, and " + OTHER_HEADS,
                ),
            },
        ),
        *WRONG_RETURNS,
    ],
)
