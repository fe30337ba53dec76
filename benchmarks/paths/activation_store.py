"""The activation store: 16 shuffled batches of a model's activations after layer 2.

"own-forward" is the same model over the same tokens, read at the same hook and thrown away, so its ratio says what storing
and shuffling cost. "sae-lens-mixing" is SAELens's `mixing_buffer` of the same size, fed by the same reader. What is
compared before the timing is how many activations of which width come out: each side shuffles on its own.
"""

from collections.abc import Iterator
from itertools import cycle
from typing import Literal

import torch
from torch import Tensor

from arena_lib.saes.training.reading import ActivationReader
from arena_lib.saes.training.store import ActivationStore, StoreConfig
from arena_lib.transformer.fast.gpt2 import GPT2Config
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import TINY, Shape, compare_tensors, make_gpt2, make_tokens

MODELS = {
    "tiny": TINY,
    "cpu": GPT2Config(
        d_model=128, d_vocab=929, n_ctx=128, n_layers=4, n_heads=4, d_head=32, d_mlp=512, tie_embeddings=True
    ),
    "gpu": GPT2Config(
        d_model=768, d_vocab=50257, n_ctx=1024, n_layers=12, n_heads=12, d_head=64, d_mlp=3072, tie_embeddings=True
    ),
}
SHAPES = {"tiny": Shape(4, 16), "cpu": Shape(16, 128), "gpu": Shape(16, 1024)}
BATCH = {"tiny": 16, "cpu": 1024, "gpu": 4096}
N_BATCHES = 16
HOOK = "blocks.1.hook_resid_post"


def make(place: Place) -> Workload:
    """Runs return how many activations they served, and of which width."""
    model = make_gpt2(place, MODELS[place.size])
    shape, batch = SHAPES[place.size], BATCH[place.size]
    texts = make_tokens(place, Shape(8 * shape.batch, shape.seq), MODELS[place.size]).split(shape.batch)
    n_reads = batch * N_BATCHES // (shape.batch * shape.seq)
    dtype: Literal["float32", "bfloat16"] = "float32" if place.dtype is torch.float32 else "bfloat16"

    def make_ours() -> Run:
        source = cycle(texts)
        config = StoreConfig(batch_size=batch, chunk_batches=N_BATCHES, dtype=dtype, is_scaled=False)
        store = ActivationStore(model, HOOK, lambda generator: next(source), config)
        generator = torch.Generator().manual_seed(0)

        def run() -> Tensor:
            return count([store(generator).acts for _ in range(N_BATCHES)])

        return run

    def make_forward() -> Run:
        source, reader = cycle(texts), ActivationReader(model, HOOK)

        def run() -> Tensor:
            return count([reader.read(next(source))[0].flatten(0, 1) for _ in range(n_reads)])

        return run

    def make_mixing() -> Run:
        from sae_lens.training.mixing_buffer import mixing_buffer

        reader = ActivationReader(model, HOOK)

        def read() -> Iterator[Tensor]:
            for tokens in cycle(texts):
                yield reader.read(tokens)[0].flatten(0, 1)

        batches = mixing_buffer(batch * N_BATCHES * 3 // 2, batch, read())
        return lambda: count([next(batches) for _ in range(N_BATCHES)])

    return Workload(
        ours=make_ours(),
        peers={"own-forward": make_forward, "sae-lens-mixing": make_mixing},
        agree=compare_tensors,
        units=batch * N_BATCHES,
        must_not_sync=True,
    )


def count(batches: list[Tensor]) -> Tensor:
    """How many activations there are, and their width."""
    return torch.tensor([sum(len(batch) for batch in batches), batches[0].shape[-1]])


BENCHMARK = Benchmark(
    name="activation_store",
    title="The activation store",
    cases={"resid": "16 batches of 1,024 activations after the second of four layers"},
    unit="activations",
    make=make,
    peers=("own-forward", "sae-lens-mixing"),
    peer_packages={"sae-lens-mixing": "sae-lens>=6"},
    goals=(Goal("resid", "own-forward", 0.95, on="cpu"),),
)
