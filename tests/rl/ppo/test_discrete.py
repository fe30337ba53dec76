"""The trainer on probes in each autoreset mode, counting, seeds, resuming and bad input."""

from functools import partial

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.making import OWN, make_vector_env
from arena_lib.rl.environments.probes import Probe1, Probe2, Probe3, Probe4, Probe5, Probe6, Probe7, Probe8
from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer, draw_gumbel_noise

PROBES = (Probe1, Probe2, Probe3, Probe4, Probe5, Probe6, Probe7, Probe8)
GAMMA = 0.5


def probe_config(probe: type) -> PPOConfig:
    """Settings under which each probe is learned exactly within a second."""
    name, sizes = f"arena/{probe.__name__}-v0", {"n_envs": 8, "n_steps": 8, "n_epochs": 10, "n_minibatches": 1}
    return PPOConfig(env_id=name, total_timesteps=2560, lr=1e-2, gamma=GAMMA, ent_coef=0.0, **sizes)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("probe", PROBES)
def test_each_probe_is_learned_in_each_autoreset_mode(probe, mode):
    cfg = probe_config(probe)
    trainer = PPOTrainer(cfg, partial(make_vector_env, cfg.env_id, cfg.n_envs, mode=mode))
    trainer.train()
    for obs, value in probe.values(GAMMA).items():
        if probe is Probe8 and obs == -1.0:
            continue  # a good policy never sees it again
        assert trainer.critic(torch.tensor([[obs]])).item() == pytest.approx(value, abs=0.1 * max(1.0, abs(value)))
    for obs, action in probe.best_actions().items():
        assert trainer.policy()(np.array([[obs]])).item() == action


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_batch_holds_only_steps_that_really_happened(mode):
    cfg = PPOConfig(env_id="arena/Counting-v0", total_timesteps=400, n_envs=2, n_steps=40, n_minibatches=2)
    trainer = PPOTrainer(cfg, partial(make_vector_env, CountingEnv, 2, mode=mode))
    batch = trainer.rollout_phase()
    rollout = trainer.agent.rollout
    assert len(batch) == int(rollout.is_real.sum()) == trainer.stepper.n_steps
    moved = (rollout.next_obs - rollout.obs).squeeze(-1)[rollout.is_real]
    assert (moved == 1).all()
    assert (len(batch) < 80) == (mode is AutoresetMode.NEXT_STEP)


def small(**changed) -> PPOConfig:
    return PPOConfig(**{"total_timesteps": 512, "n_envs": 2, "n_steps": 32, "n_minibatches": 2, **changed})


def test_the_same_seed_gives_the_same_curve_bit_for_bit():
    first, second, other = (PPOTrainer(small(seed=seed)) for seed in (3, 3, 4))
    runs = [trainer.train() for trainer in (first, second, other)]
    assert runs[0].episodes == runs[1].episodes != runs[2].episodes
    assert runs[0].metrics == runs[1].metrics
    assert all(torch.equal(a, b) for a, b in zip(first.parameters, second.parameters, strict=True))


def test_a_trainer_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    PPOTrainer(small()).train()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_trainer_goes_on_from_its_state():
    first, second = PPOTrainer(small()), PPOTrainer(small(seed=0))
    first.train_phase()
    second.set_state(*first.get_state())
    batch = first.rollout_phase()
    for trainer in (first, second):
        trainer.learning_phase(batch)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters, second.parameters, strict=True))
    assert second.optimizer.param_groups[0]["lr"] == first.optimizer.param_groups[0]["lr"] < small().lr


def test_a_small_target_ends_a_phase_early():
    trainer = PPOTrainer(small(target_kl=1e-9, n_epochs=9))
    assert trainer.learning_phase(trainer.rollout_phase())["epochs"] == 1
    assert PPOTrainer(small(n_epochs=3)).train_phase()["epochs"] == 3


def test_an_epoch_has_exactly_n_minibatches_however_many_steps_are_real(monkeypatch):
    cfg = small(env_id="arena/Probe8-v0", n_envs=3, n_steps=8, n_minibatches=8, n_epochs=1)
    trainer, sizes = PPOTrainer(cfg, partial(make_vector_env, Probe8, 3, mode=AutoresetMode.NEXT_STEP)), []
    compute = trainer.compute_ppo_objective
    monkeypatch.setattr(trainer, "compute_ppo_objective", lambda mb: [sizes.append(len(mb)), compute(mb)][1])
    batch = trainer.rollout_phase()
    trainer.learning_phase(batch)
    assert len(batch) == 18
    assert sizes == [2] * 8


def test_too_few_real_steps_for_the_minibatches_are_said():
    cfg = small(env_id="arena/Probe8-v0", n_envs=3, n_steps=8, n_minibatches=12, n_epochs=1)
    trainer = PPOTrainer(cfg, partial(make_vector_env, Probe8, 3, mode=AutoresetMode.NEXT_STEP))
    with pytest.raises(TrainingError, match="two real steps for each of the 12 minibatches: got 18,"):
        trainer.train_phase()


def test_clipping_values_changes_what_is_learned():
    plain, clipped = (PPOTrainer(small(clip_values=clip, lr=0.05)) for clip in (False, True))
    assert plain.train_phase()["value_loss"] != clipped.train_phase()["value_loss"]


def test_without_clipping_the_policy_moves_further():
    for seed in range(3):
        moved = []
        for clip_coef in (0.1, 1e6):
            trainer = PPOTrainer(small(clip_coef=clip_coef, seed=seed, lr=0.01, n_epochs=12, max_grad_norm=1e6))
            moved.append(trainer.train_phase()["kl"])
        assert moved[1] > 1.5 * moved[0]


def test_gumbel_noise_draws_with_the_probabilities_of_the_softmax():
    logits = torch.tensor([0.1, 0.6, 0.3]).log()
    noise = draw_gumbel_noise(torch.Generator().manual_seed(0), 100_000, 3)
    shares = torch.bincount((logits + noise).argmax(-1), minlength=3) / 100_000
    torch.testing.assert_close(shares, logits.exp(), rtol=0, atol=0.01)


def test_the_carts_and_probes_have_ids():
    assert {"arena/EasyCart-v0", "arena/SpinCart-v0"} <= set(OWN)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_steps": 5, "n_minibatches": 3}, "must divide into n_minibatches equal parts"),
        ({"n_minibatches": 64}, "of at least two steps"),
        ({"total_timesteps": 10}, "must be enough for one rollout"),
        ({"gamma": 1.5}, "from 0 to 1: got 1.5"),
        ({"lr": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        small(**changed)


def test_continuous_actions_are_refused_with_what_takes_them():
    with pytest.raises(ConfigError, match="PPO for continuous actions takes those"):
        PPOTrainer(small(env_id="Pendulum-v1"))
