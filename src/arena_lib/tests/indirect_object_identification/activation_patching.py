"""Judges of activation patching's sweeps over positions and places in a block, and what all sweeps share.

Shapes:  corrupted tokens "batch seq" and a cache -> metrics by layer and position.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.patching import activation
from arena_lib.tests.indirect_object_identification.activation_hooks import (
    residual_by_where,
    residual_in_place,
)
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    contrast,
    make_model,
    make_tokens,
    what_a_sweep_gives,
    whole_cache,
)
from arena_lib.transformer.fast.attention_only import AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2Config
from arena_lib.transformer.fast.llama import LlamaConfig

__test__ = False

CLOSE = {"result": Tolerance(rtol=1e-4, atol=2e-5)}
FORMS: dict[str, Any] = {"a model of GPT-2's form": GPT2_CONFIG, "a model of Llama's form": LLAMA_CONFIG}
PROMPTS: dict[type, tuple[int, int]] = {GPT2Config: (4, 5), LlamaConfig: (2, 6), AttentionOnlyConfig: (1, 4)}
"""How many prompts each form of model reads, and how long they are."""
NO_MLPS = "one prompt, a model without MLPs"
ALL_FORMS: dict[str, Any] = {NO_MLPS: ATTENTION_ONLY_CONFIG} | FORMS


def sweep_cases(generator: torch.Generator, axes: str, configs: dict[str, Any]) -> list[Case]:
    """One case for each model. The quickest comes first: most known mistakes are ruled out by it."""
    cases = []
    for label, cfg in configs.items():
        model = make_model(cfg, generator)
        batch, seq = PROMPTS[type(cfg)]
        corrupted, clean = (make_tokens(batch, seq, generator) for _ in range(2))
        given = {"model": model, "corrupted": corrupted, "cache": whole_cache(model, clean)}
        call = "model, corrupted_tokens, clean_cache, patching_metric"
        cases.append(Case(label=label, given=given, axes={"result": axes}, call=call))
    return cases


def position_cases(generator: torch.Generator) -> list[Case]:
    """One prompt for attention alone, GPT-2's form, and Llama's."""
    return sweep_cases(generator, "n_layers seq", ALL_FORMS)


def place_cases(generator: torch.Generator) -> list[Case]:
    """GPT-2's form, Llama's, and attention alone, which has no MLPs to patch."""
    return sweep_cases(generator, "n_places n_layers seq", FORMS | {NO_MLPS: ATTENTION_ONLY_CONFIG})


def swept(function: Callable[..., Any], case: Case) -> Observations:
    """The metrics, and what the sweep leaves behind."""
    model, corrupted, cache = (case.given[key] for key in ("model", "corrupted", "cache"))
    args = (model, corrupted.clone(), cache, contrast)
    return what_a_sweep_gives(function, model, *args, caches={"clean_cache": cache})


def resid_pre_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Fills a table of zeros, with hooks that are added and taken off again."""
    seq = corrupted_tokens.size(1)
    results = torch.zeros(model.cfg.n_layers, seq)
    for layer in range(model.cfg.n_layers):
        for pos in range(seq):
            hook = partial(residual_in_place, pos=pos, clean_cache=clean_cache)
            model.add_hook(f"blocks.{layer}.hook_resid_pre", hook)
            results[layer, pos] = patching_metric(model(corrupted_tokens)).item()
            model.reset_hooks()
    return results


def resid_pre_from_the_stream(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """Goes on from the patched stream, layer by layer."""
    own = model.run_with_cache(corrupted_tokens)[1]
    rows = []
    for layer in range(model.cfg.n_layers):
        for pos in range(corrupted_tokens.shape[-1]):
            stream = own["resid_pre", layer].clone()
            stream[:, pos] = clean_cache["resid_pre", layer][:, pos]
            rows.append(patching_metric(model(stream, start_at_layer=layer)))
    return torch.stack(rows).view(model.cfg.n_layers, -1)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The texts of a sweep's loop in the reference, from which its wrong versions are made."""

    place: str
    """The hook's name."""
    order: str
    """The list of everything that is patched, in the order of the loop."""
    targets: str
    """The loop's variables."""
    index: str
    """Which of them is bound last: a position or a head."""
    hook: str = "patch"
    """The hook for one entry of the list."""
    patches: str = "patch_residual_component"
    """The definition that patches."""
    words: str = "positions"

    def mistakes(self) -> tuple[Mistake, ...]:
        """What can go wrong in any sweep."""
        return (*self._of_runs(), *self._of_results(), *self._of_hooks())

    def _of_runs(self) -> tuple[Mistake, ...]:
        place = self.place
        run = f"lm.run(corrupted_tokens, [({place}, patch)])"
        last_layer, any_layer = (place.replace("{layer}", layer) for layer in ("{lm.n_layers - 1}", "{any_layer}"))
        one_patch = "each run patches one entry: a hook that stays on changes the later runs too"
        runs = {
            run.replace(place, last_layer): (
                "always patches the last layer",
                "the name of the hook must change with the layer",
            ),
            run.replace(f"[({place}, patch)]", f"[({any_layer}, patch) for any_layer in range(lm.n_layers)]"): (
                "patches all layers at once",
                "each run patches one layer; the other layers are computed from what they then read",
            ),
            run.replace("patch)", "lambda tensor, hook: clean_cache[hook.name])"): (
                "patches the whole activation at once",
                "each entry patches one position or one head; all others keep their values of the corrupted run",
            ),
            "lm.run(corrupted_tokens)": (
                "measures the corrupted run without a patch",
                "the hook must be attached while the model runs: run_with_hooks(tokens, fwd_hooks=[(name, hook)])",
            ),
            run.replace("patch)]", f"{self.hook}) for {self.index} in range({self.index} + 1)]"): (
                f"patches the earlier {self.words} of the layer too",
                one_patch,
            ),
            run.replace("patch)]", f"{self.hook}) for {self.targets} in {self.order}[: len(results) + 1]]"): (
                "keeps the hooks of all earlier runs",
                one_patch,
            ),
        }
        stays = Mistake(
            "leaves its hooks on the model",
            f"logits = {run}",
            f"lm.model.add_hook({place}, patch); logits = lm.run(corrupted_tokens)",
            why="hooks that stay patch the next runs as well; run_with_hooks takes them off again",
        )
        return (*instead_of(run, runs), stays)

    def _of_results(self) -> tuple[Mistake, ...]:
        results = {
            "patching_metric(logits) - patching_metric(lm.run(corrupted_tokens))": (
                "subtracts the corrupted run's metric",
                "the result is the metric itself, without a baseline subtracted",
            ),
            "patching_metric(logits) / len(corrupted_tokens)": (
                "divides the metric by the number of prompts",
                "the result is the metric itself, which already averages over the prompts",
            ),
            "patching_metric(logits[:, -1:])": (
                "calls the metric with the last position only",
                "the metric takes the model's logits at all positions, and chooses positions itself",
            ),
            "patching_metric(logits.softmax(dim=-1))": (
                "calls the metric with probabilities",
                "the metric takes the model's logits, without a softmax",
            ),
        }
        return instead_of("check_metric(patching_metric(logits))", results)

    def _of_hooks(self) -> tuple[Mistake, ...]:
        sources = {
            "torch.zeros_like(clean_cache[hook.name])": (
                "sets the activation to zero",
                "patching uses the clean run's value; setting zeros is ablation",
            ),
            'clean_cache[hook.name.replace(f"blocks.{hook.layer()}.", "blocks.0.")]': (
                "always uses layer 0 of the clean run",
                "the clean value is the activation of the same hook: clean_cache[hook.name]",
            ),
            "clean_cache[hook.name].mean(dim=0, keepdim=True)": (
                "averages the clean run over prompts",
                "each prompt gets the value of the clean prompt with the same index",
            ),
        }
        part = {"patch_residual_component": "clean[:, pos]", "patch_head_vector": "clean[:, :, head_index]"}[
            self.patches
        ]
        exchange = f"patched{part.removeprefix('clean')} = {part}"
        writes = (
            "writes into the clean run's cache",
            "the next runs need the cache unchanged: write into the model's tensor, or make a new one",
        )
        exchanges = {
            f"kept = {part}.clone(); clean[:] = patched; {part} = kept; patched = clean": writes,
            f"{part} = {exchange.split(' = ')[0]}; patched = clean": writes,
            f"clean, patched = patched, clean.clone(); {exchange}": (
                "patches everything except what it should",
                "only one position or head comes from the clean run, and all others stay as they were",
            ),
            exchange.replace("[:,", "[0,"): ("patches the first prompt only", "all prompts are patched at once"),
        }
        return (
            *instead_of("clean_cache[hook.name]", sources, within=self.patches),
            *instead_of(exchange, exchanges, within=self.patches),
        )


def loops_swapped(old: str, new: str, first: str, second: str) -> Mistake:
    """The loops go the other way round, and the results are reshaped as if they didn't."""
    why = "the first axis of the reshape is the outer loop, so the two must have the same order"
    return Mistake(f"loops over {first} before {second} but reshapes as if {second} came first", old, new, why=why)


OWN_ENTRY = (
    "each entry has its own {}: bind it to the hook with functools.partial, because a lambda reads the loop's "
    "variable only when it is called"
)
POSITION_MISTAKES = instead_of(
    "pos=pos, ",
    {
        "pos=corrupted_tokens.shape[1] - 1, ": ("always patches the last position", OWN_ENTRY.format("position")),
        "pos=0, ": ("always patches the first position", OWN_ENTRY.format("position")),
        "pos=(pos + 1) % corrupted_tokens.shape[1], ": (
            "patches the position next to the right one",
            "entry [layer, pos] is the metric with position pos patched",
        ),
    },
) + instead_of(
    "patched[:, pos] = clean[:, pos]",
    {
        "patched[:, pos:] = clean[:, pos:]": (
            "patches the later positions too",
            "entry [layer, pos] is the metric with position pos patched, and no other",
        )
    },
    within="patch_residual_component",
)
ONE_AXIS = "the results have one axis, which is the first and the last"

RESID_PRE = Sweep(
    place='f"blocks.{layer}.hook_resid_pre"',
    order="list(product(range(lm.n_layers), range(corrupted_tokens.shape[1])))",
    targets="layer, pos",
    index="pos",
    hook="partial(patch, pos=pos)",
)

test_get_act_patch_resid_pre = exercise(
    reference=activation.get_act_patch_resid_pre,
    cases=position_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[resid_pre_by_hooks, resid_pre_from_the_stream],
    equivalent={
        "return torch.stack(results).unflatten(0, (lm.n_layers, -1)) -> return torch.stack(results).unflatten(-1, (lm.n_layers, -1))": ONE_AXIS
    },
    mistakes=[
        *RESID_PRE.mistakes(),
        loops_swapped(
            'for layer, pos in progress(list(product(range(lm.n_layers), range(corrupted_tokens.shape[1]))), "resid_pre"):',
            "for pos, layer in product(range(corrupted_tokens.shape[1]), range(lm.n_layers)):",
            "positions",
            "layers",
        ),
        *instead_of(
            '(f"blocks.{layer}.hook_resid_pre", patch)',
            {
                f'(f"blocks.{{layer}}.hook_{place}", patch)': (
                    f"patches {words}",
                    "resid_pre is the stream that enters the layer",
                )
                for place, words in {
                    "resid_post": "the stream after the layer",
                    "resid_mid": "the stream between attention and MLP",
                    "attn_out": "attention's output",
                }.items()
            },
        ),
        Mistake(
            "returns positions as the first axis",
            ".unflatten(0, (lm.n_layers, -1))",
            ".unflatten(0, (lm.n_layers, -1)).T",
            why="the result is [layer, position]",
        ),
        *POSITION_MISTAKES,
    ],
)


def places_by_hooks(model: Any, corrupted_tokens: Tensor, clean_cache: Any, patching_metric: Any) -> Tensor:
    """A table filled entry by entry, with a closure as the hook."""
    has_mlp = "blocks.0.hook_mlp_out" in model.hook_dict
    places, seq = ("resid_pre", "attn_out", "mlp_out")[: 2 + has_mlp], corrupted_tokens.shape[1]
    results = torch.zeros(len(places), model.cfg.n_layers, seq)
    for i, layer, pos in results.isfinite().nonzero().tolist():

        def hook(tensor: Tensor, hook: Any, pos: int = pos) -> Tensor:
            return residual_by_where(tensor, hook, pos, clean_cache)

        logits = model.run_with_hooks(corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.hook_{places[i]}", hook)])
        results[i, layer, pos] = patching_metric(logits)
    return results


BLOCK_EVERY = Sweep(
    place='f"blocks.{layer}.hook_{place}"',
    order="list(product(places, range(lm.n_layers), range(corrupted_tokens.shape[1])))",
    targets="place, layer, pos",
    index="pos",
    hook="partial(patch, pos=pos)",
)

test_get_act_patch_block_every = exercise(
    reference=activation.get_act_patch_block_every,
    cases=place_cases,
    observe=swept,
    tolerance=CLOSE,
    accepts=[places_by_hooks],
    equivalent={"0 -> -1": ONE_AXIS},
    mistakes=[
        *BLOCK_EVERY.mistakes(),
        loops_swapped(
            'for place, layer in progress(list(product(places, range(lm.n_layers))), "block by block"):',
            "for layer, place in product(range(lm.n_layers), places):",
            "layers",
            "places",
        ),
        Mistake(
            "keeps a row of zeros for the MLPs that a model does not have",
            "return torch.stack(results).unflatten(0, (len(places), lm.n_layers, -1))",
            "table = torch.stack(results).unflatten(0, (len(places), lm.n_layers, -1))\n"
            "    return table if lm.has_mlp else torch.cat([table, torch.zeros_like(table[:1])])",
            why="a model without MLPs has the first two places only, so its result has two rows",
        ),
        *instead_of(
            '["resid_pre", "attn_out", "mlp_out"] if',
            {
                f"{places} if": (name, "the three places are resid_pre, attn_out and mlp_out, in this order")
                for places, name in {
                    '["resid_pre", "mlp_out", "attn_out"]': "swaps attention and MLP",
                    '["resid_pre", "resid_mid", "mlp_out"]': "patches resid_mid instead of attn_out",
                    '["resid_pre", "resid_mid", "resid_post"]': "patches the stream instead of attn_out and mlp_out",
                    '["resid_mid", "attn_out", "mlp_out"]': "patches the stream after attention instead of resid_pre",
                    '["resid_pre", "attn_out", "resid_post"]': "patches the stream after the layer instead of mlp_out",
                    '["resid_pre", "attn_out"]': "leaves out the MLPs",
                }.items()
            },
        ),
        *instead_of(
            '["resid_pre", "attn_out", "mlp_out"] if lm.has_mlp else ["resid_pre", "attn_out"]',
            {
                '["attn_out", "mlp_out", "resid_pre"] if lm.has_mlp else ["attn_out", "resid_pre"]': (
                    "returns the stream last",
                    "the three places are resid_pre, attn_out and mlp_out, in this order",
                ),
            },
        ),
        *instead_of(
            ' if lm.has_mlp else ["resid_pre", "attn_out"]',
            {
                "": (
                    "fails for a model without MLPs",
                    "a model without MLPs has no mlp_out: patch the first two places only",
                )
            },
        ),
        Mistake(
            "patches the stream three times",
            '(f"blocks.{layer}.hook_{place}", patch)',
            '(f"blocks.{layer}.hook_resid_pre", patch)',
            why="each of the three places has a hook of its own",
        ),
        *instead_of(
            ".unflatten(0, (len(places), lm.n_layers, -1))",
            {
                ".unflatten(0, (len(places), lm.n_layers, -1)).transpose(0, 1)": (
                    "returns the places after the layers",
                    "the result is [place, layer, position]",
                ),
                ".unflatten(0, (len(places), lm.n_layers, -1)).transpose(1, 2)": (
                    "returns positions before layers",
                    "the result is [place, layer, position]",
                ),
            },
        ),
        *POSITION_MISTAKES,
    ],
)
