"""Path patching from every head to the logits and to later heads' queries, and from one head to each later one.

The loops are the four steps of our section 1.4.1, run for each head, and for the direct path to heads
TransformerLens 4's own function. All get both runs' caches.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from arena_lib.interp.patching.direct_path import direct_path_logits, direct_path_to_heads
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import FinalResidual, Head, HeadInput
from arena_lib.interp.patching.path import (
    get_path_patch_head_to_final_resid_post,
    get_path_patch_head_to_heads,
    path_patch,
)
from arena_lib.interp.patching.path_fast import path_patch_heads
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Skip, Workload
from benchmarks.paths._patching import DTYPES, NARROW, Task, make_task, quietly, set_up
from benchmarks.sizes import Shape, compare_tensors

SHAPES = {"cpu": Shape(1, 12), "gpu": Shape(8, 16)}
Caches = tuple[Any, Any]


def receivers_of(task: Task) -> list[tuple[int, int]]:
    """Three heads near the end, as the paper's name movers are: 9.6, 9.9 and 10.0 in GPT-2 small."""
    cfg = task.model.cfg
    late = cfg.n_layers - 2
    return [(late - 1, cfg.n_heads // 2), (late - 1, cfg.n_heads - 1), (late, 0)]


# -- ours -----------------------------------------------------------------------------------------


def to_logits_directly(task: Task, caches: Caches) -> Tensor:
    """The closed form, for the two tokens that the metric reads."""
    cfg = task.model.cfg
    heads = [Head(layer, head) for layer in range(cfg.n_layers) for head in range(cfg.n_heads)]
    logits = direct_path_logits(task.model, *caches, heads, read_at=-1, tokens=task.answers)
    right, wrong = logits[:, :, 0].unbind(-1)
    return ((right - wrong).mean(-1) - task.base).unflatten(0, (cfg.n_layers, cfg.n_heads))


def to_logits_by_metric(task: Task, caches: Caches) -> Tensor:
    """The same for a metric that wants the logits of all tokens."""
    return patch_heads(task, caches, [FinalResidual()], through="direct")


def to_logits_through_mlps(task: Task, caches: Caches) -> Tensor:
    """With the MLPs on the way recomputed."""
    return patch_heads(task, caches, [FinalResidual()])


def to_queries(task: Task, caches: Caches) -> Tensor:
    """To the queries of later heads, all together."""
    receivers = receivers_of(task)
    return patch_heads(task, caches, [HeadInput(*head, "q") for head in receivers])[: receivers[-1][0]]


def patch_heads(task: Task, caches: Caches, receivers: Any, *, through: Any = "mlps") -> Tensor:
    """Ours, from every head."""
    return path_patch_heads(
        task.model, PathExperiment(task.orig, task.new, through, -1, *caches), receivers, task.metric
    )


def one_to_queries(task: Task, caches: Caches) -> Tensor:
    """From head 0.1 to the query of each later head."""
    effect = direct_path_to_heads(task.model, task.orig, *caches, Head(0, 1), "q", task.metric, read_at=-1)
    return effect[1:]


# -- the loops ------------------------------------------------------------------------------------


def loop_directly(task: Task, caches: Caches) -> Tensor:
    """The four steps for each head, MLPs frozen."""
    cfg = task.model.cfg
    directly = PathExperiment(task.orig, task.new, "direct", None, *caches)
    values = [
        path_patch(task.model, directly, [Head(layer, head)], [FinalResidual()], task.metric)
        for layer in range(cfg.n_layers)
        for head in range(cfg.n_heads)
    ]
    return torch.stack(values).unflatten(0, (cfg.n_layers, cfg.n_heads))


def loop_through_mlps(task: Task, caches: Caches) -> Tensor:
    """The lesson's loop to the final residual stream."""
    return get_path_patch_head_to_final_resid_post(task.model, task.metric, task.new, task.orig, caches[1], caches[0])


def loop_to_queries(task: Task, caches: Caches) -> Tensor:
    """The lesson's loop to heads."""
    effects = get_path_patch_head_to_heads(
        receivers_of(task), "q", task.model, task.metric, task.new, task.orig, caches[1], caches[0]
    )
    return effects[: receivers_of(task)[-1][0]]


def loop_one_to_queries(task: Task, caches: Caches) -> Tensor:
    """The four steps for each receiver."""
    cfg = task.model.cfg
    directly = PathExperiment(task.orig, task.new, "direct", None, *caches)
    values = [
        path_patch(task.model, directly, [Head(0, 1)], [HeadInput(layer, head, "q")], task.metric)
        for layer in range(1, cfg.n_layers)
        for head in range(cfg.n_heads)
    ]
    return torch.stack(values).unflatten(0, (cfg.n_layers - 1, cfg.n_heads))


CASES: Mapping[str, tuple[Callable[[Task, Caches], Tensor], Callable[[Task, Caches], Tensor]]] = {
    "direct": (to_logits_directly, loop_directly),
    "direct_any_metric": (to_logits_by_metric, loop_directly),
    "through_mlps": (to_logits_through_mlps, loop_through_mlps),
    "to_queries": (to_queries, loop_to_queries),
    "one_to_queries": (one_to_queries, loop_one_to_queries),
}


def make(place: Place) -> Workload:
    """Every run returns the effect of each path."""
    task = make_task(place, NARROW, SHAPES.get(place.size, Shape(2, 9)))
    ours, loop = CASES[place.case]
    caches = task.caches(task.model)

    def run_lens(model: Any) -> Run:
        from transformer_lens import patching

        if not hasattr(patching, "get_act_patch_direct_path"):
            raise Skip("this TransformerLens has no path patching")
        orig, new = task.caches(model)
        arguments = (model, task.orig, new, orig, task.metric)
        return lambda: patching.get_act_patch_direct_path(*arguments, 0, 1, "q", verbose=False)[1:]

    others = {"bridge": set_up(run_lens, lambda: peers.make_bridge(task.model))}
    return Workload(
        ours=quietly(lambda: ours(task, caches)),
        peers={"lesson-loop": lambda: quietly(lambda: loop(task, caches))}
        | (others if place.case == "one_to_queries" else {}),
        agree=compare_tensors,
        units=float(task.model.cfg.n_heads * (task.model.cfg.n_layers - (place.case == "one_to_queries"))),
    )


BENCHMARK = Benchmark(
    name="path_patching",
    title="Path patching",
    cases={
        "direct": "each of 12 x 12 heads to two tokens' logits, the direct path in closed form",
        "direct_any_metric": "the same for a metric that is given all logits",
        "through_mlps": "each head to the logits, MLPs recomputed",
        "to_queries": "each head to the queries of three later heads, MLPs recomputed",
        "one_to_queries": "one head to the query of each later head, the direct path",
    },
    unit="paths",
    make=make,
    dtypes=DTYPES,
    peers=("lesson-loop", "bridge"),
    peer_packages={"bridge": "transformer-lens>=4"},
    goals=(
        Goal("direct", "lesson-loop", 100.0, on="cpu"),
        Goal("direct", "lesson-loop", 200.0, on="cuda"),
        Goal("to_queries", "lesson-loop", 5.0, on="cpu"),
        Goal("to_queries", "lesson-loop", 15.0, on="cuda"),
        Goal("one_to_queries", "bridge", 5.0, on="cpu"),
        Goal("one_to_queries", "bridge", 15.0, on="cuda"),
    ),
)
