"""Subpackages and modules that load when they are first named, and that `dir` shows before."""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType


def load_on_demand(package: str) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__` (PEP 562): what is in its folder loads when it is named.

    `__getattr__, __dir__ = load_on_demand(__name__)` in `__init__.py` is all that a package needs.
    """

    def public_names() -> set[str]:
        modules = pkgutil.iter_modules(sys.modules[package].__path__)
        return {module.name for module in modules if not module.name.startswith("_")}

    def get_attribute(name: str) -> ModuleType:
        if name.startswith("_") or name not in public_names():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return importlib.import_module(f"{package}.{name}")

    def list_names() -> list[str]:
        return sorted(vars(sys.modules[package]).keys() | public_names())

    return get_attribute, list_names
