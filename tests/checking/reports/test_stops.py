import functools
import json

import pytest
import torch

from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.reports.reporting import is_library
from arena_lib.checking.reports.stops import place_name, stop_of


def stopped(function):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function()
    return stop_of(caught.value)


def learners(source, file="<1.1.ipynb, cell 7>"):
    """A function `mine` out of a learner's cell."""
    names = {"torch": torch, "json": json, "functools": functools}
    exec(compile(source, file, "exec"), names)
    return names["mine"]


def test_the_learners_own_line_is_named():
    stop = stopped(learners("def mine():\n    return helper()\n\ndef helper():\n    raise KeyError('q')\n"))
    assert stop.line.startswith("5 of cell 7, in helper:")
    assert (stop.raised, stop.within) == ("KeyError: 'q'", "")


@pytest.mark.parametrize(
    ("source", "within"),
    [
        ("def mine():\n    return json.loads('{')\n", "loads of Python"),
        ("def mine():\n    return torch.nn.Linear(2, 3)(torch.zeros(4))\n", "Linear.forward of torch"),
        (
            "def mine():\n    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]).step(3)\n",
            "SGD.step of torch",
        ),
        ("def mine():\n    return torch.nn.Linear(2, 3).weights\n", ""),
        ("def mine():\n    return torch.zeros(2) @ torch.zeros(3)\n", ""),
    ],
)
def test_a_line_that_called_a_library_is_named_before_the_librarys_frames(source, within):
    stop = stopped(learners(source))
    assert stop.line.startswith("2 of cell 7, in mine:")
    assert stop.within == within


def test_an_exception_of_this_library_is_one_of_a_library():
    assert is_library(stop_of.__code__.co_filename)
    assert not is_library(__file__)


def test_code_that_stands_for_a_learners_mistake_is_the_learners(toy):
    wrong = Mistake("misspells", "scaled / 2", "scaled.halve()", why="no").build(toy.half_norm)
    stop = stopped(lambda: wrong(torch.zeros(2, 3), torch.ones(3)))
    assert "of toy_exercises.py, in half_norm: return scaled.halve() + x.detach()" in stop.line


def test_an_exception_without_a_line_of_the_learners_has_none():
    error = ValueError("")
    assert (stop_of(error).line, stop_of(error).raised) == ("", "ValueError")


def test_a_long_message_is_cut():
    stop = stopped(learners("def mine():\n    raise ValueError('\\n'.join(['y' * 1000] * 50))\n"))
    assert [len(line) for line in stop.raised.splitlines()] == [404] * 6


def test_a_long_line_is_cut_after_a_word():
    stop = stopped(learners("def mine():\n    raise ValueError('call .backward() ' * 50)\n"))
    assert stop.raised.split()[-2:] in (["call", "..."], [".backward()", "..."])


def test_what_torch_advises_at_the_end_of_a_long_message_is_kept():
    source = "def mine():\n    x = torch.ones(2, requires_grad=True).exp().sum()\n    x.backward()\n    x.backward()\n"
    raised = stopped(learners(source)).raised
    assert "when you call .backward() or autograd.grad(). Specify retain_graph=True" in raised
    assert raised.endswith("calling backward.")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/home/me/mine.py", "mine.py"),
        ("<mine.ipynb, cell 3>", "cell 3"),
        ("<cell 4>", "cell 4"),
        ("<ipython-input-3-0a1b>", "your cell"),
        ("/tmp/ipykernel_17/123.py", "your cell"),
        ("/src/arena_lib/transformer/lesson.py (0a1b)", "lesson.py"),
    ],
)
def test_a_place_is_called_as_a_learner_knows_it(file, name):
    assert place_name(file) == name
