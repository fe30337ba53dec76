"""What is saved comes back as it was; SAELens's own layouts mean what they say; other files are refused.

`peers_saelens.py` holds the same against the installed SAELens, in the peers' environment.
"""

import json

import pytest
import safetensors.torch
import torch
from tests.saes.formats.every_variant import D_IN, D_SAE, draw_acts, make_variants

from arena_lib.errors import CheckpointError
from arena_lib.saes.autoencoders.gated import GatedSAE
from arena_lib.saes.autoencoders.topk import TopKSAE
from arena_lib.saes.formats import load_sae, save_sae
from arena_lib.saes.formats.saelens import export_weights, make_fields

ALL = {
    **{f"{name}": sae for name, sae in make_variants().items()},
    **{f"{name} as transcoder": sae for name, sae in make_variants(is_transcoder=True).items()},
}


def write(folder, fields, weights):
    folder.mkdir(exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(fields))
    safetensors.torch.save_file(weights, folder / "sae_weights.safetensors")
    return folder


def without_our_record(sae):
    fields = make_fields(sae)
    del fields["metadata"]["arena_lib"]
    return fields


@pytest.mark.parametrize("sae", ALL.values(), ids=ALL.keys())
def test_what_is_saved_comes_back_as_it_was(sae, tmp_path):
    loaded = load_sae(save_sae(sae, tmp_path / "new" / "folder"))
    assert type(loaded) is type(sae)
    assert loaded.cfg == sae.cfg
    assert not loaded.training
    assert torch.allclose(loaded.encode(draw_acts()), sae.encode(draw_acts()), atol=1e-6)
    assert torch.allclose(loaded(draw_acts()), sae(draw_acts()), atol=1e-6)
    assert all(weight.requires_grad for weight in loaded.parameters())
    assert (loaded.encode(draw_acts()) > 0).any(dim=0).sum() > 5


@pytest.mark.parametrize("sae", ALL.values(), ids=ALL.keys())
def test_without_our_record_the_function_is_the_same(sae, tmp_path):
    loaded = load_sae(write(tmp_path, without_our_record(sae), export_weights(sae)))
    assert torch.allclose(loaded.encode(draw_acts()), sae.encode(draw_acts()), atol=1e-6)
    assert torch.allclose(loaded(draw_acts()), sae(draw_acts()), atol=1e-6)
    assert (loaded.cfg.hook_name, loaded.cfg.model_name) == ("blocks.1.hook_resid_pre", "tiny-llama")


def test_a_loaded_sae_trains(tmp_path):
    sae = load_sae(save_sae(ALL["TopKSAE"], tmp_path)).train()
    optimizer = torch.optim.Adam(sae.parameters(), lr=1e-2)
    first = sae.compute_loss(draw_acts()).total
    for _ in range(20):
        optimizer.zero_grad()
        loss = sae.compute_loss(draw_acts()).total
        loss.backward()
        optimizer.step()
        sae.after_step()
    assert loss < 0.9 * first


def test_latents_rescaled_by_decoder_norms_are_honoured(tmp_path):
    sae = ALL["TopKSAE"]
    fields = without_our_record(sae) | {"rescale_acts_by_decoder_norm": True}
    loaded, acts = load_sae(write(tmp_path, fields, export_weights(sae))), draw_acts()
    lengths = sae.W_dec.norm(dim=1)
    pre_acts = ((acts - sae.b_dec) @ sae.W_enc + sae.b_enc) * lengths
    kept = pre_acts.topk(3, dim=1)
    latents = torch.zeros_like(pre_acts).scatter(1, kept.indices, kept.values.relu())
    assert torch.allclose(loaded.encode(acts), latents, atol=1e-6)
    assert torch.allclose(loaded(acts), (latents / lengths) @ sae.W_dec + sae.b_dec, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "fields"),
    [("batchtopk", {}), ("matryoshka_batchtopk", {"matryoshka_widths": [4, D_SAE], "use_matryoshka_aux_loss": False})],
)
def test_a_checkpoint_of_training_keeps_its_threshold(architecture, fields, tmp_path):
    sae = ALL["BatchTopKSAE"]
    weights = export_weights(sae)
    del weights["threshold"]
    weights["topk_threshold"] = torch.tensor(0.7, dtype=torch.float64)
    extra = {"architecture": architecture, "k": 3.0, "topk_threshold_lr": 0.02, "aux_loss_coefficient": 0.5, **fields}
    loaded = load_sae(write(tmp_path, without_our_record(sae) | extra, weights))
    assert torch.allclose(loaded.encode(draw_acts()), sae.encode(draw_acts()), atol=1e-6)
    assert (loaded.cfg.k, loaded.cfg.threshold_lr, loaded.cfg.aux_coef) == (3, 0.02, 0.5)


def test_thresholds_below_zero_do_what_zero_does(tmp_path):
    sae = ALL["JumpReLUSAE"]
    weights = export_weights(sae)
    weights["threshold"] = torch.full((D_SAE,), -0.5)
    loaded = load_sae(write(tmp_path, without_our_record(sae), weights))
    assert torch.allclose(loaded.encode(draw_acts()), sae.compute_pre_acts(draw_acts()).relu(), atol=1e-6)


def test_the_dtype_is_kept(tmp_path):
    sae = make_variants()["ReLUSAE"].to(torch.bfloat16)
    loaded = load_sae(save_sae(sae, tmp_path))
    assert loaded.W_enc.dtype == torch.bfloat16
    assert torch.equal(loaded.W_enc, sae.W_enc)


def test_saving_over_an_sae_replaces_it(tmp_path):
    save_sae(ALL["TopKSAE"], tmp_path)
    assert isinstance(load_sae(save_sae(ALL["GatedSAE"], tmp_path)), GatedSAE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cfg.json", "sae_weights.safetensors"]


def test_another_variant_is_refused(tmp_path):
    save_sae(ALL["TopKSAE"], tmp_path)
    assert isinstance(load_sae(tmp_path, TopKSAE), TopKSAE)
    with pytest.raises(CheckpointError, match=r"must be a GatedSAE: got a TopKSAE\. Load it without naming"):
        load_sae(tmp_path, GatedSAE)


def test_weights_of_another_variant_or_size_are_refused(tmp_path):
    fields = make_fields(ALL["TopKSAE"])
    with pytest.raises(CheckpointError, match=r"weights of a TopKSAE.*without b_enc and with b_gate, b_mag, r_mag"):
        load_sae(write(tmp_path, fields, export_weights(ALL["GatedSAE"])))
    weights = export_weights(ALL["TopKSAE"]) | {"b_enc": torch.zeros(D_SAE + 1)}
    with pytest.raises(CheckpointError, match=r"b_enc in .* must have shape \(13,\).*got \(14,\)"):
        load_sae(write(tmp_path, fields, weights))


def test_a_config_that_contradicts_itself_is_refused(tmp_path):
    fields = make_fields(ALL["TopKSAE"]) | {"k": 5}
    with pytest.raises(CheckpointError, match="must say the same twice: k is 5, but 3 in its metadata"):
        load_sae(write(tmp_path, fields, export_weights(ALL["TopKSAE"])))


def test_a_config_that_cannot_work_is_refused(tmp_path):
    fields = without_our_record(ALL["TopKSAE"]) | {"k": 50}
    with pytest.raises(CheckpointError, match=r"must describe an SAE that can work: k must be at most d_sae"):
        load_sae(write(tmp_path, fields, export_weights(ALL["TopKSAE"])))


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"cfg.json must be the config of an SAE.*No such file.*Give the folder"):
        load_sae(tmp_path)
    save_sae(ALL["TopKSAE"], tmp_path)
    weights = tmp_path / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=r"sae_weights.safetensors must be a safetensors file"):
        load_sae(tmp_path)
    (tmp_path / "cfg.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="must hold an object with fields: got list"):
        load_sae(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="must be a folder that can be written"):
        save_sae(ALL["TopKSAE"], tmp_path / "file" / "below")


def test_sizes_differ_so_that_a_swapped_axis_fails():
    assert len({D_IN, D_SAE, len(draw_acts())}) == 3
