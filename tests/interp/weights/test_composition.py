import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.circuits import make_known_induction_model
from arena_lib.interp.weights import (
    FactoredMatrix,
    compute_composition_scores,
    effective_K_comp_circuit,
    find_K_comp_full_circuit,
    folded_reader,
    generate_single_random_comp_score,
    get_batched_comp_scores,
    get_comp_score,
    random_comp_scores,
    top_1_acc,
)

FORMS = ["gpt2", "llama", "attention_only"]


def factored(*batch: int, rows: int = 9, rank: int = 3, columns: int = 8, seed: int = 0) -> FactoredMatrix:
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(*batch, rows, rank, generator=generator, dtype=torch.float64)
    return FactoredMatrix(A, torch.randn(*batch, rank, columns, generator=generator, dtype=torch.float64))


def test_score_by_hand():
    W_A = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert get_comp_score(W_A, torch.tensor([[1.0], [0.0]])) == pytest.approx(3 / 5)
    assert get_comp_score(W_A, torch.tensor([[0.0], [2.0]])) == pytest.approx(4 / 5)
    assert get_comp_score(W_A[:, :1], torch.tensor([[5.0, 1.0]])) == pytest.approx(1.0)


@pytest.mark.parametrize(("A_idx", "B_idx"), [((), ()), ((4,), ()), ((4,), (4,)), ((2, 3), (5,)), ((2,), (3, 2))])
def test_batched_scores_are_the_single_ones(A_idx, B_idx):
    W_As, W_Bs = factored(*A_idx), factored(*B_idx, rows=8, rank=2, columns=7, seed=1)
    scores = get_batched_comp_scores(W_As, W_Bs)
    assert scores.shape == A_idx + B_idx
    for a in [*torch.ones(A_idx).nonzero().tolist()] if A_idx else [[]]:
        for b in [*torch.ones(B_idx).nonzero().tolist()] if B_idx else [[]]:
            single = get_comp_score(W_As.AB[tuple(a)], W_Bs.AB[tuple(b)])
            assert scores[(*a, *b)].item() == pytest.approx(single, rel=1e-10)


def test_random_scores_lie_about_one_over_the_root_of_d_model():
    scores = random_comp_scores(50, 6, 30, torch.Generator().manual_seed(0))
    assert scores.shape == (30, 30)
    assert float(scores.mean()) == pytest.approx(50**-0.5, rel=0.03)
    single = [generate_single_random_comp_score(50, 6, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert sum(single) / 200 == pytest.approx(float(scores.mean()), rel=0.03)
    assert torch.tensor(single).std().item() == pytest.approx(float(scores.std()), rel=0.25)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_scores_of_a_model_are_those_of_its_folded_matrices(form, kind):
    model = make_random(form)
    found = compute_composition_scores(model, kind, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        writer = folded_reader(model, 0, "W_V")[3] @ model.blocks[0].attn.W_O[3]
        Q, K, V = (folded_reader(model, 2, name)[1] for name in ("W_Q", "W_K", "W_V"))
        reader = {"Q": Q @ K.mT, "K": K @ Q.mT, "V": V @ model.blocks[2].attn.W_O[1]}[kind]
    assert found.scores[0, 3, 2, 1].item() == pytest.approx(get_comp_score(writer, reader))
    layers = torch.arange(3)
    assert torch.equal(found.scores[:, 0, :, 0].isfinite(), layers[:, None] < layers[None])
    assert found.baseline_mean == pytest.approx(24**-0.5, rel=0.1)
    torch.testing.assert_close(found.excess + found.baseline_mean, found.scores, equal_nan=True)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_gives_the_same_scores(form):
    ours, bridged = (compute_composition_scores(m, "K") for m in (make_random(form), make_bridge(form)))
    torch.testing.assert_close(bridged.scores, ours.scores, equal_nan=True)
    circuits = [find_K_comp_full_circuit(m, 3, 1) for m in (make_random(form), make_bridge(form))]
    torch.testing.assert_close(circuits[1].AB, circuits[0].AB)


def test_the_K_composition_circuit_is_the_product_of_its_matrices():
    model = make_random("attention_only")
    with torch.no_grad():
        QK = folded_reader(model, 1, "W_Q")[2] @ folded_reader(model, 1, "W_K")[2].mT
        OV = folded_reader(model, 0, "W_V")[1] @ model.W_O[0, 1]
        circuit = find_K_comp_full_circuit(model, 1, 2)
        torch.testing.assert_close(circuit.AB, model.W_E @ QK @ OV.mT @ model.W_E.mT)
    assert circuit.rank == model.cfg.d_head


def test_the_effective_K_composition_circuit_is_the_sum():
    model = make_random("attention_only")
    summed = sum(find_K_comp_full_circuit(model, head, 2).AB for head in (3, 0))
    circuit = effective_K_comp_circuit(model, [3, 0], 2)
    assert circuit.rank == model.cfg.d_head
    torch.testing.assert_close(circuit.AB, summed)
    with pytest.raises(ConfigError, match="at least one: got none"):
        effective_K_comp_circuit(model, [], 2)


def test_weights_alone_take_a_decoy_for_the_real_head():
    """What composition scores can't tell: the decoy reads what is never there."""
    model, truth = make_known_induction_model()
    scores = compute_composition_scores(model, "K").scores[0, :, 1]
    (_, true_head), (_, induction_head) = truth.heads
    decoy = next(head for (layer, head), kind in truth.decoys.items() if layer == 0 and kind == "nothing to read")
    assert scores[decoy, induction_head] == pytest.approx(scores[true_head, induction_head].item())
    assert scores[true_head, induction_head] > 1.5 * 154**-0.5
    tokens = (
        find_K_comp_full_circuit(model, decoy, induction_head).AB
        / find_K_comp_full_circuit(model, true_head, induction_head).norm()
    )
    assert tokens.abs().max() < 1e-10


def test_the_bundled_model_composes_by_keys():
    model = zoo.load("attn-only-2l")
    found = {
        kind: compute_composition_scores(model, kind, generator=torch.Generator().manual_seed(0)) for kind in "QKV"
    }
    means = {kind: float(scores.scores[0, :, 1].mean()) for kind, scores in found.items()}
    baseline = found["K"].baseline_mean
    assert means["K"] > baseline + 10 * found["K"].baseline_std
    assert means["Q"] < baseline
    assert means["V"] < baseline
    by_later_head = found["K"].scores[0, :, 1].mean(dim=0)
    assert set(by_later_head.topk(3).indices.tolist()) == {0, 1, 4}


def test_in_the_bundled_model_the_first_layers_heads_mark_the_previous_token_together():
    model = zoo.load("attn-only-2l")
    with torch.no_grad():
        for head in (0, 1, 4):
            alone = max(top_1_acc(find_K_comp_full_circuit(model, earlier, head)) for earlier in range(8))
            assert alone < 0.5 < 0.9 < top_1_acc(effective_K_comp_circuit(model, range(8), head))


def test_what_does_not_fit_is_refused():
    model = make_random("attention_only")
    with pytest.raises(UnknownNameError, match=r"1\.4"):
        find_K_comp_full_circuit(model, 0, 4)
    with pytest.raises(ConfigError, match="'Q', 'K' or 'V': got 'q'"):
        compute_composition_scores(model, "q")
    with pytest.raises(ShapeError, match=r"got \(9, 8\) and \(9, 8\)"):
        get_batched_comp_scores(factored(), factored())
