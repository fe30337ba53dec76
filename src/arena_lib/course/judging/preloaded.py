"""Imported by the fork server: loads torch, the engine and the modules that the environment names, once for all.

This module works at import, since that is all that a fork server can be asked for. What can't be loaded here
is left for the process that needs it, where it fails by name.
"""

import contextlib
import importlib
import os

MODULES_VARIABLE = "ARENA_PRELOAD"
"""The environment variable that names the modules, with spaces between them."""


def preload(modules: list[str]) -> None:
    """Loads the modules that can be loaded."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)


preload(os.environ.get(MODULES_VARIABLE, "").split())
