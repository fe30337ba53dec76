"""The logit lens ends in the model's own output."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ShapeError
from arena_lib.interp.attribution import logit_lens, track_target
from arena_lib.tests.intro_to_mech_interp.small_models import make_model, make_repeated


@pytest.fixture
def model():
    return make_model(torch.Generator().manual_seed(0), n_layers=3)


def test_the_last_layer_is_the_output_and_the_first_the_embedding(model):
    tokens = make_repeated(model, 4, 2, torch.Generator().manual_seed(1))
    logits, labels = logit_lens(model, tokens, position=3)
    assert labels == ["into L0", "into L1", "into L2", "final"]
    torch.testing.assert_close(logits[-1], model(tokens)[:, 3])
    torch.testing.assert_close(logits[0], model.unembed(model.ln_final(model.W_E[tokens[:, 3:4]]))[:, 0])


def test_a_target_is_tracked_by_rank_and_probability(model):
    tokens = make_repeated(model, 4, 2, torch.Generator().manual_seed(1))
    best = model(tokens)[:, -1].topk(3).indices
    found = track_target(model, tokens, best[:, 2])
    assert found.ranks[-1].tolist() == [2, 2]
    logprobs = model(tokens)[:, -1].log_softmax(-1).gather(1, best[:, 2:])[:, 0]
    torch.testing.assert_close(found.logprobs[-1], logprobs)
    with pytest.raises(ShapeError, match="one token for each of 2 prompts"):
        track_target(model, tokens, best)


def test_ours_and_the_bridge_agree():
    tokens = torch.randint(257, 929, (2, 9), generator=torch.Generator().manual_seed(0))
    ours, bridge = (logit_lens(load("tiny-llama"), tokens)[0] for load in (zoo.load, zoo.load_bridge))
    torch.testing.assert_close(ours, bridge, atol=1e-3, rtol=1e-3)


def test_logprobs_of_a_half_precision_model_are_not_rounded():
    model = zoo.load("tiny-llama").bfloat16()
    tokens, targets = torch.tensor([[1, 300, 4], [7, 500, 9]]), torch.tensor([11, 12])
    logits, _ = logit_lens(model, tokens)
    exact = logits.double().log_softmax(dim=-1)[:, [0, 1], targets]
    torch.testing.assert_close(track_target(model, tokens, targets).logprobs, exact.float())


def test_a_target_may_be_text():
    model = zoo.load("tiny-gpt")
    tokens = model.to_tokens("Jack gave the lamp to")
    ids = torch.tensor([model.to_single_token(" Jack")])
    assert torch.equal(track_target(model, tokens, " Jack").logprobs, track_target(model, tokens, ids).logprobs)
