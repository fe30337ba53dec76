"""Files both ways between us and the installed SAELens, with equal latents and reconstructions.

That environment has no pytest: `python -m tests.saes.formats.peers_saelens` does it. `nox -s peers` calls it.
"""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tests.saes.formats.every_variant import D_IN, D_OUT, D_SAE, draw_acts, make_variants

from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.formats import load_sae, save_sae
from arena_lib.saes.formats.saelens_fields import BY_ARCHITECTURE, name_architecture

TOLERANCE = 1e-6
"""The largest difference, as a share of the largest number."""
ONLY_OURS = {"topk_transcoder", "topk_skip_transcoder", "gated_transcoder"}
"""Architectures that SAELens doesn't have: it must refuse them, not load something else."""


def assert_equal_functions(ours: SAE, theirs: Any, name: str) -> None:
    acts = draw_acts()
    latents = ours.encode(acts)
    assert (latents > 0).any(), name
    for mine, other in ((latents, theirs.encode(acts)), (ours(acts), theirs(acts))):
        assert mine.shape == other.shape, name
        assert (mine - other).abs().max() <= TOLERANCE * other.abs().max(), name


def check_ours_in_theirs(folder: Path) -> set[str]:
    from sae_lens import SAE as TheirSAE

    seen = set()
    for is_transcoder in (False, True):
        for name, sae in make_variants(is_transcoder).items():
            path = save_sae(sae, folder / f"{name}-{is_transcoder}")
            architecture = name_architecture(sae)
            seen.add(architecture)
            if architecture in ONLY_OURS:
                try:
                    TheirSAE.load_from_disk(path)
                except KeyError:
                    continue
                raise AssertionError(f"SAELens loads a {architecture}")
            theirs = TheirSAE.load_from_disk(path)
            assert theirs.cfg.architecture() == architecture
            assert theirs.cfg.metadata.hook_name == sae.cfg.hook_name
            assert_equal_functions(sae, theirs, name)
    return seen


def make_theirs() -> Iterator[tuple[str, Any]]:
    """Every architecture of theirs that we read: for inference, and training's where it saves more."""
    import sae_lens.saes as peers

    sizes = {"d_in": D_IN, "d_sae": D_SAE}
    for centers in (True, False):
        fields = {**sizes, "apply_b_dec_to_input": centers}
        yield "standard", peers.StandardSAE(peers.StandardSAEConfig(**fields))
        yield "gated", peers.GatedSAE(peers.GatedSAEConfig(**fields))
        yield "jumprelu", peers.JumpReLUSAE(peers.JumpReLUSAEConfig(**fields))
        for rescales in (True, False):
            more = {**fields, "k": 3, "rescale_acts_by_decoder_norm": rescales}
            yield "topk", peers.TopKSAE(peers.TopKSAEConfig(**more))
    outward = {**sizes, "d_out": D_OUT, "apply_b_dec_to_input": False}
    yield "transcoder", peers.Transcoder(peers.TranscoderConfig(**outward))
    yield "skip_transcoder", peers.SkipTranscoder(peers.SkipTranscoderConfig(**outward))
    yield "jumprelu_transcoder", peers.JumpReLUTranscoder(peers.JumpReLUTranscoderConfig(**outward))
    yield "jumprelu_skip_transcoder", peers.JumpReLUSkipTranscoder(peers.JumpReLUSkipTranscoderConfig(**outward))


def make_theirs_in_training() -> Iterator[tuple[str, Any]]:
    import sae_lens.saes as peers

    sizes = {"d_in": D_IN, "d_sae": D_SAE}
    yield "standard", peers.StandardTrainingSAE(peers.StandardTrainingSAEConfig(**sizes, l1_coefficient=0.5))
    yield "gated", peers.GatedTrainingSAE(peers.GatedTrainingSAEConfig(**sizes, l1_coefficient=0.5))
    yield "jumprelu", peers.JumpReLUTrainingSAE(peers.JumpReLUTrainingSAEConfig(**sizes, l0_coefficient=0.5))
    yield "topk", peers.TopKTrainingSAE(peers.TopKTrainingSAEConfig(**sizes, k=3))
    yield "batchtopk", peers.BatchTopKTrainingSAE(peers.BatchTopKTrainingSAEConfig(**sizes, k=3))
    nested = peers.MatryoshkaBatchTopKTrainingSAEConfig(**sizes, k=3, matryoshka_widths=[4, D_SAE])
    yield "matryoshka_batchtopk", peers.MatryoshkaBatchTopKTrainingSAE(nested)


@torch.no_grad()
def disturb(theirs: Any, seed: int) -> None:
    """Weights that differ from what they start as; thresholds stay positive."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in theirs.named_parameters():
        weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
        if name == "threshold":
            weight.abs_()
    if hasattr(theirs, "topk_threshold"):
        theirs.topk_threshold.fill_(0.3)


def check_theirs_in_ours(folder: Path) -> set[str]:
    seen = set()
    for number, (architecture, theirs) in enumerate(make_theirs()):
        disturb(theirs, number)
        theirs.save_model(folder / str(number))
        ours = load_sae(folder / str(number))
        assert type(ours) is BY_ARCHITECTURE[architecture]
        assert_equal_functions(ours, theirs, architecture)
        seen.add(architecture)
    return seen


def check_theirs_in_training(folder: Path) -> set[str]:
    """What `save_model` keeps in training and what `save_inference_model` makes of it are one function.

    In training their BatchTopK depends on its batch, so the saved form for inference is what ours is held against.
    """
    from sae_lens import SAE as TheirSAE

    seen = set()
    for number, (architecture, theirs) in enumerate(make_theirs_in_training()):
        disturb(theirs, number)
        theirs.save_model(folder / f"{number}-training")
        theirs.save_inference_model(folder / f"{number}-inference")
        ours = load_sae(folder / f"{number}-training")
        assert type(ours) is BY_ARCHITECTURE[architecture]
        inference = TheirSAE.load_from_disk(folder / f"{number}-inference")
        if "topk" in architecture:
            inference.fold_W_dec_norm()
        assert_equal_functions(load_sae(folder / f"{number}-inference"), inference, f"{architecture} for inference")
        assert_equal_functions(ours, inference, f"{architecture} in training")
        seen.add(architecture)
    return seen


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        architectures = check_ours_in_theirs(Path(name) / "ours")
        architectures |= check_theirs_in_ours(Path(name) / "theirs")
        architectures |= check_theirs_in_training(Path(name) / "training")
    assert architectures == set(BY_ARCHITECTURE), set(BY_ARCHITECTURE) - architectures
