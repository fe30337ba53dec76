"""Judges of the schedule and of the trainer, section 2.3."""

from functools import partial
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.probes import Probe8
from arena_lib.rl.ppo import discrete, scheduling
from arena_lib.rl.ppo.rollout import Batch, finish_rollout

__test__ = False


def schedule_cases(generator: torch.Generator) -> list[Case]:
    """Falling to zero and to something else, and rising."""
    return [
        Case(label=label, call=f"optimizer, {start}, {end}, {phases}", given={"settings": (start, end, phases)})
        for label, start, end, phases in [
            ("falls to 0", 8.0, 0.0, 4),
            ("falls to another rate", 3.0, 1.0, 5),
            ("one phase", 2.0, 0.5, 1),
        ]
    ]


def rates_seen(cls: Any, case: Case) -> Observations:
    """The rate of both groups of parameters at the start and after each call, two more calls than phases."""
    initial_lr, end_lr, total_phases = case.given["settings"]
    groups = [{"params": [torch.zeros(n, requires_grad=True)]} for n in (1, 2)]
    optimizer = torch.optim.SGD(groups, lr=initial_lr)
    scheduler = cls(optimizer, initial_lr, end_lr, total_phases)
    rates = [[float(group["lr"]) for group in optimizer.param_groups]]
    for _ in range(total_phases + 2):
        scheduler.step()
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
    return {"learning rates": torch.tensor(rates), "n_step_calls": int(scheduler.n_step_calls)}


class SchedulerAnew(scheduling.PPOScheduler):
    """Mixes both ends."""

    def step(self) -> None:
        """One phase."""
        self.n_step_calls = self.n_step_calls + 1
        k = min(self.n_step_calls, self.total_phases)
        lr = ((self.total_phases - k) * self.initial_lr + k * self.end_lr) / self.total_phases
        for i in range(len(self.optimizer.param_groups)):
            self.optimizer.param_groups[i]["lr"] = lr


test_ppo_scheduler = exercise(
    reference=scheduling.PPOScheduler,
    cases=schedule_cases,
    observe=rates_seen,
    keep=["__init__"],
    accepts=[SchedulerAnew],
    mistakes=[
        *(
            Mistake(name, old, new, why=why, within="PPOScheduler.step")
            for name, old, new, why in [
                (
                    "is one phase late",
                    "share_done = min(self.n_step_calls / self.total_phases, 1.0)",
                    "share_done = min((self.n_step_calls - 1) / self.total_phases, 1.0)",
                    "after the first phase the rate has fallen once: count the call first",
                ),
                (
                    "goes on falling after the last phase",
                    "min(self.n_step_calls / self.total_phases, 1.0)",
                    "self.n_step_calls / self.total_phases",
                    "after the last phase the rate stays at end_lr",
                ),
                (
                    "changes the first group only",
                    "for group in self.optimizer.param_groups:",
                    "for group in self.optimizer.param_groups[:1]:",
                    "every group of parameters gets the rate",
                ),
                (
                    "falls in a curve",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "share_done**2 * (self.end_lr - self.initial_lr)",
                    "the rate falls in a straight line",
                ),
                (
                    "rises instead of falling",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "self.end_lr + share_done * (self.initial_lr - self.end_lr)",
                    "it begins at initial_lr and ends at end_lr",
                ),
                (
                    "multiplies the rate of the group again and again",
                    'group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)',
                    'group["lr"] *= 1.0 - share_done * (1.0 - self.end_lr / self.initial_lr)',
                    "the rate follows from the count alone, not from the rate before",
                ),
                (
                    "takes end_lr for 0",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "share_done * -self.initial_lr",
                    "the line ends at end_lr",
                ),
            ]
        ),
        Mistake(
            "never counts",
            "        self.n_step_calls += 1\n",
            "        self.n_step_calls = 1\n",
            why="each call counts one phase more",
            within="PPOScheduler.step",
        ),
    ],
)


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Settings that differ in what the phases read from them."""
    settings = {"env_id": "arena/Probe8-v0", "n_envs": 3, "n_steps": 8, "n_epochs": 2, "n_minibatches": 2, "lr": 0.01}
    changes: dict[str, dict[str, Any]] = {
        "two epochs of two minibatches": {},
        "a gradient that is clipped": {"max_grad_norm": 0.01, "n_epochs": 1},
        "a target that ends the phase early": {"target_kl": 1e-7, "n_epochs": 5, "seed": 1},
        "a target that is never reached": {"target_kl": 10.0, "n_epochs": 3, "seed": 3},
        "clipped values": {"clip_values": True, "clip_coef": 0.01, "seed": 2, "n_epochs": 3},
        "other coefficients": {"ent_coef": 0.5, "vf_coef": 0.1, "gamma": 0.5, "gae_lambda": 0.3, "n_minibatches": 3},
    }
    return [
        Case(
            label=label,
            call=", ".join(f"{name}={value}" for name, value in changed.items()) or "the cfg",
            given={"cfg": discrete.PPOConfig(**{**settings, "total_timesteps": 240, **changed})},
        )
        for label, changed in changes.items()
    ]


def phases_seen(cls: Any, case: Case) -> Observations:
    """Two phases by hand: the batch of each, the weights after it, the figures and the learning rate."""
    cfg = case.given["cfg"]
    trainer = cls(cfg, partial(make_vector_env, Probe8, cfg.n_envs))
    seen: Observations = {}
    for phase in ("first", "second"):
        batch = trainer.rollout_phase()
        if not isinstance(batch, Batch):
            raise Unfit(f"rollout_phase must return a Batch: got {type(batch).__name__}.")
        seen[f"{phase} batch: actions"] = batch.actions.clone()
        seen[f"{phase} batch: returns"] = batch.returns.clone()
        figures = trainer.learning_phase(batch)
        if not isinstance(figures, dict):
            raise Unfit(f"learning_phase must return a dictionary of figures: got {type(figures).__name__}.")
        seen[f"{phase} phase: epochs"] = float(figures.get("epochs", float("nan")))
        seen[f"{phase} phase: mean objective"] = float(
            figures["surrogate"] - figures["value_loss"] + figures["entropy"]
        )
        seen[f"{phase} phase: weights of the actor"] = [p.detach().clone() for p in trainer.actor.parameters()]
        seen[f"{phase} phase: weights of the critic"] = [p.detach().clone() for p in trainer.critic.parameters()]
        seen[f"{phase} phase: learning rate"] = float(trainer.optimizer.param_groups[0]["lr"])
    return seen


class TrainerAnew(discrete.PPOTrainer):
    """Writes both phases out."""

    def rollout_phase(self) -> Batch:
        """Act."""
        agent, cfg = self.agent, self.cfg
        agent.start_rollout()
        while not agent.rollout.is_full:
            agent.play_step()
        return finish_rollout(agent.rollout, self.critic, self.compute_logprobs, cfg.gamma, cfg.gae_lambda)

    def learning_phase(self, batch: Batch) -> dict[str, float]:
        """Learn."""
        cfg, rows, n_epochs = self.cfg, [], 0
        while n_epochs < cfg.n_epochs:
            n_epochs += 1
            size = len(batch) // cfg.n_minibatches
            order = self.rng.permutation(len(batch))
            for start in range(0, size * cfg.n_minibatches, size):
                objective, figures = self.compute_ppo_objective(batch[order[start : start + size]])
                loss = -objective
                for parameter in self.parameters:
                    parameter.grad = None
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.parameters, cfg.max_grad_norm)
                self.optimizer.step()
                rows.append(figures)
            if cfg.target_kl is not None and self.measure_kl(batch) > cfg.target_kl:
                n_epochs, ended = n_epochs + cfg.n_epochs, n_epochs
                n_epochs = ended
                break
        self.scheduler.step()
        means = {name: sum(float(row[name]) for row in rows) / len(rows) for name in rows[0]}
        return {**means, "epochs": float(n_epochs)}


KEPT = [
    "__init__",
    "_make_stepper",
    "_make_networks",
    "_make_agent",
    "get_dist",
    "compute_logprobs",
    "_ascend",
    "measure_kl",
    "train_phase",
    "train",
    "get_state",
    "set_state",
    "policy",
]
"""What a learner gets: the parts that only wire things."""


def in_method(method: str, old: str, wrong: dict[str, tuple[str, ...]]) -> tuple[Mistake, ...]:
    """Mistakes in one method of the trainer."""
    return instead_of(old, wrong, within=f"PPOTrainer.{method}")


test_ppo_trainer = exercise(
    reference=discrete.PPOTrainer,
    cases=trainer_cases,
    observe=phases_seen,
    keep=KEPT,
    accepts=[TrainerAnew],
    equivalent={
        "calc_value_function_loss(values, minibatch.returns, cfg.vf_coef)": "a squared distance is the same both ways",
        "self.measure_kl(batch) > self.cfg.target_kl -> self.measure_kl(batch) >= self.cfg.target_kl": (
            "the two are never equal"
        ),
    },
    mistakes=[
        *in_method(
            "compute_ppo_objective",
            "return surrogate - value_loss + entropy, figures",
            {
                "return surrogate + value_loss + entropy, figures": (
                    "adds the critic's loss",
                    "a loss is to be made small, so it's subtracted from what is to be made large",
                ),
                "return surrogate - value_loss - entropy, figures": (
                    "subtracts the entropy bonus",
                    "the bonus rewards a policy that stays undecided, so it's added",
                ),
                "return surrogate - value_loss, figures": (
                    "leaves out the entropy bonus",
                    "without it the policy may stop trying things too early",
                ),
                "return surrogate + entropy, figures": ("leaves out the critic's loss", "the critic must learn too"),
                "return -(surrogate - value_loss + entropy), figures": (
                    "returns a loss",
                    "the objective is to be made large; _ascend turns it round",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "values, minibatch.values, minibatch.returns, cfg.clip_coef",
            {
                "values, minibatch.returns, minibatch.values, cfg.clip_coef": (
                    "swaps old values and returns",
                    "the change is clipped around the old values, and compared with the returns",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "minibatch.advantages, minibatch.logprobs",
            {
                "minibatch.returns, minibatch.logprobs": (
                    "follows the returns instead of the advantages",
                    "what counts is how much better an action was than expected",
                ),
                "minibatch.advantages, dist.log_prob(minibatch.actions).detach()": (
                    "compares the policy with itself",
                    "the ratio compares with the policy that acted: minibatch.logprobs",
                ),
            },
        ),
        *in_method(
            "rollout_phase",
            "        self.agent.start_rollout()\n        for _ in range(self.cfg.n_steps):",
            {
                "        self.agent.start_rollout()\n        for _ in range(self.cfg.n_steps // 2):": (
                    "plays too few steps",
                    "a rollout has n_steps steps of each environment",
                ),
                "        if self.agent.rollout.is_full:\n            self.agent.rollout.clear()\n"
                "        for _ in range(self.cfg.n_steps):": (
                    "uses the same noise for every rollout",
                    "start_rollout clears the rollout and draws new noise",
                ),
            },
        ),
        *in_method(
            "rollout_phase",
            "self.cfg.gamma, self.cfg.gae_lambda",
            {"self.cfg.gae_lambda, self.cfg.gamma": ("swaps gamma and gae_lambda", "gamma comes first")},
        ),
        *in_method(
            "learning_phase",
            "for _ in range(self.cfg.n_epochs):",
            {
                "for _ in range(1):": ("learns from each rollout only once", "there are n_epochs epochs"),
                "for _ in range(self.cfg.n_epochs + 1):": ("makes one epoch too many", "there are n_epochs epochs"),
            },
        ),
        *in_method(
            "learning_phase",
            "batch[idx]",
            {"batch": ("learns from the whole batch each time", "each step is made from one minibatch: batch[idx]")},
        ),
        *in_method(
            "learning_phase",
            "self.measure_kl(batch) > self.cfg.target_kl",
            {
                "self.measure_kl(batch) < self.cfg.target_kl": (
                    "ends the phase while the policy is near",
                    "the phase ends once the policy has moved further than the target",
                ),
                "False": ("never ends a phase early", "beyond target_kl the phase ends"),
            },
        ),
        *in_method(
            "learning_phase",
            "        self.scheduler.step()\n",
            {"": ("never lowers the learning rate", "each learning phase ends with the scheduler's step")},
        ),
        Mistake(
            "lowers the learning rate in each epoch",
            "            n_epochs += 1\n",
            "            n_epochs += 1\n            self.scheduler.step()\n",
            why="the scheduler steps once for each phase",
            within="PPOTrainer.learning_phase",
        ),
    ],
)
