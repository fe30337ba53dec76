"""The figures of the cards: measured right, and the ones that the shipped weights reach."""

import math

import pytest
import torch
from torch import Tensor

from arena_lib import zoo
from arena_lib.storyworld import RULES, Chooser, tell_rule, vocabulary
from arena_lib.zoo import evaluation
from arena_lib.zoo.cards import LANGUAGE_MODELS

D_VOCAB = len(vocabulary())
BUNDLED = [
    name for name in zoo.names() if zoo.info(name).source == "bundled" and zoo.info(name).form in LANGUAGE_MODELS
]
TARGETS = {
    "tiny-gpt": {
        "indirect_object_held_out_names": 0.98,
        "indirect_object_held_out_templates": 0.97,
        "indirect_object_held_out_both": 0.95,
        "holders_2_things": 0.8,
        "adjectives_five_shot": 0.95,
        "countries_five_shot": 0.95,
    },
    "tiny-llama": {
        "indirect_object_held_out_names": 0.98,
        "indirect_object_held_out_templates": 0.95,
        "indirect_object_held_out_both": 0.92,
        "adjectives_five_shot": 0.95,
        "countries_five_shot": 0.95,
    },
    "attn-only-2l": {},
}
"""The least that a bundled model must reach, by figure."""
INDUCES = ("tiny-llama", "attn-only-2l")


def guess(table: dict[int, int]) -> evaluation.LogitsOf:
    """A model that foretells `table[token]` after each token, and token 0 after any other."""

    def logits_of(tokens: Tensor) -> Tensor:
        next_tokens = tokens.clone().apply_(lambda token: table.get(token, 0))
        return torch.nn.functional.one_hot(next_tokens, D_VOCAB).float() * 100

    return logits_of


def repeat_from(lag: int) -> evaluation.LogitsOf:
    """A model that foretells the token that stood `lag - 1` before: a perfect copier of strings of that length."""

    def logits_of(tokens: Tensor) -> Tensor:
        foretold = torch.zeros_like(tokens)
        foretold[:, lag - 1 :] = tokens[:, : tokens.shape[1] - lag + 1]
        return torch.nn.functional.one_hot(foretold, D_VOCAB).float() * 100

    return logits_of


def uniform(tokens: Tensor) -> Tensor:
    return torch.zeros(*tokens.shape, D_VOCAB)


def test_hits_are_looked_up_where_the_answer_stands() -> None:
    table = vocabulary()
    documents = [tell_rule(Chooser(0), "countries", rule="capital", n_pairs=n) for n in (2, 3)]
    # After a colon this model always says the same capital.
    first = documents[0].words[2]
    hits = evaluation.compute_answer_hits(guess({table[":"]: table[first]}), documents)
    assert [len(row) for row in hits] == [2, 3]
    assert hits[0] == [True, False]
    assert evaluation.compute_accuracy(guess({table[":"]: table[documents[0].words[6]]}), documents[:1]) == 1.0


def test_documents_are_padded_on_the_right_behind_an_end_of_text() -> None:
    documents = [tell_rule(Chooser(0), "countries", n_pairs=n) for n in (1, 3)]
    tokens = evaluation.pad_documents(documents)
    assert tokens.shape == (2, 13)
    assert (tokens[:, 0] == 0).all()
    assert (tokens[0, 5:] == 0).all()
    assert tokens[1, -1] == vocabulary()["."]


def test_induction_is_the_loss_on_each_copy() -> None:
    figures = evaluation.evaluate_induction(repeat_from(20), 16, lengths=(20,))
    assert figures["second_copy_loss_20"] == pytest.approx(0.0, abs=1e-6)
    assert figures["first_copy_loss_20"] > 50
    figures = evaluation.evaluate_induction(uniform, 16, lengths=(7,))
    assert figures == {
        name: pytest.approx(math.log(D_VOCAB), abs=1e-4) for name in ("first_copy_loss_7", "second_copy_loss_7")
    }


def test_repeated_tokens_are_two_copies_of_words() -> None:
    tokens = evaluation.make_repeated_tokens(3, 5)
    assert tokens.shape == (3, 11)
    assert torch.equal(tokens[:, 1:6], tokens[:, 6:])
    assert (tokens[:, 1:] > 256).all()
    assert len(tokens[:, 1:6].unique()) > 10


def test_losses_are_of_each_token_but_the_first() -> None:
    tokens = torch.tensor([[0, 5, 6]])
    losses = evaluation.compute_losses(guess({0: 5}), tokens)
    assert losses.shape == (1, 2)
    assert losses[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert losses[0, 1] == pytest.approx(100.0, abs=1e-3)


def test_story_losses_leave_out_the_padding() -> None:
    figures = evaluation.evaluate_stories(uniform, 5)
    assert figures == {
        name: pytest.approx(math.log(D_VOCAB), abs=1e-4) for name in ("story_loss", "story_loss_held_out")
    }


def test_a_copier_knows_one_rule_of_three() -> None:
    def copy_before_colon(tokens: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(tokens.roll(1, dims=1), D_VOCAB).float()

    figures = evaluation.evaluate_rules(copy_before_colon, 4)
    for kind, rules in RULES.items():
        assert figures[f"{kind}_zero_shot"] == figures[f"{kind}_five_shot"] == pytest.approx(1 / 3)
        assert {rule: figures[f"{kind}_five_shot_{rule}"] for rule in rules} == {
            rule: float(rule == "same") for rule in rules
        }


def test_a_model_that_knows_nothing_has_no_accuracy() -> None:
    figures = evaluation.evaluate_indirect_object(uniform, 8) | evaluation.evaluate_holders(uniform, 8)
    assert set(figures.values()) == {0.0}
    assert len(figures) == 6


def test_every_split_of_the_indirect_object_has_its_own_documents() -> None:
    seen: list[Tensor] = []

    def record(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return uniform(tokens)

    evaluation.evaluate_indirect_object(record, 4)
    assert len({tokens.numpy().tobytes() for tokens in seen}) == 4


@pytest.mark.parametrize("name", BUNDLED)
def test_the_card_states_what_the_shipped_weights_reach(name: str) -> None:
    figures = evaluation.evaluate(name)
    reached = dict(zoo.info(name).reached)
    assert set(reached) == set(figures)
    for figure, value in figures.items():
        # Another CPU may round otherwise, which moves a loss by little and an accuracy by a document or two.
        assert reached[figure] == pytest.approx(value, abs=0.02 if "loss" in figure else 0.01), figure


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_reach_their_targets(name: str) -> None:
    reached = zoo.info(name).reached
    for figure, least in TARGETS[name].items():
        assert reached[figure] >= least
    if name in INDUCES:
        for length in (20, 50):
            assert reached[f"second_copy_loss_{length}"] < reached[f"first_copy_loss_{length}"] / 3
    assert reached["story_loss"] < reached["story_trigram_loss"] - 0.1
