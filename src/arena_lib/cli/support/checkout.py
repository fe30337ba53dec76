"""Where the checkout is that a verb of authors works in."""

from __future__ import annotations

from pathlib import Path

from arena_lib.cli.support.output import UsageError


def find_checkout(verb: str, needed: str, what: str) -> Path:
    """The folder that this package's `src/` stands in, which must have the file `needed`; UsageError elsewhere."""
    import arena_lib

    package = Path(arena_lib.__file__).parent
    checkout = package.parent.parent
    if package.parent.name != "src" or not (checkout / needed).is_file():
        raise UsageError(
            f"arena {verb} must run from a checkout, which has {what}: got arena_lib in {package}. "
            f"Clone the repository, run there: pip install -e . and then: arena {verb}"
        )
    return checkout
