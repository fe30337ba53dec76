"""Judges of section 0.5, VAEs and GANs."""

from arena_lib.tests.vaes_and_gans.bending import test_LeakyReLU, test_Sigmoid, test_Tanh
from arena_lib.tests.vaes_and_gans.planes import (
    test_conv_transpose2d,
    test_ConvTranspose2d,
    test_fractional_stride_2d,
)
from arena_lib.tests.vaes_and_gans.rows import (
    test_conv_transpose1d,
    test_conv_transpose1d_minimal,
    test_fractional_stride_1d,
    test_stamp_kernel,
)

__test__ = False

__all__ = [
    "test_ConvTranspose2d",
    "test_LeakyReLU",
    "test_Sigmoid",
    "test_Tanh",
    "test_conv_transpose1d",
    "test_conv_transpose1d_minimal",
    "test_conv_transpose2d",
    "test_fractional_stride_1d",
    "test_fractional_stride_2d",
    "test_stamp_kernel",
]
