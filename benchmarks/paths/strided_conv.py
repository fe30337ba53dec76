"""Convolution through as_strided, one strided view and one einsum, beside `torch.nn.functional.conv2d`.

PyTorch's runs compiled kernels (oneDNN on a CPU, cuDNN on CUDA) that never write the windows down. Ours hands all windows
to one product of matrices, for which torch copies them: kernel_height times kernel_width times the input's memory.
"""

import torch
import torch.nn.functional as F

from arena_lib.fundamentals.convolutions import conv2d
from benchmarks.harness.declaring import Benchmark, Goal, Place, Workload
from benchmarks.sizes import compare_tensors

SIZES = {
    ("first-layer", "tiny"): (2, 1, 9, 3, 3, 1),
    ("first-layer", "cpu"): (64, 3, 32, 32, 3, 1),
    ("wide", "tiny"): (2, 3, 8, 4, 3, 1),
    ("wide", "cpu"): (8, 64, 56, 64, 3, 1),
    ("deep", "tiny"): (2, 5, 6, 4, 3, 1),
    ("deep", "cpu"): (8, 256, 14, 256, 3, 1),
    ("stride-2", "tiny"): (2, 3, 9, 4, 3, 2),
    ("stride-2", "cpu"): (8, 64, 56, 128, 3, 2),
}
"""For each case: images, channels in, pixels along a side, channels out, pixels along a side of the kernel, stride."""


def make(place: Place) -> Workload:
    """Runs return the output; there is as much padding as keeps the size where the stride is 1."""
    size = "tiny" if place.size == "tiny" else "cpu"
    batch, in_channels, side, out_channels, kernel, stride = SIZES[place.case, size]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, in_channels, side, side, generator=generator).to(place.device, place.dtype)
    weights = torch.randn(out_channels, in_channels, kernel, kernel, generator=generator).to(place.device, place.dtype)
    padding = kernel // 2
    n_outputs = batch * out_channels * ((side + 2 * padding - kernel) // stride + 1) ** 2
    return Workload(
        ours=lambda: conv2d(x, weights, stride, padding),
        peers={"torch": lambda: lambda: F.conv2d(x, weights, stride=stride, padding=padding)},
        agree=compare_tensors,
        flops=float(2 * n_outputs * in_channels * kernel**2),
        units=batch,
    )


BENCHMARK = Benchmark(
    name="strided_conv",
    title="Convolution through as_strided",
    cases={
        "first-layer": "64 colour images of 32 x 32, 32 kernels of 3 x 3",
        "wide": "8 images of 56 x 56 with 64 channels, 64 kernels of 3 x 3",
        "deep": "8 images of 14 x 14 with 256 channels, 256 kernels of 3 x 3",
        "stride-2": "8 images of 56 x 56 with 64 channels, 128 kernels of 3 x 3, stride 2",
    },
    unit="images",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("torch",),
    goals=(
        *(Goal(case, "torch", 1 / 2, on="cpu") for case in ("first-layer", "wide", "deep", "stride-2")),
        *(Goal(case, "torch", 1 / 3, on="cuda") for case in ("first-layer", "wide", "deep", "stride-2")),
    ),
    limits={"wide": "flops", "deep": "flops", "stride-2": "flops"},
)
