import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.probes import (
    compute_indirect_effect,
    few_shot_evaluate,
    intervention_experiment,
    make_random_direction,
    read_residual,
)
from arena_lib.tests.linear_probes.tiny_models import D_MODEL, N_LAYERS, WORDS, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import count_hooks

EXAMPLES = "cats see red . true "
STATEMENTS = ["cats see red lamps at night .", "dogs .", "owls hear .", "cats like green owls ."]
TRUE, FALSE = WORDS.index("true"), WORDS.index("false")
DIRECTION = 2 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(0))


def intervene(
    intervention="add", layers=(1, 3), *, model=None, direction=DIRECTION, statements=STATEMENTS, side="right"
):
    model = model or make_model()
    tokenizer = make_tokenizer(side)
    return intervention_experiment(
        list(statements), model, tokenizer, direction, EXAMPLES, TRUE, FALSE, list(layers), intervention, 3
    )


def test_all_libraries_give_the_same_answers():
    ours = zoo.load("tiny-llama")
    theirs = AutoModelForCausalLM.from_pretrained(zoo.path("tiny-llama"), dtype=torch.float32)
    bridge = zoo.load_bridge("tiny-llama")
    answers = [ours.tokenizer.encode(word)[-1] for word in (" red", " a")]
    direction = 20 * torch.randn(ours.cfg.d_model, generator=torch.Generator().manual_seed(0))
    statements = ["<|endoftext|> Tina was a sailor.", "<|endoftext|> He ran.", "<|endoftext|> Jack had a ring."]
    arguments = (ours.tokenizer, direction, "", *answers, [1, 2])
    before = few_shot_evaluate(statements, ours, ours.tokenizer, "", *answers)
    added = [intervention_experiment(statements, m, *arguments, "add", 2) for m in (ours, theirs, bridge)]
    assert (added[0] - before).abs().max() > 1e-4
    torch.testing.assert_close(added[1], added[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(added[2], added[0], rtol=1e-4, atol=1e-6)


def test_no_intervention_is_the_model_itself():
    plain = few_shot_evaluate(STATEMENTS, make_model(), make_tokenizer(), EXAMPLES, TRUE, FALSE)
    torch.testing.assert_close(intervene("none"), plain)
    torch.testing.assert_close(intervene("none", layers=()), plain)
    assert not torch.allclose(intervene("add"), plain, atol=1e-3)


def test_subtracting_is_adding_the_opposite():
    torch.testing.assert_close(intervene("subtract"), intervene("add", direction=-DIRECTION))


def test_the_tokenizers_side_changes_nothing():
    torch.testing.assert_close(intervene(side="left"), intervene())


def test_the_stream_moves_by_the_direction_at_two_tokens_of_each_row_and_nowhere_else():
    model, tokenizer, seen = make_model(), make_tokenizer(), {}
    prompts = [EXAMPLES + statement + " This statement is:" for statement in STATEMENTS[:3]]
    encoded = tokenizer(prompts, return_tensors="pt", padding=True)
    before = read_residual(model, encoded.input_ids, [1])[1]

    def keep(module, inputs):
        seen["entering block 2"] = inputs[0].clone()

    handle = model.model.layers[2].register_forward_pre_hook(keep)
    intervene(layers=[1], model=model, statements=STATEMENTS[:3])
    handle.remove()
    moved = seen["entering block 2"] - before
    for row, statement in enumerate(STATEMENTS[:3]):
        end = len((EXAMPLES + statement).split())
        expected = torch.zeros_like(moved[row])
        expected[end - 2 : end] = DIRECTION
        torch.testing.assert_close(moved[row], expected, atol=1e-4, rtol=0)


def test_a_model_with_learned_positions_reads_short_rows_alike():
    config = GPT2Config(vocab_size=len(WORDS), n_positions=32, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=3)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).eval()
    together = intervene(model=model)
    alone = torch.cat([intervene(model=model, statements=[statement]) for statement in STATEMENTS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_the_hooks_go_also_after_an_error():
    model = make_model()

    def fail(module, inputs, output):
        raise KeyError

    handle = model.model.layers[4].register_forward_hook(fail)
    with pytest.raises(KeyError):
        intervene(model=model)
    handle.remove()
    assert count_hooks(model) == 0


def test_the_indirect_effect_is_the_share_of_the_way():
    false, true = torch.tensor([-0.6, -0.2]), torch.tensor([0.4, 0.2, 0.0])
    assert compute_indirect_effect(false, torch.tensor([-0.1, -0.1]), true) == pytest.approx(0.5)
    assert compute_indirect_effect(false, false, true) == 0.0
    assert compute_indirect_effect(false, torch.tensor([0.1, 0.3]), true) == pytest.approx(1.0)
    assert compute_indirect_effect(true, torch.tensor([0.8, 0.8, 0.8]), false) == pytest.approx(-1.0)
    with pytest.raises(ConfigError, match="must answer differently for true and false statements"):
        compute_indirect_effect(false, false + 1, false)


def test_a_random_direction_is_as_long_and_points_elsewhere():
    drawn = make_random_direction(DIRECTION, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.norm(), DIRECTION.norm())
    assert torch.cosine_similarity(drawn, DIRECTION, dim=0) < 0.9
    assert torch.equal(drawn, make_random_direction(DIRECTION, torch.Generator().manual_seed(1)))


def test_bad_input():
    with pytest.raises(ConfigError, match="one of none, add, subtract: got 'multiply'"):
        intervene("multiply")
    with pytest.raises(ConfigError, match=r"must name a layer: got none. Name some from 0 to 4"):
        intervene(layers=())
    with pytest.raises(UnknownNameError, match="no layer is called '5'"):
        intervene(layers=(5,))
    with pytest.raises(ShapeError, match=r"\(12,\): got \(13,\)"):
        intervene(direction=torch.ones(13))
    with pytest.raises(ConfigError, match="at least one statement"):
        intervene(statements=[])
