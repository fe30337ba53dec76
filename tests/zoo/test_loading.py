import subprocess
import sys

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import FetchError, HashError, ZooError
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.huggingface import save_pretrained

SIZES = {"d_model": 24, "d_vocab": 6, "n_ctx": 13, "n_layers": 2, "n_heads": 4, "d_head": 6}
MODELS = {
    "gpt2": lambda: GPT2(GPT2Config(**SIZES, d_mlp=40)),
    "llama": lambda: Llama(LlamaConfig(**SIZES, n_kv_heads=2, d_mlp=40, tie_embeddings=True)),
    "attention-only": lambda: AttentionOnly(AttentionOnlyConfig(**SIZES)),
}
WORDS = ["<pad>", "a", "cat", "sat", "on", "mats"]


def add_model(zoo_folder, form):
    """A bundled model of this form called `toy`, with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = zoo_folder.weights / "toy"
    model = MODELS[form]()
    save_pretrained(model, folder, dtype=torch.bfloat16)
    tokenizer = Tokenizer(models.WordLevel({word: idx for idx, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)
    zoo_folder.add_card("toy", form=form, content=(folder / "model.safetensors").read_bytes())
    return model, folder


@pytest.mark.parametrize("form", MODELS)
def test_load_gives_our_form_with_the_weights_and_the_tokenizer(zoo_folder, form):
    saved, _ = add_model(zoo_folder, form)
    model = zoo.load("toy")
    assert type(model) is type(saved)
    assert not model.training
    tokens = torch.tensor([model.tokenizer.encode("a cat sat on mats")])
    assert tokens.tolist() == [[1, 2, 3, 4, 5]]
    assert model(tokens).dtype == torch.float32
    rounded = {name: weight.bfloat16().float() for name, weight in saved.state_dict().items()}
    saved.load_state_dict(rounded)
    torch.testing.assert_close(model(tokens), saved.eval()(tokens), rtol=0, atol=0)


def test_load_takes_a_dtype_and_a_device(zoo_folder):
    add_model(zoo_folder, "gpt2")
    assert zoo.load("toy", dtype=torch.float64).embed.W_E.dtype == torch.float64
    assert zoo.load("toy", device="meta").embed.W_E.device.type == "meta"


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_other_libraries_open_the_folder_with_the_same_logits(zoo_folder, form):
    add_model(zoo_folder, form)
    tokens = torch.tensor([[1, 2, 3, 4, 5], [5, 3, 3, 2, 1]])
    with torch.no_grad():
        expected = zoo.load("toy")(tokens)
        bridge = zoo.load_bridge("toy")
        torch.testing.assert_close(bridge(tokens), expected)
        model = zoo.load_nnsight("toy")
        with model.trace(tokens):
            saved = model.output.logits.save()
        torch.testing.assert_close(saved, expected)
    assert bridge.tokenizer.encode("cat sat") == [2, 3]
    assert model.tokenizer.encode("cat sat") == [2, 3]


def test_attention_only_opens_in_our_code_alone(zoo_folder):
    add_model(zoo_folder, "attention-only")
    for load in (zoo.load_bridge, zoo.load_nnsight):
        with pytest.raises(ZooError, match=r"'toy' is attention-only, which only our code has. Use zoo.load\('toy'\)"):
            load("toy")


# -- folders and hashes ---------------------------------------------------------------------


def test_other_weights_than_the_cards_are_refused(zoo_folder):
    _, folder = add_model(zoo_folder, "gpt2")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    for load in (zoo.path, zoo.load, zoo.load_tokenizer, zoo.load_bridge, zoo.load_nnsight):
        with pytest.raises(HashError, match=r"must have the sha256 .*: got .* bytes\). It is damaged .* Reinstall"):
            load("toy")


# -- the hub --------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """The hub's client becomes a function; returns how to set it, and what it was asked."""
    asked = []

    def answer_with(answer):
        def snapshot_download(name, *, allow_patterns):
            asked.append((name, allow_patterns))
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
        return asked

    return answer_with


@pytest.mark.parametrize("name", ["gpt2", "someone/gpt2-like"])
def test_a_hub_name_loads_from_the_hubs_cache(zoo_folder, hub, name):
    _, folder = add_model(zoo_folder, "gpt2")
    asked = hub(folder)
    assert isinstance(zoo.load(name), GPT2)
    assert asked[0][0] == name
    assert "model*.safetensors*" in asked[0][1]
    assert not any("bin" in pattern or pattern == "*" for pattern in asked[0][1])


def test_without_a_network_a_hub_name_says_what_there_is(zoo_folder, hub):
    zoo_folder.add_card("tiny-gpt")
    hub(OSError("Name or service not known.\nmore"))
    with pytest.raises(FetchError) as caught:
        zoo.load("gpt2")
    assert str(caught.value) == (
        "gpt2 must be on the Hugging Face hub and within reach: got OSError: Name or service not known. "
        "Check the name and the network; without a network there are tiny-gpt."
    )


def test_a_name_that_the_hub_cannot_have_is_said(zoo_folder):
    with pytest.raises(FetchError, match="a/b/c must be on the Hugging Face hub"):
        zoo.load("a/b/c")


def test_a_model_without_safetensors_is_refused(zoo_folder, hub, tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    hub(tmp_path)
    with pytest.raises(ZooError, match="must have its weights as safetensors: it has none, and nothing is unpickled"):
        zoo.load("someone/old")


@pytest.mark.parametrize("load", [zoo.load, zoo.load_tokenizer, zoo.load_bridge, zoo.path])
def test_a_folder_is_no_name_and_the_message_says_what_opens_it(zoo_folder, monkeypatch, tmp_path, load):
    (tmp_path / "someone" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path), "someone/model"):
        with pytest.raises(ZooError, match=rf"got '{folder}', which is a folder. Use .*load_pretrained\('{folder}'\)"):
            load(folder)


def test_a_model_of_the_hub_without_a_tokenizer_loads_alone(zoo_folder, hub):
    _, folder = add_model(zoo_folder, "gpt2")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    hub(folder)
    assert zoo.load("someone/model").tokenizer is None
    with pytest.raises(ZooError, match=r"someone/model must have a tokenizer: .* holds none"):
        zoo.load_tokenizer("someone/model")


# -- importing ------------------------------------------------------------------------------


def test_looking_at_cards_loads_no_torch():
    code = (
        "import sys; from arena_lib import zoo; zoo.names(); zoo.info('smollm2'); zoo.is_available('smollm2'); "
        "sys.exit(int('torch' in sys.modules or 'transformers' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["tiny-gpt", "attn-only-2l"])
def test_a_model_is_loaded_without_torchs_compiler_which_takes_a_second(name):
    code = f"import sys; from arena_lib import zoo; zoo.load({name!r}); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
