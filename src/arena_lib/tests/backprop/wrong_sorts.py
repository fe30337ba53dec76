"""Wrong forms of the topological sort."""

from collections.abc import Callable, Sequence
from typing import Any

from arena_lib.fundamentals.backprop import sorting

__test__ = False


def parents_first(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """The right order, the other way round."""
    return sorting.topological_sort(node, get_children)[::-1]


def in_the_order_of_meeting(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Depth first, where a node is noted when it is met; then reversed."""
    order = [node]
    sorting.topological_sort(node, get_children)

    def visit(current: Any) -> None:
        for child in get_children(current):
            if not any(child is other for other in order):
                order.append(child)
                visit(child)

    visit(node)
    return order[::-1]


def by_breadth(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Level by level, reversed."""
    sorting.topological_sort(node, get_children)
    order, waiting = [node], [node]
    while waiting:
        for child in get_children(waiting.pop(0)):
            if not any(child is other for other in order):
                order.append(child)
                waiting.append(child)
    return order[::-1]


def without_memory(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Visits a node as often as it is met."""
    sorting.topological_sort(node, get_children)
    return [
        *(found for child in get_children(node) for found in without_memory(child, get_children)),
        node,
    ]


def without_the_start(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Leaves out the node itself."""
    return sorting.topological_sort(node, get_children)[:-1]


def first_child_alone(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Follows one child of each node."""
    sorting.topological_sort(node, get_children)
    return sorting.topological_sort(node, lambda current: get_children(current)[:1])


def leaves_alone(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Leaves, and the node."""
    return [found for found in sorting.topological_sort(node, get_children) if found is node or not get_children(found)]


def blind_to_cycles(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Marks a node as done when it is met, so that a cycle looks like a branch."""
    order: list[Any] = []
    met: set[int] = set()

    def visit(current: Any) -> None:
        if id(current) in met:
            return
        met.add(id(current))
        for child in get_children(current):
            visit(child)
        order.append(current)

    visit(node)
    return order


def afraid_of_meetings(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Takes a node that is met twice for a cycle."""
    order: list[Any] = []
    met: set[int] = set()

    def visit(current: Any) -> None:
        if id(current) in met:
            raise ValueError("not a DAG")
        met.add(id(current))
        for child in get_children(current):
            visit(child)
        order.append(current)

    visit(node)
    return order


def cycles_through_the_start(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Notices a cycle only if it comes back to the first node."""
    order = blind_to_cycles(node, get_children)
    if any(child is node for current in order for child in get_children(current)):
        raise ValueError("not a DAG")
    return order


def by_equality(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Looks in a list, by ==."""
    order: list[Any] = []
    path: list[Any] = []

    def visit(current: Any) -> None:
        if any(current is other for other in path):
            raise ValueError("not a DAG")
        if current in order:
            return
        path.append(current)
        for child in get_children(current):
            visit(child)
        path.pop()
        order.append(current)

    visit(node)
    return order


def uses_up_children(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Takes children out of the lists."""
    order = sorting.topological_sort(node, get_children)
    for current in order:
        get_children(current).clear()  # type: ignore[attr-defined]
    return order


def by_name(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Tells nodes apart by how they are written."""
    order = sorting.topological_sort(node, get_children)
    return list({repr(current): current for current in order}.values())


def by_breadth_without_cycles(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Level by level, each node once, reversed; a cycle is not noticed."""
    order, waiting = [node], [node]
    while waiting:
        for child in get_children(waiting.pop(0)):
            if not any(child is other for other in order):
                order.append(child)
                waiting.append(child)
    return order[::-1]


def in_the_order_of_a_stack(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Notes a node when it is taken from a stack, reversed; a cycle is not noticed."""
    order: list[Any] = []
    met: set[int] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if id(current) not in met:
            met.add(id(current))
            order.append(current)
            stack.extend(get_children(current))
    return order[::-1]


def blind_to_small_cycles(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Skips a node among its own children."""
    return sorting.topological_sort(
        node, lambda current: [child for child in get_children(current) if child is not current]
    )


def by_equality_everywhere(node: Any, get_children: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Looks in two lists, by ==."""
    order: list[Any] = []
    path: list[Any] = []

    def visit(current: Any) -> None:
        if current in path:
            raise ValueError("not a DAG")
        if current in order:
            return
        path.append(current)
        for child in get_children(current):
            visit(child)
        path.pop()
        order.append(current)

    visit(node)
    return order
