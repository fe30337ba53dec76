"""What a learner's exception becomes: not started, an error with the learner's own line, or a result by design."""

from dataclasses import replace

import torch
from einops import rearrange

from arena_lib.checking import Case, Mistake, Unfit, outputs, run
from arena_lib.checking.running import rejects


def test_stub_is_not_started(toy):
    def stub(x, weight):
        raise NotImplementedError

    result = run(toy.test_half_norm, stub)
    assert result.status == "not_started"
    assert result.mismatch is None


def test_not_implemented_with_a_message_is_an_error(toy):
    def broken(x, weight):
        raise NotImplementedError("no such kernel")

    assert run(toy.test_half_norm, broken).status == "error"


def test_exception_of_the_learner_is_an_error(toy):
    result = run(toy.test_half_norm, lambda x, weight: x @ weight[:1])
    assert result.status == "error"
    assert "RuntimeError" in result.message


def test_an_observer_that_stops_at_none_asks_for_a_return(toy):
    def unpacked(function, case):
        first, second = function(*case.args)
        return {"first": first, "second": second}

    test = replace(toy.test_half_norm, observe=unpacked, properties=[], mistakes=[])
    assert "is there a `return` on every path?" in run(test, lambda x, weight: None).message
    assert "`return`" not in run(test, lambda x, weight: 3).message


def test_what_an_observer_says_of_none_asks_for_a_return(toy):
    def tensor_of(function, case):
        result = function(*case.args)
        if not isinstance(result, torch.Tensor):
            raise Unfit(f"It must return a tensor: got {type(result).__name__}.")
        return {"output": result}

    test = replace(toy.test_half_norm, observe=tensor_of, properties=[], mistakes=[])
    assert "got NoneType. Is there a `return` on every path?" in " ".join(run(test, lambda x, w: None).message.split())
    assert "Is there" not in run(test, lambda x, weight: 3).message


def test_long_exception_is_cut_in_the_message(toy):
    def broken(x, weight):
        raise ValueError("\n".join(["y" * 1000] * 50))

    message = run(toy.test_half_norm, broken).message
    assert len(message.splitlines()) <= 25
    assert max(map(len, message.splitlines())) <= 200


def test_unwritten_helper_is_named(toy):
    def scale(x, weight):
        raise NotImplementedError

    def mine(x, weight):
        return scale(x, weight) / 2

    result = run(toy.test_half_norm, mine)
    assert result.status == "not_started"
    assert result.needs == "scale"
    assert "needs    scale, which isn't written yet: write that first" in result.message


def test_own_stub_needs_nothing_else(toy):
    def mine(x, weight):
        raise NotImplementedError

    assert run(toy.test_half_norm, mine).notes == ()


def test_exception_shows_the_learners_line(toy):
    def mine(x, weight):
        return x.no_such_method()

    message = run(toy.test_half_norm, mine).message
    assert "  line     " in message
    assert "of test_running_exceptions.py, in mine: return x.no_such_method()" in message
    assert "  within" not in message
    assert "AttributeError" in message


def test_exception_in_a_library_shows_the_call_the_learners_line_and_the_librarys(toy):
    def mine(x, weight):
        return rearrange(x, "a b c d e -> a")

    lines = run(toy.test_half_norm, mine).message.splitlines()
    (call,) = [line for line in lines if line.startswith("  call     half_norm(x=")]
    (line,) = [line for line in lines if line.startswith("  line     ")]
    (within,) = [line for line in lines if line.startswith("  within   ")]
    (raised,) = [line for line in lines if line.startswith("  raised   EinopsError: ")]
    assert line.endswith('of test_running_exceptions.py, in mine: return rearrange(x, "a b c d e -> a")')
    assert within == "  within   rearrange of einops"
    assert lines.index(call) < lines.index(line) < lines.index(within) < lines.index(raised)


def test_code_that_raises_is_run_once_for_each_case(toy):
    calls = []

    def broken(x, weight):
        calls.append(x)
        raise ValueError("no")

    assert run(toy.test_half_norm, broken).status == "error"
    assert len(calls) == 2


def test_an_exception_that_the_reference_raises_by_design_is_a_result(toy):
    def checked(x, weight):
        if len(x) == 1:
            raise ValueError("one row is too few")
        return x * weight

    test = replace(toy.test_half_norm, reference=checked, observe=outputs, properties=(), accepts=(), mistakes=())
    assert run(test, checked).status == "passed"
    assert run(test, lambda x, weight: checked(x, weight)).status == "passed"
    assert run(test, lambda x, weight: x * weight).status == "failed"


def test_an_exception_is_told_before_what_it_looks_like(toy):
    mistake = Mistake("misspells it", "scaled / 2", "scaled.halve()", why="tensors have no such method")
    test = replace(toy.test_half_norm, mistakes=(mistake,))
    lines = run(test, mistake.build(toy.half_norm)).message.splitlines()
    assert [line[2:11].strip() for line in lines[1:] if line[2:11].strip()] == [
        "call", "case", "line", "raised", "Looks lik", "remember", "For a hin",
    ]  # fmt: skip


def test_properties_are_not_asked_where_an_exception_is(toy):
    def is_short(seen, case):
        """The output is short."""
        return None if len(seen["output"]) < 9 else "It must be short."

    def checked(x, weight):
        if x.ndim != 1:
            raise ValueError("x must be a vector")
        return 0.5 * weight * x

    def cases(generator):
        ones = torch.ones(3)
        return [
            Case(label="a vector", args=(ones, ones)),
            Case(label="a number", args=(ones[0], ones), raises="ValueError"),
        ]

    test = replace(toy.test_half_norm, reference=checked, cases=cases, properties=(is_short,), mistakes=(), accepts=())
    assert run(test, checked).status == "passed"
    assert not rejects(test, checked)
