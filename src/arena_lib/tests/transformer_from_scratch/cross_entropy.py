"""Judge of the loss of section 1.1.

Shapes:  logits "batch seq d_vocab", tokens "batch seq" -> a scalar.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.transformer import loss

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


def with_classes_last(logits: Tensor, tokens: Tensor) -> Tensor:
    """Leaves d_vocab on the last axis, where torch's function looks for it on axis 1."""
    return F.cross_entropy(logits[:, :-1], tokens[:, 1:])


def unshifted_with_classes_last(logits: Tensor, tokens: Tensor) -> Tensor:
    """As above, and compares each position with its own token."""
    return F.cross_entropy(logits, tokens)


def with_logits_too_many(logits: Tensor, tokens: Tensor) -> Tensor:
    """Shifts the tokens alone."""
    return F.cross_entropy(logits.mT, tokens[:, 1:])


def is_infinite_where_confident(seen: Sequence[Observations]) -> bool:
    """Whether the loss is infinite for confident logits, and for no others."""
    *others, confident = (torch.as_tensor(case["output"]) for case in seen)
    return bool(confident.isinf().all()) and all(bool(loss.isfinite().all()) for loss in others)


ON_AXIS_1 = "F.cross_entropy wants the classes on axis 1: flatten batch and seq, or transpose the last two axes"
LOGPROBS = "logits[:, :-1].log_softmax(dim=-1)"
OF_NEXT = "logprobs.gather(dim=-1, index=tokens[:, 1:, None])"

test_cross_entropy_next_token = exercise(
    reference=loss.cross_entropy_next_token,
    cases=logits_and_tokens_cases,
    observe=outputs_and_gradients,
    accepts=[cross_entropy_by_torch, cross_entropy_by_logsumexp],
    mistakes=[
        *instead_of(
            OF_NEXT,
            {
                "logprobs.gather(dim=-1, index=tokens[:, :-1, None])": (
                    "compares each position with its own token",
                    "the logits at position i guess the token at position i + 1: drop the first token, not the last",
                ),
                "logprobs[:, :-1].gather(dim=-1, index=tokens[:, 2:, None])": (
                    "shifts by two",
                    "the logits at position i guess the token at position i + 1",
                ),
                "logprobs.gather(dim=-1, index=tokens[:, 1:])": (
                    "gathers with an index that lacks the last axis",
                    "gather wants as many axes in the index as in the logits: unsqueeze the tokens, and squeeze afterwards",
                    "RuntimeError",
                ),
                "logprobs[[*range(len(tokens))], [*range(tokens.shape[1] - 1)], tokens[:, 1:]]": (
                    "indexes texts and positions with lists that don't broadcast",
                    "the index of texts needs an axis of its own, shape (batch, 1), beside that of positions; or use gather",
                ),
                "logprobs[:, :, tokens[:, 1:]]": (
                    "pairs every position with every token",
                    "tokens as an index of the last axis alone takes all of them at each position: use gather",
                ),
                "logprobs[0].gather(dim=-1, index=tokens[0, 1:, None])": (
                    "looks at the first text only",
                    "every text of the batch counts",
                ),
                f"{OF_NEXT}[:, -1:]": (
                    "looks at the last prediction only",
                    "every position but the last has a next token to be judged by",
                ),
                f"{OF_NEXT}[:, 1:]": ("skips the first prediction", "position 0 predicts the token at position 1"),
                f"{OF_NEXT}[:, :-1]": (
                    "drops the last prediction that can be judged",
                    "the last position with a next token is the last but one",
                ),
            },
        ),
        *instead_of(
            LOGPROBS,
            {
                "logits[:, 1:].log_softmax(dim=-1)": (
                    "compares each position but the first with its own token",
                    "drop the last logits, not the first: the logits at position i guess the token at position i + 1",
                ),
                "logits[:, :-1].reshape(len(logits), logits.shape[-1], -1).log_softmax(dim=1).mT": (
                    "brings d_vocab to the front by a reshape",
                    "reshape keeps the numbers in their order: flatten batch and seq, or transpose",
                ),
                "logits[:, :-1].softmax(dim=-1)": (
                    "takes the softmax without the log",
                    "cross-entropy is the mean of minus log-probabilities",
                ),
                "logits[:, :-1]": ("leaves the softmax out", "logits become log-probabilities by log_softmax"),
                "logits[:, :-1].softmax(dim=-1).log_softmax(dim=-1)": (
                    "takes the softmax twice",
                    "cross-entropy functions take logits, and apply the softmax themselves",
                ),
                "logits[:, :-1].log_softmax(dim=1)": (
                    "takes the softmax over the positions",
                    "at each position the probabilities of all tokens of the vocabulary sum to one",
                ),
                "(logits[:, :-1].softmax(dim=-1) + 1e-8).log()": (
                    "adds a small number before the log",
                    "a number added to the probability hides how wrong a confident guess is: log_softmax needs none",
                ),
                f"{LOGPROBS} / 0.6931471805599453": (
                    "measures in bits",
                    "the loss is in nats: use the natural logarithm",
                ),
                "logits[:, :-1].mT.reshape(logits[:, :-1].shape).log_softmax(dim=-1)": (
                    "reshapes with positions and vocabulary swapped",
                    "flatten batch and seq only; each row holds the scores of the whole vocabulary",
                ),
            },
        ),
        Mistake(
            "takes the log of a probability that was rounded to 0",
            LOGPROBS,
            "logits[:, :-1].softmax(dim=-1).log()",
            why="a small probability becomes 0 and its log -inf: log_softmax does both at once",
            shows=is_infinite_where_confident,
        ),
        Mistake(
            "leaves d_vocab on the last axis for F.cross_entropy",
            function=with_classes_last,
            why=ON_AXIS_1,
            raises="RuntimeError",
        ),
        Mistake(
            "does not shift at all, and leaves d_vocab on the last axis for F.cross_entropy",
            function=unshifted_with_classes_last,
            why=f"{ON_AXIS_1}; and drop the last logits and the first token",
            raises="RuntimeError",
        ),
        Mistake(
            "drops the first token, but not the last logits",
            function=with_logits_too_many,
            why="the last position has no next token: drop its logits, so that both have seq - 1 positions",
            raises="RuntimeError",
        ),
        *instead_of(
            "-logprobs_of_next.mean()",
            {
                "-logits[:, 1:].log_softmax(dim=-1).gather(dim=-1, index=tokens[:, :-1, None]).mean()": (
                    "compares each position with the token before its own",
                    "the logits at position i guess the token at i + 1: drop the last logits and the first token",
                ),
                "-logits[:-1].log_softmax(dim=-1).gather(dim=-1, index=tokens[1:, :, None]).mean()": (
                    "shifts along the batch",
                    "the next token stands in the same text: shift along the positions, the second axis",
                ),
                "logprobs_of_next.mean()": (
                    "forgets the minus sign",
                    "a loss must fall as the log-probability of what came rises",
                ),
                "logprobs_of_next.sum()": (
                    "sums the log-probabilities without the minus",
                    "the loss is the mean of minus log-probabilities",
                ),
                "-logits.log_softmax(dim=-1).gather(dim=-1, index=tokens[:, :, None]).sum()": (
                    "does not shift at all, and sums",
                    "the logits at position i guess the token at i + 1, and the mean of all guesses is asked for",
                ),
                "-logprobs_of_next.mean() / logits.shape[-1]": (
                    "divides by d_vocab",
                    "the mean goes over batch and positions: each has one token that came next",
                ),
                "-logprobs.mean()": (
                    "averages over all tokens of the vocabulary",
                    "only the token that came next counts: pick it with gather",
                ),
                "-logprobs.max(dim=-1).values.mean()": (
                    "takes the likeliest token, not the one that came next",
                    "the surprise at the token that really came is asked for",
                ),
                "-logprobs_of_next.exp().mean().log()": (
                    "takes the logarithm of the mean probability",
                    "each position's logarithm is taken first, and then the mean",
                ),
                "-logprobs_of_next.sum()": (
                    "sums instead of averaging",
                    "a mean doesn't depend on how many texts and positions there are",
                ),
                "-logprobs_of_next.sum(dim=1).mean()": (
                    "averages over the batch but sums over positions",
                    "the mean goes over every position of every text",
                ),
                "-logprobs_of_next.sum(dim=0).mean()": (
                    "averages over positions but sums over the batch",
                    "the mean goes over every position of every text",
                ),
                "-logprobs_of_next.sum() / tokens.numel()": (
                    "divides by the number of tokens, not of predictions",
                    "a text of seq tokens holds seq - 1 predictions",
                ),
                "(-logprobs_of_next.mean()).exp()": (
                    "returns the perplexity",
                    "the loss is the logarithm of the perplexity",
                ),
                "-logprobs_of_next.squeeze(-1)": (
                    "returns a loss for each position",
                    "the result is the mean over all positions",
                ),
                "-logprobs_of_next.mean().detach()": (
                    "cuts the gradient",
                    "training needs the gradient of the loss: no detach, numpy or new tensor on the way",
                ),
                "-logprobs_of_next.mean().item()": (
                    "returns a plain number",
                    "training needs the gradient of the loss: item() is for printing",
                ),
                "-logits.log_softmax(dim=-1).gather(dim=-1, index=tokens[:, :, None]).mean()": (
                    "does not shift at all",
                    "the logits at position i guess the token at i + 1: drop the last logits and the first token",
                ),
                "-logits.log_softmax(dim=-1).gather(dim=-1, index=tokens.roll(-1, 1)[:, :, None]).mean()": (
                    "compares the last position with the first token",
                    "roll goes round in a circle: the last position has no next token, so leave it out",
                ),
                "-logits.flatten(0, 1)[:-1].log_softmax(dim=-1).gather(dim=-1, index=tokens.flatten()[1:, None]).mean()": (
                    "lets the last position of a text predict the next text's first token",
                    "shift within each text, and flatten afterwards",
                ),
            },
        ),
    ],
)
