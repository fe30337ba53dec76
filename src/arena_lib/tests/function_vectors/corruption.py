"""Judge of corrupted pairs: how the answers of in-context prompts are spoiled.

Shapes:  pairs of words, answers -> pairs.
"""

from collections.abc import Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.steering import icl

__test__ = False

N_DRAWS = 800
"""Draws from which frequencies are taken: two of the same share differ by 0.022 in the standard deviation at most where four are drawn."""


def corrupt_pairs_cases(generator: torch.Generator) -> list[Case]:
    """Several pairs, one pair and the question, the question alone, and answers that are nobody's."""
    pairs = [("hot", "cold"), ("big", "small"), ("wet", "dry"), ("old", "young")]
    answers = ["cold", "small", "dry", "young", "poor"]
    return [
        Case(label="three pairs and the question", args=(pairs, answers)),
        Case(label="one pair and the question", args=(pairs[2:], answers[1:])),
        Case(label="the question alone", args=(pairs[:1], answers)),
        Case(label="two possible answers", args=(pairs[:3], ["rich", "cold"])),
    ]


SHARES = "shares of the answers for the first pair"
SAME = "share of draws in which two pairs get the same answer"
DECIDES = "the same seed gives the same pairs"
MOVES_ON = "calls with one generator differ"


def many_corruptions(function: Any, case: Case) -> Observations:
    """What stays; how often each answer is drawn for the first pair; how often two pairs get the same; whose generator."""
    pairs, answers = case.args
    torch.rand(())  # so that a function which seeds the global generator leaves another state than this one
    global_state = torch.get_rng_state()
    given: list[Any] = [list(pairs), list(answers)]
    function(*given, torch.Generator().manual_seed(1))
    changed = [name for name, now, before in zip(case.names, given, case.args, strict=False) if now != before]

    def draws(n: int, seed: int) -> list[Any]:
        generator = torch.Generator().manual_seed(seed)
        return [function(list(pairs), list(answers), generator) for _ in range(n)]

    drawn = draws(N_DRAWS, 1)
    if not all(isinstance(result, list | tuple) for result in drawn):
        raise Unfit(f"corrupt_pairs must return a list of pairs, the question last: got {type(drawn[0]).__name__}.")
    counts = {len(result) for result in drawn}
    seen: Observations = {
        "number of pairs": max(counts, key=lambda count: abs(count - len(pairs))),
        CHANGED: changed,
        "torch's global generator is untouched": torch.equal(global_state, torch.get_rng_state()),
    }
    if counts != {len(pairs)}:
        return seen
    seen |= {"the question": tuple(drawn[0][-1]), "first words": [pair[0] for pair in drawn[0]]}
    if len(pairs) > 1:
        firsts = [result[0][1] for result in drawn]
        seen[SHARES] = {answer: firsts.count(answer) / N_DRAWS for answer in answers}
        once = draws(40, 6)
        seen[DECIDES] = once == draws(40, 6)
        seen[MOVES_ON] = once.count(once[0]) < len(once)
    if len(pairs) > 2:
        seen[SAME] = sum(result[0][1] == result[1][1] for result in drawn) / N_DRAWS
    return seen


def draws_the_same_each_time(seen: Sequence[Observations]) -> bool:
    """Whether calls with one generator never differ where several pairs are drawn."""
    return not seen[0][MOVES_ON] and not seen[3].get(MOVES_ON, False)


def draws_from_pairs_shown(seen: Sequence[Observations]) -> bool:
    """Whether neither the question's answer nor the one that is nobody's is ever drawn."""
    shares = [seen[0][SHARES][answer] for answer in ("cold", "small", "dry")]
    return sum(shares) > 1 - 1 / (2 * N_DRAWS) and max(shares) < 1


def draws_words(seen: Sequence[Observations]) -> bool:
    """Whether each answer is still the right one, and the first words aren't."""
    return bool(seen[0][SHARES]["cold"] == 1) and seen[0]["first words"] != ["hot", "big", "wet", "old"]


def writes_answers_first(seen: Sequence[Observations]) -> bool:
    """Whether what stands first is one of the answers, and the word stands where they should."""
    return max(seen[0][SHARES].values()) == 0 and set(seen[0]["first words"][:-1]) <= set(seen[0][SHARES])


def corrupt_pairs_by_weights(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """Draws by weights, until the last pair."""
    out = []
    for at, (x, y) in enumerate(word_pairs):
        if at < len(word_pairs) - 1:
            weights = torch.tensor([float(a != y) for a in answers])
            y = answers[int(torch.multinomial(weights, 1, generator=generator))]
        out.append((x, y))
    return out


def corrupt_pairs_by_rejection(word_pairs: Any, answers: Any, generator: Any = None) -> tuple[tuple[str, str], ...]:
    """Draws until it is wrong."""
    out = []
    for x, y in list(word_pairs)[:-1]:
        new = y
        while new == y:
            new = answers[int(torch.randint(0, len(answers), (1,), generator=generator))]
        out.append((x, new))
    return (*out, word_pairs[-1])


def corrupt_with_one_draw(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """The mistake of drawing one place for all pairs."""
    drawn = int(torch.randint(len(answers) - 1, (), generator=generator))
    wrong = [[answer for answer in answers if answer != right] for _, right in word_pairs[:-1]]
    return [*((x, other[drawn % len(other)]) for (x, _), other in zip(word_pairs, wrong, strict=False)), word_pairs[-1]]


def corrupt_all_but_the_first(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """The mistake of taking the first pair for the question."""
    first, *others = word_pairs
    return [first, *icl.corrupt_pairs([*others, first], answers, generator)[:-1]]


def corrupt_by_shuffling(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """Deals the answers out, so that none comes twice."""
    order = torch.randperm(len(answers), generator=generator).tolist()
    out = []
    for x, y in list(word_pairs)[:-1]:
        at = next((i for i in order if answers[i] != y), order[0])
        order.remove(at)
        out.append((x, answers[at]))
    return [*out, word_pairs[-1]]


FREQUENCIES = Tolerance(rtol=0.0, atol=0.13)

test_corrupt_pairs = exercise(
    reference=icl.corrupt_pairs,
    cases=corrupt_pairs_cases,
    observe=many_corruptions,
    tolerance={SHARES: FREQUENCIES, SAME: FREQUENCIES},
    accepts=[corrupt_pairs_by_weights, corrupt_pairs_by_rejection],
    mistakes=[
        Mistake(
            "changes the last pair's answer too",
            "for word, right in word_pairs[:-1]:",
            "for word, right in word_pairs:",
            why="the last pair is the question, and its right answer is needed for judging",
        ),
        Mistake(
            "keeps the first pair instead of the last",
            function=corrupt_all_but_the_first,
            why="the last pair is the question, and its right answer is needed for judging",
        ),
        *instead_of(
            "return [*corrupted, word_pairs[-1]]",
            {
                "return [*word_pairs[:-1], (word_pairs[-1][0], corrupted[-1][1] if corrupted else word_pairs[-1][1])]": (
                    "changes the last answer instead of the others",
                    "the pairs before the last get wrong answers, and the last pair, the question, stays",
                ),
                "return [*sorted(corrupted), word_pairs[-1]]": (
                    "sorts the pairs",
                    "the pairs stay in the order in which they are given",
                ),
                "return corrupted": ("leaves the question out", "the last pair ends the list, as it was"),
                "word_pairs[:-1] = corrupted\n    return word_pairs": (
                    "changes the list of pairs that it was given",
                    "the same pairs are needed again: return a new list",
                ),
            },
        ),
        *instead_of(
            "[answer for answer in answers if answer != right]",
            {
                "[answer for answer in answers if answer not in [other for _, other in word_pairs[:-1]]]": (
                    "never draws an answer of the other pairs that are shown",
                    "only a pair's own right answer is left out",
                ),
                "[answer for answer in answers if answer not in [other for _, other in word_pairs]]": (
                    "never draws an answer of any of the pairs",
                    "only a pair's own right answer is left out",
                ),
                "list(answers)": ("may draw the right answer", "a pair with its right answer still shows the task"),
                "[answer for answer in answers if answer not in (right, word_pairs[-1][1])]": (
                    "never draws the question's answer",
                    "only a pair's own right answer is left out",
                ),
                "[answers[(i + (answer == right)) % len(answers)] for i, answer in enumerate(answers)]": (
                    "uses the next answer when the right one is drawn",
                    "all wrong answers have the same chance, so draw among the wrong answers only",
                ),
                "answers\n        wrong.remove(right) if right in wrong else None": (
                    "removes answers from the list that it was given",
                    "the next pair may need them: make a new list of the wrong answers",
                ),
            },
        ),
        *instead_of(
            "wrong[drawn]",
            {
                "(answers.remove(wrong[drawn]) or wrong[drawn])": (
                    "removes what it draws from the list that it was given",
                    "an answer may occur twice, and the caller needs the list again",
                ),
                "wrong[0]": ("always draws the first wrong answer", "all wrong answers have the same chance"),
                "word_pairs[drawn % len(word_pairs)][1]": (
                    "draws from the pairs instead of the answers",
                    "the second argument lists what may be drawn",
                ),
            },
        ),
        Mistake(
            "draws only from the answers of the pairs that are shown",
            "answer for answer in answers if answer != right",
            "answer for _, answer in word_pairs[:-1]",
            why="the second argument lists what may be drawn",
            shows=draws_from_pairs_shown,
        ),
        *instead_of(
            "torch.randint(len(wrong), ()",
            {
                "torch.randint(max(1, len(wrong) - 1), ()": (
                    "never draws the last answer",
                    "randint never draws its upper end, so the upper end is the number of answers",
                ),
                "torch.randint(min(1, len(wrong) - 1), len(wrong), ()": (
                    "never draws the first answer",
                    "randint's lower end is 0 unless another is given, and answers are counted from 0",
                ),
            },
        ),
        Mistake(
            "changes the first words",
            "corrupted.append((word, wrong[drawn]))",
            "corrupted.append((wrong[drawn], right))",
            why="the first word of a pair stays, and its answer is drawn",
            shows=draws_words,
        ),
        Mistake(
            "writes the drawn answer before the word",
            "corrupted.append((word, wrong[drawn]))",
            "corrupted.append((wrong[drawn], word))",
            why="a pair is (word, answer): the word stays first",
            shows=writes_answers_first,
        ),
        Mistake(
            "draws once for all pairs",
            function=corrupt_with_one_draw,
            why="each answer is drawn by itself, so that one draw says nothing of the others",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="the same generator must give the same pairs",
            shows=lambda seen: not seen[0][DECIDES],
        ),
        Mistake(
            "draws the same in every call",
            "corrupted = []",
            "corrupted, generator = [], generator and generator.clone_state()",
            why="draw from the generator that is given and don't seed it again: it moves on, so that the next call differs",
            shows=draws_the_same_each_time,
        ),
        Mistake(
            "seeds torch's global generator",
            "corrupted = []",
            "corrupted = [torch.manual_seed(0)][:0]",
            why="a new global seed changes all later draws of the program: use the generator that is given",
        ),
        Mistake(
            "draws answers so that none comes twice",
            function=corrupt_by_shuffling,
            why="each answer is drawn independently, so the same answer may come twice",
        ),
    ],
)
