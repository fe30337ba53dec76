"""A tiny model, its data and its trainer, for the tests of training; each loads this file with `runpy`."""

import signal
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from arena_lib.core.batches import Batch, ShuffledBatches
from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.seeds import make_generator
from arena_lib.core.training import Trainer, next_token_loss

D_VOCAB, SEQ = 11, 7
STREAM = torch.randint(D_VOCAB, (60,), generator=make_generator(5))
EXAMPLES = torch.randint(D_VOCAB, (10, SEQ), generator=make_generator(6))


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
