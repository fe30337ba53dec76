import pytest
import torch
from transformers import AutoModelForCausalLM

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.steering import DeceptionSteeringHook
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, make_model
from arena_lib.tests.linear_probes.watching import count_hooks

DIRECTION = 7.0 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(0))


def test_all_libraries_are_steered_alike():
    ours = zoo.load("tiny-llama")
    theirs = AutoModelForCausalLM.from_pretrained(zoo.path("tiny-llama"), dtype=torch.float32)
    bridge = zoo.load_bridge("tiny-llama")
    direction = torch.randn(ours.cfg.d_model, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([ours.tokenizer.encode("Tina was a sailor.")])
    with torch.no_grad():
        plain, found = ours(tokens), []
        for model in (ours, theirs, bridge):
            with DeceptionSteeringHook(model, direction, [1, 2], 4.0):
                output = model(tokens)
            found.append(output if isinstance(output, torch.Tensor) else output.logits)
        assert (found[0] - plain).abs().max() > 0.5
        torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(found[2], found[0], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(ours(tokens), plain)


def test_every_token_moves_by_the_coefficient():
    model, seen = make_model(), []
    handle = model.model.layers[3].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    tokens = torch.tensor([[1, 4, 7, 8]])
    with torch.no_grad():
        model(tokens)
        with DeceptionSteeringHook(model, DIRECTION, [2], -2.5):
            model(tokens)
    handle.remove()
    moved = seen[1] - seen[0]
    torch.testing.assert_close(moved, (-2.5 * DIRECTION / DIRECTION.norm()).expand_as(moved), atol=1e-4, rtol=0)


def test_it_steers_what_is_generated_and_then_stops():
    model = make_model()
    tokens = torch.tensor([[1, 4, 7]])
    options = {"max_new_tokens": 6, "do_sample": False, "attention_mask": torch.ones_like(tokens)}
    before = model.generate(tokens, **options)
    with DeceptionSteeringHook(model, DIRECTION, [3, 4], 40.0):
        inside = model.generate(tokens, **options)
    assert not torch.equal(inside, before)
    assert torch.equal(model.generate(tokens, **options), before)


def test_nothing_is_steered_before_it_is_entered_and_an_error_takes_it_away():
    model = make_model()
    hook = DeceptionSteeringHook(model, DIRECTION, [0, 2], 1.0)
    assert count_hooks(model) == 0
    with hook:
        assert count_hooks(model) == 2
    with pytest.raises(KeyError), hook:
        raise KeyError
    assert count_hooks(model) == 0


def test_bad_input():
    model = make_model()
    with pytest.raises(ConfigError, match="needs a layer: got none"):
        DeceptionSteeringHook(model, DIRECTION, [])
    with pytest.raises(UnknownNameError, match="no layer is called '-1'"):
        DeceptionSteeringHook(model, DIRECTION, [-1])
    with pytest.raises(ShapeError, match=r"\(12,\): got \(3,\)"):
        DeceptionSteeringHook(model, torch.ones(3), [1])
    for direction in (torch.zeros(D_MODEL), DIRECTION * torch.inf):
        with pytest.raises(ConfigError, match="the direction must have a length"):
            DeceptionSteeringHook(model, direction, [1])
