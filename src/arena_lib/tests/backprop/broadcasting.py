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


def unbroadcast_means_of_new(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The mean over new axes, the sum over stretched ones."""
    n_new = broadcasted.ndim - original.ndim
    return elementwise_back.unbroadcast(broadcasted.mean(axis=tuple(range(n_new))), original)


def unbroadcast_means_of_stretched(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The sum over new axes, the mean over stretched ones."""
    result = broadcasted.sum(axis=tuple(range(broadcasted.ndim - original.ndim)))
    for axis, wanted in enumerate(original.shape):
        if wanted == 1:
            result = result.mean(axis=axis, keepdims=True)
    return result


def unbroadcast_new_alone(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up new axes, and leaves the stretched ones as long as they are."""
    result = broadcasted
    while result.ndim > original.ndim:
        result = result.sum(axis=0)
    return result


def unbroadcast_stretched_alone(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Counts axes from the left, and leaves the new ones."""
    result = broadcasted
    for axis, wanted in enumerate(original.shape):
        if wanted == 1:
            result = result.sum(axis=axis, keepdims=True)
    return result


def unbroadcast_one_new_axis(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up the first new axis, if there is one."""
    result = broadcasted.sum(axis=0) if broadcasted.ndim > original.ndim else broadcasted
    return unbroadcast_stretched_alone(result, original)


def unbroadcast_keeping_new(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Leaves new axes there with length 1."""
    n_new = broadcasted.ndim - original.ndim
    axes = (*range(n_new), *(n_new + axis for axis, length in enumerate(original.shape) if length == 1))
    return broadcasted.sum(axis=axes, keepdims=True)


def unbroadcast_keeping_new_in_steps(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Leaves new axes there with length 1, and takes them for the original's."""
    result = broadcasted.sum(axis=tuple(range(broadcasted.ndim - original.ndim)), keepdims=True)
    return unbroadcast_stretched_alone(result, original)


def unbroadcast_losing_axes(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Without keepdims."""
    result = broadcasted.sum(axis=tuple(range(broadcasted.ndim - original.ndim)))
    for axis, wanted in enumerate(original.shape):
        if wanted == 1:
            result = result.sum(axis=axis)
    return result


def unbroadcast_losing_stretched_axes(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """One sum without keepdims, over the axes that really were stretched."""
    result = broadcasted.sum(axis=tuple(range(broadcasted.ndim - original.ndim)))
    return result.sum(axis=tuple(i for i, n in enumerate(original.shape) if n == 1 and result.shape[i] > 1))


def unbroadcast_first_stretched_axis(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Adds up the first stretched axis, and cuts the others to their first entry."""
    result = broadcasted.sum(axis=tuple(range(broadcasted.ndim - original.ndim)))
    stretched = [i for i, n in enumerate(original.shape) if n == 1 and result.shape[i] > 1]
    for i, axis in enumerate(stretched):
        result = result.take([0], axis=axis) if i else result.sum(axis=axis, keepdims=True)
    return result


def unbroadcast_stretched_first(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Counts stretched axes from the left while the new ones are still there."""
    result = unbroadcast_stretched_alone(broadcasted, original)
    while result.ndim > original.ndim:
        result = result.sum(axis=0)
    return result


def unbroadcast_padded_on_the_right(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Compares lengths from the left."""
    padded = original.shape + (1,) * (broadcasted.ndim - original.ndim)
    axes = tuple(
        axis for axis, (wide, length) in enumerate(zip(broadcasted.shape, padded, strict=True)) if wide != length
    )
    return broadcasted.sum(axis=axes).reshape(original.shape)


def unbroadcast_times_original(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Weighs with the original's values."""
    return elementwise_back.unbroadcast(broadcasted, original) * original


def unbroadcast_transposed(broadcasted: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Lets reshape do the work where the number of entries fits, whatever belongs where."""
    sums = einops.rearrange(broadcasted, "... -> (...)").reshape(-1, max(original.size, 1), order="C").sum(axis=0)
    return sums.reshape(original.shape)


NEW_ALONE = (
    "adds up new axes alone",
    "an axis of length 1 that was stretched has copies too: it is added up as well",
)
STRETCHED_ALONE = (
    "adds up stretched axes alone",
    "axes that are new on the left hold copies too: they are added up as well",
)
COUNTS_WITHOUT_NEW = (
    "counts the stretched axes without the new ones",
    "new axes come first: axis i of the original is axis n_new + i of what was broadcast",
)
FROM_THE_LEFT = (
    "lines the shapes up from the left",
    "broadcasting compares shapes from the right: new axes come on the left",
)
MEAN = ("takes the mean", "every copy has an influence of its own: they are added up, not averaged")
KEEPS_NEW = ("leaves new axes there", "the result has the shape of the original: new axes are gone from it")

test_unbroadcast = exercise(
    reference=elementwise_back.unbroadcast,
    cases=unbroadcast_cases,
    observe=array_result,
    accepts=[unbroadcast_axis_by_axis, unbroadcast_in_two_steps, unbroadcast_by_places],
    mistakes=[
        *instead_of(
            "axis=(*range(n_new), *stretched)",
            {
                "axis=tuple(range(n_new))": (*NEW_ALONE, "ValueError"),
                "axis=tuple(stretched)": (*STRETCHED_ALONE, "ValueError"),
            },
        ),
        *instead_of("n_new + axis for axis", {"axis for axis": (*COUNTS_WITHOUT_NEW, "ValueError")}),
        *(
            Mistake(name, function=wrong, why=why)
            for wrong, (name, why) in (
                (unbroadcast_new_alone, NEW_ALONE),
                (unbroadcast_stretched_alone, STRETCHED_ALONE),
                (unbroadcast_stretched_first, COUNTS_WITHOUT_NEW),
                (unbroadcast_from_the_left, FROM_THE_LEFT),
                (unbroadcast_padded_on_the_right, FROM_THE_LEFT),
                (unbroadcast_means, MEAN),
                (unbroadcast_means_of_new, MEAN),
                (unbroadcast_means_of_stretched, MEAN),
                (unbroadcast_keeping_new, KEEPS_NEW),
                (unbroadcast_keeping_new_in_steps, KEEPS_NEW),
            )
        ),
        *(
            Mistake(
                "loses the axes that it adds up",
                function=wrong,
                why="with keepdims=True a stretched axis stays, with length 1, and the later ones stay at their places",
            )
            for wrong in (unbroadcast_losing_axes, unbroadcast_losing_stretched_axes)
        ),
        Mistake(
            "adds up one new axis alone",
            function=unbroadcast_one_new_axis,
            why="there may be several new axes: go on while there are more axes than the original has",
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
        *(
            Mistake(
                "adds up new axes, and one stretched axis alone",
                function=wrong,
                why="every stretched axis is added up",
            )
            for wrong in (unbroadcast_all_but_one, unbroadcast_first_stretched_axis)
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
