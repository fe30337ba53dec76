import math

import pytest
import torch
from tests.interp.patching.conftest import make_bridge, make_random

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.circuits import (
    CircuitMetric,
    Faithfulness,
    all_nodes,
    compute_completeness,
    compute_faithfulness,
    compute_minimality,
    greedy_completeness,
    make_known_induction_model,
    make_repeated_tokens,
    mean_knockout,
    random_completeness,
    resample_knockout,
    run_circuit,
    zero_knockout,
)
from arena_lib.interp.circuits.evaluation import sort_nodes
from arena_lib.interp.patching.nodes import MLP, Head
from arena_lib.transformer.fast.attention_only import AttentionOnly

LENGTH = 12


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def tokens():
    return torch.randint(0, 22, (3, 7), generator=seeded(5))


def induction_metric(tokens: torch.Tensor):
    """The mean log probability of the second copy but for its first token."""
    n = tokens.shape[1] // 2

    def metric(logits):
        logprobs = logits.log_softmax(dim=-1)[:, n + 1 : -1]
        return logprobs.gather(-1, tokens[:, n + 2 :, None]).mean()

    return metric


@pytest.fixture
def known():
    """The hand-set model, its truth, and F with resampled outputs."""
    model, truth = make_known_induction_model(generator=seeded())
    tokens, others = (make_repeated_tokens(24, LENGTH, 6, seeded(seed)) for seed in (1, 2))
    F = CircuitMetric(model, tokens, induction_metric(tokens), resample_knockout(model, others))
    return model, truth, F


# -- knockouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_the_whole_model_is_the_circuit_of_all_nodes(form, tokens):
    model = make_random(form)
    logits = run_circuit(model, tokens, all_nodes(model), zero_knockout(model, tokens))
    torch.testing.assert_close(logits, model(tokens))
    assert len(all_nodes(model)) == 12 + 3 * (form != "attention_only")


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_an_empty_circuit_gives_the_reference_prompts_own_outputs(form, tokens):
    model = make_random(form)
    others = tokens.flip(0)
    with torch.no_grad():
        logits = run_circuit(model, tokens, [], resample_knockout(model, others))
        _, cache = model.run_with_cache(others)
        resid = cache["resid_post", 2] - cache["resid_pre", 0] + model.run_with_cache(tokens)[1]["resid_pre", 0]
        torch.testing.assert_close(logits, model.unembed(model.ln_final(resid)))


def test_a_knocked_out_head_has_the_mean_of_its_position(tokens):
    model = make_random("gpt2")
    _, cache = model.run_with_cache(tokens)
    knockout = mean_knockout(model, tokens)
    torch.testing.assert_close(knockout["blocks.1.attn.hook_z"], cache["z", 1].mean(dim=0, keepdim=True))

    def replace(z, hook):
        z = z.clone()
        z[:, :, 3] = cache["z", 1][:, :, 3].mean(dim=0)
        return z

    expected = model.run_with_hooks(tokens, [("blocks.1.attn.hook_z", replace)])
    torch.testing.assert_close(run_circuit(model, tokens, all_nodes(model) - {Head(1, 3)}, knockout), expected)


def test_groups_take_means_of_their_own(tokens):
    model = make_random("attention_only")
    groups = torch.tensor([7, 2, 7])
    knockout = mean_knockout(model, tokens, groups)["blocks.0.attn.hook_z"]
    _, cache = model.run_with_cache(tokens)
    z = cache["z", 0]
    torch.testing.assert_close(knockout[0], z[[0, 2]].mean(dim=0))
    torch.testing.assert_close(knockout[2], knockout[0])
    torch.testing.assert_close(knockout[1], z[1])


def test_positions_keep_a_node_in_some_places_alone(tokens):
    model = make_random("gpt2")
    knockout = zero_knockout(model, tokens)
    at = torch.zeros(tokens.shape, dtype=torch.bool)
    at[:, 4] = True
    node, mlp = Head(1, 3), MLP(2)

    def cut(tensor, hook):
        tensor = tensor.clone()
        (tensor[:, :, 3] if hook.name.endswith("z") else tensor)[:, [0, 1, 2, 3, 5, 6]] = 0.0
        return tensor

    hooks = [("blocks.1.attn.hook_z", cut), ("blocks.2.hook_mlp_out", cut)]
    expected = model.run_with_hooks(tokens, hooks)
    logits = run_circuit(model, tokens, all_nodes(model), knockout, {node: at, mlp: at})
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_gives_the_same_logits(form, tokens):
    model, bridge = make_random(form), make_bridge(form)
    circuit = [(0, 1), (2, 3), Head(1, 0), MLP(1)]
    ours = run_circuit(model, tokens, circuit, mean_knockout(model, tokens))
    theirs = run_circuit(bridge, tokens, circuit, mean_knockout(bridge, tokens))
    tolerance = 1e-8 if form == "gpt2" else 1e-5  # transformers' RMSNorm computes in float32
    torch.testing.assert_close(theirs, ours, rtol=tolerance, atol=tolerance)


# -- the known circuit ------------------------------------------------------------------------------


def test_ablation_finds_the_known_circuit_and_no_decoy(known):
    _, truth, F = known
    effects = {node: abs(F.full - F.without([node])) for node in F.nodes}
    assert {node for node, effect in effects.items() if effect > 1e-6} == {Head(*head) for head in truth.heads}


def test_the_known_circuit_is_faithful_complete_and_minimal(known):
    _, truth, F = known
    faithfulness = compute_faithfulness(F, truth.heads)
    assert faithfulness.difference < 1e-9
    assert faithfulness.share == pytest.approx(1.0, abs=1e-9)
    assert faithfulness.full > -1e-4
    assert faithfulness.empty < -5
    assert greedy_completeness(F, truth.heads).difference < 1e-8
    assert all(score.difference < 1e-8 for score in random_completeness(F, truth.heads, 12, seeded(3)))
    minimality = compute_minimality(F, truth.heads)
    assert all(score.difference > 5 for score in minimality.values())


def test_too_small_and_too_large_circuits_are_seen(known):
    _, truth, F = known
    alone = compute_faithfulness(F, [truth.heads[1]])
    assert alone.share < 0.6
    whole = compute_minimality(F, F.nodes)
    idle = {(node.layer, node.head) for node, score in whole.items() if score.difference < 1e-6}
    assert idle == set(truth.decoys)
    assert greedy_completeness(F, truth.heads[:1]).difference > 5, "the induction head was left out"


def test_an_untrained_model_has_nothing_to_be_faithful_to(known):
    model, truth, _ = known
    untrained = AttentionOnly(model.cfg, generator=seeded(7))
    tokens, others = (make_repeated_tokens(24, LENGTH, 6, seeded(seed)) for seed in (1, 2))
    F = CircuitMetric(untrained, tokens, induction_metric(tokens), resample_knockout(untrained, others))
    faithfulness = compute_faithfulness(F, truth.heads)
    assert faithfulness.full == pytest.approx(-math.log(24), abs=0.05)
    assert abs(faithfulness.full - faithfulness.empty) < 0.01
    assert all(score.difference < 0.01 for score in compute_minimality(F, F.nodes, n_steps=1).values())


# -- the criteria -----------------------------------------------------------------------------------


class Understudies(CircuitMetric):
    """A toy F by counting: worth 1 each, 0.0 and its understudy 0.1 only once; 0.3 helps when 0.0 is gone."""

    def __init__(self):
        model = make_random("attention_only")
        tokens = torch.zeros(1, 2, dtype=torch.int64)
        super().__init__(model, tokens, lambda logits: logits.mean(), zero_knockout(model, tokens))
        self.nodes = frozenset(Head(0, head) for head in range(4))

    def _measure(self, kept, positions):
        name = {node.head for node in kept}
        return float(bool(name & {0, 1})) + (2 in name) + 0.25 * (3 in name and not name & {0, 1})


def test_completeness_shows_an_understudy_that_was_left_out():
    F = Understudies()
    circuit = [(0, 0), (0, 2)]
    assert compute_faithfulness(F, circuit).difference == 0
    score = compute_completeness(F, circuit, [(0, 0)])
    assert (score.circuit, score.model, score.difference) == (1.0, 2.0, 1.0)
    assert greedy_completeness(F, circuit).knocked_out == {Head(0, 0)}
    assert compute_completeness(F, circuit, ()).difference == 0
    found = random_completeness(F, circuit, 40, seeded(0))
    assert {score.knocked_out for score in found} == {
        frozenset(s) for s in ([], [Head(0, 0)], [Head(0, 2)], [Head(0, 0), Head(0, 2)])
    }


def test_minimality_finds_the_set_that_shows_a_nodes_worth():
    F = Understudies()
    scores = compute_minimality(F, F.nodes)
    assert scores[Head(0, 0)].difference == 1.0
    assert scores[Head(0, 0)].knocked_out == {Head(0, 1), Head(0, 3)}
    assert scores[Head(0, 2)].difference == 1.0
    assert scores[Head(0, 2)].share == 0.5
    given = compute_minimality(F, F.nodes, sets={(0, 0): [(0, 1), (0, 3)], Head(0, 1): []})
    assert given[Head(0, 0)].difference == 1.0
    assert given[Head(0, 0)].knocked_out == {Head(0, 1), Head(0, 3)}
    assert given[Head(0, 1)].difference == 0.0
    assert list(given) == [Head(0, head) for head in range(4)]


def test_the_search_may_need_two_steps():
    F = Understudies()
    one, two = (compute_minimality(F, F.nodes, n_steps=n)[Head(0, 3)].difference for n in (1, 2))
    assert (one, two) == (0.0, 0.25)


def test_share_counts_from_the_empty_circuit():
    assert Faithfulness(full=4.0, circuit=3.0, empty=2.0).share == 0.5
    assert Faithfulness(full=4.0, circuit=3.0, empty=2.0).difference == 1.0
    assert math.isnan(Faithfulness(full=1.0, circuit=1.0, empty=1.0).share)


def test_what_was_measured_is_remembered(known):
    _, truth, F = known
    calls = []
    F.metric = lambda logits, metric=F.metric: calls.append(1) or metric(logits)
    for _ in range(3):
        F(truth.heads)
        F([Head(*head) for head in truth.heads])
    assert len(calls) == 1


def test_nodes_are_sorted_by_when_they_write():
    nodes = [MLP(1), Head(1, 2), Head(0, 3), MLP(0), Head(1, 0)]
    assert sort_nodes(nodes) == [Head(0, 3), MLP(0), Head(1, 0), Head(1, 2), MLP(1)]


# -- bad input --------------------------------------------------------------------------------------


def test_what_is_not_there_is_refused(known, tokens):
    _, truth, F = known
    with pytest.raises(UnknownNameError, match=r"0\.4"):
        F([(0, 4)])
    with pytest.raises(ConfigError, match="must have MLPs"):
        F([MLP(0)])
    with pytest.raises(UnknownNameError, match="layer"):
        run_circuit(make_random("gpt2"), tokens, [MLP(3)], {})
    with pytest.raises(ConfigError, match="K must be a part of the circuit"):
        compute_completeness(F, truth.heads, [(0, 0)])
    with pytest.raises(ConfigError, match="K must be a part"):
        compute_minimality(F, truth.heads, {(0, 1): [(0, 0)]})


def test_prompts_that_do_not_align_are_refused(tokens):
    model = make_random("gpt2")
    with pytest.raises(ShapeError, match=r"must align with the prompts: got \(1, 5"):
        run_circuit(model, tokens, [], mean_knockout(model, tokens[:, :5]))
    with pytest.raises(ShapeError, match="must align"):
        run_circuit(model, tokens, [], resample_knockout(model, tokens[:2]))
    with pytest.raises(ShapeError, match="for each of 3 prompts"):
        mean_knockout(model, tokens, torch.tensor([0, 1]))


def test_a_metric_must_be_a_tensor_of_one_number(tokens):
    model = make_random("attention_only")
    knockout = zero_knockout(model, tokens)
    with pytest.raises(ShapeError, match="one number"):
        CircuitMetric(model, tokens, lambda logits: logits[:, -1, 0], knockout)(())
    with pytest.raises(ConfigError, match="must return a tensor: got float"):
        CircuitMetric(model, tokens, lambda logits: float(logits.mean()), knockout)(())
