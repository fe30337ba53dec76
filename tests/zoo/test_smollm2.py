import json
import sys

import numpy as np
import pytest

from arena_lib.errors import MissingDependencyError, ZooError
from arena_lib.zoo import smollm2


@pytest.fixture(scope="module")
def folder(toy_gguf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    smollm2.convert(toy_gguf, folder)
    return folder


def test_the_folder_has_the_weights_that_transformers_reads_from_the_file(toy_gguf, folder):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(toy_gguf.parent, gguf_file=toy_gguf.name, dtype=torch.float32)
    expected = model.state_dict()
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == expected.keys() - {"lm_head.weight"}
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, expected[name]), name


def test_transformers_opens_the_folder_and_misses_nothing(toy_gguf, folder):
    import torch
    from transformers import AutoModelForCausalLM

    direct = AutoModelForCausalLM.from_pretrained(toy_gguf.parent, gguf_file=toy_gguf.name, dtype=torch.float32)
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert model.dtype == torch.float32
    tokens = torch.arange(24).reshape(2, 12) * 10
    with torch.no_grad():
        torch.testing.assert_close(model(tokens).logits, direct(tokens).logits)
    written = json.loads((folder / "config.json").read_text())
    for key in written.keys() - {"architectures", "dtype", "rms_norm_eps"}:
        assert getattr(model.config, key) == getattr(direct.config, key) == written[key], key
    assert model.config.rms_norm_eps == 1e-5


def test_a_weight_of_its_own_for_the_output_is_kept(toy_gguf, folder, tmp_path, monkeypatch):
    reader = smollm2.open_gguf(toy_gguf)
    reader.tensors.append(reader.tensors[0]._replace(name="output.weight"))
    monkeypatch.setattr(smollm2, "open_gguf", lambda file: reader)
    smollm2.convert(toy_gguf, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is False
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True


def test_rows_of_a_head_go_back_from_pairs_to_halves():
    weight = np.arange(12).reshape(12, 1)  # two heads, three pairs each: row 2 * pair + half
    rows = smollm2.unpair_rows(weight, n_heads=2).ravel().tolist()
    assert rows == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]


def test_the_tokenizer_reads_each_digit_alone_and_spaces_together(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("12") == ["1", "2"]
    assert tokenizer.tokenize("abc  1") == ["abc", "ĠĠ", "1"]
    assert tokenizer.tokenize("a\n\n2") == ["a", "ĊĊ", "2"]


def test_the_tokenizer_says_every_text_back_and_adds_nothing(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "  Zoë's 3\t½ café\n\n漢字 \U0001f600 abc , ."
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert not set(tokens) & {0, 1, 2}


def test_the_tokenizer_knows_its_control_tokens_and_its_chat_template(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.encode("<|im_start|>a<|im_end|>")[::2] == [1, 2]
    names = [tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token, tokenizer.pad_token]
    assert names == ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_end|>"]
    assert tokenizer.decode([1, 4, 2], skip_special_tokens=True) == tokenizer.decode([4])
    assert tokenizer.model_max_length == 50
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>hi"


def test_converting_twice_gives_the_same_bytes(toy_gguf, folder, tmp_path):
    smollm2.convert(toy_gguf, tmp_path)
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name


def test_a_file_that_is_not_gguf_is_refused(tmp_path):
    pytest.importorskip("gguf")
    file = tmp_path / "x.gguf"
    file.write_bytes(b"not a gguf file at all, but long enough to be read")
    with pytest.raises(ZooError, match=r"x.gguf must be a gguf file: .* Fetch it again"):
        smollm2.convert(file, tmp_path)


@pytest.mark.parametrize(("key", "expected"), [("general.architecture", "llama"), ("tokenizer.ggml.pre", "smollm")])
def test_another_kind_of_model_is_refused(toy_gguf, tmp_path, monkeypatch, key, expected):
    reader = smollm2.open_gguf(toy_gguf)

    class Other:
        @staticmethod
        def contents():
            return "other"

    reader.fields[key] = Other()
    monkeypatch.setattr(smollm2, "open_gguf", lambda file: reader)
    with pytest.raises(ZooError, match=f"{key} of toy.gguf must be '{expected}': got 'other'"):
        smollm2.convert(toy_gguf, tmp_path)


def test_a_missing_field_is_named(toy_gguf, tmp_path, monkeypatch):
    reader = smollm2.open_gguf(toy_gguf)
    del reader.fields["llama.block_count"]
    monkeypatch.setattr(smollm2, "open_gguf", lambda file: reader)
    with pytest.raises(ZooError, match=r"toy.gguf must say llama.block_count: it does not"):
        smollm2.convert(toy_gguf, tmp_path)


@pytest.mark.parametrize("name", ["blk.0.ssm_in.weight", "blk.0.attn_q.bias"])
def test_a_weight_that_no_llama_has_is_refused(toy_gguf, name):
    tensor = smollm2.open_gguf(toy_gguf).tensors[0]._replace(name=name)
    with pytest.raises(ZooError, match=f"must be one of a Llama's: got '{name}'"):
        smollm2.convert_tensor(tensor, {})


def test_a_missing_gguf_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'arena-lib\[real\]'"):
        smollm2.require_gguf()
