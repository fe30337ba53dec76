from dataclasses import replace

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.checking.exercises import snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LayerNorm", "layer_norm"),
        ("MLP", "mlp"),
        ("RMSNorm", "rms_norm"),
        ("GatedMLP", "gated_mlp"),
        ("KVCache", "kv_cache"),
        ("causal_mask", "causal_mask"),
        ("DemoLlama", "demo_llama"),
    ],
)
def test_snake_case(name, expected):
    assert snake_case(name) == expected


def test_exercise_knows_its_name_and_section(toy):
    assert toy.test_half_norm.name == "half_norm"
    assert toy.test_affine.name == "affine"
    assert toy.test_half_norm.id == "toy_exercises/half_norm"


def test_parameters_are_those_of_the_function_or_of_forward(toy):
    assert toy.test_half_norm.parameters() == ["x", "weight"]
    assert toy.test_affine.parameters() == ["x"]


class Sampler:
    """Draws tokens."""

    def draw(self, prompt: str, n: int) -> Float[Tensor, " seq"]:
        return torch.zeros(n)


class Embed(nn.Module):
    """Looks up a vector for each token.

    Parameter: `W_E` "d_vocab d_model".
    """

    def forward(self, x: Float[Tensor, "*batch d_model"], y: Int[Tensor, "batch seq"]) -> Tensor:
        return x


def test_a_class_without_forward_is_called_by_the_method_of_the_exercises_name(toy):
    test = replace(toy.test_half_norm, reference=Sampler, name="draw")
    assert test.parameters() == ["prompt", "n"]
    assert test.axes_of("output") == "seq"
    assert replace(test, name="sampler").parameters() == []
    assert replace(test, name="sampler").axes_of("output") == ""


def test_axes_come_from_types_and_docstrings_where_they_are_plain_words(toy):
    test = replace(toy.test_half_norm, reference=Embed)
    assert test.axes_of("gradient of W_E") == "d_vocab d_model"
    assert test.axes_of("gradient of y") == "batch seq"
    for name in ("gradient of x", "output", "gradient of W_U", "arguments changed in place"):
        assert test.axes_of(name) == ""


def test_exercise_is_not_collected_by_pytest(toy):
    assert toy.test_half_norm.__test__ is False
