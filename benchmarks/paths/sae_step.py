"""A step of an SAE's training: loss, backward pass, clipped gradients, Adam, and the decoder's lengths.

Each variant stands beside the same one in SAELens, dictionary_learning and, for TopK, sparsify, with the same weights and
batch. What is compared before the timing is the reconstruction of the batch; "plain" is our own TopK with every product
written out, as one reads it.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig
from arena_lib.saes.autoencoders.topk import PlainTopKSAE, TopKSAE, TopKSAEConfig
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.paths._sae_peers import LR, MAKERS, MAX_NORM
from benchmarks.sizes import compare_tensors

SIZES = {"tiny": (32, 16, 64, 4), "cpu": (1024, 256, 4096, 32), "gpu": (4096, 768, 24576, 32)}
"""Examples in a batch, d_in, d_sae, k."""
L1, L0, THRESHOLD = 0.05, 0.001, 0.3


def make(place: Place) -> Workload:
    """Every run returns the reconstruction of the batch, of weights as they were before the step."""
    batch, d_in, d_sae, k = SIZES[place.size]
    generator = torch.Generator().manual_seed(0)
    acts = torch.randn(batch, d_in, generator=generator).to(place.device, place.dtype)
    sae = BUILDERS[place.case](d_in, d_sae, k).to(place.device, place.dtype)
    start = deepcopy(sae)  # ours steps first, and peers begin where it began
    names = [name for name in MAKERS if name != "sparsify" or place.case == "topk"]
    peers: dict[str, Callable[[], Run]] = {name: partial(MAKERS[name], start, acts) for name in names}
    if place.case == "topk":
        peers["plain"] = partial(make_plain, start, acts)
    if place.device.type != "cpu":
        peers = {name: peer for name, peer in peers.items() if name == "plain"}  # peers' runs are written for the CPU
    products = 2 * batch * d_in * d_sae
    return Workload(
        ours=make_ours(sae, acts),
        peers=peers,
        agree=compare_tensors,
        # TopK: encoding, and a gradient of W_enc whose rows are sparse; the others: two products forward, four backward.
        flops=products + 6 * batch * k * d_in if place.case == "topk" else 5 * products,
        units=batch,
        needs_grad=True,
    )


def make_ours(sae: SAE, acts: Tensor) -> Run:
    """What `SAETrainer` does in an update, on a batch that is there."""
    trained = [parameter for parameter in sae.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=LR, fused=True)
    n_idle = torch.zeros(sae.cfg.d_sae, dtype=torch.int64, device=acts.device)
    kept: list[Tensor] = []

    def run() -> Tensor:
        if not kept:
            with torch.no_grad():
                kept.append(sae(acts))  # made once, for the comparison before the timing
        losses = sae.compute_loss(acts)
        n_idle.add_(1).masked_fill_(losses.n_active > 0, 0)
        losses.total.backward()
        sae.before_step()
        nn.utils.clip_grad_norm_(trained, MAX_NORM)
        optimizer.step()
        optimizer.zero_grad()
        sae.after_step()
        return kept[0]

    return run


def make_plain(sae: SAE, acts: Tensor) -> Run:
    """The same with TopK as one reads it."""
    assert isinstance(sae, TopKSAE)
    plain = PlainTopKSAE(sae.cfg)
    plain.load_state_dict(sae.state_dict())
    return make_ours(plain.to(acts), acts)


def build_topk(d_in: int, d_sae: int, k: int) -> SAE:
    """K active latents."""
    return TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k), torch.Generator().manual_seed(1))


def build_l1(d_in: int, d_sae: int, k: int) -> SAE:
    """ReLU and L1."""
    return ReLUSAE(ReLUSAEConfig(d_in=d_in, d_sae=d_sae, l1_coef=L1), torch.Generator().manual_seed(1))


def build_gated(d_in: int, d_sae: int, k: int) -> SAE:
    """Gate and magnitude."""
    return GatedSAE(GatedSAEConfig(d_in=d_in, d_sae=d_sae, l1_coef=L1), torch.Generator().manual_seed(1))


def build_jumprelu(d_in: int, d_sae: int, k: int) -> SAE:
    """A threshold for each latent."""
    config = JumpReLUSAEConfig(
        d_in=d_in, d_sae=d_sae, l0_coef=L0, initial_threshold=THRESHOLD, bandwidth=0.05, subtract_b_dec=False
    )
    return JumpReLUSAE(config, torch.Generator().manual_seed(1))


BUILDERS: Mapping[str, Callable[[int, int, int], SAE]] = {
    "topk": build_topk,
    "l1": build_l1,
    "gated": build_gated,
    "jumprelu": build_jumprelu,
}

BENCHMARK = Benchmark(
    name="sae_step",
    title="A step of an SAE's training",
    cases={
        "topk": "TopK, 1,024 x 256 x 4,096, k 32",
        "l1": "ReLU with L1, the same sizes",
        "gated": "gated, the same sizes",
        "jumprelu": "JumpReLU, the same sizes",
    },
    unit="examples",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("sae-lens", "dictionary-learning", "sparsify", "plain"),
    peer_packages={
        "sae-lens": "sae-lens>=6",
        "dictionary-learning": "dictionary-learning>=0.1",
        "sparsify": "eai-sparsify>=1.3",
    },
    goals=(
        Goal("topk", "sae-lens", 2.5, on="cpu"),
        Goal("topk", "dictionary-learning", 2.5, on="cpu"),
        Goal("topk", "sparsify", 1.1, on="cpu"),
        *(Goal(case, "sae-lens", 1.3, on="cpu") for case in ("l1", "gated", "jumprelu")),
    ),
    limits=dict.fromkeys(("topk", "l1", "gated", "jumprelu"), "flops"),
)
