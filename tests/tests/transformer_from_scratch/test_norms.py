"""What learners hand in for LayerNorm: wrong in one likely way each."""

import importlib

import pytest

from arena_lib.checking import run
from arena_lib.transformer import lesson

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def deviation(self, x):
    return (x.var(-1, keepdim=True, unbiased=False) + self.cfg.layer_norm_eps).sqrt()


WRONG = {
    "drops d_model from the mean or the variance": lambda self, x: (
        (x - x.mean(-1)) / deviation(self, x) * self.w + self.b
    ),
    "divides the mean only": lambda self, x: x - x.mean(-1, keepdim=True) / deviation(self, x) * self.w + self.b,
    "multiplies by w + b": lambda self, x: (x - x.mean(-1, keepdim=True)) / deviation(self, x) * (self.w + self.b),
    "multiplies with w as with a matrix": lambda self, x: (
        (x - x.mean(-1, keepdim=True)) / deviation(self, x) @ self.w + self.b
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_layer_norm_is_named(mistake):
    wrong = type("LayerNorm", (lesson.LayerNorm,), {"forward": WRONG[mistake]})
    assert run(judges.test_layer_norm, wrong).diagnosis.mistake == mistake
