"""The same numbers from ours, the bridge, and nnsight, under the same names."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.nnsight_models import blocks, head_output_weights, out_projection
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import MLP, Head, MLPInput
from arena_lib.interp.patching.path import path_patch_logits

TOKENS = torch.randint(0, 900, (2, 7), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["tiny-gpt", "tiny-llama"])
def models(request):
    ours, bridge, traced = zoo.load(request.param), zoo.load_bridge(request.param), zoo.load_nnsight(request.param)
    return hooked(ours), hooked(bridge), hooked(traced)


@pytest.fixture(scope="module")
def ours(models):
    return models[0]


@pytest.fixture(scope="module")
def traced(models):
    return models[2]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_sizes_and_weights_are_those_of_ours(models):
    ours, _, traced = models
    for name in ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_head", "d_vocab", "has_mlp", "heads", "device"):
        assert getattr(traced, name) == getattr(ours, name)
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        close(getattr(traced, name)(2), getattr(ours, name)(2))
    for name in ("b_Q", "b_K", "b_V", "b_O"):
        mine, theirs = ours.bias(1, name), traced.bias(1, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            close(theirs, mine)
    close(traced.W_E, ours.W_E)
    close(traced.W_U, ours.W_U)
    assert traced.bos_token_id == ours.bos_token_id


def test_parts_give_what_those_of_ours_give(ours, traced):
    resid = torch.randn(2, 5, ours.d_model, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for part in ("ln1", "ln2"):
            close(traced.norm(1, part, resid), ours.norm(1, part, resid))
        close(traced.mlp_out(2, resid), ours.mlp_out(2, resid))
        close(traced.final_norm(resid), ours.final_norm(resid))
        close(traced.unembed(resid), ours.unembed(resid))
        tokens = torch.tensor([[3, 5, 8], [13, 21, 34]])
        close(traced.unembed_tokens(resid, tokens), ours.unembed_tokens(resid, tokens))
    for layer, part in ((1, "ln1"), (2, "ln2"), (None, "ln1")):
        (gain, centres), (expected, expected_centres) = traced.gain(layer, part), ours.gain(layer, part)
        close(gain, expected)
        assert centres == expected_centres


def test_logits_and_cache_agree_on_all_three(models):
    ours, bridge, traced = models
    names = [name for name in traced._sites if name != traced.last_meeting]
    with torch.no_grad():
        expected, cache = ours.run_with_cache(TOKENS, names)
        for model in (bridge, traced):
            logits, seen = model.run_with_cache(TOKENS, names)
            close(logits, expected)
            for name in names:
                close(seen[name], cache[name])
    assert seen["z", 1] is seen["blocks.1.attn.hook_z"]


def test_cache_without_names_has_all_that_there_are(traced):
    with torch.no_grad():
        _, cache = traced.run_with_cache(TOKENS)
    assert set(cache) == set(traced._sites)
    with pytest.raises(UnknownNameError, match=r"blocks\.9"):
        cache["z", 9]


@pytest.mark.parametrize("returns", [True, False])
def test_hooks_change_the_same_places(models, returns):
    names = [name for name in models[2]._sites if "resid_mid" not in name and "hook_embed" not in name]
    for name in names:
        if not name.startswith("blocks.2."):
            continue

        def halve(tensor, hook, name=name):
            assert hook.name == name
            if returns:
                return torch.cat([tensor[:, :3] * 0.5, tensor[:, 3:]], dim=1)
            tensor[:, :3] *= 0.5
            return None

        with torch.no_grad():
            results = [model.run(TOKENS, [(name, halve)]) for model in models]
            unchanged = models[0].run(TOKENS)
        assert (results[0] - unchanged).abs().max() > 1e-3, name
        close(results[2], results[0])
        close(results[1], results[0])


def test_several_hooks_in_one_run_see_each_other(ours, traced):
    def double(tensor, hook):
        return tensor * 2

    hooks = [(f"blocks.{layer}.attn.hook_{part}", double) for layer in (1, 0) for part in "vqk"]
    hooks += [("blocks.1.hook_resid_post", double), (lambda name: name.endswith("hook_z"), double)]
    with torch.no_grad():
        close(traced.run(TOKENS, hooks), ours.run(TOKENS, [*hooks[:-1], *_each_z(ours, double)]))


def _each_z(model, fn):
    return [(f"blocks.{layer}.attn.hook_z", fn) for layer in range(model.n_layers)]


def test_start_and_stop_are_those_of_ours(ours, traced):
    with torch.no_grad():
        resid = ours.run(TOKENS, stop_at_layer=2)
        for stop in (0, 2, 4):
            close(traced.run(TOKENS, stop_at_layer=stop), ours.run(TOKENS, stop_at_layer=stop))
        close(traced.run(resid, start_at_layer=2), ours.run(resid, start_at_layer=2))
        close(traced.run(resid, start_at_layer=2, stop_at_layer=3), ours.run(resid, start_at_layer=2, stop_at_layer=3))
        close(traced.run(resid, start_at_layer=2, stop_at_layer=2), resid)
        close(traced.run(resid, start_at_layer=4), ours.run(resid, start_at_layer=4))

        def double(tensor, hook):
            return tensor * 2

        hooks = [(name, double) for name in ("blocks.1.hook_resid_pre", "blocks.2.hook_resid_pre")]
        close(traced.run(resid, hooks, start_at_layer=2), ours.run(resid, hooks, start_at_layer=2))


def test_positions_may_be_dropped_at_the_last_meeting(ours, traced):
    with torch.no_grad():
        last = traced.run(TOKENS, [(traced.last_meeting, lambda resid, hook: resid[:, -1:])])
        close(last, ours.run(TOKENS)[:, -1:])


def test_backward_hooks_see_the_gradients_of_ours(ours, traced):
    names = ["blocks.1.hook_resid_pre", "blocks.2.attn.hook_k", "blocks.2.attn.hook_z", "blocks.3.mlp.hook_post"]
    found = []
    for model in (ours, traced):
        gradients = {}

        def keep(gradient, hook, gradients=gradients):
            gradients[hook.name] = gradient.detach().clone()

        model.run(TOKENS, bwd_hooks=[(name, keep) for name in names])[:, -1, 5].sum().backward()
        found.append(gradients)
    assert set(found[1]) == set(names)
    for name in names:
        torch.testing.assert_close(found[1][name], found[0][name], rtol=1e-3, atol=1e-5)


def test_a_name_that_is_not_there_is_refused_with_the_nearest(traced):
    with pytest.raises(UnknownNameError, match=r"blocks\.1\.attn\.hook_z"):
        traced.run(TOKENS, [("blocks.1.attn.hook_zz", lambda tensor, hook: None)])
    with pytest.raises(UnknownNameError, match=r"ln2\.hook_scale"):
        traced.run_with_cache(TOKENS, "blocks.1.ln2.hook_scale")
    with pytest.raises(UnknownNameError, match="layer"):
        traced.run(TOKENS, stop_at_layer=5)
    with pytest.raises(UnknownNameError, match="layer"):
        traced.W_O(4)


def test_a_model_of_another_form_is_refused():
    class Config:
        model_type = "bert"

    class Model:
        config = Config()

        def trace(self):
            pass

    with pytest.raises(ConfigError, match="got 'bert'"):
        hooked(Model())


def test_envoys_by_name_are_those_of_the_hooks(ours, traced):
    prompt = TOKENS[:1]
    with torch.no_grad():
        _, cache = ours.run_with_cache(prompt)
        with traced.model.trace(prompt):
            z = out_projection(traced.model, 1).input.save()
            resid = blocks(traced.model)[2].output.save()
    close(z.unflatten(-1, (ours.n_heads, ours.d_head)), cache["z", 1])
    close(resid, cache["resid_post", 2])
    close(head_output_weights(traced.model, 3), ours.W_O(3))


@pytest.mark.real
def test_smollm2_gives_the_same_numbers():
    if not zoo.is_available("smollm2"):
        pytest.fail("smollm2 is not here: arena zoo fetch smollm2")
    ours, traced = hooked(zoo.load("smollm2")), hooked(zoo.load_nnsight("smollm2"))
    tokens = torch.randint(0, 49000, (1, 9), generator=torch.Generator().manual_seed(0))
    names = ["blocks.4.attn.hook_z", "blocks.17.attn.hook_k", "blocks.29.hook_resid_post"]

    def halve(tensor, hook):
        return tensor * 0.5

    with torch.no_grad():
        expected, cache = ours.run_with_cache(tokens, names)
        logits, seen = traced.run_with_cache(tokens, names)
        for name in names:
            torch.testing.assert_close(seen[name], cache[name], rtol=1e-3, atol=2e-3)
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=2e-3)
        hooks = [(names[0], halve)]
        torch.testing.assert_close(traced.run(tokens, hooks), ours.run(tokens, hooks), rtol=1e-3, atol=2e-3)


def test_effects_arrive_at_an_mlp_as_in_ours(models):
    ours, _, traced = models
    experiment = PathExperiment(TOKENS, TOKENS.flip(1))
    given = (experiment, [Head(0, 1), MLP(0)], [MLPInput(1), MLPInput(2)])
    close(path_patch_logits(traced, *given), path_patch_logits(ours, *given))
