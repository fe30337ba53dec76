"""Path patching by its four steps: what must hold of any model, by hand where that can be, and on a bridge."""

from types import SimpleNamespace

import pytest
import torch
from tests.interp.patching.conftest import make_random

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput, MLPInput
from arena_lib.interp.patching.path import (
    get_path_patch_head_to_final_resid_post,
    get_path_patch_head_to_heads,
    names_to_keep,
    patch_head_input,
    patch_or_freeze_head_vectors,
    path_patch,
    path_patch_logits,
)
from arena_lib.transformer.activations.hooks import HookPoint

THROUGH = ("direct", "mlps")
FINAL = [FinalResidual()]


def metric(logits):
    return logits[:, -1, 3].mean() - logits[:, -2, 5].square().mean()


def close(a, b, atol=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def run(model, tokens, *hooks):
    with torch.no_grad():
        return model.run_with_hooks(tokens, fwd_hooks=list(hooks))


def cached(model, tokens, names=None):
    with torch.no_grad():
        return model.run_with_cache(tokens, names)[1]


def all_senders(model):
    lm = hooked(model)
    return [Embed(), *(Head(*head) for head in lm.heads), *(MLP(layer) for layer in range(3) if lm.has_mlp)]


@pytest.mark.parametrize("through", THROUGH)
def test_all_that_is_written_sent_to_the_final_residual_is_the_new_run(model, prompts, through):
    orig, new = prompts
    close(
        path_patch_logits(model, PathExperiment(orig, new, through=through), all_senders(model), FINAL), run(model, new)
    )


@pytest.mark.parametrize("through", THROUGH)
def test_all_that_is_written_sent_to_all_inputs_of_a_layer_is_the_new_run(model, prompts, through):
    """What the heads and the MLP of layer 2 then write is what they write on the new prompts."""
    orig, new = prompts
    lm = hooked(model)
    inputs = [HeadInput(2, head, part) for head in range(4) for part in ("q", "k", "v")]
    inputs += [MLPInput(2)] if lm.has_mlp else []
    senders = [sender for sender in all_senders(model) if sender.writes_at < (5 if lm.has_mlp else 4)]
    logits = path_patch_logits(model, PathExperiment(orig, new, through=through), senders, inputs)
    old, now = cached(model, orig), cached(model, new)
    written = now["attn_out", 2] + now["mlp_out", 2] if lm.has_mlp else now["attn_out", 2]
    with torch.no_grad():
        close(logits, lm.unembed(old["resid_pre", 2] + written))


@pytest.mark.parametrize("through", THROUGH)
def test_patching_a_run_with_itself_changes_nothing(model, prompts, through):
    tokens, _ = prompts
    for receivers in (FINAL, [HeadInput(2, 1, "q"), HeadInput(1, 0, "v")]):
        close(
            path_patch_logits(model, PathExperiment(tokens, tokens, through=through), [Embed(), Head(0, 1)], receivers),
            run(model, tokens),
        )


def test_the_direct_path_of_a_head_is_its_own_contribution_exchanged(model, prompts):
    """By hand: the final stream, less what the head wrote, plus what it writes on the new prompts."""
    orig, new = prompts
    old, now = cached(model, orig), cached(model, new)
    change = (now["z", 1] - old["z", 1])[:, :, 2] @ model.blocks[1].attn.W_O[2]
    with torch.no_grad():
        expected = model.unembed(model.ln_final(old["resid_post", 2] + change))
    close(path_patch_logits(model, PathExperiment(orig, new, through="direct"), [Head(1, 2)], FINAL), expected)


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_the_direct_path_to_a_head_by_hand(model, prompts, part):
    """The receiver's part is made from the stream with the senders' change; all else is the original run."""
    orig, new = prompts
    old, now = cached(model, orig), cached(model, new)
    change = now["resid_pre", 0] - old["resid_pre", 0]
    change = change + (now["z", 0] - old["z", 0])[:, :, 3] @ model.blocks[0].attn.W_O[3]
    store = {}
    name = f"blocks.2.attn.hook_{part}"
    with torch.no_grad():
        stream = old["resid_pre", 2] + change
        hooks = [(name, lambda tensor, hook: store.update(arrived=tensor))]
        model.run_with_hooks(stream, fwd_hooks=hooks, start_at_layer=2)
    head = 1 if part == "q" else hooked(model).input_head(part, 1)

    def exchange(tensor, hook):
        tensor = tensor.clone()
        tensor[:, :, head] = store["arrived"][:, :, head]
        return tensor

    receivers = [HeadInput(2, 1, part)]
    logits = path_patch_logits(model, PathExperiment(orig, new, through="direct"), [Embed(), Head(0, 3)], receivers)
    close(logits, run(model, orig, (name, exchange)))
    assert not torch.allclose(logits, run(model, orig))


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_through_mlps_the_last_mlp_reads_the_change(prompts, form):
    """By hand for a head of the last layer, which only the last MLP reads."""
    model, (orig, new) = make_random(form), prompts
    old, now = cached(model, orig), cached(model, new)
    block = model.blocks[2]
    with torch.no_grad():
        stream = old["resid_mid", 2] + (now["z", 2] - old["z", 2])[:, :, 0] @ block.attn.W_O[0]
        expected = model.unembed(model.ln_final(stream + block.mlp(block.ln2(stream))))
    close(path_patch_logits(model, PathExperiment(orig, new, through="mlps"), [Head(2, 0)], FINAL), expected)
    assert not torch.allclose(
        path_patch_logits(model, PathExperiment(orig, new, through="direct"), [Head(2, 0)], FINAL), expected
    )


def test_no_effect_passes_a_head_that_is_not_named(model, prompts):
    """A sender whose only readers are heads has no effect through MLPs or directly: its direct share is taken out."""
    orig, new = prompts
    with torch.no_grad():
        model.blocks[0].attn.W_O[1] = 0
    for through in THROUGH:
        close(
            path_patch_logits(model, PathExperiment(orig, new, through=through), [Head(0, 1)], FINAL), run(model, orig)
        )


def test_a_sender_after_a_receiver_does_not_reach_it(model, prompts):
    orig, new = prompts
    late, early = HeadInput(2, 0, "v"), HeadInput(0, 3, "v")
    both = path_patch_logits(model, PathExperiment(orig, new), [Head(1, 1)], [late, early])
    close(both, path_patch_logits(model, PathExperiment(orig, new), [Head(1, 1)], [late]))


def test_without_mlps_both_settings_agree(prompts):
    model = make_random("attention_only")
    for receivers in (FINAL, [HeadInput(2, 1, "k")]):
        direct, mlps = (
            path_patch_logits(model, PathExperiment(*prompts, through=t), [Head(0, 2)], receivers) for t in THROUGH
        )
        close(direct, mlps)


def test_a_shared_key_is_patched_for_its_whole_group(prompts):
    model = make_random("llama")
    for part in ("k", "v"):
        one, other, outside = (
            path_patch_logits(model, PathExperiment(*prompts), [Head(0, 0)], [HeadInput(2, head, part)])
            for head in (0, 1, 2)
        )
        close(one, other)
        assert not torch.allclose(one, outside)


def test_the_default_is_the_papers(prompts):
    model = make_random("gpt2")
    default, mlps, direct = (
        path_patch(model, experiment, [Head(0, 2)], FINAL, metric)
        for experiment in (PathExperiment(*prompts), *(PathExperiment(*prompts, kind) for kind in ("mlps", "direct")))
    )
    assert default == mlps
    assert default != direct


def test_caches_that_are_there_save_the_runs(model, prompts):
    orig, new = (cached(model, tokens, names_to_keep(model)) for tokens in prompts)
    usual, right, swapped = (
        path_patch(model, PathExperiment(*prompts, **caches), [Embed(), Head(1, 2)], [HeadInput(2, 1, "q")], metric)
        for caches in ({}, {"orig_cache": orig, "new_cache": new}, {"orig_cache": new, "new_cache": orig})
    )
    close(right, usual)
    assert not torch.allclose(swapped, usual)


SETTINGS = [
    ([Embed()], FINAL),
    ([Head(0, 1), Head(1, 3), MLP(1)], FINAL),
    ([Embed(), Head(0, 2)], [HeadInput(1, 1, "q"), HeadInput(2, 2, "q")]),
    ([Head(1, 0), MLP(0)], [HeadInput(2, 3, "k"), HeadInput(2, 0, "v")]),
    ([Head(0, 0), MLP(0)], [MLPInput(1), MLPInput(2)]),
]


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("through", THROUGH)
def test_a_bridge_gives_the_same_logits(bridged, prompts, form, through):
    for senders, receivers in SETTINGS:
        ours, theirs = (
            path_patch_logits(m, PathExperiment(*prompts, through=through), senders, receivers)
            for m in (make_random(form), bridged(form))
        )
        close(ours, theirs, atol=1e-8)
        assert not torch.allclose(ours, run(make_random(form), prompts[0]), atol=1e-4)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_a_bridge_gives_the_same_sweeps(bridged, prompts, form):
    orig, new = prompts
    models = (make_random(form), bridged(form))
    ours, theirs = (get_path_patch_head_to_final_resid_post(m, metric, new, orig) for m in models)
    close(ours, theirs, atol=1e-8)
    for part in ("q", "k", "v"):
        ours, theirs = (get_path_patch_head_to_heads([(2, 1), (1, 2)], part, m, metric, new, orig) for m in models)
        close(ours, theirs, atol=1e-8)


def test_the_sweep_to_the_final_residual_is_one_path_for_each_head(model, prompts):
    orig, new = prompts
    results = get_path_patch_head_to_final_resid_post(model, metric, new, orig)
    assert results.shape == (3, 4)
    for layer, head in ((0, 0), (1, 3), (2, 2)):
        close(results[layer, head], path_patch(model, PathExperiment(orig, new), [Head(layer, head)], FINAL, metric))


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_the_sweep_to_heads_is_one_set_of_paths_for_each_sender(model, prompts, part):
    orig, new = prompts
    heads = [(1, 0), (2, 3), (2, 1)]
    results = get_path_patch_head_to_heads(heads, part, model, metric, new, orig)
    assert results.shape == (2, 4)
    for sender in ((0, 0), (0, 3), (1, 2)):
        receivers = [HeadInput(layer, head, part) for layer, head in heads]
        close(results[sender], path_patch(model, PathExperiment(orig, new), [Head(*sender)], receivers, metric))


def test_there_is_a_row_for_each_layer_before_the_latest_receiver(prompts):
    model = make_random("gpt2")
    assert get_path_patch_head_to_heads([(1, 2)], "v", model, metric, *prompts).shape == (1, 4)


def test_data_sets_and_caches_serve_as_well_as_tokens(model, prompts):
    orig, new = prompts
    sets = (SimpleNamespace(toks=new), SimpleNamespace(toks=orig))
    caches = (cached(model, new), cached(model, orig))
    for sweep in (
        get_path_patch_head_to_final_resid_post,
        lambda *args: get_path_patch_head_to_heads([(2, 1)], "q", *args),
    ):
        plain = sweep(model, metric, new, orig)
        close(sweep(model, metric, *sets), plain)
        close(sweep(model, metric, *sets, *caches), plain)
        assert not torch.allclose(sweep(model, metric, *sets, *reversed(caches)), plain)


def hook_at(layer, what):
    hook = HookPoint()
    hook.name = f"blocks.{layer}.attn.hook_{what}"
    return hook


def test_freezing_gives_every_head_its_original_value_but_one():
    now, orig, new = torch.randn(3, 2, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    hook = hook_at(1, "z")
    caches = {"new_cache": {hook.name: new}, "orig_cache": {hook.name: orig}}
    before = orig.clone()
    frozen = patch_or_freeze_head_vectors(now, hook, **caches, head_to_patch=(1, 2))
    assert torch.equal(frozen[:, :, 2], new[:, :, 2])
    assert torch.equal(frozen[:, :, [0, 1, 3]], orig[:, :, [0, 1, 3]])
    assert torch.equal(patch_or_freeze_head_vectors(now, hook, **caches, head_to_patch=(0, 2)), orig)
    assert torch.equal(orig, before)


def test_receivers_of_other_layers_keep_what_they_have():
    now, patched = torch.randn(2, 2, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    hook = hook_at(1, "q")
    result = patch_head_input(now, hook, {hook.name: patched}, [(1, 0), (0, 2), (1, 3)])
    assert torch.equal(result[:, :, [0, 3]], patched[:, :, [0, 3]])
    assert torch.equal(result[:, :, [1, 2]], now[:, :, [1, 2]])
    assert torch.equal(patch_head_input(now, hook, {hook.name: patched}, [(2, 0)]), now)


def test_prompts_that_do_not_align_are_refused(prompts):
    model, (orig, new) = make_random("gpt2"), prompts
    for other in (new[:2], new[:, :5]):
        with pytest.raises(ShapeError, match="clean and corrupted prompts must have the same shape"):
            get_path_patch_head_to_final_resid_post(model, metric, other, orig)


def test_what_cannot_work_is_refused(prompts):
    model, (orig, new) = make_random("gpt2"), prompts
    with pytest.raises(ConfigError, match="a sender must come before a receiver"):
        path_patch(model, PathExperiment(orig, new), [Head(1, 0)], [HeadInput(1, 1, "q")], metric)
    with pytest.raises(ConfigError, match="must hold a head that some head comes before"):
        get_path_patch_head_to_heads([(0, 1)], "q", model, metric, new, orig)
    with pytest.raises(ConfigError, match="must hold a head that some head comes before"):
        get_path_patch_head_to_heads([], "q", model, metric, new, orig)
    with pytest.raises(UnknownNameError, match=r"no head is called '1\.4'"):
        get_path_patch_head_to_heads([(1, 4)], "q", model, metric, new, orig)
    with pytest.raises(ConfigError, match=r"a dataset must be tokens or have them as \.toks: got list"):
        get_path_patch_head_to_final_resid_post(model, metric, [[1, 2]], orig)


def test_metrics_that_are_no_number_as_a_tensor_are_refused(prompts):
    model, (orig, new) = make_random("gpt2"), prompts

    def as_float(logits):
        return metric(logits).item()

    for call in (
        lambda bad: path_patch(model, PathExperiment(orig, new), [Embed()], FINAL, bad),
        lambda bad: get_path_patch_head_to_final_resid_post(model, bad, new, orig),
        lambda bad: get_path_patch_head_to_heads([(1, 1)], "q", model, bad, new, orig),
    ):
        with pytest.raises(ConfigError, match="a metric must return a tensor: got float"):
            call(as_float)
        with pytest.raises(ShapeError, match="the metric must return one number"):
            call(lambda logits: logits[:, -1, 0])
