"""Judges of the pictures: images put side by side, in columns and grids, turned, woven."""

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import pictures
from arena_lib.tests.prerequisites.tensors import calls, shades

__test__ = False

ORDER = "in a bracket the axis written first moves slowest"


def batch_cases(generator: torch.Generator) -> list[Case]:
    """Several images, one image, grey ones."""
    sizes = {"four images": (4, 3, 5, 2), "one image": (1, 3, 2, 4), "grey images": (2, 1, 3, 5)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "channel height width")


UPSIDE_DOWN = "turns every image upside down"
AS_THEY_ARE = "the images themselves stay as they are"

test_side_by_side = exercise(
    reference=pictures.side_by_side,
    cases=batch_cases,
    accepts=[
        lambda images: torch.cat(list(images), dim=-1),
        lambda images: images.permute(1, 2, 0, 3).flatten(2),
    ],
    mistakes=[
        *instead_of(
            "-> channel height (batch width)",
            {
                "-> channel height (width batch)": (
                    "weaves the columns of all images",
                    f"{ORDER}: (batch width) keeps an image's columns together",
                ),
                "-> channel (batch height) width": (
                    "stacks the images down",
                    "they go side by side: batch joins width",
                ),
                "-> height (batch width) channel": ("puts the channels last", "the channels stay the first axis"),
            },
        ),
        *instead_of(
            "einops.rearrange(images,",
            {
                "einops.rearrange(images.flip(0),": ("puts the first image on the right", "the first is on the left"),
                "einops.rearrange(images.flip(-1),": ("mirrors every image", AS_THEY_ARE),
                "einops.rearrange(images.flip(-2),": (UPSIDE_DOWN, AS_THEY_ARE),
            },
        ),
        Mistake(
            "reshapes without moving an axis",
            'einops.rearrange(images, "batch channel height width -> channel height (batch width)")',
            "images.reshape(images.shape[1], images.shape[2], -1)",
            why="reshape keeps the numbers in their order: the batch has to move beside the width first",
        ),
    ],
)

test_stack_down = exercise(
    reference=pictures.stack_down,
    cases=batch_cases,
    accepts=[
        lambda images: torch.cat(list(images), dim=-2),
        lambda images: images.transpose(0, 1).flatten(1, 2),
    ],
    mistakes=[
        *instead_of(
            "-> channel (batch height) width",
            {
                "-> channel (height batch) width": (
                    "weaves the rows of all images",
                    f"{ORDER}: (batch height) keeps an image's rows together",
                ),
                "-> channel height (batch width)": (
                    "puts the images side by side",
                    "they go below one another: batch joins height",
                ),
                "-> (batch height) width channel": ("puts the channels last", "the channels stay the first axis"),
            },
        ),
        *instead_of(
            "einops.rearrange(images,",
            {
                "einops.rearrange(images.flip(0),": ("puts the first image at the bottom", "the first is on top"),
                "einops.rearrange(images.flip(-2),": (UPSIDE_DOWN, AS_THEY_ARE),
            },
        ),
        Mistake(
            "reshapes without moving an axis",
            'einops.rearrange(images, "batch channel height width -> channel (batch height) width")',
            "images.reshape(images.shape[1], -1, images.shape[3])",
            why="reshape keeps the numbers in their order: the channels have to move to the front first",
        ),
    ],
)


def grid_cases(generator: torch.Generator) -> list[Case]:
    """More columns than rows, more rows than columns, a single row, a single column."""
    sizes = {
        "two rows of three": ((6, 3, 5, 4), 2),
        "three rows of two": ((6, 1, 2, 5), 3),
        "one row": ((3, 3, 4, 2), 1),
        "one column": ((2, 3, 2, 3), 2),
    }
    arguments = {label: (shades(generator, *size), n_rows) for label, (size, n_rows) in sizes.items()}
    return calls(arguments, "channel height width")


GRID = '"(rows columns) channel height width -> channel (rows height) (columns width)", rows=n_rows'

test_arrange_in_grid = exercise(
    reference=pictures.arrange_in_grid,
    cases=grid_cases,
    accepts=[
        lambda images, n_rows: torch.cat(
            [torch.cat(list(row), dim=-1) for row in images.chunk(n_rows)],
            dim=-2,
        ),
        lambda images, n_rows: images.unflatten(0, (n_rows, -1)).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2),
    ],
    mistakes=[
        *instead_of(
            GRID,
            {
                GRID.replace("(rows columns)", "(columns rows)"): (
                    "fills the columns first",
                    "as one reads: along the first row, then along the next, (rows columns)",
                ),
                GRID.replace("rows=n_rows", "columns=n_rows"): (
                    "makes n_rows columns",
                    "n_rows is how many images are below one another",
                ),
                GRID.replace("(rows height)", "(height rows)"): (
                    "weaves the rows of pixels",
                    f"{ORDER}: (rows height) keeps an image's rows together",
                ),
                GRID.replace("(columns width)", "(width columns)"): (
                    "weaves the columns of pixels",
                    f"{ORDER}: (columns width) keeps an image's columns together",
                ),
                GRID.replace("(rows height) (columns width)", "(height rows) (width columns)"): (
                    "weaves the pixels of all images",
                    f"{ORDER}: (rows height) and (columns width) keep an image's pixels together",
                ),
                GRID.replace("-> channel (rows height) (columns width)", "-> (rows height) (columns width) channel"): (
                    "puts the channels last",
                    "the channels stay the first axis",
                ),
            },
        ),
        Mistake(
            "puts the last row on top",
            function=lambda images, n_rows: pictures.arrange_in_grid(torch.cat(images.chunk(n_rows)[::-1]), n_rows),
            why="one reads from the top: the first images are in the top row",
        ),
        Mistake(
            "reshapes without moving an axis",
            function=lambda images, n_rows: images.reshape(images.shape[1], n_rows * images.shape[2], -1),
            why="reshape keeps the numbers in their order: rows, channels, heights have to change places first",
        ),
    ],
)


def image_cases(generator: torch.Generator) -> list[Case]:
    """A high image, a wide one, one row of pixels."""
    sizes = {"a high image": (3, 5, 2), "a wide image": (1, 2, 4), "one row of pixels": (2, 1, 3)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "channel height width")


test_turn_right = exercise(
    reference=pictures.turn_right,
    cases=image_cases,
    accepts=[
        lambda image: torch.rot90(image, -1, (1, 2)),
        lambda image: image.flip(1).transpose(1, 2),
    ],
    mistakes=[
        *instead_of(
            ".flip(-1)",
            {
                "": ("mirrors at the diagonal", "swapping the axes mirrors: one axis has to be flipped as well"),
                ".flip(-2)": ("turns to the left", "clockwise the top row becomes the rightmost column"),
                ".flip(-1, -2)": ("mirrors at the other diagonal", "a turn flips one axis, not two"),
                ".flip(0, -1)": ("reverses the channels too", "red, green and blue keep their order"),
            },
        ),
        *instead_of(
            '"channel height width -> channel width height"',
            {
                '"channel height width -> channel height width"': (
                    "mirrors left and right",
                    "a turn by a quarter swaps height and width",
                )
            },
        ),
        Mistake(
            "reshapes without moving an axis",
            'einops.rearrange(image, "channel height width -> channel width height")',
            "image.reshape(image.shape[0], image.shape[2], image.shape[1])",
            why="reshape keeps the numbers in their order: swap height and width instead",
        ),
    ],
)


def channels_cases(generator: torch.Generator) -> list[Case]:
    """Three channels, two channels, one."""
    sizes = {"three channels": (3, 5, 2), "two channels": (2, 3, 4), "one channel": (1, 4, 3)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "height width")


test_show_channels = exercise(
    reference=pictures.show_channels,
    cases=channels_cases,
    accepts=[
        lambda image: torch.cat(list(image), dim=1),
        lambda image: image.transpose(0, 1).flatten(1),
    ],
    mistakes=[
        *instead_of(
            "-> height (channel width)",
            {
                "-> height (width channel)": (
                    "puts the channels of a pixel side by side",
                    f"{ORDER}: (channel width) keeps a channel together",
                ),
                "-> (channel height) width": ("stacks the channels down", "they go side by side: channel joins width"),
            },
        ),
        *instead_of(
            "einops.rearrange(image,",
            {
                "einops.rearrange(image.flip(0),": ("puts the last channel first", "the first channel is on the left"),
                "einops.rearrange(1 - image,": ("takes the negative", AS_THEY_ARE),
            },
        ),
        Mistake(
            "reshapes without moving an axis",
            'einops.rearrange(image, "channel height width -> height (channel width)")',
            "image.reshape(image.shape[1], -1)",
            why="reshape keeps the numbers in their order: the channels have to move beside the width first",
        ),
    ],
)


def pairs_cases(generator: torch.Generator) -> list[Case]:
    """Two colour images, two grey ones, images of one column."""
    sizes = {"colour images": (3, 2, 5), "grey images": (1, 4, 3), "one column": (2, 3, 1)}
    arguments = {label: (shades(generator, *size), shades(generator, *size)) for label, size in sizes.items()}
    return calls(arguments, "channel height width")


def weave_by_slices(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Writes every second column."""
    woven = first.new_empty(*first.shape[:-1], 2 * first.shape[-1])
    woven[..., ::2], woven[..., 1::2] = first, second
    return woven


test_weave = exercise(
    reference=pictures.weave,
    cases=pairs_cases,
    accepts=[weave_by_slices, lambda first, second: torch.stack([first, second], dim=-1).flatten(-2)],
    mistakes=[
        *instead_of(
            "-> channel height (width which)",
            {
                "-> channel height (which width)": (
                    "puts the images side by side",
                    f"{ORDER}: for columns in turn, which image it is must move fastest",
                ),
                "-> channel (height which) width": ("weaves rows", "the columns are woven: which joins width"),
                "-> (channel which) height width": ("weaves channels", "the columns are woven: which joins width"),
            },
        ),
        *instead_of(
            "[first, second]",
            {
                "[second, first]": ("begins with the second image", "the first column is that of `first`"),
                "[first, first]": ("takes one image twice", "the columns of both images are wanted"),
            },
        ),
    ],
)
