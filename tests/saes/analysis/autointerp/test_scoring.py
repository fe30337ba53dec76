"""Scores of explanations: worked out by hand for latents whose meaning is known."""

import re

import pytest
import torch
from tests.saes.analysis.conftest import PAD

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.analysis.activations.histograms import collect_activations
from arena_lib.saes.analysis.autointerp.scoring import (
    AutoInterp,
    AutoInterpConfig,
    parse_predictions,
    score_predictions,
)
from arena_lib.saes.analysis.autointerp.scripted import explain_by_script, judge_by_script
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig

TOKEN, NOISE, DEAD = 0, 1, 2
"""Latents of `known`: one that is active on the tokens 3 and 7, one on random tokens, one on none."""
SIZES = {"n_shown": 4, "n_active": 3, "n_inactive": 5, "buffer": 1}


@pytest.fixture
def texts():
    tokens = torch.randint(0, PAD, (60, 9), generator=make_generator(0))
    tokens[:, 0] = PAD
    return tokens


@pytest.fixture
def known(llama):
    """An SAE on embeddings."""
    sae = ReLUSAE(ReLUSAEConfig(d_in=24, d_sae=3, l1_coef=1.0, hook_name="blocks.0.hook_resid_pre")).double()
    with torch.no_grad():
        wanted = torch.full((23, 2), -1.0, dtype=torch.float64)
        wanted[[3, 7], 0] = torch.tensor([1.0, 2.0], dtype=torch.float64)
        wanted[:, 1] = torch.rand(23, generator=make_generator(1), dtype=torch.float64) - 0.5
        solution = torch.linalg.lstsq(llama.W_E.detach(), wanted).solution
        sae.W_enc[:, :2] = solution
        sae.W_enc[:, 2] = 0
        sae.b_enc[2] = -1.0
    return sae


def interpret(llama, known, texts, **options):
    options = {"explainer": explain_by_script, "judge": judge_by_script, **options}
    cfg = AutoInterpConfig(**{"latent_idxs": (TOKEN, NOISE, DEAD), **SIZES, **options.pop("sizes", {})})
    return AutoInterp(cfg, llama, known, texts, **options)


@pytest.mark.parametrize("task", ["detection", "fuzzing"])
def test_a_latent_of_two_tokens_is_explained_perfectly(llama, known, texts, task):
    result = interpret(llama, known, texts, sizes={"task": task}).run(debug=True)
    found = result[TOKEN]
    # The explainer sees the most active examples alone, and these are of one token.
    assert found["explanation"] == 'the tokens [" w7"]'
    assert found["is_readable"]
    judged = re.findall(r"^\d+\. (.*)$", found["judging"][-1]["content"], re.M)
    pattern = r"<< w7>>" if task == "fuzzing" else r" w7\b"
    assert found["predicted"] == [i for i, text in enumerate(judged, start=1) if re.search(pattern, text)]
    assert found["balanced_accuracy"] == (len(found["predicted"]) / 3 + 1) / 2
    both = interpret(
        llama, known, texts, sizes={"task": task}, explainer=lambda messages: 'the tokens [" w3", " w7"]'
    ).run()[TOKEN]
    assert both["accuracy"] == both["balanced_accuracy"] == 1.0
    assert both["predicted"] == both["truth"]
    assert len(both["truth"]) == 3
    assert result[DEAD] == {"skipped": "active on 0 tokens: too few examples that lie apart"}


def test_wrong_explanations_score_half_or_less(llama, known, texts):
    for said, expected in (("None", 0.5), ("1, 2, 3, 4, 5, 6, 7, 8", 0.5)):
        found = interpret(llama, known, texts, judge=lambda messages, said=said: said).run()[TOKEN]
        assert found["balanced_accuracy"] == expected
    found = interpret(llama, known, texts, judge=lambda messages: "I don't know").run()[TOKEN]
    assert (found["balanced_accuracy"], found["is_readable"], found["predicted"]) == (0.5, False, [])
    found = interpret(llama, known, texts, judge=lambda messages: "<think>1? 2?</think>\nNone").run()[TOKEN]
    assert (found["is_readable"], found["predicted"]) == (True, [])


def test_the_judge_sees_no_answers_and_the_explainer_no_test(llama, known, texts):
    asked = {"explainer": [], "judge": []}

    def keep(name, answer):
        def ask(messages):
            asked[name].append(messages)
            return answer

        return ask

    run = interpret(llama, known, texts, explainer=keep("explainer", " the token w3 "), judge=keep("judge", "2"))
    result = run.run(debug=True)[TOKEN]
    (shown, *_), (judged, *_) = asked["explainer"], asked["judge"]
    assert result["explaining"] == shown
    assert result["judging"] == judged
    assert result["answer"] == "2"
    assert "active on the token w3\n" in judged[-1]["content"]
    assert "<<" not in judged[-1]["content"]
    texts_judged = re.findall(r"^\d+\. (.*)$", judged[-1]["content"], re.M)
    texts_shown = re.findall(r"^\d+\. (.*)$", shown[1]["content"], re.M)
    assert (len(texts_judged), len(texts_shown)) == (8, 4)
    truth = [i for i, text in enumerate(texts_judged, start=1) if re.search(r" w[37]\b", text)]
    assert result["truth"] == truth
    for text in texts_shown:
        assert re.search(r"<< w[37]>>", text)


def test_a_text_on_which_all_is_active_is_marked_rightly_in_fuzzing(llama, known):
    """Three texts are active throughout, and are the right ones, whatever the draw; five have one active token."""
    active, mixed = [PAD, 3, 3, 3], [PAD, 4, 7, 5]
    tokens = torch.tensor([active] * 3 + [mixed] * 9)
    run = interpret(llama, known, tokens, sizes={"task": "fuzzing", "n_shown": 4, "buffer": 3})
    acts = collect_activations(llama, known, tokens[:, 1:], [TOKEN])[TOKEN]
    for seed in range(5):
        gathered = run.gather_examples(acts, make_generator(seed))
        assert gathered is not None
        assert sum(not example.is_right for example in gathered[1]) == SIZES["n_inactive"]


@pytest.mark.parametrize("task", ["detection", "fuzzing"])
def test_examples_lie_apart_and_are_drawn_from_the_seed(llama, known, texts, task):
    acts = collect_activations(llama, known, texts, [TOKEN])[TOKEN]
    run = interpret(llama, known, texts, sizes={"task": task})
    gathered = [run.gather_examples(acts, make_generator(seed)) for seed in (0, 0, 1)]
    assert gathered[0] == gathered[1]
    assert gathered[0][0] == gathered[2][0]
    assert gathered[0][1] != gathered[2][1]
    shown, judged = gathered[0]
    assert [example.activation for example in shown] == sorted((e.activation for e in shown), reverse=True)
    assert sum(example.is_right for example in judged) == 3
    for example in judged:
        if task == "detection":
            assert bool(re.search(r" w[37]\b", example.text)) == example.is_right
        else:
            assert bool(re.search(r"<< w[37]>>", example.text)) == example.is_right


def test_scores_by_hand():
    truth = [True, False, False, True, False]
    assert score_predictions({1, 4}, truth) == {"accuracy": 1.0, "balanced_accuracy": 1.0}
    assert score_predictions({1, 2}, truth) == {"accuracy": 0.6, "balanced_accuracy": (1 / 2 + 2 / 3) / 2}
    assert score_predictions(set(), truth)["balanced_accuracy"] == 0.5
    for one_sided in ([True, True], [False]):
        with pytest.raises(ConfigError, match="texts that are right and texts that aren't"):
            score_predictions({1}, one_sided)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("2, 5", {2, 5}),
        ("Texts 1 and 12.", {1, 12}),
        ("13", None),
        ("None", set()),
        ("none of them", set()),
        ("nonetheless", None),
        ("", None),
        ("12.5 or 3", {3}),
        ("0, 1", {1}),
        ("None of the 9 texts", set()),
        ("2, none of the others", {2}),
        ("1-3, 5 to 6, 8 – 9", {1, 2, 3, 5, 6, 8, 9}),
        ("7-" + "9" * 30, {7, 8, 9, 10, 11, 12}),
        ("- 2\n- 4", {2, 4}),
    ],
)
def test_answers_are_read_for_their_numbers(answer, numbers):
    assert parse_predictions(answer, 12) == numbers


def test_what_cannot_work_is_refused(llama, known, texts, without_types):
    with pytest.raises(UnknownNameError, match="no task of a judge is called 'simulation'"):
        AutoInterpConfig(latent_idxs=(1,), task="simulation")
    with pytest.raises(ConfigError, match="n_active must be at least 1"):
        AutoInterpConfig(latent_idxs=(1,), n_active=0)
    with pytest.raises(ConfigError, match="buffer can't be below 0"):
        AutoInterpConfig(latent_idxs=(1,), buffer=-1)
    with pytest.raises(UnknownNameError, match="no latent is called '3'"):
        interpret(llama, known, texts, sizes={"latent_idxs": (3,)})
