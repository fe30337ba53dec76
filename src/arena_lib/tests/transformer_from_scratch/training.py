"""Judges of the loss and the training step of section 1.1.

Shapes:  logits "batch seq d_vocab", tokens "batch seq" -> a scalar.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson_training, loss
from arena_lib.transformer.lesson_training import TransformerTrainingArgs

__test__ = False

D_VOCAB = 6


def logits_and_tokens_cases(generator: torch.Generator) -> list[Case]:
    """Uneven sizes, the shortest text with something to predict, and confident logits."""
    shapes = {"several texts": (3, 5, 2.0), "two tokens": (1, 2, 2.0), "confident logits": (2, 4, 60.0)}
    return [
        Case(
            label=label,
            args=(
                scale * torch.randn(batch, seq, D_VOCAB, generator=generator),
                torch.randint(0, D_VOCAB, (batch, seq), generator=generator),
            ),
            axes={"gradient of logits": "batch seq d_vocab"},
        )
        for label, (batch, seq, scale) in shapes.items()
    ]


def cross_entropy_by_torch(logits: Tensor, tokens: Tensor) -> Tensor:
    """Flattens, and calls torch's own."""
    return F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))


def cross_entropy_by_logsumexp(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log of the sum of exponentials, less the logit of the token that came."""
    right = logits[:, :-1].gather(2, tokens[:, 1:].unsqueeze(2)).squeeze(2)
    return (torch.logsumexp(logits[:, :-1], dim=2) - right).mean()


def cross_entropy_without_shift(logits: Tensor, tokens: Tensor) -> Tensor:
    """The mistake of comparing every position with its own token."""
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


test_cross_entropy_next_token = exercise(
    reference=loss.cross_entropy_next_token,
    cases=logits_and_tokens_cases,
    observe=outputs_and_gradients,
    accepts=[cross_entropy_by_torch, cross_entropy_by_logsumexp],
    mistakes=[
        Mistake(
            "compares each position with its own token",
            "tokens[:, 1:, None]",
            "tokens[:, :-1, None]",
            why="the logits at position i guess the token at position i + 1: shift the tokens by one",
        ),
        Mistake(
            "does not shift at all",
            function=cross_entropy_without_shift,
            why="the logits at position i guess the token at i + 1: drop the last logits and the first token",
        ),
        Mistake(
            "forgets the minus sign",
            "return -logprobs_of_next.mean()",
            "return logprobs_of_next.mean()",
            why="a loss must fall as the log-probability of what came rises",
        ),
        Mistake(
            "sums where it should take the mean",
            ".mean()",
            ".sum()",
            why="a mean doesn't depend on how many texts and positions there are",
        ),
        Mistake(
            "averages over the batch but sums over positions",
            "-logprobs_of_next.mean()",
            "-logprobs_of_next.sum(dim=1).mean()",
            why="the mean goes over every position of every text",
        ),
        Mistake(
            "takes the softmax without the log",
            ".log_softmax(dim=-1)",
            ".softmax(dim=-1)",
            why="cross-entropy is the mean of minus log-probabilities",
        ),
        Mistake(
            "takes the softmax over the positions",
            ".log_softmax(dim=-1)",
            ".log_softmax(dim=1)",
            why="at each position the probabilities of all tokens of the vocabulary sum to one",
        ),
        Mistake(
            "skips the first prediction",
            "logprobs_of_next.mean()",
            "logprobs_of_next[:, -1:].mean()",
            why="every position but the last has a next token to be judged by",
        ),
        Mistake(
            "drops the last prediction that can be judged",
            "-logprobs_of_next.mean()",
            "-(logprobs_of_next[:, :-1].sum() / logprobs_of_next.numel())",
            why="the last position with a next token is the last but one",
        ),
        Mistake(
            "cuts the gradient",
            "-logprobs_of_next.mean()",
            "-logprobs_of_next.mean().detach().requires_grad_()",
            why="training needs the gradient of the loss: no item, detach or new tensor on the way",
        ),
    ],
)


class TinyModel(nn.Module):
    """An embedding and an unembedding: just enough to be trained."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.W_E = nn.Parameter(weights["W_E"].clone())
        self.W_U = nn.Parameter(weights["W_U"].clone())
        self.n_calls_with_gradient = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits "batch seq d_vocab"."""
        self.n_calls_with_gradient += torch.is_grad_enabled()
        return self.W_E[tokens] @ self.W_U


def training_cases(generator: torch.Generator) -> list[Case]:
    """Two optimizers, and test texts that don't fill the last batch."""
    settings = {"without weight decay": (2, 0.05, 0.0), "with weight decay": (3, 0.02, 0.5)}
    return [
        Case(
            label=label,
            given={
                "batch_size": batch_size,
                "adamw": {"lr": lr, "weight_decay": weight_decay},
                "weights": {
                    "W_E": torch.randn(D_VOCAB, 4, generator=generator),
                    "W_U": torch.randn(4, D_VOCAB, generator=generator),
                },
                "train": torch.randint(0, D_VOCAB, (8, 5), generator=generator),
                "test": torch.randint(0, D_VOCAB, (7, 5), generator=generator),
            },
        )
        for label, (batch_size, lr, weight_decay) in settings.items()
    ]


def three_steps(function: Callable[..., Any], case: Case) -> Observations:
    """Losses and weights over three steps: gradients that pile up or an update that is missing can be seen."""
    model = TinyModel(case.given["weights"])
    optimizer = torch.optim.AdamW(model.parameters(), **case.given["adamw"])
    losses = [function(model, optimizer, batch) for batch in case.given["train"][:6].split(2)]
    return {
        "loss of each step": losses,
        "whether the loss still holds its graph": any(isinstance(x, Tensor) and x.requires_grad for x in losses),
        "W_E after three steps": model.W_E.detach(),
        "W_U after three steps": model.W_U.detach(),
    }


def step_of_trainer(obj: Any) -> Any:
    """A class with a method training_step(batch), as some notebooks have it, as a function of model, optimizer and tokens."""
    if not isinstance(obj, type):
        return obj

    def training_step(model: nn.Module, optimizer: Any, tokens: Tensor) -> Tensor:
        trainer = obj(TransformerTrainingArgs(), model, tokens, tokens)
        trainer.optimizer = optimizer
        loss_before: Tensor = trainer.training_step({"tokens": tokens})
        return loss_before

    return training_step


def training_step_clearing_last(model: nn.Module, optimizer: Any, tokens: Tensor) -> Tensor:
    """Clears the gradients last, and calls torch's cross-entropy."""
    logits = model(tokens)
    step_loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    step_loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return step_loss.detach()


test_training_step = exercise(
    reference=lesson_training.training_step,
    cases=training_cases,
    observe=three_steps,
    adapt=step_of_trainer,
    accepts=[training_step_clearing_last],
    mistakes=[
        Mistake(
            "never clears the gradients",
            "optimizer.zero_grad()\n",
            "pass\n",
            why="backward adds to what is there: without zero_grad each step also takes all earlier ones again",
        ),
        Mistake(
            "leaves the weights as they were",
            "    optimizer.step()\n",
            "",
            why="the optimizer's step is missing, or the gradients were cleared between backward and step",
        ),
        Mistake(
            "returns the loss with its graph",
            "return loss.detach()",
            "return loss",
            why="a list of such losses would keep every step's activations in memory",
        ),
        Mistake(
            "takes two steps",
            "    optimizer.step()\n",
            "    optimizer.step()\n    optimizer.step()\n",
            why="one batch, one step",
        ),
        Mistake(
            "climbs instead of descending",
            "loss.backward()",
            "(-loss).backward()",
            why="the optimizer already goes against the gradient",
        ),
        Mistake(
            "returns the loss after the step",
            "return loss.detach()",
            "return cross_entropy_next_token(model(tokens), tokens).detach()",
            why="the loss that the step was made from is asked for: it costs no second pass through the model",
        ),
    ],
)


def accuracy(function: Callable[..., Any], case: Case) -> Observations:
    """The accuracy, whether it was measured without gradients, and that nothing was trained."""
    model = TinyModel(case.given["weights"])
    value = function(model, case.given["test"], case.given["batch_size"])
    return {
        "accuracy": value,
        "calls of the model that recorded gradients": model.n_calls_with_gradient,
        "whether the weights stayed as they were": torch.equal(case.given["weights"]["W_E"], model.W_E.detach()),
    }


def accuracy_of_trainer(obj: Any) -> Any:
    """A class with a method evaluate(), as some notebooks have it, as a function of model, texts and batch size."""
    if not isinstance(obj, type):
        return obj

    def measure_accuracy(model: nn.Module, test_tokens: Tensor, batch_size: int) -> Any:
        return obj(TransformerTrainingArgs(batch_size=batch_size), model, test_tokens, test_tokens).evaluate()

    return measure_accuracy


@torch.no_grad()
def measure_accuracy_at_once(model: nn.Module, test_tokens: Tensor, batch_size: int) -> float:
    """Reads all texts in one batch."""
    guessed = model(test_tokens)[:, :-1].argmax(-1)
    return (guessed == test_tokens[:, 1:]).float().mean().item()


test_measure_accuracy = exercise(
    reference=lesson_training.measure_accuracy,
    cases=training_cases,
    observe=accuracy,
    adapt=accuracy_of_trainer,
    accepts=[measure_accuracy_at_once],
    mistakes=[
        Mistake(
            "compares each guess with its own token",
            "predicted == tokens[:, 1:]",
            "predicted == tokens[:, :-1]",
            why="the guess at position i is about the token at position i + 1",
        ),
        Mistake(
            "averages the accuracies of the batches",
            "return n_right / n_all",
            "means = [(model(t)[:, :-1].argmax(-1) == t[:, 1:]).float().mean() for t in test_tokens.split(batch_size)]\n    return float(sum(means) / len(means))",
            why="the last batch is smaller, and its texts would count more than the others",
        ),
        Mistake(
            "counts right guesses, not their share",
            "return n_right / n_all",
            "return float(n_right)",
            why="accuracy is the share of positions that were guessed right, from 0 to 1",
        ),
        Mistake(
            "records gradients while it measures",
            "@torch.inference_mode()",
            "",
            why="nothing is trained here: without gradients it is faster and takes less memory",
        ),
        Mistake(
            "counts the last position, which has no next token",
            "n_all += predicted.numel()",
            "n_all += tokens.numel()",
            why="only positions that have a next token can be judged",
        ),
        Mistake(
            "takes the least likely token as the guess",
            "argmax",
            "argmin",
            why="the guess is the token with the largest logit",
        ),
    ],
)
