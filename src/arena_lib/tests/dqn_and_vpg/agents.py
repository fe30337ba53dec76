"""Judges of section 2.2's agent and of one update.

Shapes:  obs "n_envs *obs_shape"; batches of transitions "batch"
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import agent, training
from arena_lib.rl.dqn.exploration import epsilon_greedy_policy, linear_schedule
from arena_lib.rl.dqn.replay import ReplayBatch, ReplayBuffer
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper

__test__ = False


class WavyValues(nn.Module):
    """Action values that go up and down with the observation."""

    def forward(self, obs: Tensor) -> Tensor:
        """Values "n_envs n_actions"."""
        return torch.cat([obs.sin(), obs.cos()], dim=-1)


def make_stepper(mode: AutoresetMode, n_envs: int = 2) -> Stepper:
    """Environments that count, with episodes of different lengths."""
    makers = [CountingEnv, lambda: CountingEnv((2, 5)), lambda: CountingEnv((1, 3))][:n_envs]
    return Stepper(gym.vector.SyncVectorEnv(makers, autoreset_mode=mode), seed=0)


def dqn_agent_cases(generator: torch.Generator) -> list[Case]:
    """Each autoreset mode; exploration that falls while the agent plays, and none."""
    runs = [
        ("epsilon falls", AutoresetMode.SAME_STEP, 3, (0.9, 0.1, 0.5, 40)),
        ("phantom steps", AutoresetMode.NEXT_STEP, 2, (1.0, 0.2, 0.8, 30)),
        ("resets by hand", AutoresetMode.DISABLED, 2, (0.7, 0.3, 1.0, 20)),
        ("no exploration", AutoresetMode.SAME_STEP, 2, (0.0, 0.0, 0.5, 20)),
    ]
    return [
        Case(
            label=label,
            call="stepper, buffer, q_network, start_e, end_e, exploration_fraction, total_timesteps, rng",
            given={"mode": mode, "n_envs": n_envs, "exploration": exploration},
        )
        for label, mode, n_envs, exploration in runs
    ]


def played(cls: Any, case: Case) -> Observations:
    """Twelve steps of an agent: what it chose, remembered and returned, and its epsilon."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass DQNAgent, without calling it.")
    stepper, buffer = make_stepper(case.given["mode"], case.given["n_envs"]), ReplayBuffer(200, (1,))
    q_network, rng = WavyValues(), np.random.default_rng(11)
    player = cls(stepper, buffer, q_network, *case.given["exploration"], rng)
    epsilons, episodes = [player.epsilon], []
    for _ in range(12):
        ended = player.play_step()
        if not isinstance(ended, list):
            raise Unfit(f"play_step must return stepper.finished(), a list of episodes: got {type(ended).__name__}.")
        episodes.append([(episode.env_idx, episode.length) for episode in ended])
        epsilons.append(float(player.epsilon))
    stored = buffer.read(torch.arange(len(buffer)))
    return {
        "steps of the environments": stepper.n_steps,
        "epsilon after each step": epsilons,
        "transitions stored": len(buffer),
        "stored obs": stored.obs[:, 0],
        "stored next_obs": stored.next_obs[:, 0],
        "stored actions": stored.actions,
        "stored terminated": stored.terminated,
        "episodes that each step returned": episodes,
        "the next number that rng draws": float(rng.random()),
    }


class AgentInOnePiece(agent.DQNAgent):
    """Stores what is real by hand."""

    def get_actions(self, obs: np.ndarray) -> np.ndarray:
        schedule = self.start_e, self.end_e, self.exploration_fraction, self.total_timesteps
        self.epsilon = linear_schedule(self.stepper.n_steps, *schedule)
        return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.epsilon)

    def play_step(self) -> Any:
        step = self.stepper.step(self.get_actions(self.stepper.obs))
        real, buffer = step.is_real, self.buffer
        assert isinstance(buffer, ReplayBuffer)
        buffer.store(
            step.obs[real], step.actions[real], step.rewards[real], step.terminated[real], step.next_obs[real], 1
        )
        return self.stepper.finished()


STORE = "self.buffer.add(transition)"
FIELDS = "transition.obs, transition.actions, transition.rewards, transition.terminated, transition.next_obs"
REAL_FIELDS = ", ".join(f"{field}[transition.is_real]" for field in FIELDS.split(", "))

test_dqn_agent = exercise(
    reference=agent.DQNAgent,
    cases=dqn_agent_cases,
    observe=played,
    keep=["__init__"],
    accepts=[AgentInOnePiece],
    name="dqn_agent",
    mistakes=[
        *instead_of(
            STORE,
            {
                "pass": (
                    "remembers nothing",
                    "without a memory there is nothing to learn from: buffer.add(transition)",
                ),
                f"self.buffer.store({FIELDS}, 1)": (
                    "stores phantom steps",
                    "buffer.add leaves out the steps that only start a new episode; store takes whatever it gets",
                ),
                f"self.buffer.store({REAL_FIELDS.replace('transition.next_obs', 'self.stepper.obs')}, 1)": (
                    "stores what waits for the next action as next_obs",
                    "after an end that is the next episode's first observation; transition.next_obs is what the step led to",
                ),
                f"self.buffer.store({REAL_FIELDS.replace('terminated', 'done')}, 1)": (
                    "takes truncation for termination",
                    "a truncated episode would have gone on: only termination makes what follows worth nothing",
                ),
                "self.buffer.add(transition)\n        self.buffer.add(transition)": (
                    "stores every transition twice",
                    "one step gives one transition for each environment",
                ),
            },
            within="DQNAgent.play_step",
        ),
        *instead_of(
            "return self.stepper.finished()",
            {
                "return []": ("returns no episodes", "stepper.finished() gives each episode once: return what it gave"),
            },
            within="DQNAgent.play_step",
        ),
        *instead_of(
            "transition = self.stepper.step(self.get_actions(self.stepper.obs))",
            {
                "transition = self.stepper.step(self.get_actions(self.stepper.obs))\n"
                "        transition = self.stepper.step(self.get_actions(self.stepper.obs))": (
                    "does two steps in one",
                    "each step that is done must be stored",
                ),
                "transition = self.stepper.step(self.get_actions(np.zeros_like(self.stepper.obs)))": (
                    "chooses actions without looking",
                    "actions are for stepper.obs, the observations that wait for them",
                ),
            },
        ),
        *instead_of(
            "        self.epsilon = linear_schedule(\n            self.stepper.n_steps,",
            {
                "        self.epsilon = linear_schedule(\n            0,": (
                    "never lets epsilon fall",
                    "the schedule is asked for the steps so far, stepper.n_steps",
                ),
                "        self.epsilon = linear_schedule(\n            self.total_timesteps,": (
                    "begins with end_e",
                    "the schedule is asked for the steps so far, stepper.n_steps",
                ),
                "        self.epsilon = linear_schedule(\n            self.stepper.n_steps // self.stepper.n_envs,": (
                    "counts one step for all environments together",
                    "stepper.n_steps counts the steps of all environments, as total_timesteps does",
                ),
                "        self.epsilon = linear_schedule(\n            self.stepper.n_steps + self.stepper.n_envs,": (
                    "asks for the epsilon of the next step",
                    "the steps so far are those before this one",
                ),
            },
        ),
        *instead_of(
            "return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.epsilon)",
            {
                "return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.start_e)": (
                    "always explores as at the start",
                    "epsilon is what the schedule says now",
                ),
                "return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, 0.0)": (
                    "never explores",
                    "with probability epsilon an action is random",
                ),
                "return epsilon_greedy_policy(\n"
                "            self.stepper.envs, self.q_network, np.random.default_rng(0), obs, self.epsilon\n        )": (
                    "makes a new generator at each call",
                    "a generator that begins anew draws the same numbers each time: use self.rng",
                ),
            },
        ),
    ],
)


def train_on_batch_cases(generator: torch.Generator) -> list[Case]:
    """Two optimizers; old gradients; weights; a gradient that is clipped."""
    runs: list[tuple[str, Any, bool, bool, float]] = [
        ("three steps of SGD", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5), False, False, 100.0),
        ("three steps of Adam, with weights", lambda p: torch.optim.Adam(p, lr=0.02), False, True, 100.0),
        ("gradients that were there before", lambda p: torch.optim.SGD(p, lr=0.05), True, False, 100.0),
        ("a gradient that is too long", lambda p: torch.optim.SGD(p, lr=0.3), False, True, 0.4),
    ]
    cases = []
    for label, optimizer, has_old, has_weights, norm in runs:
        batches = [make_batch(generator, has_weights) for _ in range(3)]
        given = {"optimizer": optimizer, "has_old": has_old, "norm": norm, "batches": batches}
        cases.append(Case(label=label, call=f"q_network, optimizer, batch, targets, {norm}", given=given))
    return cases


def make_batch(generator: torch.Generator, has_weights: bool) -> tuple[ReplayBatch, Tensor]:
    """Six transitions and their targets."""
    weights = torch.rand(6, generator=generator) + 0.3 if has_weights else None
    batch = ReplayBatch(
        obs=torch.randn(6, 3, generator=generator),
        actions=torch.randint(0, 2, (6,), generator=generator),
        rewards=torch.randn(6, generator=generator),
        terminated=torch.arange(6) == 2,
        next_obs=torch.randn(6, 3, generator=generator),
        n_ahead=torch.ones(6, dtype=torch.int64),
        rows=torch.arange(6),
        weights=weights,
    )
    return batch, 3 * torch.randn(6, generator=generator)


def three_updates(function: Callable[..., Any], case: Case) -> Observations:
    """Losses, errors and weights over three updates."""
    torch.manual_seed(3)
    first, last = nn.Linear(3, 5), nn.Linear(5, 2)
    network = nn.Sequential(first, nn.Tanh(), last)
    optimizer = case.given["optimizer"](network.parameters())
    if case.given["has_old"]:
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
    losses, errors = [], []
    for batch, aims in case.given["batches"]:
        loss, error = function(network, optimizer, batch, aims.clone(), case.given["norm"])
        losses.append(loss)
        errors.append(error)
    return {
        "loss of each update": [x.detach() if isinstance(x, Tensor) else x for x in losses],
        "errors of each update": [x.detach() if isinstance(x, Tensor) else x for x in errors],
        "a result carries a graph": any(getattr(x, "requires_grad", False) for x in losses + errors),
        "the network's bias afterwards": last.bias.detach().clone(),
        "the network's first weights afterwards": first.weight.detach().clone(),
    }


def train_by_hand(
    q_network: nn.Module, optimizer: torch.optim.Optimizer, batch: ReplayBatch, aims: Tensor, max_grad_norm: float
) -> Any:
    """Writes loss and clipping out."""
    q_network.zero_grad()
    errors = aims - q_network(batch.obs)[torch.arange(len(aims)), batch.actions]
    loss = (errors**2 * (1.0 if batch.weights is None else batch.weights)).mean()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in q_network.parameters() if p.grad is not None]).norm()
    for parameter in q_network.parameters():
        if parameter.grad is not None:
            parameter.grad *= min(1.0, max_grad_norm / (float(norm) + 1e-6))
    optimizer.step()
    return loss.detach(), errors.detach()


CLIP = "    nn.utils.clip_grad_norm_(q_network.parameters(), max_grad_norm)\n"
ORDER = "the order is: clear the gradients, backward, clip, step"

test_train_on_batch = exercise(
    reference=training.train_on_batch,
    cases=train_on_batch_cases,
    observe=three_updates,
    accepts=[train_by_hand],
    mistakes=[
        *instead_of(
            f"    optimizer.zero_grad()\n    loss.backward()\n{CLIP}    optimizer.step()\n",
            {
                f"    loss.backward()\n{CLIP}    optimizer.step()\n": (
                    "never clears the gradients",
                    "backward adds to what is there: without zero_grad each step also takes all earlier ones again",
                ),
                f"    loss.backward()\n{CLIP}    optimizer.step()\n    optimizer.zero_grad()\n": (
                    "clears the gradients only after the step",
                    "gradients may lie there before the call: clear them before backward",
                ),
                f"    loss.backward()\n    optimizer.zero_grad()\n{CLIP}    optimizer.step()\n": (
                    "doesn't change the weights",
                    f"the optimizer's step is missing, or the gradients were cleared before it: {ORDER}",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n": (
                    "doesn't clip the gradient before the step",
                    f"one surprising batch would throw the network far away; {ORDER}",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n"
                "    nn.utils.clip_grad_value_(q_network.parameters(), max_grad_norm)\n    optimizer.step()\n": (
                    "clips each entry by itself",
                    "the whole gradient is scaled down, so that its direction stays",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n    for parameter in q_network.parameters():\n"
                "        nn.utils.clip_grad_norm_([parameter], max_grad_norm)\n    optimizer.step()\n": (
                    "clips each parameter by itself",
                    "the norm is that of all parameters together, so that the gradient's direction stays",
                ),
                f"    optimizer.zero_grad()\n    (-loss).backward()\n{CLIP}    optimizer.step()\n": (
                    "climbs instead of descending",
                    "the optimizer already goes against the gradient",
                ),
            },
        ),
        *instead_of(
            "compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)",
            {
                "compute_td_loss(q_network(batch.next_obs), batch.actions, targets, batch.weights)": (
                    "takes the values of the next observations",
                    "the action was chosen for batch.obs, so it's the value there that was predicted",
                ),
                "compute_td_loss(q_network(batch.obs), batch.actions, targets)": (
                    "ignores the batch's weights",
                    "batch.weights say how much each transition counts",
                ),
                "compute_td_loss(q_network(batch.obs), batch.actions, batch.rewards, batch.weights)": (
                    "takes the rewards as targets",
                    "a target is the reward and the value of what follows; here the targets are given",
                ),
                "compute_td_loss(\n        q_network(batch.obs), q_network(batch.obs).argmax(-1), targets, batch.weights\n    )": (
                    "takes the best action in place of the one that was taken",
                    "the reward followed batch.actions",
                ),
            },
        ),
        *instead_of(
            "return loss.detach(), errors",
            {
                "return loss, errors": (
                    "returns the loss with its graph",
                    "the loss is detached; else a list of losses would keep every batch's activations in memory",
                ),
                "return errors, loss.detach()": ("swaps loss and errors", "the order is loss, errors"),
            },
        ),
        Mistake(
            "returns the loss after the step",
            "return loss.detach(), errors",
            "return compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)[0].detach(), errors",
            why="the result is the loss that the step was made from",
        ),
    ],
)
