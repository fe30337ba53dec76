import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.policy_gradient import Rollout, VPGConfig, VPGTrainer

PROBES = {1: 2500, 2: 3000, 3: 3000, 4: 2000, 5: 3000, 6: 9000, 7: 7000, 8: 4000}
"""Steps after which each probe must be solved."""


def train_on_probe(number, mode=AutoresetMode.SAME_STEP):
    config = VPGConfig(
        env_id=f"arena/Probe{number}-v0", n_envs=8, n_steps=8, total_steps=PROBES[number], lr=3e-2, mode=mode, gamma=0.5,
        n_updates=2, vf_coef=1.0, ent_coef=0.001, hidden_sizes=(16,), max_grad_norm=5.0,
    )  # fmt: skip
    trainer = VPGTrainer(config)
    trainer.train()
    return trainer


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("number", list(PROBES))
def test_each_probe_is_solved_in_each_mode(number, mode):
    trainer = train_on_probe(number, mode)
    probe = trainer.stepper.envs.envs[0].unwrapped
    values, best = probe.values(0.5), probe.best_actions()
    for obs, value in values.items():
        if number == 8 and obs == -1:  # the right policy doesn't go there
            continue
        learnt = trainer.value_network(torch.tensor([[obs]])).item()
        assert learnt == pytest.approx(value, abs=0.15 + 0.03 * abs(value)), f"value of {obs}"
    for obs, action in best.items():
        p = trainer.policy_network(torch.tensor([[obs]])).softmax(-1)[0]
        assert p[int(action)] > 0.8, f"action at {obs}: {p}"


def test_the_same_seed_gives_the_same_curve():
    config = VPGConfig(total_steps=3000, n_envs=2, n_steps=64, seed=5)
    first, second = (VPGTrainer(config).train().episodes for _ in range(2))
    assert first == second
    assert first


def test_phantom_steps_teach_nothing():
    config = VPGConfig(env_id=CountingEnv, mode=AutoresetMode.NEXT_STEP, n_envs=2, n_steps=16, total_steps=64)
    trainer = VPGTrainer(config)
    rollout, _ = trainer.agent.gen_rollout(Rollout(2, 16, (1,)))
    loss, _ = trainer.compute_loss(rollout)
    assert not rollout.is_real.all()
    rollout.obs[~rollout.is_real] = 1e6
    rollout.actions[~rollout.is_real] = 0
    torch.testing.assert_close(trainer.compute_loss(rollout)[0], loss)


def test_an_end_that_is_cut_in_the_same_step_is_an_end():
    trainer = VPGTrainer(VPGConfig(env_id=CountingEnv, n_envs=2, n_steps=16, total_steps=64))
    rollout, _ = trainer.agent.gen_rollout(Rollout(2, 16, (1,)))
    rollout.terminated[:], rollout.truncated[:] = False, False
    rollout.terminated[0, [3, 15]] = rollout.truncated[0, [3, 15]] = True
    rollout.truncated[1, 5] = True
    changed = trainer._bootstrapped_rewards(rollout) != rollout.rewards
    assert changed.nonzero().tolist() == [[1, 5], [1, 15]]


def test_training_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    VPGTrainer(VPGConfig(total_steps=600, n_envs=2, n_steps=64)).train()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 1.5}, "gamma must be from 0 to 1: got 1.5"),
        ({"total_steps": 10}, "enough for one rollout of 8 x 128 steps: got 10"),
        ({"lr": 0.0}, "lr must be finite and above 0"),
        ({"env_id": "Pendulum-v1"}, "VPG must have discrete actions"),
    ],
)
def test_what_cant_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        VPGTrainer(VPGConfig(**options))
