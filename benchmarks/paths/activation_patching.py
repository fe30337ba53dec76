"""Activation patching of every head, of all that a head is made of, and of the residual stream.

All get the source run's cache. The loops run the whole model for each patch: TransformerLens's by its own
functions, and the loops of our section 1.4.1. Ours is `sweeps`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from arena_lib.interp.patching import activation, sweeps
from arena_lib.transformer.fast.gpt2 import GPT2Config
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.paths._patching import DTYPES, NARROW, Task, make_task, quietly, set_up
from benchmarks.sizes import GPT2_SMALL, Shape, compare_tensors

SMALL = GPT2Config(
    d_model=256, d_vocab=8192, n_ctx=1024, n_layers=4, n_heads=8, d_head=32, d_mlp=1024, tie_embeddings=True
)
SHAPES: Mapping[str, tuple[GPT2Config, dict[str, Shape]]] = {
    "heads": (GPT2_SMALL, {"cpu": Shape(1, 12), "gpu": Shape(8, 16)}),
    "heads_narrow": (NARROW, {"cpu": Shape(4, 12), "gpu": Shape(8, 16)}),
    "all_of_heads": (SMALL, {"cpu": Shape(2, 12), "gpu": Shape(8, 16)}),
    "blocks": (SMALL, {"cpu": Shape(2, 12), "gpu": Shape(8, 16)}),
}

Sweep = Callable[[Any, Tensor, Any, Callable[[Tensor], Tensor]], Tensor]


def loops(case: str) -> tuple[str, Callable[[Task, Any], Tensor], Sweep]:
    """For a case: the name of TransformerLens's function, ours, and the lesson's loop."""
    if case == "all_of_heads":
        ours: Callable[[Task, Any], Tensor] = lambda task, source: sweeps.sweep_every_head(  # noqa: E731
            task.model, task.orig, source, task.metric, read_at=-1
        )
        return "get_act_patch_attn_head_all_pos_every", ours, activation.get_act_patch_attn_head_all_pos_every
    if case == "blocks":
        ours = lambda task, source: sweeps.sweep_every_block(  # noqa: E731
            task.model, task.orig, source, task.metric, read_at=-1
        )
        return "get_act_patch_block_every", ours, activation.get_act_patch_block_every
    ours = lambda task, source: sweeps.sweep_heads(task.model, task.orig, source, task.metric, read_at=-1)  # noqa: E731
    return "get_act_patch_attn_head_out_all_pos", ours, activation.get_act_patch_attn_head_out_all_pos


def make(place: Place) -> Workload:
    """Every run returns the effects of all patches."""
    cfg, shapes = SHAPES[place.case]
    task = make_task(place, cfg, shapes.get(place.size, Shape(2, 9)))
    name, ours, lesson = loops(place.case)
    source = task.caches(task.model)[1]

    def run_loop(loop: Sweep) -> Callable[[Any], Run]:
        def make_run(model: Any) -> Run:
            cache = task.caches(model)[1]
            return lambda: loop(model, task.orig, cache, task.metric)

        return make_run

    def run_lens(model: Any) -> Run:
        from transformer_lens import patching

        return run_loop(getattr(patching, name))(model)

    compatible = {}
    if cfg is SMALL:  # a row of the large ones takes minutes
        compatible["bridge-compatible"] = set_up(run_lens, lambda: peers.make_bridge(task.model, is_compatible=True))
    return Workload(
        ours=quietly(lambda: ours(task, source)),
        peers={
            "lesson-loop": set_up(run_loop(lesson), lambda: task.model),
            "bridge": set_up(run_lens, lambda: peers.make_bridge(task.model)),
            "transformer-lens-3": set_up(run_lens, lambda: peers.make_hooked_transformer(task.model)),
        }
        | compatible,
        agree=compare_tensors,
        units=ours_units(task, place.case),
    )


def ours_units(task: Task, case: str) -> float:
    """How many patches there are."""
    cfg = task.model.cfg
    if case == "blocks":
        return 3.0 * cfg.n_layers * task.orig.shape[1]
    return float((5 if case == "all_of_heads" else 1) * cfg.n_layers * cfg.n_heads)


BENCHMARK = Benchmark(
    name="activation_patching",
    title="Activation patching",
    cases={
        "heads": "the output of each of GPT-2 small's 12 x 12 heads, one prompt",
        "heads_narrow": "the same for four prompts, at a quarter of the width",
        "all_of_heads": "outputs, queries, keys, values and patterns of 4 x 8 heads",
        "blocks": "residual stream, attention and MLP at every layer and position",
    },
    unit="patches",
    make=make,
    dtypes=DTYPES,
    peers=("lesson-loop", "bridge", "bridge-compatible", "transformer-lens-3"),
    peer_packages={
        "bridge": "transformer-lens>=4",
        "bridge-compatible": "transformer-lens>=4",
        "transformer-lens-3": "transformer-lens<4",
    },
    goals=(
        Goal("heads", "bridge", 8.0, on="cpu"),
        Goal("heads", "bridge", 15.0, on="cuda"),
        Goal("heads", "transformer-lens-3", 8.0, on="cpu"),
        Goal("heads", "transformer-lens-3", 15.0, on="cuda"),
    ),
)
