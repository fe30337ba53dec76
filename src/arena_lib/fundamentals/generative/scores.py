"""How good generated pictures are, as a classifier sees them.

Shapes:  probs "n n_classes": for each picture the probabilities of the classes, rows that add up to 1.
Raises:  ShapeError for other axes; ConfigError for rows that don't add up to 1.
Source:  Salimans et al. 2016, arXiv:1606.03498, section 4, for the score (theirs is of the network Inception).
Differs: the classifier is a small one, trained on the same pictures; scores compare with its score of real pictures only.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative.batches import minibatches


def class_entropy(probs: Float[Tensor, "n n_classes"]) -> Float[Tensor, ""]:
    """How evenly pictures are spread over classes, in nats: the entropy of the mean of all rows.

    The entropy of p is -sum of p * log(p), where a class with probability 0 counts 0. It's 0 if all pictures are surely of one
    class, and log(n_classes), 2.30 nats for ten, if all classes are equally frequent.

    >>> class_entropy(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(0.6931)
    """
    check_probs(probs)
    return torch.special.entr(probs.mean(dim=0)).sum()


def classifier_score(probs: Float[Tensor, "n n_classes"]) -> Float[Tensor, ""]:
    """A score between 1 and n_classes: exp of `class_entropy` less the mean entropy of the single rows.

    It's n_classes if each picture is surely of one class, and all classes are equally frequent. It's 1 if every picture
    looks the same to the classifier.

    >>> classifier_score(torch.tensor([[1.0, 0.0], [0.0, 1.0]])), classifier_score(torch.tensor([[0.6, 0.4], [0.6, 0.4]]))
    (tensor(2.), tensor(1.))
    """
    check_probs(probs)
    return torch.exp(class_entropy(probs) - torch.special.entr(probs).sum(dim=1).mean())


def make_judge() -> nn.Sequential:
    """A small classifier of 28 x 28 pictures: logits of ten classes.

    >>> make_judge()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train_judge(
    images: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"], *, n_epochs: int = 5, lr: float = 2e-3, seed: int = 0
) -> nn.Module:
    """The small classifier, trained by Adam on pictures with values from 0 to 1; it's returned in evaluation mode."""
    torch.manual_seed(seed)
    judge = make_judge()
    optimizer = torch.optim.Adam(judge.parameters(), lr=lr)
    for _ in range(n_epochs):
        for chosen in minibatches(torch.arange(len(images)), 64):
            loss = F.cross_entropy(judge(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return judge.eval()


@torch.no_grad()
def class_probabilities(judge: nn.Module, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n n_classes"]:
    """What the judge makes of pictures with values from 0 to 1; what lies outside is set to the nearer end."""
    return judge(images.clamp(0, 1)).softmax(dim=1)


def check_probs(probs: Tensor) -> None:
    """Refuse other than rows of probabilities."""
    if probs.ndim != 2 or not len(probs):
        raise ShapeError(f'probs must have the axes "n n_classes", at least one row: got shape {tuple(probs.shape)}.')
    if not torch.allclose(probs.sum(dim=1), torch.ones((), dtype=probs.dtype), atol=1e-3):
        sums = probs.sum(dim=1)
        raise ConfigError(
            f"every row of probs must add up to 1: got sums from {sums.min():.3f} to {sums.max():.3f}. "
            "Turn logits into probabilities by softmax."
        )
