"""Running with a cache: every activation, or the residual stream alone.

The peers keep what they keep by default: TransformerLens copies of everything, with
scores and patterns; nnsight the outputs of every block and of its parts. "own-forward" is our
forward pass without a cache, so its ratio says what the cache costs; where gradients are recorded, both sides
are a loss and its backward pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import GPT2_SMALL, TINY, Shape, compare_tensors, make_gpt2, make_tokens

SMALL = GPT2Config(
    d_model=128, d_vocab=929, n_ctx=128, n_layers=4, n_heads=4, d_head=32, d_mlp=512, tie_embeddings=True
)
SHAPES: Mapping[str, tuple[GPT2Config, dict[str, Shape]]] = {
    "all": (GPT2_SMALL, {"cpu": Shape(2, 64), "gpu": Shape(8, 1024)}),
    "residual": (GPT2_SMALL, {"cpu": Shape(2, 64), "gpu": Shape(8, 1024)}),
    "all_with_gradient": (GPT2_SMALL, {"cpu": Shape(2, 64), "gpu": Shape(8, 1024)}),
    "all_one_prompt": (GPT2_SMALL, {"cpu": Shape(1, 16), "gpu": Shape(1, 16)}),
    "all_small_model": (SMALL, {"cpu": Shape(8, 32), "gpu": Shape(8, 32)}),
}


def is_residual(name: str) -> bool:
    """Whether a hook is on the residual stream between blocks."""
    return name.endswith("hook_resid_post")


def make(place: Place) -> Workload:
    """Every run returns the last block's residual stream from its cache, or the gradient of the embedding."""
    cfg, shapes = SHAPES[place.case]
    cfg, shape = (TINY, Shape(2, 12)) if place.size == "tiny" else (cfg, shapes[place.size])
    model = make_gpt2(place, cfg)
    tokens = make_tokens(place, shape, cfg)
    if place.case == "all_with_gradient":
        return make_with_gradient(model, tokens, float(shape.batch * shape.seq))
    names = is_residual if place.case == "residual" else None
    last = f"blocks.{cfg.n_layers - 1}.hook_resid_post"

    def run_own_forward() -> Run:
        stop = cfg.n_layers  # the residual stream enters the final norm; unembedding is left out on neither side

        def run() -> Tensor:
            resid = model(tokens, stop_at_layer=stop)
            model.unembed(model.ln_final(resid))
            return resid

        return run

    def run_lens(make_peer: Callable[[], Any]) -> Callable[[], Run]:
        def set_up() -> Run:
            twin = make_peer()
            return lambda: twin.run_with_cache(tokens, names_filter=names)[1][last]

        return set_up

    def run_nnsight() -> Run:
        twin = peers.make_nnsight(model)

        def run() -> Tensor:
            kept = []
            with twin.trace(tokens):
                for block in twin.transformer.h:
                    if names is None:
                        kept.append(block.attn.output[0].save())
                        kept.append(block.mlp.output.save())
                    kept.append(block.output.save())
            return kept[-1]

        return run

    return Workload(
        ours=lambda: model.run_with_cache(tokens, names)[1][last],
        peers={
            "own-forward": run_own_forward,
            "bridge": run_lens(lambda: peers.make_bridge(model)),
            "bridge-compatible": run_lens(lambda: peers.make_bridge(model, is_compatible=True)),
            "transformer-lens-3": run_lens(lambda: peers.make_hooked_transformer(model)),
            "nnsight": run_nnsight,
        },
        agree=compare_tensors,
        units=shape.batch * shape.seq,
    )


def make_with_gradient(model: GPT2, tokens: Tensor, n_tokens: float) -> Workload:
    """A loss and its backward pass, with every activation cached meanwhile and without."""

    def finish(loss: Tensor) -> Tensor:
        model.zero_grad()
        loss.backward()
        assert model.embed.W_E.grad is not None
        return model.embed.W_E.grad

    def ours() -> Tensor:
        loss, cache = model.run_with_cache(tokens, return_type="loss")
        assert len(cache)  # it lives until the backward pass
        return finish(loss)

    return Workload(
        ours=ours,
        peers={"own-forward": lambda: lambda: finish(model(tokens, return_type="loss"))},
        agree=compare_tensors,
        units=n_tokens,
        needs_grad=True,
    )


BENCHMARK = Benchmark(
    name="run_with_cache",
    title="Running with a cache of activations",
    cases={
        "all": "every activation, a batch",
        "residual": "the residual stream after each block, a batch",
        "all_with_gradient": "every activation, a batch, with the backward pass",
        "all_one_prompt": "every activation, one short prompt",
        "all_small_model": "every activation of a model of a million parameters",
    },
    unit="tokens",
    make=make,
    peers=("own-forward", "bridge", "bridge-compatible", "transformer-lens-3", "nnsight"),
    peer_packages={
        "bridge": "transformer-lens>=4",
        "bridge-compatible": "transformer-lens>=4",
        "transformer-lens-3": "transformer-lens<4",
        "nnsight": "nnsight",
    },
    goals=(
        Goal("all", "own-forward", 1 / 1.05),
        Goal("residual", "own-forward", 1 / 1.02),
        Goal("all", "bridge", 1.0),
        Goal("all_one_prompt", "bridge", 1.3),
        Goal("all_small_model", "bridge", 1.3),
        Goal("all", "transformer-lens-3", 1.4),
        Goal("all_small_model", "nnsight", 1.5),
        Goal("all", "bridge", 2.0, measure="memory", on="cuda"),
    ),
)
