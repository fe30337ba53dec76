"""Judges of transposed convolutions in two dimensions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import transposed_2d
from arena_lib.tests.vaes_and_gans.watching import draw, fill_in_order, require_module_class

__test__ = False

OUTPUT = {"output": "batch out_channels output_height output_width"}
NAMES = "names of the parameters"
STRETCH = "widest weight, as a multiple of the bound"
SPREAD = "deviation of the weights, as a multiple of the bound"
FAR_TOO_WIDE = 4.0
"""Beyond it one spread is as wrong as another."""


def spread_cases(generator: torch.Generator) -> list[Case]:
    """Strides that differ by direction; one pixel; nothing to put in; a view."""
    sizes = [
        ("stride 2 in both directions", (2, 3, 4, 5), (2, 2)),
        ("other strides for rows and columns", (1, 2, 5, 3), (3, 2)),
        ("rows stay together", (2, 3, 4, 2), (1, 4)),
        ("one pixel", (3, 2, 1, 1), (5, 2)),
    ]
    axes = {"output": "batch in_channels output_height output_width"}
    cases = [
        Case(label=label, args=(draw(generator, *shape), *strides), axes=axes, call=f"x, {strides[0]}, {strides[1]}")
        for label, shape, strides in sizes
    ]
    view = draw(generator, 2, 3, 5, 4, dtype=torch.float64).transpose(2, 3)
    return [*cases, Case(label="a view, float64", args=(view, 2, 3), axes=axes, call="x.transpose(2, 3), 2, 3")]


def spread_in_turn(x: Tensor, stride_h: int, stride_w: int) -> Tensor:
    """Row by row, then column by column."""
    for dim, stride in ((2, stride_h), (3, stride_w)):
        parts = [torch.zeros_like(x)] * (stride - 1)
        x = torch.stack([x, *parts], dim=dim + 1).flatten(dim, dim + 1)
        x = x.narrow(dim, 0, x.shape[dim] - stride + 1)
    return x


test_fractional_stride_2d = exercise(
    reference=transposed_2d.fractional_stride_2d,
    cases=spread_cases,
    observe=outputs_and_gradients,
    accepts=[spread_in_turn],
    mistakes=[
        Mistake(
            "swaps the strides of rows and columns",
            function=lambda x, stride_h, stride_w: spread_in_turn(x, stride_w, stride_h),
            why="stride_h spreads rows apart, stride_w spreads columns",
        ),
        Mistake(
            "takes one stride for both directions",
            function=lambda x, stride_h, stride_w: spread_in_turn(x, stride_h, stride_h),
            why="stride_w may be another than stride_h",
        ),
        Mistake(
            "puts zeros at the bottom and at the right too",
            "stride_h * (height - 1) + 1, stride_w * (width - 1) + 1",
            "stride_h * height, stride_w * width",
            why="zeros come between neighbours, and none at the edges",
        ),
        *instead_of(
            "out[..., ::stride_h, ::stride_w] = x",
            {
                "out[..., :height, :width] = x": ("puts all zeros at the edges", "pixels land stride places apart"),
                "out[..., ::stride_h, ::stride_w] = x.detach()": (
                    "lets no gradient through",
                    "gradients flow to x: no detach, and no .data",
                ),
            },
        ),
        *instead_of(
            "x.new_zeros",
            {
                "torch.zeros": ("always makes float32", "the result has the dtype of x: x.new_zeros makes such"),
                "x.new_ones": ("puts ones in between", "what comes in between is 0"),
            },
        ),
    ],
)


def plane_case(
    label: str,
    generator: torch.Generator,
    shape: tuple[int, int, int, int],
    kernels: tuple[int, int, int],
    *options: Any,
    dtype: torch.dtype = torch.float32,
) -> Case:
    """`kernels` are out_channels, kernel_h and kernel_w; options are stride and padding."""
    x, weights = draw(generator, *shape, dtype=dtype), draw(generator, shape[1], *kernels, dtype=dtype)
    named = "".join(f", {name}={value}" for name, value in zip(("stride", "padding"), options, strict=False))
    return Case(label=label, args=(x, weights, *options), axes=OUTPUT, call=f"x, weights{named}")


def plane_cases(generator: torch.Generator) -> list[Case]:
    """One number and pairs, for the stride and the padding; pictures and kernels that aren't square."""
    return [
        plane_case("stride 2, padding 1, as in networks", generator, (2, 3, 5, 4), (2, 4, 4), 2, 1),
        plane_case("stride 1, no padding", generator, (1, 2, 3, 5), (4, 2, 3), 1, 0),
        plane_case("other strides for rows and columns", generator, (2, 3, 4, 3), (5, 3, 2), (2, 3)),
        plane_case("other paddings for rows and columns", generator, (2, 1, 5, 4), (3, 4, 3), 2, (2, 1)),
        plane_case("as many channels out as in", generator, (1, 3, 4, 5), (3, 3, 4), (1, 2), (0, 1)),
        plane_case("a padding that cuts into the stamps", generator, (2, 2, 4, 5), (3, 1, 2), 3, (1, 2)),
        plane_case("one pixel", generator, (3, 2, 1, 1), (4, 3, 5), 2),
        plane_case("stride and padding left out, float64", generator, (2, 3, 4, 5), (2, 3, 4), dtype=torch.float64),
    ]


def plane_by_torch(x: Tensor, weights: Tensor, stride: Any = 1, padding: Any = 0) -> Tensor:
    """PyTorch's."""
    return F.conv_transpose2d(x, weights, stride=stride, padding=padding)


def plane_by_stamps(x: Tensor, weights: Tensor, stride: Any = 1, padding: Any = 0) -> Tensor:
    """Every pixel's stamp, added to its place; then the edges off."""
    stride_h, stride_w = (stride, stride) if isinstance(stride, int) else stride
    padding_h, padding_w = (padding, padding) if isinstance(padding, int) else padding
    (batch, _, height, width), (_, out_channels, kernel_h, kernel_w) = x.shape, weights.shape
    out = x.new_zeros(batch, out_channels, stride_h * (height - 1) + kernel_h, stride_w * (width - 1) + kernel_w)
    stamps = torch.einsum("bihw,iokl->bohwkl", x, weights)
    for i in range(height):
        for j in range(width):
            top, left = i * stride_h, j * stride_w
            out[:, :, top : top + kernel_h, left : left + kernel_w] += stamps[:, :, i, j]
    return out[:, :, padding_h : out.shape[2] - padding_h, padding_w : out.shape[3] - padding_w]


test_conv_transpose2d = exercise(
    reference=transposed_2d.conv_transpose2d,
    cases=plane_cases,
    observe=outputs_and_gradients,
    accepts=[plane_by_torch, plane_by_stamps],
    mistakes=[
        *instead_of(
            "weights.flip(2, 3)",
            {
                "weights": ("doesn't turn the kernels around", "as a convolution, each kernel is turned around"),
                "weights.flip(3)": (
                    "turns the kernels around left to right alone",
                    "each kernel is turned around in both directions",
                ),
                "weights.transpose(2, 3)": (
                    "swaps rows and columns of the kernels",
                    "to turn a kernel around is to read it backwards in both directions: flip",
                ),
            },
        ),
        Mistake(
            "swaps the axes of channels by reshape",
            'einops.rearrange(weights.flip(2, 3), "in_channels out_channels h w -> out_channels in_channels h w")',
            "weights.flip(2, 3).reshape(weights.shape[1], weights.shape[0], weights.shape[2], weights.shape[3])",
            why="reshape keeps the order of the numbers, so kernels end up at other channels: transpose or rearrange moves axes",
        ),
        *instead_of(
            '"in_channels out_channels h w -> out_channels in_channels h w"',
            {
                '"in_channels out_channels h w -> in_channels out_channels h w"': (
                    "leaves the axes of channels as they are",
                    "the weights have in_channels first here, and F.conv2d takes out_channels first",
                ),
            },
        ),
        *instead_of(
            "(reach_w, reach_w, reach_h, reach_h)",
            {
                "(reach_h, reach_h, reach_w, reach_w)": (
                    "swaps the padding of rows and columns",
                    "F.pad takes the last axis first: left, right, top, bottom",
                ),
                "(reach_w, reach_w, reach_w, reach_w)": (
                    "pads rows as columns",
                    "the two directions have a kernel size and a padding each",
                ),
            },
        ),
        *instead_of(
            "weights.shape[2] - 1 - padding_h, weights.shape[3] - 1 - padding_w",
            {
                "weights.shape[2] - 1 + padding_h, weights.shape[3] - 1 + padding_w": (
                    "adds the padding",
                    "padding cuts rows and columns of the output off",
                ),
                "weights.shape[2] - 1 - padding_w, weights.shape[3] - 1 - padding_h": (
                    "swaps the two paddings of a pair",
                    "a pair is (height, width)",
                ),
                "padding_h, padding_w": (
                    "pads the input by padding",
                    "the input gets kernel - 1 - padding zeros on each side",
                ),
                "max(weights.shape[2] - 1 - padding_h, 0), max(weights.shape[3] - 1 - padding_w, 0)": (
                    "cuts nothing off where the padding is large",
                    "a padding above kernel - 1 cuts rows or columns of the input off",
                ),
            },
        ),
        *instead_of(
            "fractional_stride_2d(x, stride_h, stride_w)",
            {
                "fractional_stride_2d(x, stride_w, stride_h)": (
                    "swaps the strides of rows and columns",
                    "a pair is (height, width)",
                ),
                "fractional_stride_2d(x, stride_h, stride_h)": (
                    "takes the stride of rows for columns too",
                    "a pair has a stride for each direction",
                ),
            },
        ),
    ],
    equivalent={"weights.flip(2, 3) -> weights.flip(3, 2)": "the order of the axes that are turned around is free"},
)


def layer_cases(generator: torch.Generator) -> list[Case]:
    """Square and other kernels, strides and paddings as numbers and as pairs."""
    sizes: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
        ("a layer of a generator", (6, 5, 4, 2, 1), (2, 6, 3, 4)),
        ("pairs", (3, 7, (2, 5), (3, 1), (0, 2)), (3, 3, 4, 2)),
        ("stride and padding left out", (4, 6, (3, 2)), (1, 4, 5, 2)),
        ("more channels in than out", (9, 2, 5, 3, 2), (2, 9, 2, 3)),
    ]
    return [
        Case(
            label=label,
            args=(draw(generator, *shape),),
            given={"init": init},
            axes=OUTPUT,
            call=f"ConvTranspose2d({', '.join(map(str, init))})(x)",
        )
        for label, init, shape in sizes
    ]


def layer_seen(cls: Any, case: Case) -> Observations:
    """First weights, and with known ones what the layer gives and which gradients arrive."""
    require_module_class(cls, "ConvTranspose2d")
    in_channels, out_channels, kernel_size = case.given["init"][:3]
    kernel_h, kernel_w = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    layer, other = (cls(*case.given["init"]) for _ in "ab")
    names = sorted(name for name, _ in layer.named_parameters())
    if names != ["weight"]:
        return {NAMES: names}
    bound = (out_channels * kernel_h * kernel_w) ** -0.5
    # Enough entries that a right layer is taken for a wrong one less than once in a million: of n uniform entries none
    # is beyond 0.9 of the bound with probability 0.9**n, and their deviation varies by 1 / sqrt(5 n) of itself.
    drawn = [cls(*case.given["init"]).weight.detach().flatten() for _ in range(1 + 2000 // layer.weight.numel())]
    weights = torch.cat(drawn) / bound
    seen: Observations = {
        NAMES: names,
        "weight.shape": tuple(layer.weight.shape),
        STRETCH: min(float(weights.abs().max()), FAR_TOO_WIDE),
        SPREAD: min(float(weights.std()), FAR_TOO_WIDE),
        "mean of the weights, as a multiple of the bound": float(weights.mean()),
        "two layers have equal weights": bool(torch.equal(layer.weight, other.weight)),
    }
    if tuple(layer.weight.shape) != (in_channels, out_channels, kernel_h, kernel_w):
        return seen
    (weight,) = fill_in_order(layer)
    outputs = outputs_and_gradients(layer, case)
    output = layer(case.fresh().args[0])
    grad = torch.autograd.grad((output * output.detach()).sum(), weight)[0] if output.requires_grad else None
    return seen | outputs | {"gradient of weight": grad}


class ConvTransposeByTorch(nn.Module):
    """With PyTorch's function, and draws by rand."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0
    ) -> None:
        super().__init__()
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.options = {"stride": stride, "padding": padding}
        drawn = torch.rand(in_channels, out_channels, *kernel) * 2 - 1
        self.weight = nn.Parameter(drawn / (out_channels * kernel[0] * kernel[1]) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, **self.options)


class ConvTransposeLikeTorch(nn.Module):
    """The weight of PyTorch's own layer."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, bias=False).weight

    def forward(self, x: Tensor) -> Tensor:
        return plane_by_stamps(x, self.weight, self.stride, self.padding)


test_conv_transpose2d_module = exercise(
    reference=transposed_2d.ConvTranspose2d,
    cases=layer_cases,
    observe=layer_seen,
    tolerance={
        STRETCH: Tolerance(rtol=0.0, atol=0.05),
        SPREAD: Tolerance(rtol=0.0, atol=0.06),
        "mean of the weights, as a multiple of the bound": Tolerance(rtol=0.0, atol=0.08),
    },
    accepts=[ConvTransposeByTorch, ConvTransposeLikeTorch],
    mistakes=[
        *instead_of(
            "(out_channels * kernel_h * kernel_w) ** -0.5",
            {
                "(in_channels * kernel_h * kernel_w) ** -0.5": (
                    "counts the input channels in the bound",
                    "the bound is 1 / sqrt(out_channels * kernel_h * kernel_w) here",
                ),
                "1 / (out_channels * kernel_h * kernel_w)": (
                    "forgets the root in the bound",
                    "the bound is 1 / sqrt(out_channels * kernel_h * kernel_w)",
                ),
            },
        ),
        *instead_of(
            ".uniform_(-bound, bound)",
            {
                ".uniform_(0.0, bound)": ("draws no weights below 0", "weights lie between -bound and bound"),
                ".normal_(0.0, bound)": ("draws from a normal distribution", "weights are uniform"),
                ".zero_()": ("begins with zeros", "equal weights get equal gradients, and stay equal: draw them"),
            },
        ),
        *instead_of(
            "torch.empty(in_channels, out_channels, kernel_h, kernel_w)",
            {
                "torch.empty(out_channels, in_channels, kernel_h, kernel_w)": (
                    "puts the output channels first",
                    "weight has in_channels first, unlike that of Conv2d",
                ),
                "torch.empty(in_channels, out_channels, kernel_w, kernel_h)": (
                    "swaps the height and the width of the kernels",
                    "a pair is (height, width), and weight has the height first",
                ),
            },
        ),
        *instead_of(
            "self.weight = nn.Parameter(torch.empty(in_channels, out_channels, kernel_h, kernel_w).uniform_(-bound, bound))",
            {
                "self.weight = torch.empty(in_channels, out_channels, kernel_h, kernel_w).uniform_(-bound, bound)": (
                    "keeps weight as a plain tensor",
                    "a module knows only what is an nn.Parameter: no optimizer finds a plain tensor",
                ),
                "self.weight = nn.Parameter(torch.empty(in_channels, out_channels, kernel_h, kernel_w).uniform_(-bound, bound))\n"
                "        self.bias = nn.Parameter(torch.zeros(out_channels))": (
                    "has a bias as well",
                    "its one parameter is weight",
                ),
            },
            within="ConvTranspose2d.__init__",
        ),
        *instead_of(
            "conv_transpose2d(x, self.weight, self.stride, self.padding)",
            {
                "conv_transpose2d(x, self.weight, self.stride)": (
                    "forgets the padding",
                    "forward hands stride and padding on",
                ),
                "conv_transpose2d(x, self.weight, 1, self.padding)": (
                    "forgets the stride",
                    "forward hands stride and padding on",
                ),
                "conv_transpose2d(x, self.weight.detach(), self.stride, self.padding)": (
                    "lets no gradient through to weight",
                    "weight learns by its gradient",
                ),
            },
            within="ConvTranspose2d.forward",
        ),
    ],
    name="conv_transpose2d_module",
)
