"""What a hot path declares: its sizes, ours, its peers, when they agree, and its goals.

A path is one module in `benchmarks/paths/` with one `BENCHMARK`. The harness does all else.

    BENCHMARK = Benchmark(
        name="forward",
        title="Transformer forward pass",
        cases={"batch": "a batch of whole sequences", "one_token": "a single token"},
        unit="tokens",
        make=make_workload,
        peers=("huggingface-sdpa",),
        peer_packages={"huggingface-sdpa": "transformers>=5"},
        goals=(Goal("batch", "huggingface-sdpa", 1.0, on="cpu"),),
    )

Raises:  Skip where something is missing that the machine or environment need not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

SIZES = ("tiny", "cpu", "gpu")
"""`tiny` shows that everything runs and agrees; `cpu` and `gpu` are the published sizes."""

Run = Callable[[], Any]
"""One run of what is measured, from inputs that are ready to its result."""


class Skip(Exception):
    """Why a row is not measured here: a missing peer, device or feature. The reason is its message."""


class Disagreement(Exception):
    """Ours and a peer's results differ by more than the path allows; the message says by how much."""


@dataclass(frozen=True)
class Place:
    """Where and at what size a workload is made."""

    device: torch.device
    dtype: torch.dtype
    size: str
    case: str


@dataclass(frozen=True)
class Workload:
    """One case of a path, set up on one device in one dtype: everything below shares weights and inputs."""

    ours: Run
    peers: Mapping[str, Callable[[], Run]]
    """By name: a function that sets the peer up and returns its run; raises `Skip` or ImportError where it can't."""
    agree: Callable[[Any, Any], float]
    """Given our result and a peer's, each of its very first run: the largest difference; raises `Disagreement`.

    Called before any timing.
    """
    flops: float | None = None
    """Multiplications and additions of one run of ours, counted by formula."""
    bytes: float | None = None
    """Bytes that one run of ours must at least read and write, by formula."""
    units: float = 1.0
    """How many units (tokens, steps, heads) one run handles."""
    prepare: Callable[[], None] | None = None
    """Called before every run of either side, outside the clock: puts back what a run changes, not what it returned."""
    ours_compiles: bool = False
    """Whether the first run of ours compiles; its time then stands in a column of its own."""
    must_not_sync: bool = False
    """On CUDA: a run of ours must not wait for the device."""
    needs_grad: bool = False
    """Whether runs need autograd; all others run in inference mode."""


@dataclass(frozen=True)
class Goal:
    """What a row should reach: the peer's time over ours (or the peer's peak memory over ours)."""

    case: str
    peer: str
    at_least: float
    on: Literal["cpu", "cuda", "any"] = "any"
    measure: Literal["time", "memory"] = "time"
    dtype: str | None = None
    """Only for this dtype; None for all."""


@dataclass(frozen=True)
class Benchmark:
    """A hot path."""

    name: str
    title: str
    cases: Mapping[str, str]
    """By name: what the case is, in words."""
    unit: str
    """What `Workload.units` counts: tokens, steps, sequences."""
    make: Callable[[Place], Workload]
    dtypes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"cpu": ("float32",), "cuda": ("bfloat16",)})
    """By kind of device: the dtypes that it is measured in."""
    peers: tuple[str, ...] = ()
    """Every peer that some case has, so that a skipped one still has its row."""
    peer_packages: Mapping[str, str] = field(default_factory=dict)
    """By peer: the requirement that it has, as `transformer-lens<4`; no entry for baselines of our own.

    Where it isn't met the peer is skipped; in a strict run that fails if the environment pins a version that meets it.
    """
    goals: tuple[Goal, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    """By case: what bounds it, `flops` or `bytes`; a share of that measured limit is reported."""
