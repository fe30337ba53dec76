import importlib

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.interp.steering import activation_addition
from arena_lib.interp.steering.activation_addition import calculate_and_apply_steering_vector

PROMPT = " Tina was in the garden. Tina was"


@pytest.fixture(scope="module")
def llama():
    return zoo.load_nnsight("tiny-llama")


@pytest.fixture
def greedy(monkeypatch):
    monkeypatch.setattr(activation_addition, "SAMPLING", {"do_sample": False})


def test_what_is_written_is_what_hooks_make_the_model_write(llama, greedy):
    ours = zoo.load("tiny-llama")
    additions = [(2, 4.0, " happy"), (1, -3.0, " sad and poor")]
    plain, steered = calculate_and_apply_steering_vector(llama, PROMPT, additions, 5)
    tokens = torch.tensor([[0, *llama.tokenizer(PROMPT).input_ids]])
    hooks = []
    for layer, coefficient, text in additions:
        _, cache = ours.run_with_cache(torch.tensor([[0, *llama.tokenizer(text).input_ids]]))
        vector = coefficient * cache["resid_pre", layer][0].detach()

        def add(resid, hook, vector=vector):
            return torch.cat([resid[:, : len(vector)] + vector, resid[:, len(vector) :]], dim=1)

        hooks.append((f"blocks.{layer}.hook_resid_pre", add))
    for expected, attached in ((plain, []), (steered, hooks)):
        text = tokens
        with torch.no_grad():
            for _ in range(5):
                logits = ours.run_with_hooks(text, fwd_hooks=attached)
                text = torch.cat([text, logits[:, -1:].argmax(-1)], dim=1)
        assert expected == [llama.tokenizer.decode(text[0], skip_special_tokens=True)]
    assert plain != steered


def test_there_are_as_many_texts_as_asked_for_and_opposite_additions_cancel(llama, greedy):
    plain, steered = calculate_and_apply_steering_vector(llama, PROMPT, [(1, 3.0, " sad"), (1, -3.0, " sad")], 4, 3)
    assert len(plain) == len(steered) == 3
    assert plain == steered


def test_draws_differ_where_the_model_is_unsure():
    tiny_models = importlib.import_module("arena_lib.tests.function_vectors.tiny_models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain, _ = calculate_and_apply_steering_vector(
            tiny_models.tiny_model(0, 0.01), PROMPT, [(1, 1.0, " sad")], 3, 5
        )
    assert len(set(plain)) > 1


def test_additions_that_cannot_be_made_are_refused(llama):
    with pytest.raises(ConfigError, match="got no activation_additions"):
        calculate_and_apply_steering_vector(llama, PROMPT, [], 3)
    with pytest.raises(ConfigError, match="got 3 tokens in ' hot cold big' and 1"):
        calculate_and_apply_steering_vector(llama, " hot", [(1, 1.0, " hot cold big")], 3, use_bos=False)
