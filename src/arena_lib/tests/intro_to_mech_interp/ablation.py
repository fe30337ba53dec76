"""Judges of ablation: a head's output made zero or the mean over examples, and what the loss says to it.

Shapes:  z "batch seq n_heads d_head"; tokens "batch seq" -> "n_layers n_heads".
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.ablation import get_ablation_scores, head_mean_ablation_hook, head_zero_ablation_hook
from arena_lib.tests.intro_to_mech_interp.small_models import WEIGHTS, left_behind, make_model, make_repeated, state_of
from arena_lib.transformer.activations.hooks import HookPoint

__test__ = False

Z = "batch seq n_heads d_head"


def z_cases(generator: torch.Generator) -> list[Case]:
    """A head in the middle, the first of several, the last, and batches of one."""
    calls = {
        "a head in the middle": ((3, 5, 4, 2), 2),
        "the first head": ((2, 3, 5, 4), 0),
        "the last head": ((4, 6, 3, 5), 2),
        "a batch of one": ((1, 4, 2, 3), 1),
    }
    return [
        Case(
            label=label,
            given={"z": 1 + torch.randn(*shape, generator=generator), "head": head},
            axes={"z that goes on": Z},
        )
        for label, (shape, head) in calls.items()
    ]


def z_that_goes_on(function: Callable[..., Any], case: Case) -> Observations:
    """What the model reads after the hook: the tensor it returned, or else the one it got."""
    place, z = HookPoint(), case.given["z"].clone()
    place.name = "blocks.1.attn.hook_z"
    returned = function(z, place, case.given["head"])
    return {"z that goes on": z if returned is None else returned}


def zero_in_place(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Writes into z and returns nothing."""
    z[:, :, head_index_to_ablate, :] = 0.0


def zero_by_mask(z: Tensor, hook: Any, head_index_to_ablate: int) -> Tensor:
    """Multiplies with a mask."""
    keep = torch.arange(z.shape[2]) != head_index_to_ablate
    return z * keep[:, None]


OTHER_HEADS = "the other heads of the layer must stay as they are"
TAKES_POSITIONS = Mistake(
    "takes the axis of positions for the heads",
    function=lambda z, hook, head_index_to_ablate: _with_zeros(z, (slice(None), head_index_to_ablate)),
    why="z has the axes batch, seq, n_heads, d_head: the heads are the third",
)


def _with_zeros(z: Tensor, index: Any) -> Tensor:
    z[index] = 0.0
    return z


test_head_zero_ablation_hook = exercise(
    reference=head_zero_ablation_hook,
    cases=z_cases,
    observe=z_that_goes_on,
    accepts=[zero_in_place, zero_by_mask],
    mistakes=[
        TAKES_POSITIONS,
        Mistake(
            "takes the axis of entries for the heads",
            function=lambda z, hook, head_index_to_ablate: _with_zeros(
                z, (..., min(head_index_to_ablate, z.shape[-1] - 1))
            ),
            why="z has the axes batch, seq, n_heads, d_head: the heads are the third",
        ),
        Mistake("clears all heads", "z[:, :, head] = 0.0", "z[:] = 0.0", why=OTHER_HEADS),
        Mistake(
            "keeps this head and clears the others",
            "z[:, :, head] = 0.0",
            "z *= torch.nn.functional.one_hot(torch.tensor(head), z.shape[2])[:, None]",
            why="the head that is named goes; " + OTHER_HEADS,
        ),
        Mistake(
            "changes a copy and returns nothing",
            "return z",
            "return None",
            why="z = z.clone() is another tensor; write into the one you got, or return the new one",
        ),
        Mistake(
            "clears the first example only",
            "z[:, :, head] =",
            "z[:1, :, head] =",
            why="the head goes in every example of the batch",
        ),
        Mistake(
            "clears the last position only",
            "z[:, :, head] =",
            "z[:, -1:, head] =",
            why="the head goes at every position",
        ),
    ],
)


def mean_in_place(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Writes the mean into z."""
    z[:, :, head_index_to_ablate, :] = torch.mean(z[:, :, head_index_to_ablate, :], dim=0)


def mean_by_where(z: Tensor, hook: Any, head_index_to_ablate: int) -> Tensor:
    """Chooses between z and its mean over examples."""
    is_ablated = (torch.arange(z.shape[2]) == head_index_to_ablate)[:, None]
    return torch.where(is_ablated, z.mean(0, keepdim=True), z)


ONE_HEAD_MEAN = "z[:, :, head].mean(dim=0)"

test_head_mean_ablation_hook = exercise(
    reference=head_mean_ablation_hook,
    cases=z_cases,
    observe=z_that_goes_on,
    accepts=[mean_in_place, mean_by_where],
    mistakes=[
        Mistake(
            "averages over positions, too",
            ONE_HEAD_MEAN,
            "z[:, :, head].mean(dim=(0, 1))",
            why="the mean goes over the examples, at each position by itself",
        ),
        Mistake(
            "averages over positions instead of examples",
            ONE_HEAD_MEAN,
            "z[:, :, head].mean(dim=1, keepdim=True)",
            why="what the head does at a position in other examples is its mean: average over the batch",
        ),
        Mistake(
            "averages over the heads",
            ONE_HEAD_MEAN,
            "z.mean(dim=2)",
            why="each head writes in directions of its own; the mean is over examples",
        ),
        Mistake(
            "averages over a head's entries",
            ONE_HEAD_MEAN,
            "z[:, :, head].mean(dim=-1, keepdim=True)",
            why="the mean is a vector of d_head entries: average over the examples",
        ),
        Mistake("sets the head to zero", ONE_HEAD_MEAN, "0.0", why="this time the head keeps what it does on average"),
        Mistake(
            "ablates all heads",
            f"z[:, :, head] = {ONE_HEAD_MEAN}",
            "z[:] = z.mean(dim=0)",
            why=OTHER_HEADS,
        ),
        Mistake(
            "changes a copy and returns nothing",
            "return z",
            "return None",
            why="z = z.clone() is another tensor; write into the one you got, or return the new one",
        ),
        Mistake(
            "sums over the examples",
            ".mean(dim=0)",
            ".sum(dim=0)",
            why="a mean keeps the size of what the head writes",
        ),
    ],
)


def score_cases(generator: torch.Generator) -> list[Case]:
    """Two layers of three heads and three of two; zeroing by default, by name, and ablations of other kinds."""
    first = make_model(generator)
    second = make_model(generator, d_model=12, d_vocab=11, n_layers=3, n_heads=2, d_head=5)
    calls: dict[str, tuple[Any, int, int, Callable[..., Any] | None]] = {
        "zeroing, which is the default": (first, 5, 3, None),
        "zeroing, one example": (second, 7, 1, _told_which_head(zero_in_place)),
        "the mean": (second, 4, 3, _told_which_head(mean_by_where)),
        "an ablation that writes in place": (first, 6, 2, _told_which_head(_doubled_in_place)),
        "an ablation that changes nothing": (first, 3, 2, _told_which_head(_as_it_is)),
    }
    return [
        Case(
            label=label,
            given={"model": model, "tokens": make_repeated(model, n, batch, generator), "ablation": ablation},
            axes={"scores": "n_layers n_heads"},
        )
        for label, (model, n, batch, ablation) in calls.items()
    ]


class HeadNotGiven(TypeError):
    """What the judge's own ablations raise where they are called without a head."""


def _told_which_head(ablation: Callable[..., Any]) -> Callable[..., Any]:
    """The ablation, which says so by an exception of its own where nobody has told it the head."""

    def ablate(z: Tensor, hook: Any, head_index_to_ablate: int | None = None) -> Any:
        if head_index_to_ablate is None:
            raise HeadNotGiven("ablation_function(z, hook, head_index_to_ablate) was called with z and hook alone.")
        return ablation(z, hook, head_index_to_ablate)

    return ablate


def _doubled_in_place(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Doubles the head's output: no ablation, but every hook of this form must work."""
    z[:, :, head_index_to_ablate] *= 2


def _as_it_is(z: Tensor, hook: Any, head_index_to_ablate: int) -> None:
    """Leaves z alone."""


def scores_and_what_is_left(function: Callable[..., Any], case: Case) -> Observations:
    """The scores, and whether hooks or changed weights are left on the model."""
    model, tokens, ablation = (case.given[name] for name in ("model", "tokens", "ablation"))
    before, own = state_of(model), tokens.clone()
    try:
        scores = function(model, own) if ablation is None else function(model, own, ablation)
        after = state_of(model)
    finally:
        model.reset_hooks()
    return {
        "scores": scores.detach() if isinstance(scores, Tensor) else scores,
        "tokens left as they were": torch.equal(own, tokens),
    } | left_behind(before, after)


def scores_by_lambda(model: Any, tokens: Tensor, ablation_function: Any = zero_in_place) -> Tensor:
    """A loop with a lambda, cross-entropy of torch, and the loss of the intact model from a stack."""
    cfg, n = model.cfg, (tokens.shape[1] - 1) // 2
    rows = []
    for layer in range(cfg.n_layers):
        for head in range(cfg.n_heads):
            hook = (
                f"blocks.{layer}.attn.hook_z",
                lambda z, hook, head=head: ablation_function(z, hook, head),
            )
            losses = [
                F.cross_entropy(logits[:, -n:-1].flatten(0, 1), tokens[:, -n + 1 :].flatten())
                for logits in (model.run_with_hooks(tokens, fwd_hooks=[hook]), model(tokens))
            ]
            rows.append(losses[0] - losses[1])
    return torch.stack(rows).reshape(cfg.n_layers, cfg.n_heads)


def scores_by_added_hooks(model: Any, tokens: Tensor, ablation_function: Any = zero_by_mask) -> Tensor:
    """Adds hooks and takes them off again; log-probabilities by gather."""
    n = tokens.shape[1] // 2

    def loss() -> float:
        with torch.no_grad():
            logprobs = model(tokens).log_softmax(-1)[:, n + 1 : -1]
        return -float(logprobs.gather(-1, tokens[:, n + 2 :, None]).mean())

    intact = loss()
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer, head in scores.isfinite().nonzero().tolist():
        hook = partial(ablation_function, head_index_to_ablate=head)
        model.add_hook(f"blocks.{layer}.attn.hook_z", hook)
        scores[layer, head] = loss() - intact
        model.reset_hooks()
    return scores


WINDOW = "[:, -(n - 1) :]"

test_get_ablation_scores = exercise(
    reference=get_ablation_scores,
    cases=score_cases,
    observe=scores_and_what_is_left,
    accepts=[scores_by_lambda, scores_by_added_hooks],
    tolerance={
        "scores": Tolerance(rtol=1e-3, atol=2e-5),
        WEIGHTS: Tolerance(rtol=0.0, atol=1e-6),
    },
    mistakes=[
        Mistake(
            "turns the difference round",
            "loss(logits) - loss_intact",
            "loss_intact - loss(logits)",
            why="a head that is needed makes the loss grow when it goes, and its score is positive",
        ),
        Mistake(
            "does not subtract the intact loss",
            "loss(logits) - loss_intact",
            "loss(logits)",
            why="what counts is what the ablation changes: subtract the loss without any",
        ),
        Mistake(
            "takes the mean over both copies",
            f"tokens){WINDOW}",
            "tokens)",
            why="the first copy can't be predicted anyway; only the second shows what induction does",
        ),
        Mistake(
            "takes the first copy",
            f"tokens){WINDOW}",
            "tokens)[:, :n]",
            why="the second copy is the one that can be copied",
        ),
        Mistake(
            "counts the second copy's first token, too",
            WINDOW,
            "[:, -n:]",
            why="nothing announces that the string begins again: the last n - 1 predictions are meant",
        ),
        Mistake(
            "leaves out one prediction too many",
            WINDOW,
            "[:, -(n - 2) :]",
            why="the last n - 1 predictions are meant, those of the second to the n-th token of the copy",
        ),
        Mistake(
            "sums over the predictions",
            f"{WINDOW}.mean()",
            f"{WINDOW}.sum()",
            why="the loss is a mean over examples and positions",
        ),
        Mistake(
            "always sets to zero",
            "partial(ablation_function,",
            "partial(head_zero_ablation_hook,",
            why="what becomes of z is for ablation_function to say",
        ),
        Mistake(
            "hooks ablation_function without its head",
            "partial(ablation_function, head_index_to_ablate=head)",
            "ablation_function",
            why="a hook is called with z and hook alone: partial(..., head_index_to_ablate=head) binds the head",
        ),
        Mistake(
            "always ablates head 0",
            "head_index_to_ablate=head)",
            "head_index_to_ablate=0)",
            why="each entry is for a head of its own; a lambda in a loop sees the loop's variable as it is when called",
        ),
        Mistake(
            "always ablates the last layer",
            'f"blocks.{layer}.attn.hook_z"',
            'f"blocks.{lm.n_layers - 1}.attn.hook_z"',
            why="each layer has a hook_z of its own",
        ),
        Mistake(
            "ablates all layers at once",
            '[(f"blocks.{layer}.attn.hook_z", ablate)]',
            '[(f"blocks.{l}.attn.hook_z", ablate) for l in range(lm.n_layers)]',
            why="one head at a time: hook the layer of this head only",
        ),
        Mistake(
            "leaves its hooks on the model",
            'logits = lm.run(tokens, [(f"blocks.{layer}.attn.hook_z", ablate)])',
            'lm.model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)\n        logits = lm.run(tokens)',
            why="hooks that stay ablate more and more heads; run_with_hooks takes them off, and so does reset_hooks()",
        ),
    ],
)
