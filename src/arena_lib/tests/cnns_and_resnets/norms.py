"""Judge of BatchNorm2d."""

from typing import Any

import torch
from einops import reduce
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import batch_norm
from arena_lib.tests.cnns_and_resnets.watching import (
    buffers_of,
    call_with_gradients,
    fill,
    require_module,
    shapes_of,
)

__test__ = False


def batch_norm_cases(generator: torch.Generator) -> list[Case]:
    """Off-centre channels of different widths, other eps and momentum, small and constant channels, few values."""

    def case(label: str, shape: tuple[int, ...], *init: Any, scale: float = 2.0) -> Case:
        x = torch.randn(*shape, generator=generator)
        channels = torch.arange(1, shape[1] + 1)[:, None, None] / shape[1]
        x = scale * (x * channels + 1.5 * channels - 0.4)
        init = (shape[1], *init)
        return Case(label=label, args=(x,), given={"init": init}, call=f"BatchNorm2d({', '.join(map(str, init))})(x)")

    return [
        case("five channels", (3, 5, 4, 2)),
        case("one picture", (1, 3, 2, 5)),
        case("one pixel", (6, 4, 1, 1)),
        case("a large eps", (2, 3, 4, 5), 0.7),
        case("a fast running mean", (4, 2, 3, 5), 1e-5, 0.7),
        case("channels that hardly vary", (2, 4, 3, 5), 1e-3, 0.25, scale=0.02),
        case("two values for each channel", (2, 7, 1, 1), 1e-5, 0.4),
        case("momentum 1", (2, 3, 5, 2), 1e-5, 1.0),
    ]


def life_of_a_batch_norm(cls: Any, case: Case) -> Observations:
    """The state at first; two calls in training mode with what they move; one in evaluation mode."""
    require_module(cls, "BatchNorm2d")
    layer = cls(*case.given["init"])
    n_channels, *rest = case.given["init"]
    seen: Observations = shapes_of(layer)
    seen["state at first"] = {
        name: tensor.detach().clone().float() for name, tensor in sorted(layer.state_dict().items())
    }
    seen["saved in the state"] = sorted(layer.state_dict())
    momentum = rest[1] if len(rest) > 1 else 0.1
    # Python writes 1e-05, which a learner may have written as 0.00001.
    seen["extra_repr names the settings"] = all(str(part) in layer.extra_repr() for part in (n_channels, momentum))
    seen["settings"] = [getattr(layer, name, "missing") for name in ("num_features", "eps", "momentum")]
    names = ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"]
    if seen["saved in the state"] != names:
        return seen
    x = case.fresh().args[0]
    seen["output when new"] = layer(x.clone()).detach()
    fill(layer)
    layer.train()
    seen |= call_with_gradients(layer, x, "in training")
    seen["running statistics hold on to a graph"] = any(buffer.requires_grad for buffer in layer.buffers())
    seen["buffers after a call"] = buffers_of(layer)
    with torch.no_grad():
        seen["output without gradients"] = layer(1 - 2 * x)
    seen["buffers after another"] = buffers_of(layer)
    seen["still in training mode"] = layer.training
    seen["batches are counted in whole numbers"] = not layer.num_batches_tracked.is_floating_point()
    fill(layer, seed=6)
    before = buffers_of(layer)
    seen |= call_with_gradients(layer.eval(), x[:1] if x[0, 0].numel() > 1 else x, "in evaluation")
    after = buffers_of(layer)
    return seen | {"evaluation moves nothing": all(torch.equal(before[name], after[name]) for name in before)}


class BatchNormByTorch(nn.BatchNorm2d):
    """Torch's own."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)


class BatchNormByLerp(nn.Module):
    """With lerp and einops, and buffers assigned anew."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean = reduce(x, "b c h w -> c", "mean")
            variance = reduce((x - mean[None, :, None, None]).square(), "b c h w -> c", "mean")
            n = x.numel() // x.shape[1]
            self.running_mean = self.running_mean.lerp(mean.detach(), self.momentum)
            self.running_var = self.running_var.lerp(variance.detach() * n / (n - 1), self.momentum)
            self.num_batches_tracked = self.num_batches_tracked + 1
        else:
            mean, variance = self.running_mean, self.running_var
        gain = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * gain
        return x * gain[:, None, None] + shift[:, None, None]

    def extra_repr(self) -> str:
        return f"num_features={self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNormWithParametersForBuffers(batch_norm.BatchNorm2d):
    """Keeps its running statistics as parameters."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        del self.running_mean, self.running_var
        self.running_mean = nn.Parameter(torch.zeros(num_features))
        self.running_var = nn.Parameter(torch.ones(num_features))


class BatchNormWithPlainTensors(batch_norm.BatchNorm2d):
    """Keeps its running statistics as plain attributes."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        del self.running_mean, self.running_var
        self.running_mean = torch.zeros(num_features)
        self.running_var = torch.ones(num_features)


MEAN_MOVES = "self.running_mean.copy_((1 - self.momentum) * self.running_mean + self.momentum * mean)"
VAR_MOVES = "self.running_var.copy_((1 - self.momentum) * self.running_var + self.momentum * unbiased)"

test_batch_norm2d = exercise(
    reference=batch_norm.BatchNorm2d,
    cases=batch_norm_cases,
    observe=life_of_a_batch_norm,
    accepts=[BatchNormByTorch, BatchNormByLerp],
    mistakes=[
        Mistake(
            "lets the running statistics hold on to a graph",
            f"{MEAN_MOVES}\n                {VAR_MOVES}",
            "with torch.enable_grad():\n"
            "                    self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean\n"
            "                    self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased",
            why="no gradient flows through them: move them under torch.no_grad(), or detach the batch's mean and variance",
        ),
        *instead_of(
            " * weight + bias",
            {
                "": (
                    "ignores weight and bias",
                    "after normalising, each channel is scaled by weight and shifted by bias",
                ),
                " * weight": ("forgets the bias", "after scaling, each channel is shifted by its bias"),
                " + bias": ("forgets the weight", "after normalising, each channel is scaled by its weight"),
                " * (weight + bias)": ("multiplies by weight + bias", "weight scales first, then bias is added"),
                " * bias + weight": ("swaps weight and bias", "weight multiplies, bias is added"),
                " * weight - bias": ("subtracts the bias", "bias is added"),
            },
            within="BatchNorm2d.forward",
        ),
        *instead_of(
            MEAN_MOVES,
            {
                "pass": ("never moves the running mean", "each call in training mode moves it by momentum"),
                MEAN_MOVES.replace("* mean)", "* mean)").replace(
                    "(1 - self.momentum) * self.running_mean + self.momentum * mean",
                    "self.momentum * self.running_mean + (1 - self.momentum) * mean",
                ): (
                    "takes momentum the wrong way round",
                    "momentum is how much of the new batch goes in: 1 - momentum of the old stays",
                ),
                "self.running_mean.copy_(mean)": (
                    "keeps the last batch's mean alone",
                    "1 - momentum of the old running mean stays",
                ),
                "self.running_mean.copy_(self.running_mean + self.momentum * mean)": (
                    "adds to the running mean without end",
                    "1 - momentum of the old running mean stays, not all of it",
                ),
            },
        ),
        *instead_of(
            VAR_MOVES,
            {
                "pass": ("never moves the running variance", "each call in training mode moves it by momentum"),
                VAR_MOVES.replace("unbiased", "variance"): (
                    "moves the running variance by the biased one",
                    "the running variance is unbiased: it divides by n - 1",
                ),
                VAR_MOVES.replace("unbiased", "unbiased.sqrt()"): (
                    "keeps a running standard deviation",
                    "running_var is a variance: no root",
                ),
                "self.running_var.copy_(self.momentum * self.running_var + (1 - self.momentum) * unbiased)": (
                    "takes momentum the wrong way round for the variance",
                    "momentum is how much of the new batch goes in",
                ),
            },
        ),
        *instead_of(
            "unbiased = x.var(dim=(0, 2, 3))",
            {
                "unbiased = variance * len(x) / (len(x) - 1)": (
                    "takes the number of pictures for n",
                    "n is how many numbers a channel has: batch * height * width",
                ),
                "unbiased = variance * x[0, 0].numel() / (x[0, 0].numel() - 1)": (
                    "takes the number of pixels of one picture for n",
                    "n is how many numbers a channel has: batch * height * width",
                ),
                "unbiased = variance * x[0].numel() / (x[0].numel() - 1)": (
                    "counts channels, and not pictures, for n",
                    "n is how many numbers a channel has: batch * height * width",
                ),
                "unbiased = variance * x.numel() / (x.numel() - 1)": (
                    "counts the numbers of all channels for n",
                    "n is how many numbers one channel has: batch * height * width",
                ),
                "unbiased = variance * (x.numel() // x.shape[1] - 1) / (x.numel() // x.shape[1])": (
                    "multiplies by (n - 1) / n",
                    "the unbiased variance is the larger one: n / (n - 1)",
                ),
            },
        ),
        *instead_of(
            "variance = x.var(dim=(0, 2, 3), unbiased=False)",
            {
                "variance = x.var(dim=(0, 2, 3))": (
                    "normalises by the unbiased variance",
                    "the batch's own variance divides by n: only the running one is unbiased",
                ),
                "variance = x.detach().var(dim=(0, 2, 3), unbiased=False)": (
                    "cuts the gradient of the variance",
                    "the variance depends on the input, and its gradient is part of the layer's",
                ),
                "variance = x.square().mean(dim=(0, 2, 3))": (
                    "uses the mean square as the variance",
                    "the variance is the mean square of what is left after the mean is subtracted",
                ),
            },
        ),
        *instead_of(
            "mean = x.mean(dim=(0, 2, 3))",
            {
                "mean = x.mean(dim=(0, 2, 3)).detach()": (
                    "cuts the gradient of the mean",
                    "the mean depends on the input, and its gradient is part of the layer's",
                ),
                "mean = x.mean().expand(x.shape[1])": (
                    "takes one mean for all channels",
                    "each channel has a mean of its own: over batch, height and width",
                ),
                "mean = x[:1].mean(dim=(0, 2, 3))": (
                    "takes the mean of the first picture alone",
                    "over batch, height and width: all pictures together",
                ),
            },
        ),
        *instead_of(
            "if self.training:",
            {
                "if True:": ("ignores evaluation mode", "in evaluation mode the running statistics are used, and stay"),
                "if not self.training:": ("swaps the modes", "in training mode the batch's own statistics are used"),
                "if False:": (
                    "normalises by the running statistics in training mode too",
                    "in training mode the batch's own statistics are used",
                ),
            },
        ),
        *instead_of(
            "torch.sqrt(variance + self.eps)",
            {
                "(torch.sqrt(variance) + self.eps)": (
                    "adds eps outside the root",
                    "eps is added to the variance, before the root is taken",
                ),
                "torch.sqrt(variance)": ("forgets eps", "eps is added to the variance, before the root is taken"),
                "(variance + self.eps)": ("forgets the root", "the standard deviation is the root of the variance"),
                "torch.sqrt(variance.clamp(min=self.eps))": (
                    "takes eps for the least variance",
                    "eps is added to the variance, however large that is",
                ),
                "torch.sqrt(variance + 1e-5)": ("ignores the argument eps", "eps is an argument: self.eps"),
            },
        ),
        *instead_of(
            "self.num_batches_tracked += 1",
            {
                "pass": (
                    "doesn't count the batches",
                    "num_batches_tracked grows by one with each call in training mode",
                ),
                "self.num_batches_tracked += len(x)": (
                    "counts the pictures",
                    "num_batches_tracked grows by one with each call",
                ),
            },
        ),
        *instead_of(
            'self.register_buffer("running_var", torch.ones(num_features))',
            {
                'self.register_buffer("running_var", torch.zeros(num_features))': (
                    "begins with a running variance of 0",
                    "a variance of 1 leaves things as they are: ones at first",
                ),
            },
        ),
        *instead_of(
            "nn.Parameter(torch.ones(num_features))",
            {
                "nn.Parameter(torch.zeros(num_features))": (
                    "begins with weights of 0",
                    "a new layer only normalises: its weight is 1",
                ),
                "nn.Parameter(torch.randn(num_features))": (
                    "begins with random weights",
                    "a new layer only normalises: its weight is 1",
                ),
            },
        ),
        Mistake(
            "keeps the running statistics as parameters",
            function=BatchNormWithParametersForBuffers,
            why="they aren't learned by gradients: register_buffer keeps them in the state without that",
        ),
        Mistake(
            "keeps the running statistics as plain attributes",
            function=BatchNormWithPlainTensors,
            why="register_buffer puts them into the state that is saved, and moves them with the module",
        ),
        Mistake(
            "leaves the mean in",
            "(x - mean) / ",
            "x / ",
            within="BatchNorm2d.forward",
            why="the mean is subtracted first",
        ),
    ],
)
