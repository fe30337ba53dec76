"""Solutions that take every weight as it is, as courses on models with folded norms do, are told about all norms."""

import pytest
import torch

from arena_lib.checking import run
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests import intro_to_mech_interp as judges


def full_OV_without_norms(model, layer, head):
    return model.W_E @ FactoredMatrix(model.W_V[layer, head], model.W_O[layer, head]) @ model.W_U


def effective_OV_without_norms(model, heads):
    W_V = torch.cat([model.W_V[layer, head] for layer, head in heads], dim=-1)
    W_O = torch.cat([model.W_O[layer, head] for layer, head in heads])
    return FactoredMatrix(model.W_E @ W_V, W_O @ model.W_U)


def K_comp_without_norms(model, prev_token_head_index, ind_head_index):
    QK = FactoredMatrix(model.W_Q[1, ind_head_index], model.W_K[1, ind_head_index].T)
    OV = FactoredMatrix(model.W_V[0, prev_token_head_index], model.W_O[0, prev_token_head_index])
    return model.W_E @ QK @ OV.T @ model.W_E.T


def parts_without_norms(cache):
    return torch.cat([torch.stack([cache["embed"], cache["pos_embed"]]), cache["result", 0].transpose(0, 1)])


BOTH = "does not fold the first norm; and it does not fold the final norm"


@pytest.mark.parametrize(
    ("judge", "solution", "mistake"),
    [
        (judges.test_full_OV_circuit, full_OV_without_norms, BOTH),
        (judges.test_effective_OV_circuit, effective_OV_without_norms, BOTH),
        (judges.test_find_K_comp_full_circuit, K_comp_without_norms, "folds no norm at all"),
        (judges.test_decompose_qk_input, parts_without_norms, "leaves out the norm and the biases"),
    ],
)
def test_no_norm_at_all_is_named(judge, solution, mistake):
    assert run(judge, solution).diagnosis.mistake == mistake
