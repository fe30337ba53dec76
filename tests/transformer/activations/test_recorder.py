"""What a cached pass keeps: positions, a device, gradients."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.transformer.fast.model import Transformer


@torch.no_grad()
@pytest.mark.parametrize("pos_slice", [-1, (2, 5), [0, 4], slice(None, 3)], ids=str)
def test_positions_of_everything_can_be_kept(any_model: Transformer, tokens: torch.Tensor, pos_slice: object) -> None:
    by_head = lambda name: name.rsplit("hook_", 1)[-1] in ("q", "k", "v", "rot_q", "rot_k", "z", "result")  # noqa: E731
    index = slice(*pos_slice) if isinstance(pos_slice, tuple) else pos_slice
    logits, whole = any_model.run_with_cache(tokens)
    sliced_logits, some = any_model.run_with_cache(tokens, pos_slice=pos_slice)
    torch.testing.assert_close(sliced_logits, logits)
    assert list(some) == list(whole)
    for name in whole:
        expected = whole[name][:, index] if by_head(name) else whole[name][..., index, :]
        torch.testing.assert_close(some[name], expected, msg=name)
    expected = whole.decompose_resid(apply_ln=True, pos_slice=pos_slice)
    torch.testing.assert_close(some.decompose_resid(apply_ln=True), expected)
    torch.testing.assert_close(some.stack_head_results(), whole.stack_head_results(pos_slice=pos_slice))


@torch.no_grad()
def test_nothing_is_made_of_a_few_positions_that_needs_all(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens, lambda name: name.endswith(("_q", "_k")), pos_slice=(2, 4))
    with pytest.raises(UnknownNameError, match="no activation in this cache"):
        cache["pattern", 0]
    mask = torch.ones_like(tokens)
    mask[1, :3] = 0
    _, cache = any_model.run_with_cache(tokens, pos_slice=(2, 4), attention_mask=mask)
    assert torch.equal(cache.attention_mask, mask[:, 2:4].bool())


@torch.no_grad()
def test_a_cache_may_lie_on_another_device(any_model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = any_model.run_with_cache(tokens, device="meta")
    assert {tensor.device.type for tensor in cache.values()} == {"meta"}
    assert any_model.run_with_cache(tokens, device="cpu")[1]["z", 0].device.type == "cpu"


@pytest.mark.parametrize("return_type", ["loss", "both"])
def test_gradients_are_those_that_backward_hooks_see(
    any_model: Transformer, tokens: torch.Tensor, return_type: str
) -> None:
    seen: dict[str, torch.Tensor] = {}
    _, cache = any_model.run_with_cache(tokens, return_type=return_type, incl_bwd=True)
    names = [name for name in cache if not name.endswith("_grad")]
    assert {f"{name}_grad" for name in names} == set(list(cache)[len(names) :])
    keep = [(name, lambda grad, hook: seen.update({hook.name: grad})) for name in names]
    assert all(parameter.grad is None for parameter in any_model.parameters())
    any_model.run_with_hooks(tokens, bwd_hooks=keep, return_type="loss").backward()
    for name in names:
        torch.testing.assert_close(cache[f"{name}_grad"], seen[name], msg=name)
    assert torch.equal(cache["pattern_grad", 1], cache["blocks.1.attn.hook_pattern_grad"])


def test_gradients_of_positions_are_the_wholes_positions(any_model: Transformer, tokens: torch.Tensor) -> None:
    options = {"return_type": "loss", "incl_bwd": True}
    _, whole = any_model.run_with_cache(tokens, **options)
    _, some = any_model.run_with_cache(tokens, "blocks.0.attn.hook_z", pos_slice=(1, 3), **options)
    assert list(some) == ["blocks.0.attn.hook_z", "blocks.0.attn.hook_z_grad"]
    torch.testing.assert_close(some["z_grad", 0], whole["z_grad", 0][:, 1:3])
    with pytest.raises(ConfigError, match="Pass incl_bwd=True, or leave out pos_slice"):
        some["z", 0].retain_grad()


@pytest.mark.filterwarnings("ignore")
def test_gradients_and_positions_are_the_bridges() -> None:
    ours, bridge = zoo.load("tiny-gpt"), zoo.load_bridge("tiny-gpt")
    tokens = ours.to_tokens("When Tina and Jack went to the garden , Jack gave the lamp to Tina")
    names = ["z", "v", "pattern", "resid_pre", "resid_post", "attn_out", "mlp_out"]
    options = {"return_type": "loss", "incl_bwd": True, "pos_slice": (3, 7)}
    _, mine = ours.run_with_cache(tokens, **options)
    _, theirs = bridge.run_with_cache(tokens, **options)
    for name in names:
        for layer in range(ours.cfg.n_layers):
            full = ours.hook_dict[f"blocks.{layer}.{'attn.' if name in names[:3] else ''}hook_{name}"].name
            torch.testing.assert_close(mine[full], theirs[full], rtol=1e-3, atol=1e-4, msg=full)
            scale = theirs[f"{full}_grad"].abs().max()
            torch.testing.assert_close(
                mine[f"{full}_grad"], theirs[f"{full}_grad"], rtol=1e-3, atol=1e-4 * float(scale)
            )


def test_gradients_need_a_number_and_a_graph(any_model: Transformer, tokens: torch.Tensor) -> None:
    for options, got in [
        ({}, r"shape \(3, 7, 37\)"),
        ({"return_type": "loss", "loss_per_token": True}, r"shape \(3, 6\)"),
        ({"return_type": None}, "NoneType"),
    ]:
        with pytest.raises(ConfigError, match=f"takes gradients of one number: got an output of {got}"):
            any_model.run_with_cache(tokens, incl_bwd=True, **options)
    with torch.no_grad(), pytest.raises(ConfigError, match="incl_bwd needs recorded gradients"):
        any_model.run_with_cache(tokens, return_type="loss", incl_bwd=True)
    any_model.requires_grad_(False)
    with pytest.raises(ConfigError, match="incl_bwd needs recorded gradients"):
        any_model.run_with_cache(tokens, return_type="loss", incl_bwd=True)
