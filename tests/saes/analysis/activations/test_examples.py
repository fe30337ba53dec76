"""Max-activating examples: the order, ties, windows, what never counts, and many latents at once."""

import pytest
import torch
from tests.saes.analysis.conftest import PAD, make_sae, make_texts

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.analysis.activations import examples
from arena_lib.saes.analysis.activations.examples import (
    fetch_max_activating_examples,
    find_peaks,
    find_top_examples,
    find_top_positions,
)
from arena_lib.saes.analysis.places import find_place


def test_equal_activations_come_in_the_order_of_the_texts():
    acts = torch.tensor([[0.0, 1.0, 2.0, 1.0], [1.0, 2.0, 0.0, 1.0], [0.0, 0.0, -1.0, 0.5]])
    assert find_top_positions(acts, k=5).tolist() == [[0, 2], [1, 1], [0, 1], [0, 3], [1, 0]]
    assert find_top_positions(acts, k=99).tolist()[-2:] == [[1, 3], [2, 3]]  # nothing at or below 0
    assert find_top_positions(torch.zeros(2, 3), k=4).shape == (0, 2)


@pytest.mark.parametrize("min_distance", [0, 1, 3])
def test_many_latents_at_once_are_each_as_alone(min_distance):
    acts = torch.randint(0, 5, (6, 9, 7), generator=make_generator(0)).float() * (torch.arange(7) != 4)
    values, places = find_peaks(acts, 10, min_distance)
    for latent in range(7):
        alone = find_top_positions(acts[..., latent], 10, min_distance)
        n = len(alone)
        assert [divmod(place, 9) for place in places[:n, latent].tolist()] == [tuple(pair) for pair in alone.tolist()]
        assert values[:n, latent].tolist() == [acts[row, position, latent] for row, position in alone.tolist()]
        assert not (values[n:, latent] > 0).any()


@pytest.mark.parametrize("may_overlap", [True, False])
def test_examples_are_those_of_a_search_by_hand(llama, sae, texts, may_overlap, monkeypatch):
    monkeypatch.setattr("arena_lib.saes.analysis.activations.texts.BATCH_SIZE", 4)
    latents = find_place(llama, sae).encode(texts).detach()
    latents[texts == PAD] = 0
    latent_idx = int((latents > 0).sum(dim=(0, 1)).argmax())
    acts = latents[..., latent_idx]
    expected = []
    for row, position in find_top_positions(acts, 6, 0 if may_overlap else 2).tolist():
        start = max(position - 2, 0)
        window = [f" w{token_id}" for token_id in texts[row, start : position + 3].tolist()]
        expected.append((acts[row, position].item(), window, position - start))
    found = fetch_max_activating_examples(llama, sae, texts, latent_idx, k=6, buffer=2, may_overlap=may_overlap)
    assert found == expected
    assert len(found) == 6


def test_the_form_for_many_latents_gives_what_the_plain_form_gives(llama, sae, texts, monkeypatch):
    monkeypatch.setattr("arena_lib.saes.analysis.activations.texts.BATCH_SIZE", 3)
    for options in ({"may_overlap": True}, {"may_overlap": False, "total_batches": 3}):
        many = find_top_examples(llama, sae, texts, range(37), k=4, buffer=2, **options)
        for latent_idx in range(37):
            plain = fetch_max_activating_examples(llama, sae, texts, latent_idx, k=4, buffer=2, **options)
            of_many = [(e.activation, e.str_tokens, e.position) for e in many[latent_idx]]
            assert of_many == plain
            assert all(e.activations[e.position] == e.activation for e in many[latent_idx])


def test_batches_may_be_an_iterator_and_only_so_many_are_read(llama, sae, texts):
    n_read = 0

    def batches():
        nonlocal n_read
        for batch in texts.split(2):
            n_read += 1
            yield batch

    found = fetch_max_activating_examples(llama, sae, batches(), 5, total_batches=3, k=3)
    assert n_read == 3
    assert found == fetch_max_activating_examples(llama, sae, texts[:6], 5, k=3)


def test_the_first_token_and_those_to_skip_are_never_chosen(llama, sae, texts):
    by_default = find_top_examples(llama, sae, texts, range(37), k=50, buffer=0)
    assert all(example.str_tokens != [f" w{PAD}"] for found in by_default.values() for example in found)
    all_tokens = find_top_examples(llama, sae, texts, range(37), k=50, buffer=0, skip=[])
    assert any(example.str_tokens == [f" w{PAD}"] for found in all_tokens.values() for example in found)
    skipped = find_top_examples(llama, sae, texts, range(37), k=50, buffer=0, skip=[3, 4])
    assert all(example.str_tokens not in ([" w3"], [" w4"]) for found in skipped.values() for example in found)


def test_padding_changes_nothing():
    model, sae = zoo.load("tiny-llama"), make_sae("blocks.2.hook_resid_pre", d_in=128, d_sae=51, k=9).float()
    texts = [" Tina was in the garden.", " Jack met Mary in the park. Mary was happy.", " Where is Tom?"]
    alone = [model.to_tokens(text) for text in texts]
    for side in ("left", "right"):
        padded = [model.to_padded_tokens(texts, padding_side=side)]
        for latent_idx in (0, 7, 33):
            expected = fetch_max_activating_examples(model, sae, alone, latent_idx, k=8, buffer=3)
            found = fetch_max_activating_examples(model, sae, padded, latent_idx, k=8, buffer=3)
            assert [example[1:] for example in found] == [example[1:] for example in expected]
            assert [example[0] for example in found] == pytest.approx([e[0] for e in expected], rel=1e-4)


def test_a_bridge_gives_what_our_form_gives(llama, bridge, sae):
    texts = make_texts(seq=7)
    ours, theirs = (
        fetch_max_activating_examples(model, sae, texts, 8, k=5, buffer=1, skip=[PAD]) for model in (llama, bridge)
    )
    assert [example[2] for example in ours] == [example[2] for example in theirs]
    assert [example[0] for example in ours] == pytest.approx([example[0] for example in theirs], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ConfigError, "k must be at least 1"),
        ({"buffer": -1}, ConfigError, "can't be fewer than 0: got -1"),
        ({"total_batches": 0}, ConfigError, "total_batches must be at least 1"),
        ({"latent_idx": 37}, UnknownNameError, "no latent is called '37'"),
        ({"tokens": []}, ConfigError, "got no batch"),
        ({"tokens": [torch.zeros(4, dtype=torch.long)]}, ShapeError, r"axes 'batch seq': got shape \(4,\)"),
    ],
)
def test_what_cannot_work_is_refused(llama, sae, texts, options, error, message):
    call = {"tokens": texts, "latent_idx": 3, **options}
    with pytest.raises(error, match=message):
        fetch_max_activating_examples(llama, sae, **call)
    if "latent_idx" in options:
        return
    with pytest.raises(error, match=message):
        find_top_examples(llama, sae, call.pop("tokens"), [call.pop("latent_idx")], **call)


def test_no_more_is_held_than_is_returned(llama, sae, texts, monkeypatch):
    held = []
    merge = examples._Windows.merge
    monkeypatch.setattr(examples._Windows, "merge", lambda *args: held.append(merge(*args)) or held[-1])
    find_top_examples(llama, sae, texts.repeat(9, 1), range(37), k=2, buffer=1)
    assert held
    assert {windows.tokens.shape for windows in held} == {(2, 37, 3)}
