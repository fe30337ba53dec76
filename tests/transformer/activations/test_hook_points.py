"""One hook point: what is attached to it, what it may return, and how it is called for short."""

import pytest
import torch

from arena_lib.errors import ConfigError, DtypeError, ShapeError, UnknownNameError
from arena_lib.transformer.activations.hooks import HookPoint, get_act_name
from arena_lib.transformer.fast.model import Transformer


def test_an_idle_point_gives_back_the_same_object() -> None:
    x = torch.ones(2)
    assert HookPoint()(x) is x


def test_hooks_run_in_order_and_none_keeps_the_tensor() -> None:
    point = HookPoint()
    point.attach(lambda tensor, hook: tensor + 1, "fwd")
    point.attach(lambda tensor, hook: None, "fwd")
    point.attach(lambda tensor, hook: tensor * 10, "fwd")
    assert point(torch.tensor(2.0)) == 30


def test_a_hook_learns_where_it_is(any_model: Transformer, tokens: torch.Tensor) -> None:
    seen = []
    any_model.run_with_hooks(tokens, [("blocks.1.attn.hook_z", lambda z, hook: seen.append((hook.name, hook.layer())))])
    assert seen == [("blocks.1.attn.hook_z", 1)]
    with pytest.raises(ConfigError, match=r"hook.layer\(\) needs a hook inside a block: got 'hook_embed'"):
        any_model.hook_embed.layer()


def test_a_backward_hook_gets_the_gradient_and_may_replace_it() -> None:
    point, x = HookPoint(), torch.tensor(3.0, requires_grad=True)
    point.attach(lambda grad, hook: grad * 100, "bwd")
    (point(x * 2) ** 2).backward()
    assert x.grad == 2 * 100 * 12


def test_a_backward_hook_without_gradients_is_left_out() -> None:
    point = HookPoint()
    point.attach(lambda grad, hook: grad * 100, "bwd")
    assert point(torch.tensor(3.0)) == 3


def test_a_backward_hook_may_return_a_tuple_of_one() -> None:
    point, x = HookPoint(), torch.tensor(3.0, requires_grad=True)
    point.add_hook(lambda grad, hook: (grad * 100,), dir="bwd")
    (point(x * 2) ** 2).backward()
    assert x.grad == 2 * 100 * 12


def test_a_hook_may_be_put_before_the_others(any_model: Transformer, tokens: torch.Tensor) -> None:
    seen: list[str] = []
    any_model.add_hook("hook_embed", lambda embed, hook: seen.append("first"))
    any_model.add_hook("hook_embed", lambda embed, hook: seen.append("before it"), prepend=True)
    any_model(tokens)
    assert seen == ["before it", "first"]


def test_hooks_are_added_at_a_point_and_removed_with_the_others(any_model: Transformer, tokens: torch.Tensor) -> None:
    plain = any_model(tokens)
    any_model.blocks[0].attn.hook_z.add_hook(lambda z, hook: z * 0)
    any_model.hook_dict["hook_embed"].add_hook(lambda embed, hook: embed * 2, is_permanent=True)
    assert not torch.equal(any_model(tokens), plain)
    any_model.reset_hooks()
    assert any_model.blocks[0].attn.hook_z.is_idle
    assert not any_model.hook_embed.is_idle
    any_model.reset_hooks(including_permanent=True)
    assert torch.equal(any_model(tokens), plain)


def test_a_points_hooks_are_removed_by_direction_and_permanent_ones_if_asked_for() -> None:
    point = HookPoint()
    for direction in ("fwd", "bwd"):
        point.add_hook(lambda tensor, hook: None, dir=direction)
        point.add_hook(lambda tensor, hook: tensor * 2, dir=direction, is_permanent=True)
    point.remove_hooks("bwd")
    assert (len(point.fwd), len(point.bwd)) == (2, 1)
    point.remove_hooks()
    assert (len(point.fwd), len(point.bwd), len(point.permanent)) == (1, 1, 2)
    point.remove_hooks("fwd", including_permanent=True)
    assert (len(point.fwd), len(point.bwd), len(point.permanent)) == (0, 1, 1)
    point.remove_hooks(including_permanent=True)
    assert point.is_idle


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("direction", ["fwd_hooks", "bwd_hooks"])
def test_hooks_that_are_no_pairs_or_functions_are_refused(
    any_model: Transformer, tokens: torch.Tensor, direction: str
) -> None:
    for given, got in [(("hook_embed", print), "str"), ([("hook_embed",)], "tuple"), ([print], "builtin_function")]:
        with pytest.raises(ConfigError, match=rf"list of pairs \(name, function\): got {got}"):
            any_model.run_with_hooks(tokens, **{direction: given})
    with pytest.raises(DtypeError, match="a hook must be a function of a tensor and its hook point: got float"):
        any_model.run_with_hooks(tokens, **{direction: [("hook_embed", 0.0)]})
    with pytest.raises(DtypeError, match="got float"):
        any_model.hook_embed.add_hook(0.0)
    assert any_model.hook_embed.is_idle


@pytest.mark.parametrize("returned", [0.0, "text", (1, 2)])
def test_what_a_hook_may_not_return_is_refused(any_model: Transformer, tokens: torch.Tensor, returned: object) -> None:
    says = rf"a hook must return a tensor, or None .* 'hook_embed' returned {type(returned).__name__}"
    with pytest.raises(DtypeError, match=says):
        any_model.run_with_hooks(tokens, [("hook_embed", lambda embed, hook: returned)])
    with pytest.raises(DtypeError, match=says):
        any_model.run_with_hooks(tokens, bwd_hooks=[("hook_embed", lambda embed, hook: returned)]).sum().backward()


def test_a_hook_keeps_the_axes_but_may_drop_positions(any_model: Transformer, tokens: torch.Tensor) -> None:
    for change in (lambda z: z[0], lambda z: z.sum(), lambda z: z[..., :2], lambda z: z.flatten(-2)):
        with pytest.raises(ShapeError, match=r"the one at 'blocks\.0\.attn\.hook_z' got \(3, 7, .* and returned"):
            any_model.run_with_hooks(tokens, [("blocks.0.attn.hook_z", lambda z, hook, change=change: change(z))])
    last = any_model.cfg.n_layers - 1
    name = f"blocks.{last}.hook_resid_post"
    torch.testing.assert_close(
        any_model.run_with_hooks(tokens, [(name, lambda resid, hook: resid[:, -1:])]), any_model(tokens)[:, -1:]
    )


def test_detach_takes_away_the_latest_of_equal_hooks_and_ignores_strangers() -> None:
    point, calls = HookPoint(), []

    def note(tensor: torch.Tensor, hook: HookPoint) -> None:
        calls.append(1)

    point.attach(note, "fwd")
    point.attach(note, "fwd")
    point.detach(note, "fwd")
    point(torch.ones(1))
    assert len(calls) == 1
    point.detach(note, "bwd")
    assert not point.is_idle
    point.detach(note, "fwd")
    assert point.is_idle


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (("q", 1), "blocks.1.attn.hook_q"),
        (("attn", 0), "blocks.0.attn.hook_pattern"),
        (("attn_scores", 2), "blocks.2.attn.hook_attn_scores"),
        (("result", 0), "blocks.0.attn.hook_result"),
        (("rot_k", 0), "blocks.0.attn.hook_rot_k"),
        (("pre", 1), "blocks.1.mlp.hook_pre"),
        (("post", 1), "blocks.1.mlp.hook_post"),
        (("pre_linear", 1), "blocks.1.mlp.hook_pre_linear"),
        (("mlp_out", 3), "blocks.3.hook_mlp_out"),
        (("normalized", 2, "ln1"), "blocks.2.ln1.hook_normalized"),
        (("normalized",), "ln_final.hook_normalized"),
        (("pos_embed",), "hook_pos_embed"),
        (("mlp_post", 0), "blocks.0.mlp.hook_post"),
        (("mlp_pre", 0, "m"), "blocks.0.mlp.hook_pre"),
        (("key", 6, "a"), "blocks.6.attn.hook_k"),
        (("k7",), "blocks.7.attn.hook_k"),
        (("pre5",), "blocks.5.mlp.hook_pre"),
        (("scale4ln1",), "blocks.4.ln1.hook_scale"),
        (("normalized27ln2",), "blocks.27.ln2.hook_normalized"),
        (("resid_pre12",), "blocks.12.hook_resid_pre"),
        (("resid_mid", 2, "block"), "blocks.2.hook_resid_mid"),
        (("pattern_grad", 1), "blocks.1.attn.hook_pattern_grad"),
        (("resid_post_grad", 1), "blocks.1.hook_resid_post_grad"),
        (("hook_embed",), "hook_embed"),
        (("blocks.0.hook_resid_pre",), "blocks.0.hook_resid_pre"),
    ],
)
def test_short_names(short: tuple, full: str) -> None:
    assert get_act_name(*short) == full
    import transformer_lens.utilities

    if not full.endswith("_grad") and short != ("resid_pre12",):
        assert transformer_lens.utilities.get_act_name(*short) == full


def test_short_names_that_contradict_themselves_are_refused(any_model: Transformer, tokens: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="a layer or module must be given once: got 'k7' with 3 beside it"):
        get_act_name("k7", 3)
    with pytest.raises(ConfigError, match="got 'scale4ln1' with 'ln2' beside it"):
        get_act_name("scale4ln1", module="ln2")
    with pytest.raises(UnknownNameError, match="no module with a hook_q is called 'mlp'"):
        get_act_name("q", 3, "mlp")
    _, cache = any_model.run_with_cache(tokens)
    for name in ("patern1", ("patern", 1), ("scale", 1, "ln")):
        with pytest.raises(UnknownNameError, match=r"no activation in this cache is called .*hook_(pattern|scale)"):
            cache[name]
    assert torch.equal(cache["q1"], cache["q", 1])
