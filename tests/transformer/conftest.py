"""Small models of uneven sizes for the tests of the fast forms."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from arena_lib.transformer import lesson, lesson_llama
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import to_huggingface

GPT2_SIZES = {"d_model": 15, "d_vocab": 37, "n_ctx": 11, "n_layers": 2, "n_heads": 3, "d_head": 5, "d_mlp": 23}
LLAMA_SIZES = {
    "d_model": 18,
    "d_vocab": 37,
    "n_ctx": 11,
    "n_layers": 2,
    "n_heads": 6,
    "n_kv_heads": 2,
    "d_head": 4,
    "d_mlp": 23,
    "rope_theta": 50.0,
}
ATTENTION_ONLY_SIZES = {"d_model": 14, "d_vocab": 37, "n_ctx": 11, "n_layers": 3, "n_heads": 4, "d_head": 6}


def randomise(model: torch.nn.Module, seed: int = 0, std: float = 0.4) -> None:
    """Give every weight, bias and gain a value that matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("b_U"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * std)


@pytest.fixture
def make_random() -> Callable[..., Transformer]:
    """Build a float64 model of a form, with every weight drawn at random."""

    def make(form: str, seed: int = 0, **sizes: float) -> Transformer:
        model: Transformer
        if form == "gpt2":
            model = GPT2(GPT2Config(**GPT2_SIZES | sizes))
        elif form == "llama":
            model = Llama(LlamaConfig(**LLAMA_SIZES | sizes))
        else:
            model = AttentionOnly(AttentionOnlyConfig(**ATTENTION_ONLY_SIZES | sizes))
        randomise(model, seed)
        return model.double().eval()

    return make


@pytest.fixture(scope="session")
def lesson_form() -> Callable[[Transformer], torch.nn.Module]:
    """Build the float64 lesson form of a fast model, with the same weights."""

    def build(fast: Transformer) -> torch.nn.Module:
        form = lesson_llama.DemoLlama if isinstance(fast.cfg, LlamaConfig) else lesson.DemoTransformer
        plain = form(fast.cfg).double()
        plain.load_state_dict(fast.state_dict())
        return plain

    return build


@pytest.fixture(scope="session")
def check_forms_agree(lesson_form: Callable[[Transformer], torch.nn.Module]) -> Callable[[Transformer, int], None]:
    """Draw a fast model's weights, and compare its logits with the lesson form's and with transformers'."""

    def check(fast: Transformer, seed: int) -> None:
        randomise(fast.double(), seed, std=0.5)
        tokens = torch.randint(0, fast.cfg.d_vocab, (2, 6), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            logits = fast(tokens)
            torch.testing.assert_close(logits, lesson_form(fast)(tokens), rtol=0, atol=1e-8)
            torch.testing.assert_close(logits, to_huggingface(fast)(tokens).logits, rtol=0, atol=1e-8)

    return check


@pytest.fixture(params=["gpt2", "llama", "attention_only"])
def any_model(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    """Each of the three forms in turn."""
    return make_random(request.param)


@pytest.fixture
def tokens() -> torch.Tensor:
    """Three sequences of seven tokens, none of them special."""
    return torch.randint(0, 37, (3, 7), generator=torch.Generator().manual_seed(5))


@pytest.fixture
def save_word_tokenizer() -> Callable[[Path, int], object]:
    """Write a tokenizer with words w0, w1 ... into a folder, as other libraries want one there."""

    def save(folder: Path, d_vocab: int) -> object:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        vocab = {f"w{idx}": idx for idx in range(d_vocab - 1)} | {"<s>": d_vocab - 1}
        words = Tokenizer(models.WordLevel(vocab, unk_token="w0"))
        words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        special = {"bos_token": "<s>", "eos_token": "<s>", "pad_token": "<s>", "unk_token": "w0"}
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **special)
        tokenizer.save_pretrained(folder)
        return tokenizer

    return save
