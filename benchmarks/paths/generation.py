"""Writing with a KV cache: greedy, one text or sixteen, of one length or of uneven ones.

Everyone gets the same prompts and writes the same number of tokens; nobody may stop early. Uneven prompts are
padded on the left, with an attention mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.transformer.fast.generation import generate
from benchmarks import peers
from benchmarks.harness.declaring import Benchmark, Disagreement, Goal, Place, Run, Skip, Workload
from benchmarks.sizes import Shape, count_weight_bytes, make_gpt2, make_tokens


@dataclass(frozen=True)
class Writing:
    """Prompts, and how many tokens follow each."""

    prompts: Shape
    n_new: int


SIZES: Mapping[tuple[str, str], Writing] = {
    ("one_text", "tiny"): Writing(Shape(1, 5), 6),
    ("one_text", "cpu"): Writing(Shape(1, 16), 16),
    ("one_text", "gpu"): Writing(Shape(1, 128), 256),
    ("batch", "tiny"): Writing(Shape(3, 5), 6),
    ("batch", "cpu"): Writing(Shape(16, 8), 8),
    ("batch", "gpu"): Writing(Shape(16, 128), 256),
    ("uneven", "tiny"): Writing(Shape(3, 5), 6),
    ("uneven", "cpu"): Writing(Shape(16, 16), 8),
    ("uneven", "gpu"): Writing(Shape(16, 128), 256),
}
HAS_BFLOAT16 = "AVX512" in torch.backends.cpu.get_cpu_capability()
"""Whether torch has kernels for bfloat16 on this CPU that are faster than float32's."""


def make(place: Place) -> Workload:
    """Runs return the tokens, prompts included."""
    if place.size == "cpu" and place.dtype == torch.bfloat16 and not HAS_BFLOAT16:
        raise Skip("this CPU has no AVX-512: it computes in bfloat16 by way of float32, slower than in float32")
    model = make_gpt2(place)
    writing = SIZES[place.case, place.size]
    tokens = make_tokens(place, writing.prompts, model.cfg)
    n_padding = count_padding(place.case, writing.prompts).to(place.device)
    is_real = torch.arange(writing.prompts.seq, device=place.device) >= n_padding[:, None]
    mask = is_real if n_padding.any() else None
    n_new = writing.n_new

    def run_huggingface() -> Run:
        twin = peers.make_huggingface(model)
        settings = {"do_sample": False, "min_new_tokens": n_new, "max_new_tokens": n_new, "pad_token_id": 0}
        settings["attention_mask"] = is_real.long()
        return lambda: twin.generate(tokens, **settings)

    def run_lens(twin: Any) -> Run:
        settings = {"do_sample": False, "stop_at_eos": False, "verbose": False, "return_type": "tokens"}
        return lambda: twin.generate(tokens, max_new_tokens=n_new, use_past_kv_cache=True, **settings)

    def agree(ours: Tensor, theirs: Tensor) -> float:
        """The share of new tokens that differ before rounding could have turned one choice."""
        if ours.shape != theirs.shape:
            raise Disagreement(f"the texts have different shapes: {tuple(ours.shape)} and {tuple(theirs.shape)}")
        return check_choices(model, ours, theirs, writing.prompts.seq, n_padding.tolist())

    runs = {"huggingface": run_huggingface}
    if place.case != "uneven":
        runs["bridge"] = lambda: run_lens(peers.make_bridge(model))
    if place.case == "one_text":
        # At batch 16 TransformerLens 3.9 with its cache writes other texts than without: nothing to compare.
        runs["transformer-lens-3"] = lambda: run_lens(peers.make_hooked_transformer(model))
    return Workload(
        ours=lambda: generate(model, tokens, n_new, attention_mask=mask),
        peers=runs,
        agree=agree,
        bytes=count_weight_bytes(model) * n_new,
        units=writing.prompts.batch * n_new,
        must_not_sync=True,
    )


def count_padding(case: str, prompts: Shape) -> Int[Tensor, " batch"]:
    """How many tokens on the left of each prompt are padding: of uneven ones, from all but one down to none."""
    if case != "uneven":
        return torch.zeros(prompts.batch, dtype=torch.int64)
    return torch.linspace(prompts.seq - 1, 0, prompts.batch).round().long()


def check_choices(model: Any, ours: Tensor, theirs: Tensor, n_prompt: int, n_padding: list[int]) -> float:
    """Where two greedy texts part, the two tokens' logits must be alike: then rounding chose between them."""
    differing = 0
    for mine, other, n_skipped in zip(ours, theirs, n_padding, strict=True):
        parts = (mine != other).nonzero().flatten()
        if not len(parts):
            continue
        at = int(parts[0])
        logits = model(mine[None, n_skipped:at])[0, -1].double()
        gap, spread = float((logits[mine[at]] - logits[other[at]]).abs()), float(logits.std())
        if at < n_prompt or gap > 0.02 * spread:
            raise Disagreement(f"texts part at token {at}, where the choices' logits differ by {gap:.3g}")
        differing += len(mine) - at
    return differing / ours[:, n_prompt:].numel()


BENCHMARK = Benchmark(
    name="generation",
    title="Greedy writing with a KV cache",
    cases={
        "one_text": "one text",
        "batch": "sixteen texts",
        "uneven": "sixteen texts of uneven length, padded on the left",
    },
    unit="tokens",
    make=make,
    dtypes={"cpu": ("float32", "bfloat16"), "cuda": ("float32", "bfloat16")},
    peers=("huggingface", "bridge", "transformer-lens-3"),
    peer_packages={
        "huggingface": "transformers",
        "bridge": "transformer-lens>=4",
        "transformer-lens-3": "transformer-lens<4",
    },
    goals=(
        Goal("one_text", "huggingface", 1.0, on="cpu", dtype="float32"),
        Goal("one_text", "huggingface", 8.0, on="cuda"),
        Goal("uneven", "huggingface", 1.0, on="cpu", dtype="float32"),
        Goal("one_text", "bridge", 2.5, on="cpu", dtype="float32"),
        Goal("one_text", "transformer-lens-3", 2.5, on="cpu", dtype="float32"),
    ),
    limits={"one_text": "bytes"},
)
