"""How much better a sample, or each of its tokens, was than expected.

Tokens are actions, and a state is the text so far. `values[:, i]` of a value head is what it expects after reading the
tokens up to place i, so the value of the state in which the token at place i + 1 is drawn. The reward comes at the end.

    compute_advantages           each token, by one-step differences of values
    compute_token_advantages     each token, by generalised advantage estimation; samples of uneven length
    compute_sequence_advantages  the whole sample against one expectation, the value of its prompt
    compute_group_advantages     the whole sample against other samples of its prompt; no values at all

Shapes:  values "minibatch_size seq_len" -> "minibatch_size gen_len"; rewards of whole samples "batch"
Raises:  ConfigError for groups that can't be compared; ShapeError for a batch that isn't made of whole groups, or a prefix that
         leaves no token.
Source:  Schulman et al. 2016, arXiv:1506.02438, equations 11 to 16 (GAE); Ziegler et al. 2019, arXiv:1909.08593, equation 2
         (KL in the reward); Shao et al. 2024, arXiv:2402.03300, section 4.1.2 (groups); Liu et al. 2025,
         arXiv:2503.20783, section 3.1 (no division by the standard deviation).
Differs: nothing is discounted unless asked for, as in these papers.
"""

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rl.ppo.advantages import compute_advantages_by_scan
from arena_lib.rlhf.logprobs import check_prefix
from arena_lib.rlhf.masking import require_same_shape

GROUP_EPS = 1e-4
"""Added to a group's standard deviation, so that a group of equal rewards gives 0; trl's value."""


def compute_advantages(
    values: Float[Tensor, "minibatch_size seq_len"], rewards: Float[Tensor, " minibatch_size"], prefix_len: int
) -> Float[Tensor, "minibatch_size gen_len"]:
    """How much better each generated token was than expected, by one-step differences of values.

    A token's advantage is the value after it less the value before it; after the last token the value is the reward, which
    is known then. With t from prefix_len to seq_len - 1, the places of the gen_len = seq_len - prefix_len generated tokens:

        advantage of token t = values[t] - values[t - 1]             for t < seq_len - 1
        advantage of the last token = reward - values[seq_len - 2]

    values[seq_len - 1] is not used: the text is over then. `prefix_len` is from 1 to seq_len - 1. No argument is changed.

    >>> compute_advantages(torch.tensor([[9.0, 1.0, 2.0, 9.0]]), torch.tensor([5.0]), prefix_len=2)
    tensor([[1., 3.]])
    """
    check_prefix(prefix_len, values)
    before = values[:, prefix_len - 1 : -1]
    after = torch.cat([values[:, prefix_len:-1], rewards[:, None]], dim=1)
    return after - before


def compute_token_rewards(
    rewards: Float[Tensor, " batch"],
    is_response: Bool[Tensor, "batch gen_len"],
    log_ratios: Float[Tensor, "batch gen_len"] | None = None,
    kl_coef: float = 0.0,
) -> Float[Tensor, "batch gen_len"]:
    """The reward of each token: that of the sample at its last drawn token, less the penalty of the token itself.

    `log_ratios` are log p - log q of each drawn token, policy less reference (`kl_k1`); each costs kl_coef times its own.
    Their sum over a sample is the penalty of Ziegler et al. 2019, equation 2. Where `is_response` is False the result is 0.

    >>> compute_token_rewards(torch.tensor([5.0]), torch.tensor([[True, True, False]]), torch.ones(1, 3), kl_coef=0.1)
    tensor([[-0.1000,  4.9000,  0.0000]])
    """
    token_rewards = find_last(is_response) * rewards[:, None]
    if log_ratios is not None:
        require_same_shape(log_ratios, is_response)
        token_rewards = token_rewards - kl_coef * log_ratios.where(is_response, 0.0)
    return token_rewards


def find_last(is_response: Bool[Tensor, "batch gen_len"]) -> Bool[Tensor, "batch gen_len"]:
    """True at each sample's last drawn token; drawn tokens stand first in each row."""
    is_followed = torch.nn.functional.pad(is_response[:, 1:], (0, 1))
    return is_response & ~is_followed


def compute_token_advantages(
    values: Float[Tensor, "batch gen_len"],
    token_rewards: Float[Tensor, "batch gen_len"],
    is_response: Bool[Tensor, "batch gen_len"],
    gamma: float = 1.0,
    gae_lambda: float = 0.95,
) -> Float[Tensor, "batch gen_len"]:
    """How much better each drawn token was than expected, by generalised advantage estimation.

    `values` are those of the states in which the tokens were drawn: of a value head over whole texts,
    values[:, prefix_len - 1 : -1]. From a sample's last drawn token backwards:

        delta_t = token_rewards_t + gamma * values_{t+1} - values_t       without the middle term at the last drawn token
        advantage_t = delta_t + gamma * gae_lambda * advantage_{t+1}

    Where `is_response` is False the result is 0, and what stands in the other arguments doesn't matter. With gamma 1,
    gae_lambda 0 and the reward at the end it is `compute_advantages`; with gae_lambda 1 it's the reward to come less the
    value. No argument is changed.

    >>> ones = torch.ones(1, 3)
    >>> compute_token_advantages(ones, torch.tensor([[0.0, 0.0, 5.0]]), ones.bool(), gamma=1.0, gae_lambda=0.5)
    tensor([[1., 2., 4.]])
    """
    values, token_rewards = (x.where(is_response, 0.0) for x in (values, token_rewards))
    next_values = torch.nn.functional.pad(values[:, 1:], (0, 1))
    is_last = find_last(is_response)
    is_cut_off = torch.zeros_like(is_last)
    advantages = compute_advantages_by_scan(
        next_values.T, token_rewards.T, values.T, is_last.T, is_cut_off.T, gamma, gae_lambda
    )
    return advantages.T.where(is_response, 0.0)


def compute_sequence_advantages(
    values: Float[Tensor, "minibatch_size seq_len"], rewards: Float[Tensor, " minibatch_size"], prefix_len: int
) -> Float[Tensor, "minibatch_size gen_len"]:
    """How much better each sample was than expected, the same for all of its tokens: reward less the prompt's value.

    The prompt's value is that at its last token, values[:, prefix_len - 1]. A sample is one action then, and its
    tokens share what it earned.
    """
    check_prefix(prefix_len, values)
    advantages = rewards - values[:, prefix_len - 1]
    return einops.repeat(advantages, "batch -> batch gen_len", gen_len=values.shape[1] - prefix_len)


def compute_group_advantages(
    rewards: Float[Tensor, " batch"], group_size: int, *, is_scaled: bool = True, eps: float = GROUP_EPS
) -> Float[Tensor, " batch"]:
    """How much better each sample was than the other samples of its prompt.

    Samples of one prompt stand side by side: the first group_size of the batch answer the first prompt. From each reward the
    mean of its group is taken; if `is_scaled`, the difference is divided by the group's standard deviation (with n - 1, as
    torch's) plus `eps`. Scaled, a prompt whose samples differ by little weighs as much as one whose samples
    differ by much: a bias towards prompts that are nearly always solved, or nearly never (Liu et al. 2025). The rewards stay
    as they are.

    >>> compute_group_advantages(torch.tensor([1.0, 3.0, 5.0, 5.0]), group_size=2, is_scaled=False)
    tensor([-1.,  1.,  0.,  0.])
    """
    check_groups(len(rewards), group_size)
    groups = einops.rearrange(rewards, "(group sample) -> group sample", sample=group_size)
    advantages = groups - groups.mean(dim=1, keepdim=True)
    if is_scaled:
        advantages = advantages / (groups.std(dim=1, keepdim=True) + eps)
    return advantages.flatten()


def check_groups(batch: int, group_size: int) -> None:
    """Raise unless a batch is made of whole groups in which samples can be compared."""
    if group_size < 2:
        raise ConfigError(
            f"a group must have two samples at least, as each is compared with the others: got group_size = {group_size}. "
            "Pass 2 or more; 8 is a good start."
        )
    if batch % group_size:
        raise ShapeError(
            f"a batch must be made of whole groups of {group_size} samples: got {batch} samples. Draw group_size samples "
            "for each prompt, and keep them side by side."
        )
