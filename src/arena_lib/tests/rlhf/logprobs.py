"""Judge of part 2 of section 2.4: how likely each token was."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.core.device import at_least_float32
from arena_lib.rlhf import logprobs
from arena_lib.rlhf.logprobs import check_prefix

__test__ = False


def logprob_cases(generator: torch.Generator) -> list[Case]:
    """Prompts of several lengths, no prompt, and logits far apart."""

    def case(
        label: str,
        sizes: tuple[int, int, int],
        *prefix_len: int | None,
        scale: float = 1.0,
        dtype: torch.dtype = torch.float32,
        raises: str = "",
    ) -> Case:
        logits = scale * torch.randn(*sizes, generator=generator, dtype=dtype)
        tokens = torch.randint(sizes[-1], sizes[:2], generator=generator)
        axes = {"output": "batch gen_len"}
        return Case(label=label, args=(logits, tokens, *prefix_len), axes=axes, raises=raises)

    return [
        case("a prompt of three tokens", (2, 8, 11), 3),
        case("no prompt", (3, 5, 7)),
        case("prefix_len is None", (2, 4, 9), None),
        case("a prompt of one token", (4, 6, 5), 1),
        case("one sample of two tokens", (1, 2, 6), 1),
        case("one token after the prompt", (3, 6, 8), 5),
        case("one sample", (1, 9, 4), 2),
        case("logits far apart", (3, 7, 6), 4, scale=500.0),
        case("in float64", (2, 5, 3), 2, dtype=torch.float64),
        case("a prompt without a token", (2, 6, 4), 0, raises="ShapeError"),
        case("a prompt that is all there is", (3, 4, 5), 4, raises="ShapeError"),
    ]


def logprobs_by_cross_entropy(logits: Tensor, tokens: Tensor, prefix_len: int | None = None) -> Tensor:
    """A cross-entropy for each token, with the sign turned."""
    first = check_prefix(prefix_len if prefix_len is not None else 1, tokens)
    predictions = logits[:, first - 1 : -1].transpose(1, 2)
    return -torch.nn.functional.cross_entropy(predictions, tokens[:, first:], reduction="none")


def logprobs_by_index(logits: Tensor, tokens: Tensor, prefix_len: int | None = None) -> Tensor:
    """Logit less normaliser, picked by the numbers of rows and places, of all tokens; then cut."""
    check_prefix(1 if prefix_len is None else prefix_len, tokens)
    logits, (batch, seq_len) = at_least_float32(logits), tokens.shape
    rows, places = torch.arange(batch)[:, None], torch.arange(seq_len - 1)
    chosen = logits[rows.to(tokens.device), places.to(tokens.device), tokens[:, 1:]]
    scores = chosen - logits[:, :-1].logsumexp(dim=-1)
    return scores if prefix_len is None else scores[:, prefix_len - 1 :]


SCORED = "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :])"
PICKED = ".gather(dim=-1, index=tokens[:, first:, None]).squeeze(-1)"

test_get_logprobs = exercise(
    reference=logprobs.get_logprobs,
    cases=logprob_cases,
    observe=outputs_and_gradients,
    accepts=[logprobs_by_cross_entropy, logprobs_by_index],
    mistakes=[
        *instead_of(
            SCORED,
            {
                f"logits[:, first:].log_softmax(dim=-1){PICKED}": (
                    "scores each token by the logits of its own place",
                    "the logits at a place guess at the next token: those of place t - 1 score token t",
                ),
                "logits[:, first - 1 : -1].log_softmax(dim=-1)"
                ".gather(dim=-1, index=tokens[:, first - 1 : -1, None]).squeeze(-1)": (
                    "scores the token that was just read",
                    "the logits at place t - 1 guess at token t, which comes next",
                ),
                f"logits.roll(2, dims=1)[:, first:].log_softmax(dim=-1){PICKED}": (
                    "scores each token by the logits two places before",
                    "the logits at place t - 1 guess at token t",
                ),
                f"logits[:, first - 1 : -1]{PICKED}.log_softmax(dim=-1)": (
                    "takes the softmax after choosing the tokens",
                    "the softmax needs the whole vocabulary: choose afterwards",
                ),
                f"logits[:, first - 1 : -1]{PICKED}": (
                    "takes the logits as they are",
                    "a log-probability is the logit less the logsumexp of its row: log_softmax",
                ),
                f"logits[:, first - 1 : -1].softmax(dim=-1){PICKED}": (
                    "gives probabilities",
                    "the logarithm of the probability is asked for",
                ),
                f"logits[:, first - 1 : -1].softmax(dim=-1).log(){PICKED}": (
                    "takes the softmax first, and then its logarithm",
                    "a small probability is 0 as a float, and log 0 is -inf: log_softmax does both in one",
                ),
                f"logits[:, first - 1 : -1].softmax(dim=-1){PICKED}.log()": (
                    "takes the softmax first, and then its logarithm",
                    "a small probability is 0 as a float, and log 0 is -inf: log_softmax does both in one",
                ),
                f"logits[:, first - 1 : -1].log_softmax(dim=1){PICKED}": (
                    "takes the softmax over places",
                    "the probabilities of all tokens at one place sum to 1: dim=-1",
                ),
                f"logits[:, first - 1 : -1].log_softmax(dim=0){PICKED}": (
                    "takes the softmax over the batch",
                    "the probabilities of all tokens at one place sum to 1: dim=-1",
                ),
                "logits[:, first - 1 : -1].log_softmax(dim=-1).amax(dim=-1)": (
                    "scores the likeliest token",
                    "the token that stands there is scored, whatever the policy thought best",
                ),
                "-next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :])": (
                    "gives the loss",
                    "log-probabilities are asked for, which are below 0: no minus",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]) / 0.6931471805599453": (
                    "measures in bits",
                    "log-probabilities are in nats, with the natural logarithm",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]).cumsum(dim=1)": (
                    "adds up the tokens before",
                    "each token has a log-probability of its own, given those before it",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]).detach()": (
                    "detaches the logits",
                    "the policy learns through its log-probabilities: gradients flow through logits",
                ),
                "next_token_logprobs(logits[:, first - 1 :].float(), tokens[:, first - 1 :])": (
                    "rounds to float32",
                    "logits in float64 give a result in float64",
                ),
                "next_token_logprobs(logits[:, first:], tokens[:, first:])": (
                    "leaves the first token after the prompt out",
                    "the prompt's last logits predict it: begin at place prefix_len - 1",
                ),
                "next_token_logprobs(logits, tokens)[:, : tokens.shape[1] - first]": (
                    "scores the first tokens in place of the last",
                    "the prompt stands first, and what counts comes after it",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]).sum(dim=1)": (
                    "adds up the tokens",
                    "each token has a log-probability of its own",
                ),
                "next_token_logprobs(logits, tokens)": (
                    "scores the prompt too",
                    "nobody drew the prompt: only tokens from place prefix_len on are scored",
                ),
            },
        ),
        *instead_of(
            "check_prefix(1 if prefix_len is None else prefix_len, tokens)",
            {
                "1 if prefix_len is None else prefix_len": (
                    "takes any prefix_len",
                    "one below 1, or that leaves no token to score, raises ShapeError: check_prefix does",
                ),
            },
        ),
        Mistake(
            "takes a prompt without a token for no prefix_len",
            "1 if prefix_len is None else prefix_len",
            "prefix_len or 1",
            why="0 is no prompt that can be scored, and raises ShapeError: ask `is None`",
        ),
        Mistake(
            "takes 2 for the length of the prompt where none is given",
            "1 if prefix_len is None",
            "2 if prefix_len is None",
            why="without prefix_len all tokens but the first are scored",
        ),
    ],
)
