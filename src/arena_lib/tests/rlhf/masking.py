"""Judges of part 2 of section 2.4: which tokens count, means over them, and how likely they were."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.rlhf import logprobs, masking

__test__ = False


def response_cases(generator: torch.Generator) -> list[Case]:
    """End-of-text once, often, at either end and nowhere; ids that are 0 or aren't; none at all."""
    calls = {
        "one end of text in each": ([[5, 6, 0, 3, 3], [7, 0, 2, 9, 4], [8, 6, 5, 3, 0]], 0),
        "several in a row": ([[5, 2, 2, 2, 2, 2], [4, 5, 2, 7, 2, 1]], 2),
        "at the very beginning": ([[9, 1, 1, 9], [1, 9, 4, 4], [9, 9, 9, 9]], 9),
        "nowhere": ([[3, 4, 5], [5, 3, 3], [4, 0, 5], [1, 2, 6], [7, 7, 8]], 2),
        "one sample": ([[4, 4, 4, 6, 4, 4, 4]], 6),
        "one token each": ([[1], [3], [1], [2]], 1),
        "nothing ends a sample": ([[5, 0, 0, 2, 1], [0, 5, 2, 2, 1]], None),
    }
    cases = [
        Case(label=label, args=(torch.tensor(tokens), end), axes={"output": "batch gen_len"})
        for label, (tokens, end) in calls.items()
    ]
    return [*cases, Case(label="no end of text is named", args=(torch.tensor([[0, 1, 0], [2, 0, 0]]),))]


def responses_by_loop(tokens: Tensor, end_of_text: int | None = None) -> Tensor:
    """Sample by sample, up to the first end-of-text."""
    is_response = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, drawn in zip(is_response, tokens.tolist(), strict=True):
        length = drawn.index(end_of_text) + 1 if end_of_text in drawn else len(drawn)
        row[:length] = True
    return is_response


def responses_by_lengths(tokens: Tensor, end_of_text: int | None = None) -> Tensor:
    """From the place of the first end-of-text."""
    gen_len = tokens.shape[1]
    if end_of_text is None:
        return torch.full_like(tokens, True, dtype=torch.bool)
    is_end = tokens == end_of_text
    last = torch.where(is_end.any(dim=1), is_end.long().argmax(dim=1), gen_len)
    return torch.arange(gen_len).unsqueeze(0) <= last.unsqueeze(1)


BEFORE = "is_end.cumsum(dim=1) - is_end.long()"

test_find_responses = exercise(
    reference=masking.find_responses,
    cases=response_cases,
    accepts=[responses_by_loop, responses_by_lengths],
    mistakes=[
        *instead_of(
            BEFORE,
            {
                "is_end.cumsum(dim=1)": (
                    "does not count the end-of-text",
                    "the policy drew the end-of-text too, so it has to learn when to stop",
                ),
                "is_end.long()": (
                    "leaves out the end-of-texts alone",
                    "what stands after the first end-of-text is filling, whichever token it is",
                ),
                "is_end.cumsum(dim=0) - is_end.long()": (
                    "counts ends over samples",
                    "a sample's tokens stand along the second axis: dim=1",
                ),
                "(is_end.cumsum(dim=1) - is_end.long()).clamp(min=1) - 1": (
                    "goes on to the second end-of-text",
                    "the first end-of-text ends a sample",
                ),
                "is_end.any(dim=0).cumsum(dim=0).expand_as(is_end) - is_end.any(dim=0).long()": (
                    "ends all samples at once",
                    "each sample has an end of its own",
                ),
                "(is_end.cumsum(dim=1) - is_end.long()).roll(1, dims=1) * (torch.arange(tokens.shape[1]) > 0)": (
                    "goes on to the token after the end-of-text",
                    "the end-of-text is the last token that counts",
                ),
            },
        ),
        *instead_of(
            "return n_ends_before == 0",
            {
                "return n_ends_before != 0": (
                    "gives the filling in place of the response",
                    "True stands where a token was drawn",
                ),
                "return (n_ends_before == 0).long()": (
                    "gives 1 and 0",
                    "a mask is of type bool: where and masked_fill ask for that, and indexing with 0 and 1 means another thing",
                ),
                "return (n_ends_before == 0) & is_end.any(dim=1, keepdim=True)": (
                    "takes a sample without an end-of-text for empty",
                    "where no end-of-text was drawn all tokens were",
                ),
                "return (n_ends_before == 0) & ~is_end[:, :1]": (
                    "takes a sample that ends at once for empty",
                    "an end-of-text in the first place was drawn too",
                ),
            },
        ),
        *instead_of(
            "if end_of_text is None",
            {
                "if not end_of_text": (
                    "takes an end-of-text of 0 for none",
                    "0 is false in Python: ask for `is None`",
                ),
                "end_of_text = end_of_text or 0\n    if end_of_text is None": (
                    "takes 0 for the end-of-text where none is named",
                    "without an end-of-text all tokens were drawn",
                ),
            },
        ),
        Mistake(
            "looks for 0",
            "is_end = tokens == end_of_text",
            "is_end = tokens == 0",
            why="end_of_text says which token ends a sample",
        ),
        Mistake(
            "looks for the last end-of-text",
            f"n_ends_before = {BEFORE}",
            "n_ends_before = (is_end.flip(1).cumsum(dim=1).flip(1) == 0) & is_end.any(dim=1, keepdim=True)",
            why="the first one ends a sample; filling often is the same token again and again",
        ),
    ],
)


def mean_cases(generator: torch.Generator) -> list[Case]:
    """Axes one, two and three; masks of few and all; filling that would spoil a mean; no mask."""

    def case(label: str, *shape: int, filling: float = 40.0, dtype: torch.dtype = torch.float32) -> Case:
        values = torch.randn(*shape, generator=generator, dtype=dtype) + 0.8
        mask = torch.rand(*shape, generator=generator) < 0.5
        mask.view(-1)[-1] = True
        return Case(label=label, args=(values.where(mask, filling), mask))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) + 0.5

    return [
        case("two axes", 4, 6),
        case("one axis", 7),
        case("three axes", 3, 5, 2),
        case("one row", 1, 9),
        Case(label="one value counts", args=(draw(3, 4), torch.arange(12).reshape(3, 4) == 5)),
        Case(label="everything counts", args=(draw(2, 5), torch.ones(2, 5, dtype=torch.bool))),
        Case(
            label="a row where nothing counts", args=(draw(3, 2), torch.tensor([[True, True], [False] * 2, [True] * 2]))
        ),
        case("NaN where nothing counts", 5, 3, filling=float("nan")),
        case("-inf where nothing counts", 6, 2, filling=float("-inf")),
        case("in float64", 2, 8, dtype=torch.float64),
        Case(label="no mask", args=(draw(4, 3),)),
        Case(label="no mask, one axis", args=(draw(6), None)),
    ]


def mean_by_index(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Takes out what counts."""
    return torch.mean(values if mask is None else values[mask])


def mean_by_weights(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Each counted value has the same weight."""
    counts = torch.ones_like(values, dtype=torch.bool) if mask is None else mask
    weights = counts.to(values.dtype) / counts.sum()
    return (values.masked_fill(~counts, 0) * weights).sum()


MEAN = "values.where(mask, 0.0).sum() / mask.sum()"

test_masked_mean = exercise(
    reference=masking.masked_mean,
    cases=mean_cases,
    observe=outputs_and_gradients,
    accepts=[mean_by_index, mean_by_weights],
    equivalent={"require_same_shape(values, mask)": "values and mask have one shape here"},
    mistakes=[
        *instead_of(
            MEAN,
            {
                "values.mean()": ("counts everything", "only values where the mask is True count"),
                "values.where(mask, 0.0).mean()": (
                    "divides by the number of all values",
                    "the sum is divided by the number of those that count: mask.sum()",
                ),
                "(values * mask).sum() / mask.sum()": (
                    "multiplies by the mask",
                    "0 * NaN is NaN: choose with where or masked_fill, or by index",
                ),
                "values.where(mask, 0.0).sum()": ("gives the sum", "a mean is the sum divided by how many count"),
                "values.where(~mask, 0.0).sum() / (~mask).sum()": (
                    "takes the mean of what does not count",
                    "True stands where a value counts",
                ),
                "(values.where(mask, 0.0).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)).mean()": (
                    "averages rows first",
                    "all values that count have the same weight, however many their row has",
                ),
                "values.where(mask, 0.0).sum(dim=-1) / mask.sum(dim=-1)": (
                    "gives a mean for each row",
                    "one number over all axes is asked for",
                ),
                "values.where(mask, 0.0).sum() / (mask.sum() + 1)": (
                    "divides by one too many",
                    "the sum is divided by just how many count",
                ),
                "values.where(mask, 0.0).sum() / len(values)": (
                    "divides by the length of the first axis",
                    "the sum is divided by how many count: mask.sum()",
                ),
                "values.detach().where(mask, 0.0).sum() / mask.sum()": (
                    "detaches the values",
                    "a loss is made of this mean: gradients must flow through values",
                ),
                "values.masked_fill_(~mask, 0.0).sum() / mask.sum()": (
                    "writes into the values",
                    "values stay as they are: masked_fill_ writes into them, masked_fill makes a new tensor",
                ),
                "(values.where(mask, 0.0).sum() / mask.sum()).float()": (
                    "rounds to float32",
                    "the result has the dtype of the values",
                ),
            },
        ),
        *instead_of(
            "return values.mean()",
            {
                "return values.sum()": ("gives the sum where there is no mask", "without a mask it's the mean of all"),
                "return values.mean(dim=-1)": (
                    "gives a mean for each row where there is no mask",
                    "one number over all axes is asked for",
                ),
            },
        ),
    ],
)


def logprob_cases(generator: torch.Generator) -> list[Case]:
    """Prompts of no, one and several tokens; the longest that leaves a token; logits so large that exp overflows."""

    def case(
        label: str,
        sizes: tuple[int, int, int],
        *prefix_len: int | None,
        scale: float = 2.0,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        batch, seq_len, d_vocab = sizes
        logits = scale * torch.randn(*sizes, generator=generator, dtype=dtype) + 1.0
        tokens = torch.randint(d_vocab, (batch, seq_len), generator=generator)
        return Case(label=label, args=(logits, tokens, *prefix_len), axes={"output": "batch gen_len"})

    return [
        case("a prompt of three tokens", (2, 7, 5), 3),
        case("no prefix is given", (3, 5, 7)),
        case("the prefix is None", (2, 4, 9), None),
        case("a prompt of one token", (4, 6, 3), 1),
        case("a prompt that leaves one token", (3, 8, 6), 7),
        case("one sample of two tokens", (1, 2, 4), 1),
        case("large logits", (2, 6, 8), 2, scale=200.0),
        case("in float64", (3, 6, 4), 4, dtype=torch.float64),
    ]


def logprobs_by_cross_entropy(logits: Tensor, tokens: Tensor, prefix_len: int | None = None) -> Tensor:
    """The cross entropy of each token, with a minus."""
    start = prefix_len or 1
    predicted = logits[:, start - 1 : -1].transpose(1, 2)
    return -torch.nn.functional.cross_entropy(predicted, tokens[:, start:], reduction="none")


def logprobs_by_logsumexp(logits: Tensor, tokens: Tensor, prefix_len: int | None = None) -> Tensor:
    """The logit of each token less the logarithm of the sum, cut at the end."""
    batch, place = torch.arange(len(tokens))[:, None], torch.arange(tokens.shape[1] - 1)
    chosen = logits[batch, place, tokens[:, 1:]] - logits[:, :-1].logsumexp(dim=-1)
    return chosen if prefix_len is None else chosen[:, prefix_len - 1 :]


SCORED = "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :])"
TARGETS = "tokens[:, first:, None]"

test_get_logprobs = exercise(
    reference=logprobs.get_logprobs,
    cases=logprob_cases,
    observe=outputs_and_gradients,
    accepts=[logprobs_by_cross_entropy, logprobs_by_logsumexp],
    mistakes=[
        *instead_of(
            SCORED,
            {
                f"logits[:, first:].log_softmax(dim=-1).gather(-1, {TARGETS}).squeeze(-1)": (
                    "scores each token by the logits at its own place",
                    "the logits at a place predict the token after it: shift by one",
                ),
                f"logits.roll(2, dims=1)[:, first:].log_softmax(dim=-1).gather(-1, {TARGETS}).squeeze(-1)": (
                    "scores each token by the logits two places before",
                    "the logits at place t - 1 predict token t",
                ),
                "next_token_logprobs(logits, tokens)": (
                    "scores the prompt too",
                    "the policy did not draw the prompt: only tokens from place prefix_len on count",
                ),
                "next_token_logprobs(logits, tokens)[:, first:]": (
                    "leaves out the first token after the prompt",
                    "token t stands at place t - 1 of the result for all tokens: cut at prefix_len - 1",
                ),
                "next_token_logprobs(logits, tokens)[:, : tokens.shape[1] - first]": (
                    "scores the first tokens in place of the last",
                    "the prompt stands first, and what counts comes after it",
                ),
                f"logits[:, first - 1 : -1].softmax(dim=-1).gather(-1, {TARGETS}).squeeze(-1)": (
                    "gives probabilities",
                    "their logarithm is asked for",
                ),
                f"logits[:, first - 1 : -1].softmax(dim=-1).log().gather(-1, {TARGETS}).squeeze(-1)": (
                    "takes the logarithm of a softmax",
                    "a small probability is rounded to 0, whose logarithm is -inf: log_softmax doesn't round",
                ),
                f"logits[:, first - 1 : -1].gather(-1, {TARGETS}).squeeze(-1)": (
                    "gives the logits",
                    "a logit isn't a log-probability yet: log_softmax comes first",
                ),
                f"logits[:, first - 1 : -1].log_softmax(dim=1).gather(-1, {TARGETS}).squeeze(-1)": (
                    "takes the softmax over places",
                    "the probabilities of all tokens of the vocabulary add up to 1: dim=-1",
                ),
                f"logits[:, first - 1 : -1].gather(-1, {TARGETS}).squeeze(-1).log_softmax(dim=-1)": (
                    "takes the softmax after choosing the tokens",
                    "the softmax needs the whole vocabulary: choose afterwards",
                ),
                "logits[:, first - 1 : -1].log_softmax(dim=-1).max(dim=-1).values": (
                    "takes the likeliest token",
                    "the token that stands in the text is scored, likely or not",
                ),
                "logits[:, first - 1 : -1].log_softmax(dim=-1).gather(-1, tokens[:, first - 1 : -1, None]).squeeze(-1)": (
                    "scores the tokens that the model has just read",
                    "the logits at place t - 1 predict token t: shift the tokens too",
                ),
                "-next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :])": (
                    "turns the sign round",
                    "a log-probability is never above 0; cross_entropy gives it with a minus",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]).sum(dim=1)": (
                    "adds up the tokens",
                    "each token has a log-probability of its own",
                ),
                "next_token_logprobs(logits[:, first - 1 :].detach(), tokens[:, first - 1 :])": (
                    "detaches the logits",
                    "the policy learns through these: gradients must flow through logits",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]) / 0.6931471805599453": (
                    "counts in bits",
                    "nats are asked for: the natural logarithm",
                ),
                "next_token_logprobs(logits[:, first - 1 :], tokens[:, first - 1 :]).float()": (
                    "rounds to float32",
                    "the result has the dtype of the logits",
                ),
            },
        ),
        *instead_of(
            "1 if prefix_len is None else prefix_len",
            {
                "2 if prefix_len is None else prefix_len": (
                    "leaves out the second token where no prefix is given",
                    "nothing predicts the first token alone; all others count",
                ),
            },
        ),
    ],
)
