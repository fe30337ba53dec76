"""What a function takes for granted is measured on the model: seen where it fails, not seen by rounding."""

import gc
import weakref

import pytest
import torch
from tests.interp.families import load_bridge
from tests.interp.patching.conftest import make_random

from arena_lib.errors import ConfigError
from arena_lib.interp import assumptions
from arena_lib.interp.assumptions import Assumption, read_gain, tolerance
from arena_lib.interp.hooking import hooked, padded
from arena_lib.interp.models import HookedLM


@pytest.fixture(scope="module")
def gemma2():
    return load_bridge("gemma2")


@pytest.fixture
def qwen3():
    return load_bridge("qwen3")


def test_a_refusal_says_what_fails_on_which_family_by_how_much_and_what_to_do(gemma2):
    with pytest.raises(ConfigError) as refusal:
        hooked(gemma2).W_O(0)
    message = str(refusal.value)
    assert message.startswith("what heads write must be their z through W_O, with nothing after it: got Gemma2For")
    assert "of the largest entry" in message
    assert message.endswith(assumptions.ADVICE)


def test_what_a_bridge_cannot_compute_is_refused_with_its_reason():
    with pytest.raises(ConfigError, match=r"an MLP must read.*BloomForCausalLM, where it can't be computed .*residual"):
        hooked(load_bridge("bloom")).mlp_out(0, torch.zeros(1, 2, 32))


def test_our_own_models_are_not_measured(monkeypatch):
    monkeypatch.setattr(assumptions, "measure", None)
    lm = hooked(make_random("gpt2"))
    for assumption in Assumption:
        lm.require(assumption)
    assert lm.W_O(0).shape == (4, 6, 24)


def test_what_holds_is_measured_once_for_each_model(qwen3, monkeypatch):
    calls = []
    measure = assumptions.measure
    monkeypatch.setattr(
        assumptions, "measure", lambda lm, assumption: (calls.append(assumption), measure(lm, assumption))[1]
    )
    for _ in range(2):
        hooked(qwen3).W_O(1)
        padded(qwen3, torch.tensor([[0, 1], [1, 1]])).W_O(0)
    assert calls == [Assumption.HEADS, Assumption.PADDING]


def test_a_model_is_not_kept_for_having_been_measured():
    bridge = load_bridge("llama")
    hooked(bridge).W_O(0)
    remembered = weakref.ref(bridge)
    del bridge
    gc.collect()
    assert remembered() is None


def test_a_hook_that_breaks_an_assumption_is_forgotten_with_it(qwen3):
    with (
        qwen3.hooks(fwd_hooks=[("blocks.0.hook_attn_out", lambda x, hook: 2 * x)]),
        pytest.raises(ConfigError, match="z through W_O"),
    ):
        hooked(qwen3).W_O(0)
    hooked(qwen3).W_O(0)


def test_a_model_in_training_is_measured_without_dropout_and_stays_in_training():
    bridge = load_bridge("gpt2").train()
    lm = hooked(bridge)
    for assumption in Assumption:
        lm.require(assumption)
    assert bridge.training
    assert all(block.training for block in bridge.blocks)


def test_rounding_in_half_precision_is_no_fault(qwen3):
    bridge = qwen3.to(torch.bfloat16)
    lm = hooked(bridge)
    assert tolerance(lm) == 8 * torch.finfo(torch.bfloat16).eps
    for assumption in set(Assumption) - {Assumption.SCORES}:
        lm.require(assumption)
    with pytest.raises(ConfigError, match="attention scores must be"):
        lm.require(Assumption.SCORES)


def test_a_softcap_shows_even_where_logits_are_small():
    bridge = load_bridge("gemma2")
    bridge.ln_final.original_component.weight.data.fill_(-0.9999)
    with pytest.raises(ConfigError, match="logits must be the final norm's output"):
        _ = hooked(bridge).W_U


@pytest.mark.parametrize(("family", "is_centred"), [("gpt2", True), ("llama", False), ("gemma", False), ("olmo", True)])
def test_a_gain_is_what_the_norm_multiplies_by(family, is_centred):
    bridge = load_bridge(family)
    bridge.requires_grad_(True)
    gain, centres = hooked(bridge).gain(None)
    assert gain.requires_grad is (family != "olmo")
    assert centres is is_centred
    weight = getattr(bridge.ln_final, "w", None)
    expected = {"gemma": None if weight is None else 1 + weight, "olmo": torch.ones(32)}.get(family, weight)
    torch.testing.assert_close(gain, expected)


def test_what_is_no_norm_has_no_gain():
    with pytest.raises(ConfigError, match=r"a norm must divide by one scale .* got Tanh"):
        read_gain(torch.nn.Tanh(), 8, torch.zeros(1), 1e-4)


def test_a_token_enters_the_stream_as_its_scaled_row():
    bridge = load_bridge("gemma")
    torch.testing.assert_close(hooked(bridge).W_E, 32**0.5 * bridge.W_E)
    llama = load_bridge("llama")
    assert torch.equal(hooked(llama).W_E, llama.W_E)


def test_a_hooked_model_without_checks_has_what_the_measures_use():
    assert HookedLM(make_random("llama")).require(Assumption.STREAM) is None
