"""Judges of the sampler: temperature and penalty, the next token by all options together, and the loop that writes.

Shapes:  token ids "seq", logits "d_vocab" -> logits "d_vocab" or one token id; a prompt -> a text.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.sampling import (
    DRAWS,
    FREQUENCIES,
    IGNORES_THE_GENERATOR,
    PROBABILITIES,
    VOCAB,
    many_draws,
    repeats,
)
from arena_lib.transformer import sampling
from arena_lib.transformer.sampling import SamplingConfig

__test__ = False


def apply_temperature_cases(generator: torch.Generator) -> list[Case]:
    """Bold, random, and neutral."""
    return [
        Case(label=label, args=(torch.randn(7, generator=generator), temperature), axes={"output": VOCAB})
        for label, temperature in [("below 1", 0.4), ("above 1", 2.5), ("exactly 1", 1.0)]
    ]


test_apply_temperature = exercise(
    reference=sampling.apply_temperature,
    cases=apply_temperature_cases,
    accepts=[lambda logits, temperature: logits * (1 / temperature)],
    mistakes=[
        Mistake(
            "multiplies by the temperature",
            "logits / temperature",
            "logits * temperature",
            why="a high temperature must flatten: it divides",
        ),
        Mistake(
            "changes the logits in place",
            "logits / temperature",
            "logits.div_(temperature)",
            why="the caller may need them again",
        ),
        Mistake(
            "returns probabilities",
            "logits / temperature",
            "(logits / temperature).softmax(dim=-1)",
            why="logits are asked for: what comes next takes the softmax",
        ),
        Mistake(
            "divides the probabilities",
            "logits / temperature",
            "logits.softmax(dim=-1) / temperature",
            why="temperature acts on logits, before the softmax",
        ),
        Mistake(
            "ignores the temperature",
            "logits / temperature",
            "logits.clone()",
            why="below 1 the distribution gets sharper, above 1 flatter",
        ),
    ],
)


def apply_frequency_penalty_cases(generator: torch.Generator) -> list[Case]:
    """Repeated tokens, a reward in place of a penalty, and a text without the last tokens of the vocabulary."""
    texts = [
        ("tokens that occur more than once", [3, 0, 3, 6, 3, 0], 1.5),
        ("a negative penalty", [6, 1, 1], -0.5),
        ("a text of one token", [2], 2.0),
    ]
    return [
        Case(
            label=label,
            args=(torch.tensor(text), torch.randn(7, generator=generator), penalty),
            axes={"output": VOCAB},
        )
        for label, text, penalty in texts
    ]


def frequency_penalty_by_loop(input_ids: Tensor, logits: Tensor, freq_penalty: float) -> Tensor:
    """Walks through the text."""
    logits = logits.clone()
    for token in input_ids.tolist():
        logits[token] -= freq_penalty
    return logits


def frequency_penalty_by_one_hot(input_ids: Tensor, logits: Tensor, freq_penalty: float) -> Tensor:
    """Sums one-hot rows."""
    return logits - freq_penalty * torch.nn.functional.one_hot(input_ids, logits.numel()).sum(0)


test_apply_frequency_penalty = exercise(
    reference=sampling.apply_frequency_penalty,
    cases=apply_frequency_penalty_cases,
    accepts=[frequency_penalty_by_loop, frequency_penalty_by_one_hot],
    mistakes=[
        Mistake(
            "counts a repeated token once",
            "logits - freq_penalty * counts",
            "logits - freq_penalty * (counts > 0)",
            why="the penalty grows with every occurrence; counting once is a presence penalty",
        ),
        Mistake(
            "adds the penalty",
            "logits - freq_penalty",
            "logits + freq_penalty",
            why="a token that occurred often must become less likely",
        ),
        Mistake(
            "has counts for part of the vocabulary only",
            ", minlength=logits.shape[0]",
            "",
            why="bincount stops at the largest token of the text unless minlength says how long it must be",
        ),
        Mistake(
            "multiplies the logits by the counts",
            "logits - freq_penalty * counts",
            "logits * (1 - freq_penalty * counts)",
            why="the penalty is subtracted, whatever the logit's sign",
        ),
        Mistake(
            "changes the logits in place",
            "return logits - freq_penalty * counts",
            "return logits.sub_(freq_penalty * counts)",
            why="the caller may need them again",
        ),
    ],
)


def next_token_cases(generator: torch.Generator) -> list[Case]:
    """Each option by itself and in company; with a reward, the order of penalty and temperature decides."""
    logits = PROBABILITIES.log()
    options = {
        "greedy": SamplingConfig(temperature=0.0),
        "greedy with a penalty": SamplingConfig(temperature=0.0, frequency_penalty=0.7),
        "a low temperature": SamplingConfig(temperature=0.5),
        "top-k": SamplingConfig(top_k=2),
        "top-p": SamplingConfig(top_p=0.7),
        "a reward and a temperature": SamplingConfig(temperature=0.4, frequency_penalty=-1.5),
        "a temperature and top-p": SamplingConfig(temperature=3.0, top_p=0.55),
        "no options": SamplingConfig(),
    }
    texts = {"a reward and a temperature": torch.tensor([2, 2])}
    often_one = torch.tensor([1, 1, 3])
    return [
        Case(label=label, args=(texts.get(label, often_one), logits, chosen), given={"d_vocab": 5}, axes=DRAWS)
        for label, chosen in options.items()
    ]


def next_token_by_probabilities(input_ids: Tensor, logits: Tensor, options: Any) -> int:
    """Works on one list of probabilities from which tokens are struck out."""
    logits = frequency_penalty_by_loop(input_ids, logits, options.frequency_penalty)
    if not options.temperature:
        return int(logits.argmax())
    probabilities, order = (logits / options.temperature).softmax(-1).sort(descending=True)
    rank = torch.arange(len(logits))
    if options.top_k:
        probabilities = probabilities * (rank < options.top_k)
    if options.top_p:
        probabilities = probabilities * (probabilities.cumsum(-1) - probabilities < options.top_p)
    return int(order[torch.multinomial(probabilities, 1)])


test_sample_next_token = exercise(
    reference=sampling.sample_next_token,
    cases=next_token_cases,
    observe=many_draws,
    tolerance=FREQUENCIES,
    accepts=[next_token_by_probabilities],
    mistakes=[
        Mistake(
            "forgets the frequency penalty",
            "logits = apply_frequency_penalty(input_ids, logits, options.frequency_penalty)",
            "pass",
            why="it comes first, and acts on every way to choose",
        ),
        Mistake(
            "forgets the temperature",
            "logits = apply_temperature(logits, options.temperature)",
            "pass",
            why="every draw is from the logits divided by the temperature",
        ),
        Mistake(
            "ignores top_k",
            "options.top_k > 0",
            "False",
            why="a top_k above zero switches sampling among the k best on",
        ),
        Mistake(
            "ignores top_p",
            "options.top_p > 0",
            "False",
            why="a top_p above zero switches nucleus sampling on",
        ),
        Mistake(
            "applies the temperature before the penalty",
            "apply_frequency_penalty(input_ids, logits, options.frequency_penalty)",
            "apply_frequency_penalty(input_ids, logits, options.frequency_penalty * (options.temperature or 1.0))",
            why="the penalty is in units of the model's own logits, so it is subtracted before they are divided",
        ),
        Mistake(
            "draws where it should be greedy",
            "if options.temperature == 0:\n        return greedy_search(logits)",
            "if options.temperature == 0:\n        return sample_basic(logits, generator=generator)",
            why="a temperature of 0 is the limit in which the most likely token is certain",
        ),
    ],
)


class ScriptedModel(nn.Module):
    """A model whose logits favour the token that follows the last one in a fixed order, and that remembers its inputs."""

    def __init__(self, d_vocab: int, n_ctx: int | None) -> None:
        super().__init__()
        self.cfg = SimpleNamespace(n_ctx=n_ctx, d_vocab=d_vocab)
        self.unused = nn.Parameter(torch.zeros(1))
        self.contexts: list[list[int]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits "batch seq d_vocab"; the favourite is the last token plus one, the runner-up the last plus three."""
        if tokens.ndim != 2 or tokens.shape[0] != 1:
            raise Unfit(f"The model must get a batch of one text, shape (1, seq): got {tuple(tokens.shape)}.")
        self.contexts.append(tokens[0].tolist())
        d_vocab = self.cfg.d_vocab
        favourite = nn.functional.one_hot((tokens + 1) % d_vocab, d_vocab)
        runner_up = nn.functional.one_hot((tokens + 3) % d_vocab, d_vocab)
        return 10.0 * favourite + 9.0 * runner_up


class LetterTokenizer:
    """One token for each letter from a to h; h ends a text."""

    letters = "abcdefgh"
    eos_token_id = 7

    def encode(self, text: str, return_tensors: str | None = None) -> Any:
        """Ids of the letters, as a list, or as a tensor "1 seq" if asked for."""
        ids = [self.letters.index(letter) for letter in text]
        return ids if return_tensors is None else torch.tensor([ids])

    def decode(self, ids: Any) -> str:
        """The letters of these ids."""
        return "".join(self.letters[int(i)] for i in ids)


def sample_cases(generator: torch.Generator) -> list[Case]:
    """Stops at the end token, at the limit, reads no more than the context, and draws at random."""
    greedy: dict[str, Any] = {"temperature": 0.0}
    return [
        Case(label="goes on until the limit", args=("ab", 3), kwargs=greedy, given={"n_ctx": 20}),
        Case(label="stops at the end token", args=("d", 9), kwargs=greedy, given={"n_ctx": 20}),
        Case(label="outgrows the context", args=("abcabc", 3), kwargs=greedy, given={"n_ctx": 4}),
        Case(
            label="a penalty that counts the prompt",
            args=("bbb", 2),
            kwargs={"temperature": 0.0, "frequency_penalty": 0.6},
            given={"n_ctx": 20},
        ),
        Case(
            label="a penalty that counts what lies before the context",
            args=("cab", 3),
            kwargs={"temperature": 0.0, "frequency_penalty": 2.0},
            given={"n_ctx": 2},
        ),
        Case(label="nothing to generate", args=("abc", 0), kwargs=greedy, given={"n_ctx": 20}),
        Case(label="a model without a limit", args=("abc", 2), kwargs=greedy, given={"n_ctx": None}),
        Case(label="draws at random", args=("ab", 12), kwargs={"temperature": 30.0}, given={"n_ctx": 20}),
    ]


def sampled_text(cls: Any, case: Case) -> Observations:
    """The text, and what the model was given at each step."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class TransformerSampler itself: got {type(cls).__name__}.")
    model = ScriptedModel(d_vocab=8, n_ctx=case.given["n_ctx"])
    sampler = cls(model, LetterTokenizer())
    if case.kwargs["temperature"] > 0:
        return repeats(
            sampler.sample,
            lambda generator: [sampler.sample(*case.args, **case.kwargs, generator=generator) for _ in range(3)],
        )
    text = sampler.sample(*case.args, **case.kwargs)
    return {"text": text, "what the model read": model.contexts}


class SamplerByList(sampling.TransformerSampler):
    """Keeps the text as a list of ids."""

    def sample(self, prompt: str, max_tokens_generated: int = 100, verbose: bool = False, **kwargs: Any) -> str:  # type: ignore[override]
        ids = list(self.tokenizer.encode(prompt))
        while max_tokens_generated > 0:
            max_tokens_generated -= 1
            logits = self.model(torch.tensor([ids[-(self.n_ctx or len(ids)) :]]))[:, -1].squeeze(0)
            ids.append(sampling.sample_next_token(torch.tensor(ids), logits, SamplingConfig(**kwargs)))
            if ids[-1] == self.eos_token_id:
                return self.tokenizer.decode(ids[:-1])
        return self.tokenizer.decode(ids)


test_sample = exercise(
    name="sample",
    reference=sampling.TransformerSampler,
    cases=sample_cases,
    observe=sampled_text,
    keep=["__init__", "encode", "beam_search"],
    accepts=[SamplerByList],
    mistakes=[
        Mistake(
            "reads the logits at the first position",
            "self.model(context[None])[0, -1]",
            "self.model(context[None])[0, 0]",
            why="the last position is the one that predicts the next token",
        ),
        Mistake(
            "does not stop at the end token",
            "if next_token == self.eos_token_id:\n                break\n            tokens",
            "tokens",
            why="the model says by that token that the text is over",
        ),
        Mistake(
            "makes the end token part of the text",
            "if next_token == self.eos_token_id:\n                break\n            tokens = torch.cat([tokens, tokens.new_tensor([next_token])])",
            "tokens = torch.cat([tokens, tokens.new_tensor([next_token])])\n            if next_token == self.eos_token_id:\n                break",
            why="it marks the end and is no word of the text",
        ),
        Mistake(
            "gives the model more than its context",
            "tokens if self.n_ctx is None else tokens[-self.n_ctx :]",
            "tokens",
            why="a model has positions for n_ctx tokens: it reads the last n_ctx of a longer text",
        ),
        Mistake(
            "keeps the start of the text when it outgrows the context",
            "tokens[-self.n_ctx :]",
            "tokens[: self.n_ctx]",
            why="what comes next depends most on what came last",
        ),
        Mistake(
            "counts only what the model just read for the penalty",
            "sample_next_token(tokens, logits",
            "sample_next_token(context, logits",
            why="the penalty counts the whole text, also what has left the context",
        ),
        Mistake(
            "generates one token too many",
            "range(max_tokens_generated)",
            "range(max_tokens_generated + 1)",
            why="max_tokens_generated is the most",
        ),
        Mistake(
            "needs a model with a limit",
            "tokens if self.n_ctx is None else tokens[-self.n_ctx :]",
            "tokens[-self.n_ctx :]",
            why="self.n_ctx is None for a model that reads texts of any length",
        ),
        IGNORES_THE_GENERATOR,
    ],
)
