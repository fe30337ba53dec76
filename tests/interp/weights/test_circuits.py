import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.weights import (
    FactoredMatrix,
    effective_OV_circuit,
    full_OV_circuit,
    full_QK_circuit,
    position_QK_circuit,
    top_1_acc,
    top_k_acc,
)

FORMS = ["gpt2", "llama", "attention_only"]


def without_biases(form: str) -> torch.nn.Module:
    model = make_random(form)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rsplit(".", 1)[-1].startswith("b"):
                parameter.zero_()
    return model


@pytest.mark.parametrize("form", FORMS)
def test_an_OV_row_is_what_attending_to_the_token_adds_to_the_logits_up_to_scale(form):
    model = without_biases(form)
    with torch.no_grad():
        circuit = full_OV_circuit(model, 1, 2)
        assert circuit.shape == (model.cfg.d_vocab, model.cfg.d_vocab)
        assert circuit.rank == model.cfg.d_head
        lm = hooked(model)
        embedded = lm.norm(1, "ln1", lm.W_E[:, None])[:, 0]
        written = embedded @ lm.W_V(1)[2] @ lm.W_O(1)[2]
        expected = model.ln_final(written) @ model.W_U
    scales = model.blocks[1].ln1.scale(lm.W_E) * model.ln_final.scale(written)
    torch.testing.assert_close(circuit.AB / scales, expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_QK_entry_is_the_score_of_two_tokens_up_to_scale(form):
    model = without_biases(form)
    lm = hooked(model)
    embedded = lm.norm(0, "ln1", lm.W_E[:, None])[:, 0]
    expected = embedded @ lm.W_Q(0)[3] @ (embedded @ lm.W_K(0)[3]).mT
    scales = model.blocks[0].ln1.scale(lm.W_E)
    torch.testing.assert_close(full_QK_circuit(model, 0, 3).AB / scales / scales.mT, expected)


def test_position_scores_are_those_of_the_attention_only_form_without_tokens():
    model = without_biases("attention_only")
    with torch.no_grad():
        model.embed.W_E.zero_()
    _, cache = model.run_with_cache(torch.zeros(1, 9, dtype=torch.int64))
    scores = position_QK_circuit(model, 0, 1).AB / model.cfg.d_head**0.5
    past = torch.ones(9, 9, dtype=torch.bool).tril()
    torch.testing.assert_close(scores[past], cache["attn_scores", 0][0, 1][past])


def test_position_scores_of_gpt2_pass_the_norm():
    model = without_biases("gpt2")
    lm = hooked(model)
    positions = lm.norm(0, "ln1", model.W_pos[:, None])[:, 0]
    scales = model.blocks[0].ln1.scale(model.W_pos)
    expected = positions @ lm.W_Q(0)[1] @ (positions @ lm.W_K(0)[1]).mT
    torch.testing.assert_close(position_QK_circuit(model, 0, 1).AB / scales / scales.mT, expected)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_gives_the_same_circuits(form):
    model, bridge = make_random(form), make_bridge(form)
    for circuit in (full_OV_circuit, full_QK_circuit):
        torch.testing.assert_close(circuit(bridge, 2, 1).AB, circuit(model, 2, 1).AB)
    heads = [(0, 1), (2, 3)]
    torch.testing.assert_close(effective_OV_circuit(bridge, heads).AB, effective_OV_circuit(model, heads).AB)
    if form == "gpt2":
        torch.testing.assert_close(position_QK_circuit(bridge, 2, 1).AB, position_QK_circuit(model, 2, 1).AB)


def test_the_effective_circuit_is_the_sum():
    model = make_random("attention_only")
    heads = [(1, 2), (1, 0), (2, 3)]
    summed = sum(full_OV_circuit(model, *head).AB for head in heads)
    circuit = effective_OV_circuit(model, heads)
    assert circuit.rank == 3 * model.cfg.d_head
    torch.testing.assert_close(circuit.AB, summed)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 1000])
def test_accuracies_count_rows_whose_diagonal_is_among_the_largest(batch_size):
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(11, 3, generator=generator)
    circuit = FactoredMatrix(A, A.mT + 0.8 * torch.randn(3, 11, generator=generator))
    whole = circuit.AB
    rank = (whole > whole.diagonal()[:, None]).sum(dim=1)
    assert top_1_acc(circuit, batch_size) == (rank == 0).sum() / 11 == top_k_acc(circuit, 1, batch_size)
    assert top_k_acc(circuit, 5, batch_size) == pytest.approx((rank < 5).sum() / 11)
    assert 0 < top_1_acc(circuit) < top_k_acc(circuit) < 1


def test_copying_of_the_bundled_model_is_in_its_induction_heads():
    model = zoo.load("attn-only-2l")
    with torch.no_grad():
        first = [top_1_acc(full_OV_circuit(model, 0, head)) for head in range(8)]
        second = [top_1_acc(full_OV_circuit(model, 1, head)) for head in range(8)]
    assert max(first) < 0.01
    assert all(second[head] > 0.7 for head in (0, 1, 4))
    with torch.no_grad():
        together = top_1_acc(effective_OV_circuit(model, [(1, 0), (1, 1), (1, 4)]))
    assert together > max(second)


def test_what_is_not_there_is_refused():
    model = make_random("llama")
    for circuit in (full_OV_circuit, full_QK_circuit, position_QK_circuit):
        with pytest.raises(UnknownNameError, match="head"):
            circuit(model, 0, 4)
    with pytest.raises(ConfigError, match="positions must be embedded: got Llama"):
        position_QK_circuit(model, 0, 0)
    with pytest.raises(ConfigError, match="at least one: got none"):
        effective_OV_circuit(model, [])
