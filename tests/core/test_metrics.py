import sys
from types import SimpleNamespace

import pytest

from arena_lib.core import metrics
from arena_lib.core.metrics import MetricsLog, check_trackers, read_metrics
from arena_lib.errors import MissingDependencyError, UnknownNameError


def test_rows_are_on_disk_at_once_and_a_late_metric_gets_a_column(tmp_path):
    with MetricsLog(tmp_path / "run") as log:
        log.log(1, {"loss": 0.5})
        assert log.path.read_text() == "step,loss\n1,0.5\n"
        log.log(2, {"loss": 0.25, "accuracy": 1})
        log.log(3, {"accuracy": 0.1 + 0.2})
    assert log.path == tmp_path / "run" / "metrics.csv"
    assert log.path.read_text() == "step,loss,accuracy\n1,0.5,\n2,0.25,1.0\n3,,0.30000000000000004\n"
    assert read_metrics(log.path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25, "accuracy": 1.0},
        {"step": 3, "accuracy": 0.1 + 0.2},
    ]


def test_a_name_with_a_comma_and_values_that_are_not_finite(tmp_path):
    with MetricsLog(tmp_path) as log:
        log.log(1, {"a,b": float("inf"), "c": float("nan")})
    row = read_metrics(log.path)[0]
    assert row["a,b"] == float("inf")
    assert row["c"] != row["c"]


def test_a_resumed_log_keeps_the_rows_up_to_its_step(tmp_path):
    with MetricsLog(tmp_path) as log:
        for step in (5, 10, 15):
            log.log(step, {"loss": step / 2, **({"late": 1.0} if step == 15 else {})})
    with log.path.open("a") as stream:
        stream.write("2")  # the beginning of "20,..." when the run was killed
    with MetricsLog(tmp_path, resume_step=10) as log:
        log.log(12, {"loss": 9.0})
    assert log.path.read_text() == "step,loss\n5,2.5\n10,5.0\n12,9.0\n"
    with MetricsLog(tmp_path, resume_step=0):
        assert read_metrics(log.path) == []


def test_a_new_log_starts_empty(tmp_path):
    for _ in range(2):
        with MetricsLog(tmp_path) as log:
            log.log(1, {"loss": 1.0})
    assert len(read_metrics(log.path)) == 1


def test_resuming_without_a_file_starts_one(tmp_path):
    MetricsLog(tmp_path, resume_step=4).close()
    assert (tmp_path / "metrics.csv").read_text() == "step\n"


def test_an_unknown_tracker_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no tracker is called 'tensorbord'\. Did you mean 'tensorboard'"):
        check_trackers(["tensorbord"])


def test_a_tracker_that_is_not_installed_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(MissingDependencyError, match=rf"logging to {name} needs .*arena-lib\[tracking\]"):
            MetricsLog(tmp_path, trackers=[name])
    assert not (tmp_path / "metrics.csv").exists()


class Calls(list):
    def note(self, name):
        return lambda *args, **kwargs: self.append((name, args, kwargs))


def test_weights_and_biases_gets_config_values_and_its_end(monkeypatch, tmp_path):
    calls = Calls()
    run = SimpleNamespace(log=calls.note("log"), finish=calls.note("finish"))
    fake = SimpleNamespace(init=lambda **kwargs: calls.append(("init", (), kwargs)) or run)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(metrics, "find_spec", lambda name: object())
    with MetricsLog(tmp_path, trackers=["wandb"], config={"lr": 0.1}) as log:
        log.log(4, {"loss": 0.5})
    log.close()
    assert calls == [
        ("init", (), {"dir": str(tmp_path), "config": {"lr": 0.1}}),
        ("log", ({"loss": 0.5},), {"step": 4}),
        ("finish", (), {}),
    ]


def test_tensorboard_gets_each_value_and_its_end(monkeypatch, tmp_path):
    calls = Calls()

    def open_writer(folder):
        calls.append(("open", (folder,), {}))
        return SimpleNamespace(add_scalar=calls.note("add"), close=calls.note("close"))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=open_writer))
    monkeypatch.setattr(metrics, "find_spec", lambda name: object())
    with MetricsLog(tmp_path, trackers=["tensorboard"]) as log:
        log.log(4, {"loss": 0.5, "accuracy": 0.75})
    assert calls == [
        ("open", (str(tmp_path / "tensorboard"),), {}),
        ("add", ("loss", 0.5, 4), {}),
        ("add", ("accuracy", 0.75, 4), {}),
        ("close", (), {}),
    ]
