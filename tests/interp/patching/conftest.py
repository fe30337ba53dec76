"""Small models of the three forms, and bridges over the same weights, for the tests of patching."""

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import save_pretrained

D_VOCAB, N_CTX = 23, 9


def make_random(form: str, seed: int = 0) -> Transformer:
    """A float64 model of three layers and four heads whose every weight matters."""
    sizes = {"d_model": 24, "d_vocab": D_VOCAB, "n_ctx": N_CTX, "n_layers": 3, "n_heads": 4, "d_head": 6}
    model: Transformer
    if form == "gpt2":
        model = GPT2(GPT2Config(**sizes, d_mlp=31))
    elif form == "llama":
        model = Llama(LlamaConfig(**sizes, n_kv_heads=2, d_mlp=31, rope_theta=50.0))
    else:
        model = AttentionOnly(AttentionOnlyConfig(**sizes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("b_U"):
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.double().eval()


@functools.cache
def make_bridge(form: str) -> Any:
    """TransformerLens's bridge over the weights of `make_random(form)`, in float64."""
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    vocab = {f"w{idx}": idx for idx in range(D_VOCAB - 1)} | {"<s>": D_VOCAB - 1}
    words = Tokenizer(models.WordLevel(vocab, unk_token="w0"))
    special = {"bos_token": "<s>", "eos_token": "<s>", "pad_token": "<s>", "unk_token": "w0"}
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(make_random(form), folder)
        PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
        return TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float64)


@pytest.fixture(params=["gpt2", "llama", "attention_only"])
def model(request: pytest.FixtureRequest) -> Transformer:
    """Each of the three forms in turn."""
    return make_random(request.param)


@pytest.fixture
def model_of() -> Callable[[str], Transformer]:
    """The model of a form."""
    return make_random


@pytest.fixture
def bridged(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Give the bridge over the model of a form, all of it in float64.

    transformers computes Llama's norms and the softmax in float32 whatever the model's dtype, which
    would hide differences below 1e-6.
    """
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    def norm(self: Any, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    def softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
        return x.softmax(dim)

    monkeypatch.setattr(LlamaRMSNorm, "forward", norm)
    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)
    return make_bridge


@pytest.fixture
def prompts() -> tuple[Tensor, Tensor]:
    """Two sets of three prompts of seven tokens."""
    both = torch.randint(0, D_VOCAB - 1, (2, 3, 7), generator=torch.Generator().manual_seed(5))
    return both[0], both[1]
