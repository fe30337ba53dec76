"""The order in which the nodes of a graph can be worked off.

Raises:  ConfigError for a graph with a cycle, which has no such order.
Source:  Tarjan 1976, Edge-disjoint spanning trees and depth-first search, doi:10.1007/BF00268499, for the depth-first form.
Differs: it keeps its own stack, so that a graph may be deeper than Python's recursion allows.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from arena_lib.errors import ConfigError

Node = TypeVar("Node")


def topological_sort(node: Node, get_children: Callable[[Node], Sequence[Node]]) -> list[Node]:
    """`node` and all that can be reached from it by `get_children`, each once and after all of its children.

    So `node` itself comes last, and a node without children can come at any place before its parents. Two nodes are the
    same only if they are one object (`is`): `==` may mean something else to them. A set or a dictionary tells them apart as
    `is` does. `get_children(node)` gives a list, which stays as it is.

    A graph in which a node can be reached from itself has no such order: raise an exception. (The library raises
    ConfigError, a ValueError.) That one node can be reached in two ways is no cycle.

    >>> children = {"loss": ["sum", "w"], "sum": ["w"], "w": []}
    >>> topological_sort("loss", children.get)
    ['w', 'sum', 'loss']
    >>> topological_sort("sum", children.get)
    ['w', 'sum']
    """
    order: list[Node] = []
    done: set[int] = set()
    met = {id(node)}
    stack = [(node, iter(get_children(node)))]
    while stack:
        current, children = stack[-1]
        child = next((child for child in children if id(child) not in done), None)
        if child is None:
            stack.pop()
            done.add(id(current))
            order.append(current)
        elif id(child) in met:
            raise ConfigError(
                f"a graph must have no cycle to be sorted: got one through {child!r}. Remove one of its edges."
            )
        else:
            met.add(id(child))
            stack.append((child, iter(get_children(child))))
    return order
