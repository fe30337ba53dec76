"""Judges of the metrics: the logit difference, a component's share of it, and a scale from corrupted to clean.

Shapes:  logits "batch seq d_vocab", answer tokens "batch 2" -> one number or "batch".
"""

from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import metrics
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    make_model,
    make_tokens,
)

__test__ = False


def answers(batch: int, d_vocab: int, generator: torch.Generator) -> Tensor:
    """Two different tokens for each prompt."""
    return torch.stack([torch.randperm(d_vocab, generator=generator)[:2] for _ in range(batch)])


def logit_diff_cases(generator: torch.Generator) -> list[Case]:
    """The mean and each prompt's own, one prompt, and prompts of one token."""
    calls: dict[str, tuple[tuple[int, int, int], tuple[Any, ...]]] = {
        "the average": ((3, 5, 7), ()),
        "each prompt's own": ((4, 3, 9), (True,)),
        "one prompt": ((1, 4, 6), ()),
        "one prompt's own": ((1, 4, 6), (True,)),
        "prompts of a single token": ((2, 1, 5), (False,)),
    }
    return [
        Case(
            label=label,
            args=(torch.randn(*shape, generator=generator), answers(shape[0], shape[2], generator), *more),
            axes={"output": "batch" if more == (True,) else ""},
        )
        for label, (shape, more) in calls.items()
    ]


def logit_diff_by_indices(logits: Tensor, answer_tokens: Tensor, per_prompt: bool = False) -> Tensor:
    """Indexes prompt by prompt."""
    differences = [
        row[-1, int(right)] - row[-1, int(wrong)] for row, (right, wrong) in zip(logits, answer_tokens, strict=True)
    ]
    return torch.stack(differences) if per_prompt else sum(differences[1:], differences[0]) / len(differences)


def logit_diff_of_means(logits: Tensor, answer_tokens: Tensor, per_prompt: bool = False) -> Tensor:
    """Averages right and wrong logits on their own."""
    batch = torch.arange(len(logits))
    right, wrong = logits[batch, -1, answer_tokens[:, 0]], logits[batch, -1, answer_tokens[:, 1]]
    return right - wrong if per_prompt else right.mean() - wrong.mean()


test_logits_to_ave_logit_diff = exercise(
    reference=metrics.logits_to_ave_logit_diff,
    cases=logit_diff_cases,
    observe=outputs_and_gradients,
    accepts=[logit_diff_by_indices, logit_diff_of_means],
    mistakes=[
        Mistake(
            "subtracts the right answer from the wrong one",
            "correct - incorrect",
            "incorrect - correct",
            why="the number is positive when the model prefers the right answer, which stands first",
        ),
        Mistake(
            "reads the first position",
            "logits[:, -1] if",
            "logits[:, 0] if",
            why="the answer is predicted at the last position",
        ),
        Mistake(
            "averages over all positions",
            "logits[:, -1] if",
            "logits.mean(dim=1) if",
            why="only the last position predicts the answer",
        ),
        Mistake(
            "always averages",
            "differences if per_prompt else differences.mean()",
            "differences.mean()",
            why="with per_prompt each prompt has a number of its own",
        ),
        Mistake(
            "never averages",
            "differences if per_prompt else differences.mean()",
            "differences",
            why="without per_prompt the result is one number",
        ),
        Mistake(
            "turns per_prompt round",
            "differences if per_prompt else",
            "differences if not per_prompt else",
            why="per_prompt=True asks for one number for each prompt",
        ),
        Mistake(
            "sums over the prompts",
            "differences.mean()",
            "differences.sum()",
            why="an average does not grow with the number of prompts",
        ),
        Mistake(
            "takes the right answer alone",
            "correct - incorrect",
            "correct",
            why="a logit alone says nothing: softmax looks at differences, so subtract the wrong answer's",
        ),
        Mistake(
            "compares probabilities",
            "final_logits.gather",
            "final_logits.softmax(dim=-1).gather",
            why="logits are asked for; their difference is the log of the ratio of probabilities",
        ),
        Mistake(
            "gives a number without gradient",
            "differences = correct - incorrect",
            "differences = (correct - incorrect).detach()",
            why="the metric stays a tensor with its gradient: attribution patching needs it",
        ),
    ],
)


def stack_cases(generator: torch.Generator) -> list[Case]:
    """Each form of norm; stacks with one axis in front, with two, and with none."""
    calls: dict[str, tuple[Any, tuple[int, ...], int]] = {
        "a list of components": (GPT2_CONFIG, (4,), 3),
        "an RMSNorm": (LLAMA_CONFIG, (2,), 3),
        "heads by layer": (ATTENTION_ONLY_CONFIG, (2, 5), 4),
        "the stream itself": (GPT2_CONFIG, (), 2),
    }
    cases = []
    for label, (cfg, front, batch) in calls.items():
        model = make_model(cfg, generator)
        stack = torch.randn(*front, batch, cfg.d_model, generator=generator) + 0.5
        cache = model.run_with_cache(make_tokens(batch, 6, generator))[1]
        directions = torch.randn(batch, cfg.d_model, generator=generator)
        axes = {"output": " ".join(["layer component", "component", ""][2 - len(front) :][:1])}
        cases.append(Case(label=label, args=(stack, cache, directions), axes=axes))
    return cases


def shares_by_cache(residual_stack: Tensor, cache: Any, logit_diff_directions: Tensor) -> Tensor:
    """Lets the cache apply the norm; the mean over prompts in one einsum."""
    scaled = cache.apply_ln_to_stack(residual_stack, layer=-1, pos_slice=-1)
    total = einops.einsum(scaled, logit_diff_directions, "... batch d_model, batch d_model -> ...")
    return total / len(logit_diff_directions)


def shares_by_folding(residual_stack: Tensor, cache: Any, logit_diff_directions: Tensor) -> Tensor:
    """Moves gain, scale and centring over to the directions."""
    norm = cache.model.ln_final
    directions = logit_diff_directions * norm.w / cache["scale"][:, -1, :]
    if hasattr(norm, "b"):
        directions = directions - directions.mean(-1, keepdim=True)
    return torch.tensordot(residual_stack, directions, 2) / directions.shape[0]


test_residual_stack_to_logit_diff = exercise(
    reference=metrics.residual_stack_to_logit_diff,
    cases=stack_cases,
    observe=outputs,
    accepts=[shares_by_cache, shares_by_folding],
    mistakes=[
        Mistake(
            "leaves the norm out",
            "scaled_stack = residual_stack / final_scale * gain",
            "scaled_stack = residual_stack",
            why="the unembedding reads the stream after the final norm: its scale and gain belong to a part's share",
        ),
        Mistake(
            "takes the scale of the first position",
            "scale[:, -1] if",
            "scale[:, 0] if",
            why="each position has a scale of its own, and the stack is from the last",
        ),
        Mistake(
            "multiplies by the scale",
            "residual_stack / final_scale * gain",
            "residual_stack * final_scale * gain",
            why="hook_scale is what the norm divides by",
        ),
        Mistake(
            "leaves the gain out",
            "residual_stack / final_scale * gain",
            "residual_stack / final_scale",
            why="these weights are not folded: the norm's gain acts between the stream and W_U",
        ),
        Mistake(
            "does not take the mean away",
            "if is_centred:",
            "if False:",
            why="a LayerNorm subtracts the mean over d_model before it divides",
        ),
        Mistake(
            "takes the mean away for an RMSNorm too",
            "if is_centred:",
            "if True:",
            why="an RMSNorm divides only; the second value of gain() says which it is",
        ),
        Mistake(
            "gives each part a scale of its own",
            "residual_stack / final_scale * gain",
            "cache.model.ln_final(residual_stack)",
            why="the scale is held at what it was for the whole stream: only so do the shares add up",
        ),
        Mistake(
            "keeps one number for each prompt",
            ".sum(dim=-1).mean(dim=-1)",
            ".sum(dim=-1)",
            why="the last axis that is left is batch, and the share is the average over it",
        ),
        Mistake(
            "sums over the prompts",
            ".sum(dim=-1).mean(dim=-1)",
            ".sum(dim=-1).sum(dim=-1)",
            why="the average logit difference is a mean over prompts",
        ),
        Mistake(
            "averages over d_model",
            ".sum(dim=-1).mean(dim=-1)",
            ".mean(dim=-1).mean(dim=-1)",
            why="a dot product is the sum over d_model",
        ),
        Mistake(
            "uses the average direction",
            "(scaled_stack * logit_diff_directions)",
            "(scaled_stack * logit_diff_directions.mean(dim=0))",
            why="each prompt has answers of its own, so the product comes before the average",
        ),
    ],
)


def metric_cases(generator: torch.Generator) -> list[Case]:
    """Levels as tensors and as floats, a clean level below the corrupted one, and a single prompt."""
    levels: dict[str, tuple[int, Any, Any]] = {
        "levels as tensors": (3, torch.tensor(-1.7), torch.tensor(2.9)),
        "levels as floats": (2, 0.6, 3.1),
        "a clean level below the corrupted one": (4, 1.5, -0.75),
        "one prompt": (1, -2.0, -0.25),
    }
    return [
        Case(
            label=label,
            args=(torch.randn(batch, 4, 7, generator=generator), answers(batch, 7, generator), corrupted, clean),
        )
        for label, (batch, corrupted, clean) in levels.items()
    ]


def value_and_gradient(function: Any, case: Case) -> Observations:
    """The value, and its gradient for the logits; levels are numbers."""
    own = case.fresh()
    logits = own.args[0].requires_grad_(True)
    value = function(*own.args)
    if not isinstance(value, Tensor) or value.shape != ():
        return {"output": value, "gradient of logits": None}
    gradient = torch.autograd.grad(value, logits, allow_unused=True)[0] if value.requires_grad else None
    return {"output": value.detach(), "gradient of logits": torch.zeros_like(logits) if gradient is None else gradient}


def metric_by_shares(logits: Tensor, answer_tokens: Tensor, corrupted_logit_diff: Any, clean_logit_diff: Any) -> Tensor:
    """One less what is missing."""
    missing = clean_logit_diff - logit_diff_by_indices(logits, answer_tokens)
    return 1 - missing / (clean_logit_diff - corrupted_logit_diff)


SCALED = "(logit_diff - corrupted_logit_diff) / (clean_logit_diff - corrupted_logit_diff)"

test_ioi_metric = exercise(
    reference=metrics.ioi_metric,
    cases=metric_cases,
    observe=value_and_gradient,
    accepts=[metric_by_shares],
    mistakes=[
        Mistake(
            "has clean at 0 and corrupted at 1",
            SCALED,
            "(logit_diff - clean_logit_diff) / (corrupted_logit_diff - clean_logit_diff)",
            why="0 means as bad as the corrupted run, 1 as good as the clean one",
        ),
        Mistake(
            "divides by the clean level",
            SCALED,
            "(logit_diff - corrupted_logit_diff) / clean_logit_diff",
            why="the clean run must give 1: divide by what lies between the two levels",
        ),
        Mistake(
            "measures from the clean level",
            "(logit_diff - corrupted_logit_diff)",
            "(logit_diff - clean_logit_diff)",
            why="the corrupted run must give 0: subtract its level",
        ),
        Mistake(
            "does not subtract the corrupted level",
            "(logit_diff - corrupted_logit_diff)",
            "logit_diff",
            why="the corrupted run must give 0: subtract its level",
        ),
        Mistake(
            "turns the sign round",
            "(clean_logit_diff - corrupted_logit_diff)",
            "(corrupted_logit_diff - clean_logit_diff)",
            why="the clean run must give +1",
        ),
        Mistake(
            "cuts off at 0 and 1",
            SCALED,
            f"({SCALED}).clamp(0, 1)",
            why="a patch may help more than the clean run or hurt more than the corrupted one, and that must show",
        ),
        Mistake(
            "returns a float",
            SCALED,
            f"({SCALED}).item()",
            why="the metric stays a tensor: a float has no gradient, and taking it out waits for the device",
        ),
        Mistake(
            "gives a number without gradient",
            SCALED,
            f"({SCALED}).detach()",
            why="attribution patching needs the gradient of the metric",
        ),
    ],
)
