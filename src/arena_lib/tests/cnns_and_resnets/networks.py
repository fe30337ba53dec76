"""Judge of ResNet34: small networks in either mode, and the names and shapes of the whole."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import resnet
from arena_lib.tests.cnns_and_resnets.blocks import BlockGroupByAppend, known_state_in_both_modes, make_case
from arena_lib.tests.cnns_and_resnets.watching import require_module

__test__ = False


def resnet_cases(generator: torch.Generator) -> list[Case]:
    """Small networks of one to four groups, and the names of the whole one."""
    small = [
        ("one group", (2, 3, 17, 20), (1,), (4,), (1,), 5),
        ("two groups", (2, 3, 24, 19), (2, 1), (3, 4), (1, 2), 7),
        ("three groups, of which the first has a stride", (2, 3, 33, 26), (1, 1, 2), (4, 2, 5), (2, 1, 2), 3),
    ]
    whole = Case(label="the whole ResNet-34", args=(torch.zeros(1, 3, 8, 8),), given={"init": ()}, call="ResNet34()")
    return [*(make_case(generator, "ResNet34", *case) for case in small), whole]


def resnet_in_both_modes(cls: Any, case: Case) -> Observations:
    """As of blocks; of the whole network, names and shapes alone."""
    if case.given["init"]:
        return known_state_in_both_modes(resnet.ResNet34)(cls, case)
    require_module(cls, "ResNet34")
    module = cls()
    state = module.state_dict()
    expected = resnet.read_manifest()
    missing = [name for name in expected if name not in state]
    return {
        "missing names": missing[:5],
        "unexpected names": [name for name in state if name not in expected][:5],
        "other shapes": [name for name in expected if name in state and tuple(state[name].shape) != expected[name]][:5],
        "order of the names": "torchvision's" if list(state) == list(expected) else "another",
        "number of parameters": sum(parameter.numel() for parameter in module.parameters()),
    }


class ResNetOfTorch(nn.Module):
    """Torch's layers, groups in a list of names."""

    def __init__(
        self,
        n_blocks_per_group: Any = (3, 4, 6, 3),
        out_features_per_group: Any = (64, 128, 256, 512),
        first_strides_per_group: Any = (1, 2, 2, 2),
        n_classes: int = 1000,
    ) -> None:
        super().__init__()
        widths = [out_features_per_group[0], *out_features_per_group]
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.groups = []
        for index, (n_blocks, stride) in enumerate(zip(n_blocks_per_group, first_strides_per_group, strict=True)):
            setattr(self, f"layer{index + 1}", BlockGroupByAppend(n_blocks, widths[index], widths[index + 1], stride))
            self.groups.append(f"layer{index + 1}")
        self.fc = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        out = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for name in self.groups:
            out = getattr(self, name)(out)
        return self.fc(out.mean((-2, -1)))


test_resnet34 = exercise(
    reference=resnet.ResNet34,
    name="resnet34",
    cases=resnet_cases,
    observe=resnet_in_both_modes,
    accepts=[ResNetOfTorch],
    mistakes=[
        *instead_of(
            "self.conv1 = Conv2d(3, in_feats, kernel_size=7, stride=2, padding=3)",
            {
                "self.conv1 = Conv2d(3, in_feats, kernel_size=7, stride=1, padding=3)": (
                    "has no stride in the stem",
                    "the stem's convolution has the stride 2",
                ),
                "self.conv1 = Conv2d(3, in_feats, kernel_size=7, stride=2)": (
                    "has no padding in the stem",
                    "the stem's convolution has the padding 3",
                ),
                "self.conv1 = Conv2d(3, in_feats, kernel_size=3, stride=2, padding=1)": (
                    "has a window of 3 x 3 in the stem",
                    "the stem's window is 7 x 7",
                ),
            },
        ),
        *instead_of(
            "nn.MaxPool2d(kernel_size=3, stride=2, padding=1)",
            {
                "nn.MaxPool2d(kernel_size=3, stride=2)": ("pools without padding", "maxpool has the padding 1"),
                "nn.MaxPool2d(kernel_size=2, stride=2)": ("pools windows of 2 x 2", "maxpool's window is 3 x 3"),
                "nn.AvgPool2d(kernel_size=3, stride=2, padding=1)": (
                    "takes means in the stem",
                    "the stem pools by the maximum",
                ),
            },
        ),
        *instead_of(
            "self.maxpool(self.relu(self.bn1(self.conv1(x))))",
            {
                "self.maxpool(self.bn1(self.conv1(x)))": (
                    "forgets the relu of the stem",
                    "conv1, bn1, relu, maxpool",
                ),
                "self.relu(self.bn1(self.conv1(x)))": ("forgets maxpool", "conv1, bn1, relu, maxpool"),
                "self.maxpool(self.relu(self.conv1(x)))": ("forgets bn1", "conv1, bn1, relu, maxpool"),
            },
        ),
        *instead_of(
            "in_feats = out_features_per_group[0]",
            {
                "in_feats = 64": (
                    "has 64 channels in the stem, whatever the groups have",
                    "the stem makes as many channels as the first group: out_features_per_group[0]",
                ),
            },
        ),
        *instead_of(
            "range(1, self.n_groups + 1)",
            {
                "range(1, 5)": (
                    "goes through four groups always",
                    "there are as many groups as n_blocks_per_group has entries",
                ),
                "range(1, self.n_groups)": ("leaves out the last group", "the picture goes through every group"),
            },
        ),
        *instead_of(
            "BlockGroup(n_blocks, in_feats, out_feats, stride)",
            {
                "BlockGroup(n_blocks, in_feats, out_feats)": (
                    "ignores the strides",
                    "each group's first block has its stride",
                ),
                "BlockGroup(1, in_feats, out_feats, stride)": (
                    "ignores the numbers of blocks",
                    "each group has as many blocks as n_blocks_per_group says",
                ),
            },
        ),
        *instead_of(
            "self.fc(self.avgpool(x))",
            {
                "self.fc(self.avgpool(x)).softmax(dim=-1)": (
                    "gives probabilities",
                    "logits are asked for: the softmax comes later, where it's needed",
                ),
                "self.fc(self.relu(self.avgpool(x) - 1))": (
                    "does more than to pool before fc",
                    "avgpool, then fc, and nothing between them",
                ),
            },
        ),
        *instead_of(
            'self.add_module(f"layer{number}", BlockGroup(n_blocks, in_feats, out_feats, stride))',
            {
                'self.__dict__[f"layer{number}"] = BlockGroup(n_blocks, in_feats, out_feats, stride)': (
                    "keeps the groups where a module doesn't see them",
                    "modules in a plain list or dictionary have no parameters for the optimizer: add_module or setattr",
                ),
            },
        ),
        *instead_of(
            'f"layer{number}", BlockGroup',
            {
                'f"group{number}", BlockGroup': (
                    "calls the groups otherwise",
                    "weights are found by their names: layer1, layer2 and so on",
                ),
            },
        ),
    ],
)
