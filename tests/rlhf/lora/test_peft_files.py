"""Files in PEFT's format come back as they were, mean what `peft` means by them, and are refused where they can't be honoured."""

import json

import pytest
import safetensors.torch
import torch
from tests.rlhf.lora.small_models import attach_drawn, draw_tokens, make_gpt2, make_llama

from arena_lib.errors import CheckpointError
from arena_lib.rlhf.lora import LoraConfig, attach_lora, load_adapters, save_adapters
from arena_lib.rlhf.lora.peft_files import peft_names
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.huggingface import to_huggingface

# peft 0.21 asks transformers for a name that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

LLAMA = ("W_Q", "W_K", "W_V", "W_O", "W_gate", "W_in", "W_out")
ENDS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def make_attention_only():
    sizes = {"d_model": 12, "d_vocab": 17, "n_ctx": 9, "n_layers": 2, "n_heads": 3, "d_head": 5}
    return AttentionOnly(AttentionOnlyConfig(**sizes), generator=torch.Generator().manual_seed(4)).double()


EVERY = {
    "llama": (make_llama, LLAMA),
    "gpt2": (make_gpt2, ("W_QKV", "W_O", "W_in", "W_out")),
    "gpt2, parts": (make_gpt2, ("W_Q", "W_V")),
    "attention only": (make_attention_only, ("W_Q", "W_O")),
    "transformers": (lambda: to_huggingface(make_llama()), ("q_proj", "down_proj")),
}


def logits_of(model, tokens):
    with torch.no_grad():
        output = model(tokens)
    return output if isinstance(output, torch.Tensor) else output.logits


def peft_names_of(model, adapters):
    with adapters.disabled():
        return {name: peft_name for name, peft_name in peft_names(model).items() if name in adapters.matrices}


CLOSE = {"Llama": 5e-6}
"""How near logits are; transformers' Llama computes norms and angles in float32 whatever the weights' dtype, ours as well
as they can."""


def logits_gap(model, theirs, tokens):
    """The largest difference, as a multiple of what is allowed."""
    gap = (logits_of(model, tokens) - logits_of(theirs, tokens)).abs().max()
    return float(gap) / CLOSE.get(type(model).__name__, 1e-10)


@pytest.fixture
def peft():
    return pytest.importorskip("peft")


def saved(tmp_path, **fields):
    """A folder whose config has these fields too."""
    folder = save_adapters(attach_drawn(make_llama(), LoraConfig(rank=3)), tmp_path / "saved")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return folder


@pytest.mark.parametrize(("make", "targets"), EVERY.values(), ids=EVERY.keys())
def test_what_is_saved_comes_back_as_it_was(make, targets, tmp_path):
    model, tokens, cfg = make(), draw_tokens(), LoraConfig(targets=targets, rank=3, alpha=5.0, dropout=0.1)
    adapters = attach_drawn(model.eval(), cfg)
    other = make().eval()
    loaded = load_adapters(other, save_adapters(adapters, tmp_path / "new" / "folder"))
    assert torch.equal(logits_of(other, tokens), logits_of(model, tokens))
    assert loaded.matrices == adapters.matrices
    assert (loaded.cfg.rank, loaded.cfg.alpha, loaded.cfg.dropout) == (3, 5.0, 0.1)
    assert [name for name, weight in other.named_parameters() if weight.requires_grad] == [
        name for name, _ in other.named_parameters() if name.startswith("lora.")
    ]


def test_our_llamas_adapters_have_the_names_of_transformers(tmp_path):
    folder = save_adapters(attach_drawn(make_llama(), LoraConfig(targets=LLAMA, rank=3)), tmp_path)
    tensors = safetensors.torch.load_file(folder / "adapter_model.safetensors")
    assert len(tensors) == 2 * 2 * len(LLAMA)
    prefix = "base_model.model.model.layers.1.self_attn"
    assert tuple(tensors[f"{prefix}.k_proj.lora_A.weight"].shape) == (3, 12)
    assert tuple(tensors[f"{prefix}.k_proj.lora_B.weight"].shape) == (12, 3)
    assert tuple(tensors[f"{prefix}.o_proj.lora_A.weight"].shape) == (3, 24)
    assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == ENDS


def test_parts_that_transformers_does_not_have_keep_our_names(tmp_path):
    folder = save_adapters(attach_drawn(make_gpt2(), LoraConfig(targets=("W_Q", "W_O"))), tmp_path)
    names = set(safetensors.torch.load_file(folder / "adapter_model.safetensors"))
    assert "base_model.model.blocks.1.attn.W_Q.lora_A.weight" in names
    assert "base_model.model.transformer.h.1.attn.c_proj.lora_A.weight" in names


def test_adapters_of_some_layers_name_them_whole(tmp_path):
    folder = save_adapters(attach_drawn(make_llama(), LoraConfig(targets=("1.attn.W_Q",))), tmp_path)
    assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == [
        "model.layers.1.self_attn.q_proj"
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_peft_computes_the_same_with_our_adapters(name, is_whole, tmp_path, peft):
    make, targets = EVERY[name]
    if not is_whole:
        targets = tuple(f"1.attn.{target}" for target in targets if target in ("W_Q", "W_QKV", "W_O"))
    model, tokens = make().eval(), draw_tokens()
    adapters = attach_drawn(model, LoraConfig(targets=targets, rank=3, alpha=5.0))
    folder = save_adapters(adapters, tmp_path)
    theirs = peft.PeftModel.from_pretrained(to_huggingface(make()).double(), str(folder)).eval()
    assert logits_gap(model, theirs, tokens) < 1
    merged = theirs.merge_and_unload()
    adapters.merge()
    assert logits_gap(model, merged, tokens) < 1


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"lora_dropout": 0.3, "init_lora_weights": "gaussian"}])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_what_peft_saves_loads_and_has_the_same_gradients(name, settings, tmp_path, peft):
    make, _ = EVERY[name]
    targets = ["q_proj", "o_proj", "up_proj"] if name == "llama" else ["c_attn", "c_proj"]
    cfg = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=targets, task_type="CAUSAL_LM", fan_in_fan_out=name == "gpt2", **settings
    )
    theirs = peft.get_peft_model(to_huggingface(make()), cfg).double().eval()
    generator, tokens = torch.Generator().manual_seed(7), draw_tokens()
    with torch.no_grad():
        for factor_name, factor in theirs.named_parameters():
            if "lora_B" in factor_name:
                factor.normal_(0.0, 0.3, generator=generator)
    theirs.save_pretrained(tmp_path)
    for model in (make().eval(), to_huggingface(make()).eval()):
        adapters = load_adapters(model, tmp_path)
        assert logits_gap(model, theirs, tokens) < 1
        theirs.zero_grad()
        for net in (model, theirs):
            output = net(tokens)
            logits = output if isinstance(output, torch.Tensor) else output.logits
            torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
        gradients = {n: p.grad for n, p in theirs.named_parameters() if p.requires_grad}
        for matrix_name, peft_name in peft_names_of(model, adapters).items():
            for key, factor in (("lora_A", adapters[matrix_name].A), ("lora_B", adapters[matrix_name].B)):
                expected = gradients[f"base_model.model.{peft_name}.{key}.default.weight"].T
                # use_rslora's scale is in our alpha, so the factors are theirs.
                assert (factor.grad - expected).abs().max() < CLOSE.get(type(model).__name__, 1e-10)
                assert expected.abs().max() > 1e-4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"use_dora": True}, "got use_dora=True"),
        ({"bias": "all"}, "got bias='all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 3}}, "alpha_pattern"),
        ({"rank_pattern": {"q_proj": 3}}, "rank_pattern"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"of_the_future": 1}, "of_the_future=1"),
        ({"peft_type": "IA3"}, "must have peft_type 'LORA': got 'IA3'"),
        ({"r": 2}, r"must have the shapes \{'lora_A': \(2, 12\)"),
        ({"lora_alpha": 0}, "lora_alpha must be finite and above 0"),
        ({"lora_dropout": 1.5}, "dropout must be from 0 to below 1: got 1.5"),
    ],
)
def test_fields_that_change_the_function_are_refused_by_name(fields, message, tmp_path):
    model = make_llama()
    with pytest.raises(CheckpointError, match=message):
        load_adapters(model, saved(tmp_path, **fields))
    assert not hasattr(model, "lora")


def test_adapters_for_other_models_are_refused(tmp_path):
    folder = saved(tmp_path)
    with pytest.raises(CheckpointError, match=r"got one for model.layers.0.self_attn.q_proj, which it doesn't have"):
        load_adapters(make_gpt2(), folder)
    with pytest.raises(CheckpointError, match=r"\(3, 14\).*got .*\(3, 12\)"):
        load_adapters(make_llama(d_model=14), folder)
    with pytest.raises(CheckpointError, match=r"model\.layers\.1"):
        load_adapters(make_llama(n_layers=1), folder)


def test_damaged_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="must be the config of an adapter"):
        load_adapters(make_llama(), tmp_path / "nowhere")
    folder = saved(tmp_path)
    weights = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    lacking = {key: tensor for key, tensor in tensors.items() if key != f"{name}.lora_B.weight"}
    safetensors.torch.save_file(lacking, weights)
    with pytest.raises(CheckpointError, match=r"must have the shapes .*got \{'lora_A'"):
        load_adapters(make_llama(), folder)
    safetensors.torch.save_file({f"{name}.lora_magnitude_vector": torch.ones(3)}, weights)
    with pytest.raises(CheckpointError, match="must hold lora_A and lora_B of each matrix"):
        load_adapters(make_llama(), folder)
    safetensors.torch.save_file({}, weights)
    with pytest.raises(CheckpointError, match="must hold adapters: got none"):
        load_adapters(make_llama(), folder)
    weights.write_bytes(b"{")
    with pytest.raises(CheckpointError, match="must be a safetensors file"):
        load_adapters(make_llama(), folder)
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="must have peft_type 'LORA': got list"):
        load_adapters(make_llama(), folder)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="must be a folder that can be written"):
        save_adapters(attach_lora(make_llama()), tmp_path / "file")
