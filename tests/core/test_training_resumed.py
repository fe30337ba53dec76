import errno
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from arena_lib.core.batches import ShuffledBatches, random_windows
from arena_lib.core.checkpoints import load_checkpoint, save_checkpoint
from arena_lib.core.manifest import find_commit
from arena_lib.core.training import Trainer, next_token_loss
from arena_lib.errors import CheckpointError, TrainingError
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config

toys = runpy.run_path(str(Path(__file__).with_name("training_toys.py")))
D_VOCAB = toys["D_VOCAB"]
SEQ = toys["SEQ"]
STREAM = toys["STREAM"]
EXAMPLES = toys["EXAMPLES"]
Tiny = toys["Tiny"]
configure = toys["configure"]
make_trainer = toys["make_trainer"]
weights = toys["weights"]
assert_same_weights = toys["assert_same_weights"]
StopAt = toys["StopAt"]
Killed = toys["Killed"]
kill = toys["kill"]
interrupt = toys["interrupt"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


# Stopping and going on


@pytest.mark.parametrize("missing", ["config", "random", "metrics", "n_summed"])
def test_a_checkpoint_of_another_version_is_refused_by_the_name_of_what_it_lacks(tmp_path, missing):
    make_trainer(tmp_path).train()
    tensors, state = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors=tensors, state={key: state[key] for key in state if key != missing})
    with pytest.raises(CheckpointError, match=rf"goes on from: KeyError\('{missing}'\).*resume=False"):
        make_trainer(tmp_path).train()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights, metrics and final random draws of a run without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = make_trainer(folder)
    summary = trainer.train()
    return weights(trainer), (folder / "metrics.csv").read_text(), draw_each(trainer), summary.metrics


def draw_each(trainer):
    generated = torch.rand(2, generator=trainer.generator).tolist()
    return [generated, torch.rand(2).tolist(), np.random.rand()]


def disturb():
    torch.rand(9)
    np.random.rand(4)


@pytest.mark.parametrize("stops", [[1], [5], [6], [7], [8], [22], [23], [4, 3, 9]])
def test_a_run_that_was_interrupted_ends_bit_by_bit_like_one_that_was_not(tmp_path, whole, stops):
    for stop in stops:
        trainer = make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), stop, interrupt))
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        disturb()
    trainer = make_trainer(tmp_path, model=Tiny(seed=99))
    summary = trainer.train()
    assert_same_weights(weights(trainer), whole[0])
    assert (tmp_path / "metrics.csv").read_text() == whole[1]
    assert draw_each(trainer) == whole[2]
    assert summary.metrics == whole[3]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [again["step"] for again in manifest["resumed"]] == [sum(stops[: n + 1]) for n in range(len(stops))]
    assert manifest["resumed"][-1]["versions"] == manifest["versions"]
    assert manifest["resumed"][-1]["commit"] == find_commit()


@pytest.mark.parametrize(("killed_at", "kept"), [(7, 6), (12, 6), (20, 18), (4, None)])
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path, whole, killed_at, kept):
    trainer = make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), killed_at, kill))
    with pytest.raises(Killed):
        trainer.train()
    disturb()
    if kept is None:
        assert not (tmp_path / "state.json").exists()
    else:
        assert load_checkpoint(tmp_path)[1]["step"] == kept
    trainer = make_trainer(tmp_path)
    trainer.train()
    assert_same_weights(weights(trainer), whole[0])
    assert (tmp_path / "metrics.csv").read_text() == whole[1]


def test_windows_and_frozen_parameters_go_on_bit_by_bit_too(tmp_path):
    def make(batches, folder):
        model = Tiny()
        model.unembed.requires_grad_(False)
        return Trainer(model, configure(), batches, folder=folder)

    whole = make(random_windows(STREAM, 3, SEQ), None)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        make(StopAt(random_windows(STREAM, 3, SEQ), 9, interrupt), tmp_path).train()
    trainer = make(random_windows(STREAM, 3, SEQ), tmp_path)
    trainer.train()
    assert_same_weights(weights(trainer), weights(whole))


def test_a_fast_form_goes_on_bit_by_bit_too(tmp_path):
    def make(folder, batches):
        torch.manual_seed(1)
        model = GPT2(GPT2Config(d_model=6, d_vocab=D_VOCAB, n_ctx=SEQ, n_layers=2, n_heads=2, d_head=3, d_mlp=5))
        return Trainer(model, configure(), batches, folder=folder)

    whole = make(None, ShuffledBatches(EXAMPLES, 3))
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, StopAt(ShuffledBatches(EXAMPLES, 3), 9, interrupt)).train()
    trainer = make(tmp_path, ShuffledBatches(EXAMPLES, 3))
    trainer.train()
    assert trainer.step == 23
    assert_same_weights(weights(trainer), weights(whole))


def test_time_that_is_up_stops_with_a_checkpoint(tmp_path, whole):
    steps = []
    while not steps or steps[-1] < 23:
        trainer = make_trainer(tmp_path)
        summary = trainer.train(max_seconds=0)
        steps.append(summary.step)
        assert summary.is_finished is (summary.step == 23)
        disturb()
    assert steps == list(range(1, 24))
    assert_same_weights(weights(trainer), whole[0])
    assert (tmp_path / "metrics.csv").read_text() == whole[1]
    assert make_trainer().train(max_seconds=600).is_finished


def test_training_a_finished_run_again_changes_nothing(tmp_path, whole):
    make_trainer(tmp_path).train()
    calls = []
    trainer = make_trainer(tmp_path, model=Tiny(seed=7), batches=StopAt(ShuffledBatches(EXAMPLES, 3), 1, calls.append))
    summary = trainer.train()
    assert (summary.step, summary.is_finished, summary.metrics) == (23, True, whole[3])
    assert not calls
    assert_same_weights(weights(trainer), whole[0])


def test_without_resume_a_run_starts_over(tmp_path, whole):
    make_trainer(tmp_path, n_steps=9).train()
    trainer = make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), 2, kill))
    with pytest.raises(Killed):
        trainer.train(resume=False)
    assert not (tmp_path / "state.json").exists()
    trainer = make_trainer(tmp_path)
    trainer.train(resume=False)
    assert_same_weights(weights(trainer), whole[0])
    assert (tmp_path / "metrics.csv").read_text() == whole[1]


def test_a_run_at_a_constant_rate_may_be_made_longer_and_no_other(tmp_path):
    steady = {"schedule": "constant", "log_every": 1, "eval_every": 3}
    whole = make_trainer(n_steps=14, **steady)
    whole.train()
    make_trainer(tmp_path / "steady", n_steps=9, **steady).train()
    longer = make_trainer(tmp_path / "steady", model=Tiny(seed=99), n_steps=14, **steady)
    assert longer.train().step == 14
    assert_same_weights(weights(longer), weights(whole))
    make_trainer(tmp_path / "cosine", n_steps=9).train()
    with pytest.raises(CheckpointError, match="n_steps is 9 there and 14 here"):
        make_trainer(tmp_path / "cosine", n_steps=14).train()


def test_checkpoints_come_when_they_are_due_and_at_the_end(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Trainer, "save", lambda self: saved.append(self.step))
    make_trainer(tmp_path).train()
    assert saved == [6, 12, 18, 23]
    saved.clear()
    make_trainer(tmp_path, checkpoint_every=None).train()
    assert saved == [23]
    saved.clear()
    make_trainer(tmp_path, n_steps=12).train()
    assert saved == [6, 12]


# Ctrl-C


def test_an_interrupt_says_where_the_checkpoint_is(tmp_path):
    trainer = make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), 5, interrupt))
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.train()
    assert f"stopped after 5 of 23 updates; the checkpoint is in {tmp_path}. Call train()" in str(caught.value)
    assert load_checkpoint(tmp_path)[1]["step"] == 5


def test_an_interrupt_without_a_folder_says_that_nothing_was_kept_and_the_same_trainer_can_go_on(whole):
    trainer = make_trainer(batches=StopAt(ShuffledBatches(EXAMPLES, 3), 5, interrupt))
    with pytest.raises(
        KeyboardInterrupt, match="5 of 23 updates; no checkpoint was kept, because the trainer has no folder"
    ):
        trainer.train()
    trainer.train()
    assert_same_weights(weights(trainer), whole[0])


@pytest.fixture
def takes_interrupts():
    """Python's own handler, also where a shell made this a background job, which ignores Ctrl-C."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


@pytest.mark.usefixtures("takes_interrupts")
def test_a_second_interrupt_acts_at_once_and_the_handler_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def twice():
        interrupt()
        interrupt()

    trainer = make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), 8, twice))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.step == 7
    assert load_checkpoint(tmp_path)[1]["step"] == 6
    assert signal.getsignal(signal.SIGINT) is before
    make_trainer(n_steps=4).train()
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread():
    trainer = make_trainer()
    thread = threading.Thread(target=trainer.train)
    thread.start()
    thread.join()
    assert trainer.step == 23


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_in_a_real_process_keeps_a_checkpoint(tmp_path):
    program = """
        import sys, torch
        from torch import nn
        from arena_lib.core.optimization import TrainingConfig
        from arena_lib.core.training import Trainer
        model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
        def batches(generator):
            print("batch", flush=True)
            return torch.randint(5, (2, 4), generator=generator)
        Trainer(model, TrainingConfig(n_steps=10**6), batches, folder=sys.argv[1]).train()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert "of 1000000 updates; the checkpoint is in" in errors
    assert load_checkpoint(tmp_path)[1]["step"] >= 1


# What cannot work


def test_a_checkpoint_of_another_configuration_names_the_fields_that_differ(tmp_path):
    make_trainer(tmp_path, n_steps=6).train()
    with pytest.raises(CheckpointError) as caught:
        make_trainer(tmp_path, n_steps=7, lr=0.01).train()
    message = str(caught.value)
    assert (
        f"checkpoint in {tmp_path}: config.n_steps is 6 there and 7 here; config.lr is 0.05 there and 0.01 here."
        in message
    )
    assert "give another folder, or call train(resume=False)" in message
    assert "seed" not in message


def test_a_checkpoint_of_another_model_names_what_differs(tmp_path):
    make_trainer(tmp_path, n_steps=6).train()
    with pytest.raises(
        CheckpointError, match=r"model\.width is 5 there and 4 here; .*model\.embed is '11 5' there and '11 4'"
    ):
        make_trainer(tmp_path, n_steps=6, model=Tiny(width=4)).train()
    with pytest.raises(CheckpointError, match=r": model\.p_dropout is 0\.2 there and 0\.1 here\. Use"):
        make_trainer(tmp_path, n_steps=6, model=Tiny(p_dropout=0.1)).train()
    other = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    with pytest.raises(
        CheckpointError, match=r"model\.class is 'Tiny' there and 'Sequential' here.*; and 10 more\. Use"
    ):
        make_trainer(tmp_path, n_steps=6, model=other).train()


def test_a_field_that_is_absent_on_one_side_is_named(tmp_path):
    make_trainer(tmp_path, n_steps=6).train()
    file = tmp_path / "state.json"
    record = json.loads(file.read_text())
    del record["state"]["config"]["warmup"]
    record["state"]["config"]["old"] = 1
    file.write_text(json.dumps(record))
    with pytest.raises(
        CheckpointError, match=r"config\.old is 1 there and 'absent' here; config\.warmup is 'absent' there"
    ):
        make_trainer(tmp_path, n_steps=6).train()


def test_what_does_not_alter_the_weights_may_change(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_trainer(tmp_path, batches=StopAt(ShuffledBatches(EXAMPLES, 3), 5, interrupt)).train()
    trainer = make_trainer(tmp_path, log_every=7, checkpoint_every=2)
    assert trainer.train().is_finished


def test_a_loss_that_is_not_finite_is_said_and_never_saved(tmp_path):
    def compute_loss(model, batch):
        return next_token_loss(model, batch) * (math.nan if model.n_seen >= 8 else 1)

    config = configure(log_every=100, checkpoint_every=1)
    trainer = Trainer(Tiny(), config, random_windows(STREAM, 2, SEQ), None, tmp_path, compute_loss)
    with pytest.raises(TrainingError, match=r"loss must stay finite: got nan by step 4\. Lower lr \(now 0\.05\)"):
        trainer.train()
    assert load_checkpoint(tmp_path)[1]["step"] == 3
    trainer = Trainer(Tiny(), configure(log_every=4), random_windows(STREAM, 2, SEQ), None, None, compute_loss)
    with pytest.raises(TrainingError, match="by step 4"):
        trainer.train()


def test_a_gradient_that_is_not_finite_is_said(tmp_path):
    def compute_loss(model, batch):
        return next_token_loss(model, batch) + (0 * model.bias.sum()).sqrt()  # the slope of a root at 0

    trainer = Trainer(Tiny(), configure(log_every=1), random_windows(STREAM, 2, SEQ), None, tmp_path, compute_loss)
    with pytest.raises(TrainingError, match=r"gradient's norm must stay finite: got nan by step 1\. Lower lr"):
        trainer.train()


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    def fill():
        def fail(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)

    config = configure(log_every=100, eval_every=None)  # no new column of metrics, which would be written anew
    trainer = Trainer(Tiny(), config, StopAt(ShuffledBatches(EXAMPLES, 3), 8, fill), folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"there is no space .* Free some space"):
        trainer.train()
    assert load_checkpoint(tmp_path)[1]["step"] == 6


def test_metrics_go_to_the_trackers_of_the_configuration(tmp_path, monkeypatch):
    from arena_lib.core import metrics

    opened = []

    class Spy:
        def log(self, step, values):
            opened.append(step)

        def close(self):
            opened.append("closed")

    monkeypatch.setattr(metrics, "find_spec", lambda name: object())
    monkeypatch.setattr(
        metrics, "make_tracker", lambda name, folder, config: opened.append((name, config["lr"])) or Spy()
    )
    config = configure(n_steps=8, trackers=("wandb",))
    Trainer(Tiny(), config, random_windows(STREAM, 2, SEQ), folder=tmp_path).train()
    assert opened == [("wandb", 0.05), 4, 8, "closed"]


def test_the_bar_of_a_resumed_run_starts_where_the_run_was(tmp_path, monkeypatch, capsys):
    make_trainer(tmp_path).train(max_seconds=0)
    monkeypatch.setenv("ARENA_QUIET", "0")
    make_trainer(tmp_path).train(max_seconds=0)
    lines = capsys.readouterr().err.split("\r")
    assert any("1/23" in line for line in lines)
    assert "2/23" in lines[-1]
