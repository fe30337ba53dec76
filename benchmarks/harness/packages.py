"""Which peers are installed, and which should be.

An environment's constraints file pins every version that belongs into it. A peer whose
requirement one of the pins meets should be there; so `transformer-lens<4` is expected in the
environment `peers` and its absence from `main` is no fault.

Raises:  ConfigError where an environment's constraints file is missing.
"""

import contextlib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from arena_lib.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONSTRAINTS = {"main": "constraints.txt", "peers": "constraints-peers.txt"}
"""By environment: the file of its pins, in the checkout."""


def why_missing(requirement: str) -> str | None:
    """Why a distribution isn't here in a version that fits; None if it is."""
    parsed = Requirement(requirement)
    try:
        version = metadata.version(parsed.name)
    except metadata.PackageNotFoundError:
        return f"needs {requirement}, which is not installed"
    if not parsed.specifier.contains(version, prereleases=True):
        return f"needs {requirement}: {version} is installed"
    return None


def read_pins(environment: str, root: Path = ROOT) -> dict[str, str]:
    """By distribution: the version that the environment pins."""
    path = root / CONSTRAINTS[environment]
    if not path.is_file():
        raise ConfigError(f"the environment {environment!r} must list its versions: {path} is not there. Write it.")
    lines = (line.split("#")[0].split(";")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name.strip()): version.strip() for name, version in pins}


def should_be_here(requirement: str | None, pins: Mapping[str, str]) -> bool:
    """Whether the pins meet the requirement; a baseline of our own requires nothing and is always here."""
    if requirement is None:
        return True
    parsed = Requirement(requirement)
    pinned = pins.get(canonicalize_name(parsed.name))
    return pinned is not None and parsed.specifier.contains(pinned, prereleases=True)


def name_version(requirement: str) -> str:
    """The distribution and its installed version, as `transformers 5.23.0`."""
    name = Requirement(requirement).name
    return f"{name} {metadata.version(name)}"


def find_versions(requirements: Iterable[str]) -> dict[str, str]:
    """By distribution: the installed version of each that is here."""
    versions = {}
    for name in sorted({Requirement(requirement).name for requirement in requirements}):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
