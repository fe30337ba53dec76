"""Judges of in-context prompts: how pairs are written down, and how their answers are spoiled.

Shapes:  pairs of words -> a prompt and its answer, or pairs.
"""

from collections.abc import Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.steering import icl
from arena_lib.interp.steering.icl import ICLFormat

__test__ = False

N_DRAWS = 800
"""Draws from which frequencies are taken: two of the same share differ by 0.022 in the standard deviation at most where four are drawn."""


def make_prompt_cases(generator: torch.Generator) -> list[Case]:
    """Both formats, an odd one, and a single pair."""
    pairs = [("hot", "cold"), ("big", "small"), ("wet", "dry")]
    odd = ICLFormat(question="{x} ({x}) =>", answer="_{y}_", separator=" | ", start="> ")
    return [
        Case(label="three pairs as questions", args=(pairs, icl.QUESTION_ANSWER)),
        Case(label="three pairs as a list", args=(pairs, icl.RULE_LIST)),
        Case(label="two pairs in another format", args=(pairs[1:], odd)),
        Case(label="a single pair", args=([("old", "young")], odd)),
        Case(label="spaces at the edges", args=(pairs, ICLFormat(question="{x}: ", answer="{y}", start=" "))),
    ]


def prompt_and_completion(function: Any, case: Case) -> Observations:
    """The two texts."""
    out = function(*case.fresh().args)
    if not (isinstance(out, tuple | list) and len(out) == 2):
        raise Unfit(f"make_prompt must return (prompt, answer): got {type(out).__name__}.")
    return {"prompt": out[0], "answer": out[1]}


def make_prompt_by_join(word_pairs: Any, form: ICLFormat = icl.QUESTION_ANSWER) -> tuple[str, str]:
    """Joins all pieces at once."""
    pieces = [form.question.format(x=x) + form.answer.format(y=y) for x, y in word_pairs]
    answer = form.answer.format(y=word_pairs[-1][1])
    whole = form.start + form.separator.join(pieces)
    return whole[: len(whole) - len(answer)], answer


test_make_prompt = exercise(
    reference=icl.make_prompt,
    cases=make_prompt_cases,
    observe=prompt_and_completion,
    accepts=[make_prompt_by_join, lambda pairs, form=icl.QUESTION_ANSWER: list(make_prompt_by_join(pairs, form))],
    mistakes=[
        *instead_of(
            "form.question.format(x=asked)\n",
            {
                "form.question.format(x=asked) + form.answer.format(y=expected)\n": (
                    "writes the last pair's answer into the prompt",
                    "the prompt ends where the last answer would begin",
                ),
                "form.question.format(x=asked) + form.answer.format(y=expected)[: -len(expected)]\n": (
                    "ends with the space that belongs to the answer",
                    "the space in front of a word is part of its token: the answer has it, and the prompt ends before",
                ),
                "form.question.format(x=asked) + form.separator\n": (
                    "ends with a separator",
                    "nothing comes after the last question: the answer is next",
                ),
                '""\n': (
                    "leaves out the last question",
                    "the last pair's question ends the prompt, so that the model gives its answer",
                ),
                "asked\n": (
                    "writes the last word without its template",
                    "form.question says how a question is written",
                ),
            },
        ),
        *instead_of(
            "form.start + ",
            {
                "": ("forgets the start", "form.start stands in front of everything"),
                "form.start + form.separator + ": (
                    "writes a separator after the start",
                    "a separator stands between one pair and the next",
                ),
            },
        ),
        Mistake(
            "writes the start in front of every pair",
            '"".join(written)',
            '"".join(pair + form.start for pair in written)',
            why="form.start stands once, in front of everything",
        ),
        Mistake(
            "leaves the separators out",
            " + form.separator for x, y",
            " for x, y",
            why="each pair that is shown ends with form.separator",
        ),
        *instead_of(
            "return prompt, form.answer.format(y=expected)",
            {
                "return prompt, expected": (
                    "returns the bare word as the answer",
                    "the answer is what stands in the text, with its space: that is another token than the bare word",
                ),
                "return form.answer.format(y=expected), prompt": ("returns the answer first", "the prompt comes first"),
            },
        ),
        *instead_of(
            "*shown, (asked, expected) = word_pairs",
            {
                "(asked, expected), *shown = word_pairs": ("asks for the first pair", "the last pair is the question"),
                "*shown, (asked, expected) = word_pairs\n    form = QUESTION_ANSWER": (
                    "ignores the form and always uses the default one",
                    "the second argument says how pairs are written",
                ),
            },
        ),
        *instead_of(
            "form.question.format(x=x) + form.answer.format(y=y)",
            {
                "form.question.format(x=y) + form.answer.format(y=x)": (
                    "swaps the two words of each pair",
                    "the first word of a pair is the question",
                ),
                "x + form.answer.format(y=y)": (
                    "writes the words that are shown without their template",
                    "form.question says how a question is written",
                ),
            },
        ),
    ],
)


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
        *instead_of(
            "return [*corrupted, word_pairs[-1]]",
            {
                "return [*word_pairs[:-1], (word_pairs[-1][0], corrupted[-1][1] if corrupted else word_pairs[-1][1])]": (
                    "changes the last answer instead of the others",
                    "the pairs before the last get wrong answers, and the last pair, the question, stays",
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
        Mistake(
            "never draws the last answer",
            "torch.randint(len(wrong), ()",
            "torch.randint(max(1, len(wrong) - 1), ()",
            why="randint never draws its upper end, so the upper end is the number of answers",
        ),
        Mistake(
            "changes the first words",
            "corrupted.append((word, wrong[drawn]))",
            "corrupted.append((wrong[drawn], right))",
            why="the first word of a pair stays, and its answer is drawn",
            shows=draws_words,
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
