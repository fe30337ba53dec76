"""Judges of the loss and the training step of section 1.1.

Shapes:  logits "batch seq d_vocab", tokens "batch seq" -> a scalar.
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise, outputs_and_gradients
from arena_lib.checking.cases import map_tensors
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


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Two settings of the optimizer, and test texts that don't fill the last batch."""
    settings = {
        "without weight decay": TransformerTrainingArgs(batch_size=2, lr=0.05, weight_decay=0.0),
        "with weight decay": TransformerTrainingArgs(batch_size=3, lr=0.02, weight_decay=0.5),
    }
    return [
        Case(
            label=label,
            args=(args,),
            given={
                "weights": {
                    "W_E": torch.randn(D_VOCAB, 4, generator=generator),
                    "W_U": torch.randn(4, D_VOCAB, generator=generator),
                },
                "train": torch.randint(0, D_VOCAB, (8, 5), generator=generator),
                "test": torch.randint(0, D_VOCAB, (7, 5), generator=generator),
            },
        )
        for label, args in settings.items()
    ]


def make_trainer(cls: Any, case: Case) -> Any:
    """A learner's trainer over a tiny model."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class TransformerTrainer itself: got {type(cls).__name__}.")
    given = map_tensors(torch.clone, dict(case.given))
    return cls(case.args[0], TinyModel(given["weights"]), given["train"], given["test"])


def three_steps(cls: Any, case: Case) -> Observations:
    """Losses and weights over three steps, from which gradients that pile up or an update that is missing can be seen."""
    trainer = make_trainer(cls, case)
    losses = [trainer.training_step({"tokens": batch}) for batch in case.given["train"][:6].split(2)]
    return {
        "loss of each step": losses,
        "whether the loss still holds its graph": any(isinstance(x, Tensor) and x.requires_grad for x in losses),
        "W_E after three steps": trainer.model.W_E.detach(),
        "W_U after three steps": trainer.model.W_U.detach(),
        "n_steps": trainer.n_steps,
    }


class TrainerStepByStep(lesson_training.TransformerTrainer):
    """Clears the gradients last, and calls torch's cross-entropy."""

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        self.model.train()
        logits = self.model(batch["tokens"])
        step_loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["tokens"][:, 1:].flatten())
        step_loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.n_steps = self.n_steps + 1
        return step_loss.detach()


KEPT = ["__init__", "train", "make_batches"]

test_training_step = exercise(
    name="training_step",
    reference=lesson_training.TransformerTrainer,
    cases=trainer_cases,
    observe=three_steps,
    keep=[*KEPT, "evaluate"],
    accepts=[TrainerStepByStep],
    mistakes=[
        Mistake(
            "never clears the gradients",
            "self.optimizer.zero_grad()\n",
            "pass\n",
            why="backward adds to what is there: without zero_grad each step also takes all earlier ones again",
        ),
        Mistake(
            "leaves the weights as they were",
            "        self.optimizer.step()\n",
            "",
            why="the optimizer's step is missing, or the gradients were cleared between backward and step",
        ),
        Mistake(
            "forgets to count the step",
            "self.n_steps += 1",
            "pass",
            why="n_steps is how anybody knows how far training is",
        ),
        Mistake(
            "returns the loss with its graph",
            "return loss.detach()",
            "return loss",
            why="a list of such losses would keep every step's activations in memory",
        ),
        Mistake(
            "takes two steps",
            "        self.optimizer.step()\n",
            "        self.optimizer.step()\n        self.optimizer.step()\n",
            why="one batch, one step",
        ),
        Mistake(
            "climbs instead of descending",
            "loss.backward()",
            "(-loss).backward()",
            why="the optimizer already goes against the gradient",
        ),
    ],
)


def accuracy(cls: Any, case: Case) -> Observations:
    """The accuracy, whether it was measured without gradients, and that nothing was trained."""
    trainer = make_trainer(cls, case)
    before = trainer.model.W_E.detach().clone()
    value = trainer.evaluate()
    return {
        "accuracy": value,
        "calls of the model that recorded gradients": trainer.model.n_calls_with_gradient,
        "whether the weights stayed as they were": torch.equal(before, trainer.model.W_E.detach()),
    }


class EvaluatorAtOnce(lesson_training.TransformerTrainer):
    """Reads all test texts in one batch."""

    @torch.no_grad()
    def evaluate(self) -> float:
        guessed = self.model(self.test_tokens)[:, :-1].argmax(-1)
        return (guessed == self.test_tokens[:, 1:]).float().mean().item()


test_evaluate = exercise(
    name="evaluate",
    reference=lesson_training.TransformerTrainer,
    cases=trainer_cases,
    observe=accuracy,
    keep=[*KEPT, "training_step"],
    accepts=[EvaluatorAtOnce],
    mistakes=[
        Mistake(
            "compares each guess with its own token",
            "predicted == tokens[:, 1:]",
            "predicted == tokens[:, :-1]",
            why="the guess at position i is about the token at position i + 1",
            within="TransformerTrainer.evaluate",
        ),
        Mistake(
            "measures on the training texts",
            "self.test_tokens.split",
            "self.train_tokens.split",
            why="a model can learn its training texts by heart: only unseen ones say what it has understood",
            within="TransformerTrainer.evaluate",
        ),
        Mistake(
            "averages the accuracies of the batches",
            "return n_right / n_all",
            "return sum(float((self.model(t)[:, :-1].argmax(-1) == t[:, 1:]).float().mean()) for t in self.test_tokens.split(self.args.batch_size)) / len(self.test_tokens.split(self.args.batch_size))",
            why="the last batch is smaller, and its texts would count more than the others",
            within="TransformerTrainer.evaluate",
        ),
        Mistake(
            "counts right guesses, not their share",
            "return n_right / n_all",
            "return float(n_right)",
            why="accuracy is the share of positions that were guessed right, from 0 to 1",
            within="TransformerTrainer.evaluate",
        ),
        Mistake(
            "records gradients while it measures",
            "@torch.inference_mode()",
            "",
            why="nothing is trained here: without gradients it is faster and takes less memory",
            within="TransformerTrainer.evaluate",
        ),
        Mistake(
            "counts the last position, which has no next token",
            "n_all += predicted.numel()",
            "n_all += tokens.numel()",
            why="only positions that have a next token can be judged",
            within="TransformerTrainer.evaluate",
        ),
    ],
)
