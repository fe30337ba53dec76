"""Judge of what the loss says to the ablation of each head.

Shapes:  tokens "batch seq" -> "n_layers n_heads".
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.ablation import get_ablation_scores
from arena_lib.tests.intro_to_mech_interp.ablation import mean_by_where, zero_by_mask, zero_in_place
from arena_lib.tests.intro_to_mech_interp.small_models import (
    HOOKS_LEFT,
    WEIGHTS,
    left_behind,
    make_model,
    make_repeated,
    state_of,
)

__test__ = False


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
            call="model, tokens" + (", ablation_function" if ablation else ""),
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
        "tokens are unchanged": torch.equal(own, tokens),
    } | left_behind(before, after)


def scores_by_lambda(model: Any, tokens: Tensor, ablation_function: Any = zero_in_place) -> Tensor:
    """A loop with a lambda, cross-entropy of torch, and the loss of the intact model from a stack."""
    cfg, n = model.cfg, (tokens.shape[1] - 1) // 2
    rows = []
    for layer in range(cfg.n_layers):
        for head in range(cfg.n_heads):
            hook = (f"blocks.{layer}.attn.hook_z", lambda z, hook, head=head: ablation_function(z, hook, head))
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


def _last_hook_stays(model: Any, tokens: Tensor, ablation_function: Any = zero_by_mask) -> Tensor:
    """The mistake of a hook that is added once too often."""
    scores = scores_by_added_hooks(model, tokens, ablation_function)
    model.add_hook("blocks.0.attn.hook_z", partial(ablation_function, head_index_to_ablate=0))
    return scores


LAYER_BY_LAYER = "entry [layer, head]: one row for each layer"
EVERY_HEAD = "every head of every layer has a score"
MEAN_OF_ALL = "the loss is a mean over examples and positions"
WINDOW = "[:, -(n - 1) :]"

test_get_ablation_scores = exercise(
    reference=get_ablation_scores,
    cases=score_cases,
    observe=scores_and_what_is_left,
    accepts=[scores_by_lambda, scores_by_added_hooks],
    equivalent={
        "lm.refuse_padding('get_ablation_scores')": "it refuses prompts of uneven length, which repeated tokens never are",
    },
    tolerance={"scores": Tolerance(rtol=1e-3, atol=2e-5), WEIGHTS: Tolerance(rtol=0.0, atol=1e-6)},
    mistakes=[
        *instead_of(
            "loss(logits) - loss_intact",
            {
                "loss_intact - loss(logits)": (
                    "subtracts in the wrong order",
                    "the score is the loss with the ablation minus the loss without, so it is positive for a head that is needed",
                ),
                "loss(logits)": (
                    "does not subtract the intact loss",
                    "the score is the change of the loss: subtract the loss without an ablation",
                ),
                "(loss(logits) - loss_intact).abs()": (
                    "uses the absolute value of the change",
                    "a negative score means that the model does better without the head: keep the sign",
                ),
                "loss(logits) / loss_intact": ("divides the losses", "the score is a difference in nats, not a share"),
                "(loss(logits) - loss_intact).clamp(min=0)": (
                    "cuts off what lies below zero",
                    "below zero, the model does better without the head: keep it",
                ),
                "loss(logits) - loss_intact\n        loss_intact = loss(logits)": (
                    "compares with the head before",
                    "each loss is compared with that of the model without any ablation, which stays the same",
                ),
                "(loss(logits) - loss_intact) / loss_intact": (
                    "divides by the intact loss",
                    "the score is a difference in nats, not a share",
                ),
            },
        ),
        *instead_of(
            f"tokens){WINDOW}",
            {
                "tokens)": (
                    "averages over both copies",
                    "the first copy is random and can't be predicted: only the second copy shows what induction does",
                ),
                "tokens)[:, :n]": (
                    "uses the first copy",
                    "only the second copy can be predicted, by copying from the first",
                ),
                "tokens)[:, -n:-1]": (
                    "counts the second copy's first token, and leaves the last one out",
                    "nothing announces the first; the last n - 1 predictions are meant, up to the end",
                ),
                "tokens)[:, -n:]": (
                    "counts the second copy's first token too",
                    "the start of the second copy can't be predicted, so only the last n - 1 predictions count",
                ),
                "tokens)[:1, -(n - 1) :]": ("uses only the first example", "the mean is over the batch too"),
                "tokens)[:, -1:]": ("uses only the last prediction", "the mean is over the last n - 1 predictions"),
                "tokens)[:, -(n - 2) :]": (
                    "leaves out one prediction too many",
                    "the mean is over the last n - 1 predictions, those of the second to the n-th token of the copy",
                ),
            },
        ),
        *instead_of(
            f"{WINDOW}.mean()",
            {
                f"{WINDOW}.sum()": ("sums over the predictions", MEAN_OF_ALL),
                f"{WINDOW}.mean(dim=1).sum()": ("sums over the examples", MEAN_OF_ALL),
                f"{WINDOW}.sum(dim=1).mean()": ("sums over the positions", MEAN_OF_ALL),
                f"{WINDOW}.mean() / 0.6931471805599453": (
                    "counts in bits",
                    "a score is in nats: the natural logarithm, without dividing by log 2",
                ),
                f"{WINDOW}.mean().exp()": (
                    "uses the perplexity",
                    "the loss is the mean of -log p itself, without exp",
                ),
            },
        ),
        *instead_of(
            "-next_token_logprobs(logits, tokens)",
            {
                "-next_token_logprobs(logits, tokens).exp()": (
                    "uses probabilities instead of their logarithms",
                    "the loss is -log p, in nats",
                ),
                "-logits[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]": (
                    "uses logits instead of log-probabilities",
                    "log_softmax over the vocabulary turns logits into log-probabilities",
                ),
                "-logits[:, :-1].log_softmax(dim=1).gather(-1, tokens[:, 1:, None])[..., 0]": (
                    "uses softmax over the positions",
                    "probabilities sum to one over the vocabulary, the last axis",
                ),
                "(logits[:, :-1].argmax(dim=-1) != tokens[:, 1:]).float()": (
                    "counts wrong guesses",
                    "the loss is -log p, which also says how sure the model was",
                ),
                "-logits.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]": (
                    "scores each position's own token",
                    "a position predicts the token after it: logits[:, :-1] belong to tokens[:, 1:]",
                ),
            },
        ),
        *instead_of(
            "partial(ablation_function, head_index_to_ablate=head)",
            {
                "partial(head_zero_ablation_hook, head_index_to_ablate=head)": (
                    "always sets z to zero",
                    "the argument ablation_function decides how z is changed",
                ),
                "ablation_function": (
                    "hooks ablation_function without its head",
                    "a hook is called with z and hook alone: partial(..., head_index_to_ablate=head) binds the head",
                    "TypeError",
                ),
                "partial(ablation_function, head_index_to_ablate=0)": (
                    "always ablates head 0",
                    "entry [layer, head] is the score with that head ablated",
                ),
                "partial(ablation_function, head_index_to_ablate=lm.n_heads - 1)": (
                    "always ablates the last head",
                    "each entry is for a head of its own; a lambda that is made in a loop sees the loop's variable as it "
                    "is when the lambda is called: bind it with partial, or with lambda z, hook, head=head",
                ),
            },
        ),
        *instead_of(
            '[(f"blocks.{layer}.attn.hook_z", ablate)]',
            {
                '[(f"blocks.{lm.n_layers - 1}.attn.hook_z", ablate)]': (
                    "always ablates the last layer",
                    "each layer has a hook_z of its own, so the hook's name depends on the layer",
                ),
                '[("blocks.0.attn.hook_z", ablate)]': (
                    "always ablates layer 0",
                    "each layer has a hook_z of its own, so the hook's name depends on the layer",
                ),
                '[(f"blocks.{l}.attn.hook_z", ablate) for l in range(lm.n_layers)]': (
                    "ablates all layers at once",
                    "each entry ablates one head: hook only this head's layer",
                ),
                '[(f"blocks.{layer}.attn.hook_v", ablate)]': (
                    "hooks the values",
                    "a head's output z is at attn.hook_z",
                ),
                '[(f"blocks.{layer}.attn.hook_k", ablate)]': (
                    "hooks the keys",
                    "a head's output z is at attn.hook_z",
                ),
                '[(f"blocks.{layer}.attn.hook_pattern", ablate)]': (
                    "hooks the attention pattern",
                    "ablation_function takes z, with the heads as its third axis: attn.hook_z",
                ),
                '[(f"blocks.{layer}.attn.hook_q", ablate)]': (
                    "hooks the queries",
                    "a head's output z is at attn.hook_z",
                ),
            },
        ),
        *instead_of(
            'logits = lm.run(tokens, [(f"blocks.{layer}.attn.hook_z", ablate)])',
            {
                'lm.model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)\n        logits = lm.run(tokens)': (
                    "leaves its hooks on the model",
                    "hooks that stay ablate more and more heads; run_with_hooks removes them, and so does reset_hooks()",
                ),
                'lm.model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)\n        logits = lm.run(tokens)\n'
                "        if (layer, head) == list(lm.heads)[-1]: lm.model.reset_hooks()": (
                    "removes its hooks only at the end",
                    "each entry ablates one head: remove the hook of one head before the next is ablated",
                ),
                'lm.model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)\n        logits = lm.run(tokens)\n'
                "        if head == lm.n_heads - 1: lm.model.reset_hooks()": (
                    "takes its hooks off after each layer only",
                    "each entry ablates one head: remove the hook of one head before the next is ablated",
                ),
                "logits = lm.run(tokens)": (
                    "runs without the hook",
                    "the model runs with the hook only if it is passed: fwd_hooks=[(name, hook)]",
                ),
            },
        ),
        Mistake(
            "leaves the last hook on the model",
            function=_last_hook_stays,
            shows=lambda seen: any(observed[HOOKS_LEFT] != "none" for observed in seen),
            why="run_with_hooks removes its hooks; after add_hook call reset_hooks()",
        ),
        *instead_of(
            "in lm.heads:",
            {
                "in [(layer, head) for layer, head in lm.heads if layer > 0]:": ("leaves layer 0 out", EVERY_HEAD),
                "in [(layer, head) for layer, head in lm.heads if layer < lm.n_layers - 1]:": (
                    "leaves the last layer out",
                    EVERY_HEAD,
                ),
            },
        ),
        *instead_of(
            "return scores",
            {
                "return scores.T": ("returns heads as rows", LAYER_BY_LAYER),
                "return scores.reshape(lm.n_heads, lm.n_layers)": ("gives one row for each head", LAYER_BY_LAYER),
                "return scores.flatten()": ("gives all scores in one row", LAYER_BY_LAYER),
                "return scores.tolist()": ("returns lists", "a tensor is asked for, n_layers x n_heads"),
            },
        ),
    ],
)
