import pytest

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


def test_exercise_is_not_collected_by_pytest(toy):
    assert toy.test_half_norm.__test__ is False
