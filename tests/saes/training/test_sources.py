"""Texts as batches of tokens."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.training.sources import TextBatches
from arena_lib.saes.training.store import ActivationStore, StoreConfig

TEXTS = ["Mary gave the ball to John.", "John left.", "Then Mary went to the garden.", "Stop.", "Mary saw John."]


def read(model, tokens, is_real):
    return [model.tokenizer.decode(row[mask][1:].tolist()).strip() for row, mask in zip(tokens, is_real, strict=True)]


def test_texts_come_shuffled_once_an_epoch_with_their_mask():
    model = zoo.load("tiny-llama")
    source, generator = TextBatches(model, TEXTS, batch_size=2), make_generator(0)
    epochs = [[text for _ in range(2) for text in read(model, *source(generator))] for _ in range(3)]
    for epoch in epochs:
        assert len(set(epoch)) == 4
        assert set(epoch) <= set(TEXTS)
    assert epochs[0] != epochs[1]


def test_padding_is_on_the_right_and_long_texts_are_cut():
    model = zoo.load("tiny-llama")
    tokens, is_real = TextBatches(model, TEXTS, batch_size=5, n_ctx=6)(make_generator(0))
    assert tokens.shape == is_real.shape == (5, 6)
    assert is_real[:, 0].all()
    assert sorted(is_real.sum(dim=1).tolist()) == [4, 5, 6, 6, 6]
    long = TextBatches(model, ["Mary gave the ball to John. " * 40], batch_size=1)(make_generator(0))[0]
    assert long.shape == (1, model.cfg.n_ctx)


def test_a_store_reads_texts_and_goes_on_with_them():
    model = zoo.load("tiny-llama")
    cfg = StoreConfig(batch_size=8, chunk_batches=2)

    def make():
        return ActivationStore(model, "blocks.0.hook_resid_post", TextBatches(model, TEXTS, 2), cfg)

    store, generator = make(), make_generator(3)
    for _ in range(5):
        store(generator)
    state, place = store.state_dict(), generator.get_state()
    expected = store(generator).acts
    other = make()
    other.load_state_dict(state)
    generator.set_state(place)
    assert torch.equal(other(generator).acts, expected)


@pytest.mark.usefixtures("without_types")
def test_what_cannot_be_read_is_refused():
    model = zoo.load("tiny-llama")
    with pytest.raises(ConfigError, match=r"a list of texts: got Llama and str\. .* pass \[text\] for a single text"):
        TextBatches(model, "Mary gave")
    with pytest.raises(ConfigError, match="batch_size must be from 1 to the number of examples, 5: got 9"):
        TextBatches(model, TEXTS, batch_size=9)
    with pytest.raises(ConfigError, match="needs a model with to_padded_tokens"):
        TextBatches(object(), TEXTS)
