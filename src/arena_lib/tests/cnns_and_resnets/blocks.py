"""Judges of ResidualBlock and BlockGroup: state by torchvision's names, and what they give in either mode."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations, Observer
from arena_lib.fundamentals.resnets import blocks
from arena_lib.tests.cnns_and_resnets.watching import in_both_modes, require_module, shapes_of

__test__ = False


def known_state_in_both_modes(reference: Callable[..., nn.Module]) -> Observer:
    """An observer: names and shapes; and where they are the reference's, outputs, gradients and buffers in either mode."""

    def observe(cls: Any, case: Case) -> Observations:
        require_module(cls, reference.__name__)
        module = cls(*case.given["init"])
        seen: Observations = shapes_of(module)
        seen["same names in the same order"] = list(module.state_dict()) == list(
            reference(*case.given["init"]).state_dict()
        )
        if seen == {**shapes_of(reference(*case.given["init"])), "same names in the same order": True}:
            seen |= in_both_modes(module, case.fresh().args[0])
        return seen

    return observe


def make_case(generator: torch.Generator, name: str, label: str, shape: tuple[int, ...], *init: Any) -> Case:
    """A case of this module, built from `init`."""
    x = torch.randn(*shape, generator=generator)
    return Case(label=label, args=(x,), given={"init": init}, call=f"{name}{init}(x)")


def block_cases(generator: torch.Generator) -> list[Case]:
    """With a projection for either reason and for both, and without."""
    cases = (
        ("nothing changes", (2, 4, 5, 6), 4, 4),
        ("more channels", (3, 3, 5, 4), 3, 5),
        ("a stride", (2, 4, 6, 7), 4, 4, 2),
        ("more channels and a stride", (2, 2, 7, 5), 2, 6, 2),
        ("fewer channels", (2, 6, 3, 4), 6, 3, 1),
        ("a stride of three", (3, 3, 7, 8), 3, 4, 3),
    )
    return [make_case(generator, "ResidualBlock", *case) for case in cases]


class ResidualBlockOfTorch(nn.Module):
    """Torch's layers, relus by function, and the sum in place."""

    def __init__(self, in_feats: int, out_feats: int, first_stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_feats, out_feats, 3, first_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_feats)
        self.conv2 = nn.Conv2d(out_feats, out_feats, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_feats)
        if first_stride > 1 or in_feats != out_feats:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_feats, out_feats, 1, first_stride, bias=False), nn.BatchNorm2d(out_feats)
            )
        else:
            self.downsample = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return F.relu(out)


PROJECTION = "Conv2d(in_feats, out_feats, kernel_size=1, stride=first_stride), BatchNorm2d(out_feats)"
LEFT = "self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))"

test_residual_block = exercise(
    reference=blocks.ResidualBlock,
    cases=block_cases,
    observe=known_state_in_both_modes(blocks.ResidualBlock),
    accepts=[ResidualBlockOfTorch],
    mistakes=[
        Mistake(
            "takes bn1 for bn2",
            "self.bn2 = BatchNorm2d(out_feats)",
            "self.bn2 = self.bn1",
            why="each batch norm has parameters and statistics of its own: make a second one",
        ),
        *instead_of(
            "return self.relu(left + right)",
            {
                "return self.relu(right)": ("leaves out the convolutions", "both ways are added: relu(left + right)"),
                "return self.relu(left) + right": (
                    "takes the relu before the addition",
                    "the relu comes after the sum, also of what went around",
                ),
                "return left + right": ("forgets the last relu", "a relu comes after the sum"),
                "return self.relu(left + self.relu(right))": (
                    "takes a relu of the way around",
                    "the way around has no relu of its own",
                ),
                "return self.relu(left - right)": ("subtracts", "the two ways are added"),
                "return self.relu(left * right)": ("multiplies the two ways", "the two ways are added"),
            },
        ),
        *instead_of(
            "right = x if self.downsample is None else self.downsample(x)\n        return self.relu(left + right)",
            {
                "return self.relu(left)": ("leaves out the way around", "what went in is added: relu(left + right)"),
                "return 0 * left": ("gives zeros", "what comes out is relu(left + right)"),
            },
        ),
        *instead_of(
            LEFT,
            {
                "self.bn2(self.conv2(self.bn1(self.conv1(x))))": (
                    "forgets the relu between the convolutions",
                    "conv1, bn1, relu, conv2, bn2",
                ),
                "self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))": (
                    "takes a relu before the addition too",
                    "the left way ends in bn2: the relu comes after the sum",
                ),
                "self.conv2(self.relu(self.bn1(self.conv1(x))))": ("leaves out bn2", "conv1, bn1, relu, conv2, bn2"),
                "self.bn2(self.conv2(self.relu(self.conv1(x))))": ("leaves out bn1", "conv1, bn1, relu, conv2, bn2"),
                "self.bn2(self.conv2(self.bn1(self.relu(self.conv1(x)))))": (
                    "takes the relu before bn1",
                    "conv1, bn1, relu, conv2, bn2",
                ),
                "self.bn1(self.conv2(self.relu(self.bn1(self.conv1(x)))))": (
                    "uses bn1 twice",
                    "each batch norm has statistics of its own: bn2 comes after conv2",
                ),
                "self.bn2(self.conv1(x))": ("leaves out conv2", "conv1, bn1, relu, conv2, bn2"),
            },
        ),
        *instead_of(
            "if first_stride != 1 or in_feats != out_feats:",
            {
                "if first_stride != 1:": (
                    "projects only where there's a stride",
                    "also where the numbers of channels differ",
                ),
                "if in_feats != out_feats:": (
                    "projects only where channels change",
                    "also where there's a stride: the sizes differ then",
                ),
                "if True:": ("projects always", "where sizes fit, the way around is x itself: downsample is None"),
                "if first_stride != 1 and in_feats != out_feats:": (
                    "projects only where both change",
                    "one of the two is enough",
                ),
            },
        ),
        *instead_of(
            PROJECTION,
            {
                "Conv2d(in_feats, out_feats, kernel_size=1, stride=first_stride)": (
                    "has no batch norm on the way around",
                    "a batch norm comes after the 1 x 1 convolution",
                ),
                "BatchNorm2d(in_feats), Conv2d(in_feats, out_feats, kernel_size=1, stride=first_stride)": (
                    "puts the batch norm first on the way around",
                    "the convolution comes first, then the batch norm",
                ),
                "Conv2d(in_feats, out_feats, kernel_size=3, stride=first_stride, padding=1), BatchNorm2d(out_feats)": (
                    "projects with a window of 3 x 3",
                    "the projection has a window of 1 x 1",
                ),
                "Conv2d(in_feats, out_feats, kernel_size=1, stride=first_stride), BatchNorm2d(out_feats), ReLU()": (
                    "takes a relu of the projection",
                    "the way around has no relu of its own",
                ),
            },
        ),
        *instead_of(
            "self.conv2 = Conv2d(out_feats, out_feats, kernel_size=3, padding=1)",
            {
                "self.conv2 = Conv2d(out_feats, out_feats, kernel_size=3, stride=first_stride, padding=first_stride)": (
                    "gives both convolutions the stride",
                    "only conv1 has it: conv2 keeps the size",
                ),
            },
        ),
        Mistake(
            "gives the stride to the second convolution",
            "kernel_size=3, stride=first_stride, padding=1)\n        self.bn1 = BatchNorm2d(out_feats)\n        self.relu = ReLU()\n        self.conv2 = Conv2d(out_feats, out_feats, kernel_size=3, padding=1)",
            "kernel_size=3, padding=1)\n        self.bn1 = BatchNorm2d(out_feats)\n        self.relu = ReLU()\n        self.conv2 = Conv2d(out_feats, out_feats, kernel_size=3, stride=first_stride, padding=1)",
            why="conv1 has the stride, conv2 keeps the size",
        ),
        Mistake(
            "adds the input of the second convolution",
            "right = x if self.downsample is None else self.downsample(x)",
            "right = self.relu(self.bn1(self.conv1(x)))",
            why="what went into the block goes around it",
        ),
    ],
)


def group_cases(generator: torch.Generator) -> list[Case]:
    """One block, several, with and without a stride."""
    cases = (
        ("one block", (2, 3, 4, 5), 1, 3, 3),
        ("three blocks", (2, 2, 4, 3), 3, 2, 4),
        ("two blocks with a stride", (3, 3, 5, 6), 2, 3, 4, 2),
        ("a stride and the same channels", (2, 4, 5, 4), 2, 4, 4, 2),
    )
    return [make_case(generator, "BlockGroup", *case) for case in cases]


class BlockGroupByAppend(nn.Sequential):
    """Grows block by block."""

    def __init__(self, n_blocks: int, in_feats: int, out_feats: int, first_stride: int = 1) -> None:
        super().__init__()
        for index in range(n_blocks):
            sizes = (in_feats, out_feats, first_stride) if index == 0 else (out_feats, out_feats)
            self.add_module(str(index), ResidualBlockOfTorch(*sizes))


test_block_group = exercise(
    reference=blocks.BlockGroup,
    cases=group_cases,
    observe=known_state_in_both_modes(blocks.BlockGroup),
    accepts=[BlockGroupByAppend],
    mistakes=[
        *instead_of(
            "range(n_blocks - 1)",
            {
                "range(n_blocks)": ("has one block too many", "the first block counts: n_blocks in all"),
                "range(n_blocks - 2)": ("has one block too few", "n_blocks in all"),
            },
        ),
        *instead_of(
            "ResidualBlock(out_feats, out_feats)",
            {
                "ResidualBlock(out_feats, out_feats, first_stride)": (
                    "gives every block the stride",
                    "only the first block has the stride",
                ),
            },
        ),
        *instead_of(
            "first = ResidualBlock(in_feats, out_feats, first_stride)",
            {
                "first = ResidualBlock(in_feats, out_feats)": (
                    "forgets the stride",
                    "the first block has the stride first_stride",
                ),
                "first = ResidualBlock(out_feats, out_feats, first_stride)": (
                    "makes the first block of out_feats channels",
                    "in_feats channels come in",
                ),
            },
        ),
        *instead_of(
            "super().__init__(first, *(ResidualBlock(out_feats, out_feats) for _ in range(n_blocks - 1)))",
            {
                "super().__init__(*(ResidualBlock(out_feats, out_feats) for _ in range(n_blocks - 1)), first)": (
                    "puts the first block last",
                    "the block that changes channels and size comes first",
                ),
                "super().__init__(first, *[ResidualBlock(out_feats, out_feats)] * (n_blocks - 1))": (
                    "uses one block again and again",
                    "each block has weights of its own",
                ),
            },
        ),
    ],
)
