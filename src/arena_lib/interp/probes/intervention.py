"""Does the model use a direction? Move along it and see whether the model changes its mind.

A probe that finds the truth in an activation shows that it can be read there, not that the model reads it.
So the direction is added to the residual stream where the statement ends, and the model is asked for its
verdict (`few_shot.py`). Adding it to false statements should make them true for the model, subtracting it
from true ones false, and a random direction of the same length should do neither.

Shapes:  statements, direction "d_model" -> P(TRUE) - P(FALSE) "n_statements"
Raises:  ConfigError for another word than the three interventions, no layers, or classes that the model
         doesn't tell apart; ShapeError for a direction of another length; UnknownNameError for a layer.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 6 (the normalised indirect effect is its equation
         in 6.2).
Differs: nothing; which layers are changed is the caller's choice, there as here.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes.extraction import block_output, check_layer, find_blocks, tokenize
from arena_lib.interp.probes.few_shot import few_shot_evaluate

SIGNS = {"none": 0.0, "add": 1.0, "subtract": -1.0}
"""What an intervention multiplies the direction by."""


def intervention_experiment(
    statements: list[str],
    model: Any,
    tokenizer: Any,
    direction: Float[Tensor, " d_model"],
    few_shot_prompt: str,
    true_id: int,
    false_id: int,
    intervene_layers: list[int],
    intervention: str = "none",
    batch_size: int = 32,
) -> Float[Tensor, " n_statements"]:
    """P(TRUE) - P(FALSE) as in `few_shot_evaluate`, while `direction` is added to the residual stream.

    `intervention` is "none", "add" (+ direction) or "subtract" (- direction); the direction is used as it is,
    not normalised. It changes what leaves each block of `intervene_layers`, at two tokens of every prompt and
    nowhere else: the last two tokens of the *statement*, its full stop and the end of its last word. The prompt
    is `few_shot_prompt + statement + " This statement is:"`, so they stand just in front of the tokens of
    " This statement is:". The statements are read in batches of `batch_size`, whose rows are of different length:
    find the two tokens in each row. (Places counted from a row's first token, as `tokenize` gives them, hold only
    if the prompts are padded on the right.)

    Use forward hooks on the blocks (`find_blocks(model)[layer]`), whose output is a tensor "batch seq d_model".
    Remove the hooks afterwards, also after an error, so that the model is left as it was.
    """
    check_intervention(statements, direction, model, intervene_layers, intervention)
    blocks, sign = find_blocks(model), SIGNS[intervention]
    differences = []
    for start in range(0, len(statements), batch_size):
        batch = statements[start : start + batch_size]
        _, mask = tokenize([few_shot_prompt + statement for statement in batch], tokenizer)
        places = mask.sum(dim=1, keepdim=True) - torch.tensor([2, 1])
        rows = torch.arange(len(batch))[:, None]

        def shift(module: Any, inputs: Any, output: Any, rows: Tensor = rows, places: Tensor = places) -> Any:
            resid = block_output(output).clone()
            resid[rows, places] += sign * direction.to(resid)
            return resid if isinstance(output, Tensor) else (resid, *output[1:])

        handles = [blocks[layer].register_forward_hook(shift) for layer in intervene_layers]
        try:
            answers = few_shot_evaluate(batch, model, tokenizer, few_shot_prompt, true_id, false_id, len(batch))
        finally:
            for handle in handles:
                handle.remove()
        differences.append(answers)
    return torch.cat(differences)


def compute_indirect_effect(
    before: Float[Tensor, " n_statements"], after: Float[Tensor, " n_statements"], wanted: Float[Tensor, " n_others"]
) -> float:
    """How far an intervention moves statements of one class towards the other: the normalised indirect effect.

    With the means of P(TRUE) - P(FALSE) over statements of the class that is changed, `before` and `after`, and
    over unchanged statements of the other class, `wanted`:

        NIE = (mean(after) - mean(before)) / (mean(wanted) - mean(before))

    0: nothing changed; 1: the model treats them like the other class; negative: they moved away.

    >>> compute_indirect_effect(torch.tensor([-0.5, -0.25]), torch.tensor([0.0, 0.0]), torch.tensor([0.375]))
    0.5
    """
    gap = (wanted.mean() - before.mean()).item()
    if gap == 0:
        raise ConfigError(
            f"the model must answer differently for true and false statements: got the mean {before.mean().item():.3f} "
            "for both. Take statements, or a few-shot prompt, with which it can tell them apart."
        )
    return (after.mean() - before.mean()).item() / gap


def make_random_direction(
    direction: Float[Tensor, " d_model"], generator: torch.Generator
) -> Float[Tensor, " d_model"]:
    """A random direction as long as `direction`: the control of an intervention."""
    drawn = torch.randn(direction.shape, generator=generator).to(direction)
    return drawn * (direction.norm() / drawn.norm())


def check_intervention(
    statements: Sequence[str], direction: Tensor, model: Any, layers: Sequence[int], intervention: str
) -> None:
    """Statements, word, layers and direction must fit the model."""
    n_layers = len(find_blocks(model))
    if not statements:
        raise ConfigError("intervention_experiment needs at least one statement: got none. Pass a list of texts.")
    if intervention not in SIGNS:
        raise ConfigError(f"an intervention must be one of {', '.join(SIGNS)}: got {intervention!r}. Pick one.")
    if not layers and intervention != "none":
        raise ConfigError(f"intervene_layers must name a layer: got none. Name some from 0 to {n_layers - 1}.")
    for layer in layers:
        check_layer(layer, n_layers)
    check_direction(model, direction)


def check_direction(model: Any, direction: Tensor) -> None:
    """A direction must be one vector of the model's residual stream."""
    d_model = model.cfg.d_model if hasattr(model, "cfg") else model.config.hidden_size
    if direction.shape != (d_model,):
        raise ShapeError(
            f"the direction must be one vector of the residual stream, ({d_model},): got {tuple(direction.shape)}. "
            "Take the direction of a probe that was fitted on this model."
        )
