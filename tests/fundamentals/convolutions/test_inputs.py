"""What the checks allow; what they refuse is tested where each function is."""

import torch

from arena_lib.fundamentals.convolutions.inputs import (
    check_axes,
    check_fits,
    check_layer,
    check_pad_value,
    check_pooling,
    check_range,
    check_whole,
)


def test_the_edges_of_what_is_allowed_pass():
    check_axes("i j", a=torch.zeros(1, 2), b=torch.zeros(0, 3))
    check_whole(0, n=0, m=5)
    check_range("n", 0, least=0, most=3)
    check_range("n", 3, least=0, most=3)
    check_fits("along the width", 1, kernel_size=5, padding=2)
    check_pad_value(torch.zeros(2).long(), -4.0)
    check_pad_value(torch.zeros(2), float("-inf"))
    check_pooling(torch.zeros(1, 1, 2, 2), (2, 4), (1, 1), (1, 2))
    check_layer(
        torch.zeros(0, 2, 4), torch.zeros(1, 2, 4), "batch in_channels width", "out in_channels kernel", (3,), (0,)
    )
