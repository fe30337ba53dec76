import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson, lesson_llama
from arena_lib.transformer.fast.gpt2 import GPT2
from arena_lib.transformer.fast.lesson_conversion import from_lesson
from arena_lib.transformer.fast.llama import LinearScaling, Llama, LlamaConfig


def test_from_lesson_takes_over_weights_dtype_and_mode(tokens: torch.Tensor) -> None:
    demo = lesson.DemoTransformer(
        lesson.Config(d_model=10, d_vocab=37, n_ctx=8, n_layers=2, n_heads=3, d_head=7, d_mlp=9, init_range=0.5)
    ).double()
    torch.nn.init.normal_(demo.unembed.b_U)
    fast = from_lesson(demo.eval())
    assert isinstance(fast, GPT2)
    assert not fast.training
    torch.testing.assert_close(fast(tokens), demo(tokens))


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_from_lesson_knows_llama(tokens: torch.Tensor, tie_embeddings: bool) -> None:
    cfg = lesson_llama.LlamaConfig(
        d_model=10,
        d_vocab=37,
        n_ctx=8,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        d_head=6,
        d_mlp=9,
        tie_embeddings=tie_embeddings,
    )
    demo = lesson_llama.DemoLlama(cfg)
    fast = from_lesson(demo)
    assert isinstance(fast, Llama)
    assert fast.training
    torch.testing.assert_close(fast(tokens), demo(tokens))


def test_from_lesson_refuses_other_modules() -> None:
    with pytest.raises(ConfigError, match="must have a cfg of class Config or LlamaConfig: got Linear with NoneType"):
        from_lesson(torch.nn.Linear(2, 3))


def test_from_lesson_scales_no_more_than_the_lesson_form_does(tokens: torch.Tensor) -> None:
    cfg = LlamaConfig(
        d_model=10,
        d_vocab=37,
        n_ctx=8,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        d_head=6,
        d_mlp=9,
        init_range=0.5,
        rope_scaling=LinearScaling(factor=3.0),
    )
    demo = lesson_llama.DemoLlama(cfg)
    torch.testing.assert_close(from_lesson(demo)(tokens), demo(tokens))
