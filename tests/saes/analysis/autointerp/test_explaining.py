"""Prompts for an explaining model, and the explanations that it is asked for."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.activations.examples import fetch_max_activating_examples
from arena_lib.saes.analysis.autointerp.explaining import (
    BEGINNING,
    EXPLAINER,
    create_prompt,
    get_autointerp_explanation,
    mark_tokens,
    number_texts,
    remove_thinking,
)


def test_neighbours_share_their_marks():
    tokens = [" a", " b", " c", " d"]
    assert mark_tokens(tokens, [True, False, True, True]) == "<< a>> b<< c d>>"
    assert mark_tokens(tokens, [False] * 4) == " a b c d"
    assert mark_tokens(tokens, [True] * 4) == "<< a b c d>>"


def test_the_prompt_has_the_examples_marked_and_numbered():
    examples = [(2.0, [" a", " kite", "\n"], 1), (1.0, [" kite", " kite"], 0)]
    prompt = create_prompt(examples)
    assert prompt["user"].splitlines()[-2:] == ["1.  a<< kite>>⏎", "2. << kite>> kite"]
    assert list(prompt) == ["system", "user", "assistant"]
    assert (prompt["system"], prompt["assistant"]) == (EXPLAINER, BEGINNING)


def test_line_breaks_stay_in_their_line():
    assert number_texts(["a\nb", "c"]) == "1. a⏎b\n2. c"


def test_each_completion_is_asked_for_by_itself(llama, sae, texts):
    asked = []

    def ask(messages):
        asked.append(messages)
        return [" some names \n", f"{BEGINNING} other names"][len(asked) - 1]

    found = get_autointerp_explanation(llama, sae, texts, 8, k=4, n_completions=2, ask=ask)
    assert found == ["some names", "other names"]
    examples = fetch_max_activating_examples(llama, sae, texts, 8, k=4, may_overlap=False)
    prompt = create_prompt(examples)
    assert asked == [[{"role": role, "content": content} for role, content in prompt.items()]] * 2


def test_thinking_is_no_part_of_an_explanation(llama, sae, texts):
    def ask(messages):
        return f"<think>Texts 1 and 2 have kites.</think>\n{BEGINNING} kites"

    assert get_autointerp_explanation(llama, sae, texts, 8, ask=ask) == ["kites"]
    assert remove_thinking("none") == "none"


def test_what_cannot_work_is_refused(llama, sae, texts):
    with pytest.raises(ConfigError, match="n_completions must be at least 1"):
        get_autointerp_explanation(llama, sae, texts, 8, n_completions=0, ask=str)
    with torch.no_grad():
        sae.b_enc[9] = -1e6
    with pytest.raises(ConfigError, match="got latent 9, which isn't on any of these texts"):
        get_autointerp_explanation(llama, sae, texts, 9, ask=str)
