from pathlib import Path

from arena_lib.checking.proofs.example_problems import example_problems, syntax_problems


def test_an_example_that_prints_something_else_is_a_problem_with_its_line(toy, monkeypatch):
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>> OFFSET\n3.0\n")
    (problem,) = example_problems(toy.test_half_norm)
    line = toy.half_norm.__code__.co_firstlineno + 3
    assert problem == (
        f"{toy.__file__}:{line}: an example of the docstring must print what it shows: 'OFFSET' shows '3.0': got '2.0'. "
        "Correct the example, or the reference."
    )
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>> OFFSET\n2.0\n")
    assert example_problems(toy.test_half_norm) == []


def test_an_example_that_raises_is_a_problem(toy, monkeypatch):
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>> OFSET\n2.0\n")
    (problem,) = example_problems(toy.test_half_norm)
    assert "got \"NameError: name 'OFSET' is not defined\"" in problem or "NameError: name 'OFSET'" in problem


def test_an_example_that_cannot_be_read_is_a_problem_of_the_reference_with_its_line(toy, monkeypatch):
    assert syntax_problems(toy.test_half_norm) == []
    monkeypatch.setattr(toy.half_norm, "__doc__", "Halves.\n\n>>>OFFSET\n2.0\n")
    (problem,) = syntax_problems(toy.test_half_norm)
    lines = Path(toy.__file__).read_text(encoding="utf-8").splitlines()
    docstring = next(n for n, line in enumerate(lines[toy.half_norm.__code__.co_firstlineno :]) if '"""' in line)
    line = toy.half_norm.__code__.co_firstlineno + docstring + 1 + 2
    assert problem.startswith(
        f"{toy.__file__}:{line}: an example of the docstring must be written as Python's prompt shows"
    )
    assert "got lacks blank after >>>: '>>>OFFSET'. Write a space" in problem
