"""A reward model learns a rule from pairs that it can be tested on, and a run goes on from its checkpoint."""

import pytest
import torch
from tests.rlhf.lora.small_models import make_llama
from tests.rlhf.preferences.small_answers import make_set

from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Trainer
from arena_lib.rlhf.preferences.answers import RowBatches
from arena_lib.rlhf.preferences.bradley_terry import bradley_terry_loss
from arena_lib.rlhf.preferences.reward_model import RewardModel
from arena_lib.rlhf.preferences.training import compute_preference_loss, evaluate_reward_model, train_reward_model


class Stop(Exception):
    pass


class Stopping(Trainer):
    def after_update(self):
        if self.step == 5:
            raise Stop


def make_model(seed=0):
    return RewardModel(make_llama().float(), torch.Generator().manual_seed(seed))


def test_the_loss_is_that_of_both_answers_apart():
    model, pairs = make_model(), make_set(0)
    parts = compute_preference_loss(model, pairs)
    chosen, rejected = (model(side.tokens, side.attention_mask) for side in (pairs.chosen, pairs.rejected))
    assert torch.allclose(parts["loss"], bradley_terry_loss(chosen, rejected), atol=1e-5)
    assert float(parts["accuracy"]) == float((chosen > rejected).float().mean())
    assert torch.allclose(parts["margin"], (chosen - rejected).mean(), atol=1e-5)


def test_a_reward_model_learns_the_rule_and_is_centred(tmp_path):
    model, pairs, held_out = make_model(), make_set(0, 300), make_set(1, 200)
    before = evaluate_reward_model(model, held_out)[0]
    config = TrainingConfig(n_steps=100, lr=5e-3, seed=0)
    summary = train_reward_model(model, pairs, config, batch_size=32, held_out=held_out, folder=tmp_path)
    after, curve = evaluate_reward_model(model, held_out)
    assert before["accuracy"] < 0.8
    assert after["accuracy"] > 0.95
    assert after["loss"] < 0.5 * before["loss"]
    assert summary.metrics["eval_accuracy"] == pytest.approx(after["accuracy"])
    assert int(curve.n_pairs.sum()) == len(held_out)
    assert float(model.score(pairs.both).mean()) == pytest.approx(0.0, abs=1e-4)


def test_a_stopped_run_ends_with_the_same_weights(tmp_path):
    config, pairs = TrainingConfig(n_steps=8, lr=1e-3, checkpoint_every=3), make_set(0)
    whole = make_model()
    train_reward_model(whole, pairs, config, batch_size=16)

    stopped = make_model()
    with pytest.raises(Stop):
        Stopping(stopped, config, RowBatches(pairs, 16), folder=tmp_path, compute_loss=compute_preference_loss).train()
    resumed = make_model()
    train_reward_model(resumed, pairs, config, batch_size=16, folder=tmp_path)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
