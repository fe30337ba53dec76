import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.circuits import compute_faithfulness
from arena_lib.interp.ioi import (
    SEQ_POS_TO_KEEP,
    add_mean_ablation_hook,
    compute_means_by_template,
    make_circuit_mask,
    make_heads_metric,
    make_ioi_dataset,
)
from arena_lib.interp.patching.metrics import logits_to_ave_logit_diff

CIRCUIT = {"name mover": [(2, 1), (1, 3)], "induction": [(1, 0)], "previous token": [(0, 2)]}


@pytest.fixture
def datasets(model, words):
    dataset = make_ioi_dataset(model, 12, generator=torch.Generator().manual_seed(0), words=words)
    return dataset, dataset.abc(torch.Generator().manual_seed(1), words.names)


@pytest.fixture
def metric(datasets):
    dataset, _ = datasets
    return lambda logits: logits_to_ave_logit_diff(logits, dataset.answer_tokens, end=dataset.at("end"))


def test_means_are_taken_in_each_group_by_itself():
    z = torch.tensor([1.0, 10.0, 3.0, 20.0, 5.0])[:, None, None, None]
    means = compute_means_by_template(z, torch.tensor([7, 2, 7, 2, 7]))
    assert means.flatten().tolist() == [3.0, 15.0, 3.0, 15.0, 3.0]


def test_a_head_is_kept_at_the_position_of_its_class(datasets):
    dataset, _ = datasets
    mask = make_circuit_mask(
        CIRCUIT, {"name mover": "end", "induction": "S2", "previous token": "S1+1"}, dataset.word_idx, (3, 17, 4)
    )
    assert mask.sum() == 12 * 4
    for row in range(12):
        assert mask[2, row, dataset.at("end")[row], 1]
        assert mask[1, row, dataset.at("S2")[row], 0]
        assert mask[0, row, dataset.at("S1+1")[row], 2]


def test_the_hooks_agree_with_the_general_knockout(model, datasets, metric):
    dataset, abc = datasets
    F = make_heads_metric(model, dataset, abc, CIRCUIT, metric)
    heads = [head for heads in CIRCUIT.values() for head in heads]
    whole = float(metric(model(dataset.toks)))
    assert add_mean_ablation_hook(model, abc, CIRCUIT, SEQ_POS_TO_KEEP) is model
    measured = float(metric(model(dataset.toks)))
    model.reset_hooks(including_permanent=True)
    assert F(heads) == pytest.approx(measured, abs=1e-9)
    assert F.full == pytest.approx(whole, abs=1e-9)
    assert measured != pytest.approx(whole, abs=1e-6)


def test_an_empty_circuit_gives_means_everywhere(model, datasets, metric):
    dataset, abc = datasets
    F = make_heads_metric(model, dataset, abc, CIRCUIT, metric)
    add_mean_ablation_hook(model, abc, {}, SEQ_POS_TO_KEEP)
    measured = float(metric(model(dataset.toks)))
    model.reset_hooks(including_permanent=True)
    assert compute_faithfulness(F, []).circuit == pytest.approx(measured, abs=1e-9)


def test_circuits_do_not_pile_up_and_permanent_ones_outlive_a_reset(model, datasets):
    dataset, abc = datasets
    add_mean_ablation_hook(model, abc, {"name mover": [(0, 0)]}, SEQ_POS_TO_KEEP)
    add_mean_ablation_hook(model, abc, CIRCUIT, SEQ_POS_TO_KEEP)
    second = model(dataset.toks)
    model.reset_hooks()
    assert torch.equal(model(dataset.toks), second)
    model.reset_hooks(including_permanent=True)
    add_mean_ablation_hook(model, abc, CIRCUIT, SEQ_POS_TO_KEEP, is_permanent=False)
    assert torch.equal(model(dataset.toks), second)
    model.reset_hooks()
    assert not torch.equal(model(dataset.toks), second)


def test_what_does_not_exist_is_refused(model, datasets):
    _, abc = datasets
    with pytest.raises(UnknownNameError, match=r"'3\.0'"):
        add_mean_ablation_hook(model, abc, {"name mover": [(3, 0)]}, SEQ_POS_TO_KEEP)
    with pytest.raises(ConfigError, match="got none for 'mover'"):
        add_mean_ablation_hook(model, abc, {"mover": [(1, 0)]}, SEQ_POS_TO_KEEP)
    with pytest.raises(UnknownNameError, match="'finish'"):
        add_mean_ablation_hook(model, abc, {"mover": [(1, 0)]}, {"mover": "finish"})


def test_prompts_that_do_not_align_with_the_means_are_refused(model, datasets):
    dataset, abc = datasets
    add_mean_ablation_hook(model, abc, CIRCUIT, SEQ_POS_TO_KEEP)
    with pytest.raises(ShapeError, match="must align with those of the means"):
        model(dataset.toks[:5])
    model.reset_hooks(including_permanent=True)
