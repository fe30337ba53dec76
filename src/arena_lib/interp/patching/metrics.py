"""How well a model does at telling two answers apart, as one number that patching can be measured in.

Shapes:  logits "batch seq d_vocab", answer tokens "batch 2" (right, wrong) -> one number, or "batch".
Raises:  ShapeError for answers that are not a pair of tokens for each prompt, for directions or end positions
         of another batch; TokenError for text; ConfigError for two levels that are the same number.
Source:  Wang et al. 2022, arXiv:2211.00593, sections 2 and 3; appendix B for the change by path patching.
Differs: prompts may end at different positions. Where the model's norm has a gain, a component's share
         includes it, so that weights need not be folded and shares add up to the logit difference.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError, ShapeError, TokenError
from arena_lib.interp.hooking import hooked

Metric = Callable[[Tensor], Tensor]
"""From logits "batch seq d_vocab" to one number, kept as a tensor."""


def logits_to_ave_logit_diff(
    logits: Float[Tensor, "batch seq d_vocab"],
    answer_tokens: Int[Tensor, "batch 2"],
    per_prompt: bool = False,
    end: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "*batch"]:
    """How much higher the right answer's logit is than the wrong one's, at each prompt's last position.

    `answer_tokens[i]` holds the right and the wrong token of prompt i, in this order. The result is the mean
    over prompts, a 0-dim tensor, or with `per_prompt` one number for each. Where prompts end at different
    positions, `end` holds the position of each one's last token; by default all end at the last position.
    """
    check_answers(answer_tokens, logits.shape[0])
    prompts = torch.arange(logits.shape[0], device=logits.device)
    final_logits = logits[:, -1] if end is None else logits[prompts, end]
    correct, incorrect = at_least_float32(final_logits.gather(dim=-1, index=answer_tokens)).unbind(dim=-1)
    differences = correct - incorrect
    return differences if per_prompt else differences.mean()


def residual_stack_to_logit_diff(
    residual_stack: Float[Tensor, "*stack batch d_model"],
    cache: Any,
    logit_diff_directions: Float[Tensor, "batch d_model"],
    end: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "*stack"]:
    """What each part of the final residual stream adds to the logit difference, on average over prompts.

    `residual_stack` holds parts of the stream at each prompt's last position; `cache` is the run that they are
    from; a direction is the right answer's column of W_U less the wrong one's. The final norm is not linear,
    but with its scale held at what it was in this run (`cache["ln_final.hook_scale"]`, "batch seq 1") it is:
    take the mean over d_model away (a LayerNorm; an RMSNorm does not), divide by the scale, multiply by the
    gain (`hooked(cache.model).gain(None)` gives the gain, and whether the mean is taken away). Then a part's
    share is its dot product with the direction, of which the mean over prompts is returned: one number for each
    index of *stack, a 0-dim tensor if there is no such axis. `end` says at which position each prompt's scale is taken,
    as in `logits_to_ave_logit_diff`; the stack is at that position already, and stays as it is.
    """
    if residual_stack.shape[-2:] != logit_diff_directions.shape:
        raise ShapeError(
            f"there must be one direction for each prompt of the stack: got {tuple(logit_diff_directions.shape)} "
            f"for a stack of shape {tuple(residual_stack.shape)}. Take the stack at one position: cache..., pos_slice=-1."
        )
    gain, is_centred = hooked(cache.model).gain(None)
    prompts = torch.arange(len(logit_diff_directions), device=residual_stack.device)
    scale = cache["ln_final.hook_scale"]
    final_scale = scale[:, -1] if end is None else scale[prompts, end]
    if is_centred:
        residual_stack = residual_stack - residual_stack.mean(dim=-1, keepdim=True)
    scaled_stack = residual_stack / final_scale * gain
    return (scaled_stack * logit_diff_directions).sum(dim=-1).mean(dim=-1)


def ioi_metric(
    logits: Float[Tensor, "batch seq d_vocab"],
    answer_tokens: Int[Tensor, "batch 2"],
    corrupted_logit_diff: float | Float[Tensor, ""],
    clean_logit_diff: float | Float[Tensor, ""],
    end: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """How much of the clean run's performance is there: 0 for the corrupted run's logit difference, 1 for the clean.

    It is linear in the average logit difference (`logits_to_ave_logit_diff`, which gets `end`), so it may be below 0
    or above 1. Gradients flow through it to the logits.
    """
    check_levels(corrupted_logit_diff, clean_logit_diff)
    logit_diff = logits_to_ave_logit_diff(logits, answer_tokens, end=end)
    return (logit_diff - corrupted_logit_diff) / (clean_logit_diff - corrupted_logit_diff)


def ioi_path_metric(
    logits: Float[Tensor, "batch seq d_vocab"],
    answer_tokens: Int[Tensor, "batch 2"],
    orig_logit_diff: float | Float[Tensor, ""],
    new_logit_diff: float | Float[Tensor, ""],
    end: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """How much performance changed: 0 for no change, -1 if it fell to the new prompts' logit difference (ABC)."""
    return ioi_metric(logits, answer_tokens, new_logit_diff, orig_logit_diff, end) - 1


def check_answers(answer_tokens: Any, batch: int) -> None:
    """Answers must be a right and a wrong token for each prompt."""
    if not isinstance(answer_tokens, Tensor):
        raise TokenError(
            f"answer_tokens must be a tensor of token ids: got {type(answer_tokens).__name__}. A metric has no tokenizer; "
            'make ids of texts with model.to_token_ids([[" Mary", " John"], ...]).'
        )
    if answer_tokens.shape != (batch, 2):
        raise ShapeError(
            f"answer_tokens must be (right, wrong) for each of {batch} prompts: got shape {tuple(answer_tokens.shape)}. "
            "Each answer must be a single token; stack the right ones and the wrong ones: torch.stack([io, s], dim=1)."
        )


def check_levels(corrupted_logit_diff: float | Tensor, clean_logit_diff: float | Tensor) -> None:
    """Between two equal levels nothing can be measured."""
    if bool(torch.as_tensor(clean_logit_diff == corrupted_logit_diff)):
        raise ConfigError(
            f"the clean and the corrupted logit difference must differ: got {float(clean_logit_diff):.4g} for both. "
            "Corrupt what the answer depends on."
        )
