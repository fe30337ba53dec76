"""Head effects by hooks, each against the plain run that it stands for; traces are held equal in test_function_vectors."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ShapeError, UnknownNameError
from arena_lib.interp.steering.head_effects import (
    add_at_last,
    best_heads,
    compute_answer_logprobs,
    compute_function_vector,
    compute_head_effects,
    compute_mean_z,
)

GENERATOR = torch.Generator().manual_seed(0)
CLEAN, CORRUPTED = torch.randint(300, 900, (2, 3, 6), generator=GENERATOR)
ANSWERS = torch.tensor([310, 420, 530])


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=2e-4)


def test_effects_are_those_of_one_run_for_each_head(model):
    mean_z = compute_mean_z(model, CLEAN)
    before = compute_answer_logprobs(model, CORRUPTED, ANSWERS)
    effects = compute_head_effects(model, CORRUPTED, ANSWERS, mean_z)
    assert effects.std() > 1e-3
    for layer, head in [(0, 2), (2, 1), (3, 3)]:

        def put(z, hook, layer=layer, head=head):
            z[:, -1, head] = mean_z[layer, head]

        after = compute_answer_logprobs(model, CORRUPTED, ANSWERS, [(f"blocks.{layer}.attn.hook_z", put)])
        close(effects[layer, head], (after - before).mean())


def test_a_function_vector_is_what_its_heads_write_on_average(model):
    mean_z = compute_mean_z(model, CLEAN)
    with torch.no_grad():
        _, cache = model.run_with_cache(CLEAN)
        written = [cache["result", layer][:, -1, head].mean(dim=0) for layer, head in ((1, 3), (2, 0))]
    close(compute_function_vector(model, mean_z, [(1, 3), (2, 0)]), sum(written))


def test_a_vector_is_added_behind_its_layer_at_the_last_position(model):
    vector = torch.randn(128, generator=torch.Generator().manual_seed(1))
    name, add = add_at_last(1, vector, 0.5)
    resid = torch.zeros(2, 4, 128)
    changed = add(resid, None)
    assert name == "blocks.1.hook_resid_post"
    close(changed[:, -1], (0.5 * vector).expand(2, 128))
    assert not changed[:, :-1].any()
    assert not resid.any()


def test_the_best_heads_come_first():
    assert best_heads(torch.tensor([[0.1, 0.5, -1.0], [0.9, -2.0, 0.7]]), 3) == [(1, 0), (1, 2), (0, 1)]


@pytest.mark.parametrize("load", [zoo.load, zoo.load_bridge], ids=["ours", "bridge"])
@pytest.mark.filterwarnings("ignore")
def test_answers_may_be_texts_of_one_token(load):
    model, texts = load("tiny-llama"), [" Jack", " lamp", " Tina"]
    ids = torch.tensor([int(model.to_single_token(text)) for text in texts])
    mean_z = compute_mean_z(model, CLEAN)
    for answers, same in ((texts, ids), (" Jack", ids[:1].repeat(3))):
        assert torch.equal(
            compute_answer_logprobs(model, CORRUPTED, answers), compute_answer_logprobs(model, CORRUPTED, same)
        )
        effects = compute_head_effects(model, CORRUPTED, answers, mean_z, layers=[1])
        assert torch.equal(effects, compute_head_effects(model, CORRUPTED, same, mean_z, layers=[1]))
    with pytest.raises(ShapeError, match="got 3 prompts and 2 answers"):
        compute_answer_logprobs(model, CORRUPTED, texts[:2])


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ShapeError, match="got 3 prompts and 2 answers"):
        compute_answer_logprobs(model, CLEAN, ANSWERS[:2])
    with pytest.raises(UnknownNameError, match="no layer is called '4'"):
        compute_head_effects(model, CORRUPTED, ANSWERS, compute_mean_z(model, CLEAN), layers=[4])


def test_logprobs_of_a_half_precision_model_are_not_rounded():
    model = zoo.load("tiny-llama").bfloat16()
    logits = model(CORRUPTED)[:, -1].double().log_softmax(dim=-1)
    exact = logits.gather(1, ANSWERS[:, None])[:, 0].float()
    torch.testing.assert_close(compute_answer_logprobs(model, CORRUPTED, ANSWERS), exact)
