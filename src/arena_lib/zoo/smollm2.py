"""SmolLM2's gguf file made into a folder in Hugging Face format.

The file's 4-bit weights are multiplied out to float32, the numbers that its
blocks stand for, so the folder has the same weights for everyone: bit for bit
those that transformers reads from the same file, in a quarter of the time.

Shapes:  a gguf matrix "d_out d_in" -> the same in safetensors; rows of q and k are put back in order
Raises:  ZooError if the file is not a gguf file of Llama's architecture with a byte-level tokenizer.
Source:  the gguf format, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the order of the
         rows of q and k: own derivation from Su et al. 2021, arXiv:2104.09864, equation 34.
Differs: transformers' own gguf loader leaves out that SmolLM2 reads each digit as a word of its own,
         so after two or more spaces or a line break before a digit its tokens are not the model's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.errors import MissingDependencyError, ZooError

if TYPE_CHECKING:
    import numpy as np

WEIGHT_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL_TOKEN = 3  # gguf's token type of <|im_start|> and the like


def convert(gguf_file: Path, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json into `folder`."""
    from safetensors.numpy import save_file

    from arena_lib.core.progress import progress

    reader = open_gguf(gguf_file)
    fields = _Fields(reader, gguf_file)
    config = make_config(fields)
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    with progress(len(reader.tensors), "4-bit to float32") as bar:
        for tensor in reader.tensors:
            name, weight = convert_tensor(tensor, config)
            tensors[name] = weight
            bar.update()
    if "lm_head.weight" in tensors:
        config["tie_word_embeddings"] = False
    _write_json(folder / "config.json", config)
    _write_json(folder / "tokenizer.json", make_tokenizer(fields))
    _write_json(folder / "tokenizer_config.json", make_tokenizer_config(fields))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def open_gguf(gguf_file: Path) -> Any:
    """The reader of the gguf package; opening parses the head and maps the rest."""
    require_gguf()
    from gguf import GGUFReader

    try:
        return GGUFReader(gguf_file)
    except (ValueError, KeyError, IndexError) as error:
        raise ZooError(f"{gguf_file.name} must be a gguf file: {error}. Fetch it again.") from error


def require_gguf() -> None:
    """Say which extra to install where the gguf package is missing."""
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("gguf", "real", "Converting SmolLM2") from error


class _Fields:
    """The key-value head of a gguf file, by key."""

    def __init__(self, reader: Any, gguf_file: Path) -> None:
        self._fields, self._file = reader.fields, gguf_file.name

    def __getitem__(self, key: str) -> Any:
        if key not in self._fields:
            raise ZooError(f"{self._file} must say {key}: it does not. Fetch it again.")
        return self._fields[key].contents()

    def require(self, key: str, value: str) -> None:
        """Stop unless `key` has this value: we know how to convert no other."""
        if self[key] != value:
            raise ZooError(f"{key} of {self._file} must be {value!r}: got {self[key]!r}. Convert it with transformers.")


def make_config(fields: _Fields) -> dict[str, Any]:
    """config.json of transformers' `LlamaForCausalLM`."""
    import numpy as np

    fields.require("general.architecture", "llama")
    shortest = str(np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))  # 1e-05, not 9.99999974e-06
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.rope.dimension_count"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": float(shortest),
        "rope_parameters": {"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
        "dtype": "float32",
    }


def convert_tensor(tensor: Any, config: dict[str, Any]) -> tuple[str, np.ndarray[Any, Any]]:
    """One weight of the gguf file: its name in transformers and its float32 values."""
    import numpy as np
    from gguf.quants import dequantize

    weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
    *block, part, kind = tensor.name.split(".")
    if part not in WEIGHT_NAMES or kind != "weight":
        raise ZooError(f"a weight must be one of a Llama's: got {tensor.name!r}. Fetch the file again.")
    if part == "attn_q":
        weight = unpair_rows(weight, config["num_attention_heads"])
    if part == "attn_k":
        weight = unpair_rows(weight, config["num_key_value_heads"])
    prefix = f"model.layers.{block[1]}." if block else ""
    return f"{prefix}{WEIGHT_NAMES[part]}.{kind}", np.ascontiguousarray(weight)


def unpair_rows(weight: np.ndarray[Any, Any], n_heads: int) -> np.ndarray[Any, Any]:
    """Put the rows of each head of W_Q or W_K from gguf's order into transformers'.

    Rotary positions turn pairs of rows. gguf stores the two rows of a pair side
    by side, transformers half a head apart.

    >>> import numpy as np
    >>> unpair_rows(np.array([[0], [3], [1], [4], [2], [5]]), n_heads=1).ravel().tolist()
    [0, 1, 2, 3, 4, 5]
    """
    from einops import rearrange

    return rearrange(weight, "(head pair half) d_model -> (head half pair) d_model", head=n_heads, half=2)


def make_tokenizer(fields: _Fields) -> dict[str, Any]:
    """tokenizer.json: byte-level byte-pair encoding in which each digit is a word of its own."""
    fields.require("tokenizer.ggml.model", "gpt2")
    fields.require("tokenizer.ggml.pre", "smollm")
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": idx, "content": token, **flags}
            for idx, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind == CONTROL_TOKEN
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {token: idx for idx, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }


def make_tokenizer_config(fields: _Fields) -> dict[str, Any]:
    """tokenizer_config.json: special tokens by name and the chat template."""
    tokens = fields["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it stands
        "bos_token": tokens[fields["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[fields["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[fields["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[fields["tokenizer.ggml.padding_token_id"]],
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields["tokenizer.chat_template"],
    }


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
