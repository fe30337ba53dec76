"""What learners hand in for the trainers: classes that build on their own parts, and methods that aren't there yet."""

import importlib
import inspect

from arena_lib.checking import run
from arena_lib.checking.mistakes import execute_again
from arena_lib.rlhf import grpo, ppo

judges = importlib.import_module("arena_lib.tests.rlhf")


def test_a_trainer_that_builds_on_a_learners_own_value_head_passes():
    source = inspect.getsource(ppo)
    own = source.replace("class RLHFTrainer(", "class TransformerWithValueHead:\n    pass\n\n\nclass RLHFTrainer(")
    assert own != source
    assert run(judges.test_rlhf_trainer, execute_again(own, ppo).RLHFTrainer).passed


class WithoutObjective(grpo.GrpoTrainer):
    def compute_rlhf_objective(self, minibatch):
        raise NotImplementedError


def test_a_trainer_whose_objective_is_still_to_be_written_has_not_failed():
    assert run(judges.test_grpo_trainer, WithoutObjective).status == "not_started"


class OnlyTheObjective(grpo.GrpoTrainer):
    def compute_rlhf_objective(self, minibatch):
        return super().compute_rlhf_objective(minibatch)[0]


def test_a_method_that_forgets_its_figures_is_told_what_to_return():
    result = run(judges.test_grpo_trainer, OnlyTheObjective)
    assert "the objective and a dictionary of figures" in str(result.message)
