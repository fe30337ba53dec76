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


def unwritten_function(candidate: Any, error: BaseException) -> str:
    """The other function or method that isn't written yet, such as `MLP.forward`; nothing where it is this one."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    code = frame.f_code
    qualname = code.co_qualname.rpartition("<locals>.")[2]
    own = getattr(candidate, "__name__", code.co_name)
    if isinstance(candidate, type):
        is_own = qualname.partition(".")[0] == own or ("." not in qualname and qualname in vars(candidate))
    else:
        is_own = code.co_name == own
    return "" if is_own else qualname
