import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.steering.inference_time import HeadShift, extract_head_outputs, find_head_shifts, make_shift_hooks

STATEMENTS = ["<|endoftext|> Tina was a sailor.", "<|endoftext|> He ran.", "<|endoftext|> Jack had a ring."]


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


def test_ours_and_the_bridge_give_the_same_head_outputs(model):
    acts = extract_head_outputs(STATEMENTS, model, model.tokenizer, batch_size=2)
    assert acts.shape == (3, model.cfg.n_layers, model.cfg.n_heads, model.cfg.d_head)
    _, cache = model.run_with_cache(torch.tensor([model.tokenizer.encode(STATEMENTS[1])]))
    torch.testing.assert_close(acts[1, 2], cache["z", 2][0, -1], rtol=1e-4, atol=1e-5)
    other = extract_head_outputs(STATEMENTS, zoo.load_bridge("tiny-llama"), model.tokenizer)
    torch.testing.assert_close(other, acts, rtol=1e-3, atol=1e-4)


def make_heads(n_statements=400, seed=0):
    """Two layers of three heads; head (1, 0) tells the labels well, (0, 2) somewhat, the others not at all."""
    generator = torch.Generator().manual_seed(seed)
    acts = torch.randn(n_statements, 2, 3, 5, generator=generator)
    labels = torch.randint(0, 2, (n_statements,), generator=generator)
    sign = 2.0 * labels[:, None] - 1
    acts[:, 1, 0] += 3.0 * sign * torch.tensor([0.0, 0.6, 0.0, 0.8, 0.0])
    acts[:, 0, 2] += 1.0 * sign * torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    acts[:, 1, 1] += 20.0
    return acts, labels, torch.arange(n_statements) < n_statements // 2


def test_the_heads_that_tell_are_found_best_first_with_their_directions():
    acts, labels, is_train = make_heads()
    best, second = find_head_shifts(acts, labels, is_train, 2)
    assert (best.head, second.head) == ((1, 0), (0, 2))
    assert best.accuracy > 0.97 > 0.9 > second.accuracy > 0.75
    torch.testing.assert_close(best.direction, torch.tensor([0.0, 0.6, 0.0, 0.8, 0.0]), atol=0.1, rtol=0)
    along = acts[is_train][:, 1, 0] @ best.direction
    assert best.deviation == pytest.approx(along.std(correction=0).item(), rel=1e-5)


def test_the_hooks_add_deviations_along_each_direction_at_every_token(model):
    generator = torch.Generator().manual_seed(0)
    d_head = model.cfg.d_head
    directions = torch.nn.functional.normalize(torch.randn(3, d_head, generator=generator), dim=-1)
    shifts = [
        HeadShift(head=head, direction=direction, deviation=deviation, accuracy=1.0)
        for head, direction, deviation in zip([(1, 0), (3, 2), (1, 1)], directions, [0.5, 2.0, 1.5], strict=True)
    ]
    tokens = torch.tensor([model.tokenizer.encode(STATEMENTS[0])])
    seen = {}
    _, cache = model.run_with_cache(tokens)

    def keep(z, hook):
        seen["z"] = z

    hooked(model).run(tokens, [*make_shift_hooks(shifts, 3.0), ("blocks.1.attn.hook_z", keep)])
    moved = seen["z"] - cache["z", 1]
    expected = torch.zeros_like(moved)
    expected[:, :, 0], expected[:, :, 1] = 3.0 * 0.5 * directions[0], 3.0 * 1.5 * directions[2]
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)
    bridge = hooked(zoo.load_bridge("tiny-llama"))
    hooks = make_shift_hooks(shifts, 3.0)
    torch.testing.assert_close(bridge.run(tokens, hooks), hooked(model).run(tokens, hooks), rtol=1e-3, atol=1e-3)


def test_bad_input(model):
    acts, labels, is_train = make_heads(20)
    with pytest.raises(ConfigError, match="between 1 and 6, the model's heads: got 7"):
        find_head_shifts(acts, labels, is_train, 7)
    with pytest.raises(ConfigError, match="both sides"):
        find_head_shifts(acts, labels, torch.ones(20, dtype=torch.bool), 2)
    with pytest.raises(ConfigError, match="fitted on both classes"):
        find_head_shifts(acts, torch.ones(20, dtype=torch.long), is_train, 2)
    with pytest.raises(ConfigError, match="at least one statement"):
        extract_head_outputs([], model, model.tokenizer)
