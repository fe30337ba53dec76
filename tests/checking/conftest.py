"""A toy exercise, loaded from a file of its own so that no learner's function shares its module."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    path = Path(__file__).with_name("toy_exercises.py")
    spec = importlib.util.spec_from_file_location("toy_exercises", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_exercises"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def as_an_author() -> Iterator[None]:
    """Without the checks of types that our own test run makes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
