"""Softmax and its kin without overflow, entropy, drawing from a distribution, and a derivative by two calls.

Shapes:  logits "batch n_classes", probabilities "batch n_classes" or "n_classes".
Source:  Blanchard, Higham and Higham 2021, "Accurately computing the log-sum-exp and softmax functions".
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor


def numerical_derivative(function: Callable[[float], float], x: float, step: float = 1e-4) -> float:
    """The slope of `function` at `x`, from a step to both sides: (f(x + step) - f(x - step)) / (2 * step).

    >>> round(numerical_derivative(lambda x: x**2, 3.0), 6)
    6.0
    """
    return (function(x + step) - function(x - step)) / (2 * step)


def batched_logsumexp(matrix: Float[Tensor, "batch n_classes"]) -> Float[Tensor, " batch"]:
    """For each row the logarithm of the sum of exp of its entries, for entries of any size.

    exp(1000) is infinite and exp(-1000) is 0. So take the row's largest entry m out first: log sum exp(x) is
    m + log sum exp(x - m), where no exponential is above 1. The entries are finite. Gradients flow through it.

    >>> batched_logsumexp(torch.tensor([[0.0, 0.0], [1000.0, 1000.0]])).round(decimals=2)
    tensor([6.9000e-01, 1.0007e+03])
    """
    largest = matrix.max(dim=1, keepdim=True).values
    return largest.squeeze(1) + (matrix - largest).exp().sum(dim=1).log()


def batched_softmax(matrix: Float[Tensor, "batch n_classes"]) -> Float[Tensor, "batch n_classes"]:
    """For each row its probabilities: exp of each entry, divided by the sum over the row; for entries of any size.

    Taking the same number from all entries of a row changes nothing, so take its largest entry from it first. Gradients
    flow through it.

    >>> batched_softmax(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]))
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])
    """
    exps = (matrix - matrix.max(dim=1, keepdim=True).values).exp()
    return exps / exps.sum(dim=1, keepdim=True)


def batched_logsoftmax(matrix: Float[Tensor, "batch n_classes"]) -> Float[Tensor, "batch n_classes"]:
    """For each row the logarithms of its softmax: each entry less the row's logsumexp; for entries of any size.

    As with softmax, take each row's largest entry from it first: a difference of large numbers would lose digits.
    Gradients flow through it.

    >>> batched_logsoftmax(torch.tensor([[1000.0, 0.0]]))
    tensor([[    0., -1000.]])
    """
    shifted = matrix - matrix.max(dim=1, keepdim=True).values
    return shifted - batched_logsumexp(shifted)[:, None]


def batched_cross_entropy_loss(
    logits: Float[Tensor, "batch n_classes"], true_labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """For each example minus the log-probability, by softmax, of its true label: a loss for each, no mean.

    Gradients flow through it, so that a model can be trained by it.

    >>> batched_cross_entropy_loss(torch.tensor([[0.0, 0.0], [5.0, 0.0]]), torch.tensor([1, 0])).round(decimals=4)
    tensor([0.6931, 0.0067])
    """
    logprobs = batched_logsoftmax(logits)
    return -logprobs[torch.arange(len(logits)), true_labels]


def entropy(probs: Float[Tensor, "batch n_classes"]) -> Float[Tensor, " batch"]:
    """How uncertain each row is, in nats: minus the sum of p * log(p), where a p of 0 adds nothing.

    >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).round(decimals=4)
    tensor([0.6931, 0.0000])
    """
    logs = torch.where(probs > 0, probs, 1.0).log()
    return (-probs * logs).sum(dim=1)


def sample_distribution(probs: Float[Tensor, " n_classes"], n: int) -> Int[Tensor, " n"]:
    """`n` random whole numbers, of which each is i with the probability probs[i]. The probabilities sum to one.

    The draws come from torch's global generator, so that equal seeds (`torch.manual_seed`) give equal draws.

    >>> sample_distribution(torch.tensor([0.0, 1.0, 0.0]), 4)
    tensor([1, 1, 1, 1])
    """
    edges = probs.cumsum(dim=0)[:-1]
    return torch.searchsorted(edges, torch.rand(n), right=True)
