import torch

from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.formats.saelens import save_sae


def make_folder(path, **names):
    config = TopKSAEConfig(d_in=128, d_sae=40, k=4, **names)
    save_sae(TopKSAE(config, torch.Generator().manual_seed(0)), path)
    return path


def test_a_folder_in_saelens_format_is_measured(arena, tmp_path):
    folder = make_folder(tmp_path / "sae", model_name="tiny-llama", hook_name="blocks.1.hook_resid_post")
    done = arena("saes", "evaluate", folder, "--rows", "2", "--json")
    assert done.code == 0, done.err
    assert done.json["reached"]["n_positions"] == 2 * 128
    assert 0 < done.json["reached"]["l0"] <= 4


def test_a_model_that_nobody_names_is_asked_for(arena, tmp_path):
    done = arena("saes", "evaluate", make_folder(tmp_path / "sae"))
    assert done.code == 2
    assert "the model must be known: got none" in done.err
    assert "Pass --model NAME." in done.err
