"""The adaptive weight by hand, the objective against plain sums, and what the trainer learns."""

import math

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.rlhf.advantages import compute_advantages
from arena_lib.rlhf.lora import LoraConfig, attach_lora
from arena_lib.rlhf.ppo import RLHFConfig, RLHFTrainer, adapt_kl_coef
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.characters import reward_fn_char_count
from arena_lib.rlhf.value_head import TransformerWithValueHead


def make_trainer(*, folder=None, moves: bool = False, **settings) -> RLHFTrainer:
    """A trainer whose value head says something; if it `moves`, its policy isn't the reference any more."""
    generator = torch.Generator().manual_seed(0)
    model = TransformerWithValueHead(zoo.load("tiny-llama"), generator=generator)
    with torch.no_grad():
        model.value_head[2].weight.normal_(0.0, 0.02, generator=generator)
    sizes = {"n_steps": 8, "n_prompts": 6, "gen_len": 5, "n_minibatches": 2}
    trainer = RLHFTrainer(
        model, RLHFConfig(**{**sizes, **settings}), make_story_prompts(9), reward_fn_char_count, folder=folder
    )
    if moves:
        with torch.no_grad():
            model.base_model.embed.W_E.mul_(1.1)
    return trainer


@pytest.mark.parametrize(
    ("kl", "expected"), [(6.0, 0.5), (6.6, 0.505), (60.0, 0.51), (5.4, 0.495), (0.0, 0.49), (-1.0, 0.49)]
)
def test_the_weight_follows_the_target_by_two_percent_at_most(kl, expected):
    assert adapt_kl_coef(0.5, kl, 6.0) == pytest.approx(expected)


def test_the_step_size_scales_the_change():
    assert adapt_kl_coef(0.5, 60.0, 6.0, 0.5) == pytest.approx(0.55)


def test_values_belong_to_the_state_before_each_token():
    trainer = make_trainer(kl_coef=0.0, gae_lambda=0.0, normalizes_rewards=False)
    memory = trainer.rollout_phase()
    values = trainer.model(memory.tokens, memory.attention_mask)[1].detach()
    assert memory.is_response.all()  # no story ends so soon
    torch.testing.assert_close(memory.values, values[:, memory.prefix_len - 1 : -1])
    expected = compute_advantages(values, memory.rewards, memory.prefix_len)
    torch.testing.assert_close(memory.advantages, expected)
    torch.testing.assert_close(memory.returns, memory.advantages + memory.values)


def test_rewards_are_normalised_for_learning_and_kept_as_they_are():
    memory = make_trainer(kl_coef=0.0, gae_lambda=1.0).rollout_phase()
    rewards = memory.rewards
    assert rewards.tolist() == rewards.round().tolist()  # counts of characters
    torch.testing.assert_close(memory.returns[:, 0], (rewards - rewards.mean()) / (rewards.std() + 1e-5))


def test_each_token_pays_for_its_own_kl_in_the_reward():
    settings = {"gae_lambda": 1.0, "moves": True}
    free, paying = (make_trainer(kl_coef=kl_coef, **settings).rollout_phase() for kl_coef in (0.0, 0.3))
    paid = 0.3 * (paying.logprobs - paying.ref_logprobs)
    assert paid.abs().max() > 0.01
    still_to_pay = paid.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(paying.returns, free.returns - still_to_pay, atol=1e-4, rtol=1e-4)


def test_in_the_loss_the_penalty_is_the_full_kl_and_in_the_reward_there_is_none():
    trainer = make_trainer(kl_place="loss", kl_coef=0.3, moves=True, temperature=0.8)
    memory = trainer.rollout_phase()
    objective, figures = trainer.compute_rlhf_objective(memory)
    places = slice(memory.prefix_len - 1, -1)
    p, q = (
        (model(memory.tokens, attention_mask=memory.attention_mask)[:, places] / 0.8).double().log_softmax(-1)
        for model in (trainer.policy, trainer.reference)
    )
    expected = 0.3 * (p.exp() * (p - q)).sum(-1)[memory.is_response].mean()
    assert figures["kl_penalty"].item() == pytest.approx(expected.item(), rel=1e-4)
    others = figures["surrogate"] - figures["value_loss"] + figures["entropy"]
    assert objective.item() == pytest.approx((others - figures["kl_penalty"]).item(), abs=1e-5)
    free = make_trainer(kl_place="loss", kl_coef=0.0, moves=True, temperature=0.8).rollout_phase()
    torch.testing.assert_close(memory.advantages, free.advantages)


@pytest.mark.parametrize("clip_values", [True, False])
def test_the_objective_is_the_plain_sum_over_drawn_tokens(clip_values):
    trainer = make_trainer(clip_values=clip_values, ent_coef=0.01, temperature=0.7)
    memory = trainer.rollout_phase()
    is_response = torch.arange(5) < torch.tensor([5, 2, 1, 4, 5, 3])[:, None]
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(6, 5, generator=generator) for _ in range(4)]
    changed = {
        "is_response": is_response,
        "logprobs": memory.logprobs + 0.3 * noise[0],
        "advantages": noise[1],
        "values": memory.values + 0.5 * noise[2],
        "returns": noise[3],
    }
    for name in ("logprobs", "advantages", "values", "returns"):
        changed[name] = changed[name].masked_fill(~is_response, torch.nan)
    minibatch = type(memory)(**{**memory.as_tensors(), **changed})
    objective, figures = trainer.compute_rlhf_objective(minibatch)

    logits, values = (x.detach().double() for x in trainer.model(memory.tokens, memory.attention_mask))
    n = memory.prefix_len
    drawn = [(row, t) for row in range(6) for t in range(5) if is_response[row, t]]
    advantages = torch.stack([noise[1][at].double() for at in drawn])
    mean, std = advantages.mean(), advantages.std()
    surrogate = value_loss = entropy = 0.0
    for row, t in drawn:
        p = (logits[row, n - 1 + t] / 0.7).softmax(-1)
        ratio = float(p[memory.tokens[row, n + t]]) / math.exp(changed["logprobs"][row, t])
        advantage = float((noise[1][row, t] - mean) / (std + 1e-8))
        surrogate += min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
        entropy -= float((p * p.log()).sum())
        value, old, goal = (float(x) for x in (values[row, n - 1 + t], changed["values"][row, t], noise[3][row, t]))
        clipped = old + min(max(value - old, -0.2), 0.2)
        value_loss += max((value - goal) ** 2, (clipped - goal) ** 2) if clip_values else (value - goal) ** 2
    expected = (surrogate - 0.15 * 0.5 * value_loss + 0.01 * entropy) / len(drawn)
    assert objective.item() == pytest.approx(expected, rel=1e-4)
    assert figures["entropy"].item() == pytest.approx(0.01 * entropy / len(drawn), rel=1e-4)
    objective.backward()
    assert all(p.grad.isfinite().all() for p in trainer.model.parameters() if p.grad is not None)


def test_transformer_and_head_learn_at_rates_of_their_own():
    trainer = make_trainer(n_steps=8, warmup=2, lr=1e-4, head_lr=3e-3)
    memory = trainer.rollout_phase()
    for share in (0.5, 1.0):
        trainer.training_step(memory)
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        assert rates == pytest.approx([1e-4 * share, 3e-3 * share])


def test_the_reference_stays_and_the_weight_is_adapted_phase_by_phase():
    trainer = make_trainer(kl_coef=0.1, target_kl=2.0, n_steps=12)
    before = trainer.reference.unembed.W_U.clone()
    trainer.train()
    assert torch.equal(trainer.reference.unembed.W_U, before)
    expected = 0.1
    for row in trainer.phases:
        expected = adapt_kl_coef(expected, row["kl"], 2.0)
    assert len(trainer.phases) == 3
    assert trainer.kl_coef == pytest.approx(expected)
    assert trainer.kl_coef != 0.1


def test_a_run_that_stopped_within_a_phase_ends_as_one_that_never_stopped(tmp_path):
    settings = {"target_kl": 2.0, "n_steps": 8}
    whole = make_trainer(**settings)
    whole.train()
    first = make_trainer(folder=tmp_path, **settings)
    first.should_stop = lambda _: first.step == 6
    first.train()
    second = make_trainer(folder=tmp_path, **settings)
    assert second.train().is_finished
    assert second.kl_coef == whole.kl_coef
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gae_lambda": 1.5}, "RLHFConfig.gae_lambda must be from 0 to 1"),
        ({"kl_place": "policy"}, "RLHFConfig.kl_place must be 'reward' or 'loss'"),
        ({"target_kl": 0.0}, "target_kl must be finite and above 0"),
        ({"target_kl": 6.0, "kl_coef": 0.0}, "kl_coef must be above 0 to be adapted"),
        ({"head_lr": 0.0}, "head_lr must be finite and above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(without_types, settings, message):
    with pytest.raises(ConfigError, match=message):
        RLHFConfig(n_steps=8, **settings)


def test_values_are_those_of_the_model_without_dropout():
    model = TransformerWithValueHead(zoo.load("tiny-llama"))
    adapters = attach_lora(model.base_model, LoraConfig(dropout=0.5))
    with torch.no_grad():
        for weight in [*adapters.parameters(), *model.value_head.parameters()]:
            weight.add_(0.02)
    trainer = RLHFTrainer(
        model,
        RLHFConfig(n_steps=4, n_prompts=3, gen_len=4, n_minibatches=1),
        make_story_prompts(3),
        reward_fn_char_count,
    )
    model.train()
    memory = trainer.rollout_phase()
    assert model.training
    values = model.eval()(memory.tokens, memory.attention_mask)[1][:, memory.prefix_len - 1 : -1].detach()
    torch.testing.assert_close(memory.values, values.where(memory.is_response, 0.0))


@pytest.mark.parametrize("n_prompts", [1, 4])
def test_minibatches_of_one_sample_are_refused(n_prompts):
    with pytest.raises(ConfigError, match=f"two samples at least, .* got n_prompts = {n_prompts} in n_minibatches = "):
        RLHFConfig(n_steps=8, n_prompts=n_prompts, n_minibatches=n_prompts, n_epochs=1)


def test_a_model_without_a_value_head_is_refused(without_types):
    with pytest.raises(ConfigError, match=r"needs a value head: got Llama\. Pass TransformerWithValueHead"):
        RLHFTrainer(zoo.load("tiny-llama"), RLHFConfig(n_steps=4), make_story_prompts(64), reward_fn_char_count)
