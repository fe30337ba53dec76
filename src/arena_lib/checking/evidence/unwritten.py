"""What a learner hasn't written yet: a `return`, or another function that this one needs."""

import inspect
import traceback
from typing import Any

from arena_lib.checking.comparison.texts import RETURN_MISSING
from arena_lib.checking.exercises import Exercise


def with_question(message: str) -> str:
    """What an observer says of None, with the question that helps most."""
    return f"{message} Is {RETURN_MISSING[3:]}" if "got NoneType" in message else message


def nothing_returned(test: Exercise, error: Exception) -> list[str]:
    """Asks for a `return` where the observer, not the learner's code, stopped at None."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    is_observers = frame.filename == inspect.getsourcefile(inspect.unwrap(test.observe))
    return [f"The call returned None: {RETURN_MISSING}"] if "NoneType" in str(error) and is_observers else []


def unwritten_function(candidate: Any, error: BaseException) -> list[str]:
    """Says which other function or method isn't written yet, where it isn't this one."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    own = {getattr(candidate, "__name__", frame.name), *(vars(candidate) if isinstance(candidate, type) else ())}
    return [] if frame.name in own else [f"It needs {frame.name}, which is not written yet: write that first."]
