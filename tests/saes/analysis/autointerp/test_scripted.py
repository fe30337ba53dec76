"""The scripted explainer and judge: what they say can be worked out by hand."""

import pytest

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.autointerp.scripted import explain_by_script, judge_by_script, read_numbered


def user(text):
    return [{"role": "system", "content": "1. not this"}, {"role": "user", "content": text}]


def test_few_tokens_are_named_by_themselves():
    texts = "1. a<< red>> kite\n2. the<< red>> ball\n3. one<< blue>> cup and<< red>> it"
    assert explain_by_script(user(texts)) == 'the tokens [" red", " blue"]'


def test_many_tokens_after_the_same_word_are_named_by_it():
    texts = "1. gave it to<< Mary>>.\n2. ran to<< school>>\n3. want to<< sleep>> now"
    assert explain_by_script(user(texts)) == 'what follows the tokens [" to"]'


@pytest.mark.parametrize(
    ("explanation", "answer"),
    [
        ('the tokens [" red", " kite"]', "1, 3"),
        ('what follows the tokens [" the"]', "2, 4"),
        ('the tokens [" green"]', "None"),
    ],
)
def test_texts_without_marks_are_searched(explanation, answer):
    texts = "1.  a red ball\n2.  the ball\n3.  my kite\n4.  see the cup"
    messages = user(f"The explanation: the latent is active on {explanation}\n\nThe texts:\n\n{texts}")
    assert judge_by_script(messages) == answer


def test_a_token_at_the_end_has_nothing_after_it():
    messages = user('what follows the tokens [" the"]\n\n1. see the\n2. see the cup')
    assert judge_by_script(messages) == "2"


@pytest.mark.parametrize(
    ("explanation", "answer"), [('the tokens [" ball"]', "1"), ('what follows the tokens [" a"]', "2")]
)
def test_of_marked_texts_the_marks_are_judged(explanation, answer):
    messages = user(f"{explanation}\n\n1.  the<< ball>> fell\n2.  a<< cup>> and a ball\n3.  the ball<< fell>>")
    assert judge_by_script(messages) == answer


def test_any_text_may_be_a_token():
    texts = '1. x<<"]>> y\n2. x<<\\>> y\n3. z<<"]>> y'
    explanation = explain_by_script(user(texts))
    assert judge_by_script(user(f"{explanation}\n\n{texts}")) == "1, 2, 3"


def test_prompts_of_another_form_are_refused():
    with pytest.raises(ConfigError, match="must have numbered texts"):
        read_numbered(user("no list"))
    with pytest.raises(ConfigError, match="must have marked tokens"):
        explain_by_script(user("1. nothing marked"))
    with pytest.raises(ConfigError, match="Let a language model judge it"):
        judge_by_script(user("The explanation: names\n\n1. Mary"))
