"""One update of GPT-2: forward, loss, backward, clipping, AdamW.

Ours is `Trainer.training_step`. The peer is nanoGPT's step, written afresh, at its settings:
AdamW with betas 0.9 and 0.95 and decay 0.1 of matrices, gradients clipped to norm 1, in fused
form where nanoGPT asks for it (CUDA only) and, as a second row, at its best setting.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.core.batches import Batch
from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Trainer
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import Shape, compare_tensors, count_forward_flops, make_gpt2, make_tokens

SHAPES: Mapping[str, Shape] = {"tiny": Shape(2, 12), "cpu": Shape(1, 128), "gpu": Shape(16, 1024)}
LR, BETAS, DECAY, CLIP = 6e-4, (0.9, 0.95), 0.1, 1.0


def make(place: Place) -> Workload:
    """Both sides see the same batch each time; their first losses must agree."""
    model = make_gpt2(place)
    shape = SHAPES[place.size]
    tokens = make_tokens(place, shape, model.cfg)
    twins = {"nanogpt": peers.make_nanogpt(model), "nanogpt-fused": peers.make_nanogpt(model)}

    config = TrainingConfig(
        n_steps=10**9, lr=LR, betas=BETAS, weight_decay=DECAY, grad_clip=CLIP, warmup=0, schedule="constant"
    )
    trainer = Trainer(model, config, batches=lambda generator: Batch(tokens))

    def run_nanogpt(name: str, *, is_fused: bool) -> Callable[[], Run]:
        def set_up() -> Run:
            twin = twins[name].train()
            matrices = [weight for weight in twin.parameters() if weight.ndim >= 2]
            vectors = [weight for weight in twin.parameters() if weight.ndim < 2]
            groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
            optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, fused=is_fused)

            def run() -> Tensor:
                logits = twin(tokens)[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
                loss.backward()
                torch.nn.utils.clip_grad_norm_(twin.parameters(), CLIP)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                return loss.detach()

            return run

        return set_up

    return Workload(
        ours=lambda: trainer.training_step(tokens),
        peers={
            "nanogpt": run_nanogpt("nanogpt", is_fused=place.device.type == "cuda"),
            "nanogpt-fused": run_nanogpt("nanogpt-fused", is_fused=True),
        },
        agree=compare_tensors,
        flops=3 * count_forward_flops(model.cfg, shape),
        units=shape.batch * shape.seq,
        needs_grad=True,
    )


BENCHMARK = Benchmark(
    name="training_step",
    title="Training step of GPT-2",
    cases={"step": "one update"},
    unit="tokens",
    make=make,
    peers=("nanogpt", "nanogpt-fused"),
    goals=(Goal("step", "nanogpt", 1.0), Goal("step", "nanogpt-fused", 1.0)),
    limits={"step": "flops"},
)
