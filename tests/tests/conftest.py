"""The judges of the course, run as they run for a learner: without type checks in every call of a model."""

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def unchecked_types() -> Iterator[None]:
    """Judges call small models thousands of times, and what they call is checked by its own tests."""
    was_disabled = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", was_disabled)
