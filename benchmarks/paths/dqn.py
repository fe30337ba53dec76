"""DQN on CartPole: 1,000 environment steps with an update of 128 transitions every tenth.

CleanRL's settings on all sides: a network of 120 and 84, a buffer of 10,000, a target copied every 50 updates.
"stable-baselines3" is its DQN; "cleanrl-technique" is one loop over steps with a buffer of arrays, as CleanRL's single
file does, written afresh. Weights and batches are drawn by each, so that results can't be equal: what is compared
before the timing is the work, environment steps and updates. What agents reach is in docs/rl_results.md.
"""

import copy
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.rl.dqn.training import DQNConfig, DQNTrainer
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import compare_tensors

STEPS = {"tiny": 100, "cpu": 1_000}
BATCH, BUFFER, TRAIN_EVERY, TARGET_EVERY, FILL = 128, 10_000, 10, 50, 1_000
LR, GAMMA, EPSILON = 2.5e-4, 0.99, 0.05


def make(place: Place) -> Workload:
    """Runs return how many environment steps and updates they made."""
    n_steps = STEPS[place.size]
    return Workload(
        ours=make_ours(n_steps),
        peers={
            "stable-baselines3": partial(make_stable_baselines, n_steps),
            "cleanrl-technique": partial(make_single_loop, n_steps),
        },
        agree=compare_tensors,
        units=n_steps,
        needs_grad=True,
    )


def make_ours(n_steps: int) -> Run:
    """Our trainer, once its buffer holds what is wanted before the first update."""
    config = DQNConfig(
        batch_size=BATCH, buffer_size=BUFFER, train_every=TRAIN_EVERY, learning_starts=FILL, lr=LR,
        final_lr_fraction=1.0, gamma=GAMMA, target_every=TARGET_EVERY, tau=1.0, start_e=EPSILON, end_e=EPSILON,
        n_step=1, is_double=False, total_steps=10**9,
    )  # fmt: skip
    trainer = DQNTrainer(config)
    while trainer.stepper.n_steps < FILL:
        trainer.play_and_learn()

    def run() -> Tensor:
        before, updates_before = trainer.stepper.n_steps, trainer.n_updates
        for _ in range(n_steps):
            trainer.play_and_learn()
        return torch.tensor([trainer.stepper.n_steps - before, trainer.n_updates - updates_before])

    return run


def make_stable_baselines(n_steps: int) -> Run:
    """Its collect_rollouts and train, which its `learn` calls in turns."""
    from stable_baselines3 import DQN
    from stable_baselines3.common.env_util import make_vec_env

    model = DQN(
        "MlpPolicy", make_vec_env("CartPole-v1", 1), learning_rate=LR, buffer_size=BUFFER, learning_starts=FILL,
        batch_size=BATCH, gamma=GAMMA, train_freq=TRAIN_EVERY, target_update_interval=TARGET_EVERY * TRAIN_EVERY,
        exploration_initial_eps=EPSILON, exploration_final_eps=EPSILON, policy_kwargs={"net_arch": [120, 84]},
        device="cpu", seed=0,
    )  # fmt: skip
    _, callback = model._setup_learn(10**9)

    def collect() -> None:
        model.collect_rollouts(
            model.env, callback, model.train_freq, model.replay_buffer, learning_starts=FILL, log_interval=10**9
        )

    while model.num_timesteps < FILL:
        collect()

    def run() -> Tensor:
        before, updates_before = model.num_timesteps, model._n_updates
        for _ in range(n_steps // TRAIN_EVERY):
            collect()
            model.train(gradient_steps=1, batch_size=BATCH)
        return torch.tensor([model.num_timesteps - before, model._n_updates - updates_before])

    return run


def make_single_loop(n_steps: int) -> Run:
    """One loop for everything: arrays are written row by row, batches drawn from them and made tensors each time."""
    envs = gym.vector.SyncVectorEnv([lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1"))])
    network = nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 2))
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    rows = {"obs": np.zeros((BUFFER, 4), np.float32), "next_obs": np.zeros((BUFFER, 4), np.float32)}
    rows |= {"actions": np.zeros((BUFFER, 1), np.int64)}
    rows |= {name: np.zeros(BUFFER, np.float32) for name in ("rewards", "ended")}
    state: dict[str, Any] = {"obs": envs.reset(seed=0)[0], "step": 0, "updates": 0}

    def play() -> None:
        if np.random.random() < EPSILON:
            actions = np.array([envs.single_action_space.sample()])
        else:
            actions = network(torch.as_tensor(state["obs"])).argmax(dim=1).numpy()
        next_obs, reward, terminated, _, _ = envs.step(actions)
        row = state["step"] % BUFFER
        rows["obs"][row], rows["next_obs"][row], rows["actions"][row] = state["obs"][0], next_obs[0], actions
        rows["rewards"][row], rows["ended"][row] = reward[0], terminated[0]
        state["obs"], state["step"] = next_obs, state["step"] + 1

    def learn() -> None:
        chosen = np.random.randint(min(state["step"], BUFFER), size=BATCH)
        batch = {name: torch.as_tensor(array[chosen]) for name, array in rows.items()}
        with torch.no_grad():
            best = target(batch["next_obs"]).max(dim=1).values
            wanted = batch["rewards"] + GAMMA * best * (1.0 - batch["ended"])
        loss = F.mse_loss(network(batch["obs"]).gather(1, batch["actions"]).squeeze(), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state["updates"] += 1
        if state["updates"] % TARGET_EVERY == 0:
            for old, new in zip(target.parameters(), network.parameters(), strict=True):
                old.data.copy_(new.data)

    def run() -> Tensor:
        before, updates_before = state["step"], state["updates"]
        for _ in range(n_steps):
            play()
            if state["step"] % TRAIN_EVERY == 0:
                learn()
        return torch.tensor([state["step"] - before, state["updates"] - updates_before])

    for _ in range(FILL):
        play()
    return run


BENCHMARK = Benchmark(
    name="dqn",
    title="DQN: acting and learning",
    cases={"cartpole": "CartPole-v1, an update of 128 every tenth step"},
    unit="steps",
    make=make,
    dtypes={"cpu": ("float32",)},
    peers=("stable-baselines3", "cleanrl-technique"),
    peer_packages={"stable-baselines3": "stable-baselines3>=2.9"},
    goals=(Goal("cartpole", "stable-baselines3", 2.5, on="cpu"), Goal("cartpole", "cleanrl-technique", 2.5, on="cpu")),
)
