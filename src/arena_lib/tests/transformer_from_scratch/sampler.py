"""The judge of the sampler: the loop that writes a text, token by token."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.draws import (
    draws_of_a_generator,
    ignores_the_generator,
    restarts_the_generator,
)
from arena_lib.transformer import sampling
from arena_lib.transformer.sampling import SamplingConfig

__test__ = False


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

    def greedy(label: str, prompt: str, n_new: int, *, penalty: float = 0.0, n_ctx: int | None = 20) -> Case:
        options = {"temperature": 0.0} | ({"frequency_penalty": penalty} if penalty else {})
        return Case(label=label, args=(prompt, n_new), kwargs=options, given={"n_ctx": n_ctx})

    return [
        greedy("goes on until the limit", "ab", 3),
        greedy("stops at the end token", "d", 9),
        greedy("outgrows the context", "abcabc", 3, n_ctx=4),
        greedy("a penalty that counts the prompt", "ccb", 2, penalty=0.6),
        greedy("a penalty that counts what is outside the context", "cab", 3, penalty=2.0, n_ctx=2),
        greedy("a reward that counts what was just written", "cb", 3, penalty=-5.2),
        greedy("nothing to generate", "abc", 0),
        greedy("a model without a limit", "abc", 2, n_ctx=None),
        Case(label="draws at random", args=("ab", 12), kwargs={"temperature": 30.0}, given={"n_ctx": 20}),
    ]


def sampled_text(cls: Any, case: Case) -> Observations:
    """The text, and what the model was given at each step."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class TransformerSampler itself: got {type(cls).__name__}.")
    model = ScriptedModel(d_vocab=8, n_ctx=case.given["n_ctx"])
    sampler = cls(model, LetterTokenizer())
    if case.kwargs["temperature"] > 0:
        return draws_of_a_generator(
            sampler.sample, lambda generator: sampler.sample(*case.args, **case.kwargs, generator=generator), n_draws=8
        )
    text = sampler.sample(*case.args, **case.kwargs)
    return {"text": text, "texts that the model read": model.contexts}


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
    equivalent={
        "progress(steps, 'sampling') if verbose else steps": "a bar changes nothing else",
        "logits = self.model(context[None])[0, -1] -> logits = self.model(context[None])[-1, -1]": "a batch of one",
    },
    mistakes=[
        *instead_of(
            "self.model(context[None])[0, -1]",
            {
                "self.model(context[None])[0, 0]": (
                    "reads the logits at the first position",
                    "the last position is the one that predicts the next token",
                )
            },
        ),
        *instead_of(
            "if next_token == self.eos_token_id:\n                break\n            tokens = torch.cat([tokens, tokens.new_tensor([next_token])])",
            {
                "if next_token == self.eos_token_id:\n                continue\n"
                "            tokens = torch.cat([tokens, tokens.new_tensor([next_token])])": (
                    "leaves the end token out and goes on",
                    "the end token says that the text is over: stop there",
                ),
                "tokens = torch.cat([tokens, tokens.new_tensor([next_token])])": (
                    "does not stop at the end token",
                    "the end token says that the text is over",
                ),
                "tokens = torch.cat([tokens, tokens.new_tensor([next_token])])\n            if next_token == self.eos_token_id:\n                break": (
                    "adds the end token to the text",
                    "the end token marks the end, and isn't part of the text",
                ),
            },
        ),
        *instead_of(
            "tokens if self.n_ctx is None else tokens[-self.n_ctx :]",
            {
                "tokens": (
                    "runs the model on more tokens than its context holds",
                    "a model has positions for n_ctx tokens: it reads the last n_ctx of a longer text",
                ),
                "tokens if self.n_ctx is None else tokens[: self.n_ctx]": (
                    "keeps the start of the text when it outgrows the context",
                    "what comes next depends most on what came last",
                ),
                "tokens if self.n_ctx is None else tokens[1 - self.n_ctx :]": (
                    "runs the model on one token fewer than its context holds",
                    "a model can read n_ctx tokens, so it gets the last n_ctx of a longer text",
                ),
                "tokens[-1:]": (
                    "runs the model on only the newest token",
                    "without a cache the model must read the whole text at each step",
                ),
                "tokens[-self.n_ctx :]": (
                    "fails for a model whose n_ctx is None",
                    "self.n_ctx is None for a model that reads texts of any length",
                ),
            },
        ),
        *instead_of(
            "sample_next_token(tokens, logits",
            {
                "sample_next_token(context, logits": (
                    "counts only what the model just read for the penalty",
                    "the penalty counts the whole text, also what has left the context",
                ),
                "sample_next_token(tokens[len(self.encode(prompt)) :], logits": (
                    "leaves the prompt out of the penalty",
                    "the penalty counts all tokens so far, prompt included",
                ),
                "sample_next_token(self.encode(prompt), logits": (
                    "counts only the prompt for the penalty",
                    "the penalty counts all tokens so far, the new ones included",
                ),
            },
        ),
        *instead_of(
            "options = SamplingConfig(**kwargs)  # type: ignore[arg-type]",
            {
                "options = SamplingConfig()": (
                    "ignores the options",
                    "the keyword arguments say how tokens are chosen",
                ),
            },
        ),
        *instead_of(
            "range(max_tokens_generated)",
            {
                "range(max_tokens_generated - len(tokens))": (
                    "counts the prompt among the tokens to generate",
                    "up to max_tokens_generated tokens are added to the prompt",
                ),
                "range(max_tokens_generated if self.n_ctx is None else min(max_tokens_generated, self.n_ctx - len(tokens)))": (
                    "stops when the context is full",
                    "the text may outgrow the context: the model then reads its last n_ctx tokens",
                ),
                "range(max_tokens_generated + 1)": (
                    "generates one token too many",
                    "max_tokens_generated is the largest number of new tokens",
                ),
                "range(max_tokens_generated - 1)": (
                    "generates one token too few",
                    "max_tokens_generated tokens are added unless the text ends before",
                ),
            },
        ),
        *instead_of(
            "tokens.tolist()",
            {
                "tokens[1:].tolist()": ("drops the first token", "the whole prompt is part of the result"),
                "tokens[:-1].tolist()": ("drops the last token", "every token but the end token is part of the text"),
                "tokens[len(self.encode(prompt)) :].tolist()": (
                    "returns the new text without the prompt",
                    "the result is the prompt and how it goes on, as one text",
                ),
            },
        ),
        Mistake(
            "returns token ids",
            "self.tokenizer.decode(tokens.tolist())",
            "tokens.tolist()",
            why="the result is a text: decode the token ids",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="generators with the same seed must give the same text",
            shows=ignores_the_generator,
        ),
        Mistake(
            "seeds the generator again at the start",
            "steps = range(",
            "generator = generator and generator.manual_seed(0)\n        steps = range(",
            why="a second text from the same generator must be a new one",
            shows=restarts_the_generator,
        ),
    ],
)
