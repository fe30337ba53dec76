"""Equation 3 in plain float64, per instance too, and what an adapter starts as."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rlhf.lora import Lora


def drawn(*sizes, **settings):
    lora = Lora(*sizes, **settings, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(lora.B, generator=torch.Generator().manual_seed(2))
    return lora


def test_an_adapter_adds_its_product_scaled_by_alpha_over_rank():
    lora, x = drawn(6, 5, rank=2, lora_alpha=7), torch.randn(4, 3, 6, dtype=torch.float64)
    expected = torch.zeros(4, 3, 5, dtype=torch.float64)
    for i in range(6):
        for r in range(2):
            for j in range(5):
                expected[..., j] += x[..., i] * lora.A[i, r].detach() * lora.B[r, j].detach() * 3.5
    assert torch.allclose(lora(x), expected, atol=1e-12)
    assert torch.allclose(x @ lora.delta(), expected, atol=1e-12)


def test_instances_are_adapters_side_by_side():
    lora, x = drawn(6, 5, rank=2, n_inst=3), torch.randn(4, 3, 6, dtype=torch.float64)
    for i in range(3):
        alone = drawn(6, 5, rank=2)
        alone.load_state_dict({"A": lora.A[i], "B": lora.B[i]})
        assert torch.allclose(lora(x)[:, i], alone(x[:, i]), atol=1e-12)
        assert torch.allclose(lora.delta()[i], alone.delta(), atol=1e-12)


def test_one_input_can_go_to_all_instances():
    lora, x = drawn(6, 5, rank=2, n_inst=3), torch.randn(4, 1, 6, dtype=torch.float64)
    assert torch.allclose(lora(x), lora(x.expand(4, 3, 6)), atol=1e-12)


def test_an_adapter_starts_by_adding_nothing_and_learns_from_b():
    lora = Lora(64, 5, rank=3, generator=torch.Generator().manual_seed(0))
    assert lora(torch.randn(2, 64)).abs().max() == 0
    assert lora.A.abs().max() <= 1 / 8
    assert float(lora.A.detach().std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.15)
    lora(torch.ones(2, 64)).sum().backward()
    assert lora.B.grad.abs().min() > 0
    assert lora.A.grad.abs().max() == 0


def test_the_scale_keeps_the_first_step_independent_of_rank():
    assert [Lora(4, 3, rank=rank, lora_alpha=32).scale for rank in (1, 4, 32)] == [32, 8, 1]


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    lora = drawn(40, 3, rank=2, dropout=0.25)
    x = torch.randn(1, 40, dtype=torch.float64)
    expected = lora.eval()(x)
    assert torch.equal(lora(x), expected)
    assert torch.allclose(x @ lora.delta(), expected)
    lora.train()
    torch.manual_seed(0)
    outputs = lora(x.expand(40_000, 40))
    deltas = torch.stack([lora.delta() for _ in range(20_000)])
    for samples in (outputs, x @ deltas):
        error = samples.std(dim=0) / len(samples) ** 0.5
        assert ((samples.mean(dim=0) - expected).abs() < 5 * error).all()
    kept = (deltas.abs().sum(dim=-1) > 0).double()
    assert kept.mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank must be a whole number of at least 1: got 0"),
        ({"rank": 2.0}, "rank must be a whole number"),
        ({"lora_alpha": 0}, "lora_alpha must be finite and above 0: got 0"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1: got 1.0"),
        ({"d_in": 0}, "sizes must be at least 1: got d_in=0"),
        ({"n_inst": 0}, "n_inst=0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message, without_types):
    with pytest.raises(ConfigError, match=message):
        Lora(**settings)
