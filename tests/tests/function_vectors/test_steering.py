"""The models that steered texts are judged on."""

import torch

from arena_lib.checking import run
from arena_lib.checking.isolation import isolated
from arena_lib.interp.steering import activation_addition
from arena_lib.interp.steering.activation_addition import calculate_and_apply_steering_vector
from arena_lib.tests.function_vectors import steering


def test_draws_of_the_sharp_models_are_sure():
    for case in steering.steering_cases(torch.Generator().manual_seed(0))[:-1]:
        seen = []
        for seed in range(4):
            with isolated(seed):
                seen.append(steering.steered_texts(calculate_and_apply_steering_vector, case))
        assert all(other == seen[0] for other in seen), case.label


def test_draws_at_a_temperature_near_0_are_rejected(monkeypatch):
    def nearly_greedy(*args, **options):
        with monkeypatch.context() as patch:
            patch.setitem(activation_addition.SAMPLING, "temperature", 0.01)
            return calculate_and_apply_steering_vector(*args, **options)

    result = run(steering.test_calculate_and_apply_steering_vector, nearly_greedy)
    assert result.diagnosis.mistake == "always writes the likeliest token"
