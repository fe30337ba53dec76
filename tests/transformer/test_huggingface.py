"""Folders and models of transformers, both ways; the bridge and nnsight open our folders."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file

from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import (
    from_huggingface,
    huggingface_views,
    load_pretrained,
    save_pretrained,
    to_huggingface,
)

FORMS = pytest.mark.parametrize("form", ["gpt2", "llama"])
TIED = pytest.mark.parametrize("tie_embeddings", [True, False])


def same_weights(one: Transformer, other: Transformer) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@FORMS
@TIED
def test_a_folder_round_trips_and_transformers_opens_it(
    form: str, tie_embeddings: bool, make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    model = make_random(form, tie_embeddings=tie_embeddings).float()
    save_pretrained(model, tmp_path / "new" / "folder")
    ours = load_pretrained(tmp_path / "new" / "folder")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "new" / "folder", dtype=torch.float32)
    assert same_weights(ours, model)
    assert ours.cfg == model.cfg
    assert not ours.training
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=1e-4, atol=1e-4)


@FORMS
@TIED
def test_a_model_round_trips_through_transformers(
    form: str, tie_embeddings: bool, make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    model = make_random(form, tie_embeddings=tie_embeddings)
    twin = to_huggingface(model, tmp_path)
    back = from_huggingface(twin)
    assert back.cfg == model.cfg
    assert same_weights(back, model)
    assert same_weights(from_huggingface(str(tmp_path)), model)
    assert back.embed.W_E.dtype == torch.float64
    assert back.embed.W_E.data_ptr() != twin.get_input_embeddings().weight.data_ptr()
    assert not twin.training


@FORMS
def test_transformers_own_models_load(form: str, tokens: torch.Tensor, tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    if form == "gpt2":
        config = transformers.GPT2Config(vocab_size=37, n_embd=12, n_head=3, n_layer=2, n_positions=9)
        theirs = transformers.GPT2LMHeadModel(config).eval()
    else:
        config = transformers.LlamaConfig(
            vocab_size=37,
            hidden_size=12,
            intermediate_size=21,
            num_attention_heads=3,
            num_key_value_heads=1,
            num_hidden_layers=2,
            max_position_embeddings=9,
            rope_parameters={"rope_type": "default", "rope_theta": 33.0},
        )
        theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    with torch.no_grad():
        for ours in (from_huggingface(theirs), from_huggingface(tmp_path)):
            torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-5)
    if form == "gpt2":
        assert ours.cfg.d_mlp == 48
        assert ours.cfg.tie_embeddings
    else:
        assert ours.cfg.rope_theta == 33.0
        assert ours.cfg.d_head == 4


@pytest.mark.filterwarnings("ignore")
@FORMS
def test_the_bridge_and_nnsight_give_the_same_logits(
    form: str,
    make_random: Callable[..., Transformer],
    tokens: torch.Tensor,
    save_word_tokenizer: Callable[[Path, int], object],
    tmp_path: Path,
) -> None:
    from nnsight import LanguageModel
    from transformer_lens.model_bridge import TransformerBridge

    model = make_random(form).float()
    save_word_tokenizer(save_pretrained(model, tmp_path), 37)
    bridge = TransformerBridge.boot_transformers(str(tmp_path), device="cpu", dtype=torch.float32)
    traced = LanguageModel(str(tmp_path), device_map="cpu", dtype=torch.float32, dispatch=True)
    with torch.no_grad():
        torch.testing.assert_close(bridge(tokens), model(tokens), rtol=1e-4, atol=1e-4)
        with traced.trace(tokens):
            logits = traced.lm_head.output.save()
    torch.testing.assert_close(logits, model(tokens), rtol=1e-4, atol=1e-4)


def test_the_attention_only_form_has_a_folder_of_its_own(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    model = make_random("attention_only").float()
    ours = load_pretrained(save_pretrained(model, tmp_path))
    assert ours.cfg == model.cfg
    assert torch.equal(ours(tokens), model(tokens))
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "arena_attention_only"
    with pytest.raises(ConfigError, match="only GPT2 and Llama have a counterpart in transformers: got AttentionOnly"):
        huggingface_views(model)


def test_views_write_through(make_random: Callable[..., Transformer]) -> None:
    for form, name in [
        ("gpt2", "transformer.h.1.attn.c_attn.weight"),
        ("llama", "model.layers.1.self_attn.k_proj.weight"),
    ]:
        model = make_random(form)
        with torch.no_grad():
            huggingface_views(model)[name].zero_()
        attn = model.blocks[1].attn
        assert attn.W_K.abs().sum() == 0
        assert (attn.W_Q.abs().sum() == 0) == (form == "gpt2")


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_weights_can_be_stored_in_another_dtype(
    form: str, make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    model = make_random(form).float()
    save_pretrained(model, tmp_path, dtype=torch.bfloat16)
    assert {weight.dtype for weight in load((tmp_path / "model.safetensors").read_bytes()).values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_pretrained(tmp_path).embed.W_E.dtype == torch.bfloat16
    loaded = load_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(loaded.embed.W_E, model.embed.W_E.bfloat16().float())
    assert loaded(tokens).dtype == torch.float32


def test_loading_leaves_torchs_random_state_alone(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    save_pretrained(make_random("llama"), tmp_path)
    state = torch.get_rng_state()
    load_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


# -- older and other files ----------------------------------------------------------------------


def test_old_gpt2_names_and_masks_and_shards_load(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    model = make_random("gpt2", tie_embeddings=True)
    save_pretrained(model, tmp_path)
    weights = {
        name.removeprefix("transformer."): w for name, w in load((tmp_path / "model.safetensors").read_bytes()).items()
    }
    weights |= {"h.0.attn.bias": torch.ones(1, 1, 4, 4), "h.0.attn.masked_bias": torch.tensor(-1e4)}
    weights |= {"lm_head.weight": weights["wte.weight"].clone()}
    half = len(weights) // 2
    (tmp_path / "model.safetensors").unlink()
    save_file(dict(list(weights.items())[:half]), tmp_path / "model-00001-of-00002.safetensors")
    save_file(dict(list(weights.items())[half:]), tmp_path / "model-00002-of-00002.safetensors")
    assert same_weights(load_pretrained(tmp_path), model)


def test_frequencies_among_the_weights_are_passed_over(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    model = make_random("llama")
    save_pretrained(model, tmp_path)
    weights = load((tmp_path / "model.safetensors").read_bytes())
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
    save_file(weights, tmp_path / "model.safetensors")
    assert same_weights(load_pretrained(tmp_path), model)


# -- what is refused ----------------------------------------------------------------------------


def test_a_folder_without_the_files_is_refused(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must hold config\.json and \*\.safetensors: got "):
        load_pretrained(tmp_path)
    save_pretrained(make_random("gpt2"), tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"must hold config\.json"):
        load_pretrained(tmp_path)


def test_weights_of_another_config_are_refused(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    save_pretrained(make_random("gpt2"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, named in [({"n_layer": 3}, r"transformer\.h\.2"), ({"vocab_size": 38}, r"lm_head|wte")]:
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(CheckpointError, match=rf"the weights must be those that the config describes.*{named}"):
            load_pretrained(tmp_path)


def test_a_config_far_larger_than_the_weights_asks_for_no_memory(
    make_random: Callable[..., Transformer], tmp_path: Path
) -> None:
    save_pretrained(make_random("llama"), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 2**20, "head_dim": 8}))
    with pytest.raises(CheckpointError, match="the weights must be those that the config describes"):
        load_pretrained(tmp_path)


def test_a_name_is_not_fetched_and_the_message_says_what_does() -> None:
    with pytest.raises(
        CheckpointError, match=r"a folder: got 'gpt2', and no such folder.*Nothing is fetched.*zoo\.load"
    ):
        from_huggingface("gpt2")
    with pytest.raises(ConfigError, match="source must be a model of transformers or a folder: got Linear"):
        from_huggingface(torch.nn.Linear(2, 3))


# -- a real model -------------------------------------------------------------------------------

TEXT = (
    "When Mary and John went to the store, John gave a drink to Mary. The capital of France is Paris, and 12 is even."
)


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
def test_smollm2_agrees_with_transformers() -> None:
    """Our difference from eager attention is at most three times that of transformers' own SDPA."""
    from transformers import AutoModelForCausalLM

    from arena_lib import zoo

    if not zoo.is_available("smollm2"):
        pytest.skip("smollm2 is not fetched; run: arena zoo fetch smollm2")
    model = zoo.load("smollm2")
    folder = str(zoo.path("smollm2"))
    tokens = model.to_tokens([TEXT])
    with torch.no_grad():
        logits = model(tokens)
        eager, sdpa = (
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=kind)(tokens).logits
            for kind in ("eager", "sdpa")
        )
        written_out = model.run_with_hooks(tokens, [(lambda name: name.endswith("pattern"), lambda tensor, hook: None)])
    allowed = 3 * (sdpa - eager).abs().max()
    assert 0 < allowed < 1e-3
    assert (logits - eager).abs().max() <= allowed
    assert (written_out - eager).abs().max() <= allowed
    assert torch.equal(logits.argmax(dim=-1), eager.argmax(dim=-1))


@pytest.mark.real
def test_smollm2_knows_the_indirect_object() -> None:
    from arena_lib import zoo

    if not zoo.is_available("smollm2"):
        pytest.skip("smollm2 is not fetched; run: arena zoo fetch smollm2")
    model = zoo.load("smollm2")
    prompt = model.to_tokens("When Mary and John went to the store, John gave a drink to")
    with torch.no_grad():
        logits = model(prompt, last_only=True)[0, -1]
    assert logits[model.to_single_token(" Mary")] > logits[model.to_single_token(" John")] + 2
