from functools import partial

import pytest
import torch
from tests.interp.patching.conftest import D_VOCAB, bridged, make_random

__all__ = ["bridged"]

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.attribution.direct import attribute_head_by_source, direct_logit_attribution
from arena_lib.interp.attribution.lens import logit_lens, track_target
from arena_lib.interp.bridge_models import BridgeLM
from arena_lib.interp.circuits.evaluation import mean_knockout, resample_knockout, run_circuit, zero_knockout
from arena_lib.interp.heads.ablation import get_ablation_scores
from arena_lib.interp.heads.detectors import prev_attn_detector
from arena_lib.interp.heads.induction import compute_induction_scores
from arena_lib.interp.hooking import hooked, padded
from arena_lib.interp.models import HookedLM, HookedModel, TracedModel
from arena_lib.interp.nnsight_models import NNsightLM
from arena_lib.interp.patching import activation, direct_path, edges, path, path_fast, sweeps
from arena_lib.interp.patching.attribution import attribute_patches
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput
from arena_lib.interp.steering import head_effects
from arena_lib.transformer.fast.padding import pad_left


@pytest.mark.parametrize(
    ("load", "protocol", "kind"),
    [
        (zoo.load, HookedModel, HookedLM),
        (zoo.load_bridge, HookedModel, BridgeLM),
        (zoo.load_nnsight, TracedModel, NNsightLM),
    ],
)
def test_each_kind_of_model_is_seen_in_its_own_way_and_wrapped_once(load, protocol, kind):
    model = load("tiny-gpt")
    lm = hooked(model)
    assert isinstance(model, protocol)
    assert type(lm) is kind
    assert hooked(lm) is lm


def test_other_things_are_refused():
    with pytest.raises(ConfigError, match="must have the hook interface: got str"):
        hooked("tiny-gpt")


# -- prompts of uneven length ------------------------------------------------------------------------

LENGTHS, SEQ = (4, 7, 6), 7


def draw(seed):
    """Prompts of these lengths, padded on the left by tokens that would change a great deal."""
    tokens = torch.randint(0, D_VOCAB, (3, SEQ), generator=torch.Generator().manual_seed(seed))
    return tokens, torch.arange(SEQ) >= SEQ - torch.tensor(LENGTHS)[:, None]


TOKENS, MASK = draw(0)
OTHER, _ = draw(1)
ANSWERS = torch.tensor([3, 8, 5])


def metric(logits):
    """One number of the last position, the mean over prompts."""
    return logits[:, -1, 7].pow(2).mean()


def patched(fn, **options):
    """A function of (model, tokens, another run's cache, metric)."""
    return lambda lm, tokens, other, rows: fn(lm, tokens, lm.run_with_cache(other)[1], metric, **options)


def on_paths(fn, **options):
    return lambda lm, tokens, other, rows: fn(lm, PathExperiment(tokens, other, **options))


BY_PROMPT = {
    "logits": lambda lm, tokens, other, rows: lm.run(tokens)[:, -1],
    "logit lens": lambda lm, tokens, other, rows: logit_lens(lm, tokens)[0].movedim(1, 0),
    "logit lens at a position": lambda lm, tokens, other, rows: logit_lens(lm, tokens, position=2)[0].movedim(1, 0),
    "target": lambda lm, tokens, other, rows: track_target(lm, tokens, ANSWERS[rows]).logprobs.T,
    "attribution": lambda lm, tokens, other, rows: direct_logit_attribution(lm, tokens, ANSWERS[rows]).values.T,
    "attribution by layer, at a position": lambda lm, tokens, other, rows: (
        direct_logit_attribution(lm, tokens, ANSWERS[rows], by="layer", position=1).values.T
    ),
    "direct paths": lambda lm, tokens, other, rows: direct_path.direct_path_logits(
        lm, lm.run_with_cache(tokens)[1], lm.run_with_cache(other)[1], [Embed(), Head(0, 1), Head(2, 3)], read_at=-2
    ).movedim(1, 0),
    "edges": lambda lm, tokens, other, rows: edges.run_edges(lm, tokens, other, edges.all_edges(lm)[::3])[:, -1],
    "answers": lambda lm, tokens, other, rows: head_effects.compute_answer_logprobs(
        lm, tokens, ANSWERS[rows], [head_effects.add_at_last(1, torch.ones(24, dtype=torch.float64))]
    ),
    "knockout": lambda lm, tokens, other, rows: run_circuit(
        lm, tokens, [(0, 1), (2, 0)], resample_knockout(lm, other)
    )[:, -1],
    "zero knockout": lambda lm, tokens, other, rows: run_circuit(lm, tokens, [(1, 1)], zero_knockout(lm, tokens))[:, -1],
}  # fmt: skip
"""Functions with a result for each prompt, which comes first."""

ON_AVERAGE = {
    "heads": patched(activation.get_act_patch_attn_head_all_pos_every),
    "head sweep": patched(sweeps.sweep_every_head),
    "head sweep, read at": patched(sweeps.sweep_every_head, read_at=-1),
    "attributed heads": lambda lm, *rest: attribute_heads(lm, *rest),
    "integrated heads": lambda lm, *rest: attribute_heads(lm, *rest, n_steps=3),
    "path": on_paths(partial(path.path_patch, senders=[Head(0, 1)], receivers=[HeadInput(2, 3, "v")], metric=metric)),
    "path at a position": on_paths(
        partial(path.path_patch, senders=[Head(0, 1)], receivers=[FinalResidual()], metric=metric), read_at=1
    ),
    "paths of heads": on_paths(partial(path_fast.path_patch_heads, receivers=[HeadInput(2, 1, "q")], metric=metric)),
    "paths to the end": on_paths(
        partial(path_fast.path_patch_heads, receivers=[FinalResidual()], metric=metric), read_at=2, through="direct"
    ),
    "paths to heads": lambda lm, tokens, other, rows: direct_path.direct_path_to_heads(
        lm, tokens, lm.run_with_cache(tokens)[1], lm.run_with_cache(other)[1], Head(0, 2), "k", metric
    ),
    "plain paths": lambda lm, tokens, other, rows: path.get_path_patch_head_to_final_resid_post(
        lm, metric, other, tokens
    ),
    "plain paths to heads": lambda lm, tokens, other, rows: path.get_path_patch_head_to_heads(
        [(2, 0), (1, 3)], "k", lm, metric, other, tokens
    ),
    "scores of edges": lambda lm, tokens, other, rows: edges.score_edges(
        lm, tokens, other, metric, edges.all_edges(lm)[::7]
    ),
    "mean z": lambda lm, tokens, other, rows: head_effects.compute_mean_z(lm, tokens),
    "effects of heads": lambda lm, tokens, other, rows: head_effects.compute_head_effects(
        lm, tokens, ANSWERS[rows], torch.ones(3, 4, 6, dtype=torch.float64)
    ),
}
"""Functions whose result is a mean over prompts."""

BY_COLUMN = {
    "stream": patched(activation.get_act_patch_resid_pre),
    "blocks": patched(activation.get_act_patch_block_every),
    "block sweep": patched(sweeps.sweep_every_block),
    "block sweep, read at": patched(sweeps.sweep_every_block, read_at=-1),
    "head sweep by position": patched(sweeps.sweep_every_head, by_position=True),
}
"""The same with a last axis of positions: a patch at padding changes nothing."""


def attribute_heads(lm, tokens, other, rows, n_steps=None):
    by_site = attribute_patches(
        lm, tokens, lm.run_with_cache(other)[1], metric, ("z", "q", "k", "v"), by_position=False, n_steps=n_steps
    )
    return torch.stack(list(by_site.values()))


def alone(fn, model):
    """What the function gives for each prompt by itself."""
    starts = [SEQ - length for length in LENGTHS]
    return [fn(hooked(model), TOKENS[i : i + 1, s:], OTHER[i : i + 1, s:], [i]) for i, s in enumerate(starts)]


def together(fn, model):
    return fn(padded(model, MASK), TOKENS, OTHER, [0, 1, 2])


@pytest.fixture(params=["gpt2", "llama", "attention_only"])
def model(request):
    return make_random(request.param)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", BY_PROMPT)
def test_each_prompt_of_a_padded_batch_gets_what_it_gets_alone(model, name):
    with torch.no_grad():
        close(together(BY_PROMPT[name], model), torch.cat(alone(BY_PROMPT[name], model)))


@pytest.mark.parametrize("name", ON_AVERAGE)
def test_means_over_a_padded_batch_are_those_of_its_prompts(model, name):
    close(together(ON_AVERAGE[name], model), torch.stack(alone(ON_AVERAGE[name], model)).mean(dim=0))


@pytest.mark.parametrize("name", BY_COLUMN)
def test_at_padding_there_is_nothing_to_patch(model, name):
    results = alone(BY_COLUMN[name], model)
    with torch.no_grad():
        unpatched = alone(lambda lm, tokens, other, rows: metric(lm.run(tokens)), model)
    filled = [
        torch.cat([value.expand(*result.shape[:-1], SEQ - result.shape[-1]), result], dim=-1)
        for value, result in zip(unpatched, results, strict=True)
    ]
    close(together(BY_COLUMN[name], model), torch.stack(filled).mean(dim=0))


def test_what_comes_from_padding_is_nothing(model):
    by_source = attribute_head_by_source(padded(model, MASK), TOKENS, (1, 2), ANSWERS)
    for i, row in enumerate(by_source):
        own = TOKENS[i : i + 1, SEQ - LENGTHS[i] :]
        close(row[-LENGTHS[i] :], attribute_head_by_source(model, own, (1, 2), ANSWERS[i : i + 1])[0])
        assert not row[: -LENGTHS[i]].any()


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("name", ["logit lens at a position", "edges", "answers", "heads", "path", "block sweep"])
def test_a_bridge_gives_the_same(bridged, form, name):
    fn = (BY_PROMPT | ON_AVERAGE | BY_COLUMN)[name]
    with torch.no_grad():
        close(together(fn, bridged(form)), together(fn, make_random(form)))


@pytest.mark.parametrize("zoo_name", ["tiny-gpt", "tiny-llama"])
def test_nnsight_gives_the_same(zoo_name):
    for fn in (BY_PROMPT["logit lens at a position"], ON_AVERAGE["plain paths"], BY_COLUMN["block sweep"]):
        with torch.no_grad():
            actual, expected = together(fn, zoo.load_nnsight(zoo_name)), together(fn, zoo.load(zoo_name))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_padding_on_the_right_is_moved_first(model):
    right = MASK.flip(1)
    with pytest.raises(ShapeError, match=r"must stand on the left.*got padding on the right of row 0.*pad_left"):
        padded(model, right)
    tokens, mask = pad_left(TOKENS, right)
    with torch.no_grad():
        rows = [model(TOKENS[i : i + 1, :length])[:, -1] for i, length in enumerate(LENGTHS)]
    close(padded(model, mask).run(tokens)[:, -1].detach(), torch.cat(rows))


def test_a_mask_belongs_to_its_tokens(model):
    lm = padded(model, MASK)
    with pytest.raises(ShapeError, match=r"attention mask was made for: got \(3, 6\) for a mask of \(3, 7\)"):
        lm.run(TOKENS[:, 1:])
    with pytest.raises(ShapeError, match=r"position must be between -4 and 3: got 4"):
        logit_lens(lm, TOKENS, position=4)
    assert hooked(model).attention_mask is None
    assert padded(model, torch.ones(3, SEQ, dtype=torch.bool)).attention_mask is None


def test_what_compares_positions_across_prompts_refuses_padding(model):
    lm = padded(model, MASK)
    repeated = torch.tensor([[0, 1, 2, 3, 1, 2, 3]] * 3)
    for call in (
        lambda: mean_knockout(lm, TOKENS),
        lambda: get_ablation_scores(lm, repeated),
        lambda: compute_induction_scores(lm, repeated),
        lambda: prev_attn_detector(lm.run_with_cache(TOKENS)[1]),
    ):
        with pytest.raises(ConfigError, match=r"got (a cache of )?prompts of uneven length"):
            call()


def test_mlps_are_senders_too():
    lm, experiment = padded(make_random("gpt2"), MASK), PathExperiment(TOKENS, OTHER)
    given = {"senders": [MLP(0)], "receivers": [HeadInput(1, 2, "k")], "metric": metric}
    values = [
        path.path_patch(make_random("gpt2"), PathExperiment(TOKENS[i : i + 1, s:], OTHER[i : i + 1, s:]), **given)
        for i, s in enumerate(SEQ - length for length in LENGTHS)
    ]
    close(path.path_patch(lm, experiment, **given), torch.stack(values).mean())
    close(path_fast.path_patch_each(lm, experiment, **given)[0], torch.stack(values).mean())
