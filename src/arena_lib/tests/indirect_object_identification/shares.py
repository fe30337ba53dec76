"""Judge of a component's share of the logit difference.

Shapes:  parts of the final stream "*stack batch d_model" -> "*stack".
"""

from dataclasses import replace
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import metrics
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    make_model,
    make_tokens,
)
from arena_lib.tests.indirect_object_identification.uneven_ends import (
    END_WHY,
    IGNORES_END,
    ONE_END,
    move_ends_in_cache,
    takes_end,
)

__test__ = False


def stack_cases(generator: torch.Generator) -> list[Case]:
    """Each form of norm; stacks with one axis in front, with two, and with none; prompts of different lengths."""
    calls: dict[str, tuple[Any, tuple[int, ...], int, list[int] | None]] = {
        "a list of components": (GPT2_CONFIG, (4,), 3, None),
        "an RMSNorm": (LLAMA_CONFIG, (2,), 3, None),
        "heads by layer": (ATTENTION_ONLY_CONFIG, (2, 5), 4, None),
        "the stream itself": (GPT2_CONFIG, (), 2, None),
        "prompts of different lengths": (LLAMA_CONFIG, (3,), 4, [3, 1, 2, 4]),
    }
    cases = []
    for label, (cfg, front, batch, end) in calls.items():
        model = make_model(cfg, generator)
        stack = torch.randn(*front, batch, cfg.d_model, generator=generator) + 0.5
        cache = model.run_with_cache(make_tokens(batch, 6, generator))[1]
        directions = torch.randn(batch, cfg.d_model, generator=generator)
        axes = {"output": " ".join(["layer component", "component", ""][2 - len(front) :][:1])}
        cases.append(Case(label=label, args=(stack, cache, directions), given={"end": end}, axes=axes))
    return cases


def shares(function: Any, case: Case) -> Observations:
    """The result; `end` goes with the call if the function takes it, else the cache's ends are moved."""
    if case.given["end"] is None:
        return outputs(function, case)
    end = torch.tensor(case.given["end"])
    if takes_end(function):
        return outputs(function, replace(case, kwargs={"end": end}))
    stack, cache, directions = case.args
    return outputs(function, replace(case, args=(stack, move_ends_in_cache(cache, end), directions)))


def shares_by_cache(residual_stack: Tensor, cache: Any, logit_diff_directions: Tensor) -> Tensor:
    """Lets the cache apply the norm; the mean over prompts in one einsum. It knows no `end`."""
    scaled = cache.apply_ln_to_stack(residual_stack, layer=-1, pos_slice=-1)
    total = einops.einsum(scaled, logit_diff_directions, "... batch d_model, batch d_model -> ...")
    return total / len(logit_diff_directions)


def shares_by_folding(
    residual_stack: Tensor, cache: Any, logit_diff_directions: Tensor, end: Tensor | None = None
) -> Tensor:
    """Moves gain, scale and centring over to the directions."""
    norm, scale = cache.model.ln_final, cache["scale"]
    end = torch.full(scale.shape[:1], scale.shape[1] - 1) if end is None else end
    directions = logit_diff_directions * norm.w / scale[torch.arange(len(scale)), end]
    if hasattr(norm, "b"):
        directions = directions - directions.mean(-1, keepdim=True)
    return torch.tensordot(residual_stack, directions, 2) / directions.shape[0]


FINAL_SCALE = "scale[:, -1] if end is None else scale[prompts, end]"
NORM = """if is_centred:
        residual_stack = residual_stack - residual_stack.mean(dim=-1, keepdim=True)
    scaled_stack = residual_stack / final_scale * gain"""
FIRST_SCALE = (
    "uses the scale of the first position",
    "each position has a scale of its own, and the stack is from the last position",
)

test_residual_stack_to_logit_diff = exercise(
    reference=metrics.residual_stack_to_logit_diff,
    cases=stack_cases,
    observe=shares,
    accepts=[shares_by_cache, shares_by_folding],
    mistakes=[
        *instead_of(
            FINAL_SCALE,
            {
                "scale[:, 0]": FIRST_SCALE,
                "scale[:, 0] if end is None else scale[prompts, end]": FIRST_SCALE,
                "scale[:, -1]": IGNORES_END,
                "scale[:, -1] if end is None else scale[:, end[0]]": ONE_END,
                "scale[:, -1] if end is None else scale[:, end.max()]": (
                    "uses the latest end for all prompts",
                    END_WHY,
                ),
                "scale[:, -1] if end is None else scale[prompts, end - 1]": (
                    "reads the position before the end",
                    "end holds the position of each prompt's last token itself",
                ),
                "scale[:, -2] if end is None else scale[prompts, end]": (
                    "reads the position before the last",
                    "the stack is from the last position, and so is its scale",
                ),
                "scale.mean(dim=1)": (
                    "averages the scale over positions",
                    "each position has a scale of its own, and the stack is from the last position",
                ),
            },
        ),
        *instead_of(
            "residual_stack / final_scale * gain",
            {
                "residual_stack": (
                    "leaves the norm's scale and gain out",
                    "the unembedding reads the stream after the final norm, so a part's share needs the norm's scale and gain",
                ),
                "residual_stack / final_scale / gain": (
                    "divides by the gain",
                    "the norm divides by its scale and multiplies by its gain",
                ),
                "residual_stack / final_scale.sqrt() * gain": (
                    "takes the square root of the scale",
                    "hook_scale is what the norm divides by: the root has been taken",
                ),
                "residual_stack / final_scale**2 * gain": (
                    "divides by the scale twice",
                    "the norm divides the stream by its scale once",
                ),
                "residual_stack / final_scale.mean() * gain": (
                    "averages the scale over prompts",
                    "each prompt has a scale of its own",
                ),
                "residual_stack / final_scale * gain + getattr(cache.model.ln_final, 'b', 0)": (
                    "adds the norm's bias to each part",
                    "the bias comes from no part, so it's in no part's share",
                ),
                "residual_stack / final_scale * gain + getattr(cache.model.ln_final, 'b', 0) / "
                "(len(residual_stack) if residual_stack.dim() > 2 else 1)": (
                    "shares the norm's bias among the parts",
                    "the bias comes from no part, so it's in no part's share",
                ),
                "residual_stack * final_scale * gain": (
                    "multiplies by the scale",
                    "the norm divides by hook_scale",
                ),
                "residual_stack / final_scale": (
                    "leaves the gain out",
                    "these weights are not folded: the norm's gain acts between the stream and W_U",
                ),
                "residual_stack * gain": ("does not divide by the scale", "the norm divides the stream by its scale"),
                "cache.model.ln_final(residual_stack)": (
                    "computes a scale for each part",
                    "all parts use the scale of the whole stream, so that the shares add up to the logit difference",
                ),
            },
        ),
        *instead_of(
            NORM,
            {
                """scaled_stack = residual_stack / final_scale * gain
    if is_centred:
        scaled_stack = scaled_stack - scaled_stack.mean(dim=-1, keepdim=True)""": (
                    "subtracts the mean after the gain",
                    "a LayerNorm subtracts the mean first, then divides by the scale and multiplies by the gain",
                ),
                "scaled_stack = residual_stack": (
                    "leaves the norm out",
                    "the unembedding reads the stream after the final norm, so a part's share needs the norm's mean, scale and gain",
                ),
                "scaled_stack = residual_stack / final_scale": (
                    "divides by the scale but leaves out the gain and the mean",
                    "a norm also multiplies by its gain, and a LayerNorm subtracts the mean first",
                ),
            },
        ),
        *instead_of(
            "residual_stack.mean(dim=-1, keepdim=True)",
            {
                "residual_stack.mean()": (
                    "subtracts the mean over all axes",
                    "a LayerNorm subtracts the mean over d_model, for each part and each prompt",
                ),
                "residual_stack.mean(dim=0, keepdim=True)": (
                    "subtracts the mean over the parts",
                    "a LayerNorm subtracts the mean over d_model, the last axis",
                ),
            },
        ),
        *instead_of(
            "if is_centred:",
            {
                "if False:": (
                    "does not subtract the mean",
                    "a LayerNorm subtracts the mean over d_model before it divides",
                ),
                "if True:": (
                    "subtracts the mean for an RMSNorm too",
                    "an RMSNorm subtracts no mean; the second value of gain() says which norm it is",
                ),
            },
        ),
        *instead_of(
            ".sum(dim=-1).mean(dim=-1)",
            {
                ".sum(dim=-1)": (
                    "returns a number for each prompt",
                    "each share is an average over the prompts, the axis batch",
                ),
                ".sum(dim=-1).mean(dim=-1).sum()": (
                    "sums over the parts",
                    "each part has a share of its own",
                ),
                ".sum(dim=-1).mean()": ("averages over the parts", "each part has a share of its own"),
                ".sum(dim=-1).sum(dim=-1)": (
                    "sums over the prompts",
                    "the average logit difference is a mean over prompts",
                ),
                ".mean(dim=-1).mean(dim=-1)": ("averages over d_model", "a dot product is the sum over d_model"),
            },
        ),
        *instead_of(
            "(scaled_stack * logit_diff_directions)",
            {
                "(scaled_stack * logit_diff_directions.mean(dim=0))": (
                    "averages the directions before the product",
                    "each prompt has answers of its own, so the product comes before the average",
                ),
                "(scaled_stack * torch.nn.functional.normalize(logit_diff_directions, dim=-1))": (
                    "divides the directions by their length",
                    "the shares must add up to the logit difference, so the direction stays as it is",
                ),
                "(scaled_stack * logit_diff_directions[0])": (
                    "uses the first prompt's direction for all prompts",
                    "each prompt has answers of its own",
                ),
            },
        ),
        Mistake(
            "uses the scale of the first layer's norm",
            'cache["ln_final.hook_scale"]',
            'cache["blocks.0.ln1.hook_scale"]',
            why="the unembedding reads the stack, so the scale is that of the norm before it, ln_final",
        ),
    ],
)
