"""Edges against path patching, whole circuits against the model, and recovery of a circuit that is known."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.circuits.known import make_known_induction_model, make_repeated_tokens
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.edges import all_edges, check_edges, find_edges, run_edges, score_edges
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput, MLPInput
from arena_lib.interp.patching.path import path_patch
from arena_lib.transformer.fast.attention_only import AttentionOnly


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


@pytest.fixture(params=["gpt2", "llama", "attention_only", "gpt2 bridge", "llama bridge"])
def any_model(request, bridged, model_of):
    form, *rest = request.param.split()
    return bridged(form) if rest else model_of(form)


def test_all_edges_are_counted_by_hand(model_of):
    # Layer by layer, what comes before: embed; embed and 4 heads (and an MLP) ...; 4 q, 4 k, 4 v, or 2 where shared.
    assert len(all_edges(model_of("attention_only"))) == 12 * (1 + 5 + 9) + 13
    assert len(all_edges(model_of("gpt2"))) == 12 * (1 + 6 + 11) + (5 + 10 + 15) + 16
    assert len(all_edges(model_of("llama"))) == 8 * (1 + 6 + 11) + (5 + 10 + 15) + 16
    assert len(set(all_edges(model_of("gpt2")))) == len(all_edges(model_of("gpt2")))


@torch.no_grad()
def test_every_edge_is_the_model_and_none_the_other_run(any_model, prompts):
    clean, corrupted = prompts
    lm = hooked(any_model)
    whole = run_edges(any_model, clean, corrupted, all_edges(any_model))
    torch.testing.assert_close(whole, lm.run(clean), rtol=0, atol=1e-8)
    torch.testing.assert_close(run_edges(any_model, clean, corrupted, []), lm.run(corrupted), rtol=0, atol=1e-8)


@torch.no_grad()
def test_scores_are_direct_paths_one_by_one(model, prompts):
    orig, new = prompts
    edges = all_edges(model)
    scores = score_edges(model, orig, new, metric, read_at=-1)
    assert scores.shape == (len(edges),)
    base = metric(model(orig))
    for idx in range(0, len(edges), 17):
        sender, receiver = edges[idx]
        expected = path_patch(model, PathExperiment(orig, new, through="direct"), [sender], [receiver], metric) - base
        torch.testing.assert_close(scores[idx], expected, rtol=0, atol=1e-8)
    some = [edges[-1], edges[3]]
    torch.testing.assert_close(score_edges(model, orig, new, metric, some), scores[[len(edges) - 1, 3]])


@torch.no_grad()
def test_all_edges_but_one_carry_what_the_score_of_that_one_says(model, prompts):
    """Into the final stream nothing follows, so leaving out an edge of the clean run is patching it."""
    clean, corrupted = prompts
    edges = all_edges(model)
    sender = Head(1, 2)
    rest = [edge for edge in edges if edge != (sender, FinalResidual())]
    expected = path_patch(
        model, PathExperiment(clean, corrupted, through="direct"), [sender], [FinalResidual()], metric
    )
    found = metric(run_edges(model, clean, corrupted, rest))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@torch.no_grad()
def test_a_chain_of_edges_passes_the_change_on(model_of, prompts):
    """Embed -> v of 1.1 -> query of 2.0 -> the end, against nested runs by hooks."""
    clean, corrupted = prompts
    model = model_of("llama")
    lm = hooked(model)
    chain = [(Embed(), HeadInput(1, 1, "v")), (Head(1, 1), HeadInput(2, 0, "q")), (Head(2, 0), FinalResidual())]
    here, there = (model.run_with_cache(tokens)[1] for tokens in (clean, corrupted))

    def swap(name, heads, value):
        def hook(tensor, hook):
            patched = tensor.clone()
            patched[:, :, heads] = value
            return patched

        return name, hook

    kept = {}
    stream = there["resid_pre", 1] + here["resid_pre", 0] - there["resid_pre", 0]
    v = model.blocks[1].ln1(stream) @ lm.W_V(1)[1]
    keep = ("blocks.1.attn.hook_z", lambda z, hook: kept.update(z=z[:, :, 1]))
    # Key head 0 serves query heads 0 and 1; the edge is to the group's key head, but only head 1's output goes on.
    lm.run(corrupted, [swap("blocks.1.attn.hook_v", 0, v), keep])
    stream = there["resid_pre", 2] + (kept["z"] - there["z", 1][:, :, 1]) @ lm.W_O(1)[1]
    q = model.blocks[2].ln1(stream) @ lm.W_Q(2)[0]
    keep = ("blocks.2.attn.hook_z", lambda z, hook: kept.update(z=z[:, :, 0]))
    lm.run(corrupted, [swap("blocks.2.attn.hook_q", 0, q), keep])
    final = there["resid_post", 2] + (kept["z"] - there["z", 2][:, :, 0]) @ lm.W_O(2)[0]
    found = run_edges(model, clean, corrupted, chain)
    torch.testing.assert_close(found, lm.unembed(final), rtol=0, atol=1e-8)


@torch.no_grad()
def test_an_mlp_edge_carries_the_clean_summand(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    here, there = (model.run_with_cache(tokens)[1] for tokens in (clean, corrupted))
    stream = there["resid_mid", 1] + here["resid_pre", 0] - there["resid_pre", 0]
    out = hooked(model).mlp_out(1, stream)
    final = there["resid_post", 2] + out - there["mlp_out", 1]
    found = run_edges(model, clean, corrupted, [(Embed(), MLPInput(1)), (MLP(1), FinalResidual())], other_cache=there)
    torch.testing.assert_close(found, hooked(model).unembed(final), rtol=0, atol=1e-8)


def test_edges_into_a_shared_key_are_one(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("llama")
    edges = [(Head(0, 2), HeadInput(1, head, "k")) for head in (2, 3)]
    one, both = run_edges(model, clean, corrupted, edges[:1]), run_edges(model, clean, corrupted, edges)
    assert torch.equal(one, both)


# -- a circuit that is known ------------------------------------------------------------------------

LENGTH = 6


@pytest.fixture(scope="module")
def repeated():
    """Clean and corrupted repeated strings, and the log-probability of the clean continuation."""
    clean, corrupted = (make_repeated_tokens(24, LENGTH, 4, torch.Generator().manual_seed(seed)) for seed in (0, 1))

    def metric(logits):
        logprobs = logits[:, LENGTH + 1 : -1].log_softmax(dim=-1)
        return logprobs.gather(-1, clean[:, LENGTH + 2 :, None]).mean()

    return clean, corrupted, metric


def test_the_known_circuit_is_recovered_exactly(repeated):
    model, truth = make_known_induction_model(generator=torch.Generator().manual_seed(3))
    clean, corrupted, metric = repeated
    assert set(find_edges(model, clean, corrupted, metric, threshold=1e-3)) == set(truth.edges)
    scores = dict(zip(all_edges(model), score_edges(model, clean, corrupted, metric).tolist(), strict=True))
    assert min(abs(scores[edge]) for edge in truth.edges) > 1
    assert max(abs(score) for edge, score in scores.items() if edge not in truth.edges) < 1e-8


def test_the_known_circuit_does_what_the_model_does_and_its_complement_nothing(repeated):
    model, truth = make_known_induction_model()
    clean, corrupted, metric = repeated
    whole, none = metric(model(clean)), metric(model(corrupted))
    rest = [edge for edge in all_edges(model) if edge not in truth.edges]
    assert whole - none > 10
    torch.testing.assert_close(metric(run_edges(model, clean, corrupted, truth.edges)), whole, rtol=0, atol=1e-8)
    torch.testing.assert_close(metric(run_edges(model, clean, corrupted, rest)), none, rtol=0, atol=1e-8)
    for edge in truth.edges:
        broken = [other for other in truth.edges if other != edge]
        assert metric(run_edges(model, clean, corrupted, broken)) < whole - 1


def test_an_untrained_model_has_no_circuit(repeated):
    trained, _ = make_known_induction_model()
    model = AttentionOnly(trained.cfg, generator=torch.Generator().manual_seed(0)).double()
    clean, corrupted, metric = repeated
    assert find_edges(model, clean, corrupted, metric, threshold=1e-3) == []


def test_bad_input_says_what_must_hold(model_of, prompts):
    clean, corrupted = prompts
    model = model_of("gpt2")
    with pytest.raises(ConfigError, match=r"an edge must be \(sender, receiver\): got "):
        check_edges(hooked(model), [Head(0, 1)])
    with pytest.raises(ConfigError, match="a sender must come before a receiver"):
        run_edges(model, clean, corrupted, [(MLP(1), HeadInput(1, 0, "q"))])
    with pytest.raises(ShapeError, match="clean and corrupted prompts must have the same shape"):
        run_edges(model, clean, corrupted[:2], [])
