import pytest
import torch
from transformers import AutoModelForCausalLM

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.probes import (
    extract_full_sequence_activations,
    read_residual,
    render_dialogue,
    score_dialogue,
)
from arena_lib.tests.linear_probes.tiny_models import CHAT_TEMPLATE, D_MODEL, PAD, make_model, make_tokenizer

TALK = [
    {"role": "user", "content": "dogs hear"},
    {"role": "assistant", "content": "dogs hear"},
    {"role": "user", "content": "say true"},
    {"role": "assistant", "content": "true"},
]
DIRECTION = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, None])
def test_spans_are_what_the_assistant_says(template):
    text, spans = render_dialogue(TALK, make_tokenizer(chat_template=template))
    assert [text[start:end] for start, end in spans] == ["dogs hear", "true"]
    assert spans[0][0] > text.index("dogs hear")
    if template is None:
        assert text == "dogs hear dogs hear say true true"


def test_blanks_around_a_message_that_a_template_takes_away_do_no_harm():
    template = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")
    messages = [{"role": "assistant", "content": "  dogs hear \n"}]
    text, spans = render_dialogue(messages, make_tokenizer(chat_template=template))
    assert [text[start:end] for start, end in spans] == ["dogs hear"]


def test_a_first_token_that_the_tokenizer_adds_is_not_there_twice():
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer(chat_template="{{ bos_token }}" + " " + CHAT_TEMPLATE)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{PAD} $A", special_tokens=[(PAD, tokenizer.bos_token_id)]
    )
    tokens, _, mask = score_dialogue(TALK, make_model(), tokenizer, DIRECTION, 1)
    assert tokens.count(PAD) == 1
    assert [token for token, inside in zip(tokens, mask, strict=True) if inside] == ["dogs", "hear", "true"]


def test_scores_are_projections_and_the_mask_is_the_assistants():
    model, tokenizer = make_model(), make_tokenizer(chat_template=CHAT_TEMPLATE)
    tokens, scores, mask = score_dialogue(TALK, model, tokenizer, DIRECTION, 2)
    assert tokens == [
        "user",
        "dogs",
        "hear",
        "<end>",
        "assistant",
        "dogs",
        "hear",
        "<end>",
        "user",
        "say",
        "true",
        "<end>",
        "assistant",
        "true",
        "<end>",
    ]
    assert mask.nonzero().flatten().tolist() == [5, 6, 13]
    resid = read_residual(model, tokenizer(" ".join(tokens), return_tensors="pt").input_ids, [2])[2][0]
    torch.testing.assert_close(scores, resid @ DIRECTION)


def test_all_libraries_give_the_same_scores_and_sequences():
    ours = zoo.load("tiny-llama")
    theirs = AutoModelForCausalLM.from_pretrained(zoo.path("tiny-llama"), dtype=torch.float32)
    bridge = zoo.load_bridge("tiny-llama")
    messages = [{"role": "user", "content": "Tina was a sailor."}, {"role": "assistant", "content": "Tina had a ring."}]
    direction = torch.randn(ours.cfg.d_model, generator=torch.Generator().manual_seed(0))
    tokens, scores, mask = score_dialogue(messages, ours, ours.tokenizer, direction, 1)
    assert [token.strip() for token, inside in zip(tokens, mask, strict=True) if inside] == [
        "Tina",
        "had",
        "a",
        "ring",
        ".",
    ]
    acts, _ = extract_full_sequence_activations(["Tina was a sailor.", "He ran."], ours, ours.tokenizer, 2)
    for model in (theirs, bridge):
        torch.testing.assert_close(
            score_dialogue(messages, model, ours.tokenizer, direction, 1)[1], scores, rtol=1e-3, atol=1e-4
        )
        other, _ = extract_full_sequence_activations(["Tina was a sailor.", "He ran."], model, ours.tokenizer, 2, 1)
        torch.testing.assert_close(other, acts, rtol=1e-3, atol=1e-4)


def test_whole_texts_are_padded_on_the_right_to_the_longest_of_all():
    texts = ["dogs", "cats see red lamps .", f"{PAD} owls", "dogs hear"]
    acts, mask = extract_full_sequence_activations(texts, make_model(), make_tokenizer("left"), 1, batch_size=2)
    assert acts.shape == (4, 5, D_MODEL)
    assert mask.sum(dim=1).tolist() == [1, 5, 2, 2]
    assert mask[:, 0].all()
    assert (acts[~mask] == 0).all()
    alone, _ = extract_full_sequence_activations(texts[2:3], make_model(), make_tokenizer(), 1)
    torch.testing.assert_close(acts[2, :2], alone[0])


def test_long_texts_keep_their_beginning():
    whole, _ = extract_full_sequence_activations(["cats see red lamps ."], make_model(), make_tokenizer(), 3)
    cut, mask = extract_full_sequence_activations(
        ["cats see red lamps ."], make_model(), make_tokenizer(), 3, max_length=3
    )
    assert mask.shape == (1, 3)
    torch.testing.assert_close(cut, whole[:, :3])


def test_bad_input():
    model, tokenizer = make_model(), make_tokenizer()
    with pytest.raises(ConfigError, match="must have a message: got none"):
        score_dialogue([], model, tokenizer, DIRECTION, 1)
    with pytest.raises(ConfigError, match="must have a role and a content that is not empty"):
        score_dialogue([{"role": "user"}], model, tokenizer, DIRECTION, 1)
    with pytest.raises(ConfigError, match="must have a role and a content that is not empty"):
        score_dialogue([{"role": "user", "content": " "}], model, tokenizer, DIRECTION, 1)
    with pytest.raises(ShapeError, match=r"as long as the residual stream, 12: got shape \(3,\)"):
        score_dialogue(TALK, model, tokenizer, torch.ones(3), 1)
    with pytest.raises(UnknownNameError, match="no layer is called '9'"):
        score_dialogue(TALK, model, tokenizer, DIRECTION, 9)
    with pytest.raises(ConfigError, match="at least one text"):
        extract_full_sequence_activations([], model, tokenizer, 1)
    tokenizer.pad_token = None
    with pytest.raises(ConfigError, match="must have a padding token"):
        extract_full_sequence_activations(["cats"], model, tokenizer, 1)
