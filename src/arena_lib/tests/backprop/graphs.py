"""Judge of the topological sort: on chains, trees, graphs whose branches meet again, and cycles."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of, stops_with
from arena_lib.checking.evidence.expectations import RAISED
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import sorting
from arena_lib.tests.backprop import wrong_sorts

__test__ = False

CYCLE = "cycle"
LATE, TWICE, MISSING = "before one of its children", "more than once", "missing"


class Node:
    """A node with a name, which says nothing about which node it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: list[Node] = []

    def __repr__(self) -> str:
        return self.name


class LikeTensor(Node):
    """A node that compares entry by entry, as tensors do, so that `==` can't tell nodes apart."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])


class AllEqual(Node):
    """A node that says it equals every other node."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return True


def graph_cases(generator: torch.Generator) -> list[Case]:
    """The first node of each graph is where the sort begins; an arrow goes from a node to its children."""

    def case(label: str, kind: type[Node] = Node, **children: str) -> Case:
        arrows = ", ".join(f"{name} -> {' '.join(to)}" for name, to in children.items() if to) or "a node alone"
        return Case(label=label, given={"children": children, "kind": kind}, call=f"{next(iter(children))} ({arrows})")

    return [
        case("linked list", a="b", b="c", c="d", d=""),
        case("linked list of one node", a=""),
        case("branching", a="bc", b="de", c="f", d="", e="", f=""),
        case("branching, one branch much longer", a="bc", b="", c="d", d="e", e="f", f=""),
        case("rejoining", a="bc", b="d", c="d", d=""),
        case("rejoining after a short way and a long one", a="be", b="c", c="d", d="e", e=""),
        case("rejoining after a long way and a short one", a="eb", b="c", c="d", d="e", e="f", f=""),
        case("rejoining twice", a="bc", b="de", c="ed", d="f", e="f", f=""),
        case("rejoining: a child that is named twice", a="bb", b="c", c=""),
        case("rejoining: a grandchild is a child, too", a="bcd", b="c", c="d", d=""),
        case("nodes that can't be compared by ==", kind=LikeTensor, a="bc", b="cd", c="d", d=""),
        case("nodes that all say they are equal", kind=AllEqual, a="bc", b="cd", c="d", d=""),
        case("nodes with one name", a="bc", b="c", c=""),
        case("cyclic: a ring", a="b", b="c", c="a"),
        case("cyclic: a node that is its own child", a="b", b="b"),
        case("cyclic, far from the start", a="bc", b="", c="d", d="ef", e="", f="c"),
        case("cyclic, beside a branch that ends", a="bc", b="d", c="d", d="eb", e=""),
    ]


def sorted_nodes(sort: Callable[..., Any], case: Case) -> Observations:
    """Which nodes come, and what is wrong with their order; whether a cycle was noticed."""
    letters = case.given["children"]
    nodes = {letter: case.given["kind"]("x" if case.label == "nodes with one name" else letter) for letter in letters}
    for letter, to in letters.items():
        nodes[letter].children = [nodes[child] for child in to]
    letter_of = {id(node): letter for letter, node in nodes.items()}
    seen: Observations = {}
    try:
        order = sort(next(iter(nodes.values())), lambda node: node.children)
    except NotImplementedError:
        raise
    except Exception as error:
        if not case.label.startswith("cyclic"):
            raise
        return {CYCLE: "an exception" if not isinstance(error, RecursionError) else "endless recursion"}
    if case.label.startswith("cyclic"):
        return {CYCLE: "no exception"}
    seen["type"] = type(order).__name__
    if not isinstance(order, list | tuple):
        return seen
    places = [letter_of.get(id(node), "something else") for node in order]
    seen["last"] = places[-1] if places else "nothing"
    seen[MISSING] = sorted(set(letters) - set(places))
    seen["not in the graph"] = sorted({place for place in places if place not in letters})
    seen[TWICE] = sorted({place for place in places if places.count(place) > 1})
    seen[LATE] = sorted(
        letter
        for letter, to in letters.items()
        if any(child in places and letter in places and places.index(child) > places.index(letter) for child in to)
    )
    kept = {letter: "".join(letter_of[id(child)] for child in node.children) for letter, node in nodes.items()}
    return seen | {"children afterwards": kept}


def every_node_once(seen: Observations, case: Case) -> str | None:
    """Every node that can be reached comes once."""
    problems = [f"{what}: {', '.join(seen[what])}" for what in (MISSING, TWICE) if seen.get(what)]
    return f"In the order that you return, {'; '.join(problems)}." if problems else None


def children_first(seen: Observations, case: Case) -> str | None:
    """Every node comes after all of its children."""
    if not seen.get(LATE):
        return None
    return f"A node must come after all of its children: {', '.join(seen[LATE])} comes before one of them."


def sort_by_recursion(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """A function that calls itself."""
    order: list[Any] = []
    states: dict[int, str] = {}

    def visit(current: Any) -> None:
        if states.get(id(current)) == "done":
            return
        if states.get(id(current)) == "on the way":
            raise ValueError("not a DAG")
        states[id(current)] = "on the way"
        for child in get_children(current):
            visit(child)
        states[id(current)] = "done"
        order.append(current)

    visit(node)
    return order


def sort_by_counting(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Kahn's algorithm: takes away, again and again, a node that nothing is left above."""
    reached, waiting = {id(node): node}, [node]
    while waiting:
        for child in get_children(waiting.pop()):
            if id(child) not in reached:
                reached[id(child)] = child
                waiting.append(child)
    n_above = dict.fromkeys(reached, 0)
    for current in reached.values():
        for child in get_children(current):
            n_above[id(child)] += 1
    free = [reached[key] for key, n in n_above.items() if n == 0]
    order: list[Any] = []
    while free:
        order.append(free.pop())
        for child in get_children(order[-1]):
            n_above[id(child)] -= 1
            if n_above[id(child)] == 0:
                free.append(child)
    if len(order) < len(reached):
        raise RuntimeError("there is a cycle")
    return order[::-1]


def sort_with_sets(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Keeps the nodes themselves in sets."""
    order: list[Any] = []
    permanent: set[Any] = set()
    temporary: set[Any] = set()

    def visit(current: Any) -> None:
        if current in permanent:
            return
        if current in temporary:
            raise Exception("cycle")
        temporary.add(current)
        for child in get_children(current):
            visit(child)
        temporary.discard(current)
        permanent.add(current)
        order.append(current)

    visit(node)
    return order


def refuses_meetings(seen: Sequence[Observations]) -> bool:
    """Whether every graph in which two ways meet raised an exception, and no chain or tree did."""
    n_trees = 4
    meetings = [RAISED in shown for shown in seen[n_trees:13]]
    return all(meetings) and not any(RAISED in shown for shown in seen[:n_trees])


MET_AGAIN = "that one node can be reached in two ways is no cycle: a cycle leads back to a node on the path to it"

test_topological_sort = exercise(
    reference=sorting.topological_sort,
    cases=graph_cases,
    observe=sorted_nodes,
    properties=[every_node_once, children_first],
    accepts=[sort_by_recursion, sort_by_counting, sort_with_sets],
    mistakes=[
        Mistake(
            "puts parents before their children",
            function=wrong_sorts.parents_first,
            why="children come first, and the node where it began comes last",
        ),
        *(
            Mistake(
                "notes a node when it is met, not when its children are done",
                function=wrong,
                why="a node is added to the order after all of its children",
            )
            for wrong in (wrong_sorts.in_the_order_of_meeting, wrong_sorts.in_the_order_of_a_stack)
        ),
        *(
            Mistake(
                "goes level by level",
                function=wrong,
                why="where a short way and a long one meet, the level of the short one is too early",
            )
            for wrong in (wrong_sorts.by_breadth, wrong_sorts.by_breadth_without_cycles)
        ),
        Mistake(
            "notes nodes more than once",
            function=wrong_sorts.without_memory,
            why="a node that was noted is not noted again",
        ),
        Mistake(
            "leaves out the node itself",
            function=wrong_sorts.without_the_start,
            why="the node where it began comes last",
        ),
        Mistake("follows one child alone", function=wrong_sorts.first_child_alone, why="all children are followed"),
        Mistake(
            "keeps leaves and the start alone",
            function=wrong_sorts.leaves_alone,
            why="the nodes in between belong to the order too",
        ),
        Mistake(
            "does not notice cycles",
            function=wrong_sorts.blind_to_cycles,
            why="a node that is met again while its own children are being worked off closes a cycle: raise an exception",
        ),
        Mistake(
            "takes a second way to a node for a cycle",
            function=wrong_sorts.afraid_of_meetings,
            shows=refuses_meetings,
            why=MET_AGAIN,
        ),
        Mistake(
            "does not notice a node that is its own child",
            function=wrong_sorts.blind_to_small_cycles,
            why="a node that can be reached from itself closes a cycle, also where it takes one step: raise an exception",
        ),
        Mistake(
            "notices cycles through the first node alone",
            function=wrong_sorts.cycles_through_the_start,
            why="a cycle may lie anywhere below the first node",
        ),
        *(
            Mistake(
                "compares nodes with ==",
                function=wrong,
                shows=stops_with("truth value of an array"),
                why="== may mean something else to nodes, as it does to tensors: use `is`, id() or a set",
            )
            for wrong in (wrong_sorts.by_equality, wrong_sorts.by_equality_everywhere)
        ),
        Mistake(
            "tells nodes apart by their names",
            function=wrong_sorts.by_name,
            why="two nodes may look alike: they are the same only if they are one object",
        ),
        Mistake("empties the lists of children", function=wrong_sorts.uses_up_children, why="the graph stays as it is"),
        *instead_of(
            "return order",
            {
                "return set(order)": ("returns a set", "the order matters: return a list"),
                "return iter(order)": ("returns an iterator", "return a list"),
            },
        ),
    ],
)

test_topological_sort_linked_list = test_topological_sort.part("linked list")
test_topological_sort_branching = test_topological_sort.part("branching")
test_topological_sort_rejoining = test_topological_sort.part("rejoining")
test_topological_sort_cyclic = test_topological_sort.part("cyclic")
