"""DPO and IPO in plain float64, against trl's trainer, and on pairs with a known rule."""

import copy
import math

import pytest
import torch
from tests.rlhf.lora.small_models import make_llama
from tests.rlhf.preferences.small_answers import PROMPTS, RESPONSES, make_set

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.dpo import (
    DPOConfig,
    DPOTrainer,
    compute_answer_logprobs,
    compute_implicit_rewards,
    dpo_loss,
    ipo_loss,
    score_answers,
    score_pairs,
)
from arena_lib.rlhf.lora import LoraConfig, attach_lora
from arena_lib.rlhf.preferences.answers import PreferencePairs, make_answers


def draw_logprobs(n=5):
    return (-3 * torch.rand(4, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).unbind()


def test_dpos_loss_and_gradient_are_the_papers():
    chosen, rejected, ref_chosen, ref_rejected = draw_logprobs()
    chosen.requires_grad_(), rejected.requires_grad_()
    beta, total = 0.3, 0.0
    for c, r, rc, rr in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        h = beta * ((float(c.detach()) - float(rc)) - (float(r.detach()) - float(rr)))
        total += math.log(1 + math.exp(-h)) / 5
    loss = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)
    assert float(loss.detach()) == pytest.approx(total, abs=1e-12)
    gradient = torch.autograd.grad(loss, (chosen, rejected))
    # section 4: weighted by how wrongly the implicit rewards order the pair
    gap = compute_implicit_rewards(rejected, ref_rejected, beta) - compute_implicit_rewards(chosen, ref_chosen, beta)
    assert torch.allclose(gradient[0], -beta * gap.detach().sigmoid() / 5)
    assert torch.allclose(gradient[1], beta * gap.detach().sigmoid() / 5)


def test_ipos_loss_is_least_where_log_ratios_differ_by_its_goal():
    chosen, rejected, ref_chosen, ref_rejected = draw_logprobs()
    h = (chosen - ref_chosen) - (rejected - ref_rejected)
    assert torch.allclose(ipo_loss(chosen, rejected, ref_chosen, ref_rejected, 0.25), ((h - 2) ** 2).mean())
    zeros = torch.zeros(1)
    losses = [float(ipo_loss(zeros + h, zeros, zeros, zeros, 0.25)) for h in (1.0, 2.0, 3.0)]
    assert losses == [1.0, 0.0, 1.0]
    falling = [float(dpo_loss(zeros + h, zeros, zeros, zeros, 0.25)) for h in (1.0, 2.0, 3.0)]
    assert falling == sorted(falling, reverse=True)


def test_the_policy_that_a_reward_leads_to_has_that_reward_as_its_implicit_one():
    """pi ~ reference exp(r / beta), the optimum of reward less beta KL: differences of implicit rewards are r's."""
    beta, rewards = 0.4, torch.randn(6, dtype=torch.float64)
    ref_logprobs = torch.randn(6, dtype=torch.float64).log_softmax(dim=0)
    logprobs = (ref_logprobs + rewards / beta).log_softmax(dim=0)
    implicit = compute_implicit_rewards(logprobs, ref_logprobs, beta)
    assert torch.allclose(implicit - implicit[0], rewards - rewards[0], atol=1e-12)


def test_an_answers_logprob_is_the_sum_over_its_own_tokens():
    model, answers = make_llama(), make_answers(PROMPTS, RESPONSES, filling=13)
    together = compute_answer_logprobs(model, answers)
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        logprobs = model(torch.tensor([prompt + response])).log_softmax(dim=-1)[0]
        expected = sum(logprobs[len(prompt) - 1 + i, token] for i, token in enumerate(response))
        assert float(together[row].detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    assert torch.allclose(score_answers(model, answers, batch_size=2), together.detach(), atol=1e-12)


def test_the_trainer_starts_at_the_reference_and_learns_the_rule():
    policy = make_llama().float()
    reference, pairs, held_out = copy.deepcopy(policy), make_set(0, 300), make_set(1, 200)
    config = DPOConfig(n_steps=60, lr=3e-3, beta=0.2, batch_size=32, log_every=1)
    trainer = DPOTrainer(policy, config, pairs)
    first = trainer.compute_preference_loss(policy, trainer.batches.data)
    assert float(first["loss"].detach()) == pytest.approx(math.log(2), abs=1e-4)
    summary = trainer.train()
    assert summary.metrics["accuracy"] > 0.9
    assert summary.metrics["margin"] == pytest.approx(
        summary.metrics["chosen_reward"] - summary.metrics["rejected_reward"], abs=1e-5
    )
    margins = [
        compute_implicit_rewards(score_answers(policy, side), score_answers(reference, side), 0.2)
        for side in (held_out.chosen, held_out.rejected)
    ]
    assert float((margins[0] > margins[1]).float().mean()) > 0.8


def test_ipo_trains_towards_its_goal_and_stops_there():
    policy, pairs = make_llama().float(), make_set(0, 150)
    config = DPOConfig(n_steps=60, lr=3e-3, beta=0.5, batch_size=32, log_every=10)
    summary = DPOTrainer(policy, config, pairs, loss_fn=ipo_loss).train()
    assert summary.metrics["loss"] < 0.7
    assert summary.metrics["margin"] / 0.5 == pytest.approx(1.0, abs=0.25)


def test_with_adapters_only_these_train_and_the_model_beneath_is_the_reference():
    policy, pairs = make_llama().float(), make_set(0)
    before = {name: weight.clone() for name, weight in policy.state_dict().items()}
    adapters = attach_lora(policy, LoraConfig(rank=2))
    scored = score_pairs(policy, pairs)
    DPOTrainer(policy, DPOConfig(n_steps=5, lr=1e-2, batch_size=16), pairs).train()
    after = policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.allclose(score_answers(policy, pairs.chosen), scored.ref_chosen)
    with adapters.disabled():
        assert torch.equal(score_answers(policy, pairs.chosen), scored.ref_chosen)


def test_a_reference_of_its_own_is_used_and_stays_as_it_is():
    policy, reference, pairs = make_llama().float(), make_llama(init_range=0.2).float(), make_set(0)
    before = {name: weight.clone() for name, weight in reference.state_dict().items()}
    trainer = DPOTrainer(policy, DPOConfig(n_steps=3, lr=1e-2, batch_size=16), pairs, reference)
    assert torch.equal(trainer.batches.data.ref_rejected, score_answers(reference, pairs.rejected))
    trainer.train()
    assert all(torch.equal(before[name], weight) for name, weight in reference.state_dict().items())


def test_what_cannot_work_is_refused():
    zeros = torch.zeros(2)
    with pytest.raises(ConfigError, match="beta must be finite and above 0: got 0"):
        dpo_loss(zeros, zeros, zeros, zeros, 0.0)
    with pytest.raises(ConfigError, match="tau must be finite and above 0: got -1"):
        ipo_loss(zeros, zeros, zeros, zeros, -1.0)
    with pytest.raises(ConfigError, match=r"DPOConfig\.beta must be finite and above 0"):
        DPOConfig(n_steps=1, beta=0.0)
    with pytest.raises(ConfigError, match=r"DPOConfig\.batch_size must be"):
        DPOConfig(n_steps=1, batch_size=0)
    with pytest.raises(ConfigError, match="must have the same vocabulary: got 17 and 19 tokens"):
        DPOTrainer(make_llama(), DPOConfig(n_steps=1), make_set(0), make_llama(d_vocab=19))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo"])
def test_losses_and_gradients_are_those_of_trls_trainer(loss_type, tmp_path):
    pytest.importorskip("trl")
    from tests.rlhf.trl_losses import compute_trl_dpo

    policy, reference = make_llama(), make_llama(init_range=0.2)
    lengths = [(prompt, 3) for prompt in PROMPTS]  # of one length, since trl divides IPO's log-ratios by it
    generator = torch.Generator().manual_seed(2)
    sides = [
        make_answers(
            [p for p, _ in lengths], [torch.randint(1, 17, (n,), generator=generator).tolist() for _, n in lengths]
        )
        for _ in range(2)
    ]
    pairs, beta = PreferencePairs(*sides), 0.3
    theirs, gradients = compute_trl_dpo(policy, reference, pairs, beta, loss_type, tmp_path)
    scored = score_pairs(reference, pairs)
    chosen, rejected = compute_answer_logprobs(policy, pairs.both).chunk(2)
    parts = (chosen, rejected, scored.ref_chosen, scored.ref_rejected)
    is_dpo = loss_type == "sigmoid"
    loss = dpo_loss(*parts, beta) if is_dpo else ipo_loss(*(part / 3 for part in parts), beta)
    assert float(loss.detach()) == pytest.approx(theirs, abs=1e-5)
    loss.backward()
    ours = policy.blocks[0].mlp.W_in.grad
    assert torch.allclose(ours, gradients["model.layers.0.mlp.up_proj.weight"].T, atol=1e-5)
    assert ours.abs().max() > 1e-3


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("loss_fn", [dpo_loss, ipo_loss])
@pytest.mark.parametrize("shape", [(3, 1), (1,), ()])
def test_log_probabilities_of_other_shapes_are_refused_and_not_broadcast(loss_fn, shape):
    three = torch.zeros(3)
    for place in range(4):
        args = [three] * 4
        args[place] = torch.zeros(shape)
        with pytest.raises(ShapeError, match=r"must have one shape, \(batch,\)"):
            loss_fn(*args)
