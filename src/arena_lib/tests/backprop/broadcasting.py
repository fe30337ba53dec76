"""Judge of `unbroadcast`, which adds up what belongs to copies of one entry."""

import einops
import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.backprop import elementwise_back
from arena_lib.tests.backprop.watching import array_result, draw

__test__ = False


def unbroadcast_cases(generator: torch.Generator) -> list[Case]:
    """New axes, stretched axes at every place, both at once, lengths of 1 that stayed, nothing to do."""
    rng = np.random.default_rng(6)

    def case(label: str, wide: tuple[int, ...], narrow: tuple[int, ...]) -> Case:
        return Case(label=label, args=(draw(rng, *wide), draw(rng, *narrow)))

    return [
        case("one new axis", (4, 3), (3,)),
        case("two new axes", (2, 5, 3), (3,)),
        case("the last axis was stretched", (4, 3), (4, 1)),
        case("the first axis was stretched", (4, 3), (1, 3)),
        case("an axis in the middle was stretched", (2, 4, 3), (2, 1, 3)),
        case("two axes were stretched, one of them between others", (2, 5, 3, 4), (2, 1, 3, 1)),
        case("a new axis and a stretched one", (2, 4, 3), (4, 1)),
        case("a new axis, and all others stretched", (2, 4, 3), (1, 1)),
        case("two new axes of the lengths that are there", (3, 4, 3, 4), (3, 4)),
        case("a length of 1 that stayed", (5, 1, 3), (5, 1, 3)),
        case("a length of 1 that stayed beside one that was stretched", (5, 1, 3), (1, 1, 3)),
        case("a new axis of length 1", (1, 3), (3,)),
        case("equal lengths: which axis is new?", (3, 3), (3,)),
        case("equal lengths: which axis was stretched?", (3, 3), (3, 1)),
        case("the original has no axes", (2, 3), ()),
        case("the original has one entry", (2, 3), (1,)),
        case("nothing was broadcast", (2, 3), (2, 3)),
        case("neither has axes", (), ()),
    ]


def unbroadcast_axis_by_axis(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up new axes until as many are left, then each stretched one."""
    result = broadcasted
    while result.ndim > original.ndim:
        result = result.sum(axis=0)
    for axis, (length, wanted) in enumerate(zip(result.shape, original.shape, strict=True)):
        if length != wanted:
            result = result.sum(axis=axis, keepdims=True)
    return result


def unbroadcast_in_two_steps(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """New axes at once, then the stretched ones at once."""
    n_new = broadcasted.ndim - original.ndim
    result = broadcasted.sum(axis=tuple(range(n_new)))
    stretched = tuple(i for i, n in enumerate(original.shape) if n == 1 and result.shape[i] > 1)
    return result.sum(axis=stretched, keepdims=True)


def unbroadcast_by_places(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Broadcasts the numbers of the places, and adds up by them."""
    places = np.broadcast_to(np.arange(original.size).reshape(original.shape), broadcasted.shape)
    sums = np.bincount(places.ravel(), weights=np.ravel(broadcasted), minlength=original.size)
    return sums.reshape(original.shape)


def unbroadcast_from_the_left(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Lines shapes up at their first axes."""
    result = broadcasted
    for axis, wanted in enumerate(original.shape):
        if wanted == 1:
            result = result.sum(axis=axis, keepdims=True)
    while result.ndim > original.ndim:
        result = result.sum(axis=-1)
    return result


def unbroadcast_by_lengths(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up the axes whose length isn't among the original's."""
    axes = tuple(i for i, length in enumerate(broadcasted.shape) if length not in original.shape)
    result = broadcasted.sum(axis=axes)
    return result.reshape(original.shape) if result.size == original.size else result


def unbroadcast_copies(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Takes one of the copies."""
    index = (0,) * (broadcasted.ndim - original.ndim)
    return broadcasted[index][tuple(slice(0, n) for n in original.shape)].copy()


def unbroadcast_maxima(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The largest of the copies."""
    n_new = broadcasted.ndim - original.ndim
    axes = (*range(n_new), *(n_new + i for i, n in enumerate(original.shape) if n == 1))
    return broadcasted.max(axis=axes, keepdims=True).reshape(original.shape)


def unbroadcast_means(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The mean of the copies."""
    share = original.size / max(broadcasted.size, 1)
    return elementwise_back.unbroadcast(broadcasted, original) * share


def unbroadcast_all_but_one(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up one stretched axis alone."""
    n_new = broadcasted.ndim - original.ndim
    result = broadcasted.sum(axis=tuple(range(n_new)))
    for axis, wanted in enumerate(original.shape):
        if wanted == 1 and result.shape[axis] > 1:
            return result.sum(axis=axis, keepdims=True)
    return result


def unbroadcast_times_original(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Weighs with the original's values."""
    return elementwise_back.unbroadcast(broadcasted, original) * original


def unbroadcast_transposed(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Lets reshape do the work where the number of entries fits, whatever belongs where."""
    sums = einops.rearrange(broadcasted, "... -> (...)").reshape(-1, max(original.size, 1), order="C").sum(axis=0)
    return sums.reshape(original.shape)


test_unbroadcast = exercise(
    reference=elementwise_back.unbroadcast,
    cases=unbroadcast_cases,
    observe=array_result,
    accepts=[unbroadcast_axis_by_axis, unbroadcast_in_two_steps, unbroadcast_by_places],
    mistakes=[
        *instead_of(
            "axis=(*range(n_new), *stretched)",
            {
                "axis=tuple(range(n_new))": (
                    "adds up new axes alone",
                    "an axis of length 1 that was stretched has copies too: it is added up as well",
                    "ValueError",
                ),
                "axis=tuple(stretched)": (
                    "adds up stretched axes alone",
                    "axes that are new on the left hold copies too: they are added up as well",
                    "ValueError",
                ),
            },
        ),
        *instead_of(
            "n_new + axis for axis",
            {
                "axis for axis": (
                    "counts the stretched axes without the new ones",
                    "new axes come first: axis i of the original is axis n_new + i of what was broadcast",
                    "ValueError",
                ),
            },
        ),
        Mistake(
            "lines the shapes up from the left",
            function=unbroadcast_from_the_left,
            why="broadcasting compares shapes from the right: new axes come on the left",
        ),
        Mistake(
            "finds the axes by their lengths",
            function=unbroadcast_by_lengths,
            why="two axes may have one length: which is new or stretched follows from its place",
        ),
        Mistake(
            "takes one of the copies",
            function=unbroadcast_copies,
            why="every copy has an influence of its own: they are added up",
        ),
        Mistake("takes the largest", function=unbroadcast_maxima, why="what belongs to one entry is added up"),
        Mistake(
            "takes the mean",
            function=unbroadcast_means,
            why="every copy has an influence of its own: they are added up, not averaged",
        ),
        Mistake(
            "adds up new axes, and one stretched axis alone",
            function=unbroadcast_all_but_one,
            why="every stretched axis is added up",
        ),
        Mistake(
            "multiplies by the original",
            function=unbroadcast_times_original,
            why="only the shape of the original matters",
        ),
        Mistake(
            "cuts the entries into pieces in the order in which they lie",
            function=unbroadcast_transposed,
            why="which copies belong together follows from the axes: reshape knows nothing of that",
        ),
    ],
)
