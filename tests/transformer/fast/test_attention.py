"""The fused weight: its views by head, and state dicts that never mention it."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.transformer.fast.attention import FusedAttention
from arena_lib.transformer.fast.model import Transformer


@pytest.fixture
def attn() -> FusedAttention:
    made = FusedAttention(d_model=5, n_heads=4, n_kv_heads=2, d_head=3, has_bias=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def test_views_by_head_multiply_as_the_fused_weight_does(attn: FusedAttention) -> None:
    x = torch.randn(2, 7, 5)
    q, k, v = attn.split(x @ attn.W_QKV + attn.b_QKV)
    for part, weight, bias in [(q, attn.W_Q, attn.b_Q), (k, attn.W_K, attn.b_K), (v, attn.W_V, attn.b_V)]:
        assert weight.shape == (part.shape[2], 5, 3)
        torch.testing.assert_close(part, torch.einsum("bsd,ndh->bsnh", x, weight) + bias)


@pytest.mark.parametrize("name", ["W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V"])
def test_writing_into_a_view_writes_into_the_fused_weight(attn: FusedAttention, name: str) -> None:
    before = {other: weight.clone() for other, weight in attn.per_head_weights().items()}
    fused = (attn.W_QKV if name.startswith("W") else attn.b_QKV).detach().clone()
    with torch.no_grad():
        getattr(attn, name)[1] = 9.0
    changed = (attn.W_QKV if name.startswith("W") else attn.b_QKV) != fused
    assert changed.sum() == getattr(attn, name)[1].numel()
    for other, weight in attn.per_head_weights().items():
        if other != name:
            assert torch.equal(weight, before[other])


def test_state_dict_speaks_per_head_names(attn: FusedAttention) -> None:
    state = attn.state_dict()
    assert list(state) == ["W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O"]
    assert {name: tuple(weight.shape) for name, weight in state.items()} == {
        "W_Q": (4, 5, 3),
        "W_K": (2, 5, 3),
        "W_V": (2, 5, 3),
        "W_O": (4, 3, 5),
        "b_Q": (4, 3),
        "b_K": (2, 3),
        "b_V": (2, 3),
        "b_O": (5,),
    }
    assert all(weight.is_contiguous() and not weight.requires_grad for weight in state.values())
    assert attn.state_dict(keep_vars=True)["W_Q"].requires_grad


def test_state_dict_round_trips(attn: FusedAttention) -> None:
    other = FusedAttention(d_model=5, n_heads=4, n_kv_heads=2, d_head=3, has_bias=True)
    other.load_state_dict(attn.state_dict())
    assert torch.equal(other.W_QKV, attn.W_QKV)
    assert torch.equal(other.b_QKV, attn.b_QKV)
    assert torch.equal(other.W_O, attn.W_O)
    assert other.W_QKV.requires_grad


def test_without_biases_there_are_none(attn: FusedAttention) -> None:
    plain = FusedAttention(d_model=5, n_heads=4, n_kv_heads=2, d_head=3, has_bias=False)
    assert list(plain.state_dict()) == ["W_Q", "W_K", "W_V", "W_O"]
    assert plain.b_Q is None
    assert plain.b_K is None
    assert plain.b_V is None
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\) in state_dict.*b_Q"):
        plain.load_state_dict(attn.state_dict())


def test_weights_that_do_not_fit_are_named(attn: FusedAttention) -> None:
    state = attn.state_dict()
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict.*W_K"):
        attn.load_state_dict({name: weight for name, weight in state.items() if name != "W_K"})
    with pytest.raises(RuntimeError, match=r"size mismatch for W_V: \(2, 5, 2\), not \(2, 5, 3\)"):
        attn.load_state_dict(state | {"W_V": state["W_V"][..., :2]})
    result = attn.load_state_dict({"W_Q": state["W_Q"], "other": state["W_Q"]}, strict=False)
    assert "W_K" in result.missing_keys
    assert result.unexpected_keys in ([], ["other"])


def test_head_results_add_up_to_the_output(attn: FusedAttention) -> None:
    z = torch.randn(2, 7, 4, 3)
    torch.testing.assert_close(attn.head_results(z).sum(dim=2) + attn.b_O, attn.merge(z))
    merged = attn.merge(z)
    attn.hook_result.attach(lambda tensor, hook: None, "fwd")
    torch.testing.assert_close(attn.merge(z), merged)
    attn.hook_result.attach(lambda tensor, hook: torch.zeros_like(tensor), "fwd")
    torch.testing.assert_close(attn.merge(z), attn.b_O.expand_as(merged))


def test_hooked_head_inputs_move_that_part_alone(any_model: Transformer, tokens: torch.Tensor) -> None:
    for name in ("q", "k", "v"):

        def double_last_head(tensor: torch.Tensor, hook: object) -> None:
            tensor[:, :, -1] *= 2
            tensor[:, :, -1, 0] += 1

        _, before = any_model.run_with_cache(tokens)
        with any_model.hooks([(f"blocks.1.hook_{name}_input", double_last_head)]):
            _, after = any_model.run_with_cache(tokens)
        for other in ("q", "k", "v"):
            torch.testing.assert_close(after[other, 1][:, :, :-1], before[other, 1][:, :, :-1])
            is_same = torch.allclose(after[other, 1][:, :, -1], before[other, 1][:, :, -1])
            assert is_same == (other != name)


def test_head_inputs_that_a_hook_only_watches_change_nothing(any_model: Transformer, tokens: torch.Tensor) -> None:
    seen: dict[str, torch.Tensor] = {}

    def watch(tensor: torch.Tensor, hook: object) -> None:
        seen[hook.name] = tensor  # type: ignore[attr-defined]

    before = any_model(tokens)
    after = any_model.run_with_hooks(tokens, [(lambda name: name.endswith("_input"), watch)])
    torch.testing.assert_close(after, before)
    assert len(seen) == 3 * any_model.cfg.n_layers
    n_kv_heads = getattr(any_model.cfg, "n_kv_heads", any_model.cfg.n_heads)
    assert seen["blocks.0.hook_q_input"].shape == (3, 7, any_model.cfg.n_heads, any_model.cfg.d_model)
    assert seen["blocks.0.hook_k_input"].shape == (3, 7, n_kv_heads, any_model.cfg.d_model)


def test_scores_are_not_built_unless_something_is_attached(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arena_lib.transformer.fast import attention

    calls = []
    build = attention.attention_scores
    monkeypatch.setattr(attention, "attention_scores", lambda q, k, visible: calls.append(1) or build(q, k, visible))
    model = make_random("gpt2")
    plain = model(tokens)
    assert calls == []
    for name in ("pattern", "attn_scores"):
        hooked = model.run_with_hooks(tokens, [(f"blocks.1.attn.hook_{name}", lambda tensor, hook: None)])
        torch.testing.assert_close(hooked, plain)
    assert len(calls) == 2
