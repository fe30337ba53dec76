"""Log-probabilities of the tokens of a text, with and without a gradient.

Ours unembeds in chunks. "whole-logits" is log_softmax and gather over all positions at once,
as most code has it; the model below the unembedding is the same, and narrow, so that the
unembedding is what is measured.
"""

from collections.abc import Mapping

from torch import Tensor

from arena_lib.transformer import compute_token_logprobs, next_token_logprobs
from arena_lib.transformer.fast.gpt2 import GPT2Config
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import TINY, Shape, compare_tensors, make_gpt2, make_tokens

CFG = GPT2Config(
    d_model=256, d_vocab=50257, n_ctx=1024, n_layers=1, n_heads=4, d_head=64, d_mlp=1024, tie_embeddings=True
)
SHAPES: Mapping[tuple[str, str], Shape] = {
    ("values", "tiny"): Shape(2, 12),
    ("values", "cpu"): Shape(2, 512),
    ("values", "gpu"): Shape(8, 512),
    ("gradient", "tiny"): Shape(2, 12),
    ("gradient", "cpu"): Shape(1, 512),
    ("gradient", "gpu"): Shape(8, 512),
}


def make(place: Place) -> Workload:
    """Runs return the log-probabilities, or the gradient of their sum by the tied embedding."""
    cfg = TINY if place.size == "tiny" else CFG
    model = make_gpt2(place, cfg)
    shape = SHAPES[place.case, place.size]
    tokens = make_tokens(place, shape, cfg)
    has_grad = place.case == "gradient"

    def finish(logprobs: Tensor) -> Tensor:
        if not has_grad:
            return logprobs
        model.zero_grad()
        logprobs.sum().backward()
        assert model.embed.W_E.grad is not None
        return model.embed.W_E.grad

    def run_whole() -> Run:
        return lambda: finish(next_token_logprobs(model(tokens).float(), tokens))

    return Workload(
        ours=lambda: finish(compute_token_logprobs(model, tokens)),
        peers={"whole-logits": run_whole},
        agree=compare_tensors,
        flops=2.0 * shape.batch * (shape.seq - 1) * cfg.d_model * cfg.d_vocab * (4 if has_grad else 1),
        units=shape.batch * (shape.seq - 1),
        needs_grad=has_grad,
    )


BENCHMARK = Benchmark(
    name="token_logprobs",
    title="Log-probabilities of given tokens",
    cases={"values": "values alone", "gradient": "values and gradients"},
    unit="tokens",
    make=make,
    peers=("whole-logits",),
    goals=(
        Goal("values", "whole-logits", 2.0, on="cpu"),
        Goal("values", "whole-logits", 2.5, measure="memory", on="cpu"),
        Goal("values", "whole-logits", 4.0, measure="memory", on="cuda"),
    ),
)
