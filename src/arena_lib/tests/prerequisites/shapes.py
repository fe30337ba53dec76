"""Judges of making tensors, adding axes, and merging and splitting them."""

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import shapes
from arena_lib.tests.prerequisites.tensors import calls, floats, shades

__test__ = False

ORDER = "in a bracket the axis written first moves slowest"


def count_up_cases(generator: torch.Generator) -> list[Case]:
    """More columns than rows, more rows than columns, a single row, a single column."""
    sizes = {"2 rows, 3 columns": (2, 3), "5 rows, 4 columns": (5, 4), "one row": (1, 6), "one column": (7, 1)}
    return calls(sizes, "n_rows n_columns")


test_count_up = exercise(
    reference=shapes.count_up,
    cases=count_up_cases,
    accepts=[
        lambda n_rows, n_columns: torch.tensor([[r * n_columns + c for c in range(n_columns)] for r in range(n_rows)]),
        lambda n_rows, n_columns: torch.arange(n_rows)[:, None] * n_columns + torch.arange(n_columns),
    ],
    mistakes=[
        *instead_of(
            "torch.arange(n_rows * n_columns).reshape(n_rows, n_columns)",
            {
                "torch.arange(n_rows * n_columns).reshape(n_columns, n_rows).T": (
                    "counts down the columns",
                    "the numbers go along the first row, then along the next",
                ),
                "torch.arange(1, n_rows * n_columns + 1).reshape(n_rows, n_columns)": (
                    "begins at 1",
                    "the first number is 0, which is where torch.arange begins",
                ),
                "torch.arange(n_rows * n_columns).reshape(n_columns, n_rows)": (
                    "swaps rows and columns",
                    "a shape names the rows first",
                ),
                "torch.arange(n_rows * n_columns).float().reshape(n_rows, n_columns)": (
                    "makes floats",
                    "the numbers are whole: torch.arange of whole numbers gives int64",
                ),
                "torch.arange(n_columns).repeat(n_rows, 1)": (
                    "begins anew in each row",
                    "a row goes on where the one above it ended",
                ),
            },
        )
    ],
)


def no_arguments_cases(generator: torch.Generator) -> list[Case]:
    """The one call that there is."""
    return [Case(label="the only call", call="", axes={"output": "n_rows n_columns"})]


WHOLE_NUMBERS = ("makes floats", "the numbers are whole: torch.arange of whole numbers gives int64")

test_rearrange_1 = exercise(
    reference=shapes.rearrange_1,
    cases=no_arguments_cases,
    accepts=[lambda: torch.tensor([[3, 4], [5, 6], [7, 8]]), lambda: torch.arange(3, 9).view(3, 2)],
    mistakes=[
        *instead_of(
            'torch.arange(3, 9), "(rows columns) -> rows columns", columns=2',
            {
                'torch.arange(3, 9), "(columns rows) -> rows columns", columns=2': (
                    "counts down the columns",
                    f"{ORDER}: (rows columns) fills a row before it begins the next",
                ),
                'torch.arange(3, 9), "(rows columns) -> rows columns", columns=3': (
                    "makes two rows of three",
                    "there are three rows, with two numbers each: columns=2",
                ),
                'torch.arange(6), "(rows columns) -> rows columns", columns=2': (
                    "begins at 0",
                    "torch.arange(start, end) begins at start",
                ),
                'torch.arange(3, 9).flip(0), "(rows columns) -> rows columns", columns=2': (
                    "counts backwards",
                    "the first number is 3",
                ),
                'torch.arange(3.0, 9.0), "(rows columns) -> rows columns", columns=2': WHOLE_NUMBERS,
            },
        ),
    ],
)

test_rearrange_2 = exercise(
    reference=shapes.rearrange_2,
    cases=no_arguments_cases,
    accepts=[lambda: torch.tensor([[1, 2, 3], [4, 5, 6]]), lambda: torch.arange(1, 7).view(2, 3)],
    mistakes=[
        *instead_of(
            'torch.arange(1, 7), "(rows columns) -> rows columns", rows=2',
            {
                'torch.arange(1, 7), "(columns rows) -> rows columns", rows=2': (
                    "counts down the columns",
                    f"{ORDER}: (rows columns) fills a row before it begins the next",
                ),
                'torch.arange(1, 7), "(rows columns) -> rows columns", rows=3': (
                    "makes three rows of two",
                    "there are two rows, with three numbers each: rows=2",
                ),
                'torch.arange(6), "(rows columns) -> rows columns", rows=2': (
                    "begins at 0",
                    "torch.arange(start, end) begins at start",
                ),
                'torch.arange(1.0, 7.0), "(rows columns) -> rows columns", rows=2': WHOLE_NUMBERS,
            },
        ),
    ],
)


def add_axes_cases(generator: torch.Generator) -> list[Case]:
    """A high image, a wide one, a row of pixels."""
    sizes = {"a high image": (5, 3), "a wide image": (2, 7), "one row of pixels": (1, 4)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "batch channel height width")


test_add_axes = exercise(
    reference=shapes.add_axes,
    cases=add_axes_cases,
    accepts=[lambda image: image[None, None], lambda image: image.unsqueeze(0).unsqueeze(0)],
    mistakes=[
        *instead_of(
            'image, "height width -> 1 1 height width"',
            {
                'image, "height width -> height width 1 1"': (
                    "puts the new axes last",
                    "torch's images are (batch, channel, height, width): the new axes come first",
                ),
                'image, "height width -> 1 height width"': (
                    "adds one axis only",
                    "there is a batch axis and a channel axis to add",
                ),
                'image, "height width -> 1 1 width height"': (
                    "swaps height and width",
                    "the image itself stays as it is",
                ),
                'image.flip(0), "height width -> 1 1 height width"': (
                    "turns the image upside down",
                    "the image itself stays as it is",
                ),
                'image.double(), "height width -> 1 1 height width"': (
                    "changes the dtype",
                    "adding an axis changes no number and no dtype",
                ),
            },
        ),
    ],
)


def flatten_images_cases(generator: torch.Generator) -> list[Case]:
    """Several images, one image, images of one channel."""
    sizes = {"two images": (2, 3, 5, 4), "one image": (1, 2, 4, 3), "one channel": (4, 1, 3, 5)}
    return calls({label: (shades(generator, *size),) for label, size in sizes.items()}, "batch pixel")


TO_ROWS = '"batch channel height width -> batch (channel height width)"'

test_flatten_images = exercise(
    reference=shapes.flatten_images,
    cases=flatten_images_cases,
    accepts=[lambda images: images.flatten(1), lambda images: images.reshape(len(images), -1)],
    mistakes=[
        *instead_of(
            TO_ROWS,
            {
                TO_ROWS.replace("(channel height width)", "(height width channel)"): (
                    "puts the channels of a pixel together",
                    f"{ORDER}: channel comes first",
                ),
                TO_ROWS.replace("(channel height width)", "(channel width height)"): (
                    "goes down the columns of each channel",
                    "within a channel go row by row: height before width",
                ),
                TO_ROWS.replace("(channel height width)", "(width height channel)"): (
                    "writes the three axes backwards",
                    "channel by channel, in each channel row by row",
                ),
                '"batch channel height width -> (batch channel height width)"': (
                    "makes one row of all images",
                    "each image is a row of its own: leave batch outside the bracket",
                ),
                '"batch channel height width -> (channel height width) batch"': (
                    "makes a column of each image",
                    "the batch is the first axis",
                ),
            },
        ),
    ],
)


def split_heads_cases(generator: torch.Generator) -> list[Case]:
    """Several heads, one head, heads of one number, one text of one token."""
    sizes = {
        "three heads": ((2, 5, 12), 3),
        "two heads": ((3, 2, 10), 2),
        "one head": ((2, 3, 4), 1),
        "heads of one number": ((1, 4, 5), 5),
        "one token": ((1, 1, 6), 2),
    }
    arguments = {label: (floats(generator, *size), n_heads) for label, (size, n_heads) in sizes.items()}
    return calls(arguments, "batch n_heads seq d_head")


SPLIT = '"batch seq (n_heads d_head) -> batch n_heads seq d_head"'

test_split_heads = exercise(
    reference=shapes.split_heads,
    cases=split_heads_cases,
    accepts=[
        lambda vectors, n_heads: vectors.unflatten(-1, (n_heads, -1)).transpose(1, 2),
        lambda vectors, n_heads: torch.stack(vectors.chunk(n_heads, dim=-1), dim=1),
    ],
    mistakes=[
        *instead_of(
            SPLIT,
            {
                '"batch seq (d_head n_heads) -> batch n_heads seq d_head"': (
                    "deals the numbers out to the heads in turn",
                    f"{ORDER}: (n_heads d_head) keeps the neighbours in one head",
                ),
                '"batch seq (n_heads d_head) -> batch seq n_heads d_head"': (
                    "leaves the heads behind the positions",
                    "the heads' axis is the second",
                ),
                '"batch seq (n_heads d_head) -> n_heads batch seq d_head"': (
                    "puts the heads first",
                    "the batch stays first, the heads' axis is the second",
                ),
                '"batch seq (n_heads d_head) -> batch n_heads d_head seq"': (
                    "swaps positions and d_head",
                    "d_head is the last axis",
                ),
                '"batch seq (d_head n_heads) -> batch d_head seq n_heads"': (
                    "cuts pieces of n_heads numbers",
                    "n_heads is how many pieces there are: each has d_model / n_heads numbers",
                ),
            },
        ),
        Mistake(
            "reshapes past the positions",
            f"einops.rearrange(vectors, {SPLIT}, n_heads=n_heads)",
            "vectors.reshape(len(vectors), n_heads, vectors.shape[1], -1)",
            why="reshape keeps the numbers in their order: split the last axis first, then move the heads' axis",
        ),
    ],
)
