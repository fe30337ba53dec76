"""What a hook costs: a tiny model with none, one, or one at every residual stream.

A run is a whole forward pass, so small that calls weigh more than arithmetic. The hooks
return nothing, so that only their dispatch is measured.

nnsight 0.6 states 300 us for a trace and 30 us for each access.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from arena_lib.transformer.fast.gpt2 import GPT2Config
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import TINY, Shape, compare_tensors, make_gpt2, make_tokens

CFG = GPT2Config(d_model=16, d_vocab=50, n_ctx=16, n_layers=12, n_heads=2, d_head=8, d_mlp=32, tie_embeddings=True)
N_HOOKED: Mapping[str, int] = {"none": 0, "one": 1, "every_block": CFG.n_layers}


def watch(tensor: Tensor, hook: Any) -> None:
    """A hook that changes nothing."""


def make(place: Place) -> Workload:
    """One token through twelve narrow layers."""
    cfg = TINY if place.size == "tiny" else CFG
    model = make_gpt2(place, cfg)
    tokens = make_tokens(place, Shape(1, 1), cfg)
    n_hooked = min(N_HOOKED[place.case], cfg.n_layers)
    hooks = [(f"blocks.{layer_idx}.hook_resid_post", watch) for layer_idx in range(n_hooked)]

    def run_no_hooks() -> Run:
        twin = peers.make_nanogpt(model)
        return lambda: twin(tokens)

    def run_bridge() -> Run:
        twin = peers.make_bridge(model)
        return lambda: twin.run_with_hooks(tokens, fwd_hooks=hooks)

    def run_transformer_lens_3() -> Run:
        twin = peers.make_hooked_transformer(model)
        return lambda: twin.run_with_hooks(tokens, fwd_hooks=hooks)

    def run_nnsight() -> Run:
        twin = peers.make_nnsight(model)

        def run() -> Tensor:
            with twin.trace(tokens):
                for block in list(twin.transformer.h)[:n_hooked]:
                    watch(block.output, None)
                logits = twin.output.logits.save()
            return logits  # noqa: RET504 (nnsight saves when the block ends)

        return run

    return Workload(
        ours=(lambda: model.run_with_hooks(tokens, hooks)) if hooks else (lambda: model(tokens)),
        peers={
            "nanogpt": run_no_hooks,
            "bridge": run_bridge,
            "transformer-lens-3": run_transformer_lens_3,
            "nnsight": run_nnsight,
        },
        agree=compare_tensors,
    )


BENCHMARK = Benchmark(
    name="hook_dispatch",
    title="Hooks on a tiny model",
    cases={"none": "no hook", "one": "one hook", "every_block": "a hook at each of twelve layers"},
    unit="passes",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("nanogpt", "bridge", "transformer-lens-3", "nnsight"),
    peer_packages={"bridge": "transformer-lens>=4", "transformer-lens-3": "transformer-lens<4", "nnsight": "nnsight"},
    goals=(Goal("one", "nnsight", 1.5), Goal("every_block", "nnsight", 1.5), Goal("every_block", "bridge", 1.3)),
)
