"""Mixtures of documents and rows of tokens."""

import hashlib
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.storyworld import lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.corpus import MIXTURE, VERSION, make_marked_rows, make_rows, tell, tell_many
from arena_lib.storyworld.tokenizer import list_vocabulary_words, vocabulary


def test_the_version_is_frozen() -> None:
    """A change of what is generated must raise VERSION, and the models trained on it be trained anew."""
    digests = [
        hashlib.sha256(make_rows(16, 128, seed=0, split=split).tobytes()).hexdigest()[:16]
        for split in ("train", "test")
    ]
    assert (VERSION, *digests) == FROZEN


def test_rows_are_whole_documents_behind_an_end_of_text() -> None:
    rows = make_rows(20, 64, seed=3)
    assert rows.shape == (20, 64)
    assert (rows[:, 0] == 0).all()
    choose = Chooser("storyworld", VERSION, "train", 3)
    table = vocabulary()
    documents = tell_many(choose)
    stream: list[int] = []
    for row in rows:
        stream = []
        while len(stream) < 64:
            stream += [0, *(table[word] for word in next(documents).words)]
        assert row.tolist() == stream[:64]


def test_rows_depend_on_seed_and_split() -> None:
    rows = [
        make_rows(4, 32, seed=seed, split=split)
        for seed, split in ((0, "train"), (0, "train"), (1, "train"), (0, "test"))
    ]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], rows[3])


def test_marks_are_the_answers_about_people() -> None:
    rows, marks = make_marked_rows(40, 64, seed=0, mixture={"indirect_object": 0.5, "holders": 0.5})
    words = list(vocabulary())
    marked = [words[token] for token in rows[marks]]
    assert set(marked) <= set(lexicon.TRAIN_NAMES)
    assert len(marked) > 60
    before = Counter(words[rows[i, j - 1]] for i, j in zip(*np.nonzero(marks), strict=True))
    assert set(before) == {"to", "for", "with", "from", "?"}
    assert np.array_equal(rows, make_rows(40, 64, seed=0, mixture={"indirect_object": 0.5, "holders": 0.5}))


def test_lists_and_strings_have_no_marks() -> None:
    marks = make_marked_rows(8, 64, seed=0, mixture={"adjectives": 0.5, "repetition": 0.5})[1]
    assert not marks.any()


def test_each_kind_has_its_share_of_the_tokens() -> None:
    n_tokens: Counter[str] = Counter()
    for document in islice(tell_many(Chooser("corpus", 0)), 4000):
        kind = "speech" if document.words[-2].startswith("<0x") else document.kind
        n_tokens[kind] += len(document.words) + 1
    total = sum(n_tokens.values())
    for kind in ("story", "indirect_object", "holders", "adjectives", "countries", "repetition"):
        assert n_tokens[kind] / total == pytest.approx(MIXTURE[kind], rel=0.2)
    assert sum(MIXTURE.values()) == pytest.approx(1.0)


def test_every_word_of_random_strings_is_in_other_text_too() -> None:
    seen: set[str] = set()
    kinds = [kind for kind in MIXTURE if kind not in ("repetition", "speech", "spelling")]
    choose = Chooser("corpus", 1)
    mixture = {**dict.fromkeys(kinds, 0.1), "story": 2.0}
    for document in islice(tell_many(choose, "train", mixture), 6_000):
        seen |= set(document.words)
    # Numbers are rare, and two words only introduce speech, which random words follow.
    assert set(list_vocabulary_words()) - seen - set(lexicon.NUMBERS) == {"aloud", "read"}
    assert seen & set(lexicon.NUMBERS)


def test_unknown_kinds_and_empty_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be one of story, .*: got 'poem'"):
        tell("poem", Chooser(0))
    with pytest.raises(ConfigError, match=r"got \['poem'\]"):
        make_rows(1, 8, seed=0, mixture={"poem": 1.0})
    with pytest.raises(ConfigError, match="got 0 and 8"):
        make_rows(0, 8, seed=0)
    with pytest.raises(ConfigError, match="got 3 and 1"):
        make_rows(3, 1, seed=0)


@pytest.mark.parametrize("kind", MIXTURE)
def test_every_document_has_labels_for_each_token(kind: str) -> None:
    choose = Chooser("corpus", kind)
    for _ in range(20):
        document = tell(kind, choose)
        labels, n_tokens = document.labels, len(document.words)
        for name in ("sentence", "subject", "number", "sentiment", "refers_to"):
            assert getattr(labels, name).shape == (n_tokens,)
        assert labels.holders.shape == (n_tokens, len(document.things))
        assert labels.places.shape == (n_tokens, len(document.people))
        assert all(0 <= i < n_tokens for i in document.answers)
        assert (labels.refers_to < np.arange(n_tokens)).all()


FROZEN = (2, "3ffc7b69b362e31a", "b4975f4ff037b86c")
