"""The closed form of the direct path against the four steps, and by hand."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.direct_path import (
    direct_path_head_inputs,
    direct_path_logits,
    direct_path_to_heads,
    sender_changes,
)
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput
from arena_lib.interp.patching.path import freeze_all_but, path_patch, path_patch_logits
from arena_lib.transformer.activations.hooks import get_act_name
from arena_lib.transformer.fast.model import Transformer

SENDERS = [Head(1, 2), Embed(), Head(0, 3), Head(0, 0), MLP(1), Head(2, 1)]


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -1, 5].square().mean()


@pytest.fixture(params=["gpt2", "llama", "attention_only", "gpt2 bridge", "llama bridge"])
def any_model(request, bridged, model_of):
    form, *rest = request.param.split()
    return bridged(form) if rest else model_of(form)


@pytest.fixture
def caches(any_model, prompts):
    with torch.no_grad():
        return [hooked(any_model).run_with_cache(tokens)[1] for tokens in prompts]


def senders_of(model):
    return [sender for sender in SENDERS if hooked(model).has_mlp or not isinstance(sender, MLP)]


@torch.no_grad()
def test_direct_logits_are_those_of_the_four_steps(any_model, prompts, caches):
    senders = senders_of(any_model)
    found = direct_path_logits(any_model, *caches, senders)
    for sender, logits in zip(senders, found, strict=True):
        expected = path_patch_logits(any_model, PathExperiment(*prompts, through="direct"), [sender], [FinalResidual()])
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-8)
    ends = torch.tensor([2, 6, 4])
    cut = direct_path_logits(any_model, *caches, senders, read_at=ends)
    torch.testing.assert_close(cut, found[:, torch.arange(3), ends][:, :, None], rtol=0, atol=1e-10)


@torch.no_grad()
def test_a_few_tokens_have_the_logits_that_they_have_among_all(any_model, caches):
    if isinstance(any_model, Transformer) and any_model.unembed.b_U is not None:
        any_model.unembed.b_U.copy_(torch.arange(23.0))
    senders = senders_of(any_model)
    tokens = torch.tensor([[4, 1], [0, 22], [7, 7]])
    found = direct_path_logits(any_model, *caches, senders, tokens=tokens)
    every = direct_path_logits(any_model, *caches, senders)
    expected = every.gather(-1, tokens[None, :, None].expand(len(senders), 3, 7, 2))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    found = direct_path_logits(any_model, *caches, senders, tokens=tokens, read_at=-2)
    torch.testing.assert_close(found, expected[:, :, -2:-1], rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_head_inputs_are_those_of_a_run_with_all_else_frozen(any_model, prompts, caches, part):
    lm = hooked(any_model)
    senders = [sender for sender in senders_of(any_model) if sender != Head(2, 1)]
    found = direct_path_head_inputs(any_model, *caches, senders, 2, part)
    name = get_act_name(part, 2)
    for sender, inputs in zip(senders, found, strict=True):
        frozen = freeze_all_but([sender], lm, PathExperiment(*prompts, "direct", None, *caches))
        kept = {}
        hold = [(place, lambda tensor, hook, value=value: value) for place, value in frozen.items()]
        lm.run(prompts[0], [*hold, (name, lambda tensor, hook, kept=kept: kept.update(got=tensor))])
        torch.testing.assert_close(inputs, lm.repeat_kv(kept["got"], axis=2), rtol=0, atol=1e-8)


@torch.no_grad()
@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_one_sender_to_each_head_is_path_patching_to_each_head(any_model, prompts, caches, part):
    lm = hooked(any_model)
    sender = Head(0, 3)
    found = direct_path_to_heads(any_model, prompts[0], *caches, sender, part, metric, read_at=-1)
    for layer, head in ((1, 0), (1, 3), (2, 2)):
        expected = path_patch(
            any_model, PathExperiment(*prompts, through="direct"), [sender], [HeadInput(layer, head, part)], metric
        )
        torch.testing.assert_close(found[layer, head], expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(found[0], metric(lm.run(prompts[0])).expand(4), rtol=0, atol=1e-8)
    assert (found[1:] - found[0, 0]).abs().min() > 1e-9


@torch.no_grad()
def test_the_changes_of_all_senders_add_up_to_the_difference_of_the_final_streams(model, prompts):
    lm = hooked(model)
    caches = [lm.run_with_cache(tokens)[1] for tokens in prompts]
    every = [Embed(), *(Head(*head) for head in lm.heads)]
    every += [MLP(layer) for layer in range(3)] if lm.has_mlp else []
    changes = sender_changes(lm, every, *caches)
    difference = caches[1]["resid_post", 2] - caches[0]["resid_post", 2]
    torch.testing.assert_close(changes.sum(dim=0), difference, rtol=0, atol=1e-10)


def test_a_sender_may_come_twice(model_of, prompts):
    model = model_of("gpt2")
    with torch.no_grad():
        caches = [model.run_with_cache(tokens)[1] for tokens in prompts]
    found = direct_path_logits(model, *caches, [Head(0, 1), Head(2, 0), Head(0, 1)])
    torch.testing.assert_close(found[0], found[2], rtol=0, atol=1e-10)
    assert not torch.allclose(found[0], found[1])


def test_bad_input_says_what_must_hold(model_of, prompts):
    model = model_of("gpt2")
    with torch.no_grad():
        orig, new = (model.run_with_cache(tokens)[1] for tokens in prompts)
        other = model.run_with_cache(prompts[1][:, :5])[1]
    with pytest.raises(ShapeError, match="both runs must have the same prompts by number and length"):
        direct_path_logits(model, orig, other, [Head(0, 1)])
    with pytest.raises(ConfigError, match="a sender must come before a receiver"):
        direct_path_head_inputs(model, orig, new, [Head(1, 1)], 1, "q")
