"""Judge of the table of backward functions."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import elementwise_back, lookup
from arena_lib.fundamentals.backprop.arrays import sum_array
from arena_lib.tests.backprop.watching import require_class

__test__ = False

Added = tuple[Callable[..., Any], int, Callable[..., Any]]


def log(x: Any) -> Any:
    """Another function of the name `log`."""
    return np.log2(x)


LOG: Added = (np.log, 0, elementwise_back.log_back)
TIMES0: Added = (np.multiply, 0, elementwise_back.multiply_back0)
TIMES1: Added = (np.multiply, 1, elementwise_back.multiply_back1)
SUM: Added = (sum_array, 0, elementwise_back.negative_back)
OTHER_LOG: Added = (np.log, 0, elementwise_back.exp_back)
TWIN: Added = (log, 0, elementwise_back.true_divide_back0)


def table_cases(generator: torch.Generator) -> list[Case]:
    """Two arguments of one function, several functions, one that is replaced, and what was never added."""

    def case(label: str, *added: Added) -> Case:
        call = "; ".join(f"add_back_func({_name(fn)}, {i}, {_name(back)})" for fn, i, back in added)
        return Case(label=label, given={"added": added}, call=call)

    return [
        case("one function", LOG),
        case("two arguments of one function", TIMES0, TIMES1),
        case("the second argument first", TIMES1, TIMES0),
        case("several functions", SUM, TIMES1, LOG),
        case("the same place twice: the last one counts", LOG, TIMES0, OTHER_LOG),
        case("two functions of one name", LOG, TWIN),
        case("nothing was added"),
    ]


def what_is_found(cls: Any, case: Case) -> Observations:
    """What two tables, of which the second has other functions, give for every place."""
    require_class(cls, "BackwardFuncLookup")
    table, other = cls(), cls()
    returned = [table.add_back_func(*added) for added in case.given["added"]]
    other.add_back_func(np.exp, 0, elementwise_back.exp_back)
    places: list[tuple[Callable[..., Any], int]] = [
        (np.log, 0),
        (np.multiply, 0),
        (np.multiply, 1),
        (sum_array, 0),
        (np.exp, 0),
        (np.log, 1),
        (log, 0),
    ]
    seen: Observations = {"add_back_func returns": returned}
    for name, asked in (("", table), (" of another table", other)):
        for forward_fn, position in places:
            of = "another log" if forward_fn is log else _name(forward_fn)
            place = f"argument {position} of {of}{name}"
            seen[place] = _ask(asked, forward_fn, position)
    return seen


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _ask(table: Any, forward_fn: Callable[..., Any], position: int) -> str:
    try:
        back_fn = table.get_back_func(forward_fn, position)
    except NotImplementedError:
        raise
    except LookupError:
        return "a LookupError"
    except Exception as error:
        return f"a {type(error).__name__}"
    return _name(back_fn)


class LookupByFunction:
    """A dictionary of dictionaries."""

    def __init__(self) -> None:
        self.table: dict[Callable[..., Any], dict[int, Callable[..., Any]]] = {}

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        self.table.setdefault(forward_fn, {})[arg_position] = back_fn

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return self.table[forward_fn][arg_position]


class LookupByList:
    """A list that is gone through from its end."""

    def __init__(self) -> None:
        self.rows: list[Added] = []

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        self.rows.append((forward_fn, arg_position, back_fn))

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        for known, position, back_fn in reversed(self.rows):
            if known is forward_fn and position == arg_position:
                return back_fn
        raise KeyError(forward_fn)


class LookupOfFirsts(lookup.BackwardFuncLookup):
    """Never replaces a function."""

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        self.back_funcs.setdefault((forward_fn, arg_position), back_fn)


class QuietLookup(lookup.BackwardFuncLookup):
    """Gives None for what it doesn't know."""

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return self.back_funcs.get((forward_fn, arg_position))  # type: ignore[return-value]


class LookupWithoutPositions(lookup.BackwardFuncLookup):
    """Knows one function for all arguments."""

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        super().add_back_func(forward_fn, 0, back_fn)

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return super().get_back_func(forward_fn, 0)


class LookupOfPositions(lookup.BackwardFuncLookup):
    """Knows one function for each position."""

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        super().add_back_func(len, arg_position, back_fn)

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return super().get_back_func(len, arg_position)


class LookupByName(lookup.BackwardFuncLookup):
    """Tells functions apart by their names."""

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        self.named: dict[tuple[str, int], Callable[..., Any]] = getattr(self, "named", {})
        self.named[_name(forward_fn), arg_position] = back_fn

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return getattr(self, "named", {})[_name(forward_fn), arg_position]


class LookupByTurns:
    """A list for each function, in the order in which its backward functions were added."""

    def __init__(self) -> None:
        self.lists: dict[Callable[..., Any], list[Callable[..., Any]]] = {}

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        self.lists.setdefault(forward_fn, []).append(back_fn)

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        return self.lists.get(forward_fn, [])[arg_position]


class SharedLookup(lookup.BackwardFuncLookup):
    """One table for all instances, as where it is written beside `__init__`."""

    shared: ClassVar[dict[Any, Any]] = {}

    def __init__(self) -> None:
        self.back_funcs = self.shared


def is_shared(seen: Sequence[Observations]) -> bool:
    """Whether a table knows what was added to another one."""
    return seen[0]["argument 0 of log of another table"] == "log_back"


class LookupWithValueError(lookup.BackwardFuncLookup):
    """Raises another exception."""

    def get_back_func(self, forward_fn: Callable[..., Any], arg_position: int) -> Callable[..., Any]:
        if (forward_fn, arg_position) not in self.back_funcs:
            raise ValueError("nothing was added")
        return super().get_back_func(forward_fn, arg_position)


class LookupOfOneFunction(lookup.BackwardFuncLookup):
    """Forgets a function's other arguments when one is added."""

    def add_back_func(self, forward_fn: Callable[..., Any], arg_position: int, back_fn: Callable[..., Any]) -> None:
        for known in [place for place in self.back_funcs if place[0] is forward_fn]:
            del self.back_funcs[known]
        super().add_back_func(forward_fn, arg_position, back_fn)


test_backward_func_lookup = exercise(
    reference=lookup.BackwardFuncLookup,
    cases=table_cases,
    observe=what_is_found,
    accepts=[LookupByFunction, LookupByList],
    mistakes=[
        Mistake(
            "keeps the first of two functions for one place",
            function=LookupOfFirsts,
            why="a function that is added for a place replaces the one that was there",
        ),
        Mistake(
            "gives None for what it does not know",
            function=QuietLookup,
            why="a place for which nothing was added is a LookupError or KeyError",
        ),
        Mistake(
            "does not tell a function's arguments apart",
            function=LookupWithoutPositions,
            why="each argument of a function has a backward function of its own",
        ),
        Mistake(
            "forgets a function's other arguments",
            function=LookupOfOneFunction,
            why="each argument of a function has a backward function of its own, and all are kept",
        ),
        Mistake(
            "does not tell functions apart",
            function=LookupOfPositions,
            why="each function has backward functions of its own",
        ),
        Mistake(
            "tells functions apart by their names",
            function=LookupByName,
            why="two functions may have one name, as every lambda has: the function itself is the key",
        ),
        Mistake(
            "takes the position for the turn in which functions were added",
            function=LookupByTurns,
            why="the second argument's backward function may be added first, or alone",
        ),
        Mistake(
            "keeps one table for all instances",
            function=SharedLookup,
            shows=is_shared,
            why="each instance begins with a table of its own, made in __init__",
        ),
        Mistake(
            "raises another exception",
            function=LookupWithValueError,
            why="a place for which nothing was added is a LookupError or KeyError",
        ),
        *instead_of(
            "return self.back_funcs[forward_fn, arg_position]",
            {
                "return self.back_funcs[forward_fn, arg_position].__name__": (
                    "returns the name",
                    "the function itself is returned, so that it can be called",
                ),
            },
        ),
    ],
)
