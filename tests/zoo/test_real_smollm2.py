"""SmolLM2 as it was fetched: its bytes, its figures, and the same logits in every library."""

import itertools
import json

import pytest
import torch

from arena_lib import zoo
from arena_lib.transformer.fast.llama import Llama
from arena_lib.zoo.places import MANIFEST

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not zoo.is_available("smollm2"), reason="not fetched; run: arena zoo fetch smollm2"),
]

WEIGHTS_SHA256 = "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd"
CONSTRAINED = {"gguf": "0.19.0", "safetensors": "0.8.0"}
NAMES = [" Mary", " John", " Tom", " James", " Sarah", " Anna", " David", " Emma"]
TEXT = (
    "The Eiffel Tower is in the city of Paris. When Mary and John went to the store, "
    "John gave a drink to Mary. In 2024 there were  12 cats."
)
MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE = 3


@pytest.fixture(scope="module")
def model():
    return zoo.load("smollm2")


@pytest.fixture(scope="module")
def peers():
    """Hugging Face's model with its two kinds of attention."""
    from transformers import AutoModelForCausalLM

    folder = zoo.path("smollm2")
    return [AutoModelForCausalLM.from_pretrained(folder, attn_implementation=kind).eval() for kind in ("eager", "sdpa")]


def make_random_tokens(*shape: int) -> torch.Tensor:
    """Token ids without the seventeen control tokens."""
    return torch.randint(17, 49152, shape, generator=torch.Generator().manual_seed(0))


def make_tokens(model, kind: str) -> torch.Tensor:
    if kind == "text":
        return torch.tensor([model.tokenizer.encode(TEXT)])
    return make_random_tokens(2, 101)


def test_the_weights_are_the_same_for_everyone():
    manifest = json.loads((zoo.path("smollm2") / MANIFEST).read_text())
    if {package: manifest["versions"][package] for package in CONSTRAINED} != CONSTRAINED:
        pytest.skip(f"the file's layout is pinned for {CONSTRAINED} only")
    assert manifest["files"]["model.safetensors"] == WEIGHTS_SHA256


def test_it_is_our_llama_with_the_sizes_of_its_card(model):
    assert isinstance(model, Llama)
    cfg = model.cfg
    sizes = (cfg.n_layers, cfg.d_model, cfg.n_heads, cfg.n_kv_heads, cfg.d_head, cfg.d_mlp, cfg.d_vocab, cfg.n_ctx)
    assert sizes == (30, 576, 9, 3, 64, 1536, 49152, 8192)
    assert (cfg.rope_theta, cfg.rms_norm_eps, cfg.tie_embeddings) == (1e5, 1e-5, True)
    card = zoo.info("smollm2")
    assert sum(weight.numel() for weight in model.parameters()) == card.parameters
    assert sum(file.stat().st_size for file in zoo.path("smollm2").iterdir()) <= card.download.unpacked


@pytest.mark.parametrize("kind", ["text", "random"])
def test_our_logits_agree_with_transformers_as_well_as_it_does_with_itself(model, peers, kind):
    tokens = make_tokens(model, kind)
    with torch.no_grad():
        eager, sdpa = (peer(tokens).logits for peer in peers)
        ours = model(tokens)
    most = MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE * (sdpa - eager).abs().max()
    assert (ours - sdpa).abs().max() <= most
    assert (ours - eager).abs().max() <= most
    assert torch.equal(ours.argmax(-1), sdpa.argmax(-1))


def test_transformer_lens_and_nnsight_give_the_same_logits(model, peers):
    tokens = make_tokens(model, "text")
    with torch.no_grad():
        eager, sdpa = (peer(tokens).logits for peer in peers)
        ours = model(tokens)
        most = MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE * (sdpa - eager).abs().max()
        bridged = zoo.load_bridge("smollm2")(tokens)
        traced_model = zoo.load_nnsight("smollm2")
        with traced_model.trace(tokens):
            traced = traced_model.output.logits.save()
    for logits in (bridged, traced):
        assert logits.dtype == torch.float32
        assert (ours - logits).abs().max() <= most
        assert torch.equal(ours.argmax(-1), logits.argmax(-1))


def test_it_names_the_indirect_object(model):
    tokenizer = model.tokenizer
    pairs = list(itertools.permutations(NAMES, 2))
    prompts = [f"When{other} and{giver} went to the store,{giver} gave a drink to" for other, giver in pairs]
    right, wrong = (torch.tensor([tokenizer.encode(pair[side]) for pair in pairs]) for side in (0, 1))
    with torch.no_grad():
        logits = model(torch.tensor(tokenizer(prompts).input_ids), last_only=True)[:, -1]
    difference = logits.gather(1, right) - logits.gather(1, wrong)
    reached = zoo.info("smollm2").reached
    assert len(pairs) == 56
    assert difference.mean().item() == pytest.approx(reached["indirect_object_logit_difference"], abs=0.001)
    assert (difference > 0).float().mean().item() == reached["indirect_object_accuracy"]


def test_it_predicts_the_second_copy_of_random_tokens(model):
    tokens = make_random_tokens(8, 50).repeat(1, 2)
    with torch.no_grad():
        logprobs = model(tokens)[:, :-1].log_softmax(-1)
    losses = -logprobs.gather(-1, tokens[:, 1:, None])[..., 0]
    reached = zoo.info("smollm2").reached
    assert losses[:, :49].mean().item() == pytest.approx(reached["random_tokens_first_copy_loss"], abs=0.001)
    assert losses[:, 50:].mean().item() == pytest.approx(reached["random_tokens_second_copy_loss"], abs=0.001)


def test_it_knows_a_fact_and_its_chat_template_asks_for_an_answer(model):
    tokenizer = model.tokenizer
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer.encode("The Eiffel Tower is in the city of")]), last_only=True)
    assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is gravity?"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.encode(chat)[0] == tokenizer.bos_token_id == 1


def test_its_tokens_are_those_of_the_models_own_tokenizer(model):
    tokenizer = model.tokenizer
    assert tokenizer.tokenize("In 2024,  12") == ["In", "Ġ", "2", "0", "2", "4", ",", "ĠĠ", "1", "2"]
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_the_lesson_form_takes_the_same_weights(model, peers):
    from arena_lib.transformer.lesson_llama import DemoLlama

    tokens = make_tokens(model, "text")
    lesson = DemoLlama(model.cfg)
    lesson.load_state_dict(model.state_dict())
    with torch.no_grad():
        eager, sdpa = (peer(tokens).logits for peer in peers)
        logits = lesson(tokens)
    assert (logits - eager).abs().max() <= MOST_TIMES_HUGGING_FACES_OWN_DIFFERENCE * (sdpa - eager).abs().max()
    assert torch.equal(logits.argmax(-1), eager.argmax(-1))
