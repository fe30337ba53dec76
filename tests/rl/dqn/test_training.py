import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.rl.dqn import DQNConfig, DQNTrainer, DuelingQNetwork, QNetwork, ReplayBatch, train_on_batch
from arena_lib.rl.environments.counting import CountingEnv

PROBES = {1: 400, 2: 500, 3: 800, 4: 500, 5: 800, 6: 1200, 7: 1200, 8: 1200}
"""Steps after which each probe must be solved."""
VARIANTS = {
    "plain": {"n_step": 1, "is_double": False},
    "n-step and double": {"n_step": 3, "is_double": True},
    "dueling and prioritized": {"n_step": 1, "is_dueling": True, "is_prioritized": True},
}


def train_on_probe(number, mode, **options):
    config = DQNConfig(
        env_id=f"arena/Probe{number}-v0", total_steps=PROBES[number], n_envs=4, mode=mode, gamma=0.5, lr=2e-2, tau=0.2,
        final_lr_fraction=0.05, learning_starts=40, batch_size=32, hidden_sizes=(16,), end_e=0.3, **options,
    )  # fmt: skip
    trainer = DQNTrainer(config)
    trainer.train()
    return trainer


def check_probe(trainer):
    probe = trainer.stepper.envs.envs[0].unwrapped
    best = probe.best_actions()
    for obs, value in probe.values(0.5).items():
        q_values = trainer.q_network(torch.tensor([[obs]]))[0]
        assert float(q_values.detach().max()) == pytest.approx(value, abs=0.1 + 0.03 * abs(value)), f"value of {obs}"
        if obs in best:
            assert trainer.policy()(np.array([[obs]])) == best[obs], f"action at {obs}"


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("number", list(PROBES))
def test_each_probe_is_solved_in_each_mode(number, mode):
    check_probe(train_on_probe(number, mode, **VARIANTS["plain"]))


@pytest.mark.parametrize("number", [3, 7, 8])
@pytest.mark.parametrize("variant", list(VARIANTS)[1:])
def test_each_improvement_solves_the_probes_of_time(number, variant):
    check_probe(train_on_probe(number, AutoresetMode.SAME_STEP, **VARIANTS[variant]))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_the_same_seed_gives_the_same_curve(variant):
    config = DQNConfig(total_steps=1500, seed=5, learning_starts=100, **VARIANTS[variant])
    first, second = DQNTrainer(config), DQNTrainer(config)
    assert first.train().episodes == second.train().episodes
    for a, b in zip(first.parameters, second.parameters, strict=True):
        assert torch.equal(a, b)


def test_training_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    DQNTrainer(DQNConfig(total_steps=300, learning_starts=100)).train()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_checkpoint_brings_everything_back(tmp_path, variant):
    config = DQNConfig(total_steps=600, learning_starts=100, buffer_size=300, **VARIANTS[variant])
    trainer = DQNTrainer(config)
    trainer.train(folder=tmp_path)
    other = DQNTrainer(config)
    other.train(folder=tmp_path)
    assert other.n_updates == trainer.n_updates > 0
    for network in ("q_network", "target_network"):
        for a, b in zip(getattr(trainer, network).parameters(), getattr(other, network).parameters(), strict=True):
            assert torch.equal(a, b)
    assert trainer.training_step() == other.training_step()
    assert trainer.agent.rng.random() == other.agent.rng.random()
    with pytest.raises(CheckpointError, match="gamma"):
        DQNTrainer(dataclasses.replace(config, gamma=0.5)).train(folder=tmp_path)


def test_phantom_steps_are_neither_stored_nor_counted():
    config = DQNConfig(env_id=CountingEnv, mode=AutoresetMode.NEXT_STEP, total_steps=60, n_step=1, learning_starts=1000)
    trainer = DQNTrainer(config)
    trainer.train()
    assert trainer.stepper.n_steps == len(trainer.buffer) == 60


def test_one_update_moves_the_taken_action_towards_its_target():
    network = QNetwork((3,), 2, [8])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    obs = torch.randn(1, 3)
    batch = ReplayBatch(
        obs, torch.tensor([1]), torch.zeros(1), torch.tensor([True]), obs, torch.tensor([1]), torch.tensor([0])
    )
    before = network(obs)[0, 1].item()
    loss, errors = train_on_batch(network, optimizer, batch, torch.tensor([before + 1.0]), 10.0)
    assert loss.item() == pytest.approx(1.0, abs=1e-4)
    assert errors.item() == pytest.approx(1.0, abs=1e-4)
    assert before < network(obs)[0, 1].item() < before + 1


def test_the_gradient_is_clipped():
    network = QNetwork((3,), 2, [8])
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    before = torch.cat([p.detach().flatten().clone() for p in network.parameters()])
    obs = torch.randn(1, 3)
    batch = ReplayBatch(
        obs, torch.tensor([1]), torch.zeros(1), torch.tensor([True]), obs, torch.tensor([1]), torch.tensor([0])
    )
    train_on_batch(network, optimizer, batch, torch.tensor([1e4]), 0.5)
    after = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.5, abs=1e-3)


def test_a_dueling_network_is_made_where_it_is_asked_for():
    assert isinstance(DQNTrainer(DQNConfig(is_dueling=True)).q_network, DuelingQNetwork)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 1.5}, "gamma must be from 0 to 1: got 1.5"),
        ({"n_envs": 3}, "multiple of n_envs"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1: got 0"),
        ({"env_id": "Pendulum-v1"}, "DQN must have discrete actions"),
    ],
)
def test_what_cant_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        DQNTrainer(DQNConfig(**options))


@pytest.mark.parametrize("max_grad_norm", [1e-3, 1e3], ids=["clipped", "not clipped"])
def test_the_trainers_update_is_that_of_train_on_batch(max_grad_norm):
    first, second = (DQNTrainer(DQNConfig(lr=0.01, max_grad_norm=max_grad_norm)) for _ in range(2))
    batch = ReplayBatch(
        obs=torch.randn(5, 4), next_obs=torch.randn(5, 4), actions=torch.randint(2, (5,)), rewards=torch.randn(5),
        terminated=torch.rand(5) < 0.5, n_ahead=torch.ones(5, dtype=torch.int64), rows=torch.arange(5),
    )  # fmt: skip
    seen = first._train_on_batch(batch)
    targets = second.compute_targets(batch)
    expected = train_on_batch(second.q_network, second.optimizer, batch, targets, max_grad_norm)
    torch.testing.assert_close(seen, expected)
    torch.testing.assert_close(first.q_network.state_dict(), second.q_network.state_dict())
