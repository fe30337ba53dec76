"""Judges of the training step and of the accuracy of section 1.1.

Shapes:  tokens "batch seq" -> a scalar.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson_training
from arena_lib.transformer.lesson_training import TransformerTrainingArgs

__test__ = False

D_VOCAB = 6


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


def tiny_weights(generator: torch.Generator) -> dict[str, Tensor]:
    """Weights of a TinyModel."""
    return {
        "W_E": torch.randn(D_VOCAB, 4, generator=generator),
        "W_U": torch.randn(4, D_VOCAB, generator=generator),
    }


def training_cases(generator: torch.Generator) -> list[Case]:
    """Three optimizers; gradients lie there before one of the calls."""
    optimizers: dict[str, tuple[Any, dict[str, float], bool]] = {
        "three steps of SGD": (torch.optim.SGD, {"lr": 0.3, "momentum": 0.5}, False),
        "three steps of AdamW": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.5}, False),
        "gradients that were there before": (torch.optim.SGD, {"lr": 0.1}, True),
    }
    return [
        Case(
            label=label,
            call="model, optimizer, tokens",
            given={
                "optimizer": (kind, settings),
                "has_old_gradients": has_old_gradients,
                "weights": tiny_weights(generator),
                "train": torch.randint(0, D_VOCAB, (6, 5), generator=generator),
            },
        )
        for label, (kind, settings, has_old_gradients) in optimizers.items()
    ]


def three_steps(function: Callable[..., Any], case: Case) -> Observations:
    """Losses and weights over three steps: gradients that pile up or an update that is missing can be seen."""
    model = TinyModel(case.given["weights"])
    kind, settings = case.given["optimizer"]
    optimizer = kind(model.parameters(), **settings)
    if case.given["has_old_gradients"]:
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
    losses = [function(model, optimizer, batch) for batch in case.given["train"].split(2)]
    return {
        "loss of each step": losses,
        "a loss still holds its graph": any(isinstance(x, Tensor) and x.requires_grad for x in losses),
        "W_E after three steps": model.W_E.detach(),
        "W_U after three steps": model.W_U.detach(),
    }


def step_of_trainer(obj: Any) -> Any:
    """A class with a method training_step(batch), as some notebooks have it, as a function of model, optimizer and tokens."""
    if not isinstance(obj, type):
        return obj

    trainers: dict[nn.Module, Any] = {}

    def training_step(model: nn.Module, optimizer: Any, tokens: Tensor) -> Tensor:
        if model not in trainers:
            optimizer.zero_grad()  # a trainer that begins finds no gradients, so it may clear them after each step
            trainers[model] = obj(TransformerTrainingArgs(), model, tokens, tokens)
            trainers[model].optimizer = optimizer
        loss_before: Tensor = trainers[model].training_step({"tokens": tokens})
        return loss_before

    return training_step


def training_step_clearing_twice(model: nn.Module, optimizer: Any, tokens: Tensor) -> Tensor:
    """Clears the gradients first and last, and calls torch's cross-entropy."""
    model.zero_grad()
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
    accepts=[training_step_clearing_twice],
    mistakes=[
        *instead_of(
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n",
            {
                "    loss.backward()\n    optimizer.step()\n": (
                    "never clears the gradients",
                    "backward adds to what is there: without zero_grad each step also takes all earlier ones again",
                ),
                "    loss.backward()\n    optimizer.step()\n    optimizer.zero_grad()\n": (
                    "clears the gradients only after the step",
                    "gradients may lie there before the call: clear them before backward",
                ),
                "    loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()\n": (
                    "does not change the weights",
                    "the optimizer's step is missing, or the gradients were cleared between backward and step",
                ),
                "    optimizer.step()\n    optimizer.zero_grad()\n    loss.backward()\n": (
                    "takes the step before backward",
                    "the step uses the gradients that lie there: clear, backward, step is the order",
                    "RuntimeError",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    optimizer.step()\n": (
                    "takes two steps",
                    "each call takes one step, on one batch",
                ),
                "    optimizer.zero_grad()\n    (-loss).backward()\n    optimizer.step()\n": (
                    "climbs instead of descending",
                    "the optimizer already goes against the gradient",
                ),
                "    optimizer.zero_grad()\n    (loss * tokens[:, 1:].numel()).backward()\n    optimizer.step()\n": (
                    "steps by the sum of the losses",
                    "the gradient of the loss itself, a mean, is asked for",
                ),
                "    optimizer.zero_grad()\n    (2 * loss).backward()\n    optimizer.step()\n": (
                    "doubles the loss before backward",
                    "the gradient is that of the loss itself",
                ),
                "    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)\n"
                "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n": (
                    "makes an optimizer of its own",
                    "the optimizer is given: it remembers earlier steps, and has its own learning rate",
                ),
            },
        ),
        *instead_of(
            "loss = cross_entropy_next_token(model(tokens), tokens)",
            {
                "loss = cross_entropy_next_token(model(tokens), tokens) * tokens[:, 1:].numel()": (
                    "sums the loss instead of averaging it",
                    "cross_entropy_next_token is the mean over all positions that have a next token",
                ),
                "loss = cross_entropy_next_token(model(tokens[:1]), tokens[:1])": (
                    "learns from the first text only",
                    "every text of the batch counts",
                ),
                "loss = cross_entropy_next_token(model(tokens[:, :-1]), tokens[:, :-1])": (
                    "leaves the last token out",
                    "cross_entropy_next_token shifts by itself: give it all tokens",
                ),
                "loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())": (
                    "doesn't shift the tokens",
                    "the logits at position i guess the token at i + 1",
                ),
                "loss = nn.functional.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, :-1].flatten())": (
                    "compares each position with its own token",
                    "the logits at position i guess the token at i + 1",
                ),
            },
        ),
        *instead_of(
            "return loss.detach()",
            {
                "return loss": (
                    "returns the loss with its graph",
                    "the loss is detached; else a list of losses would keep every step's activations in memory",
                ),
                "return cross_entropy_next_token(model(tokens), tokens).detach()": (
                    "returns the loss after the step",
                    "the result is the loss that the step was made from, which needs no second pass through the model",
                ),
                "return loss.item()": ("returns a plain number", "a tensor without a graph is asked for: detach"),
                "pass": ("returns nothing", "the result is the loss before the step"),
            },
        ),
    ],
)


def accuracy_cases(generator: torch.Generator) -> list[Case]:
    """Texts that don't fill the last batch, and one batch for all."""
    return [
        Case(
            label=label,
            call=f"model, test_tokens, batch_size={batch_size}",
            given={
                "batch_size": batch_size,
                "weights": tiny_weights(generator),
                "test": torch.randint(0, D_VOCAB, (n_test, 5), generator=generator),
            },
        )
        for label, batch_size, n_test in [("7 texts", 2, 7), ("11 texts", 3, 11), ("fewer texts than a batch", 9, 4)]
    ]


def accuracy(function: Callable[..., Any], case: Case) -> Observations:
    """The accuracy, whether it was measured without gradients, and that nothing was trained."""
    model = TinyModel(case.given["weights"])
    value = function(model, case.given["test"], case.given["batch_size"])
    return {
        "accuracy": value,
        "calls of the model that recorded gradients": model.n_calls_with_gradient,
        "the weights are as they were": torch.equal(case.given["weights"]["W_E"], model.W_E.detach()),
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
    cases=accuracy_cases,
    observe=accuracy,
    adapt=accuracy_of_trainer,
    accepts=[measure_accuracy_at_once],
    mistakes=[
        *instead_of(
            "    predicted = model(tokens)[:, :-1].argmax(dim=-1)\n        n_right += int((predicted == tokens[:, 1:]).sum())",
            {
                "    predicted = model(tokens)[:, :-1].argmax(dim=-1)\n"
                "        n_right += int((predicted == tokens[:, :-1]).sum())": (
                    "compares each guess with its own token",
                    "the guess at position i is about the token at position i + 1",
                ),
                "    predicted = model(tokens).argmax(dim=-1)\n        n_right += int((predicted == tokens).sum())": (
                    "does not shift at all",
                    "the guess at position i is about the token at i + 1: drop the last guess and the first token",
                ),
                "    predicted = model(tokens)[:, 1:].argmax(dim=-1)\n"
                "        n_right += int((predicted == tokens[:, :-1]).sum())": (
                    "compares each guess with the token before its own",
                    "drop the last guess and the first token, not the reverse",
                ),
                "    predicted = model(tokens)[:, 1:-1].argmax(dim=-1)\n"
                "        n_right += int((predicted == tokens[:, 2:]).sum())": (
                    "skips the first prediction",
                    "position 0 predicts the token at position 1",
                ),
                "    predicted = model(tokens)[:, :-1].topk(2).indices == tokens[:, 1:, None]\n"
                "        n_right += int(predicted.sum())\n        predicted = predicted[..., 0]": (
                    "counts the second likeliest token as right too",
                    "the guess is the token with the largest logit",
                ),
                "    predicted = model(tokens)[:, -2:-1].argmax(dim=-1)\n"
                "        n_right += int((predicted == tokens[:, -1:]).sum())": (
                    "looks at the last token only",
                    "every position that has a next token counts",
                ),
                "    predicted = model(tokens)[:, :-1].argmin(dim=-1)\n"
                "        n_right += int((predicted == tokens[:, 1:]).sum())": (
                    "takes the least likely token as the guess",
                    "the guess is the token with the largest logit",
                ),
                "    predicted = (model(tokens)[:, :-1].argmax(dim=-1) == tokens[:, 1:]).all(dim=1)\n"
                "        n_right += int(predicted.sum())": (
                    "counts only texts whose guesses are all right",
                    "each position counts by itself",
                ),
                "    predicted = model(tokens)[:, :-1].softmax(dim=-1).gather(-1, tokens[:, 1:, None])\n"
                "        n_right += predicted.sum().item()": (
                    "averages the probability of the right token",
                    "a guess is right or wrong: compare the token with the largest logit",
                ),
            },
        ),
        *instead_of(
            "return n_right / n_all",
            {
                "means = [(model(t)[:, :-1].argmax(-1) == t[:, 1:]).float().mean() for t in test_tokens.split(batch_size)]\n"
                "    return float(sum(means) / len(means))": (
                    "averages the accuracies of the batches",
                    "the last batch is smaller, and its texts would count more than the others",
                ),
                "return float(n_right)": (
                    "counts right guesses, not their share",
                    "accuracy is the share of positions that were guessed right, from 0 to 1",
                ),
                "return n_right / len(test_tokens)": (
                    "divides by the number of texts",
                    "divide by the number of positions that have a next token",
                ),
                "return n_right / test_tokens.numel()": (
                    "counts the last position, which has no next token",
                    "only positions that have a next token can be judged",
                ),
                "return n_right / (-(-len(test_tokens) // batch_size) * batch_size * (test_tokens.shape[1] - 1))": (
                    "divides as if the last batch were full",
                    "the last batch may be smaller: count the positions of each",
                ),
                "return 100 * n_right / n_all": ("returns percent", "accuracy is a share, from 0 to 1"),
                "return 1 - n_right / n_all": ("returns the share of wrong guesses", "count where the guess is right"),
            },
        ),
        *instead_of(
            "for tokens in test_tokens.split(batch_size)",
            {
                "for tokens in test_tokens[: len(test_tokens) // batch_size * batch_size].split(batch_size)": (
                    "drops the last, smaller batch",
                    "every text counts: the last batch may be smaller",
                ),
                "for tokens in [test_tokens[:batch_size]]": (
                    "measures the first batch only",
                    "return after the loop, not inside it",
                ),
                "for tokens in [test_tokens.split(batch_size)[-1]]": (
                    "measures the last batch only",
                    "add up the counts of all batches: +=, not =",
                ),
            },
        ),
        Mistake(
            "records gradients while it measures",
            "@torch.inference_mode()",
            "",
            why="nothing is trained here, and without gradients the model is faster and needs less memory",
        ),
    ],
)
