import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.probes import extract_activations, find_blocks, read_residual, tokenize
from arena_lib.tests.linear_probes.tiny_models import N_LAYERS, WORDS, make_model, make_tokenizer

STATEMENTS = [
    "<|endoftext|> Tina was a sailor.",
    "<|endoftext|> He ran.",
    "<|endoftext|> Jack had a ring. The ring was red.",
]


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-gpt"])
def test_all_libraries_give_the_same_activations(name):
    ours = zoo.load(name)
    theirs = AutoModelForCausalLM.from_pretrained(zoo.path(name), dtype=torch.float32)
    bridge = zoo.load_bridge(name)
    layers = [0, len(ours.blocks) - 1]
    expected = extract_activations(STATEMENTS, ours, ours.tokenizer, layers)
    for model in (theirs, bridge):
        found = extract_activations(STATEMENTS, model, ours.tokenizer, layers, batch_size=2)
        for layer in layers:
            torch.testing.assert_close(found[layer], expected[layer], rtol=1e-4, atol=1e-4)


def test_activations_are_those_of_the_cache_at_the_last_token():
    model = zoo.load("tiny-llama")
    found = extract_activations(STATEMENTS, model, model.tokenizer, [1, 3])
    for i, statement in enumerate(STATEMENTS):
        _, cache = model.run_with_cache(model.to_tokens(statement, prepend_bos=False))
        for layer in (1, 3):
            torch.testing.assert_close(found[layer][i], cache["resid_post", layer][0, -1], rtol=1e-4, atol=1e-4)


def test_the_last_layer_comes_before_the_final_norm():
    model = make_model()
    ids, _ = tokenize(["cats see owls"], make_tokenizer())
    resid = read_residual(model, ids, [N_LAYERS - 1])[N_LAYERS - 1]
    hidden = model(ids, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(model.model.norm(resid), hidden)


@pytest.mark.parametrize("batch_size", [1, 2, 25])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_never_matters(batch_size, side):
    torch.manual_seed(0)
    absolute = GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_embd=12, n_layer=2, n_head=2, n_positions=16)).eval()
    texts = ["cats see owls at night .", "dogs", "owls hear cats"]
    together = extract_activations(texts, absolute, make_tokenizer(side), [1], batch_size)[1]
    alone = torch.cat([extract_activations([text], absolute, make_tokenizer(), [1])[1] for text in texts])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_blocks_after_the_last_wanted_one_do_not_run_and_no_hook_stays():
    model = make_model()
    calls = []
    model.model.layers[3].register_forward_hook(lambda *_: calls.append("layer 3 ran"))
    read_residual(model, torch.tensor([[1, 2, 3]]), [2, 0])
    assert not calls
    assert all(not block._forward_hooks for i, block in enumerate(model.model.layers) if i != 3)


def test_hooks_are_removed_after_an_error():
    model = make_model()
    with pytest.raises(IndexError):
        read_residual(model, torch.tensor([[len(WORDS) + 5]]), [1])
    assert not model.model.layers[1]._forward_hooks


def test_layer_that_is_not_there():
    with pytest.raises(UnknownNameError, match="no layer is called '7'"):
        extract_activations(["cats"], make_model(), make_tokenizer(), [0, 7])


def test_no_statements():
    with pytest.raises(ConfigError, match="at least one statement"):
        extract_activations([], make_model(), make_tokenizer(), [0])


def test_model_without_blocks():
    with pytest.raises(ConfigError, match="must have its blocks under one of blocks"):
        find_blocks(nn.Linear(3, 2))


def test_tokenizer_without_padding_token():
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(ConfigError, match="must have a padding token"):
        tokenize(["cats"], tokenizer)
