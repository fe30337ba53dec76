"""Judges of choosing one token: greedily, at random, with a temperature, with a penalty.

Shapes:  logits "d_vocab" -> one token id, or logits "d_vocab".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch._draws import (
    DRAWS,
    FREQUENCIES,
    IGNORES_THE_GENERATOR,
    PROBABILITIES,
    as_token,
    many_draws,
)
from arena_lib.transformer import sampling

__test__ = False

VOCAB = "d_vocab"


def one_token(function: Callable[..., Any], case: Case) -> Observations:
    """The token that a function without randomness chooses."""
    seen = outputs(function, case)
    return seen | {"output": as_token(seen["output"])}


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
        IGNORES_THE_GENERATOR,
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
