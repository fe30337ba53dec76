"""How good the VAE and the GAN of section 0.5 are, seed by seed, and each seed's raw figures in a JSON file.

    python -m benchmarks.studies.generative --seeds 0-4

Each seed trains both with the settings of the section, on the 6,000 bundled images, and a judge of its own for the
scores. Seeds that are there already are left alone, so that a study that was stopped goes on. A seed whose training
fails, or whose GAN misses the bar, is kept and counted.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arena_lib.core.files import write_atomically
from arena_lib.core.manifest import find_commit, find_versions
from arena_lib.errors import TrainingError
from arena_lib.fundamentals.generative.autoencoder import AutoencoderArgs
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs
from arena_lib.fundamentals.generative.gan.training import DCGANTrainer, generate
from arena_lib.fundamentals.generative.gaussians import compute_elbo, kl_to_standard_normal
from arena_lib.fundamentals.generative.scores import (
    class_entropy,
    class_probabilities,
    classifier_score,
    train_judge,
)
from arena_lib.fundamentals.generative.vae import VAETrainer
from arena_lib.fundamentals.images import load_fashion_mnist
from benchmarks.studies.running import STORED, read_seeds

FILE = "generative.json"
N_RATED = 1000
"""Pictures that the judge looks at."""
CLASS_ENTROPY_BAR = 2.1
"""Nats of at most 2.30; below it a seed's GAN counts as a failure."""
SCORE_BAR = 0.55
"""Of the score of real pictures; below it as well. Set from seeds 0 to 4, whose GANs have 0.63 to 0.69."""
VAE_ARGS, GAN_ARGS = AutoencoderArgs(n_epochs=5), DCGANArgs()


def rate(judge: torch.nn.Module, pictures: Tensor) -> dict[str, float]:
    """What a judge makes of pictures."""
    probs = class_probabilities(judge, pictures)
    return {"class_entropy": class_entropy(probs).item(), "score": classifier_score(probs).item()}


def run_seed(seed: int) -> dict[str, Any]:
    """Both networks with one seed: what they reach, beside real pictures, and what it cost."""
    images, labels, _ = load_fashion_mnist("train")
    test_images, test_labels, _ = load_fashion_mnist("test")
    judge = train_judge(images, labels, seed=seed)
    guesses = class_probabilities(judge, test_images).argmax(dim=1)
    record: dict[str, Any] = {
        "judge_accuracy": (guesses == test_labels).float().mean().item(),
        "real": rate(judge, test_images),
    }
    start = time.perf_counter()
    vae = VAETrainer(dataclasses.replace(VAE_ARGS, seed=seed), images).train()
    record["vae_seconds"] = time.perf_counter() - start
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        recon, mu, logsigma = vae(test_images)
        record["vae"] = {
            "mse": (recon - test_images).pow(2).mean().item(),
            "mse_of_mean_image": (test_images - images.mean(dim=0)).pow(2).mean().item(),
            "elbo": compute_elbo(test_images, recon, mu, logsigma, VAE_ARGS.noise).mean().item(),
            "kl": kl_to_standard_normal(mu, logsigma).mean().item(),
            **rate(judge, vae.decoder(torch.randn(N_RATED, VAE_ARGS.d_latent, generator=random))),
        }
    start = time.perf_counter()
    generator = DCGANTrainer(dataclasses.replace(GAN_ARGS, seed=seed), 2 * images - 1).train()
    record["gan_seconds"] = time.perf_counter() - start
    record["gan"] = rate(judge, generate(generator, N_RATED, GAN_ARGS.d_latent, random))
    return record


def summarise(seeds: dict[str, dict[str, Any]]) -> str:
    """A line for each seed, and how many failed."""
    lines, n_failed = [], 0
    for seed, record in seeds.items():
        if "failure" in record:
            n_failed += 1
            lines.append(f"seed {seed}: {record['failure']}")
            continue
        vae, gan, real = record["vae"], record["gan"], record["real"]
        is_failed = gan["class_entropy"] < CLASS_ENTROPY_BAR or gan["score"] < SCORE_BAR * real["score"]
        n_failed += is_failed
        lines.append(
            f"seed {seed}: VAE mse {vae['mse']:.4f} of {vae['mse_of_mean_image']:.4f}, ELBO {vae['elbo']:.1f}, "
            f"score {vae['score']:.2f}; GAN class entropy {gan['class_entropy']:.2f}, score {gan['score']:.2f}; "
            f"real {real['score']:.2f}{' (failed)' if is_failed else ''}"
        )
    return "\n".join([*lines, f"{n_failed} of {len(seeds)} seeds failed"])


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, and say what is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.generative", description=__doc__)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--folder", type=Path, default=STORED)
    options = parser.parse_args(arguments)
    file = options.folder / FILE
    settings = {"vae": dataclasses.asdict(VAE_ARGS), "gan": dataclasses.asdict(GAN_ARGS)}
    record = json.loads(file.read_text()) if file.is_file() else {"settings": settings, "seeds": {}}
    for seed in read_seeds(options.seeds):
        if str(seed) not in record["seeds"]:
            try:
                record["seeds"][str(seed)] = run_seed(seed)
            except TrainingError as error:
                record["seeds"][str(seed)] = {"failure": str(error)}
            record |= {"commit": find_commit(), "versions": find_versions()}
            write_atomically(file, (json.dumps(record, indent=1) + "\n").encode())
    sys.stdout.write(summarise(record["seeds"]) + "\n")


if __name__ == "__main__":
    main()
