"""Judges of the metrics: the logit difference, and a scale from corrupted to clean.

A function without the parameter `end` is right as well: it is asked on prompts whose ends were moved to the last position.

Shapes:  logits "batch seq d_vocab", answer tokens "batch 2" -> one number or "batch".
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import metrics
from arena_lib.tests.indirect_object_identification.uneven_ends import (
    END_WHY,
    IGNORES_END,
    ONE_END,
    move_ends_last,
    takes_end,
)

__test__ = False


def answers(batch: int, d_vocab: int, generator: torch.Generator) -> Tensor:
    """Two different tokens for each prompt."""
    return torch.stack([torch.randperm(d_vocab, generator=generator)[:2] for _ in range(batch)])


def logit_diff_cases(generator: torch.Generator) -> list[Case]:
    """The mean and each prompt's own, one prompt, prompts of one token, and prompts that end at different positions."""
    calls: dict[str, tuple[tuple[int, int, int], bool | None, list[int] | None]] = {
        "the average": ((3, 5, 7), None, None),
        "each prompt's own": ((4, 3, 9), True, None),
        "one prompt": ((1, 4, 6), None, None),
        "one prompt's own": ((1, 4, 6), True, None),
        "prompts of a single token": ((2, 1, 5), False, None),
        "prompts of different lengths": ((3, 6, 8), None, [3, 4, 2]),
        "each prompt's own, of different lengths": ((4, 6, 7), True, [1, 2, 1, 4]),
    }
    cases = []
    for label, (shape, per_prompt, end) in calls.items():
        logits = 10 * torch.randn(*shape, generator=generator)
        args: tuple[Any, ...] = (logits, answers(shape[0], shape[2], generator))
        args = args if per_prompt is None else (*args, per_prompt)
        axes = {"output": "batch" if per_prompt else ""}
        cases.append(Case(label=label, args=args, given={"end": end}, axes=axes))
    return cases


def asked_with_end(function: Any, case: Case) -> tuple[Any, Case]:
    """The function and the call; `end` goes with it if the function takes it, else the logits' ends are moved."""
    if case.given["end"] is None:
        return function, case
    end = torch.tensor(case.given["end"])
    if takes_end(function):
        return function, replace(case, kwargs={"end": end})
    return lambda logits, *args: function(move_ends_last(logits, end), *args), case


def logit_diff_and_gradients(function: Any, case: Case) -> Observations:
    """The result, and its gradient for the logits."""
    return outputs_and_gradients(*asked_with_end(function, case))


def logit_diff_by_indices(
    logits: Tensor, answer_tokens: Tensor, per_prompt: bool = False, end: Tensor | None = None
) -> Tensor:
    """Indexes prompt by prompt."""
    ends = [logits.shape[1] - 1] * len(logits) if end is None else end.tolist()
    differences = [
        row[last, int(right)] - row[last, int(wrong)]
        for row, last, (right, wrong) in zip(logits, ends, answer_tokens, strict=True)
    ]
    return torch.stack(differences) if per_prompt else sum(differences[1:], differences[0]) / len(differences)


def logit_diff_of_means(logits: Tensor, answer_tokens: Tensor, per_prompt: bool = False) -> Tensor:
    """Averages right and wrong logits on their own; knows no `end`, as in notebooks in use elsewhere."""
    batch = torch.arange(len(logits))
    right, wrong = logits[batch, -1, answer_tokens[:, 0]], logits[batch, -1, answer_tokens[:, 1]]
    return right - wrong if per_prompt else right.mean() - wrong.mean()


FINAL_LOGITS = "logits[:, -1] if end is None else logits[prompts, end]"
READS_FIRST = ("reads the first position", "the answer is predicted at the last position")
BEFORE_LAST = (
    "reads the position before the last",
    "the logits at a prompt's last token predict the word that comes next, the answer",
)
AVERAGES_POSITIONS = ("averages over all positions", "only the last position predicts the answer")

test_logits_to_ave_logit_diff = exercise(
    reference=metrics.logits_to_ave_logit_diff,
    cases=logit_diff_cases,
    observe=logit_diff_and_gradients,
    accepts=[logit_diff_by_indices, logit_diff_of_means],
    mistakes=[
        *instead_of(
            FINAL_LOGITS,
            {
                "logits[:, 0]": READS_FIRST,
                "logits[:, 0] if end is None else logits[prompts, end]": READS_FIRST,
                "logits.mean(dim=1)": AVERAGES_POSITIONS,
                "logits.mean(dim=1) if end is None else logits[prompts, end]": AVERAGES_POSITIONS,
                "logits[:, -1]": IGNORES_END,
                "logits[:, -1] if end is None else logits[:, end[0]]": ONE_END,
                "logits[:, -1] if end is None else logits[:, end.max()]": (
                    "uses the latest end for all prompts",
                    END_WHY,
                ),
                "logits[:, -1] if end is None else logits[:, end].mean(dim=1)": (
                    "averages over the ends of all prompts",
                    "each prompt is read at its own end only: logits[prompts, end]",
                ),
                "logits[:, -1] if end is None or per_prompt else logits[prompts, end]": (
                    "ignores end when per_prompt is True",
                    END_WHY,
                ),
                "logits[:, -1] if end is None or not per_prompt else logits[prompts, end]": (
                    "ignores end when per_prompt is False",
                    END_WHY,
                ),
                "logits[:, -2] if end is None else logits[prompts, end]": BEFORE_LAST,
                "logits[:, -2]": BEFORE_LAST,
                "logits[:, -1] if end is None else logits[prompts, end - 1]": (
                    "reads the position before the end",
                    "end holds the position of each prompt's last token itself",
                ),
            },
        ),
        *instead_of(
            "correct - incorrect",
            {
                "incorrect - correct": (
                    "subtracts the right answer from the wrong one",
                    "the difference is the right answer's logit minus the wrong one's: answer_tokens holds the right answer first",
                ),
                "correct": (
                    "returns the right answer's logit only",
                    "softmax depends only on differences of logits, so subtract the wrong answer's",
                ),
                "(correct - incorrect).abs()": (
                    "takes the absolute value of the difference",
                    "the sign says which of the two answers the model prefers",
                ),
                "correct - final_logits.mean(dim=-1)": (
                    "subtracts the mean logit",
                    "the difference is the right answer's logit minus the wrong answer's",
                ),
                "correct - final_logits.logsumexp(dim=-1)": (
                    "subtracts the log of the normalisation",
                    "the difference is the right answer's logit minus the wrong answer's",
                ),
                "correct / incorrect": (
                    "divides the right answer's logit by the wrong one's",
                    "the logit difference subtracts: a ratio of logits has no meaning, since only their differences matter",
                ),
                "(correct - incorrect).unsqueeze(-1)": (
                    "keeps an axis of length 1 for the two answers",
                    "one number for each prompt has the shape (batch,)",
                ),
                "(correct - incorrect).detach()": (
                    "cuts the gradient",
                    "the metric stays a tensor with its gradient: attribution patching needs it",
                ),
            },
        ),
        *instead_of(
            "differences if per_prompt else differences.mean()",
            {
                "differences.mean()": ("always averages", "with per_prompt each prompt has a number of its own"),
                "differences": ("never averages", "without per_prompt the result is one number"),
                "differences if not per_prompt else differences.mean()": (
                    "averages only when per_prompt is True",
                    "per_prompt=True asks for one number for each prompt",
                ),
                "differences if per_prompt else differences.sum()": (
                    "sums over the prompts",
                    "an average does not grow with the number of prompts",
                ),
                "final_logits.gather(dim=-1, index=answer_tokens) if per_prompt else differences.mean()": (
                    "returns both logits of each prompt",
                    "with per_prompt the result is one difference for each prompt",
                ),
                "differences.detach() if per_prompt else differences.mean()": (
                    "cuts the gradient when per_prompt is True",
                    "the metric stays a tensor with its gradient: attribution patching needs it",
                ),
                "differences if per_prompt else (final_logits.mean(dim=0)[answer_tokens[:, 0]] - "
                "final_logits.mean(dim=0)[answer_tokens[:, 1]]).mean()": (
                    "averages the logits over prompts first",
                    "each prompt has answers of its own, so take the difference before the average",
                ),
                "differences if per_prompt else differences.mean().item()": (
                    "returns a float",
                    "the metric stays a tensor: a float has no gradient",
                ),
                "differences if per_prompt else differences.median()": (
                    "uses the median over the prompts",
                    "the average logit difference is the mean",
                ),
            },
        ),
        *instead_of(
            "final_logits.gather(dim=-1, index=answer_tokens)",
            {
                "final_logits[:, answer_tokens]": (
                    "looks up all prompts' answers for every prompt",
                    "prompt i needs only answer_tokens[i]: gather along d_vocab, or index with the prompts as well",
                ),
                "final_logits[:, answer_tokens[0]]": (
                    "uses the first prompt's answers for all prompts",
                    "each prompt has answers of its own: answer_tokens[i]",
                ),
                "final_logits.softmax(dim=-1).gather(dim=-1, index=answer_tokens)": (
                    "compares probabilities",
                    "the metric is a difference of logits, which is the logarithm of the ratio of the two probabilities",
                ),
            },
        ),
    ],
)


def metric_cases(generator: torch.Generator) -> list[Case]:
    """Levels as tensors and floats, a clean level below the corrupted one, one prompt, prompts of different lengths."""
    levels: dict[str, tuple[int, Any, Any, list[int] | None]] = {
        "better than the clean run, levels as tensors": (3, torch.tensor(-9.7), torch.tensor(-5.2), None),
        "levels as tensors": (3, torch.tensor(-1.7), torch.tensor(2.9), None),
        "levels as floats": (2, 0.6, 3.1, None),
        "a clean level below the corrupted one": (4, 1.5, -0.75, None),
        "one prompt": (1, -2.0, -0.25, None),
        "prompts of different lengths": (3, -30.5, 20.0, [2, 1, 3]),
    }
    return [
        Case(
            label=label,
            args=(4 * torch.randn(batch, 5, 7, generator=generator), answers(batch, 7, generator), corrupted, clean),
            given={"end": end},
        )
        for label, (batch, corrupted, clean, end) in levels.items()
    ]


def value_and_gradient(function: Any, case: Case) -> Observations:
    """The value, and its gradient for the logits; levels are numbers."""
    function, case = asked_with_end(function, case)
    own = case.fresh()
    logits = own.args[0].requires_grad_(True)
    value = function(*own.args, **own.kwargs)
    if not isinstance(value, Tensor) or value.shape != ():
        return {"output": value, "gradient of logits": None}
    gradient = torch.autograd.grad(value, logits, allow_unused=True)[0] if value.requires_grad else None
    return {"output": value.detach(), "gradient of logits": torch.zeros_like(logits) if gradient is None else gradient}


def metric_by_shares(logits: Tensor, answer_tokens: Tensor, corrupted_logit_diff: Any, clean_logit_diff: Any) -> Tensor:
    """One less what is missing; knows no `end`."""
    missing = clean_logit_diff - logit_diff_by_indices(logits, answer_tokens)
    return 1 - missing / (clean_logit_diff - corrupted_logit_diff)


SCALED = "(logit_diff - corrupted_logit_diff) / (clean_logit_diff - corrupted_logit_diff)"
LOGIT_DIFF = "logits_to_ave_logit_diff(logits, answer_tokens, end=end)"

test_ioi_metric = exercise(
    reference=metrics.ioi_metric,
    cases=metric_cases,
    observe=value_and_gradient,
    accepts=[metric_by_shares],
    mistakes=[
        *instead_of(
            SCALED,
            {
                "(logit_diff - clean_logit_diff) / (corrupted_logit_diff - clean_logit_diff)": (
                    "is 0 for the clean run and 1 for the corrupted run",
                    "the corrupted run must give 0, and the clean run 1",
                ),
                "(logit_diff - corrupted_logit_diff) / clean_logit_diff": (
                    "divides by the clean level",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "logit_diff / clean_logit_diff": (
                    "divides the metric by the clean level, without subtracting the corrupted level",
                    "the corrupted run must give 0: subtract its level in the numerator and in the denominator",
                ),
                "(logit_diff - corrupted_logit_diff) / abs(clean_logit_diff - corrupted_logit_diff)": (
                    "divides by the absolute value of the difference",
                    "the clean run must give +1, even if its level is below the corrupted one",
                ),
                "(logit_diff - corrupted_logit_diff) / abs(clean_logit_diff)": (
                    "divides by the absolute value of the clean level",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "(logit_diff - corrupted_logit_diff) / (clean_logit_diff + corrupted_logit_diff)": (
                    "divides by the sum of the two levels",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "(logit_diff - corrupted_logit_diff) / corrupted_logit_diff": (
                    "divides by the corrupted level",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "(logit_diff - corrupted_logit_diff) / abs(corrupted_logit_diff)": (
                    "divides by the absolute value of the corrupted level",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "(logit_diff - corrupted_logit_diff) / (clean_logit_diff - logit_diff)": (
                    "divides by what is missing to the clean level",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                "logit_diff / (clean_logit_diff - corrupted_logit_diff) - corrupted_logit_diff": (
                    "subtracts the corrupted level after the division",
                    "the corrupted run must give 0: subtract its level before dividing",
                ),
                f"abs({SCALED})": (
                    "takes the absolute value",
                    "a patch may give less than the corrupted run, so values below 0 must stay",
                ),
                f"100 * {SCALED}": ("returns percentages", "the clean run must give 1"),
                f"({SCALED}).clamp(max=1)": (
                    "clamps values above 1",
                    "a patch may give more than the clean run, so values above 1 must stay",
                ),
                f"({SCALED}).clamp(min=0)": (
                    "clamps values below 0",
                    "a patch may give less than the corrupted run, so values below 0 must stay",
                ),
                "(logit_diff - clean_logit_diff) / (clean_logit_diff - corrupted_logit_diff)": (
                    "measures from the clean level",
                    "the corrupted run must give 0: subtract its level",
                ),
                "logit_diff / (clean_logit_diff - corrupted_logit_diff)": (
                    "does not subtract the corrupted level",
                    "the corrupted run must give 0: subtract its level",
                ),
                "(logit_diff - corrupted_logit_diff) / (corrupted_logit_diff - clean_logit_diff)": (
                    "flips the sign",
                    "the clean run must give +1: keep the sign of the numerator and the denominator",
                ),
                "(logit_diff - corrupted_logit_diff)": (
                    "does not divide by the difference of the two levels",
                    "the clean run must give 1: divide by the clean level minus the corrupted level",
                ),
                f"({SCALED}).clamp(0, 1)": (
                    "clamps values below 0 and above 1",
                    "a patch may give more than the clean run or less than the corrupted run, so values outside 0 to 1 must stay",
                ),
                f"({SCALED}).item()": (
                    "returns a float",
                    "the metric stays a tensor: a float has no gradient, and .item() has to wait for the GPU",
                ),
                f"({SCALED}).detach()": (
                    "cuts the gradient",
                    "the metric stays a tensor with its gradient: attribution patching needs it",
                ),
            },
        ),
        *instead_of(
            LOGIT_DIFF,
            {
                "logits_to_ave_logit_diff(logits, answer_tokens)": IGNORES_END,
                LOGIT_DIFF.replace("end=end", "end=None if end is None else end[:1].expand_as(end)"): ONE_END,
                f"-{LOGIT_DIFF}": (
                    "subtracts the right answer from the wrong one",
                    "answer_tokens holds the right answer first",
                ),
                f"{LOGIT_DIFF} * len(logits)": (
                    "sums over the prompts",
                    "the levels are average logit differences, so the metric needs the average too",
                ),
                LOGIT_DIFF.replace("(logits,", "(logits.softmax(dim=-1),"): (
                    "compares probabilities",
                    "the metric is linear in the logit difference",
                ),
                LOGIT_DIFF.replace("end=end", "per_prompt=True, end=end"): (
                    "returns a number for each prompt",
                    "the metric is one number, computed from the average logit difference",
                ),
            },
        ),
    ],
)
