"""Latents on texts, batch by batch: which tokens count, and what is read."""

import pytest
import torch
from tests.interp.patching.conftest import make_random
from tests.saes.analysis.conftest import PAD, make_sae, make_texts

from arena_lib.core.batches import Batch
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.analysis.activations.texts import bos_ids, list_batches, stream_latents
from arena_lib.saes.analysis.places import find_place


def test_batches_of_a_tensor_make_up_the_whole(llama, sae, texts, monkeypatch):
    monkeypatch.setattr("arena_lib.saes.analysis.activations.texts.BATCH_SIZE", 4)
    place = find_place(llama, sae)
    batches = list(stream_latents(place, texts, [5, 2]))
    assert [len(batch.tokens) for batch in batches] == [4, 4, 3]
    latents = torch.cat([batch.latents for batch in batches])
    torch.testing.assert_close(latents, place.encode(texts)[..., [5, 2]].detach())
    assert not latents.requires_grad
    counted = torch.cat([batch.counted for batch in batches])
    assert torch.equal(counted, latents * (texts != PAD)[..., None])
    assert torch.cat([batch.is_real for batch in batches]).all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", [tuple, lambda pair: Batch(*pair)])
def test_padding_neither_counts_nor_changes_anything(llama, sae, texts, side, kind):
    place = find_place(llama, sae)
    short, rest = texts[:1, :5], torch.full((1, 3), 4)
    parts = [rest, short] if side == "left" else [short, rest]
    is_real = torch.tensor([[False] * 3 + [True] * 5])
    is_real = is_real if side == "left" else is_real.flip(1)
    tokens = torch.cat([torch.cat(parts, dim=1), texts[1:2]])
    mask = torch.cat([is_real, torch.ones(1, 8, dtype=torch.bool)])
    (batch,) = stream_latents(place, [kind((tokens, mask))])
    assert torch.equal(batch.is_real, mask)
    assert torch.equal(batch.is_counted, mask & (tokens != PAD))
    torch.testing.assert_close(batch.latents[:1][is_real], place.encode(short)[0].detach())
    torch.testing.assert_close(batch.latents[1:], place.encode(texts[1:2]).detach())


def test_only_so_many_batches_are_drawn():
    drawn = (drawn for drawn in [torch.zeros(1, 2, dtype=torch.long)] * 9)
    assert len(list(list_batches(drawn, 4))) == 4
    assert len(list(drawn)) == 5


def test_models_without_a_tokenizer_skip_nothing(llama):
    assert bos_ids(find_place(llama, make_sae()).lm) == [PAD]
    assert bos_ids(find_place(make_random("llama"), make_sae()).lm) == []


def test_no_texts_and_other_shapes_are_refused(llama, sae):
    place = find_place(llama, sae)
    with pytest.raises(ConfigError, match="got no batch"):
        list(stream_latents(place, iter([])))
    with pytest.raises(ConfigError, match="total_batches must be at least 1: got 0"):
        list(stream_latents(place, make_texts(), total_batches=0))
    with pytest.raises(ShapeError, match="got shape"):
        list(stream_latents(place, [torch.zeros(3)]))
