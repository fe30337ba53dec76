import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from arena_lib.checking.comparison.comparing import Raised, Tolerance, compare
from arena_lib.checking.reports.messages import (
    MAX_LINES,
    WIDTH,
    compose,
    render_rich,
    render_text,
    spoken,
    with_note,
    with_printed,
)
from arena_lib.checking.results import Check, Diagnosis, Mismatch, Result, Stop


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


E = numbers(2, 3, 5, 5)
FUTURE = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
MASKED = E.masked_fill(FUTURE, -torch.inf)
ATTENTION = "batch n_heads seq_q seq_k"
RESID = numbers(2, 5, 7)
MODEL = "batch seq d_model"


def at(tensor, index, value):
    copy = tensor.clone()
    copy[index] = value
    return copy


def failed(actual, expected, axes="", *, observation="output", call="", case="", mistake="", why=""):
    mismatch = compare(actual, expected, axes=axes, observation=observation)
    assert mismatch is not None
    diagnosis = Diagnosis(mistake=mistake, why=why) if mistake else None
    return Result(
        exercise="1.1/attention", status="failed", call=call, case=case, mismatch=mismatch, diagnosis=diagnosis
    )


FACTS = {
    "factor": (failed(RESID * 8**0.5, RESID, MODEL), ["all 70 entries", "every entry is 2.83 times", "position 0"]),
    "offset": (failed(RESID + 0.5, RESID, MODEL), ["every entry is 0.5 too large"]),
    "sign": (failed(-RESID, RESID, MODEL), ["the sign is wrong everywhere"]),
    "one entry": (
        failed(at(RESID, (1, 4, 2), 9.5), RESID, MODEL),
        ["1 of 70", "at batch = 1, position 4, d_model = 2", f"expected {RESID[1, 4, 2].item():.4g}, got 9.5"],
    ),
    "last position": (
        failed(at(RESID, np.s_[:, 4], 9.0), RESID, MODEL),
        ["14 of 70", "only at the last position (position 4)"],
    ),
    "one head": (
        failed(at(E, np.s_[:, 1], 0.0), E, ATTENTION),
        ["50 of 150", "only at head 1; there every entry is 0"],
    ),
    "no mask": (
        failed(E, MASKED, ATTENTION, mistake="hides nothing", why="softmax sees the future"),
        [
            "60 of 150",
            "at batch = 0, head 0, seq_q = 0, seq_k = 1: expected -inf",
            "only positions after the query (seq_k > seq_q)",
            "Looks like: hides nothing",
            "softmax sees the future",
        ],
    ),
    "finite mask": (
        failed(E.masked_fill(FUTURE, -1e9), MASKED, ATTENTION),
        ["expected -inf, got -1e+09", "always -1e+09 instead of -inf"],
    ),
    "mask one off": (
        failed(E.masked_fill(FUTURE.triu(2), -torch.inf), MASKED, ATTENTION, mistake="diagonal=2"),
        ["24 of 150", "only where seq_k = seq_q + 1", "Looks like: diagonal=2"],
    ),
    "transposed": (failed(E.mT, E, ATTENTION), ["the axes seq_q and seq_k are swapped", "120 of 150"]),
    "shifted": (failed(RESID.roll(1, 1), RESID, MODEL), ["shifted by one along seq", "belongs to i - 1"]),
    "reversed": (failed(RESID.flip(2), RESID, MODEL), ["the order along d_model is reversed"]),
    "reshaped": (
        failed(RESID.mT.reshape(2, 5, 7), RESID, MODEL),
        ["in the order of seq and d_model swapped", "rearranged"],
    ),
    "nan": (
        failed(at(RESID, np.s_[1, 2], torch.nan), RESID, MODEL),
        ["output: wrong in 7 of 70 entries, with NaN or infinity", "batch = 1, position 2, d_model = 0", "got nan"],
    ),
    "zeros": (
        failed(torch.zeros(2, 5, 7), RESID, MODEL, observation="gradient of x", mistake="detaches x"),
        ["gradient of x: wrong in all 70", "every entry is 0", "Looks like: detaches x"],
    ),
    "precision": (failed(RESID.bfloat16().float(), RESID, MODEL), ["rounded to bfloat16"]),
    "shape": (
        failed(RESID.mT, RESID, MODEL),
        ["expected (batch 2, seq 5, d_model 7)", "got (2, 7, 5)", "the axes seq and d_model are swapped"],
    ),
    "rank": (
        failed(RESID[0], RESID, MODEL),
        ["3 axes expected, 2 given", "got (5, 7)", "the axis batch is missing"],
    ),
    "dtype": (failed(RESID.double(), RESID, MODEL), ["expected float32", "got float64", "only their dtype is not"]),
    "nothing returned": (failed(None, RESID, MODEL), ["got None", "`return`", "advice"]),
    "numpy": (
        failed(RESID.numpy(), RESID, MODEL),
        ["got a numpy array of float32 of shape (2, 5, 7)", "torch.from_numpy"],
    ),
    "list": (failed([1, 2, 3, 5], [1, 2, 3, 4], "seq"), ["at position 3: expected 4, got 5", "1 of 4"]),
    "length": (failed([1, 2], [1, 2, 3]), ["output should be [1, 2, 3]", "got [1, 2]"]),
    "pair": (failed({("l", "l"): 2}, {("l", "l"): 1}), ["output[('l', 'l')] should be 1", "got 2"]),
    "sentence": (
        failed(False, True, observation="the second copy equals the first"),
        ["this doesn't hold: the second copy equals the first"],
    ),
    "denial": (
        failed(True, False, observation="the direction needs a gradient"),
        ["this holds, but it shouldn't: the direction needs a gradient"],
    ),
    "count": (failed(4, 0, observation="types whose label never changes"), ["never changes should be 0", "got 4"]),
    "nested": (failed({"k": [1, "b"]}, {"k": [1, "a"]}), ["output['k'] should be [1, 'a']", "got [1, 'b']"]),
    "short string": (failed(" dry", " wet"), ["output should be ' wet'", "got ' dry'"]),
    "long string": (failed("b" + "a" * 80, "c" + "a" * 80), ["expected 'caaa", "got 'baaa"]),
    "missing key": (
        failed({"a": 1}, {"a": 1, "b": 2}, observation="counts"),
        ["wrong counts lacks the key 'b'", "expected {'a': 1, 'b': 2}", "got {'a': 1}"],
    ),
    "surplus key": (
        failed({"a": 1, "b": 2}, {"a": 1}),
        ["output should be {'a': 1}", "the key 'b' should not be there"],
    ),
    "scalar": (failed(torch.tensor(2.5), torch.tensor(1.5)), ["output should be 1.5", "got 2.5"]),
    "python scalar": (failed(3, 4), ["output should be 4", "got 3"]),
    "exception": (
        failed(Raised("KeyError", "'q'"), RESID, MODEL),
        ["differs in the exception it raises", "expected a float32 tensor", "got KeyError: 'q'"],
    ),
    "no exception": (
        failed(RESID, Raised("ShapeError", "seq")),
        ["output must raise ShapeError (seq): it returned without an exception", "got a float32 tensor"],
    ),
    "a call that returns": (
        failed(None, Raised("ValueError", "a sum of 0"), observation="raised"),
        ["wrong must raise ValueError (a sum of 0): it returned without an exception For a hint"],
    ),
    "another exception": (
        failed(Raised("KeyError", "'q'"), Raised("ValueError"), observation="raised"),
        ["wrong must raise ValueError: it raised another exception raised KeyError: 'q'"],
    ),
    "other device": (failed(RESID.to("meta"), RESID), ["on meta, whose values cannot be read"]),
    "case": (
        failed(RESID + 1, RESID, MODEL, call="attention(x=a float32 tensor)", case="one text"),
        ["call attention(x=a float32 tensor) case one text wrong"],
    ),
    "string": (failed("the cat sat on the mat", "the dog sat on the mat"), ["from character 4 on"]),
}


@pytest.mark.parametrize("name", FACTS)
def test_key_facts_are_in_the_message(name):
    result, facts = FACTS[name]
    text = " ".join(render_text(result).split())
    for fact in facts:
        assert fact in text, text
    assert "arena hint 1.1/attention" in text


@pytest.mark.parametrize("name", FACTS)
def test_terminal_and_text_say_the_same(name):
    result, _ = FACTS[name]
    stream = io.StringIO()
    Console(file=stream, width=WIDTH + 20).print(render_rich(result))
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == render_text(result).splitlines()


def test_a_whole_message():
    result = failed(
        E.masked_fill(FUTURE, 0),
        MASKED,
        ATTENTION,
        call="attention(scores=a float32 tensor of shape (2, 3, 5, 5))",
        case="two examples",
        mistake="fills with zero",
        why="softmax turns a score of zero into a weight above zero",
    )
    assert render_text(result) == (
        "✗ 1.1/attention does not pass yet\n"
        "  call     attention(scores=a float32 tensor of shape (2, 3, 5, 5))\n"
        "  case     two examples\n"
        "  wrong    output: wrong in 60 of 150 entries\n"
        "  shape    (batch 2, n_heads 3, seq_q 5, seq_k 5), as expected\n"
        "  first    at batch = 0, head 0, seq_q = 0, seq_k = 1: expected -inf, got 0\n"
        "  pattern  only positions after the query (seq_k > seq_q), always 0 instead of -inf\n"
        "  Looks like: fills with zero\n"
        "  remember softmax turns a score of zero into a weight above zero\n"
        "  For a hint: arena hint 1.1/attention"
    )


def test_a_pass_is_one_line():
    checks = (Check(name="runs", passed=True), Check(name="values", passed=True))
    assert render_text(Result(exercise="1.1/f", status="passed", checks=checks)) == "✓ 1.1/f passed (2 checks)"
    assert render_text(Result(exercise="1.1/f", status="passed", checks=checks[:1])) == "✓ 1.1/f passed (1 check)"


def test_the_reference_is_said_to_be_the_reference():
    text = render_text(Result(exercise="1.1/f", status="passed", is_reference=True))
    assert text == "✓ 1.1/f passed; this is the library's own solution, so it is not recorded"


def test_notes_stand_below_a_pass():
    text = render_text(Result(exercise="1.1/f", status="passed", notes=("changes x in place",)))
    assert text.splitlines() == ["✓ 1.1/f passed", "  note     changes x in place"]


def test_a_note_can_be_added_before_the_others():
    result = Result(exercise="1.1/f", status="error", stop=Stop(raised="ValueError: no"), notes=("old",))
    result = with_note(replace(result, message=render_text(result)), "new")
    assert result.notes == ("new", "old")
    assert result.message == render_text(result)
    assert "  raised   ValueError: no\n" in result.message
    assert "  note     new\n  note     old\n" in result.message


def test_a_note_follows_words_of_another_kind():
    assert with_note(spoken("1.1/f", "timeout", "no."), "new").message == "✗ 1.1/f: no.\n  note     new"


def test_not_started():
    text = render_text(Result(exercise="1.1/f", status="not_started"))
    assert text.splitlines()[0] == "○ 1.1/f is not started"
    assert "raise NotImplementedError" in text
    assert "arena hint 1.1/f" in text


def test_error_and_timeout():
    error = Result(
        exercise="1.1/f",
        status="error",
        call="f(x=0)",
        case="a zero",
        stop=Stop(raised="ValueError: no\nno more", line="3 of mine.py, in f: return g(1 / x)", within="g of torch"),
        diagnosis=Diagnosis(mistake="divides by zero", why=""),
    )
    assert render_text(error).splitlines() == [
        "✗ 1.1/f stopped with an exception in your code",
        "  call     f(x=0)",
        "  case     a zero",
        "  line     3 of mine.py, in f: return g(1 / x)",
        "  within   g of torch",
        "  raised   ValueError: no",
        "           no more",
        "  Looks like: divides by zero",
        "  For a hint: arena hint 1.1/f",
    ]
    assert "within its time limit (10 s)" in render_text(Result(exercise="1.1/f", status="timeout", seconds=10.0))
    assert "time limit\n" in render_text(Result(exercise="1.1/f", status="timeout"))


def test_a_failed_property_says_its_message():
    checks = (
        Check(name="is callable", passed=True),
        Check(name="rows sum to one", passed=False, message="row 2 sums to 3"),
    )
    text = render_text(Result(exercise="1.1/f", status="failed", checks=checks))
    assert "  check    row 2 sums to 3" in text
    assert "is callable" not in text


def test_a_failed_check_without_words_is_left_to_the_mismatch():
    checks = (Check(name="types and shapes", passed=False),)
    mismatch = compare(torch.zeros(3), torch.zeros(2))
    assert "types and shapes" not in render_text(
        Result(exercise="1.1/f", status="failed", checks=checks, mismatch=mismatch)
    )
    assert "types and shapes" in render_text(Result(exercise="1.1/f", status="failed", checks=checks))


def test_many_failed_checks_are_counted():
    checks = tuple(Check(name=f"check {i}", passed=False) for i in range(7))
    text = render_text(Result(exercise="1.1/f", status="failed", checks=checks))
    assert "check 2" in text
    assert "check 3" not in text
    assert "and 4 more" in text


def test_the_longest_message_keeps_to_its_lines_and_ends_with_the_hint():
    long = "word " * 400
    result = Result(
        exercise="1.1/" + "f" * 70,
        status="failed",
        checks=tuple(Check(name=long, passed=False, message=long) for _ in range(9)),
        mismatch=Mismatch(
            observation=long, kind="values", expected=long, actual=long, n_wrong=1, n_total=2, pattern=long
        ),
        diagnosis=Diagnosis(mistake=long, why=long),
        notes=(long,) * 9,
    )
    lines = render_text(result).splitlines()
    assert len(lines) == MAX_LINES
    assert max(map(len, lines)) <= WIDTH
    assert lines[-2:] != lines[-1:]
    assert "arena hint" in "".join(lines[-2:])
    assert "  ..." in lines


def test_a_learner_s_text_cannot_write_control_characters():
    result = Result(exercise="1.1/f", status="failed", checks=(Check(name="\x1b[31mred\r\n", passed=False),))
    assert all(character.isprintable() for character in render_text(result).replace("\n", ""))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_what_is_rendered_can_be_written(encoding):
    for status in ("passed", "failed", "error", "timeout", "not_started"):
        result = Result(exercise="1.1/é", status=status, notes=("→ ü",))
        text = render_text(result, encoding=encoding)
        assert text.encode(encoding).decode(encoding) == text
    mark = render_text(Result(exercise="1.1/f", status="passed"), encoding=encoding).split()[0]
    assert mark == ("✓" if encoding == "utf-8" else "[ok]")
    assert render_text(Result(exercise="1.1/f", status="failed"), encoding="ascii").startswith("[x] ")


def test_a_narrow_terminal_gets_wrapped_lines():
    stream = io.StringIO()
    Console(file=stream, width=40).print(render_rich(FACTS["no mask"][0]))
    assert max(map(len, stream.getvalue().splitlines())) <= 40
    assert "[x]" in stream.getvalue() or "✗" in stream.getvalue()


def test_the_verdict_is_coloured_and_bold_on_a_terminal():
    stream = io.StringIO()
    Console(file=stream, width=100, force_terminal=True, color_system="standard").print(
        render_rich(FACTS["no mask"][0])
    )
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("\x1b[1;31m✗")
    assert any(line.startswith("\x1b[1m  Looks like:") for line in lines)
    assert any(line.startswith("\x1b[2m  first    \x1b[0mat batch") for line in lines)
    assert lines[-1] == "  For a hint: arena hint 1.1/attention"


def test_compose_puts_the_diagnosis_after_the_pattern():
    labels = [label for label, _ in compose(FACTS["no mask"][0]).facts]
    assert labels == ["wrong", "shape", "first", "pattern", "Looks like:", "remember"]


def test_a_full_stop_of_a_mistake_is_not_doubled():
    assert "Looks like: hides nothing" in render_text(failed(E, MASKED, mistake="hides nothing", why="x"))


def test_the_first_lines_that_were_printed_are_shown_whoever_spoke_the_verdict():
    printed = "".join(f"{i}\n" for i in range(9))
    failed = Result(exercise="1.1/f", status="failed")
    told = with_printed(replace(failed, message=render_text(failed)), printed).message
    assert "  printed  0\n           1\n           2\n           3\n           ...\n" in told
    assert with_printed(spoken("1.1/f", "error", "no."), "a\n").message == "✗ 1.1/f: no.\n  printed  a"
    assert with_printed(spoken("1.1/f", "error", "no."), "").message == "✗ 1.1/f: no."


def test_a_statistic_is_said_with_how_near_to_it_one_must_come():
    wide, narrow = Tolerance(rtol=0.0, atol=0.02), Tolerance(rtol=0.0, atol=1e-6)

    def message(actual, expected, tolerance):
        mismatch = compare(actual, expected, tolerance=tolerance, observation="share hidden")
        return render_text(Result(exercise="1.1/attention", status="failed", mismatch=mismatch))

    assert "share hidden should be within 0.02 of 0.1016" in message(0.5, 0.1016, wide)
    assert "share hidden should be 0.1016" in message(0.5, 0.1016, narrow)
    shares = torch.tensor([0.5, 0.25])
    assert "expected within 0.02 of 0.5, got 0.6" in message(shares + torch.tensor([0.1, 0.0]), shares, wide)


def test_an_entry_of_what_has_a_name_in_words_is_said_in_words():
    text = render_text(failed(2.0, 23.3, observation="loss of each update[0]"))
    assert "entry 0 of loss of each update should be 23.3" in text
    assert "errors[0] should be 23.3" in render_text(failed(2.0, 23.3, observation="errors[0]"))
