import json

import pytest
import torch
from benchmarks.studies import generative

from arena_lib.course.content.catalog import load_catalog
from arena_lib.fundamentals.generative.autoencoder import AutoencoderArgs
from arena_lib.fundamentals.generative.gan.dcgan import DCGANArgs
from arena_lib.fundamentals.images import LabelledImages


@pytest.fixture
def small(monkeypatch):
    def load(split):
        images = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(len(split)))
        return LabelledImages(images, torch.arange(30) % 10, tuple("abcdefghij"))

    monkeypatch.setattr(generative, "load_fashion_mnist", load)
    monkeypatch.setattr(generative, "VAE_ARGS", AutoencoderArgs(d_latent=2, d_hidden=4, n_epochs=1))
    monkeypatch.setattr(generative, "GAN_ARGS", DCGANArgs(d_latent=3, n_channels=2, n_epochs=1))
    monkeypatch.setattr(generative, "N_RATED", 20)


@pytest.mark.usefixtures("small")
def test_each_seed_is_kept_raw_and_run_once(tmp_path, capsys):
    generative.main(["--seeds", "0", "--folder", str(tmp_path)])
    first = json.loads((tmp_path / "generative.json").read_text())["seeds"]["0"]
    assert first["vae"].keys() >= {"mse", "elbo", "kl", "class_entropy", "score"}
    generative.main(["--seeds", "0-1", "--folder", str(tmp_path)])
    both = json.loads((tmp_path / "generative.json").read_text())["seeds"]
    assert both["0"] == first
    assert both.keys() == {"0", "1"}
    assert "seeds failed" in capsys.readouterr().out


def test_a_seed_below_the_bar_and_one_that_broke_off_are_counted():
    good = {"class_entropy": 2.2, "score": 4.0, "mse": 0.03, "mse_of_mean_image": 0.09, "elbo": 200.0}
    seeds = {
        "0": {"vae": good, "gan": good, "real": good},
        "1": {"vae": good, "gan": good | {"class_entropy": 1.0}, "real": good},
        "2": {"failure": "the loss must be finite"},
        "3": {"vae": good, "gan": good | {"score": 2.1}, "real": good},
    }
    text = generative.summarise(seeds)
    assert "seed 1" in text
    assert text.endswith("3 of 4 seeds failed")
    assert text.count("(failed)") == 2


def test_what_is_stored_is_what_the_chapter_says():
    """Five seeds, none failed; the shares of the real score, and the class entropies."""
    seeds = json.loads((generative.STORED / generative.FILE).read_text())["seeds"]
    assert generative.summarise(seeds).endswith("0 of 5 seeds failed")
    shares = {who: [seed[who]["score"] / seed["real"]["score"] for seed in seeds.values()] for who in ("gan", "vae")}
    entropies = [seed["gan"]["class_entropy"] for seed in seeds.values()]
    ranges = [f"{min(values):.2f} to {max(values):.2f}" for values in (entropies, shares["gan"], shares["vae"])]
    assert ranges == ["2.16 to 2.27", "0.63 to 0.69", "0.57 to 0.59"]
    text = " ".join(load_catalog().section("0.5").path.read_text(encoding="utf-8").replace("\n# ", " ").split())
    said = "class entropy of {} and {} of the real score, always more than the VAE's {}"
    assert said.format(*ranges) in text
    assert all(seed["vae"]["mse"] < seed["vae"]["mse_of_mean_image"] / 2 for seed in seeds.values())
