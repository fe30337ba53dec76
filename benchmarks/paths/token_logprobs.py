"""Log-probabilities of the tokens of a text, with and without a gradient, and GRPO's loss of responses.

Ours unembeds in chunks. "whole-logits" is log_softmax and gather over all positions at once,
as most code has it; "trl" is TRL's function for the same. The model below the unembedding is the same, and narrow, so that
the unembedding is what is measured. Of GRPO's loss everyone unembeds the second half of each row alone: the response.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.rlhf.grpo import grpo_loss
from arena_lib.rlhf.logprobs import compute_response_logprobs
from arena_lib.transformer import compute_token_logprobs, next_token_logprobs
from arena_lib.transformer.fast.gpt2 import GPT2Config
from arena_lib.transformer.fast.model import Transformer
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
    ("grpo", "tiny"): Shape(2, 12),
    ("grpo", "cpu"): Shape(2, 512),
    ("grpo", "gpu"): Shape(8, 512),
}
CLIP_COEF, KL_COEF = 0.2, 0.1


def make(place: Place) -> Workload:
    """Runs return the log-probabilities, or the gradient of their sum by the tied embedding."""
    cfg = TINY if place.size == "tiny" else CFG
    model = make_gpt2(place, cfg)
    shape = SHAPES[place.case, place.size]
    tokens = make_tokens(place, shape, cfg)
    if place.case == "grpo":
        return make_grpo(model, tokens)
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


def make_grpo(model: Transformer, tokens: Tensor) -> Workload:
    """Runs return the gradient of GRPO's loss by the tied embedding."""
    batch, prefix_len = len(tokens), tokens.shape[1] // 2
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        now = compute_response_logprobs(model, tokens, prefix_len)
    # Ratios on both sides of the clip, and a reference that is some way off.
    old, ref = (now + 0.3 * torch.randn(now.shape, generator=generator).to(now) for _ in range(2))
    advantages = torch.linspace(-1.0, 1.0, batch).to(now)
    is_response = torch.arange(now.shape[1]).to(now.device) < now.shape[1] - torch.arange(batch).to(now.device)[:, None]

    def run(score: Callable[[], Tensor]) -> Run:
        def step() -> Tensor:
            model.zero_grad()
            grpo_loss(at_least_float32(score()), old, ref, advantages, is_response, CLIP_COEF, KL_COEF).backward()
            assert isinstance(model.embed.W_E.grad, Tensor)
            return model.embed.W_E.grad

        return step

    def response_logits() -> Tensor:
        resid = model(tokens, stop_at_layer=model.cfg.n_layers)[:, prefix_len - 1 : -1]
        logits: Tensor = model.unembed(model.ln_final(resid))
        return logits

    def score_whole() -> Tensor:
        logprobs = at_least_float32(response_logits()).log_softmax(dim=-1)
        return logprobs.gather(-1, tokens[:, prefix_len:, None]).squeeze(-1)

    def run_trl() -> Run:
        from trl.trainer.utils import selective_log_softmax

        return run(lambda: selective_log_softmax(at_least_float32(response_logits()), tokens[:, prefix_len:]))

    return Workload(
        ours=run(lambda: compute_response_logprobs(model, tokens, prefix_len)),
        peers={"whole-logits": lambda: run(score_whole), "trl": run_trl},
        agree=compare_tensors,
        flops=2.0 * now.numel() * model.cfg.d_model * model.cfg.d_vocab * 4,
        units=now.numel(),
        needs_grad=True,
    )


BENCHMARK = Benchmark(
    name="token_logprobs",
    title="Log-probabilities of given tokens, and GRPO's loss",
    cases={"values": "values alone", "gradient": "values and gradients", "grpo": "GRPO's loss and its gradient"},
    unit="tokens",
    make=make,
    peers=("whole-logits", "trl"),
    peer_packages={"trl": "trl"},
    goals=(
        Goal("values", "whole-logits", 2.0, on="cpu"),
        Goal("values", "whole-logits", 2.5, measure="memory", on="cpu"),
        Goal("values", "whole-logits", 4.0, measure="memory", on="cuda"),
        Goal("grpo", "trl", 1.5, on="cuda"),
        Goal("grpo", "trl", 4.0, measure="memory", on="cuda"),
    ),
)
