"""Judges of drawing one token from its logits: greedily, at random, from the top k, from the top p.

A function that draws at random is called many times, and judged by which tokens it
drew and how often. With N_DRAWS draws the difference of two frequencies has a standard
error of at most 0.032 (both sides are samples), so a correct solution leaves the tolerance
of 0.17, over five of them, less than once in ten million times; every token that can be
drawn has a probability of at least 0.04 and is missed less than once in 1e8.

Shapes:  logits "d_vocab" -> one token id.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, outputs
from arena_lib.checking.observing import Observations
from arena_lib.transformer import sampling

__test__ = False

VOCAB = "d_vocab"
DRAWS = {"frequencies": VOCAB}
N_DRAWS = 500
FREQUENCIES = {"frequencies": Tolerance(rtol=0.0, atol=0.17)}
PROBABILITIES = torch.tensor([0.13, 0.45, 0.05, 0.20, 0.17])
"""A distribution in no order, whose cumulative sums are far from the thresholds that the cases use."""
IGNORES_THE_GENERATOR = Mistake(
    "ignores the generator",
    "generator=generator",
    "generator=None",
    why="draws from a generator of the same seed must be the same draws",
)


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
        **repeats(function, lambda generator: [as_token(function(*case.args, generator=generator)) for _ in range(20)]),
    } | {name: value for name, value in seen.items() if name != "output"}


def repeats(
    function: Callable[..., Any],
    draw: Callable[[torch.Generator], Any],
    is_same: Callable[[Any, Any], bool] = operator.eq,
) -> Observations:
    """Whether a generator of the same seed gives the same draws, whatever torch's own; without one there are none to repeat."""
    is_alike = True
    if "generator" in inspect.signature(function).parameters:
        drawn = []
        for global_seed in (1, 2):
            torch.manual_seed(global_seed)
            drawn.append(draw(torch.Generator().manual_seed(5)))
        is_alike = is_same(*drawn)
    return {"draws again alike from a generator of the same seed": is_alike}


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
        IGNORES_THE_GENERATOR,
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
        IGNORES_THE_GENERATOR,
    ],
)
