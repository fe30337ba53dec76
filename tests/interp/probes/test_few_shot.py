import pytest
import torch
from transformers import AutoModelForCausalLM

from arena_lib import zoo
from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.probes import few_shot_evaluate
from arena_lib.tests.linear_probes.tiny_models import WORDS, make_model, make_tokenizer

STATEMENTS = ["<|endoftext|> Tina was a sailor.", "<|endoftext|> He ran.", "<|endoftext|> Jack had a ring."]
TRUE, FALSE = WORDS.index("true"), WORDS.index("false")


def ask(statements, examples="cats see red . true ", *, model=None, side="right", answers=(TRUE, FALSE), batch_size=32):
    return few_shot_evaluate(statements, model or make_model(), make_tokenizer(side), examples, *answers, batch_size)


def test_all_libraries_give_the_same_answers():
    ours = zoo.load("tiny-llama")
    theirs = AutoModelForCausalLM.from_pretrained(zoo.path("tiny-llama"), dtype=torch.float32)
    bridge = zoo.load_bridge("tiny-llama")
    answers = [ours.tokenizer.encode(word)[-1] for word in (" red", " a")]
    found = [few_shot_evaluate(STATEMENTS, m, ours.tokenizer, "", *answers, 2) for m in (ours, theirs, bridge)]
    assert found[0].abs().max() > 1e-4
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[2], found[0], rtol=1e-4, atol=1e-6)


def test_it_is_the_difference_of_two_probabilities_after_the_question():
    model, tokenizer = make_model(), make_tokenizer()
    ids = tokenizer("cats see . dogs hear . This statement is:", return_tensors="pt").input_ids
    with torch.no_grad():
        probs = model(ids).logits[0, -1].softmax(0)
    (found,) = ask(["dogs hear ."], "cats see . ")
    torch.testing.assert_close(found, probs[TRUE] - probs[FALSE])


@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_and_the_tokenizers_side_change_nothing(side):
    statements = ["cats see red lamps at night .", "dogs .", "owls hear .", "cats like green owls ."]
    torch.testing.assert_close(ask(statements, side=side, batch_size=3), ask(statements, batch_size=1))


def test_the_answers_change_sides_with_their_tokens():
    torch.testing.assert_close(ask(["cats see ."], answers=(TRUE, FALSE)), -ask(["cats see ."], answers=(FALSE, TRUE)))


def test_bad_input():
    with pytest.raises(ConfigError, match="at least one statement"):
        ask([])
    with pytest.raises(ConfigError, match="must be two tokens: got 3 twice"):
        ask(["cats see ."], answers=(3, 3))
    with pytest.raises(TokenError, match=f"false_id must be a token from 0 to {len(WORDS) - 1}: got {len(WORDS)}"):
        ask(["cats see ."], answers=(3, len(WORDS)))
    with pytest.raises(TokenError, match=r"true_id must be a token from 0 to .*: got -1"):
        ask(["cats see ."], answers=(-1, 3))
