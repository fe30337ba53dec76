import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.interp.probes import construct_instructed_pairs, extract_activations, instruct
from arena_lib.tests.linear_probes.tiny_models import CHAT_TEMPLATE, PAD, make_model, make_tokenizer

FACTS = ["cats see red lamps at night .", "dogs hear ."]


def test_without_a_template_the_instruction_stands_in_front():
    assert instruct("say true .", "dogs hear .", make_tokenizer()) == "say true . dogs hear ."


def test_with_a_template_the_assistant_says_the_fact_and_the_text_ends_there():
    text = instruct("say true .", "dogs hear .", make_tokenizer(chat_template=CHAT_TEMPLATE))
    assert text == "user say true . <end> assistant dogs hear ."


@pytest.mark.parametrize("adds_bos", [True, False])
def test_a_text_begins_with_one_first_token(adds_bos):
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer(chat_template="{{ bos_token }} " + CHAT_TEMPLATE)
    if adds_bos:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{PAD} $A", special_tokens=[(PAD, tokenizer.bos_token_id)]
        )
    ids = tokenizer(instruct("say true .", "dogs hear .", tokenizer))["input_ids"]
    assert ids[0] == tokenizer.bos_token_id != ids[1]


def test_the_halves_differ_in_the_instruction_alone():
    model, tokenizer = make_model(), make_tokenizer()
    honest, dishonest = construct_instructed_pairs(FACTS, model, tokenizer, [2, 0], "say true .", "say false .")
    assert list(honest) == list(dishonest) == [2, 0]
    for acts, instruction in ((honest, "say true ."), (dishonest, "say false .")):
        expected = extract_activations([f"{instruction} {fact}" for fact in FACTS], model, tokenizer, [2, 0])
        torch.testing.assert_close(acts[2], expected[2])
        torch.testing.assert_close(acts[0], expected[0])
    assert not torch.allclose(honest[2], dishonest[2], atol=1e-2)


def test_bad_input():
    with pytest.raises(ConfigError, match="the two instructions must differ: got 'say' twice"):
        construct_instructed_pairs(FACTS, make_model(), make_tokenizer(), [1], "say", "say")
    with pytest.raises(ConfigError, match="at least one statement"):
        construct_instructed_pairs([], make_model(), make_tokenizer(), [1])
