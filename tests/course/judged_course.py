"""References and tests of a course with which judging is tried out."""

import torch

from arena_lib.checking import Case, Mistake, exercise, outputs


def plus(a, b):
    """The sum of a and b."""
    return a + b


def times(a, b):
    """The product of a and b."""
    return a * b


def two_numbers(generator):
    return [Case(label="two", args=(torch.randn(3, generator=generator), torch.randn(3, generator=generator)))]


MINUS = Mistake("subtracts", "a + b", "a - b", why="a sum adds")
test_plus = exercise(reference=plus, cases=two_numbers, observe=outputs, mistakes=[MINUS])
test_times = exercise(reference=times, cases=two_numbers, observe=outputs)
test_more = exercise(reference=plus, cases=two_numbers, observe=outputs, name="more")
