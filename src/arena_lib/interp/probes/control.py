"""Control tasks: what a probe's accuracy would be if the model knew nothing of the labels.

A probe with many dimensions can learn by heart. A control task has the same inputs and labels that are
random, but fixed for each type (each word, each subject): whoever gets it right has memorised types.

Shapes:  types and labels "n_statements"; activations "n_statements d_model"
Raises:  ConfigError for no types, or labels that come out as one class; what the probe's `from_data` raises.
Source:  Hewitt and Liang 2019, arXiv:1909.03368, sections 2 and 3.
Differs: two classes, dealt out so that half of the types (or one more) are in class 1; there, labels are
         drawn in proportion to those of the task.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.probes.generalization import compute_accuracy


class Selectivity(NamedTuple):
    """How much better a probe does on the task than on a control task with the same inputs."""

    task_accuracy: float
    control_accuracy: float

    @property
    def selectivity(self) -> float:
        """Task accuracy less control accuracy."""
        return self.task_accuracy - self.control_accuracy


def make_control_labels(types: Sequence[Hashable], generator: torch.Generator) -> Int[Tensor, " n_statements"]:
    """A random label, 0 or 1, for each *type*: everything of the same type gets the same one.

    `types` says of each statement which type it is (its subject, its last word). Half of the different types
    get the label 1 (rounded up if they are odd in number), the others 0. Draw with `generator` which types get
    the 1. Returns one int64 label for each statement.
    """
    if not types:
        raise ConfigError("a control task needs at least one type: got none. Give one for each statement.")
    different = list(dict.fromkeys(types))
    order = torch.randperm(len(different), generator=generator)
    is_one = order < (len(different) + 1) // 2
    label_of = dict(zip(different, is_one.long().tolist(), strict=True))
    return torch.tensor([label_of[kind] for kind in types])


def compute_selectivity(
    acts: Float[Tensor, "n_statements d_model"],
    labels: Int[Tensor, " n_statements"],
    types: Sequence[Hashable],
    is_train: Tensor,
    probe_cls: type[Any],
    generator: torch.Generator,
) -> Selectivity:
    """Test accuracy of a probe on the task and of one on a control task, both fitted on the same statements.

    `is_train` ("n_statements", booleans, True for training) splits the statements; the types should occur on both
    sides, or the control task can't be learned at all. The control labels are `make_control_labels(types,
    generator)`, of all statements at once. A probe is `probe_cls.from_data(acts, labels)`, and says 1 where its
    probability is above 0.5. Returns a `Selectivity`, whose parts have names.
    """
    accuracies = []
    for wanted in (labels, make_control_labels(types, generator).to(labels.device)):
        probe = probe_cls.from_data(acts[is_train], wanted[is_train])
        accuracies.append(compute_accuracy(probe, acts[~is_train], wanted[~is_train]))
    return Selectivity(*accuracies)
