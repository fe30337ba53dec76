import pytest
import torch

from arena_lib import zoo
from arena_lib.cli.saes.texts import make_evaluation_tokens, make_source, speaks_storyworld
from arena_lib.errors import ConfigError


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-gpt")


def read(source, seed=0):
    batch = source(torch.Generator().manual_seed(seed))
    return batch.tokens if hasattr(batch, "tokens") else batch[0]


def test_bundled_models_speak_storyworld_and_no_other():
    assert speaks_storyworld("tiny-llama")
    assert not speaks_storyworld("smollm2")
    assert not speaks_storyworld("some-model-of-the-hub")


def test_storyworld_is_trained_on_and_measured_on_other_rows(model):
    trained = read(make_source("tiny-gpt", model, None, seed=0))
    measured, mask = make_evaluation_tokens("tiny-gpt", model, None, 3)
    assert (trained.shape, measured.shape, mask) == ((16, 128), (3, 128), None)
    assert not {tuple(row) for row in trained.tolist()} & {tuple(row) for row in measured.tolist()}
    assert not torch.equal(trained, read(make_source("tiny-gpt", model, None, seed=1)))


def test_every_twentieth_text_is_kept_for_measuring(model, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(f"Mary was holding the {'ring' if k % 20 else 'lamp'} ." for k in range(40)) + "\n")
    lamp = int(model.to_tokens(" lamp")[0, -1])
    trained = read(make_source("tiny-gpt", model, file, seed=0))
    measured, mask = make_evaluation_tokens("tiny-gpt", model, file, 10)
    assert not (trained == lamp).any()
    assert (measured == lamp).sum() == len(measured) == 2
    assert mask.all()


def test_too_few_texts_are_refused(model, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one text\n\n")
    with pytest.raises(ConfigError, match="must hold at least two texts, one in a line: got 1"):
        make_source("tiny-gpt", model, file, seed=0)
    with pytest.raises(ConfigError, match="smollm2 must be given texts to read"):
        make_source("smollm2", model, None, seed=0)
