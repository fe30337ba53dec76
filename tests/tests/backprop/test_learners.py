"""The names under which other notebooks call these tests, and what a learner reads of the mistakes that weak tests let through."""

import pytest

from arena_lib.checking import run
from arena_lib.errors import CheckFailed
from arena_lib.fundamentals.backprop import backward_pass, elementwise_back, recording, shape_back, sorting
from arena_lib.tests import backprop as tests


@pytest.mark.parametrize(
    ("name", "objects"),
    [
        ("test_multiply_back", (elementwise_back.multiply_back0, elementwise_back.multiply_back1)),
        ("test_multiply_back_float", (elementwise_back.multiply_back0, elementwise_back.multiply_back1)),
        ("test_maximum", (elementwise_back.maximum_back0, elementwise_back.maximum_back1)),
        ("test_maximum_broadcasted", (elementwise_back.maximum_back0, elementwise_back.maximum_back1)),
        ("test_add_broadcasted", (elementwise_back.add_back0, elementwise_back.add_back1)),
        ("test_subtract_broadcasted", (elementwise_back.subtract_back0, elementwise_back.subtract_back1)),
        ("test_truedivide_broadcasted", (elementwise_back.true_divide_back0, elementwise_back.true_divide_back1)),
        ("test_matmul2d", (shape_back.matmul2d_back0, shape_back.matmul2d_back1)),
        ("test_log", (recording.log_forward,)),
        ("test_multiply", (recording.multiply_forward,)),
        ("test_multiply_float", (recording.multiply_forward,)),
        ("test_sum", (recording.wrap_forward_fn,)),
        ("test_topological_sort_cyclic", (sorting.topological_sort,)),
        ("test_backprop_branching", (backward_pass.backprop,)),
        ("test_backprop_requires_grad_sum", (backward_pass.backprop,)),
        ("test_sum_nonscalar_grad_out", (shape_back.sum_back,)),
    ],
)
def test_names_of_other_notebooks_pass_the_right_functions(name, objects):
    getattr(tests, name)(*objects)


def test_two_functions_in_the_wrong_order_fail():
    with pytest.raises(CheckFailed, match="matmul2d_back0"):
        tests.test_matmul2d(shape_back.matmul2d_back1, shape_back.matmul2d_back0)
    with pytest.raises(CheckFailed, match="maximum_back0"):
        tests.test_maximum_broadcasted(elementwise_back.maximum_back1, elementwise_back.maximum_back0)


def unbroadcast_by_reshaping(broadcasted, original):
    """Adds up new axes, and lets reshape hide that a stretched one was forgotten."""
    n_new = broadcasted.ndim - original.ndim
    summed = broadcasted.sum(axis=tuple(range(n_new)))
    return summed.reshape(original.shape) if summed.size == original.size else summed[..., :1].reshape(original.shape)


def unbroadcast_by_comparing_lengths(broadcasted, original):
    """Adds up axes whose lengths differ, without counting the new ones."""
    for axis, length in enumerate(original.shape):
        if broadcasted.shape[axis] != length:
            broadcasted = broadcasted.sum(axis=axis, keepdims=True)
    while broadcasted.ndim > original.ndim:
        broadcasted = broadcasted.sum(axis=-1)
    return broadcasted


@pytest.mark.parametrize("wrong", [unbroadcast_by_reshaping, unbroadcast_by_comparing_lengths])
def test_a_wrong_unbroadcast_fails(wrong):
    assert run(tests.test_unbroadcast, wrong).status in ("failed", "error")


def sort_that_marks_on_arrival(node, get_children):
    """Breadth first, each node once, reversed."""
    order, seen = [node], {id(node)}
    for current in order:
        for child in get_children(current):
            if id(child) not in seen:
                seen.add(id(child))
                order.append(child)
    return order[::-1]


def sort_with_a_recursion_that_never_ends_in_cycles(node, get_children):
    """Right, but for cycles."""
    order = []

    def visit(current):
        for child in get_children(current):
            if not any(child is other for other in order):
                visit(child)
        if not any(current is other for other in order):
            order.append(current)

    visit(node)
    return order


@pytest.mark.parametrize("wrong", [sort_that_marks_on_arrival, sort_with_a_recursion_that_never_ends_in_cycles])
def test_a_wrong_sort_fails(wrong):
    assert run(tests.test_topological_sort, wrong).status == "failed"
