import pytest

from arena_lib.core.metrics import METRICS_FILE, read_metrics
from arena_lib.errors import UnknownNameError
from arena_lib.fundamentals.optimizers.experiments import (
    TrackedTrainer,
    TrackedTrainingArgs,
    compute_accuracy,
    make_mlp,
    make_moons,
)


def test_every_loss_and_every_accuracy_is_on_disk(tmp_path):
    train_set, test_set = make_moons(300), make_moons(100, seed=1)
    model = make_mlp(2, 16, 2)
    args = TrackedTrainingArgs(learning_rate=0.03, batch_size=32, n_epochs=6)
    accuracy = TrackedTrainer(args, model, train_set, test_set, tmp_path).train()
    rows = read_metrics(tmp_path / METRICS_FILE)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 6 * 10
    assert losses[-1] < losses[0]
    assert [row["accuracy"] for row in rows if "accuracy" in row][-1] == pytest.approx(accuracy)
    assert accuracy == pytest.approx(compute_accuracy(model, *test_set))
    assert accuracy > 0.8


def test_an_unknown_tracker_is_refused(tmp_path):
    trainer = TrackedTrainer(
        TrackedTrainingArgs(), make_mlp(2, 3, 2), make_moons(8), make_moons(8), tmp_path, ("paper",)
    )
    with pytest.raises(UnknownNameError, match="paper"):
        trainer.train()
