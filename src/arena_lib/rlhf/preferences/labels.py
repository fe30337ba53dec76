"""Who wins a comparison, drawn from rewards that are known: people's choices, simulated with a stated noise.

Shapes:  rewards "n_prompts n_answers" -> rows of answers "n_pairs"
Raises:  ShapeError for rewards that don't fit; ConfigError for a noise below 0, or if no pair is left.
Source:  Bradley and Terry 1952, "Rank analysis of incomplete block designs", equation 2, with rewards as log-strengths.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.preferences.answers import Answers, PreferencePairs


def draw_preferences(
    rewards: Float[Tensor, "n_prompts n_answers"],
    noise: float = 0.0,
    n_per_prompt: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, " n_pairs"], Int[Tensor, " n_pairs"]]:
    """Compare answers to the same prompt: the rows of those that won, and of those that lost against them.

    Row prompt * n_answers + answer stands for an answer. Answer i wins against j with probability
    sigmoid((reward_i - reward_j) / noise): noise is in units of reward, and if rewards differ by noise, the better answer
    wins 73 % of the time. At 0 the better one always wins, and ties are left out. All pairs of a prompt are compared
    once, or, of each prompt, `n_per_prompt` pairs drawn at random.

    >>> draw_preferences(torch.tensor([[0.0, 2.0, 1.0]]))
    (tensor([1, 2, 1]), tensor([0, 0, 2]))
    """
    n_prompts, n_answers = rewards.shape
    if not 0 <= noise < torch.inf:
        raise ConfigError(f"noise must be finite and at least 0: got {noise}. It's in units of reward.")
    pairs = torch.combinations(torch.arange(n_answers), 2)
    if n_per_prompt is not None and not 1 <= n_per_prompt <= len(pairs):
        raise ConfigError(
            f"n_per_prompt must be from 1 to the pairs that {n_answers} answers make, {len(pairs)}: got {n_per_prompt}. "
            "Leave it out to compare all."
        )
    order = torch.rand(n_prompts, len(pairs), generator=generator).argsort(dim=1)
    picked = pairs.expand(n_prompts, -1, -1) if n_per_prompt is None else pairs[order[:, :n_per_prompt]]
    first, second = picked.unbind(dim=-1)
    gaps = rewards.cpu().gather(1, first) - rewards.cpu().gather(1, second)
    chances = torch.sigmoid(gaps / noise) if noise else (gaps > 0).to(gaps.dtype)
    first_wins = torch.rand(gaps.shape, generator=generator, dtype=gaps.dtype) < chances
    counts = torch.ones_like(first_wins) if noise else gaps != 0
    rows = torch.arange(n_prompts)[:, None] * n_answers
    winners, losers = torch.where(first_wins, first, second) + rows, torch.where(first_wins, second, first) + rows
    return winners[counts], losers[counts]


def make_pairs(
    answers: Answers,
    rewards: Float[Tensor, " batch"],
    n_answers: int,
    noise: float = 0.0,
    n_per_prompt: int | None = None,
    generator: torch.Generator | None = None,
) -> PreferencePairs:
    """Pairs of answers to the same prompt, of which `n_answers` stand side by side; see `draw_preferences`."""
    if len(rewards) != len(answers) or len(answers) % n_answers or n_answers < 2:
        raise ShapeError(
            f"there must be a reward for each answer, and at least two answers for each prompt: got {len(rewards)} rewards "
            f"and {len(answers)} answers in groups of {n_answers}. Pass all samples of each prompt."
        )
    winners, losers = draw_preferences(rewards.unflatten(0, (-1, n_answers)), noise, n_per_prompt, generator)
    if not len(winners):
        raise ConfigError(
            "answers to a prompt must differ in reward to be compared without noise: got only ties. Draw more answers, or "
            "pass noise above 0."
        )
    return PreferencePairs(answers[winners], answers[losers])
