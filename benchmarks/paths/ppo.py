"""PPO on CartPole: one phase of acting and learning, 4 environments x 128 steps, 4 epochs of 4 minibatches.

"stable-baselines3" is its PPO with the same settings and the same network; "cleanrl-technique" is one loop over steps
that asks actor and critic at each, as CleanRL's single file does, written afresh. Weights are drawn by each, so that
results can't be equal: what is compared before the timing is the work, environment steps and updates. What the agents
reach is in docs/rl_results.md: steps a second say nothing without it.
"""

import torch
from torch import Tensor

from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.paths._ppo_peers import SingleLoop, make_stable_baselines_model
from benchmarks.sizes import compare_tensors

CONFIG = PPOConfig(clip_values=True, end_lr=2.5e-4, total_timesteps=10**9)
"""CleanRL's settings, with a learning rate that stays."""


def make(place: Place) -> Workload:
    """Runs return how many environment steps and updates they made."""
    return Workload(
        ours=make_ours(),
        peers={"stable-baselines3": make_stable_baselines, "cleanrl-technique": make_single_loop},
        agree=compare_tensors,
        units=CONFIG.batch_size,
        needs_grad=True,
    )


def make_ours() -> Run:
    """Our trainer's phase."""
    trainer = PPOTrainer(CONFIG)

    def run() -> Tensor:
        before = trainer.stepper.n_steps
        figures = trainer.train_phase()
        trainer.stepper.finished()
        return torch.tensor([trainer.stepper.n_steps - before, int(figures["epochs"]) * CONFIG.n_minibatches])

    return run


def make_stable_baselines() -> Run:
    """Its collect_rollouts and train, which its `learn` calls in turns."""
    model = make_stable_baselines_model(CONFIG)
    _, callback = model._setup_learn(10**9)

    def run() -> Tensor:
        before, updates_before = model.num_timesteps, model._n_updates
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=CONFIG.n_steps)
        model.train()
        epochs = model._n_updates - updates_before
        return torch.tensor([model.num_timesteps - before, epochs * CONFIG.n_minibatches])

    return run


def make_single_loop() -> Run:
    """A phase of the one loop."""
    loop = SingleLoop(CONFIG)
    return lambda: torch.tensor([CONFIG.batch_size, loop.train_phase()])


BENCHMARK = Benchmark(
    name="ppo",
    title="PPO: a phase of acting and learning",
    cases={"cartpole": "CartPole-v1, 4 x 128 steps, 4 epochs of 4 minibatches"},
    unit="steps",
    make=make,
    dtypes={"cpu": ("float32",)},
    peers=("stable-baselines3", "cleanrl-technique"),
    peer_packages={"stable-baselines3": "stable-baselines3>=2.9"},
    goals=(Goal("cartpole", "stable-baselines3", 3.0, on="cpu"), Goal("cartpole", "cleanrl-technique", 3.0, on="cpu")),
)
