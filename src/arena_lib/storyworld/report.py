"""What there is to learn: entropy by position, and the loss of models that only count.

    python -m arena_lib.storyworld.report          stories, as Markdown

A transformer's loss means something beside these: a bigram model knows which word
follows which, a trigram model a word more, and none knows who holds the lamp.

Shapes:  documents as lists of words; losses in nats a token
Raises:  ConfigError for an order below one.
Source:  Ney, Essen and Kneser 1994, "On structuring probabilistic dependences in
         stochastic language modelling" (absolute discounting, interpolated).
Differs: one discount for all counts; lower orders count tokens, not kinds of context.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from arena_lib.errors import ConfigError
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.corpus import MIXTURE, VERSION, tell_many
from arena_lib.storyworld.tokenizer import END_OF_TEXT, vocabulary

DISCOUNT = 0.75
"""Taken off every count and given to the next lower order; the usual value."""
MAX_ORDER = 5
SHOWN_POSITIONS = (0, 1, 2, 4, 8, 16, 32, 64)


class NGram:
    """Interpolated n-gram model: max(count - discount, 0) / total + weight * (the model of one order less)."""

    def __init__(self, order: int, d_vocab: int | None = None) -> None:
        if order < 1:
            raise ConfigError(f"an n-gram's order must be at least 1: got {order}. Use 2 for bigrams.")
        self.order = order
        self.d_vocab = d_vocab or len(vocabulary())
        self._counts: list[defaultdict[tuple[str, ...], Counter[str]]] = [defaultdict(Counter) for _ in range(order)]
        self._totals: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order)]

    def count(self, words: Sequence[str]) -> None:
        """Learn one document."""
        padded = [END_OF_TEXT] * (self.order - 1) + list(words)
        for i in range(self.order - 1, len(padded)):
            for n in range(self.order):
                history = tuple(padded[i - n : i])
                self._counts[n][history][padded[i]] += 1
                self._totals[n][history] += 1

    def probability(self, word: str, history: tuple[str, ...]) -> float:
        """Of a word after (up to) the last `order - 1` words.

        >>> model = NGram(1, d_vocab=4)
        >>> model.count(["a", "a"])
        >>> model.probability("a", ())       # (2 - 0.75) / 2 + 0.75 * 1 / 2 / 4
        0.71875
        """
        probability = 1 / self.d_vocab
        for n in range(self.order):
            context = history[len(history) - n :]
            total = self._totals[n].get(context, 0)
            if total == 0:
                break
            counts = self._counts[n][context]
            probability = (max(counts.get(word, 0) - DISCOUNT, 0) + DISCOUNT * len(counts) * probability) / total
        return probability

    def losses(self, words: Sequence[str]) -> list[float]:
        """Loss in nats of each word of a document."""
        padded = [END_OF_TEXT] * (self.order - 1) + list(words)
        start = self.order - 1
        return [-math.log(self.probability(padded[i], tuple(padded[i - start : i]))) for i in range(start, len(padded))]


def make_texts(n_documents: int, kind: str, seed: int) -> list[list[str]]:
    """The words of documents of one kind, or of the whole mixture for `"mixture"`."""
    mixture = MIXTURE if kind == "mixture" else {kind: 1.0}
    documents = tell_many(Chooser("report", seed), "train", mixture)
    return [document.words for document in islice(documents, n_documents)]


def compute_ngram_losses(train: list[list[str]], test: list[list[str]], order: int) -> list[list[float]]:
    """Losses in nats on each word of the test documents."""
    model = NGram(order)
    for words in train:
        model.count(words)
    return [model.losses(words) for words in test]


def compute_ngram_loss(order: int, *, n_train: int = 20_000, n_test: int = 1_000, kind: str = "story") -> float:
    """Mean loss in nats a token of an n-gram model on unseen documents."""
    losses = compute_ngram_losses(make_texts(n_train, kind, 0), make_texts(n_test, kind, 1), order)
    return sum(map(sum, losses)) / sum(map(len, losses))


def compute_position_entropy(texts: list[list[str]], position: int) -> float:
    """Entropy in nats of the word at this position, over documents that reach it."""
    counts = Counter(words[position] for words in texts if len(words) > position)
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())


def write_report(*, n_train: int = 20_000, n_test: int = 1_000, kind: str = "story") -> str:
    """The report as Markdown: sizes, n-gram losses, and both by position."""
    train, test = make_texts(n_train, kind, 0), make_texts(n_test, kind, 1)
    n_tokens = sum(map(len, train))
    lines = [
        f"# Storyworld version {VERSION}: {kind}",
        "",
        f"{n_train} documents, {n_tokens} tokens, {len({word for words in train for word in words})} word types; "
        f"{len(vocabulary())} tokens in the vocabulary.",
        "",
        "| model | loss (nats a token) |",
        "|---|---|",
    ]
    losses = {order: compute_ngram_losses(train, test, order) for order in range(1, MAX_ORDER + 1)}
    for order, rows in losses.items():
        lines.append(f"| {order}-gram | {sum(map(sum, rows)) / sum(map(len, rows)):.3f} |")
    lines += ["", "| position | entropy of the word | bigram | trigram | 5-gram |", "|---|---|---|---|---|"]
    for position in SHOWN_POSITIONS:
        if not any(len(words) > position for words in test):
            break
        cells = [f"{compute_position_entropy(train, position):.2f}"]
        for order in (2, 3, MAX_ORDER):
            here = [row[position] for row in losses[order] if len(row) > position]
            cells.append(f"{sum(here) / len(here):.2f}")
        lines.append(f"| {position} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(write_report())
