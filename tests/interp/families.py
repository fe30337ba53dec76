"""Families of transformers as TransformerLens's bridge opens them: a tiny random model of each, and what is right there.

`python -m tests.interp.families` writes docs/interp_by_family.md anew.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from tests.interp.invariants import CHECKS
from tests.interp.trial import Trial
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from arena_lib.errors import ConfigError

D_VOCAB = 31
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": D_VOCAB,
    "max_position_embeddings": 16,
    "intermediate_size": 28,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": D_VOCAB, "n_positions": 16}
GEMMA = GROUPED | {"head_dim": 6, "query_pre_attn_scalar": 5, "sliding_window": 8}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", GPT),
    "gpt_neo": (
        "GPTNeo",
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 8}
        | {name: size for name, size in SIZES.items() if not name.startswith("num_")},
    ),
    "gptj": ("GPTJ", GPT | {"rotary_dim": 4}),
    "gpt_neox": ("GPTNeoX", SIZES),
    "opt": ("OPT", SIZES | {"ffn_dim": 28, "word_embed_proj_dim": 32}),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": D_VOCAB}),
    "falcon": ("Falcon", SIZES),
    "phi": ("Phi", SIZES),
    "phi3": ("Phi3", GROUPED),
    "llama": ("Llama", GROUPED),
    "mistral": ("Mistral", GROUPED),
    "mixtral": ("Mixtral", GROUPED | {"num_local_experts": 3, "num_experts_per_tok": 2}),
    "qwen2": ("Qwen2", GROUPED),
    "qwen3": ("Qwen3", GROUPED | {"head_dim": 6}),
    "smollm3": ("SmolLM3", GROUPED),
    "stablelm": ("StableLm", GROUPED),
    "granite": (
        "Granite",
        GROUPED | {"embedding_multiplier": 2.0, "logits_scaling": 3.0, "residual_multiplier": 0.5},
    ),
    "olmo": ("Olmo", SIZES),
    "olmo2": ("Olmo2", SIZES),
    "gemma": ("Gemma", GROUPED | {"head_dim": 6}),
    "gemma2": ("Gemma2", GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": ("Gemma3Text", GEMMA),
}


def load_bridge(family: str) -> Any:
    """A tiny model of the family with random weights, in TransformerLens."""
    from transformer_lens.model_bridge import TransformerBridge

    name, sizes = FAMILIES[family]
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, f"{name}Config")(**sizes))
    generator = torch.Generator().manual_seed(0)
    for path, parameter in model.named_parameters():
        is_gain = parameter.ndim == 1 and path.endswith("weight")
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator) + float(is_gain)
    words = WordLevel({f"t{idx}": idx for idx in range(D_VOCAB)}, unk_token="t0")
    special = {"bos_token": "t1", "eos_token": "t2", "pad_token": "t0", "unk_token": "t0"}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **special).save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float32)
    return bridge.eval().requires_grad_(False)


TOLERANCE = 1e-4


def judge(family: str) -> dict[str, str]:
    """For each function "right" or "refused", or the error if it is neither."""
    trial, verdicts = Trial(load_bridge(family)), {}
    for name, check in CHECKS.items():
        try:
            with torch.no_grad():
                error = check(trial)
            verdicts[name] = "right" if error <= TOLERANCE else f"off by {error:.2g}"
        except ConfigError:
            verdicts[name] = "refused"
    return verdicts


TABLE = Path(__file__).parents[2] / "docs" / "interp_by_family.md"


def read_table() -> dict[str, dict[str, str]]:
    """What the table in the documents says of each family: a verdict for each function."""
    rows = [line.strip("|").split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    heads, _, *cells = [[cell.strip() for cell in row] for row in rows]
    columns = {head: {row[0]: row[idx] for row in cells} for idx, head in enumerate(heads) if idx > 0}
    return {family: column for head, column in columns.items() for family in head.split(", ")}


def write_table(verdicts: dict[str, dict[str, str]]) -> None:
    """Put these verdicts in the place of the table in the documents; families of the same verdicts share a column."""
    columns: dict[tuple[str, ...], list[str]] = {}
    for family, verdict in verdicts.items():
        columns.setdefault(tuple(verdict.values()), []).append(family)
    heads = [", ".join(families) for families in columns.values()]
    rows = [(name, *cells) for name, *cells in zip(CHECKS, *columns, strict=True)]
    table = ["| " + " | ".join(row) + " |" for row in [("function", *heads), *rows]]
    table.insert(1, "|---" * (len(heads) + 1) + "|")
    text = TABLE.read_text(encoding="utf-8").splitlines()
    places = [idx for idx, line in enumerate(text) if line[:1] == "|"]
    text[places[0] : places[-1] + 1] = table
    TABLE.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_table({family: judge(family) for family in FAMILIES})
