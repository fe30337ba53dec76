"""Judges of images made grey, laid over one another, enlarged and shrunk: reduce and repeat."""

import einops
import torch
import torch.nn.functional as F

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import pictures
from arena_lib.tests.prerequisites.tensors import calls, shades

__test__ = False


def grey_cases(generator: torch.Generator) -> list[Case]:
    """Several images, one image, two channels."""
    sizes = {"four images": (4, 3, 5, 2), "one image": (1, 3, 2, 4), "two channels": (3, 2, 4, 5)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "batch height width")


test_to_grey = exercise(
    reference=pictures.to_grey,
    cases=grey_cases,
    accepts=[lambda images: images.mean(dim=1), lambda images: images.sum(1) / images.shape[1]],
    mistakes=[
        *instead_of(
            '-> batch height width", "mean"',
            {
                '-> batch height width", "sum"': ("adds the channels", "the mean divides the sum by their number"),
                '-> batch height width", "max"': (
                    "takes the brightest channel",
                    "the mean of the channels is asked for",
                ),
                '-> batch height width", "min"': ("takes the darkest channel", "the mean of the channels is asked for"),
                '-> channel height width", "mean"': (
                    "averages the images",
                    "an axis that is missing on the right is reduced: that must be channel",
                ),
                '-> batch 1 height width", "mean"': ("keeps an axis of size 1", "the result has no channel axis"),
            },
        ),
        Mistake(
            "takes the first channel",
            'einops.reduce(images, "batch channel height width -> batch height width", "mean")',
            "images[:, 0]",
            why="all channels count alike",
        ),
    ],
)


def sheet_cases(generator: torch.Generator) -> list[Case]:
    """Several images, one image, grey ones."""
    sizes = {"four images": (4, 3, 5, 2), "one image": (1, 3, 2, 4), "grey images": (3, 1, 4, 5)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "channel height width")


test_lay_over = exercise(
    reference=pictures.lay_over,
    cases=sheet_cases,
    accepts=[lambda images: images.amin(dim=0), lambda images: images.min(dim=0).values],
    mistakes=[
        *instead_of(
            '-> channel height width", "min"',
            {
                '-> channel height width", "max"': ("takes the brightest", "0 is dark: the darkest is the smallest"),
                '-> channel height width", "mean"': ("averages the images", "the darkest number of all images counts"),
                '-> channel height width", "prod"': (
                    "multiplies the images",
                    "the smallest number is taken as it is",
                ),
                '-> batch height width", "min"': (
                    "takes the darkest channel of each image",
                    "an axis that is missing on the right is reduced: that must be batch",
                ),
                '-> 1 channel height width", "min"': ("keeps an axis of size 1", "the result has no batch axis"),
            },
        ),
        Mistake(
            "leaves the last image out",
            "einops.reduce(images,",
            "einops.reduce(images[: max(len(images) - 1, 1)],",
            why="all images count",
        ),
    ],
)


def enlarge_cases(generator: torch.Generator) -> list[Case]:
    """By two, by three, by one, one pixel."""
    sizes = {
        "by two": ((3, 5, 4), 2),
        "by three": ((1, 2, 5), 3),
        "by one": ((3, 2, 4), 1),
        "one pixel": ((2, 1, 1), 4),
    }
    arguments = {label: (shades(generator, *size), factor) for label, (size, factor) in sizes.items()}
    return calls(arguments, "channel height width")


test_enlarge = exercise(
    reference=pictures.enlarge,
    cases=enlarge_cases,
    accepts=[
        lambda image, factor: image.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2),
        lambda image, factor: F.interpolate(image[None], scale_factor=factor)[0],
    ],
    mistakes=[
        *instead_of(
            "(height down) (width along)",
            {
                "(down height) (along width)": (
                    "repeats the whole image",
                    "a pixel's copies lie beside it: the copies' axis must move fastest, so it comes last",
                ),
                "(height down) (along width)": (
                    "repeats the image from left to right",
                    "a pixel's copies lie beside it: (width along)",
                ),
                "(down height) (width along)": (
                    "repeats the image from top to bottom",
                    "a pixel's copies lie beside it: (height down)",
                ),
            },
        ),
        *instead_of(
            "down=factor, along=factor",
            {
                "down=1, along=factor": ("enlarges the width alone", "each pixel becomes a square"),
                "down=factor, along=1": ("enlarges the height alone", "each pixel becomes a square"),
                "down=2, along=2": ("always enlarges by two", "the factor is an argument"),
            },
        ),
    ],
)


def shrink_cases(generator: torch.Generator) -> list[Case]:
    """By two, by three, by one, to one pixel."""
    sizes = {
        "by two": ((3, 4, 6), 2),
        "by three": ((1, 6, 3), 3),
        "by one": ((2, 3, 4), 1),
        "to one pixel": ((2, 4, 4), 4),
    }
    arguments = {label: (shades(generator, *size), factor) for label, (size, factor) in sizes.items()}
    return calls(arguments, "channel height width")


SHRINK = '"channel (height down) (width along) -> channel height width", "mean"'

test_shrink = exercise(
    reference=pictures.shrink,
    cases=shrink_cases,
    accepts=[
        lambda image, factor: F.avg_pool2d(image, factor),
        lambda image, factor: image.unfold(1, factor, factor).unfold(2, factor, factor).mean(dim=(-2, -1)),
        lambda image, factor: einops.rearrange(image, "c (h f) (w g) -> c h w (f g)", f=factor, g=factor).mean(dim=-1),
    ],
    mistakes=[
        *instead_of(
            SHRINK,
            {
                SHRINK.replace('"mean"', '"sum"'): ("adds the pixels", "the mean divides the sum by their number"),
                SHRINK.replace('"mean"', '"max"'): ("takes the brightest pixel", "the mean of a square is asked for"),
                SHRINK.replace("(height down) (width along)", "(down height) (along width)"): (
                    "averages pixels that are far apart",
                    "the pixels of a square are neighbours: (height down) (width along)",
                ),
                SHRINK.replace("(width along)", "(along width)"): (
                    "averages columns that are far apart",
                    "the pixels of a square are neighbours: (width along)",
                ),
            },
        ),
        Mistake(
            "takes one pixel of each square",
            f"einops.reduce(\n        image, {SHRINK}, down=factor, along=factor\n    )",
            "image[:, ::factor, ::factor]",
            why="the mean of all pixels of a square is asked for",
        ),
    ],
)
