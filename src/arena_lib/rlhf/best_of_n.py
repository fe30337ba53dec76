"""Best of n: draw n answers and keep the one with the highest reward. No training, and a KL divergence that is known.

Shapes:  rewards "n_answers", or "n_prompts n_answers"
Raises:  ConfigError for an n that isn't between 1 and the answers there are; ShapeError for values of another shape.
Source:  Stiennon et al. 2020, arXiv:2009.01325, appendix G.3 (the KL divergence); Beirami et al. 2024, arXiv:2401.01879 (that it's
         a bound in general); Nakano et al. 2021, arXiv:2112.09332, appendix I (the estimate without bias).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError


def best_of_n_kl(n: int) -> float:
    """KL(best of n || policy) in nats: log n - (n - 1) / n.

    Exact if no answer is drawn twice and none tie, as when each is one of very many. Else the true divergence is smaller,
    so this is always an upper bound: a policy that has but one answer stays as it is, whatever n. ConfigError for n below 1.

    >>> best_of_n_kl(1), round(best_of_n_kl(16), 3)
    (0.0, 1.835)
    """
    if n < 1:
        raise ConfigError(f"n must be at least 1: got {n}. 1 keeps the policy as it is.")
    return math.log(n) - (n - 1) / n


def pick_best(rewards: Float[Tensor, "n_prompts n_answers"]) -> Int[Tensor, " n_prompts"]:
    """Of each prompt's answers, the one with the highest reward; of several such, the first.

    >>> pick_best(torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 3.0]]))
    tensor([1, 0])
    """
    return rewards.argmax(dim=-1)


def estimate_best_of_n(
    rewards: Float[Tensor, "*prompts n_answers"],
    n: int,
    values: Float[Tensor, "*prompts n_answers"] | None = None,
) -> Float[Tensor, "*prompts"]:
    """What the best of n answers is worth on average, from N answers, without bias: the mean over all choices of n of them.

    Nothing is drawn, and every n up to N comes from one set of answers. `rewards` choose; `values` say what the chosen answer
    is worth, such as the true reward where a proxy chooses (the over-optimisation curve of Gao et al. 2022,
    arXiv:2210.10760). Without them it's the reward itself.

        with k worse answers, and no other that is as good, it is the best in C(k, n - 1) of the C(N, n) choices
        with k worse answers, m equally good ones share C(k + m, n) - C(k, n) choices alike

    C(400, 150) is too large for float32, C(2000, 1000) for float64: take logarithms (`torch.lgamma`) or whole numbers
    (`math.comb`). The result has the dtype of the values, or float32 for whole numbers. ConfigError unless n is from 1 to N;
    ShapeError for values of another shape than the rewards'.

    >>> estimate_best_of_n(torch.tensor([1.0, 2.0, 3.0]), n=2)
    tensor(2.6667)
    """
    n_answers = rewards.shape[-1]
    values = rewards if values is None else values
    if values.shape != rewards.shape:
        raise ShapeError(
            f"values must have the shape of rewards, {tuple(rewards.shape)}: got {tuple(values.shape)}. Pass one for each answer."
        )
    if not 1 <= n <= n_answers:
        raise ConfigError(f"n must be from 1 to the number of answers, {n_answers}: got {n}. Draw more answers.")
    counts = torch.arange(n_answers + 1, dtype=torch.float64, device=rewards.device)
    # log C(m, n) n! of each m up to N; C(m, n) is 0 below n
    log_choices = torch.lgamma(counts + 1) - torch.lgamma((counts - n).clamp(min=0) + 1)
    share_within = (log_choices - log_choices[-1]).exp().where(counts >= n, 0.0)
    n_worse = (rewards[..., None, :] < rewards[..., :, None]).sum(dim=-1)
    n_alike = (rewards[..., None, :] == rewards[..., :, None]).sum(dim=-1)
    weights = (share_within[n_worse + n_alike] - share_within[n_worse]) / n_alike
    return (weights * values).sum(dim=-1).to(torch.promote_types(values.dtype, torch.float32))
