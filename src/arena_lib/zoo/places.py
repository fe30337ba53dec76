"""Where the models and data sets of the zoo are, and whether the files there are what their cards say.

A bundled model is in the package, what was fetched or trained is in `zoo/` of the user's cache folder (the environment
variable ARENA_CACHE names another folder), one of the Hugging Face hub in the cache of its client. A name of the hub has a
slash, `EleutherAI/pythia-70m`, or is one of the old short ones, `gpt2`.

Raises:  UnknownNameError for other names; HashError for other bytes than the card's; ZooError for a folder that is
         not whole; FetchError for what is not there.
Differs: only safetensors are read from the hub, so models that are there as pickles alone are refused.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from arena_lib.core.files import user_cache_folder
from arena_lib.errors import FetchError, HashError, UnknownNameError, ZooError
from arena_lib.wording import counted
from arena_lib.zoo.cards import BUNDLED, LANGUAGE_MODELS, TRAINED, Card, info, names

MANIFEST = "arena_manifest.json"
CONVERSION = 1  # raised when the conversion changes, so that older folders are made again
WEIGHTS = Path(__file__).parent / "weights"
SHORT_HUB_NAMES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
HUB_FILES = ("*config.json", "model*.safetensors*", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json")


def cache_folder() -> Path:
    """Where fetched models and data sets, and what was trained on this machine, are kept."""
    return user_cache_folder() / "zoo"


def fetched_folder(name: str) -> Path:
    """The folder of what was fetched or trained under this name, whether it is there or not."""
    return cache_folder() / name


def is_available(name: str) -> bool:
    """Say whether the model or data set of this card is on this machine, whole."""
    card = info(name)
    return (WEIGHTS / name / card.weight_file).exists() if card.source == BUNDLED else is_whole(card)


def path(name: str) -> Path:
    """The model's folder in Hugging Face format, the policy's, the autoencoder's, or that of CSV files; hashes checked."""
    if name not in names() and Path(name).is_dir():
        raise ZooError(
            f"what is loaded from the zoo must be a name of it or of the hub: got {name!r}, which is a folder. "
            f"Use arena_lib.transformer.load_pretrained({name!r})."
        )
    if is_hub_name(name):
        return _download_from_hub(name)
    card = _find_card(name)
    if card.source != BUNDLED:
        verify_fetched(card)
        return fetched_folder(name)
    advice = "Reinstall arena-lib (in a checkout: git checkout src/arena_lib/zoo/weights)."
    verify_file(WEIGHTS / name / card.weight_file, card.sha256, advice)
    return WEIGHTS / name


def is_hub_name(name: str) -> bool:
    """Say whether a name without a card can be one of the hub's."""
    return name not in names() and ("/" in name or name in SHORT_HUB_NAMES)


def is_whole(card: Card) -> bool:
    """Say whether the folder holds the files that its manifest lists, unchanged."""
    try:
        verify_fetched(card)
    except ZooError:
        return False
    return True


def verify_fetched(card: Card) -> None:
    """Check a fetched or trained folder against its manifest and its card."""
    folder = fetched_folder(card.name)
    verb = "train" if card.source == TRAINED else "fetch"
    again = f"Run: arena zoo {verb} {card.name}"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, origin = dict(manifest["files"]), (manifest["sha256"], manifest["conversion"])
    except FileNotFoundError:
        raise FetchError(
            f"{card.name} must be {verb}ed before it is loaded: {folder} does not have it. {again}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ZooError(f"{folder / MANIFEST} must be readable: {error!r}. {again}") from error
    if origin != (card.sha256, CONVERSION):
        raise FetchError(f"{card.name} must come from the file that its card names: {folder} is older. {again}")
    for file, sha256 in files.items():
        verify_file(folder / file, sha256, again)


def verify_file(file: Path, sha256: str, advice: str) -> None:
    """Raise unless the file's bytes are the expected ones; unchanged files are read once per process."""
    try:
        status = file.stat()
    except FileNotFoundError:
        raise ZooError(f"{file.name} must be in {file.parent}: it isn't. {advice}") from None
    digest = _compute_sha256(file, status.st_size, status.st_mtime_ns)
    if digest != sha256:
        raise HashError(
            f"{file} must have the sha256 {sha256}: got {digest} ({counted(status.st_size, 'byte')}). "
            f"It is damaged or was changed. {advice}"
        )


@lru_cache(maxsize=256)
def _compute_sha256(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find_card(name: str) -> Card:
    if name not in names():
        raise UnknownNameError("model", name, [*names(), *SHORT_HUB_NAMES])
    return info(name)


def _download_from_hub(name: str) -> Path:
    """The hub's files of a model: from its own cache, or the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except (OSError, HFValidationError) as error:
        models = ", ".join(card for card in names() if info(card).form in LANGUAGE_MODELS)
        lines = str(error).strip().splitlines() or ["no reason given"]
        cause = f"{type(error).__name__}: {lines[0][:200].rstrip('.')}"
        raise FetchError(
            f"{name} must be on the Hugging Face hub and within reach: got {cause}. "
            f"Check the name and the network; without a network there are {models}."
        ) from error
    if not list(folder.glob("model*.safetensors")):
        raise ZooError(
            f"{name} must have its weights as safetensors: it has none, and nothing is unpickled here. Pick another."
        )
    return folder
