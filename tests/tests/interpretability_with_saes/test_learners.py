"""What learners would write in other ways passes; what they get wrong in ways that no mistake lists is rejected, or named."""

import re

import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.saes.analysis.activations.examples import Example, fetch_max_activating_examples
from arena_lib.saes.analysis.autointerp.explaining import BEGINNING, EXPLAINER, create_prompt, mark_tokens, to_messages
from arena_lib.saes.truth.scoring import score
from arena_lib.tests import interpretability_with_saes as judges


def keep_by_loop(pre_acts, k):
    rows = []
    for row in pre_acts.reshape(-1, pre_acts.shape[-1]):
        kept = torch.zeros(len(row))
        for i in row.topk(k).indices:
            kept = kept + nn.functional.one_hot(i, len(row)) * row[i].clamp(min=0)
        rows.append(kept)
    return torch.stack(rows).view(pre_acts.shape)


def ablate_in_words(sae_acts, hook=None, latent_idx=None, seq_pos=None):
    result = sae_acts * 1
    for position in range(sae_acts.shape[1]) if seq_pos is None else [seq_pos]:
        for latent in range(sae_acts.shape[2]) if latent_idx is None else [latent_idx]:
            result[:, position, latent] = 0
    return result


def steer_on_heads(activations, hook=None, *, sae, latent_idx, steering_coefficient=1.0):
    direction = sae.W_dec.data[latent_idx].to(activations.dtype).reshape(activations.shape[2:])
    return torch.add(activations, direction, alpha=steering_coefficient)


def f1_in_two_steps(true_positives, n_said, n_true):
    f1 = torch.zeros(true_positives.shape)
    has_some = (n_said + n_true) > 0
    f1[has_some] = (2 * true_positives / (n_said + n_true))[has_some]
    return f1


def prompt_with_a_header(examples):
    lines = [f"{len(examples)} texts, with one token in marks <<like this>>:"]
    for number, (_, tokens, at) in enumerate(examples, 1):
        flags = [False] * len(tokens)
        flags[at] = True
        lines.append(f"{number}. " + mark_tokens([token.replace("\n", "⏎") for token in tokens], flags))
    return {"system": EXPLAINER, "user": "\n".join(lines), "assistant": BEGINNING}


def parse_in_one_pass(answer, n_examples):
    words = re.findall(r"\w+", answer.lower())
    if words[:1] == ["none"] and answer.strip()[0].isalpha():
        return set()
    named = set()
    for found in re.finditer(r"(?<![\d.])(\d+)(?:[ \t]*(?:-|–|to)[ \t]*(\d+))?(?!\d|\.\d)", answer):
        named.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    named.intersection_update(range(1, n_examples + 1))
    return named or (set() if "none" in words else None)


@pytest.mark.parametrize(
    ("judge", "solution"),
    [
        (judges.test_keep_top_k, keep_by_loop),
        (judges.test_ablate_sae_latent, ablate_in_words),
        (judges.test_steering_hook, steer_on_heads),
        (judges.test_compute_f1, f1_in_two_steps),
        (judges.test_create_prompt, prompt_with_a_header),
        (judges.test_parse_predictions, parse_in_one_pass),
    ],
)
def test_other_ways_to_write_it_pass(judge, solution):
    result = run(judge, solution)
    assert result.status == "passed", result.message


def keep_k_plus_1_of_any_sign(pre_acts, k):
    values, indices = pre_acts.topk(min(k + 1, pre_acts.shape[-1]), dim=-1)
    return torch.zeros_like(pre_acts).scatter(-1, indices, values)


def test_two_mistakes_at_once_are_named_together():
    result = run(judges.test_keep_top_k, keep_k_plus_1_of_any_sign)
    assert result.status == "failed"
    assert "keeps k + 1" in result.message
    assert "keeps negative entries" in result.message


def fvu_without_centring(acts, recon):
    return (acts - recon).pow(2).sum() / acts.pow(2).sum()


def test_a_mistake_is_named_however_it_is_written():
    result = run(judges.test_compute_fvu, fvu_without_centring)
    assert "does not centre the activations" in result.message


def mix_and_forget_split(held, chunk, split, order):
    pool = torch.cat([held, chunk])
    return pool[order], pool[len(chunk) :]


def test_a_mistake_of_no_list_is_rejected_all_the_same():
    assert run(judges.test_mix_halves, mix_and_forget_split).status == "failed"


def test_the_name_that_learners_know_covers_top_and_bottom_tokens():
    assert run(judges.test_show_top_logits, judges.test_find_top_logits.accepts[0]).status == "passed"
    wrong = judges.test_find_top_logits.mistakes[0].build(judges.test_find_top_logits.reference)
    assert run(judges.test_show_top_logits, wrong).status == "failed"


def grow_from_the_best(candidates, features, label, largest=5):
    fires = {candidate: candidate.fires(features) for candidate in candidates}
    union, says, reached = [], torch.zeros_like(label), -1.0
    while len(union) < largest:
        best = max(candidates, key=lambda candidate: score(says | fires[candidate], label))
        if score(says | fires[best], label) <= reached:
            break
        says = says | fires[best]
        union, reached = [*union, best], score(says, label)
    return union


def test_a_union_may_begin_with_nothing_since_the_best_candidate_joins_first():
    assert run(judges.test_grow_union, grow_from_the_best).status == "passed"


def test_a_mask_of_numbers_gives_yes_and_no_all_the_same():
    def pick(tokens, attention_mask, *, skip_first, skip_tokens):
        picked = torch.ones_like(tokens).bool() if attention_mask is None else attention_mask.clone()
        if skip_first:
            picked &= picked.cumsum(dim=1) != 1
        for token in skip_tokens:
            picked &= tokens != token
        return picked

    assert "keeps the mask's dtype" in run(judges.test_pick_positions, pick).message


def test_records_in_place_of_tuples_are_said_to_be_the_wrong_kind():
    def fetch(*args, **kwargs):
        return [Example(*entry, []) for entry in fetch_max_activating_examples(*args, **kwargs)]

    assert (
        "must be (activation, tokens, which of them): got Example"
        in run(judges.test_fetch_max_activating_examples, fetch).message
    )


def prompt_from_spoiled_tokens(examples):
    lines = []
    for number, (_, tokens, at) in enumerate(examples, 1):
        tokens.insert(at + 1, ">>")
        tokens.insert(at, "<<")
        lines.append(f"{number}. " + "".join(tokens).replace("\n", "⏎"))
    return {"system": EXPLAINER, "user": "\n".join(lines), "assistant": BEGINNING}


def test_a_prompt_that_is_right_but_changes_the_examples_is_rejected():
    result = run(judges.test_create_prompt, prompt_from_spoiled_tokens)
    assert result.status == "failed"
    assert "it changed examples" in result.message


def test_a_conversation_in_place_of_a_dictionary_is_named():
    result = run(judges.test_create_prompt, lambda examples: to_messages(create_prompt(examples)))
    assert result.diagnosis.mistake == "gives a list of messages"
    assert "should return a dict" in result.message
