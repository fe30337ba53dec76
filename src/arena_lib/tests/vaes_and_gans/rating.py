"""Judges of two numbers that say how good generated pictures are."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import scores
from arena_lib.tests.vaes_and_gans.watching import draw

__test__ = False


def probs_cases(generator: torch.Generator) -> list[Case]:
    """Unsure and sure rows, probabilities of exactly 0, one row, one class."""
    inputs = {
        "seven pictures, four classes": draw(generator, 7, 4).softmax(1),
        "surer": (6 * draw(generator, 5, 3)).softmax(1),
        "probabilities of exactly 0": torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]),
        "one picture": draw(generator, 1, 6).softmax(1),
        "float64": draw(generator, 3, 5, dtype=torch.float64).softmax(1),
    }
    return [
        Case(label=label, args=(probs,), given={"values only": label.endswith("exactly 0")}, call="probs")
        for label, probs in inputs.items()
    ]


def score_seen(function: Any, case: Case) -> Observations:
    """The number, without a gradient: nobody trains by it."""
    return {"output": torch.as_tensor(function(case.args[0].clone())).detach()}


def entropy_by_sum(probs: Tensor) -> Tensor:
    """With a bound below the logarithm."""
    mean = probs.mean(0)
    return -(mean * mean.clamp(min=1e-30).log()).sum()


def score_by_kl(probs: Tensor) -> Tensor:
    """The mean KL divergence of each row from the mean."""
    mean = Categorical(probs.mean(0, keepdim=True))
    return kl_divergence(Categorical(probs), mean).mean().exp()


def score_by_logs(probs: Tensor) -> Tensor:
    """Row by row."""
    mean = probs.mean(0)
    nats = [(row[row > 0] * (row[row > 0] / mean[row > 0]).log()).sum() for row in probs]
    return torch.stack(nats).mean().exp()


test_class_entropy = exercise(
    reference=scores.class_entropy,
    cases=probs_cases,
    observe=score_seen,
    accepts=[entropy_by_sum],
    mistakes=[
        *instead_of(
            "torch.special.entr(probs.mean(dim=0)).sum()",
            {
                "torch.special.entr(probs).sum(dim=1).mean()": (
                    "takes the mean of the entropies",
                    "first the mean of the rows, then its entropy: it's about all pictures together",
                ),
                "-torch.special.entr(probs.mean(dim=0)).sum()": ("has the sign wrong", "an entropy is never negative"),
                "torch.special.entr(probs.mean(dim=0)).mean()": (
                    "takes the mean over classes",
                    "an entropy is a sum over classes",
                ),
                "-(probs.mean(dim=0) * probs.mean(dim=0).log()).sum()": (
                    "gives nan where a class never occurs",
                    "0 * log(0) counts 0 here, but is nan for a computer: torch.special.entr knows that",
                ),
                "torch.special.entr(probs.mean(dim=0)).sum() / torch.log(torch.tensor(2.0))": (
                    "counts in bits",
                    "it's nats: the natural logarithm",
                ),
                "torch.special.entr(probs.sum(dim=0)).sum()": (
                    "takes the sum of the rows",
                    "it's the entropy of their mean, whose entries add up to 1",
                ),
                "torch.special.entr(torch.bincount(probs.argmax(1), minlength=probs.shape[1]) / len(probs)).sum()": (
                    "counts only the likeliest classes",
                    "it's the mean of the probabilities",
                ),
                "torch.special.entr(torch.nn.functional.one_hot(probs.argmax(1), probs.shape[1]).to(probs).mean(dim=0)).sum()": (
                    "counts only the likeliest classes",
                    "it's the mean of the probabilities",
                ),
            },
        ),
    ],
)

test_classifier_score = exercise(
    reference=scores.classifier_score,
    cases=probs_cases,
    observe=score_seen,
    accepts=[score_by_kl, score_by_logs],
    mistakes=[
        *instead_of(
            "torch.exp(class_entropy(probs) - torch.special.entr(probs).sum(dim=1).mean())",
            {
                "class_entropy(probs) - torch.special.entr(probs).sum(dim=1).mean()": (
                    "forgets exp",
                    "the score is exp of the difference",
                ),
                "torch.exp(class_entropy(probs))": (
                    "leaves out how sure the classifier is",
                    "the mean entropy of the rows is subtracted",
                ),
                "torch.exp(class_entropy(probs) + torch.special.entr(probs).sum(dim=1).mean())": (
                    "adds the entropy of the rows",
                    "pictures of which the classifier is sure are good: their entropy is subtracted",
                ),
                "torch.exp(torch.special.entr(probs).sum(dim=1).mean() - class_entropy(probs))": (
                    "has the sign wrong",
                    "the score is at least 1",
                ),
                "torch.exp(class_entropy(probs) + (probs * probs.log()).sum(dim=1).mean())": (
                    "gives nan where a probability is 0",
                    "0 * log(0) counts 0 here, but is nan for a computer: torch.special.entr knows that",
                ),
                "torch.exp(class_entropy(probs) - torch.special.entr(probs).sum(dim=0).mean())": (
                    "adds up over pictures",
                    "each row has an entropy: the sum is over classes, the mean over pictures",
                ),
                "torch.exp(class_entropy(probs) - torch.special.entr(probs).sum())": (
                    "adds the rows' entropies up",
                    "it's their mean that is subtracted",
                ),
                "torch.exp(class_entropy(probs) - torch.special.entr(probs).mean())": (
                    "takes the mean over classes",
                    "an entropy is a sum over classes",
                ),
            },
        ),
    ],
)
