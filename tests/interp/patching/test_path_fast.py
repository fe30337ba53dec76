"""Path patching of many senders at once against the four steps, one sender at a time."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import (
    MLP,
    Embed,
    FinalResidual,
    Head,
    HeadInput,
    MLPInput,
    reaches,
)
from arena_lib.interp.patching.path import get_path_patch_head_to_final_resid_post, path_patch
from arena_lib.interp.patching.path_fast import names_for_paths, path_patch_each, path_patch_heads

SENDERS = [Head(1, 2), Embed(), Head(0, 3), MLP(1), Head(0, 0), MLP(0), Head(2, 1), MLP(2)]
"""In no order."""
RECEIVERS = {
    "final": [FinalResidual()],
    "query": [HeadInput(2, 1, "q")],
    "early value": [HeadInput(1, 3, "v")],
    "shared and apart": [HeadInput(2, 1, "k"), HeadInput(2, 3, "v"), HeadInput(2, 0, "v"), HeadInput(1, 2, "q")],
    "last MLP": [MLPInput(2)],
    "MLPs around heads": [MLPInput(1), HeadInput(2, 3, "q"), MLPInput(2)],
    "heads before an MLP": [HeadInput(1, 1, "v"), MLPInput(1), HeadInput(2, 1, "k"), HeadInput(2, 2, "k")],
}


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


def choose(lm, receivers):
    """The receivers that the form has, and the senders that reach one of them."""
    known = [receiver for receiver in receivers if lm.has_mlp or not isinstance(receiver, MLPInput)]
    senders = [sender for sender in SENDERS if lm.has_mlp or not isinstance(sender, MLP)]
    return [sender for sender in senders if any(reaches(sender, receiver) for receiver in known)], known


def check_against_steps(model, prompts, receivers, through, settings):
    orig, new = prompts
    senders, receivers = choose(hooked(model), receivers)
    if not receivers:
        pytest.skip("the form has no such receiver")
    expected = torch.stack(
        [
            path_patch(model, PathExperiment(orig, new, through=through), [sender], receivers, metric)
            for sender in senders
        ]
    )
    for kept, max_tokens in settings:
        experiment = PathExperiment(orig, new, through, **kept)
        values = path_patch_each(model, experiment, senders, receivers, metric, max_tokens=max_tokens)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-8)
    assert expected.std() > 1e-5


@pytest.mark.parametrize("through", ["direct", "mlps"])
@pytest.mark.parametrize("receivers", RECEIVERS)
def test_each_sender_is_patched_as_by_the_four_steps(model, prompts, receivers, through):
    settings = (({}, None), ({"read_at": -1}, 30), ({"read_at": torch.tensor([6, -1, 6])}, None))
    check_against_steps(model, prompts, RECEIVERS[receivers], through, settings)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("receivers", ["final", "shared and apart", "MLPs around heads"])
def test_a_bridge_is_patched_as_by_the_four_steps(bridged, prompts, form, receivers):
    for through in ("direct", "mlps"):
        check_against_steps(bridged(form), prompts, RECEIVERS[receivers], through, [({"read_at": -1}, None)])


def test_heads_to_the_final_residual_are_the_lesson_s(model, prompts):
    orig, new = prompts
    expected = get_path_patch_head_to_final_resid_post(model, metric, new, orig)
    values = path_patch_heads(model, PathExperiment(orig, new, read_at=-1), [FinalResidual()], metric)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-8)


@torch.no_grad()
def test_heads_that_reach_nothing_have_the_original_metric(model, prompts):
    orig, new = prompts
    receivers = [HeadInput(1, 2, "q")]
    values = path_patch_heads(model, PathExperiment(orig, new), receivers, metric)
    assert values.shape == (3, 4)
    base = metric(model(orig))
    torch.testing.assert_close(values[1:], base.expand(2, 4), rtol=0, atol=1e-12)
    expected = path_patch(model, PathExperiment(orig, new), [Head(0, 1)], receivers, metric)
    torch.testing.assert_close(values[0, 1], expected, rtol=0, atol=1e-8)
    with pytest.raises(ConfigError, match="a sender must come before a receiver"):
        path_patch_heads(model, PathExperiment(orig, new), [HeadInput(0, 2, "q")], metric)


@torch.no_grad()
def test_caches_that_are_given_are_used_and_left_as_they_are(model_of, prompts):
    orig, new = prompts
    model = model_of("llama")
    caches = [model.run_with_cache(tokens, names_for_paths(model))[1] for tokens in (orig, new)]
    before = [{name: tensor.clone() for name, tensor in cache.items()} for cache in caches]
    kept, senders = PathExperiment(orig, orig, orig_cache=caches[0], new_cache=caches[1]), [Head(0, 1), MLP(1)]
    for receivers in ([FinalResidual()], [MLPInput(2)]):
        values = path_patch_each(model, kept, senders, receivers, metric)
        expected = path_patch_each(model, PathExperiment(orig, new), senders, receivers, metric)
        torch.testing.assert_close(values, expected)
    for cache, copies in zip(caches, before, strict=True):
        assert all(torch.equal(cache[name], copies[name]) for name in copies)


def test_a_metric_gets_the_position_that_is_read_alone(model_of, prompts):
    model, shapes = model_of("gpt2"), []

    def seen(logits):
        shapes.append(tuple(logits.shape))
        return metric(logits)

    experiment = PathExperiment(*prompts, read_at=torch.tensor([6, -1, 6]))
    plain = path_patch(model, experiment, [Head(0, 1)], [HeadInput(2, 1, "q")], seen)
    [fast] = path_patch_each(model, experiment, [Head(0, 1)], [HeadInput(2, 1, "q")], seen)
    assert shapes == [(3, 1, 23)] * 2
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-8)
    elsewhere = path_patch(model, PathExperiment(*prompts, read_at=2), [Head(0, 1)], [HeadInput(2, 1, "q")], metric)
    assert not torch.allclose(elsewhere, plain)


def test_a_metric_may_read_every_position(model_of, prompts):
    orig, new = prompts
    model = model_of("gpt2")

    def of_all(logits):
        assert logits.shape == (3, 7, 23)
        return (logits[..., 2] * torch.arange(1.0, 8.0)).sum()

    for receivers in ([FinalResidual()], [MLPInput(2)]):
        values = path_patch_each(model, PathExperiment(orig, new), [Head(0, 1), Embed()], receivers, of_all)
        for sender, value in zip((Head(0, 1), Embed()), values, strict=True):
            expected = path_patch(model, PathExperiment(orig, new), [sender], receivers, of_all)
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-8)


def test_bad_input_says_what_must_hold(model_of, prompts):
    orig, new = prompts
    model = model_of("gpt2")
    with pytest.raises(ShapeError, match="clean and corrupted prompts must have the same shape"):
        path_patch_each(model, PathExperiment(orig, new[:2]), [Embed()], [FinalResidual()], metric)
    with pytest.raises(ShapeError, match="a position must be between -7 and 6: got 9"):
        path_patch_each(model, PathExperiment(orig, new, read_at=9), [Embed()], [FinalResidual()], metric)
    with pytest.raises(ConfigError, match="a metric must return a tensor"):
        path_patch_each(model, PathExperiment(orig, new), [Embed()], [FinalResidual()], lambda logits: 1.0)
