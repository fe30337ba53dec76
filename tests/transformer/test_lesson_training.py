import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson
from arena_lib.transformer.lesson_training import TransformerTrainer, TransformerTrainingArgs
from arena_lib.transformer.loss import cross_entropy_next_token

SIZES = lesson.Config(d_model=10, d_vocab=13, n_ctx=9, n_layers=1, n_heads=2, d_head=4, d_mlp=14, init_range=0.3)


def make_model(seed=0):
    torch.manual_seed(seed)
    return lesson.DemoTransformer(SIZES)


def random_tokens(n, seq=6, seed=1):
    return torch.randint(SIZES.d_vocab, (n, seq), generator=torch.Generator().manual_seed(seed))


def make_trainer(**fields):
    args = TransformerTrainingArgs(**{"batch_size": 4, "epochs": 2, "lr": 0.01, "weight_decay": 0.1, **fields})
    return TransformerTrainer(args, make_model(), random_tokens(10), random_tokens(7, seed=2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1: got 0"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1: got 0"),
        ({"max_steps_per_epoch": 0}, "max_steps_per_epoch must be a whole number of at least 1: got 0"),
        ({"lr": 0.0}, "lr must be finite and above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be finite and at least 0"),
    ],
)
def test_arguments_that_cannot_work_are_rejected(fields, message):
    with pytest.raises(ConfigError, match=message):
        TransformerTrainingArgs(**fields)
    assert TransformerTrainingArgs(weight_decay=0.0).batch_size == 32


def test_steps_are_those_of_adamw():
    trainer, twin = make_trainer(), make_model()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    for seed in (5, 6, 7):
        tokens = random_tokens(3, seed=seed)
        expected = cross_entropy_next_token(twin(tokens), tokens)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        loss = trainer.training_step({"tokens": tokens})
        assert torch.equal(loss, expected)
        assert not loss.requires_grad
    assert trainer.n_steps == 3
    for ours, theirs in zip(trainer.model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours.grad, theirs.grad)


def test_evaluate_counts_right_predictions_over_all_batches():
    trainer = make_trainer()
    logits = trainer.model(trainer.test_tokens)
    n_right = sum(
        logits[row, position].argmax() == trainer.test_tokens[row, position + 1]
        for row in range(7)
        for position in range(5)
    )
    assert trainer.evaluate() == pytest.approx(int(n_right) / 35)
    assert 0 < n_right < 35


def test_evaluate_builds_no_graph():
    trainer, modes = make_trainer(), []
    trainer.model.register_forward_pre_hook(lambda module, args: modes.append(torch.is_inference_mode_enabled()))
    trainer.evaluate()
    assert modes == [True, True]


def test_arguments_are_taken_by_name_only():
    with pytest.raises(TypeError):
        TransformerTrainingArgs(4)


def test_an_epoch_takes_every_sequence_once_in_a_new_order():
    trainer = make_trainer()
    epochs = [[batch["tokens"] for batch in trainer.make_batches()] for _ in range(2)]
    for epoch in epochs:
        assert [len(tokens) for tokens in epoch] == [4, 4, 2]
        assert sorted(torch.cat(epoch).tolist()) == sorted(trainer.train_tokens.tolist())
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))
    again = [batch["tokens"] for batch in make_trainer().make_batches()]
    assert torch.equal(torch.cat(epochs[0]), torch.cat(again))
    other = [batch["tokens"] for batch in make_trainer(seed=1).make_batches()]
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(other))


def test_train_records_each_step_and_each_epoch(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    trainer = make_trainer(epochs=3, max_steps_per_epoch=2)
    history = trainer.train()
    assert len(history["loss"]) == trainer.n_steps == 6
    assert len(history["accuracy"]) == 3
    assert history["accuracy"][-1] == trainer.evaluate()


def test_training_learns_a_rule(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    counting = (torch.arange(13)[:, None] + torch.arange(6)) % 13
    args = TransformerTrainingArgs(batch_size=13, epochs=60, lr=0.02)
    history = TransformerTrainer(args, make_model(), counting, counting).train()
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < 0.2 < 2.0 < history["loss"][0]


def test_defaults_are_those_of_the_lesson():
    assert TransformerTrainingArgs() == TransformerTrainingArgs(
        batch_size=32, epochs=10, max_steps_per_epoch=500, lr=1e-3, weight_decay=1e-2, seed=0
    )
