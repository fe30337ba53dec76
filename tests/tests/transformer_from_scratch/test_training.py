"""What learners hand in for the training step and the accuracy: right in other ways, and wrong."""

import importlib

import torch
import torch.nn.functional as F

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def loss_of(model, tokens):
    return F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


class TrainerThatClearsLast:
    def __init__(self, args, model, train_tokens, test_tokens):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)

    def training_step(self, batch):
        loss = loss_of(self.model, batch["tokens"])
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


class TrainerThatNeverClears(TrainerThatClearsLast):
    def training_step(self, batch):
        loss = loss_of(self.model, batch["tokens"])
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def test_a_trainer_may_clear_gradients_after_each_step():
    assert run(judges.test_training_step, TrainerThatClearsLast).status == "passed"
    assert run(judges.test_training_step, TrainerThatNeverClears).status == "failed"


def test_a_function_meets_gradients_that_were_there_before():
    def training_step(model, optimizer, tokens):
        loss = loss_of(model, tokens)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    assert run(judges.test_training_step, training_step).diagnosis.mistake == "clears the gradients only after the step"


def test_an_accuracy_in_percent_is_said_to_be_a_hundred_times_too_large():
    def measure_accuracy(model, test_tokens, batch_size):
        with torch.no_grad():
            return 100 * (model(test_tokens)[:, :-1].argmax(-1) == test_tokens[:, 1:]).double().mean().item()

    result = run(judges.test_measure_accuracy, measure_accuracy)
    assert result.mismatch.pattern == "it is 100 times too large"
    assert result.diagnosis.mistake == "returns percent"
