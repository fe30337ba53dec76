import json

import pytest
import torch
from benchmarks.studies import generative

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
    }
    text = generative.summarise(seeds)
    assert "seed 1" in text
    assert text.endswith("2 of 3 seeds failed")
    assert text.count("(failed)") == 1
