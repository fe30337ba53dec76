"""What lies in a model's folder: an unembedding, dtypes, several files, a tokenizer; each is heeded or refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file

from arena_lib.errors import CheckpointError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import from_huggingface, load_pretrained, save_pretrained, to_huggingface

FORMS = pytest.mark.parametrize("form", ["gpt2", "llama"])
EMBEDDINGS = ("wte.weight", "embed_tokens.weight")


def same_weights(one: Transformer, other: Transformer) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@FORMS
def test_an_unembedding_that_differs_from_the_embedding_unties_them(
    form: str, make_random: Callable[..., Transformer], tokens: torch.Tensor, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    to_huggingface(make_random(form, tie_embeddings=True).float(), tmp_path)
    stored = load((tmp_path / "model.safetensors").read_bytes())
    stored["lm_head.weight"] = next(w for name, w in stored.items() if name.endswith(EMBEDDINGS)).clone()
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert load_pretrained(tmp_path).cfg.tie_embeddings
    stored["lm_head.weight"][3] += 1.0
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    for source in (theirs, tmp_path):
        ours = from_huggingface(source)
        assert not ours.cfg.tie_embeddings
        with torch.no_grad():
            torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)
    assert not load_pretrained(save_pretrained(ours, tmp_path / "again")).cfg.tie_embeddings


@FORMS
def test_an_untied_model_without_an_unembedding_is_refused(
    form: str, make_random: Callable[..., Transformer], tmp_path: Path
) -> None:
    save_pretrained(make_random(form, tie_embeddings=True), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    with pytest.raises(CheckpointError, match=r"got a mismatch in \['lm_head\.weight'\] \(1 in all\)"):
        load_pretrained(tmp_path)


def test_the_dtype_is_that_of_the_weights_and_holds_them_all(
    make_random: Callable[..., Transformer], tmp_path: Path
) -> None:
    model = make_random("llama")
    save_pretrained(model, tmp_path, dtype=torch.bfloat16)
    weights = load((tmp_path / "model.safetensors").read_bytes())
    weights = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)} | weights
    save_file(weights, tmp_path / "model.safetensors")
    assert load_pretrained(tmp_path).embed.W_E.dtype == torch.bfloat16
    weights["model.norm.weight"] = model.ln_final.w.detach().float()
    save_file(weights, tmp_path / "model.safetensors")
    mixed = load_pretrained(tmp_path)
    assert {parameter.dtype for parameter in mixed.parameters()} == {torch.float32}
    assert torch.equal(mixed.ln_final.w, model.ln_final.w.float())
    twin = to_huggingface(mixed).bfloat16()
    twin.model.norm.float()
    assert {parameter.dtype for parameter in from_huggingface(twin).parameters()} == {torch.float32}


def test_quantized_weights_are_refused(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    save_pretrained(make_random("llama"), tmp_path)
    weights = load((tmp_path / "model.safetensors").read_bytes())
    for dtype in (torch.int8, torch.float8_e4m3fn):
        save_file({name: weight.to(dtype) for name, weight in weights.items()}, tmp_path / "model.safetensors")
        with pytest.raises(CheckpointError, match=f"must be floats of 16, 32 or 64 bits: got .* as {dtype}"):
            load_pretrained(tmp_path, dtype=torch.float32)


def test_the_index_says_which_files_hold_the_weights(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = make_random("llama", tie_embeddings=False).float()
    save_pretrained(model, tmp_path / "one")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "one", dtype=torch.float32)
    theirs.save_pretrained(tmp_path, max_shard_size="5KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    save_file({"another": torch.ones(2)}, tmp_path / "adapter.safetensors")
    assert same_weights(load_pretrained(tmp_path), model)
    (tmp_path / "model.safetensors.index.json").rename(tmp_path / "index")
    (tmp_path / "adapter.safetensors").unlink()
    save_file(load(shards[0].read_bytes()), tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"each weight must be there once: got .* again in .*other\.safetensors"):
        load_pretrained(tmp_path)
    (tmp_path / "index").rename(tmp_path / "model.safetensors.index.json")
    shards[0].unlink()
    with pytest.raises(
        CheckpointError, match=rf"must hold every file that .*index\.json names: {shards[0].name} is not"
    ):
        load_pretrained(tmp_path)


# -- tokenizers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_a_tokenizer_in_the_folder_comes_with_the_model_and_goes_with_it(
    form: str,
    make_random: Callable[..., Transformer],
    save_word_tokenizer: Callable[[Path, int], object],
    tmp_path: Path,
) -> None:
    save_pretrained(make_random(form), tmp_path)
    assert load_pretrained(tmp_path).tokenizer is None
    save_word_tokenizer(tmp_path, 37)
    again = load_pretrained(save_pretrained(load_pretrained(tmp_path), tmp_path / "again"))
    assert again.to_tokens("w3 w5").tolist() == [[36, 3, 5]]
    assert again.to_str_tokens("w3 w5") == ["<s>", "w3", "w5"]


def test_a_tokenizer_that_does_not_load_is_not_dropped(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    save_pretrained(make_random("gpt2"), tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"the tokenizer in .* must load: got .*the model loads alone"):
        load_pretrained(tmp_path)


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"), [("{", r"must be JSON: "), ("[1]", r"must hold names and values: got \[1\]")]
)
def test_a_config_that_is_not_one_is_refused(
    text: str, message: str, make_random: Callable[..., Transformer], tmp_path: Path
) -> None:
    save_pretrained(make_random("gpt2"), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"config\.json {message}"):
        load_pretrained(tmp_path)


def test_weights_of_two_models_in_one_file_are_refused(make_random: Callable[..., Transformer], tmp_path: Path) -> None:
    save_pretrained(make_random("gpt2"), tmp_path)
    weights = load((tmp_path / "model.safetensors").read_bytes())
    save_file(weights | {"wte.weight": torch.ones(37, 15)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"must be there once: got transformer\.wte\.weight twice"):
        load_pretrained(tmp_path)
    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="a model must have weights: got none"):
        load_pretrained(tmp_path)
