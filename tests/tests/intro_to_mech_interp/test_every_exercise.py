"""Every judge of section 1.2 accepts what is right, and rejects and names every mistake."""

import importlib

import pytest
import torch

from arena_lib.checking import run, verify
from arena_lib.checking.exercises import Exercise
from arena_lib.course.content.catalog import load_catalog

judges = importlib.import_module("arena_lib.tests.intro_to_mech_interp")
EXERCISES = {name: judge for name, judge in vars(judges).items() if isinstance(judge, Exercise)}


@pytest.mark.parametrize("name", [name for name, judge in EXERCISES.items() if judge.only is None])
def test_judge_holds(name):
    verification = verify(EXERCISES[name])
    assert verification.holds, "\n".join(verification.problems)


def test_every_judge_has_an_exercise_in_the_chapter_and_the_other_way_round():
    in_chapter = {entry.test_name for entry in load_catalog().section("1.2").exercises if entry.reference}
    assert in_chapter == {name for name, judge in EXERCISES.items() if judge.only is None}


@pytest.mark.parametrize("threshold", [0.3, 0.36, 0.45, 0.6])
@pytest.mark.parametrize("kind", ["current", "prev", "first", "induction"])
def test_any_sensible_threshold_passes(kind, threshold):
    judge = EXERCISES[f"test_{kind}_attn_detector"]
    assert run(judge, lambda cache: judge.reference(cache, threshold)).status == "passed"


def test_notebooks_that_pass_a_model_along_are_judged_alike(capsys):
    EXERCISES["test_get_ablation_scores"](_scores_of_the_course, "a model", "tokens")
    assert "✓" in capsys.readouterr().out


def _scores_of_the_course(model, tokens, ablation_function=None):
    """As notebooks in use write it: one loop, partial, the loss over the last n - 1 tokens."""
    from functools import partial

    def zero(z, hook, head_index_to_ablate):
        z[:, :, head_index_to_ablate, :] = 0.0
        return z

    scores = torch.zeros((model.cfg.n_layers, model.cfg.n_heads))
    seq_len = (tokens.shape[1] - 1) // 2

    def loss(logits):
        logprobs = logits.log_softmax(dim=-1)
        picked = logprobs[:, :-1].gather(dim=-1, index=tokens[:, 1:].unsqueeze(-1)).squeeze(-1)
        return -picked[:, -(seq_len - 1) :].mean()

    model.reset_hooks()
    clean = loss(model(tokens))
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = partial(ablation_function or zero, head_index_to_ablate=head)
            name = f"blocks.{layer}.attn.hook_z"
            scores[layer, head] = loss(model.run_with_hooks(tokens, fwd_hooks=[(name, hook)])) - clean
    return scores
