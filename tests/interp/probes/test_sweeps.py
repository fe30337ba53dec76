import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes import layer_sweep_accuracy
from arena_lib.tests.linear_probes.tiny_models import make_model, make_tokenizer

CATS = [
    f"{animal} {verb} {what} ." for animal in ("cats", "owls") for verb in ("see", "hear") for what in ("red", "green")
]
STATEMENTS = [text.replace(" .", f" {end}") for text in CATS for end in ("true", "false")]
LABELS = torch.tensor([1, 0] * len(CATS))


def test_what_the_last_token_says_is_found_at_every_layer():
    found = layer_sweep_accuracy(STATEMENTS, LABELS, make_model(), make_tokenizer(), [3, 0])
    assert found == {"train_acc": [1.0, 1.0], "test_acc": [1.0, 1.0]}


def test_seed_decides_the_split():
    labels = torch.tensor([0, 0, 1, 0, 1, 1, 0, 1] * 2)
    runs = [
        layer_sweep_accuracy(STATEMENTS, labels, make_model(), make_tokenizer(), [1], seed=seed)
        for seed in (0, 0, 1, 2, 3, 4)
    ]
    assert runs[0] == runs[1]
    assert any(run != runs[0] for run in runs[2:])


def test_share_that_leaves_nothing_to_test():
    with pytest.raises(ConfigError, match=r"train_frac must leave statements on both sides: got 1\.0 of 16"):
        layer_sweep_accuracy(STATEMENTS, LABELS, make_model(), make_tokenizer(), [0], train_frac=1.0)


def test_one_class():
    with pytest.raises(ConfigError, match="fitted on both classes"):
        layer_sweep_accuracy(STATEMENTS, torch.ones(16, dtype=torch.long), make_model(), make_tokenizer(), [0])


def test_too_few_labels():
    with pytest.raises(ShapeError, match="got 16 statements and 3 labels"):
        layer_sweep_accuracy(STATEMENTS, LABELS[:3], make_model(), make_tokenizer(), [0])
