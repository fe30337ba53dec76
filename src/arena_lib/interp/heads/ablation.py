"""What is lost without a head: its output becomes zero, an average, or what it is for another example.

Zeroing may do more than take the head away: a head that always adds about the same vector is a bias that
the rest of the model has learned to live with. The mean over examples keeps that and takes away what
depends on the example; another example's output (resampling) also stays within what the model knows.

Shapes:  z "batch seq n_heads d_head" -> the same; scores "n_layers n_heads", in nats.
Raises:  UnknownNameError for a head that is not there; what `induction.check_repeated` raises.
Source:  Olsson et al. 2022, arXiv:2209.11895 (zeroing, pattern-preserving); Wang et al. 2022, arXiv:2211.00593,
         section 2.1 (mean ablation); Chan et al. 2022, "Causal scrubbing" (resampling).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.heads.induction import check_repeated
from arena_lib.interp.hooking import hooked
from arena_lib.transformer.loss import next_token_logprobs


def check_head(z: Float[Tensor, "batch seq n_heads d_head"], head: int) -> int:
    """The head, if z has it."""
    if not 0 <= head < z.shape[2]:
        raise UnknownNameError("head", str(head), map(str, range(z.shape[2])))
    return head


def head_zero_ablation_hook(
    z: Float[Tensor, "batch seq n_heads d_head"], hook: Any, head_index_to_ablate: int
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook for `attn.hook_z`: the z of this head becomes 0 at every position of every example.

    The other heads stay as they are. You may write into z, or return a tensor to take its place.
    """
    head = check_head(z, head_index_to_ablate)
    z = z.clone()
    z[:, :, head] = 0.0
    return z


def head_mean_ablation_hook(
    z: Float[Tensor, "batch seq n_heads d_head"], hook: Any, head_index_to_ablate: int
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook for `attn.hook_z`: the z of this head becomes its mean over the batch, position by position.

    So at each position every example gets the same vector, and what the head knew about this one
    example is gone. The other heads stay as they are. You may write into z, or return a tensor.
    """
    head = check_head(z, head_index_to_ablate)
    z = z.clone()
    z[:, :, head] = z[:, :, head].mean(dim=0)
    return z


def head_resample_ablation_hook(
    z: Float[Tensor, "batch seq n_heads d_head"], hook: Any, head_index_to_ablate: int
) -> Float[Tensor, "batch seq n_heads d_head"]:
    """A hook for `attn.hook_z`: each example gets this head's z from the example before it; the first, from the last."""
    if z.shape[0] < 2:
        raise ConfigError(
            f"resampling takes another example's output: got a batch of {z.shape[0]}. Give two examples or more."
        )
    head = check_head(z, head_index_to_ablate)
    z = z.clone()
    z[:, :, head] = z[:, :, head].roll(1, dims=0)
    return z


@torch.no_grad()
def get_ablation_scores(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    ablation_function: Callable[..., Tensor | None] = head_zero_ablation_hook,
) -> Float[Tensor, "n_layers n_heads"]:
    """By how many nats the loss on the second copy of repeated tokens grows when one head is ablated.

    `tokens` are one token and then twice the same n, seq = 1 + 2n. The loss is the mean of
    -log p over the batch and the last n - 1 predictions: those of the second copy except its first
    token, which nothing announces. Entry [layer, head] is the loss with this head ablated minus the
    loss without any ablation. `ablation_function(z, hook, head_index_to_ablate=head)` is the hook
    for the layer's z. No hook is left in the model.
    """
    lm = hooked(model)
    lm.refuse_padding("get_ablation_scores")
    n = check_repeated(tokens)

    def loss(logits: Float[Tensor, "batch seq d_vocab"]) -> Tensor:
        return -next_token_logprobs(logits, tokens)[:, -(n - 1) :].mean()

    loss_intact = loss(lm.run(tokens))
    scores = torch.zeros(lm.n_layers, lm.n_heads, device=tokens.device)
    for layer, head in lm.heads:
        ablate = partial(ablation_function, head_index_to_ablate=head)
        logits = lm.run(tokens, [(f"blocks.{layer}.attn.hook_z", ablate)])
        scores[layer, head] = loss(logits) - loss_intact
    return scores
