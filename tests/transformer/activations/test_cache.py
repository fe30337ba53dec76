"""The cache: what it holds, how it is taken apart, and that the parts add up."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.fast.model import Transformer


def test_full_and_short_names_give_the_same_tensor(cache: ActivationCache) -> None:
    assert cache["blocks.1.attn.hook_q"] is cache["q", 1]
    assert cache["q", -1] is cache["q", cache.model.cfg.n_layers - 1]
    assert cache["scale"] is cache["ln_final.hook_scale"]
    assert cache["normalized", 0, "ln1"] is cache["blocks.0.ln1.hook_normalized"]
    assert ("pattern", 0) in cache
    assert "blocks.0.hook_nothing" not in cache


def test_everything_but_what_is_on_demand_is_listed(cache: ActivationCache) -> None:
    on_demand = ("hook_result", "_input", "hook_mlp_in")
    assert list(cache) == [name for name in cache.model.hook_dict if not name.endswith(on_demand)]
    assert len(cache) == len(list(cache))
    assert repr(cache) == f"ActivationCache({len(cache)} activations of {type(cache.model).__name__})"


def test_what_is_made_on_access_equals_what_a_pass_makes(
    any_model: Transformer, tokens: torch.Tensor, cache: ActivationCache
) -> None:
    seen: dict[str, torch.Tensor] = {}
    names = list(any_model.derivations)
    with torch.no_grad():
        specs = [(name, lambda tensor, hook: seen.update({hook.name: tensor})) for name in names]
        any_model.run_with_hooks(tokens, specs)
    made = {"hook_attn_scores", "hook_pattern", "hook_result", "hook_scale", "hook_normalized"}
    has_mlp = hasattr(any_model.blocks[0], "mlp")
    assert {name.split(".")[-1] for name in names} == (made | {"hook_post"} if has_mlp else made)
    for name in names:
        torch.testing.assert_close(cache[name], seen[name], msg=name)


def test_caching_everything_builds_no_pattern_until_asked(
    any_model: Transformer, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arena_lib.transformer.fast import attention

    calls = []
    build = attention.attention_scores
    monkeypatch.setattr(attention, "attention_scores", lambda q, k, visible: calls.append(1) or build(q, k, visible))
    with torch.no_grad():
        _, cache = any_model.run_with_cache(tokens)
    assert calls == []
    assert cache["pattern", 0] is cache["pattern", 0]
    assert len(calls) == 1


def test_cached_tensors_are_what_flowed_by_not_copies(any_model: Transformer, tokens: torch.Tensor) -> None:
    seen = {}
    name = "blocks.1.attn.hook_z"
    with any_model.hooks([(name, lambda tensor, hook: seen.update({name: tensor}))]):
        _, cache = any_model.run_with_cache(tokens)
    assert cache[name] is seen[name]
    logits, cache = any_model.run_with_cache(tokens)
    (grad,) = torch.autograd.grad(logits.sum(), cache[name])
    assert grad.shape == cache[name].shape


def test_caching_leaves_no_trace_and_changes_nothing(any_model: Transformer, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        output, _ = any_model.run_with_cache(tokens)
    assert torch.equal(output, any_model(tokens))
    torch.testing.assert_close(any_model.run_with_cache(tokens)[0], output)  # step by step, for gradients
    assert all(point.is_idle and point.sink is None for point in any_model.hook_dict.values())


def test_an_exception_in_a_hook_leaves_no_trace(any_model: Transformer, tokens: torch.Tensor) -> None:
    def fail(tensor: torch.Tensor, hook: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), any_model.hooks([("hook_embed", fail)]):
        any_model.run_with_cache(tokens)
    assert all(point.is_idle for point in any_model.hook_dict.values())


def test_a_cache_within_a_hook_of_a_cached_run_works(any_model: Transformer, tokens: torch.Tensor) -> None:
    inner = []

    def run_inside(tensor: torch.Tensor, hook: object) -> None:
        if not inner:
            inner.append(None)
            inner[0] = any_model.run_with_cache(tokens[:1])[1]

    with any_model.hooks([("blocks.0.hook_resid_pre", run_inside)]):
        _, outer = any_model.run_with_cache(tokens)
    assert inner[0]["resid_post", -1].shape[0] == 1
    assert outer["resid_post", -1].shape[0] == 3


# -- filters ------------------------------------------------------------------------------------


def test_a_filter_keeps_only_what_it_names(any_model: Transformer, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        _, everything = any_model.run_with_cache(tokens)
        _, one = any_model.run_with_cache(tokens, "blocks.1.attn.hook_pattern")
        _, two = any_model.run_with_cache(tokens, ["hook_embed", "blocks.0.ln1.hook_scale"])
        _, tested = any_model.run_with_cache(tokens, lambda name: name.endswith("hook_result"))
    assert list(one) == ["blocks.1.attn.hook_pattern"]
    torch.testing.assert_close(one["pattern", 1], everything["pattern", 1])
    assert list(two) == ["hook_embed", "blocks.0.ln1.hook_scale"]
    torch.testing.assert_close(two["scale", 0, "ln1"], everything["scale", 0, "ln1"])
    assert len(tested) == any_model.cfg.n_layers
    torch.testing.assert_close(tested["result", 0], everything["result", 0])
    with pytest.raises(UnknownNameError, match="no activation in this cache is called"):
        one["z", 1]


def test_with_gradients_a_named_pattern_is_part_of_the_graph(any_model: Transformer, tokens: torch.Tensor) -> None:
    logits, cache = any_model.run_with_cache(tokens, ["blocks.0.attn.hook_pattern", "blocks.0.ln1.hook_scale"])
    wanted = [cache["pattern", 0], cache["scale", 0, "ln1"]]
    for grad in torch.autograd.grad(logits.pow(2).sum(), wanted):
        assert grad.abs().sum() > 0


def test_stopping_early_caches_what_was_reached(any_model: Transformer, tokens: torch.Tensor) -> None:
    resid, cache = any_model.run_with_cache(tokens, stop_at_layer=1)
    assert resid is cache["resid_post", 0]
    assert ("resid_pre", 1) not in cache
    assert ("scale", 1, "ln1") not in cache
    assert all(not name.startswith(("blocks.1", "ln_final")) for name in cache)
    _, cache = any_model.run_with_cache(tokens, stop_at_layer=any_model.cfg.n_layers)
    assert not any(name.startswith("ln_final") for name in cache)


def test_a_hook_on_the_mlps_input_reaches_the_cached_scale(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("gpt2")
    with torch.no_grad():
        _, before = model.run_with_cache(tokens)
        with model.hooks([("blocks.0.hook_mlp_in", lambda tensor, hook: tensor * 3)]):
            _, after = model.run_with_cache(tokens)
    torch.testing.assert_close(after["resid_mid", 0], before["resid_mid", 0])
    torch.testing.assert_close(after["mlp_in", 0], before["resid_mid", 0] * 3)
    torch.testing.assert_close(after["scale", 0, "ln2"], model.blocks[0].ln2.scale(before["resid_mid", 0] * 3))


# -- the batch axis, devices --------------------------------------------------------------------


def test_the_batch_axis_can_go(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, single = any_model.run_with_cache(tokens[:1], remove_batch_dim=True)
    _, batched = any_model.run_with_cache(tokens[:1])
    for name in batched:
        assert torch.equal(single[name], batched[name][0])
    assert torch.equal(single.decompose_resid(apply_ln=True), batched.decompose_resid(apply_ln=True)[:, 0])
    assert torch.equal(single.stack_head_results(pos_slice=2), batched.stack_head_results(pos_slice=2)[:, 0])
    assert single.remove_batch_dim()["q", 0].shape == single["q", 0].shape


def test_only_a_batch_of_one_can_go(cache: ActivationCache) -> None:
    with pytest.raises(ShapeError, match=r"the batch must have length 1 to be removed: got \[3\]"):
        cache.remove_batch_dim()


def test_moving_keeps_names_and_values(cache: ActivationCache) -> None:
    moved = cache.to("cpu")
    assert list(moved) == list(cache)
    assert torch.equal(moved["pattern", 0], cache["pattern", 0])


@torch.no_grad()
def test_examples_can_be_picked(any_model: Transformer, tokens: torch.Tensor) -> None:
    mask = torch.ones_like(tokens)
    mask[1, :3] = 0
    _, whole = any_model.run_with_cache(tokens, attention_mask=mask)
    for picked in (slice(1, 3), [2, 0], torch.tensor([1])):
        some = whole.apply_slice_to_batch_dim(picked)
        assert torch.equal(some.attention_mask, whole.attention_mask[picked])
        for name in whole:
            torch.testing.assert_close(some[name], whole[name][picked], msg=name)
    for name in whole:
        assert torch.equal(whole.apply_slice_to_batch_dim((0, 2))[name], whole[name][:2])
    assert whole.apply_slice_to_batch_dim(None) is whole
    for picked in (1, -1):
        one = whole.apply_slice_to_batch_dim(picked)
        for name in whole:
            torch.testing.assert_close(one[name], whole[name][picked], msg=name)
        torch.testing.assert_close(one.stack_head_results(), whole.stack_head_results()[:, picked])


def test_examples_that_cannot_be_picked_are_refused(cache: ActivationCache) -> None:
    with pytest.raises(ShapeError, match="an example must be between -3 and 2: got 3"):
        cache.apply_slice_to_batch_dim(3)
    with pytest.raises(ShapeError, match="got a cache without it"):
        cache.apply_slice_to_batch_dim(0).apply_slice_to_batch_dim(0)


# Gradients


def test_every_cached_activation_has_the_gradient_that_a_backward_hook_sees(
    any_model: Transformer, tokens: torch.Tensor
) -> None:
    seen: dict[str, torch.Tensor] = {}
    logits, cache = any_model.run_with_cache(tokens)
    keep = [(name, lambda grad, hook: seen.update({hook.name: grad})) for name in cache]
    any_model.run_with_hooks(tokens, bwd_hooks=keep)[0, -1, 5].backward()
    by_name = torch.autograd.grad(logits[0, -1, 5], list(cache.values()), retain_graph=True)
    for name in cache:
        cache[name].retain_grad()
    logits[0, -1, 5].backward()
    for name, gradient in zip(cache, by_name, strict=True):
        torch.testing.assert_close(cache[name].grad, seen[name], msg=name)
        torch.testing.assert_close(gradient, seen[name], msg=name)
    assert seen["blocks.0.attn.hook_pattern"].abs().sum() > 0


def test_heads_results_have_a_gradient_where_a_filter_names_them_and_say_so_where_not(
    any_model: Transformer, tokens: torch.Tensor
) -> None:
    name = "blocks.0.attn.hook_result"
    logits, cache = any_model.run_with_cache(tokens, name)
    assert torch.autograd.grad(logits[0, -1, 5], cache[name])[0].abs().sum() > 0
    _, cache = any_model.run_with_cache(tokens)
    with pytest.raises(ConfigError, match=r"gradient needs .* names_filter=\['blocks\.0\.attn\.hook_result'\]"):
        cache["result", 0].retain_grad()
    _, cache = any_model.run_with_cache(tokens[:1], remove_batch_dim=True)
    with pytest.raises(ConfigError, match="without remove_batch_dim"):
        cache["z", 0].retain_grad()


def test_frozen_weights_make_nothing_in_the_pass(any_model: Transformer, tokens: torch.Tensor) -> None:
    any_model.requires_grad_(False)
    _, cache = any_model.run_with_cache(tokens)
    assert "blocks.0.attn.hook_pattern" not in cache._stored
    any_model.add_hook("hook_embed", lambda embed, hook: embed.requires_grad_())
    logits, cache = any_model.run_with_cache(tokens)
    assert torch.autograd.grad(logits[0, -1, 5], cache["pattern", 0])[0].abs().sum() > 0


# Weights that changed


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache["result", 1],
        lambda cache: cache.stack_head_results(),
        lambda cache: cache.logit_attrs(cache.decompose_resid(), 5),
        lambda cache: cache.decompose_resid(1, apply_ln=True),
        lambda cache: cache.accumulated_resid(apply_ln=True),
    ],
)
def test_what_is_made_of_weights_is_made_of_those_of_the_pass(
    cache: ActivationCache, use: Callable[[ActivationCache], torch.Tensor]
) -> None:
    use(cache)
    _, cache = cache.model.run_with_cache(torch.tensor([[1, 2, 3]]))
    for parameter in cache.model.parameters():
        with torch.no_grad():
            parameter.mul_(2)
    with pytest.raises(ConfigError, match=r"weights were changed since\. Run the model again"):
        use(cache)
    with pytest.raises(ConfigError, match="weights were changed since"):
        use(cache.remove_batch_dim().to("cpu"))
    assert cache["pattern", 0].shape[-1] == 3
    use(cache.model.run_with_cache(torch.tensor([[1, 2, 3]]))[1])


def test_a_replaced_weight_counts_as_changed_and_one_made_in_inference_mode_as_unchanged(
    any_model: Transformer, tokens: torch.Tensor
) -> None:
    attn = any_model.blocks[0].attn
    _, cache = any_model.run_with_cache(tokens)
    attn.W_O = torch.nn.Parameter(attn.W_O.detach() * 2)
    with pytest.raises(ConfigError, match="changed since"):
        cache["result", 0]
    with torch.inference_mode():
        attn.W_O = torch.nn.Parameter(attn.W_O * 2)
        _, cache = any_model.run_with_cache(tokens)
        assert cache["result", 0].shape[2] == any_model.cfg.n_heads
        cache.logit_attrs(cache.decompose_resid(), 5)
