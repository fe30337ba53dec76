"""What is seen of a trainer, and right trainers that are written differently, section 2.3."""

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.making import make_vector_env
from arena_lib.rl.environments.probes import Probe8
from arena_lib.rl.ppo import discrete, objectives
from arena_lib.rl.ppo.rollout import Batch, finish_rollout

__test__ = False


def moved(batch: Batch) -> Batch:
    """The same steps as if the policy and the critic had moved a good deal since."""
    offsets = torch.linspace(-0.6, 0.5, len(batch))
    return Batch(
        batch.obs, batch.actions, batch.logprobs + offsets, batch.advantages, batch.returns, batch.values - offsets
    )


def objective_seen(trainer: Any, minibatch: Batch) -> Observations:
    """The objective of a minibatch, and its gradient for the weights of both networks."""
    result = trainer.compute_ppo_objective(minibatch)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise Unfit("compute_ppo_objective must return the objective and a dictionary of figures, in this order.")
    objective = result[0]
    weights = [*trainer.actor.parameters(), *trainer.critic.parameters()]
    gradients = torch.autograd.grad(objective, weights, allow_unused=True) if objective.requires_grad else ()
    return {
        "objective of a minibatch whose ratios are from 0.6 to 1.8": objective.detach(),
        "norms of its gradient": [0.0 if gradient is None else float(gradient.norm()) for gradient in gradients],
    }


def relation(figures: Mapping[str, Any], of_minibatches: list[dict[str, Any]]) -> str:
    """What the figures of a phase are of those of its minibatches; the means where nobody asked for any."""
    lists = {name: [float(row[name]) for row in of_minibatches] for name in (of_minibatches or [{}])[0]}
    ways: dict[str, Callable[[list[float]], float]] = {
        "the means": lambda values: sum(values) / len(values),
        "the sums": sum,
        "the last ones": lambda values: values[-1],
        "the largest": max,
    }
    for words, way in ways.items():
        if all(name in figures and abs(float(figures[name]) - way(values)) < 1e-4 for name, values in lists.items()):
            return words
    return "something else"


def phases_seen(cls: Any, case: Case) -> Observations:
    """Two phases by hand: the batch of each, the weights after it, the figures and the learning rate."""
    cfg = case.given["cfg"]
    trainer = cls(cfg, partial(make_vector_env, Probe8, cfg.n_envs, mode=case.given["mode"]))
    compute, of_minibatches = trainer.compute_ppo_objective, list[dict[str, Any]]()

    def noted(minibatch: Batch) -> tuple[Tensor, dict[str, Any]]:
        objective, figures = compute(minibatch)
        of_minibatches.append(figures)
        return objective, figures

    seen: Observations = {}
    for phase in ("first", "second"):
        batch = trainer.rollout_phase()
        if not isinstance(batch, Batch):
            raise Unfit(f"rollout_phase must return a Batch: got {type(batch).__name__}.")
        seen[f"{phase} batch: actions"] = batch.actions.clone()
        seen[f"{phase} batch: returns"] = batch.returns.clone()
        if phase == "first":
            seen |= objective_seen(trainer, moved(batch))
            trainer.compute_ppo_objective = noted
        of_minibatches.clear()
        figures = trainer.learning_phase(batch)
        if not isinstance(figures, dict):
            raise Unfit(f"learning_phase must return a dictionary of figures: got {type(figures).__name__}.")
        seen[f"{phase} phase: epochs"] = float(figures.get("epochs", float("nan")))
        seen[f"{phase} phase: the figures are numbers"] = all(isinstance(value, Real) for value in figures.values())
        seen[f"{phase} phase: what its figures are of those of its minibatches"] = relation(figures, of_minibatches)
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

    def compute_ppo_objective(self, minibatch: Batch) -> tuple[Tensor, dict[str, Any]]:
        """Adds the terms in another order, and logs under names of its own."""
        cfg, data = self.cfg, minibatch
        dist, values = self.get_dist(data.obs), self.critic(data.obs).flatten()
        loss = (
            objectives.calc_clipped_value_function_loss(values, data.values, data.returns, cfg.clip_coef, cfg.vf_coef)
            if cfg.clip_values
            else objectives.calc_value_function_loss(values, data.returns, cfg.vf_coef)
        )
        bonus = objectives.calc_entropy_bonus(dist, cfg.ent_coef)
        policy = objectives.calc_clipped_surrogate_objective(
            dist, data.actions, data.advantages, data.logprobs, cfg.clip_coef
        )
        return bonus - loss + policy, {"policy": float(policy), "critic": float(loss), "bonus": bonus.detach()}

    def learning_phase(self, batch: Batch) -> dict[str, float]:
        """Learn."""
        cfg, rows, n_epochs = self.cfg, [], 0
        while n_epochs < cfg.n_epochs:
            n_epochs += 1
            size = len(batch) // cfg.n_minibatches
            order = self.rng.permutation(len(batch))  # as get_minibatch_indices does it
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
                break
        self.scheduler.step()
        means = {name: sum(float(row[name]) for row in rows) / len(rows) for name in rows[0]}
        return {**means, "epochs": float(n_epochs)}


METHODS = ("rollout_phase", "compute_ppo_objective", "learning_phase")

TrainerOfItsOwn = type(
    "TrainerOfItsOwn",
    (),
    {
        **{
            name: part
            for name, part in vars(discrete.PPOTrainer).items()
            if name == "__init__" or not name.startswith("__")
        },
        **{name: vars(TrainerAnew)[name] for name in METHODS},
    },
)
"""One that inherits from nothing of ours: everything that a learner is given stands in the class itself."""
