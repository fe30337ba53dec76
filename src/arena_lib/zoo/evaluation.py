"""What a bundled model can do, measured on generated documents: the figures of the cards.

Shapes:  logits_of maps tokens "batch seq" to logits "batch seq d_vocab"
Source:  own derivation; the induction measure is the loss on the second copy of random
         tokens after Olsson et al. 2022, arXiv:2209.11895.
Differs: an answer counts when its token is the likeliest of the whole vocabulary.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.storyworld import RULES, Chooser, Document, tell_holders, tell_indirect_object, tell_rule, tell_story
from arena_lib.storyworld.report import compute_ngram_loss
from arena_lib.storyworld.tokenizer import encode_words, list_vocabulary_words, vocabulary

LogitsOf = Callable[[Tensor], Tensor]
SEED = 20_000
"""Documents of an evaluation come from this seed, which no training row has."""
BATCH = 64


def compute_answer_hits(logits_of: LogitsOf, documents: list[Document]) -> list[list[bool]]:
    """For each document, whether each of its answers is the likeliest token where it stands."""
    hits: list[list[bool]] = []
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        tokens = pad_documents(batch)
        with torch.no_grad():
            guesses = logits_of(tokens).argmax(dim=-1)
        # Word i stands at position i + 1, after the end-of-text token, and is predicted at position i.
        hits += [[bool(guesses[row, i] == tokens[row, i + 1]) for i in doc.answers] for row, doc in enumerate(batch)]
    return hits


def pad_documents(documents: list[Document]) -> Int[Tensor, "batch seq"]:
    """Each document after an end-of-text token, filled up on the right with the same."""
    rows = [[0, *encode_words(document.words)] for document in documents]
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def compute_accuracy(logits_of: LogitsOf, documents: list[Document]) -> float:
    """Share of documents whose last answer is right."""
    return float(np.mean([hits[-1] for hits in compute_answer_hits(logits_of, documents)]))


def evaluate_indirect_object(logits_of: LogitsOf, n_documents: int = 512) -> dict[str, float]:
    """Accuracy on seen and held-out names and frames; pairs, triples and distractors in their training shares."""
    figures = {}
    for label, names, frames in (
        ("seen", "train", "train"),
        ("held_out_names", "test", "train"),
        ("held_out_templates", "train", "test"),
        ("held_out_both", "test", "test"),
    ):
        choose = Chooser(SEED, "indirect_object", label)
        documents = [tell_indirect_object(choose, names, frames_of=frames, n_transfers=1) for _ in range(n_documents)]
        figures[f"indirect_object_{label}"] = compute_accuracy(logits_of, documents)
    return figures


def evaluate_holders(logits_of: LogitsOf, n_documents: int = 512) -> dict[str, float]:
    """Accuracy on who holds what, by the number of things; names and frames of the training split."""
    figures = {}
    for n_things in (2, 3):
        choose = Chooser(SEED, "holders", n_things)
        documents = [tell_holders(choose, n_things=n_things) for _ in range(n_documents)]
        figures[f"holders_{n_things}_things"] = compute_accuracy(logits_of, documents)
    return figures


def evaluate_rules(logits_of: LogitsOf, n_lists: int = 150) -> dict[str, float]:
    """Accuracy with zero and five shots over lists of six pairs, each rule equally often."""
    figures = {}
    for kind, rules in RULES.items():
        choose = Chooser(SEED, "rules", kind)
        documents = [tell_rule(choose, kind, rule=rule, n_pairs=6) for rule in rules for _ in range(n_lists)]
        hits = np.array(compute_answer_hits(logits_of, documents))
        figures[f"{kind}_zero_shot"], figures[f"{kind}_five_shot"] = float(hits[:, 0].mean()), float(hits[:, 5].mean())
        for i, rule in enumerate(rules):
            figures[f"{kind}_five_shot_{rule}"] = float(hits[i * n_lists : (i + 1) * n_lists, 5].mean())
    return figures


def evaluate_induction(
    logits_of: LogitsOf, n_strings: int = 128, lengths: tuple[int, ...] = (20, 50)
) -> dict[str, float]:
    """Loss in nats per token on the first and the second copy of random words."""
    figures = {}
    for length in lengths:
        tokens = make_repeated_tokens(n_strings, length)
        losses = compute_losses(logits_of, tokens)
        figures[f"first_copy_loss_{length}"] = float(losses[:, :length].mean())
        # The second copy's first word cannot be foretold.
        figures[f"second_copy_loss_{length}"] = float(losses[:, length + 1 :].mean())
    return figures


def make_repeated_tokens(n_strings: int, length: int) -> Int[Tensor, "n_strings seq"]:
    """End of text, then a string of random words twice."""
    choose = Chooser(SEED, "induction", length)
    table = vocabulary()
    ids = [table[word] for word in list_vocabulary_words()]
    strings = [[choose.pick(ids) for _ in range(length)] for _ in range(n_strings)]
    return torch.tensor([[0, *string, *string] for string in strings])


def compute_losses(logits_of: LogitsOf, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq-1"]:
    """Loss in nats of each token but the first."""
    parts = []
    for part in tokens.split(BATCH):
        with torch.no_grad():
            logits = logits_of(part)[:, :-1].float()
        parts.append(
            F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none").reshape(len(part), -1)
        )
    return torch.cat(parts)


def evaluate_stories(logits_of: LogitsOf, n_stories: int = 400) -> dict[str, float]:
    """Loss in nats per token on unseen stories: those of the training split, and those with held-out names and frames."""
    figures = {}
    for label, split in (("story_loss", "train"), ("story_loss_held_out", "test")):
        choose = Chooser(SEED, "stories", split)
        documents = [tell_story(choose, split) for _ in range(n_stories)]
        tokens = pad_documents(documents)
        losses = compute_losses(logits_of, tokens)
        lengths = torch.tensor([len(document.words) for document in documents])
        inside = torch.arange(losses.shape[1])[None, :] < lengths[:, None]
        figures[label] = float(losses[inside].mean())
    return figures


@cache
def compute_trigram_loss() -> float:
    """Loss in nats per token that a trigram model of 20,000 stories reaches on unseen ones: what to compare with."""
    return compute_ngram_loss(3)


def evaluate(name: str) -> dict[str, float]:
    """Every figure of a bundled model's card, from the weights that ship."""
    from arena_lib.zoo.loading import load

    return evaluate_all(load(name))


def evaluate_all(logits_of: LogitsOf) -> dict[str, float]:
    """Every figure of a card."""
    return {
        **evaluate_stories(logits_of),
        "story_trigram_loss": compute_trigram_loss(),
        **evaluate_indirect_object(logits_of),
        **evaluate_induction(logits_of),
        **evaluate_holders(logits_of),
        **evaluate_rules(logits_of),
    }
