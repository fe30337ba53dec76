import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from arena_lib.core.checkpoints import load_checkpoint
from arena_lib.core.manifest import find_commit
from arena_lib.core.metrics import read_metrics
from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.transformer.batches import Batch, ShuffledBatches, random_windows
from arena_lib.transformer.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.lesson import Config, DemoTransformer
from arena_lib.transformer.lesson_training import TransformerTrainer, TransformerTrainingArgs
from arena_lib.transformer.loss import cross_entropy_next_token
from arena_lib.transformer.optimization import TrainingConfig, compute_lr
from arena_lib.transformer.training import Trainer, next_token_loss

D_VOCAB, SEQ = 11, 7
STREAM = torch.randint(D_VOCAB, (60,), generator=make_generator(5))
EXAMPLES = torch.randint(D_VOCAB, (10, SEQ), generator=make_generator(6))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


@dataclass(frozen=True)
class TinyConfig:
    width: int = 5
    p_dropout: float = 0.2


class Tiny(nn.Module):
    """Tokens to logits, with the random states of torch and numpy (`random` is also drawn from by beartype)."""

    def __init__(self, width: int = 5, p_dropout: float = 0.2, seed: int = 0):
        super().__init__()
        generator = make_generator(seed)
        self.config = TinyConfig(width, p_dropout)
        self.embed = nn.Parameter(torch.randn(D_VOCAB, width, generator=generator))
        self.unembed = nn.Parameter(torch.randn(width, D_VOCAB, generator=generator))
        self.bias = nn.Parameter(torch.zeros(D_VOCAB))
        self.register_buffer("n_seen", torch.zeros((), dtype=torch.long))

    def forward(self, tokens):
        x = F.dropout(self.embed[tokens], self.config.p_dropout, self.training)
        if self.training:
            self.n_seen += len(tokens)
            x = x * (1 + 0.01 * np.random.rand())
        return x @ self.unembed + self.bias


def configure(**changes):
    return TrainingConfig(
        **{"n_steps": 23, "lr": 0.05, "warmup": 3, "log_every": 4, "checkpoint_every": 6, "eval_every": 8, "seed": 3}
        | changes
    )


def evaluate(model):
    assert not model.training
    assert not torch.is_grad_enabled()
    return {"loss": float(next_token_loss(model, Batch(EXAMPLES))), "noise": float(torch.rand(()))}


def make_trainer(folder=None, model=None, batches=None, **changes):
    batches = batches or ShuffledBatches(EXAMPLES, 3)
    return Trainer(model or Tiny(), configure(**changes), batches, evaluate, folder)


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


class StopAt:
    """Hands on the batches of another source; before batch number `at` it calls `do`."""

    def __init__(self, batches, at, do):
        self.batches, self.at, self.do, self.n = batches, at, do, 0
        if hasattr(batches, "state_dict"):
            self.state_dict, self.load_state_dict = batches.state_dict, batches.load_state_dict

    def __call__(self, generator):
        self.n += 1
        if self.n == self.at:
            self.do()
        return self.batches(generator)


class Killed(Exception):
    """Stands for a run that ends without a word."""


def kill():
    raise Killed


def interrupt():
    signal.raise_signal(signal.SIGINT)


# The loss


def test_loss_is_the_plain_cross_entropy_of_the_next_token():
    model = Tiny(p_dropout=0.0).eval()
    expected = cross_entropy_next_token(model(EXAMPLES), EXAMPLES)
    torch.testing.assert_close(next_token_loss(model, Batch(EXAMPLES)), expected)


def test_loss_counts_the_targets_where_the_mask_is_true():
    model = Tiny().eval()
    mask = torch.zeros(10, SEQ, dtype=torch.bool)
    mask[2, 4] = mask[7, 1] = mask[:, 0] = True  # the first position has nothing before it and never counts
    logprobs = model(EXAMPLES).log_softmax(-1)
    expected = -(logprobs[2, 3, EXAMPLES[2, 4]] + logprobs[7, 0, EXAMPLES[7, 1]]) / 2
    torch.testing.assert_close(next_token_loss(model, Batch(EXAMPLES, mask)), expected)


def test_loss_takes_int32_tokens_and_computes_in_float32():
    model = Tiny().eval().bfloat16()
    loss = next_token_loss(model, Batch(EXAMPLES.int()))
    assert loss.dtype == torch.float32


# One update


def test_an_update_is_adamw_with_clipping_by_the_norm_of_the_whole_gradient():
    config = configure(grad_clip=0.1, weight_decay=0.2, warmup=0, schedule="constant")
    trainer = Trainer(Tiny(p_dropout=0.0).eval(), config, random_windows(STREAM, 3, SEQ))
    model = Tiny(p_dropout=0.0).eval()
    groups = [
        {"params": [model.embed, model.unembed], "weight_decay": 0.2},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps)
    for step in range(4):
        batch = EXAMPLES[step : step + 3]
        loss = next_token_loss(model, Batch(batch))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
        assert norm > 0.1
        for parameter in model.parameters():
            parameter.grad *= 0.1 / norm
        optimizer.step()
        torch.testing.assert_close(trainer.training_step(batch), loss)
        torch.testing.assert_close(trainer._grad_norm, norm)
    assert trainer.step == 4
    torch.testing.assert_close(dict(trainer.model.named_parameters()), dict(model.named_parameters()))


def test_a_small_gradient_is_not_clipped():
    model = Tiny(p_dropout=0.0).eval()
    trainer = Trainer(model, configure(grad_clip=1e6), random_windows(STREAM, 3, SEQ))
    trainer.training_step(EXAMPLES)
    clipped = [parameter.grad.clone() for parameter in model.parameters()]
    free = Trainer(Tiny(p_dropout=0.0).eval(), configure(grad_clip=None), random_windows(STREAM, 3, SEQ))
    free.training_step(EXAMPLES)
    assert all(torch.equal(one, other.grad) for one, other in zip(clipped, free.model.parameters(), strict=True))
    assert free._grad_norm is None


def test_the_trainer_makes_the_updates_of_the_plain_one():
    sizes = Config(d_model=6, d_vocab=D_VOCAB, n_ctx=SEQ, n_layers=2, n_heads=2, d_head=3, d_mlp=5)
    torch.manual_seed(0)
    model, plain_model = DemoTransformer(sizes), DemoTransformer(sizes)
    plain_model.load_state_dict(model.state_dict())
    args = TransformerTrainingArgs(lr=1e-2, weight_decay=0.0)
    plain = TransformerTrainer(args, plain_model, EXAMPLES, EXAMPLES)
    config = TrainingConfig(
        n_steps=9, lr=1e-2, weight_decay=0.0, betas=(0.9, 0.999), grad_clip=None, schedule="constant"
    )
    trainer = Trainer(model, config, random_windows(STREAM, 3, SEQ))
    for step in range(5):
        batch = EXAMPLES[step : step + 4]
        torch.testing.assert_close(trainer.training_step(batch), plain.training_step({"tokens": batch}))
    torch.testing.assert_close(model.state_dict(), plain_model.state_dict(), rtol=1e-4, atol=1e-5)


def test_a_bar_shows_updates_and_the_latest_losses(monkeypatch, capsys):
    monkeypatch.setenv("ARENA_QUIET", "0")
    trainer = make_trainer()
    trainer.train()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "training: 100%" in last
    assert "23/23" in last
    assert f"loss={trainer.metrics['loss']:.4g}, eval_loss={trainer.metrics['eval_loss']:.4g}" in last


def test_the_bar_of_a_resumed_run_starts_where_the_run_was(tmp_path, monkeypatch, capsys):
    make_trainer(tmp_path).train(max_seconds=0)
    monkeypatch.setenv("ARENA_QUIET", "0")
    make_trainer(tmp_path).train(max_seconds=0)
    lines = capsys.readouterr().err.split("\r")
    assert any("1/23" in line for line in lines)
    assert "2/23" in lines[-1]


def test_a_model_is_described_by_class_configuration_and_shapes():
    sizes = Config(d_model=6, d_vocab=D_VOCAB, n_ctx=SEQ, n_layers=1, n_heads=2, d_head=3, d_mlp=5)
    described = Trainer(DemoTransformer(sizes), configure(), random_windows(STREAM, 2, SEQ))._describe_model()
    assert described["class"] == "DemoTransformer"
    assert described["d_mlp"] == 5
    assert described["blocks.0.attn.W_Q"] == "2 6 3"
    model = Tiny()
    model.config = TinyConfig(width=torch.float64)  # what JSON lacks is kept as its text
    assert Trainer(model, configure(), random_windows(STREAM, 2, SEQ))._describe_model()["width"] == "torch.float64"


def test_a_loss_of_ones_own_is_used():
    calls = []

    def compute_loss(model, batch):
        calls.append(batch)
        return model.bias.sum() * 2

    trainer = Trainer(Tiny(), configure(grad_clip=None), random_windows(STREAM, 2, SEQ), compute_loss=compute_loss)
    mask = torch.ones(2, SEQ, dtype=torch.bool)
    trainer.training_step(Batch(EXAMPLES[:2], mask))
    assert torch.equal(trainer.model.bias.grad, torch.full((D_VOCAB,), 2.0))
    assert trainer.model.embed.grad is None
    assert torch.equal(calls[0].mask, mask)


@pytest.mark.parametrize(("dtype", "product"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_computes_products_in_the_dtype_and_keeps_float32_weights(dtype, product):
    seen = []

    class Spy(Tiny):
        def forward(self, tokens):
            seen.append((self.embed[tokens] @ self.unembed).dtype)
            return super().forward(tokens)

    trainer = Trainer(Spy(), configure(n_steps=1, warmup=0, dtype=dtype), random_windows(STREAM, 2, SEQ), evaluate)
    trainer.train()
    assert seen == [product, product]  # the update and the evaluation
    assert trainer.model.embed.dtype == torch.float32


# A whole run


def test_a_run_learns_and_follows_the_schedule(tmp_path):
    rates = []
    tokens = torch.arange(SEQ).expand(4, SEQ)
    model = Tiny(p_dropout=0.0)
    trainer = Trainer(model, configure(n_steps=60, lr=0.1, log_every=1), lambda generator: tokens, folder=tmp_path)
    summary = trainer.train()
    rows = read_metrics(tmp_path / "metrics.csv")
    rates = [row["lr"] for row in rows]
    assert rates == [compute_lr(step, trainer.config) for step in range(60)]
    assert rows[-1]["loss"] < 0.1 < 1 < rows[0]["loss"]
    assert (summary.step, summary.is_finished, summary.folder) == (60, True, tmp_path)
    assert summary.metrics["loss"] == rows[-1]["loss"]
    assert model.n_seen == 240


def test_a_row_holds_the_mean_loss_since_the_row_before(tmp_path):
    losses = []

    class Noting(Trainer):
        def training_step(self, batch):
            losses.append(float(super().training_step(batch)))
            return torch.tensor(losses[-1])

    Noting(Tiny(), configure(), ShuffledBatches(EXAMPLES, 3), evaluate, tmp_path).train()
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "loss" in row]
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 23]
    for row, start in zip(rows, (0, 4, 8, 12, 16, 20), strict=True):
        part = losses[start : row["step"]]
        assert row["loss"] == pytest.approx(sum(part) / len(part))
    assert rows[1].keys() == {"step", "loss", "lr", "grad_norm", "eval_loss", "eval_noise"}


@pytest.mark.parametrize(("every", "steps"), [(8, [8, 16, 23]), (None, [23]), (23, [23])])
def test_evaluation_comes_when_it_is_due_and_at_the_end(tmp_path, every, steps):
    make_trainer(tmp_path, eval_every=every).train()
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv") if "eval_loss" in row] == steps


def test_an_evaluation_may_be_one_number_and_none_at_all():
    trainer = Trainer(Tiny(), configure(), random_windows(STREAM, 2, SEQ), lambda model: 3)
    assert trainer.train().metrics["eval_loss"] == 3.0
    trainer = Trainer(Tiny(), configure(), random_windows(STREAM, 2, SEQ))
    assert not any(name.startswith("eval") for name in trainer.train().metrics)


def test_the_model_trains_in_train_mode_and_gets_its_own_mode_back():
    modes = []

    class Spy(Tiny):
        def forward(self, tokens):
            modes.append(self.training)
            return super().forward(tokens)

    for is_training in (True, False):
        modes.clear()
        trainer = make_trainer(model=Spy().train(is_training), n_steps=3, warmup=0, eval_every=2)
        trainer.train()
        assert modes == [True, True, False, True, False]
        assert trainer.model.training is is_training
    trainer = make_trainer(model=Spy().eval(), batches=StopAt(ShuffledBatches(EXAMPLES, 3), 2, kill))
    with pytest.raises(Killed):
        trainer.train()
    assert not trainer.model.training


def test_two_runs_of_one_seed_are_the_same_and_of_two_seeds_are_not():
    results = []
    for seed in (3, 3, 4):
        trainer = make_trainer(seed=seed)
        trainer.train()
        results.append(weights(trainer))
    assert_same_weights(results[0], results[1])
    assert not torch.equal(results[0]["embed"], results[2]["embed"])


def test_the_manifest_says_what_made_the_run(tmp_path):
    make_trainer(tmp_path).train()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config"]["lr"] == 0.05
    assert manifest["config"]["betas"] == [0.9, 0.95]
    assert manifest["seed"] == 3
    assert manifest["versions"]["torch"] == str(torch.__version__).partition("+")[0] or manifest["versions"]["torch"]
    assert manifest["model"] == {
        "class": "Tiny",
        "width": 5,
        "p_dropout": 0.2,
        "embed": "11 5",
        "unembed": "5 11",
        "bias": "11",
        "n_seen": "",
    }
    assert "resumed" not in manifest


# Stopping and going on


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
        from arena_lib.transformer.training import Trainer, TrainingConfig
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
    _, errors = process.communicate(timeout=60)
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
    with pytest.raises(ConfigError, match=r"loss must stay finite: got nan by step 4\. Lower lr \(now 0\.05\)"):
        trainer.train()
    assert load_checkpoint(tmp_path)[1]["step"] == 3
    trainer = Trainer(Tiny(), configure(log_every=4), random_windows(STREAM, 2, SEQ), None, None, compute_loss)
    with pytest.raises(ConfigError, match="by step 4"):
        trainer.train()


def test_a_gradient_that_is_not_finite_is_said(tmp_path):
    def compute_loss(model, batch):
        return next_token_loss(model, batch) + (0 * model.bias.sum()).sqrt()  # the slope of a root at 0

    trainer = Trainer(Tiny(), configure(log_every=1), random_windows(STREAM, 2, SEQ), None, tmp_path, compute_loss)
    with pytest.raises(ConfigError, match=r"gradient's norm must stay finite: got nan by step 1\. Lower lr"):
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
