"""Questions that say where to begin: short ones, each with three answers to choose from, and a fourth for "not sure".

Raises:  UnknownNameError for a question that isn't there; ConfigError for an answer that isn't among the choices.
Source:  own questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.wording import counted

PYTHON, SHAPES, PICTURES, BROADCASTING, INDEXING, EINSUM, MATHS, TIME = PARTS = (
    "1. Python in small steps",
    "2. Shapes",
    "3. Pictures",
    "4. Broadcasting",
    "5. Indexing",
    "6. Einsum",
    "7. Maths in small steps",
    "8. How long will it take?",
)
"""The parts of section 0.0, as its chapter calls them."""
LETTERS = ("a", "b", "c")
UNSURE = "d"
"""The answer "I'm not sure", which every question has."""


@dataclass(frozen=True)
class Question:
    """One question, with its choices (a), (b) and (c)."""

    name: str
    part: str
    """The part of section 0.0 that teaches it."""
    text: str
    choices: tuple[str, str, str]
    right: str
    """The letter of the right choice."""

    def __str__(self) -> str:
        """The question as it is asked."""
        choices = zip((*LETTERS, UNSURE), (*self.choices, "I'm not sure"), strict=True)
        return "\n".join([f"{self.name}: {self.text}", *(f"    ({letter}) {choice}" for letter, choice in choices)])


QUESTIONS = (
    Question(
        "comprehension",
        PYTHON,
        "What is [n * n for n in range(5) if n % 2]?",
        ("[0, 4, 16]", "[1, 9]", "[1, 9, 25]"),
        "b",
    ),
    Question(
        "generator",
        PYTHON,
        "gen is a generator that yields 1, 2 and 3. What is list(gen) the second time?",
        ("[1, 2, 3]", "an error", "[]"),
        "c",
    ),
    Question(
        "order",
        SHAPES,
        "x = torch.arange(6).reshape(2, 3). What is x[1, 0]?",
        ("3", "1", "2"),
        "a",
    ),
    Question(
        "merging",
        SHAPES,
        'x has the shape (4, 5, 6). What is the shape of rearrange(x, "a b c -> (a c) b")?',
        ("(20, 6)", "(24, 5)", "(5, 24)"),
        "b",
    ),
    Question(
        "reduce",
        PICTURES,
        'reduce(x, "batch (row two) -> batch row", "mean", two=2) of a tensor of shape (3, 8) has the shape',
        ("(3, 2)", "(6, 4)", "(3, 4)"),
        "c",
    ),
    Question(
        "repeat",
        PICTURES,
        'x is the tensor [1, 2]. What is repeat(x, "n -> (n k)", k=2)?',
        ("[1, 2, 1, 2]", "[1, 1, 2, 2]", "[[1, 1], [2, 2]]"),
        "b",
    ),
    Question(
        "rule",
        BROADCASTING,
        "a has the shape (5, 1) and b the shape (3,). What is the shape of a + b?",
        ("(5, 3)", "an error", "(5, 1)"),
        "a",
    ),
    Question(
        "square",
        BROADCASTING,
        "x has the shape (4, 4). What does x / x.sum(dim=1) do?",
        (
            "it divides each row by its sum",
            "it raises an error",
            "it divides each column by the sum of the row of the same number",
        ),
        "c",
    ),
    Question(
        "pairs",
        INDEXING,
        "x has the shape (5, 5). What is the shape of x[torch.tensor([0, 1, 2]), torch.tensor([2, 1, 0])]?",
        ("(3, 3)", "(3,)", "(2, 3)"),
        "b",
    ),
    Question(
        "gather",
        INDEXING,
        "scores is (batch, n_classes), labels is (batch,). Which gives the score of each example's own label?",
        ("scores[:, labels]", "scores[labels]", "scores[torch.arange(len(labels)), labels]"),
        "c",
    ),
    Question(
        "sum",
        EINSUM,
        'What is einsum(x, "i j -> j")?',
        ("the sum of each column", "the sum of each row", "the transpose"),
        "a",
    ),
    Question(
        "product",
        EINSUM,
        "Which pattern is the product of the matrices x and y? einsum(x, y, ...)",
        ('"i j, i k -> j k"', '"i j, j k -> i k"', '"i j, j k -> i j k"'),
        "b",
    ),
    Question(
        "softmax",
        MATHS,
        "What happens to softmax(x) if 100 is added to every entry of x?",
        ("it becomes sharper", "it overflows", "nothing"),
        "c",
    ),
    Question(
        "log",
        MATHS,
        "Ten independent events each have the probability p. What is the logarithm of the probability of all ten?",
        ("10 * log(p)", "log(p) ** 10", "log(10 * p)"),
        "a",
    ),
    Question(
        "derivative",
        MATHS,
        "What is the derivative of (3 * x + 1) ** 2 at x = 0?",
        ("2", "6", "3"),
        "b",
    ),
    Question(
        "operations",
        TIME,
        "About how many operations (additions and multiplications) is a product of two matrices of 1000 by 1000?",
        ("a million", "two billion", "two million"),
        "b",
    ),
    Question(
        "bytes",
        TIME,
        "A vector of 100 million float32 numbers is added to another. What decides how long it takes?",
        ("the additions", "Python's own speed", "reading and writing memory"),
        "c",
    ),
)


@dataclass(frozen=True, repr=False)
class Advice:
    """What the answers say; printed, it says where to begin."""

    n_right: int
    unanswered: tuple[str, ...]
    """Questions without an answer, or with (d)."""
    wrong: tuple[str, ...]
    read_first: tuple[str, ...]
    """The parts of section 0.0 in which something was wrong or open, in their order."""

    def __repr__(self) -> str:
        """The advice in words."""
        score = f"{self.n_right} of {counted(len(QUESTIONS), 'question')} right."
        if not self.read_first:
            return (
                f"{score} You know what this section teaches: do the exercises that look fun, and go on. Section 0.1 makes "
                "pictures with rays of light, section 1.1 builds a transformer, section 2.1 begins with reinforcement learning."
            )
        parts = {question.name: question.part for question in QUESTIONS}
        lines = [f"{score} Of section 0.0 work through:"]
        for part in self.read_first:
            names = [name for name in (*self.wrong, *self.unanswered) if parts[name] == part]
            lines.append(f"    part {part} ({', '.join(names)})")
        rest = [part for part in PARTS if part not in self.read_first]
        return "\n".join([*lines, "Skip the other parts, or do their exercises for fun."] if rest else lines)


def questions_as_text() -> str:
    """All questions, to print.

    >>> print(questions_as_text()[:58])
    comprehension: What is [n * n for n in range(5) if n % 2]?
    """
    return "\n\n".join(map(str, QUESTIONS))


def where_to_begin(answers: Mapping[str, str]) -> Advice:
    """Which parts to work through first, by your answers: a letter for each question, {"order": "a", ...}.

    A question that is left out counts as not sure. Nothing is recorded.

    >>> everything_right = {question.name: question.right for question in QUESTIONS}
    >>> where_to_begin(everything_right | {"pairs": "a"})
    16 of 17 questions right. Of section 0.0 work through:
        part 5. Indexing (pairs)
    Skip the other parts, or do their exercises for fun.
    """
    letters = {name: _read(name, letter) for name, letter in answers.items()}
    unanswered = tuple(q.name for q in QUESTIONS if letters.get(q.name, UNSURE) == UNSURE)
    wrong = tuple(q.name for q in QUESTIONS if letters.get(q.name, UNSURE) not in (UNSURE, q.right))
    open_parts = {q.part for q in QUESTIONS if q.name in (*wrong, *unanswered)}
    return Advice(
        n_right=len(QUESTIONS) - len(wrong) - len(unanswered),
        unanswered=unanswered,
        wrong=wrong,
        read_first=tuple(part for part in PARTS if part in open_parts),
    )


def _read(name: str, letter: str) -> str:
    """The letter of a choice, small and without brackets."""
    if name not in (known := [question.name for question in QUESTIONS]):
        raise UnknownNameError("question", name, known)
    read = letter.strip(" ()").lower() if isinstance(letter, str) else ""
    if read not in (*LETTERS, UNSURE):
        raise ConfigError(
            f"the answer to {name!r} must be a, b, c or d: got {letter!r}. Write {name!r}: 'd' if unsure."
        )
    return read
