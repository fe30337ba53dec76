"""Phases, the frozen reference, what reward functions see, and runs that stop and go on bit for bit."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.core.metrics import METRICS_FILE, read_metrics
from arena_lib.errors import ConfigError, DtypeError, TrainingError
from arena_lib.rlhf.grpo import GrpoConfig, GrpoTrainer
from arena_lib.rlhf.lora import LoraConfig, attach_lora
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.characters import reward_fn_char_count
from arena_lib.rlhf.rewards.sentences import reward_fn_new_sentences
from arena_lib.rlhf.training import ReplayMemory
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

PROMPTS = make_story_prompts(5)


def make_trainer(policy=None, reward_fn=reward_fn_char_count, *, folder=None, prompts=PROMPTS, **settings):
    own = {name: settings.pop(name) for name in ("reference", "measures", "end_of_text") if name in settings}
    sizes = {"n_steps": 8, "n_prompts": 2, "group_size": 3, "gen_len": 6, "n_minibatches": 2}
    policy = policy or zoo.load("tiny-llama")
    return GrpoTrainer(policy, GrpoConfig(**{**sizes, **settings}), prompts, reward_fn, folder=folder, **own)


def make_memory() -> ReplayMemory:
    tokens = torch.arange(28).reshape(4, 7)
    per_token = torch.arange(12.0).reshape(4, 3)
    is_response = torch.ones(4, 3, dtype=torch.bool)
    rewards = torch.arange(4.0)
    return ReplayMemory(tokens, torch.ones(4, 7).bool(), is_response, per_token, per_token, rewards, per_token)


def test_a_minibatch_is_a_smaller_memory():
    memory = make_memory()
    part = memory[torch.tensor([2, 0])]
    assert part.tokens[:, 0].tolist() == [14, 0]
    assert part.rewards.tolist() == [2, 0]
    assert part.values is None
    assert (len(part), part.prefix_len) == (2, 4)


def test_each_epoch_deals_every_sample_once_in_an_order_of_its_own():
    dealt = make_memory().deal(3, 2, torch.Generator().manual_seed(0))
    assert [len(idx) for idx in dealt] == [2] * 6
    orders = [torch.cat(dealt[i : i + 2]).tolist() for i in (0, 2, 4)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_the_reference_neither_trains_nor_is_the_policy():
    trainer = make_trainer(lr=1e-3, kl_coef=1.0)
    before = {name: weight.clone() for name, weight in trainer.reference.state_dict().items()}
    trainer.train()
    after = trainer.reference.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(weight.requires_grad for weight in trainer.reference.parameters())
    moved = trainer.policy.state_dict()
    assert any(not torch.equal(before[name], moved[name]) for name in before)


def test_kl_is_zero_at_first_and_grows_while_the_policy_moves():
    trainer = make_trainer(lr=2e-3, kl_coef=0.0, n_steps=16)
    trainer.train()
    assert abs(trainer.phases[0]["kl"]) < 1e-4
    assert trainer.phases[-1]["kl"] > 0.1


def test_kl_is_that_of_what_was_drawn_from_the_references_scores():
    trainer = make_trainer(zoo.load("tiny-llama"), reference=zoo.load("tiny-llama"), end_of_text=0)
    with torch.no_grad():
        trainer.policy.embed.W_E.mul_(1.1)
    memory = trainer.rollout_phase()
    expected = (memory.logprobs - trainer.score(trainer.reference, memory))[memory.is_response].sum() / 6
    assert trainer.phases[-1]["kl"] == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("is_prompt_judged", [True, False])
def test_reward_functions_see_the_response_and_the_prompt_if_asked_for(is_prompt_judged):
    seen = []

    def reward(texts):
        seen.extend(texts)
        return torch.zeros(len(texts))

    trainer = make_trainer(reward_fn=reward, is_prompt_judged=is_prompt_judged)
    trainer.rollout_phase()
    starts = [trainer.tokenizer.decode(row[row != 0]) for row in PROMPTS.tokens]
    assert len(seen) == 6
    assert all(any(text.startswith(start) for start in starts) == is_prompt_judged for text in seen)
    assert not any("endoftext" in text for text in seen)


def test_a_tokenizer_without_an_end_of_text_ends_no_sample():
    policy = zoo.load("tiny-llama")
    tokenizer = policy.tokenizer

    class Plain:
        decode = tokenizer.decode

    policy.tokenizer = Plain()
    trainer = make_trainer(policy, reference=zoo.load("tiny-llama"))
    assert trainer.rollout_phase().is_response.all()
    assert trainer.end_of_text is None


def test_the_texts_that_were_judged_can_be_read():
    trainer = make_trainer()
    assert trainer.texts == []
    memory = trainer.rollout_phase()
    assert reward_fn_char_count(trainer.texts).tolist() == memory.rewards.tolist()


def test_phases_hold_rewards_and_measures():
    trainer = make_trainer(measures={"true": reward_fn_new_sentences})
    trainer.train()
    assert len(trainer.phases) == 2
    names = {"reward", "true", "kl", "length", "tokens_per_second"}
    assert all(set(row) == names for row in trainer.phases)
    assert 0 <= trainer.phases[0]["true"] <= 1


def test_metrics_are_written(tmp_path):
    make_trainer(folder=tmp_path, log_every=4, measures={"true": reward_fn_new_sentences}).train()
    rows = read_metrics(tmp_path / METRICS_FILE)
    assert [row["step"] for row in rows] == [4, 8]
    assert {"loss", "reward", "true", "kl", "kl_coef", "clipped_share", "grad_norm"} <= set(rows[0])


def test_a_run_that_stopped_within_a_phase_ends_as_one_that_never_stopped(tmp_path):
    whole = make_trainer(lr=1e-3)
    whole.train()
    first = make_trainer(lr=1e-3, folder=tmp_path)
    first.should_stop = lambda _: first.step == 6
    assert first.train().step == 6
    second = make_trainer(lr=1e-3, folder=tmp_path)
    assert second.train().is_finished
    for name, weight in whole.policy.state_dict().items():
        assert torch.equal(weight, second.policy.state_dict()[name]), name
    for ours, expected in zip(second.phases, whole.phases, strict=True):
        assert {**ours, "tokens_per_second": 0} == {**expected, "tokens_per_second": 0}


def test_a_learning_phase_by_hand_is_that_of_a_run():
    by_hand, run = make_trainer(n_steps=4), make_trainer(n_steps=4)
    run.train()
    by_hand.learning_phase(by_hand.rollout_phase())
    assert by_hand.step == 4
    assert torch.equal(by_hand.policy.unembed.W_U, run.policy.unembed.W_U)


def test_what_cannot_work_is_refused():
    policy = zoo.load("tiny-llama")
    other = Llama(LlamaConfig(d_model=8, d_vocab=11, n_ctx=40, n_layers=1, n_heads=2, n_kv_heads=1, d_head=4, d_mlp=8))
    with pytest.raises(ConfigError, match="another model than the policy"):
        make_trainer(policy, reference=policy)
    with pytest.raises(ConfigError, match="one vocabulary: got 929 tokens and 11"):
        make_trainer(policy, reference=other)
    with pytest.raises(ConfigError, match="must have a tokenizer"):
        make_trainer(other)
    with pytest.raises(ConfigError, match="as many prompts as a phase has, 6: got 5"):
        make_trainer(n_prompts=6)


def test_a_reward_function_that_is_none_is_refused_by_name():
    def bad_reward(texts):
        return [0.0] * len(texts)

    trainer = make_trainer(reward_fn=bad_reward)
    with pytest.raises(DtypeError, match="'bad_reward' must return a tensor"):
        trainer.rollout_phase()


@pytest.mark.parametrize("name", ["kl", "loss"])
def test_measures_may_not_take_the_place_of_the_trainers_own_figures(name):
    with pytest.raises(
        ConfigError, match=f"other names than the trainer's own figures, .*: got '{name}'. Call it true_"
    ):
        make_trainer(measures={name: reward_fn_new_sentences})


def test_a_policy_that_is_broken_is_refused_by_name():
    trainer = make_trainer(lr=1e30, n_epochs=1, n_steps=4)
    with pytest.raises(TrainingError, match="a policy's logits must be finite"):
        trainer.train()


def test_a_phase_acts_without_dropout_and_leaves_the_mode_as_it_was():
    policy = zoo.load("tiny-llama")
    adapters = attach_lora(policy, LoraConfig(dropout=0.5))
    with torch.no_grad():
        for weight in adapters.parameters():
            weight.add_(0.02)
    trainer = make_trainer(policy, reference=zoo.load("tiny-llama"))
    policy.train()
    memory = trainer.rollout_phase()
    assert policy.training
    assert adapters.training
    policy.eval()
    scored = trainer.score(policy, memory)
    torch.testing.assert_close(scored[memory.is_response], memory.logprobs[memory.is_response], atol=1e-4, rtol=1e-4)


def test_a_policy_learns_without_dropout_too_so_that_the_first_ratios_are_one():
    policy = zoo.load("tiny-llama")
    with torch.no_grad():
        for weight in attach_lora(policy, LoraConfig(dropout=0.5)).parameters():
            weight.add_(0.02)
    trainer = make_trainer(policy, reference=zoo.load("tiny-llama"), clip_coef=1e-3)
    memory = trainer.rollout_phase()
    policy.train()
    figures = trainer._compute_losses(policy, memory)
    assert figures["clipped_share"] == 0
