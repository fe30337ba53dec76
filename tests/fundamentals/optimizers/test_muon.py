import pytest
import torch
from tests.fundamentals.optimizers.agreement import assert_agree

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.optimizers import Muon, orthogonalize
from arena_lib.fundamentals.optimizers.muon import adjust_lr

MATRICES = ((3, 5), (7, 2), (4, 4), (1, 6))
needs_torchs = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9")


@pytest.mark.parametrize("shape", [(3, 5), (7, 2), (4, 4), (1, 6)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_singular_values_come_near_1_and_directions_stay(shape, scale):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    result = u.mT @ orthogonalize(scale * matrix) @ vh.mT
    assert ((result.diagonal() > 0.6) & (result.diagonal() < 1.3)).all()
    assert (result - result.diagonal().diag()).abs().max() < 1e-9


def test_nothing_stays_nothing():
    assert torch.equal(orthogonalize(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_what_is_no_matrix_is_refused(without_types):
    with pytest.raises(ShapeError, match=r"got shape \(2, 3, 4\)"):
        orthogonalize(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match="got 'none'"):
        adjust_lr(0.1, (2, 3), "none")
    with pytest.raises(ConfigError, match="got 'none'"):
        Muon([torch.ones(2, 3, requires_grad=True)], adjust_lr_fn="none")


@needs_torchs
@pytest.mark.parametrize("shape", MATRICES)
def test_torchs_products_in_half_precision_come_near_ours(shape):
    from torch.optim import _muon

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    theirs = _muon._zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    torch.testing.assert_close(orthogonalize(matrix), theirs.float(), rtol=0.05, atol=0.03)


@needs_torchs
@pytest.mark.parametrize("momentum", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("adjust_lr_fn", ["original", "match_rms_adamw"])
def test_all_but_the_precision_is_torchs(monkeypatch, momentum, nesterov, weight_decay, adjust_lr_fn):
    from torch.optim import _muon

    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", lambda grad, *settings: orthogonalize(grad))
    settings = {"lr": 0.02, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    settings["adjust_lr_fn"] = adjust_lr_fn
    assert_agree(
        lambda params: Muon(params, **settings),
        lambda params: torch.optim.Muon(params, **settings),
        MATRICES,
    )


@needs_torchs
def test_defaults_are_torchs(monkeypatch):
    from torch.optim import _muon

    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", lambda grad, *settings: orthogonalize(grad))
    assert_agree(Muon, torch.optim.Muon, MATRICES)


@needs_torchs
@pytest.mark.parametrize("nesterov", [False, True])
def test_a_whole_run_stays_near_torchs(nesterov):
    from tests.fundamentals.optimizers.agreement import side_by_side

    def ours(params):
        return Muon(params, lr=0.02, nesterov=nesterov)

    def theirs(params):
        return torch.optim.Muon(params, lr=0.02, nesterov=nesterov)

    for mine, other in side_by_side(ours, theirs, MATRICES, dtype=torch.float32):
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b, rtol=0.0, atol=0.01)
