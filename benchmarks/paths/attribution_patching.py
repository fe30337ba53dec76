"""Attribution patching: the first-order effect of every head's output and every MLP, position by position.

TransformerLens 4 has a function of its own, which takes the prompts one by one ("bridge"). "bridge-hooks" and
"transformer-lens-3" are the recipe of Nanda 2023 on the whole batch: forward hooks keep activations, backward
hooks their gradients. "own-hooks" is that recipe on our model, so its ratio says what the rest of ours costs.

The goal is to be no slower.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.interp.patching.attribution import attribute_patches
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.paths._patching import DTYPES, Task, make_task, measure, quietly, set_up
from benchmarks.sizes import GPT2_SMALL, Shape, compare_tensors

SHAPES: Mapping[tuple[str, str], Shape] = {
    ("batch", "cpu"): Shape(8, 24),
    ("one_prompt", "cpu"): Shape(1, 16),
    ("batch", "gpu"): Shape(32, 64),
    ("one_prompt", "gpu"): Shape(1, 16),
}


def score(task: Task, source: Any) -> Tensor:
    """Ours: both runs, one pass back. Heads by position, then MLPs."""
    sites = ("z", "mlp_out")
    scores = attribute_patches(task.model, task.orig, source, task.metric, sites, by_position=True, read_at=-1)
    return join(scores["z"], scores["mlp_out"])


def join(heads: Tensor, mlps: Tensor) -> Tensor:
    """One tensor "n_layers n_heads + 1 seq": the heads of each layer, then its MLP."""
    return torch.cat([heads, mlps[:, None]], dim=1)


def score_by_hooks(model: Any, task: Task) -> Tensor:
    """The recipe: run the source prompts with a cache, the others with hooks forward and back."""
    n_layers = task.model.cfg.n_layers
    names = [f"blocks.{layer}.{kind}" for layer in range(n_layers) for kind in ("attn.hook_z", "hook_mlp_out")]
    source = run_keeping(model, task.new, names, {}, None)
    gradients: dict[str, Tensor] = {}
    own = run_keeping(model, task.orig, names, gradients, task.metric)
    products = {name: (source[name] - own[name]) * gradients[name] for name in names}
    heads = [products[f"blocks.{layer}.attn.hook_z"].sum(dim=(0, 3)).T for layer in range(n_layers)]
    mlps = [products[f"blocks.{layer}.hook_mlp_out"].sum(dim=(0, 2)) for layer in range(n_layers)]
    return join(torch.stack(heads), torch.stack(mlps))


def run_keeping(
    model: Any,
    tokens: Tensor,
    names: list[str],
    gradients: dict[str, Tensor],
    metric: Callable[[Tensor], Tensor] | None,
) -> dict[str, Tensor]:
    """Activations by name; with a metric also its gradients, into `gradients`."""
    kept: dict[str, Tensor] = {}
    forward = [(name, partial(_keep, store=kept, name=name)) for name in names]
    backward = [(name, partial(_keep, store=gradients, name=name)) for name in names] if metric else []
    with torch.set_grad_enabled(metric is not None), model.hooks(fwd_hooks=forward, bwd_hooks=backward):
        logits = model(tokens)
        if metric:
            weights = [weight for weight in model.parameters() if weight.requires_grad]
            torch.autograd.grad(metric(logits), weights[:1])
    return kept


def _keep(tensor: Tensor, hook: Any, store: dict[str, Tensor], name: str) -> None:
    store[name] = tensor.detach()


def score_by_lens(model: Any, task: Task) -> Tensor:
    """TransformerLens 4's function; its metric sees one prompt at a time, so the base is left out: it has no gradient."""
    from transformer_lens.tools.analysis import attribution_patching as lens

    calls = iter(torch.arange(len(task.answers)).repeat_interleave(2))  # of a prompt's two runs

    def metric(logits: Tensor) -> Tensor:
        return measure(logits[:, -1], task.answers[next(calls)][None])

    scores = lens.attribution_patch(model, task.new, task.orig, metric).node_scores
    cfg, seq = task.model.cfg, task.orig.shape[1]
    effects = torch.empty(cfg.n_layers, cfg.n_heads + 1, seq, device=task.orig.device)
    for node, value in scores.items():
        if node.kind != "embed":
            effects[node.layer, cfg.n_heads if node.head is None else node.head, node.position] = value
    return effects


def make(place: Place) -> Workload:
    """Every run returns the scores of all heads and MLPs by position; all but the closed forms run both prompts' sets."""
    task = make_task(place, GPT2_SMALL, SHAPES.get((place.case, place.size), Shape(2, 9)))
    names = [
        f"blocks.{layer}.{kind}" for layer in range(task.model.cfg.n_layers) for kind in ("attn.hook_z", "hook_mlp_out")
    ]
    names.append("blocks.0.hook_resid_pre")

    def ours() -> Tensor:
        with torch.no_grad():
            source = task.model.run_with_cache(task.new, names)[1]
        return score(task, source)

    def by(function: Callable[[Any, Task], Tensor]) -> Callable[[Any], Run]:
        return lambda model: lambda: function(model.requires_grad_(True), task)

    return Workload(
        ours=quietly(ours),
        peers={
            "own-hooks": set_up(by(score_by_hooks), lambda: task.model),
            "bridge": set_up(by(score_by_lens), lambda: peers.make_bridge(task.model)),
            "bridge-hooks": set_up(by(score_by_hooks), lambda: peers.make_bridge(task.model)),
            "transformer-lens-3": set_up(by(score_by_hooks), lambda: peers.make_hooked_transformer(task.model)),
        },
        agree=compare_tensors,
        units=float(task.model.cfg.n_layers * (task.model.cfg.n_heads + 1) * task.orig.shape[1]),
        needs_grad=True,
    )


BENCHMARK = Benchmark(
    name="attribution_patching",
    title="Attribution patching",
    cases={
        "batch": "every head and MLP by position, a batch",
        "one_prompt": "every head and MLP by position, one prompt",
    },
    unit="scores",
    make=make,
    dtypes=DTYPES,
    peers=("own-hooks", "bridge", "bridge-hooks", "transformer-lens-3"),
    peer_packages={
        "bridge": "transformer-lens>=4",
        "bridge-hooks": "transformer-lens>=4",
        "transformer-lens-3": "transformer-lens<4",
    },
    goals=(
        Goal("batch", "bridge", 1.0),
        Goal("one_prompt", "bridge", 1.0),
        Goal("batch", "bridge-hooks", 1.0),
        Goal("batch", "transformer-lens-3", 1.0),
    ),
)
