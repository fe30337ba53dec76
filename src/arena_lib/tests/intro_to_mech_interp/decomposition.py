"""Judge of the input of queries and keys, taken apart.

Shapes:  a cache of one sequence -> parts "n_comp seq d_model".
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.comparison.arrays import Tolerance
from arena_lib.checking.observing import Observations
from arena_lib.interp.weights import decomposition
from arena_lib.tests.intro_to_mech_interp.circuits import fresh_model, model_for_cases

__test__ = False

N_PARTS, D_MODEL, D_HEAD, D_VOCAB = 5, 10, 8, 13
"""Of the small model: 3 heads, and what they read."""
READ = ("hook_embed", "hook_pos_embed")
PARTS = "n_comp seq d_model"


def decompose_qk_input_cases(generator: torch.Generator) -> list[Case]:
    """Sequences of several lengths, and one token."""
    given = model_for_cases(generator, d_model=D_MODEL, d_head=D_HEAD, d_vocab=D_VOCAB)
    return [
        Case(
            label=f"a sequence of {seq}",
            given=given | {"tokens": torch.randint(0, D_VOCAB, (1, seq), generator=generator)},
            axes={"output": PARTS},
            call="cache",
        )
        for seq in (6, 8, 1)
    ]


def parts_of_a_run(function: Any, case: Case) -> Observations:
    """The parts for the cache of one run."""
    _, cache = fresh_model(case).run_with_cache(case.given["tokens"], remove_batch_dim=True)
    before = {name: cache[name].clone() for name in (*READ, "blocks.0.attn.hook_z")}
    output = function(cache)
    changed = [name for name, value in before.items() if not torch.equal(cache[name], value)]
    return {"output": output, "activations changed in the cache": changed}


def parts_one_by_one(cache: Any) -> Tensor:
    """Centres, scales and multiplies each part by hand, and makes the heads' outputs from z."""
    model = cache.model
    ln1, scale = model.blocks[1].ln1, cache["scale", 1, "ln1"]

    def through_norm(x: Tensor) -> Tensor:
        return (x - x.mean(dim=-1, keepdim=True)) / scale * ln1.w

    z, W_O = cache["z", 0], model.W_O[0]
    parts = [through_norm(cache["embed"])]
    parts.append(through_norm(model.b_O[0].repeat(len(z), 1)) + ln1.b + cache["pos_embed"])
    parts += [through_norm(z[:, head] @ W_O[head]) for head in range(model.cfg.n_heads)]
    return torch.stack(parts)


def parts_filled_in(cache: Any) -> Tensor:
    """Fills a tensor of zeros, and takes positions from the weights."""
    model = cache.model
    raw = torch.zeros(model.cfg.n_heads + 2, *cache["embed"].shape, dtype=cache["embed"].dtype)
    raw[0] = cache["resid_pre", 0]
    raw[1] = model.b_O[0]
    raw[2:] = cache["result", 0].transpose(0, 1)
    parts = cache.apply_ln_to_stack(raw, 1)
    parts[1] += model.W_pos[: parts.shape[1]]
    parts[1] += model.blocks[1].ln1.b
    return parts


def parts_in_single_precision(cache: Any) -> Tensor:
    """Fills a tensor of the default dtype, which holds what these models' activations need."""
    raw = torch.zeros(cache.model.cfg.n_heads + 2, *cache["embed"].shape)
    raw[0], raw[1], raw[2:] = cache["embed"], cache.model.b_O[0], cache["result", 0].transpose(0, 1)
    late = torch.zeros_like(raw)
    late[1] = cache["pos_embed"] + cache.model.blocks[1].ln1.b
    return cache.apply_ln_to_stack(raw, 1) + late


def _as_they_are(cache: Any) -> Tensor:
    """The mistake of taking what stands in the cache as it is: embedding, positions, heads."""
    return torch.cat([torch.stack([cache["embed"], cache["pos_embed"]]), cache["result", 0].movedim(1, 0)])


def _through_the_norm(cache: Any, *, with_biases: bool) -> Tensor:
    """The mistake of treating positions as part of the stream."""
    parts = _as_they_are(cache)
    parts[1] += with_biases * cache.model.b_O[0]
    parts = cache.apply_ln_to_stack(parts, 1)
    parts[1] += with_biases * cache.model.blocks[1].ln1.b
    return parts


def _positions_for_the_bias(cache: Any) -> Tensor:
    """The mistake of swapping what passes the norm and what doesn't, within part 1."""
    parts = cache.apply_ln_to_stack(_as_they_are(cache), 1)
    parts[1] += cache.model.b_O[0] + cache.model.blocks[1].ln1.b
    return parts


def _adds_into_the_cache(cache: Any) -> Tensor:
    """The mistake of adding the constants to the activations themselves."""
    parts = parts_filled_in(cache)
    cache["embed"].add_(cache["pos_embed"])
    return parts


POSITIONS_JOIN_LATE = "in this model positions are added to the inputs of queries and keys, after the norm"
NORM_IS_READ = "queries and keys read the stream through the norm: each part must be centred and scaled as the norm did"
BIAS_IN_1 = "no token and no head brings layer 0's b_O: it counts with part 1, once"
RAW = 'torch.cat([torch.stack([cache["embed"], b_O]), heads])'
NORMED = 'cache.apply_ln_to_stack(torch.cat([torch.stack([cache["embed"], b_O]), heads]), 1)'
CONSTANTS = 'model.blocks[1].ln1.b + cache["pos_embed"]'

test_decompose_qk_input = exercise(
    reference=decomposition.decompose_qk_input,
    cases=decompose_qk_input_cases,
    observe=parts_of_a_run,
    accepts=[parts_one_by_one, parts_filled_in, parts_in_single_precision],
    tolerance={"output": Tolerance(rtol=1e-4, atol=1e-6)},
    mistakes=[
        *instead_of(
            "model.blocks[0].attn.b_O.expand_as(",
            {
                "torch.zeros_like(": (
                    "forgets the bias of layer 0's output",
                    "layer 0 adds its heads' outputs and one bias to the stream; the bias counts with part 1",
                ),
            },
        ),
        *instead_of(
            CONSTANTS,
            {
                'cache["pos_embed"]': (
                    "forgets the norm's bias",
                    "the norm adds its bias at the end; it counts with part 1",
                ),
                "model.blocks[1].ln1.b": (
                    "forgets the positions",
                    "positions are added to the inputs of queries and keys, as part 1",
                ),
            },
        ),
        *instead_of(
            NORMED,
            {
                NORMED.replace(", 1)", ", 0)"): (
                    "uses the norm of layer 0",
                    "layer 1's heads read the stream through layer 1's norm, with the scale that it had there",
                ),
            },
        ),
        Mistake("leaves out the norm and the biases", function=_as_they_are, why=NORM_IS_READ),
        Mistake(
            "applies the norm to the positions",
            function=partial(_through_the_norm, with_biases=True),
            why=POSITIONS_JOIN_LATE,
        ),
        Mistake(
            "applies the norm to the positions, and forgets the biases",
            function=partial(_through_the_norm, with_biases=False),
            why=POSITIONS_JOIN_LATE + "; layer 0's b_O and the norm's bias count with part 1",
        ),
        *instead_of(
            NORMED,
            {
                f"cache.apply_ln_to_stack({NORMED}, 1)": (
                    "sends the parts through the norm twice",
                    "apply_ln_to_stack has centred, divided and multiplied by the gain: once is enough",
                ),
                NORMED + " / model.blocks[1].ln1.w": (
                    "leaves the norm's gain out",
                    "the norm multiplies by its gain, and W_Q and W_K read what comes out",
                ),
                f'{RAW} / cache["scale", 1, "ln1"] * model.blocks[1].ln1.w': (
                    "does not take the means away",
                    "a LayerNorm takes the mean of its input away, so each part's own mean goes",
                ),
                f"torch.nn.functional.layer_norm({RAW}, (cache['embed'].shape[-1],)) * model.blocks[1].ln1.w": (
                    "scales each part by its own size",
                    "the norm had one scale for the whole stream in this run, and the cache holds it",
                ),
                NORMED.replace("b_O])", "0 * b_O])").replace("heads])", "heads + b_O / len(heads)])"): (
                    "shares layer 0's bias among its heads",
                    BIAS_IN_1,
                ),
                NORMED.replace("b_O])", "0 * b_O])").replace("heads])", "heads + b_O])"): (
                    "adds layer 0's bias to every head",
                    BIAS_IN_1,
                ),
                NORMED.replace('cache["embed"], b_O', 'cache["embed"] + b_O, 0 * b_O'): (
                    "counts layer 0's bias with the token",
                    BIAS_IN_1,
                ),
                NORMED.replace("b_O])", "0 * b_O])") + " + b_O * (torch.arange(len(heads) + 2) == 1)[:, None, None]": (
                    "adds layer 0's bias after the norm",
                    "layer 0 writes its bias into the stream, which passes the norm",
                ),
                NORMED.replace('cache["embed"]', 'cache["resid_pre", 1]'): (
                    "uses the whole stream for the token",
                    "part 0 is the token embedding alone; what layer 0 wrote has parts of its own",
                ),
                'torch.cat([torch.stack([cache["embed"], b_O]), heads])': ("leaves the norm out", NORM_IS_READ),
                NORMED + ' * cache["scale", 1, "ln1"]': (
                    "does not divide by the norm's scale",
                    "the norm divides by its scale, which the cache holds for this run",
                ),
            },
        ),
        Mistake(
            "sends the positions through the norm, and layer 0's bias past it",
            function=_positions_for_the_bias,
            why=POSITIONS_JOIN_LATE + "; layer 0's b_O is in the stream, and passes the norm",
        ),
        Mistake(
            "writes into the cache",
            function=_adds_into_the_cache,
            why="others will read the cache after you: add to a new tensor",
        ),
        *instead_of(
            "model.blocks[0].attn.b_O.expand_as(",
            {
                "model.blocks[1].attn.b_O.expand_as(": (
                    "uses layer 1's b_O",
                    "what layer 1 reads holds layer 0's bias; its own comes later",
                ),
            },
        ),
        Mistake(
            "mixes positions and heads in a reshape",
            'einops.rearrange(cache["result", 0], "seq n_heads d_model -> n_heads seq d_model")',
            'cache["result", 0].reshape(cache["result", 0].shape[1], len(cache["result", 0]), -1)',
            why='a reshape changes no order: einops.rearrange to "n_heads seq d_model", or transpose',
        ),
        *instead_of(
            CONSTANTS,
            {
                'model.blocks[0].ln1.b + cache["pos_embed"]': (
                    "uses the norm's bias of layer 0",
                    "layer 1's heads read through layer 1's norm",
                ),
            },
        ),
        *instead_of(
            "[parts[:1], parts[1:2] + constants, parts[2:]]",
            {
                "[parts[:1] + constants, parts[1:]]": (
                    "adds the positions to the token's part",
                    "part 0 is the token embedding, part 1 the position",
                ),
                "[parts[2:], parts[:1], parts[1:2] + constants]": (
                    "returns the heads' parts first",
                    "the parts are in the order token, position, heads",
                ),
                "[parts[1:2] + constants, parts[:1], parts[2:]]": (
                    "returns the position's part first",
                    "the parts are in the order token, position, heads",
                ),
                "[parts[:1], parts[2:], parts[1:2] + constants]": (
                    "puts the position last",
                    "the parts are in the order token, position, heads",
                ),
                "[parts[:1], parts[1:2] + constants, parts[2:].flip(0)]": (
                    "puts the heads in the opposite order",
                    "part 2 + h is head h",
                ),
                "[parts[:1] + parts[1:2] + constants, 0 * parts[1:2], parts[2:]]": (
                    "joins token and position",
                    "part 0 is the token embedding alone, part 1 the position with all constants",
                ),
                '[parts[:1] + cache["pos_embed"], parts[1:2] + model.blocks[1].ln1.b, parts[2:]]': (
                    "counts the positions alone with the token",
                    "part 0 is the token embedding, part 1 the position with all constants",
                ),
                '[parts[:1] + model.blocks[1].ln1.b, parts[1:2] + cache["pos_embed"], parts[2:]]': (
                    "counts the norm's bias with the token",
                    "the norm's bias is no token's: it counts with part 1",
                ),
                "[(parts[:1] + parts[1:2] + constants + parts[2:].sum(dim=0))[0]]": (
                    "sums over the parts",
                    "each part has its own entry along the first axis",
                ),
                "[parts + constants]": (
                    "adds positions and the norm's bias to every part",
                    "positions and the bias are added once, to part 1, so that the sum over the parts has them once",
                ),
                '[parts + model.blocks[1].ln1.b + cache["pos_embed"] * (torch.arange(len(parts)) == 1)[:, None, None]]': (
                    "adds the norm's bias to every part",
                    "the bias is added once, to part 1, so that the sum over the parts has it once",
                ),
            },
        ),
        Mistake(
            "uses the heads of layer 1",
            '"result", 0',
            '"result", 1',
            why="layer 1's heads read what layer 0's heads wrote",
        ),
    ],
)
