"""What the traces give, against hooks on all kinds of models; and what a vector does in a trained one."""

import pytest
import torch

from arena_lib import storyworld, zoo
from arena_lib.errors import TokenError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.steering import (
    RULE_LIST,
    ICLDataset,
    accuracy,
    add_at_last,
    answer_tokens,
    best_heads,
    calculate_fn_vector,
    calculate_fn_vectors_and_intervene,
    calculate_h,
    calculate_h_and_intervene,
    calculate_h_and_intervene_logprobs,
    calculate_mean_z,
    compute_answer_logprobs,
    compute_function_vector,
    compute_head_effects,
    compute_mean_z,
    intervene_with_fn_vector,
    intervene_with_h,
)

RULES = storyworld.RULES["adjectives"]


def rule_dataset(rule, size, n_prepended, **options):
    return ICLDataset(list(RULES[rule].items()), size, n_prepended, bidirectional=False, form=RULE_LIST, **options)


@pytest.fixture(scope="module", params=["tiny-gpt", "tiny-llama"])
def traced(request):
    return zoo.load_nnsight(request.param)


@pytest.fixture(scope="module")
def llama():
    return zoo.load_nnsight("tiny-llama")


def tokens_of(model, data):
    return torch.tensor([model.tokenizer(prompt).input_ids for prompt in data.prompts])


def close(actual, expected, atol=2e-4):
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=atol)


def test_traces_and_hooks_agree_on_every_kind_of_model(traced):
    name = "tiny-gpt" if traced.config.model_type == "gpt2" else "tiny-llama"
    data = rule_dataset("opposite", 3, 2)
    corrupted = data.create_corrupted_dataset()
    clean_tokens, corrupted_tokens = tokens_of(traced, data), tokens_of(traced, corrupted)
    answers = answer_tokens(traced.tokenizer, data.completions)
    heads = [(2, 1), (3, 0), (2, 3)]
    mean_z = calculate_mean_z(traced, data)
    effects = calculate_fn_vectors_and_intervene(traced, data)
    vector = calculate_fn_vector(traced, data, heads)
    for model in (zoo.load(name), zoo.load_bridge(name), traced):
        close(compute_mean_z(model, clean_tokens), mean_z)
        close(compute_head_effects(model, corrupted_tokens, answers, mean_z), effects, atol=2e-3)
        chosen = compute_head_effects(model, corrupted_tokens, answers, mean_z, layers=[3, 1])
        close(chosen, effects[[3, 1]], atol=2e-3)
        close(compute_function_vector(model, mean_z, heads), vector)


def test_h_by_traces_is_h_by_hooks(llama):
    data, zero = rule_dataset("opposite", 4, 3), rule_dataset("opposite", 6, 0, seed=1)
    ours = zoo.load("tiny-llama")
    with torch.no_grad():
        logits, cache = ours.run_with_cache(tokens_of(llama, data))
        answers, h = calculate_h(llama, data, 2)
        close(h, cache["resid_post", 2][:, -1].mean(0))
        assert answers == [llama.tokenizer.decode(int(token)) for token in logits[:, -1].argmax(-1)]
        expected = hooked(ours).run(tokens_of(llama, zero), [add_at_last(2, h)])[:, -1]
    assert calculate_h(llama, data)[1].shape == (128,)
    texts = [llama.tokenizer.decode(int(token)) for token in expected.argmax(-1)]
    plain, changed = intervene_with_h(llama, zero, h, 2)
    assert changed == texts != plain
    assert calculate_h_and_intervene(llama, data, zero, 2) == (plain, changed)
    ids = answer_tokens(llama.tokenizer, zero.completions)
    without, with_h = calculate_h_and_intervene_logprobs(llama, data, zero, 2)
    close(torch.tensor(with_h), expected.log_softmax(-1)[torch.arange(6), ids], atol=2e-3)
    close(torch.tensor(without), compute_answer_logprobs(ours, tokens_of(llama, zero), ids), atol=2e-3)


def test_a_vector_of_two_heads_lifts_zero_shot_accuracy(llama):
    pairs = list(RULES["opposite"].items())
    seen, held_out = pairs[::2], pairs[1::2]
    data = ICLDataset(pairs, 30, 5, bidirectional=False, form=RULE_LIST, demonstrations=seen)
    zero = ICLDataset(held_out, len(held_out), 0, bidirectional=False, form=RULE_LIST)
    vector = calculate_fn_vector(llama, data, [(2, 1), (3, 0)])
    without, with_vector = intervene_with_h(llama, zero, vector, 1)
    assert accuracy(without, zero.completions) < 0.6
    assert accuracy(with_vector, zero.completions) > 0.9
    plain, changed = intervene_with_fn_vector(llama, "hot", 1, vector, "<|endoftext|> {x}:", 1)
    assert changed == " hot: cold"
    assert plain.startswith(" hot:")


def test_best_heads_are_found_by_their_effects(llama):
    effects = calculate_fn_vectors_and_intervene(llama, rule_dataset("opposite", 10, 5), [2, 3])
    assert best_heads(effects, 2) == [(0, 1), (1, 0)]
    assert effects.shape == (2, 4)


def test_nothing_flows_back_into_the_model(llama):
    data = rule_dataset("same", 2, 1)
    assert not calculate_h(llama, data, 0)[1].requires_grad
    assert not calculate_mean_z(llama, data).requires_grad
    assert not calculate_fn_vector(llama, data, [(1, 1)]).requires_grad


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_is_not_there_is_refused(llama, layer):
    data = rule_dataset("same", 2, 1)
    h = torch.zeros(128)
    for call in (
        lambda: calculate_h(llama, data, layer),
        lambda: intervene_with_h(llama, data, h, layer),
        lambda: intervene_with_fn_vector(llama, "hot", layer, h),
        lambda: calculate_fn_vectors_and_intervene(llama, data, [layer]),
    ):
        with pytest.raises(UnknownNameError, match="no layer is called"):
            call()


def test_heads_and_answers_that_are_not_there_are_refused(llama):
    data = rule_dataset("same", 2, 1)
    with pytest.raises(UnknownNameError, match=r"no head is called '2\.4'"):
        calculate_fn_vector(llama, data, [(2, 4)])
    long = ICLDataset([("hot", "frosty")], 1, 0, bidirectional=False, form=RULE_LIST)
    with pytest.raises(TokenError, match="' frosty'"):
        calculate_h_and_intervene_logprobs(llama, data, long, 1)
