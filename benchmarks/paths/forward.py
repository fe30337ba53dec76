"""The forward pass of GPT-2: logits at every position."""

from collections.abc import Callable, Mapping

import torch

from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import Shape, compare_tensors, count_forward_flops, count_weight_bytes, make_gpt2, make_tokens

SHAPES: Mapping[tuple[str, str], Shape] = {
    ("batch", "tiny"): Shape(3, 12),
    ("batch", "cpu"): Shape(2, 128),
    ("batch", "gpu"): Shape(16, 1024),
    ("one_token", "tiny"): Shape(1, 1),
    ("one_token", "cpu"): Shape(1, 1),
    ("one_token", "gpu"): Shape(1, 1),
}


def make(place: Place) -> Workload:
    """Ours and every peer, on one batch of random tokens."""
    model = make_gpt2(place)
    shape = SHAPES[place.case, place.size]
    tokens = make_tokens(place, shape, model.cfg)

    def run_huggingface() -> Run:
        twin = peers.make_huggingface(model)
        return lambda: twin(tokens, use_cache=False).logits

    def run_plain(make_peer: Callable[[], torch.nn.Module]) -> Callable[[], Run]:
        def set_up() -> Run:
            twin = make_peer()
            return lambda: twin(tokens)

        return set_up

    return Workload(
        ours=lambda: model(tokens),
        peers={
            "huggingface": run_huggingface,
            "bridge": run_plain(lambda: peers.make_bridge(model)),
            "bridge-compatible": run_plain(lambda: peers.make_bridge(model, is_compatible=True)),
            "transformer-lens-3": run_plain(lambda: peers.make_hooked_transformer(model)),
            "nanogpt": run_plain(lambda: peers.make_nanogpt(model)),
        },
        agree=compare_tensors,
        flops=count_forward_flops(model.cfg, shape),
        bytes=count_weight_bytes(model),
        units=shape.batch * shape.seq,
    )


BENCHMARK = Benchmark(
    name="forward",
    title="Forward pass of GPT-2",
    cases={"batch": "a batch of whole sequences", "one_token": "a single token"},
    unit="tokens",
    make=make,
    peers=("huggingface", "bridge", "bridge-compatible", "transformer-lens-3", "nanogpt"),
    peer_packages={
        "huggingface": "transformers",
        "bridge": "transformer-lens>=4",
        "bridge-compatible": "transformer-lens>=4",
        "transformer-lens-3": "transformer-lens<4",
    },
    goals=(
        Goal("batch", "huggingface", 1.0, on="cpu"),
        Goal("batch", "bridge", 1.0, on="cpu"),
        Goal("batch", "bridge", 1.5, on="cuda"),
        Goal("batch", "transformer-lens-3", 1.4, on="cpu"),
        Goal("batch", "transformer-lens-3", 1.5, on="cuda"),
        Goal("one_token", "bridge", 1.3),
    ),
    limits={"batch": "flops", "one_token": "bytes"},
)
