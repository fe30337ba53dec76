import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.backprop import topological_sort


@settings(max_examples=60, deadline=None)
@given(
    edges=st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda edge: edge[0] != edge[1]), max_size=40
    ),
    seed=st.integers(0, 99),
)
def test_any_graph_without_a_cycle_is_sorted(edges, seed):
    names = [object() for _ in range(15)]
    random.Random(seed).shuffle(names)
    children = {name: [] for name in names}
    for a, b in edges:
        children[names[min(a, b)]].append(names[max(a, b)])
    order = topological_sort(names[0], children.__getitem__)
    places = {node: i for i, node in enumerate(order)}
    reached, waiting = {names[0]}, [names[0]]
    while waiting:
        new = [child for child in children[waiting.pop()] if child not in reached]
        reached |= set(new)
        waiting += new
    assert len(order) == len(places)
    assert set(places) == reached
    assert order[-1] is names[0]
    assert all(places[child] < places[node] for node in reached for child in children[node])


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 8), tail=st.integers(0, 4))
def test_every_cycle_is_refused(length, tail):
    n = tail + length
    children = {i: [i + 1] for i in range(n)} | {n - 1: [tail]}
    with pytest.raises(ConfigError, match="no cycle"):
        topological_sort(0, children.__getitem__)


def test_a_graph_may_be_deeper_than_recursion():
    order = topological_sort(0, lambda node: [node + 1] if node < 20_000 else [])
    assert order == list(range(20_000, -1, -1))
