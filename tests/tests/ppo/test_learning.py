"""What learners hand in for the trainer: figures under names of their own, and phases that end in the wrong way."""

import importlib

from arena_lib.checking import run
from arena_lib.rl.ppo.discrete import PPOTrainer
from arena_lib.rl.ppo.rollout import get_minibatch_indices

judges = importlib.import_module("arena_lib.tests.ppo")


class OwnFigures(PPOTrainer):
    """Logs the objective alone, and writes the learning phase out."""

    has_early_return = False

    def compute_ppo_objective(self, minibatch):
        objective, _ = super().compute_ppo_objective(minibatch)
        return objective, {"objective": objective.detach()}

    def learning_phase(self, batch):
        objectives, epochs = [], 0
        size = len(batch) // self.cfg.n_minibatches
        for _ in range(self.cfg.n_epochs):
            for idx in get_minibatch_indices(self.rng, len(batch), size)[: self.cfg.n_minibatches]:
                objective, figures = self.compute_ppo_objective(batch[idx])
                self._ascend(objective)
                objectives.append(float(figures["objective"]))
            epochs += 1
            if self.cfg.target_kl is not None and self.measure_kl(batch) > self.cfg.target_kl:
                if self.has_early_return:
                    return {"objective": sum(objectives) / len(objectives), "epochs": epochs}
                break
        self.scheduler.step()
        return {"objective": sum(objectives) / len(objectives), "epochs": epochs}


class EarlyReturn(OwnFigures):
    has_early_return = True


class PlainCritic(OwnFigures):
    def compute_ppo_objective(self, minibatch):
        clip_values = self.cfg.clip_values
        object.__setattr__(self.cfg, "clip_values", False)
        result = super().compute_ppo_objective(minibatch)
        object.__setattr__(self.cfg, "clip_values", clip_values)
        return result


def test_figures_may_have_any_names():
    assert run(judges.test_ppo_trainer, OwnFigures).passed


def test_a_phase_that_ends_early_without_the_schedulers_step_is_named():
    diagnosis = run(judges.test_ppo_trainer, EarlyReturn).diagnosis
    assert diagnosis.mistake == "leaves out the scheduler's step where a phase ends early"


def test_a_critic_that_is_never_clipped_is_named():
    assert run(judges.test_ppo_trainer, PlainCritic).diagnosis.mistake == "never clips the critic's change"
