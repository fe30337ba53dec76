"""Judges of transposed convolutions in one dimension."""

import torch
from torch import Tensor
from torch.nn import functional as F

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.fundamentals.generative import transposed
from arena_lib.tests.vaes_and_gans.watching import draw

__test__ = False

OUTPUT = {"output": "batch out_channels output_width"}


def stamp_cases(generator: torch.Generator) -> list[Case]:
    """Stamps that overlap, that touch and that leave gaps; one entry; a kernel of one entry."""
    sizes = [
        ("stamps overlap", 5, 3, 1),
        ("stamps overlap in part", 4, 5, 2),
        ("stamps touch", 5, 2, 2),
        ("gaps between stamps", 3, 2, 5),
        ("one entry", 1, 4, 3),
        ("a kernel of one entry", 6, 1, 2),
    ]
    cases = [
        Case(
            label=label,
            args=(draw(generator, width), draw(generator, kernel), stride),
            axes={"output": "output_width"},
            call=f"x, kernel, stride={stride}",
        )
        for label, width, kernel, stride in sizes
    ]
    x, kernel = draw(generator, 4, dtype=torch.float64), draw(generator, 3, dtype=torch.float64)
    default = Case(label="stride left out, float64", args=(x, kernel), axes={"output": "output_width"})
    return [*cases, default]


def stamp_by_places(x: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """Adds each product to the place that it belongs to, all at once."""
    places = stride * torch.arange(len(x))[:, None] + torch.arange(len(kernel))
    length = stride * (len(x) - 1) + len(kernel)
    return torch.zeros(length, dtype=x.dtype).index_add(0, places.flatten(), torch.outer(x, kernel).flatten())


def stamp_by_torch(x: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """PyTorch's function of one channel."""
    return F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)[0, 0]


test_stamp_kernel = exercise(
    reference=transposed.stamp_kernel,
    cases=stamp_cases,
    observe=outputs_and_gradients,
    accepts=[stamp_by_places, stamp_by_torch],
    mistakes=[
        *instead_of(
            "stride * (len(x) - 1) + len(kernel)",
            {
                "stride * len(x) + len(kernel)": (
                    "leaves room for one stamp too many",
                    "the last stamp begins at stride * (width - 1), not at stride * width",
                ),
                "stride * (len(x) - 1) + len(kernel) + 1": (
                    "makes the output one place too long",
                    "the output ends where the last stamp ends",
                ),
            },
        ),
        *instead_of(
            "out[i * stride : i * stride + len(kernel)] += value * kernel",
            {
                "out[i * stride : i * stride + len(kernel)] = value * kernel": (
                    "writes over the stamp before",
                    "where stamps overlap, they add up: += instead of =",
                ),
                "out[i * stride : i * stride + len(kernel)] += value * kernel.flip(0)": (
                    "stamps the kernel turned around",
                    "a stamp is the kernel as it is",
                ),
                "out[i * stride : i * stride + len(kernel)] += kernel": (
                    "stamps without ink",
                    "the stamp of an entry is the kernel times that entry",
                ),
                "out[i : i + len(kernel)] += value * kernel": (
                    "begins every stamp one place after the last",
                    "stamps begin stride places apart",
                ),
                "out[i * stride : i * stride + len(kernel)] += value.detach() * kernel": (
                    "lets no gradient through to x",
                    "what is learned needs gradients: no detach and no .item() on the way",
                ),
            },
        ),
        *instead_of(
            "x.new_zeros",
            {
                "torch.ones": ("begins with ones", "places that no stamp reaches are 0"),
                "torch.zeros": ("always gives float32", "the output has the dtype of x: x.new_zeros, or dtype=x.dtype"),
            },
        ),
    ],
)


def channel_case(
    label: str,
    generator: torch.Generator,
    sizes: tuple[int, int, int, int, int],
    options: tuple[int, ...] = (),
    dtype: torch.dtype = torch.float32,
) -> Case:
    """Sizes are batch, in_channels, width, out_channels and kernel_width; options are stride and padding."""
    batch, in_channels, width, out_channels, kernel_width = sizes
    x = draw(generator, batch, in_channels, width, dtype=dtype)
    weights = draw(generator, in_channels, out_channels, kernel_width, dtype=dtype)
    named = "".join(f", {name}={value}" for name, value in zip(("stride", "padding"), options, strict=False))
    return Case(label=label, args=(x, weights, *options), axes=OUTPUT, call=f"x, weights{named}")


def minimal_cases(generator: torch.Generator) -> list[Case]:
    """Channels of both kinds, as many of both, short and long kernels, an input that isn't contiguous."""
    strided = draw(generator, 2, 6, 3).transpose(1, 2)
    return [
        channel_case("one channel in, one out", generator, (1, 1, 5, 1, 3)),
        channel_case("several channels", generator, (2, 3, 7, 5, 4)),
        channel_case("as many channels out as in", generator, (2, 3, 6, 3, 2)),
        channel_case("a kernel of one entry", generator, (3, 2, 4, 5, 1)),
        channel_case("a kernel longer than the input", generator, (1, 4, 2, 3, 6)),
        channel_case("float64", generator, (2, 3, 5, 4, 2), dtype=torch.float64),
        Case(
            label="an x that is a transposed view",
            args=(strided, draw(generator, 3, 4, 2)),
            axes=OUTPUT,
            call="x.transpose(1, 2), weights",
        ),
    ]


def minimal_by_stamps(x: Tensor, weights: Tensor) -> Tensor:
    """One place of the kernel after another."""
    batch, width, (_, out_channels, kernel_width) = len(x), x.shape[2], weights.shape
    out = torch.zeros(batch, out_channels, width + kernel_width - 1, dtype=x.dtype)
    for k in range(kernel_width):
        out[:, :, k : k + width] = out[:, :, k : k + width] + torch.einsum("bix,io->box", x, weights[:, :, k])
    return out


def minimal_by_windows(x: Tensor, weights: Tensor) -> Tensor:
    """All windows of the padded input at once."""
    kernel_width = weights.shape[2]
    padded = torch.cat([torch.zeros_like(x[..., :1]).expand(-1, -1, kernel_width - 1), x], dim=2)
    padded = F.pad(padded, (0, kernel_width - 1))
    return torch.einsum("bixk,iok->box", padded.unfold(2, kernel_width, 1), weights.flip(2))


TURNING_MISTAKES = (
    *instead_of(
        "weights.flip(-1)",
        {
            "weights": ("doesn't turn the kernels around", "as a convolution, each kernel is read backwards"),
            "weights.flip(0)": (
                "turns the input channels around, not the kernels",
                "only the last axis of the weights is turned around",
            ),
        },
        within="turn_kernels",
    ),
    Mistake(
        "swaps the axes of channels by reshape",
        """einops.rearrange(
        weights.flip(-1), "in_channels out_channels kernel_width -> out_channels in_channels kernel_width"
    )""",
        "weights.flip(-1).reshape(weights.shape[1], weights.shape[0], weights.shape[2])",
        within="turn_kernels",
        why="reshape keeps the order of the numbers, so kernels end up at other channels: transpose or rearrange moves axes",
    ),
    *instead_of(
        '"in_channels out_channels kernel_width -> out_channels in_channels kernel_width"',
        {
            '"in_channels out_channels kernel_width -> in_channels out_channels kernel_width"': (
                "leaves the axes of channels as they are",
                "the weights have in_channels first here, and F.conv1d takes out_channels first",
            ),
        },
        within="turn_kernels",
    ),
)

test_conv_transpose1d_minimal = exercise(
    reference=transposed.conv_transpose1d_minimal,
    cases=minimal_cases,
    observe=outputs_and_gradients,
    accepts=[minimal_by_stamps, minimal_by_windows, F.conv_transpose1d],
    mistakes=[
        *TURNING_MISTAKES,
        *instead_of(
            "(reach, reach)",
            {
                "(0, 0)": ("doesn't pad the input", "the first stamp needs kernel_width - 1 zeros before it"),
                "(2 * reach, 0)": ("pads on the left alone", "zeros come at both ends"),
                "(0, 2 * reach)": ("pads on the right alone", "zeros come at both ends"),
                "(reach + 1, reach + 1)": (
                    "pads by kernel_width",
                    "kernel_width - 1 zeros at both ends: each window of the convolution holds an entry of x",
                ),
            },
        ),
        *instead_of(
            "return F.conv1d(F.pad(x, (reach, reach)), turn_kernels(weights))",
            {
                "return F.conv1d(F.pad(x, (reach, reach)), weights.flip(0, 1, 2).transpose(0, 1))": (
                    "turns the channels around as well",
                    "a kernel is turned around along its width alone",
                ),
                "out = x.new_zeros(len(x), weights.shape[1], x.shape[2] + reach)\n"
                "    for i in range(x.shape[2]):\n"
                "        out[:, :, i : i + reach + 1] = torch.einsum('bi,iok->bok', x[:, :, i], weights)\n"
                "    return out": (
                    "lets a stamp replace what is there",
                    "where stamps overlap they are added up",
                ),
            },
        ),
        Mistake(
            "takes the mean over input channels",
            "F.conv1d(F.pad(x, (reach, reach)), turn_kernels(weights))",
            "F.conv1d(F.pad(x, (reach, reach)), turn_kernels(weights)) / x.shape[1]",
            why="what the input channels stamp is added up",
        ),
    ],
)


def spread_cases(generator: torch.Generator) -> list[Case]:
    """Several strides; one entry; nothing to put in; a view."""
    sizes = [
        ("stride 2", (2, 3, 5), (2,)),
        ("stride 3", (3, 2, 4), (3,)),
        ("one entry", (2, 5, 1), (4,)),
        ("stride 1: nothing comes in between", (1, 3, 6), (1,)),
        ("stride left out", (2, 4, 3), ()),
    ]
    axes = {"output": "batch in_channels output_width"}
    cases = [
        Case(
            label=label,
            args=(draw(generator, *shape), *stride),
            axes=axes,
            call="x" + "".join(f", stride={s}" for s in stride),
        )
        for label, shape, stride in sizes
    ]
    view = draw(generator, 2, 4, 3, dtype=torch.float64).transpose(1, 2)
    return [*cases, Case(label="a view, float64", args=(view, 2), axes=axes, call="x.transpose(1, 2), stride=2")]


def spread_by_stacking(x: Tensor, stride: int = 1) -> Tensor:
    """Zeros in an axis of their own, merged with the width; the last zeros are cut off."""
    columns = torch.stack([x] + [torch.zeros_like(x)] * (stride - 1), dim=-1)
    return columns.flatten(2)[..., : stride * (x.shape[-1] - 1) + 1]


def spread_by_kernel(x: Tensor, stride: int = 1) -> Tensor:
    """A product with a matrix of zeros and ones."""
    places = torch.zeros(x.shape[-1], stride * (x.shape[-1] - 1) + 1, dtype=x.dtype)
    for i in range(x.shape[-1]):
        places[i, i * stride] = 1
    return x @ places


test_fractional_stride_1d = exercise(
    reference=transposed.fractional_stride_1d,
    cases=spread_cases,
    observe=outputs_and_gradients,
    accepts=[spread_by_stacking, spread_by_kernel],
    mistakes=[
        Mistake(
            "puts zeros after the last entry too",
            "stride * (width - 1) + 1",
            "stride * width",
            why="zeros come between neighbours, and none at the ends",
        ),
        Mistake(
            "puts stride zeros between neighbours",
            function=lambda x, stride=1: spread_by_stacking(x, stride + 1),
            why="with stride - 1 zeros in between, neighbours are stride places apart",
        ),
        Mistake(
            "repeats entries where zeros belong",
            function=lambda x, stride=1: x.repeat_interleave(stride, -1)[..., : stride * (x.shape[-1] - 1) + 1],
            why="what comes in between is 0",
        ),
        *instead_of(
            "out[..., ::stride] = x",
            {
                "out[..., : x.shape[-1]] = x": (
                    "puts all zeros at the end",
                    "entry i lands at place i * stride",
                ),
                "out[..., ::stride] = x.flip(-1)": ("turns x around", "entry i lands at place i * stride"),
                "out[..., ::stride] = x.detach()": (
                    "lets no gradient through",
                    "gradients flow to x: no detach, and no .data",
                ),
            },
        ),
        Mistake(
            "always makes float32",
            "x.new_zeros(batch, in_channels, stride * (width - 1) + 1)",
            "torch.zeros(batch, in_channels, stride * (width - 1) + 1)",
            why="the result has the dtype of x: x.new_zeros makes zeros of that",
        ),
    ],
)


def full_cases(generator: torch.Generator) -> list[Case]:
    """Every combination of a stride and a padding that means something different."""
    return [
        channel_case("stride 2", generator, (2, 3, 5, 4, 3), (2, 0)),
        channel_case("stride 2, padding 1, as in networks", generator, (2, 3, 5, 2, 4), (2, 1)),
        channel_case("stride 3, a kernel of two: gaps", generator, (1, 2, 4, 3, 2), (3, 0)),
        channel_case("stride 1, padding 2", generator, (2, 3, 6, 5, 5), (1, 2)),
        channel_case("as many channels out as in", generator, (2, 3, 4, 3, 4), (2, 2)),
        channel_case("a padding that cuts into the stamps", generator, (2, 1, 5, 3, 2), (3, 2)),
        channel_case("one entry", generator, (3, 2, 1, 4, 5), (2, 1)),
        channel_case("stride and padding left out, float64", generator, (2, 3, 5, 4, 3), dtype=torch.float64),
    ]


def full_by_cutting(x: Tensor, weights: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """All stamps, and then the edges off."""
    out = minimal_by_stamps(spread_by_stacking(x, stride), weights)
    return out[..., padding : out.shape[-1] - padding]


def full_by_torch(x: Tensor, weights: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """PyTorch's."""
    return F.conv_transpose1d(x, weights, stride=stride, padding=padding)


test_conv_transpose1d = exercise(
    reference=transposed.conv_transpose1d,
    cases=full_cases,
    observe=outputs_and_gradients,
    accepts=[full_by_cutting, full_by_torch],
    mistakes=[
        *TURNING_MISTAKES,
        *instead_of(
            "weights.shape[-1] - 1 - padding",
            {
                "weights.shape[-1] - 1 + padding": (
                    "adds the padding",
                    "padding cuts entries of the output off: kernel_width - 1 - padding zeros",
                ),
                "padding": (
                    "pads the input by padding",
                    "the input gets kernel_width - 1 - padding zeros at both ends",
                ),
                "weights.shape[-1] - padding": (
                    "pads by one too many",
                    "kernel_width - 1 - padding zeros at both ends",
                ),
                "max(weights.shape[-1] - 1 - padding, 0)": (
                    "cuts nothing off where the padding is large",
                    "a padding above kernel_width - 1 cuts entries of the input off",
                ),
            },
        ),
        Mistake(
            "cuts off at one end alone",
            "(reach, reach)",
            "(reach - padding, reach + padding)",
            why="padding entries are cut off at both ends",
        ),
        Mistake(
            "strides in the convolution",
            "F.conv1d(F.pad(fractional_stride_1d(x, stride), (reach, reach)), turn_kernels(weights))",
            "F.conv1d(F.pad(x, (reach, reach)), turn_kernels(weights), stride=stride)",
            why="the stride spreads the input out, which makes the output larger; a stride of the convolution makes it smaller",
        ),
    ],
)
