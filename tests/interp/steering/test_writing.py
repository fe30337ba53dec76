"""Writing under hooks: each kind of model, the end of a text, and what is left afterwards."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.steering.writing import write_with_hooks
from arena_lib.transformer.fast.generation import WritingConfig
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

PROMPT = " Tina was in the garden."


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


def push(model, text, size=1e4):
    """A hook that all but fixes the next token."""
    direction = size * model.W_U[:, model.to_single_token(text)]
    return [("blocks.3.hook_resid_post", lambda resid, hook: resid + direction)]


def test_without_hooks_it_is_the_models_own_text(model):
    assert write_with_hooks(model, PROMPT, [], 6) == model.generate(PROMPT, 6)


def test_hooks_act_on_every_token_and_are_gone_afterwards(model):
    before = model.generate(PROMPT, 3)
    assert write_with_hooks(model, PROMPT, push(model, " kite"), 3) == PROMPT + 3 * " kite"
    assert model.generate(PROMPT, 3) == before


@pytest.mark.parametrize("load", [zoo.load_bridge, zoo.load_nnsight])
def test_other_kinds_of_model_write_the_same(model, load):
    def stir(z, hook):
        return z + 3 * torch.linspace(-1, 1, z.shape[-1])

    hooks = [("blocks.1.attn.hook_z", stir)]
    ours, theirs = (write_with_hooks(each, PROMPT, hooks, 5) for each in (model, load("tiny-llama")))
    assert ours == theirs != write_with_hooks(model, PROMPT, [], 5)


def test_writing_ends_where_the_text_does(model):
    assert write_with_hooks(model, PROMPT, push(model, "<|endoftext|>"), 9) == PROMPT


def test_draws_are_the_generators(model):
    options = WritingConfig(temperature=1.0)
    texts = [write_with_hooks(model, PROMPT, [], 6, options=options, generator=make_generator(s)) for s in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_what_cannot_work_is_refused(model):
    with pytest.raises(TokenError):
        write_with_hooks(model, PROMPT, [], 1000)
    sizes = {"d_model": 8, "d_vocab": 11, "n_ctx": 9, "n_layers": 1, "n_heads": 2, "d_head": 4}
    bare = Llama(LlamaConfig(**sizes, n_kv_heads=2, d_mlp=12))
    with pytest.raises(ConfigError, match="text needs a tokenizer"):
        write_with_hooks(bare, PROMPT, [])
