import json
import runpy
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from arena_lib.core.batches import Batch, ShuffledBatches, random_windows
from arena_lib.core.metrics import read_metrics
from arena_lib.core.optimization import TrainingConfig, compute_lr
from arena_lib.core.training import Trainer, next_token_loss
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.transformer.lesson import Config, DemoTransformer
from arena_lib.transformer.lesson_training import TransformerTrainer, TransformerTrainingArgs
from arena_lib.transformer.loss import cross_entropy_next_token

toys = runpy.run_path(str(Path(__file__).with_name("training_toys.py")))
D_VOCAB = toys["D_VOCAB"]
SEQ = toys["SEQ"]
STREAM = toys["STREAM"]
EXAMPLES = toys["EXAMPLES"]
TinyConfig = toys["TinyConfig"]
Tiny = toys["Tiny"]
configure = toys["configure"]
evaluate = toys["evaluate"]
make_trainer = toys["make_trainer"]
weights = toys["weights"]
assert_same_weights = toys["assert_same_weights"]
StopAt = toys["StopAt"]
Killed = toys["Killed"]
kill = toys["kill"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


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


def test_loss_of_a_double_precision_model_stays_double():
    model = Tiny().eval().double()
    expected = cross_entropy_next_token(model(EXAMPLES), EXAMPLES)
    torch.testing.assert_close(next_token_loss(model, Batch(EXAMPLES)), expected, rtol=0, atol=1e-12)


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


# Input that can't work


@pytest.mark.usefixtures("without_types")
def test_batches_that_are_no_function_or_give_no_tensor_are_refused():
    loader = DataLoader(EXAMPLES, batch_size=2)
    with pytest.raises(ConfigError, match=r"got DataLoader\. .*it = iter\(loader\) and lambda generator: next\(it\)"):
        Trainer(Tiny(), configure(), loader)
    it = iter(loader)
    assert Trainer(Tiny(), configure(n_steps=2, warmup=0), lambda generator: next(it)).train().is_finished
    with pytest.raises(ConfigError, match="tokens must be a tensor: got ndarray"):
        Trainer(Tiny(), configure(), lambda generator: EXAMPLES.numpy()).train()


def test_a_model_without_anything_to_train_is_refused():
    model = Tiny().requires_grad_(False)
    with pytest.raises(ConfigError, match=r"got Tiny with \d+, all frozen\. Call model\.requires_grad_\(\)"):
        Trainer(model, configure(), random_windows(STREAM, 3, SEQ))


def test_a_loss_of_nothing_says_where_to_look():
    with pytest.raises(TrainingError, match="no token counts has no loss either: look at its mask"):
        Trainer(Tiny(), configure(n_steps=1, warmup=0), lambda generator: EXAMPLES[:2, :1]).train()
