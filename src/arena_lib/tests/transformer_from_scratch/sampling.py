"""Judges of the sampling exercises of section 1.1.

A function that draws at random is called many times, and judged by which tokens it
drew and how often. With N_DRAWS draws the difference of two frequencies has a standard
error of at most 0.032 (both sides are samples), so a correct solution leaves the tolerance
of 0.17, over five of them, less than once in ten million times; every token that can be
drawn has a probability of at least 0.04 and is missed less than once in 1e8.

Shapes:  logits "d_vocab" -> one token id.
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, outputs
from arena_lib.checking.observing import Observations
from arena_lib.transformer import sampling
from arena_lib.transformer.sampling import SamplingConfig

__test__ = False

VOCAB = "d_vocab"
DRAWS = {"frequencies": VOCAB}
N_DRAWS = 500
FREQUENCIES = {"frequencies": Tolerance(rtol=0.0, atol=0.17)}
PROBABILITIES = torch.tensor([0.13, 0.45, 0.05, 0.20, 0.17])
"""A distribution in no order, whose cumulative sums are far from the thresholds that the cases use."""


def as_token(value: Any) -> int:
    """The token id that a learner's function returned; an int, or a tensor without axes."""
    is_tensor = isinstance(value, Tensor) and value.ndim == 0 and not value.is_floating_point()
    is_number = hasattr(value, "__index__") and not isinstance(value, bool | Tensor)
    if not (is_number or is_tensor):
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise Unfit(f"It must return one token id, an int: got {kind}. Call .item() on a tensor that holds one number.")
    return int(value)


def one_token(function: Callable[..., Any], case: Case) -> Observations:
    """The token that a function without randomness chooses."""
    seen = outputs(function, case)
    return seen | {"output": as_token(seen["output"])}


def many_draws(function: Callable[..., Any], case: Case) -> Observations:
    """Which tokens were drawn, how often, and whether a generator decides alone where the function takes one."""
    seen = outputs(function, case)
    d_vocab = case.given["d_vocab"]
    drawn = torch.tensor([as_token(function(*case.args)) for _ in range(N_DRAWS)])
    if drawn.min() < 0 or drawn.max() >= d_vocab:
        raise Unfit(f"It must return a token id from 0 to {d_vocab - 1}: got {int(drawn.max())}.")
    return {
        "tokens drawn": sorted(set(drawn.tolist())),
        "frequencies": torch.bincount(drawn, minlength=d_vocab) / N_DRAWS,
        "draws again alike from a generator of the same seed": _repeats(function, case),
    } | {name: value for name, value in seen.items() if name != "output"}


def _repeats(function: Callable[..., Any], case: Case) -> bool:
    """True where the function takes no generator: then there is nothing to repeat."""
    if "generator" not in inspect.signature(function).parameters:
        return True

    def draws(global_seed: int) -> list[int]:
        torch.manual_seed(global_seed)
        generator = torch.Generator().manual_seed(5)
        return [as_token(function(*case.args, generator=generator)) for _ in range(20)]

    return draws(1) == draws(2)


def greedy_search_cases(generator: torch.Generator) -> list[Case]:
    """Logits whose largest is neither first, last, nor the largest in size."""
    return [
        Case(label="mixed signs", args=(torch.tensor([0.5, -9.0, 3.0, 2.5, -1.0]),), axes={"output": VOCAB}),
        Case(label="all below zero", args=(torch.tensor([-4.0, -1.5, -3.0, -2.0]),)),
        Case(label="a large vocabulary", args=(torch.randn(301, generator=generator),)),
    ]


def greedy_by_topk(logits: Tensor) -> int:
    """Takes the first of the top one."""
    return int(logits.topk(1).indices.item())


test_greedy_search = exercise(
    reference=sampling.greedy_search,
    cases=greedy_search_cases,
    observe=one_token,
    accepts=[greedy_by_topk, lambda logits: max(range(len(logits)), key=lambda i: float(logits[i]))],
    mistakes=[
        Mistake(
            "takes the least likely token", "argmax", "argmin", why="the largest logit has the largest probability"
        ),
        Mistake(
            "returns the largest logit, not its index",
            "logits.argmax()",
            "logits.max()",
            why="a token id is asked for: the place of the largest logit, not its value",
        ),
        Mistake(
            "takes the logit of the largest size",
            "logits.argmax()",
            "logits.abs().argmax()",
            why="a very negative logit means a very unlikely token",
        ),
    ],
)


def draws_cases(generator: torch.Generator) -> list[Case]:
    """Log-probabilities, shifted (softmax doesn't care), and with a token that can't be drawn."""
    shifted = PROBABILITIES.log() + 3.0
    impossible = torch.cat([PROBABILITIES.log(), torch.tensor([-torch.inf])])
    return [
        Case(label="five tokens", args=(shifted,), given={"d_vocab": 5}, axes=DRAWS),
        Case(label="a token of probability 0", args=(impossible,), given={"d_vocab": 6}, axes=DRAWS),
    ]


def sample_basic_by_categorical(logits: Tensor) -> int:
    """Asks torch's Categorical."""
    return int(torch.distributions.Categorical(logits=logits).sample().item())


def sample_basic_by_gumbel(logits: Tensor, generator: torch.Generator | None = None) -> int:
    """Adds Gumbel noise and takes the largest."""
    uniform = torch.rand(logits.shape, generator=generator).clamp_min(1e-20)
    return int((logits - (-uniform.log()).log()).argmax())


test_sample_basic = exercise(
    reference=sampling.sample_basic,
    cases=draws_cases,
    observe=many_draws,
    tolerance=FREQUENCIES,
    accepts=[sample_basic_by_categorical, sample_basic_by_gumbel],
    mistakes=[
        Mistake(
            "always takes the most likely token",
            "int(torch.multinomial(probabilities, num_samples=1, generator=generator))",
            "int(probabilities.argmax())",
            why="to sample is to draw: the second likeliest token must have its turn too",
        ),
        Mistake(
            "draws every token alike",
            "logits.softmax(dim=-1)",
            "(logits > -torch.inf).float()",
            why="each token is drawn with probability softmax(logits)",
        ),
        Mistake(
            "takes the softmax twice",
            "logits.softmax(dim=-1)",
            "logits.softmax(dim=-1).softmax(dim=-1)",
            why="softmax already gives probabilities; a second one makes them almost equal",
        ),
        Mistake(
            "prefers the unlikely tokens",
            "logits.softmax(dim=-1)",
            "(-logits).nan_to_num(posinf=-99.0).softmax(dim=-1)",
            why="larger logits mean larger probabilities",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="draws from a generator of the same seed must be the same draws",
        ),
    ],
)


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


def top_k_cases(generator: torch.Generator) -> list[Case]:
    """A few tokens, one token, and a k larger than the vocabulary."""
    logits = PROBABILITIES.log() - 1.0
    return [
        Case(label=label, args=(logits, k), given={"d_vocab": 5}, axes=DRAWS)
        for label, k in [("three of five", 3), ("only the best", 1), ("more than there are", 9)]
    ]


def top_k_by_mask(logits: Tensor, k: int) -> int:
    """Sets everything below the k-th logit to -inf."""
    threshold = logits.sort(descending=True).values[min(k, len(logits)) - 1]
    return int(torch.distributions.Categorical(logits=logits.masked_fill(logits < threshold, -torch.inf)).sample())


test_sample_top_k = exercise(
    reference=sampling.sample_top_k,
    cases=top_k_cases,
    observe=many_draws,
    tolerance=FREQUENCIES,
    accepts=[top_k_by_mask],
    mistakes=[
        Mistake(
            "returns the rank, not the token",
            "int(best.indices[sample_basic(best.values, generator=generator)])",
            "sample_basic(best.values, generator=generator)",
            why="topk returns values and where they stood: the draw picks a rank, and indices turn it into a token",
        ),
        Mistake(
            "keeps one token too many",
            "min(k, logits.shape[0])",
            "min(k + 1, logits.shape[0])",
            why="exactly the k most likely tokens stay",
        ),
        Mistake(
            "keeps the least likely tokens",
            "logits.topk(min(k, logits.shape[0]))",
            "logits.topk(min(k, logits.shape[0]), largest=False)",
            why="top-k cuts off the unlikely tail",
        ),
        Mistake(
            "draws the k tokens alike",
            "sample_basic(best.values, generator=generator)",
            "sample_basic(torch.zeros_like(best.values), generator=generator)",
            why="among the k the probabilities keep their proportions",
        ),
        Mistake(
            "fails for a k larger than the vocabulary",
            "min(k, logits.shape[0])",
            "k",
            why="topk can't take more than there are: a larger k means all tokens",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="draws from a generator of the same seed must be the same draws",
        ),
    ],
)


def top_p_cases(generator: torch.Generator) -> list[Case]:
    """Sorted probabilities are 0.45, 0.20, 0.17, 0.13, 0.05: no threshold lies near a cumulative sum."""
    logits = PROBABILITIES.log() + 2.0
    arguments: dict[str, tuple[Any, ...]] = {
        "the third token crosses the line": (0.70,),
        "the first token is enough": (0.30,),
        "at least two tokens": (0.10, 2),
        "a top_p of zero": (0.0, 3),
        "fewer asked for than p keeps": (0.90, 2),
        "a top_p of one": (1.0,),
    }
    return [
        Case(label=label, args=(logits, *rest), given={"d_vocab": 5}, axes=DRAWS) for label, rest in arguments.items()
    ]


def top_p_by_mask(logits: Tensor, top_p: float, min_tokens_to_keep: int = 1) -> int:
    """Keeps a token if what lies before it, in order, is still below top_p."""
    probabilities, order = logits.softmax(-1).sort(descending=True)
    before = probabilities.cumsum(-1) - probabilities
    kept = (before < top_p) | (torch.arange(len(logits)) < min_tokens_to_keep)
    return int(order[torch.multinomial(probabilities * kept, 1)])


test_sample_top_p = exercise(
    reference=sampling.sample_top_p,
    cases=top_p_cases,
    observe=many_draws,
    tolerance=FREQUENCIES,
    accepts=[top_p_by_mask],
    mistakes=[
        Mistake(
            "leaves out the token that crosses the line",
            "max(n_below + 1, min_tokens_to_keep)",
            "max(n_below, min_tokens_to_keep)",
            why="the kept tokens must reach top_p together, so the one that crosses it stays",
        ),
        Mistake(
            "keeps one token too many",
            "n_below + 1",
            "n_below + 2",
            why="as few as possible are kept: stop at the token that crosses top_p",
        ),
        Mistake(
            "ignores min_tokens_to_keep",
            "max(n_below + 1, min_tokens_to_keep)",
            "n_below + 1",
            why="however small top_p is, that many tokens stay",
        ),
        Mistake(
            "always keeps just min_tokens_to_keep",
            "max(n_below + 1, min_tokens_to_keep)",
            "min(n_below + 1, min_tokens_to_keep)",
            why="it is the least number, not the most",
        ),
        Mistake(
            "starts from the least likely token",
            "descending=True",
            "descending=False",
            why="the nucleus is made of the most likely tokens",
        ),
        Mistake(
            "returns the rank, not the token",
            "int(token_ids[sample_basic(sorted_logits[:n_keep], generator=generator)])",
            "sample_basic(sorted_logits[:n_keep], generator=generator)",
            why="after sorting, a place in the list is a rank: token_ids turns it back into a token",
        ),
        Mistake(
            "draws the kept tokens alike",
            "sample_basic(sorted_logits[:n_keep], generator=generator)",
            "sample_basic(0 * sorted_logits[:n_keep], generator=generator)",
            why="among the kept tokens the probabilities keep their proportions",
        ),
        Mistake(
            "does not sum up the probabilities",
            ".cumsum(dim=-1)",
            "",
            why="top_p bounds what the tokens have together, not what each has",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="draws from a generator of the same seed must be the same draws",
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
        return {"draws again alike from a generator of the same seed": _repeats_text(sampler, case)}
    text = sampler.sample(*case.args, **case.kwargs)
    return {"text": text, "what the model read": model.contexts}


def _repeats_text(sampler: Any, case: Case) -> bool:
    """True where `sample` takes no generator: then there is nothing to repeat."""
    if "generator" not in inspect.signature(sampler.sample).parameters:
        return True

    def texts(global_seed: int) -> list[str]:
        torch.manual_seed(global_seed)
        generator = torch.Generator().manual_seed(5)
        return [sampler.sample(*case.args, **case.kwargs, generator=generator) for _ in range(3)]

    return texts(1) == texts(2)


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
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="draws from a generator of the same seed must be the same draws",
        ),
    ],
)
