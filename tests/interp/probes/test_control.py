import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.interp.probes import LRProbe, compute_selectivity, make_control_labels


def test_half_of_the_types_get_each_label_and_all_of_a_type_the_same():
    types = ["a", "b", "c", "a", "d", "b", "a", "e"]
    labels = make_control_labels(types, torch.Generator().manual_seed(0))
    by_type = dict(zip(types, labels.tolist(), strict=True))
    assert sum(by_type.values()) == 3
    assert [by_type[kind] for kind in types] == labels.tolist()


def test_wide_activations_can_be_learned_by_heart_and_narrow_ones_cannot():
    generator = torch.Generator().manual_seed(0)
    types = [f"type {i}" for i in range(24)] * 12
    of_type = {kind: torch.randn(60, generator=generator) for kind in types[:24]}
    acts = torch.stack([of_type[kind] for kind in types]) + 0.3 * torch.randn(len(types), 60, generator=generator)
    labels = torch.randint(0, 2, (len(types),), generator=generator)
    acts[:, 0] = 2.0 * labels
    is_train = torch.arange(len(types)) < 200

    def select(width):
        seeded = torch.Generator().manual_seed(1)
        return compute_selectivity(acts[:, :width], labels, types, is_train, LRProbe, seeded)

    wide, narrow = select(60), select(2)
    assert wide.control_accuracy > 0.95
    assert narrow.control_accuracy < 0.75
    assert narrow.task_accuracy == 1.0
    assert narrow.selectivity == narrow.task_accuracy - narrow.control_accuracy


def test_no_types():
    with pytest.raises(ConfigError, match="at least one type"):
        make_control_labels([], torch.Generator())
