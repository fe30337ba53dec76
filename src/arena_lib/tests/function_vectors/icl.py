"""Judges of in-context prompts: how pairs are written down, and how their answers are spoiled.

Shapes:  pairs of words -> a prompt and its answer, or pairs.
"""

from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise
from arena_lib.checking.observing import Observations
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
        Mistake(
            "shows the answer that is asked for",
            "form.question.format(x=asked)\n",
            "form.question.format(x=asked) + form.answer.format(y=expected)\n",
            why="the prompt ends where the last answer would begin",
        ),
        Mistake("forgets the start", "form.start + ", "", why="form.start stands in front of everything"),
        Mistake(
            "leaves the separators out",
            " + form.separator for x, y",
            " for x, y",
            why="each pair that is shown ends with form.separator",
        ),
        Mistake(
            "ends with a separator",
            "form.question.format(x=asked)\n",
            "form.question.format(x=asked) + form.separator\n",
            why="nothing stands behind the last question: the answer comes next",
        ),
        Mistake(
            "gives the bare word as the answer",
            "form.answer.format(y=expected)",
            "expected",
            why="the answer is what stands in the text, with its space: that is another token than the bare word",
        ),
        Mistake(
            "asks for the first pair",
            "*shown, (asked, expected) = word_pairs",
            "(asked, expected), *shown = word_pairs",
            why="the last pair is the question",
        ),
        Mistake(
            "turns the pairs round",
            "form.question.format(x=x) + form.answer.format(y=y)",
            "form.question.format(x=y) + form.answer.format(y=x)",
            why="the first word of a pair is the question",
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


def many_corruptions(function: Any, case: Case) -> Observations:
    """What stays; how often each answer is drawn for the first pair; how often two pairs get the same; whose generator."""
    pairs, answers = case.args
    own = list(pairs), list(answers)
    generator = torch.Generator().manual_seed(1)
    drawn = [function(*own, generator) for _ in range(N_DRAWS)]
    if not all(isinstance(result, list | tuple) for result in drawn):
        raise Unfit(f"corrupt_pairs must return a list of pairs, the question last: got {type(drawn[0]).__name__}.")
    counts = {len(result) for result in drawn}
    seen: Observations = {"number of pairs": max(counts, key=lambda count: abs(count - len(pairs)))}
    if counts != {len(pairs)}:
        return seen
    seen |= {
        "the question": tuple(drawn[0][-1]),
        "first words": [pair[0] for pair in drawn[0]],
        "arguments as they were": own == (list(pairs), list(answers)),
    }
    if len(pairs) > 1:
        firsts = [result[0][1] for result in drawn]
        seen["shares of the answers for the first pair"] = torch.tensor([firsts.count(a) / N_DRAWS for a in answers])
        generators = [torch.Generator().manual_seed(6) for _ in range(2)]
        once, again = ([function(*own, g) for _ in range(40)] for g in generators)
        seen["the generator decides"] = once == again
    if len(pairs) > 2:
        same = sum(result[0][1] == result[1][1] for result in drawn) / N_DRAWS
        seen["share of draws in which two pairs get the same answer"] = torch.tensor(same)
    return seen


def corrupt_pairs_by_weights(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """Draws by weights, until the last pair."""
    out = []
    for at, (x, y) in enumerate(word_pairs):
        if at < len(word_pairs) - 1:
            weights = torch.tensor([float(a != y) for a in answers])
            y = answers[int(torch.multinomial(weights, 1, generator=generator))]
        out.append((x, y))
    return out


def corrupt_pairs_by_rejection(word_pairs: Any, answers: Any, generator: Any = None) -> list[tuple[str, str]]:
    """Draws until it is wrong."""
    out = []
    for x, y in list(word_pairs)[:-1]:
        new = y
        while new == y:
            new = answers[int(torch.randint(0, len(answers), (1,), generator=generator))]
        out.append((x, new))
    return [*out, word_pairs[-1]]


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
    tolerance={
        "shares of the answers for the first pair": FREQUENCIES,
        "share of draws in which two pairs get the same answer": FREQUENCIES,
    },
    accepts=[corrupt_pairs_by_weights, corrupt_pairs_by_rejection],
    mistakes=[
        Mistake(
            "spoils the question too",
            "for word, right in word_pairs[:-1]:",
            "for word, right in word_pairs:",
            why="the last pair is what is asked: its right answer is needed",
        ),
        Mistake(
            "changes the last answer in place of the others",
            "return [*corrupted, word_pairs[-1]]",
            "return [*word_pairs[:-1], (word_pairs[-1][0], corrupted[-1][1] if corrupted else word_pairs[-1][1])]",
            why="the pairs that are shown are spoiled, and the question stays",
        ),
        Mistake(
            "may draw the right answer",
            "[answer for answer in answers if answer != right]",
            "list(answers)",
            why="a pair with its right answer still shows the task",
        ),
        Mistake(
            "always draws the first wrong answer",
            "wrong[drawn]",
            "wrong[0]",
            why="all wrong answers have the same chance",
        ),
        Mistake(
            "never draws the last answer",
            "torch.randint(len(wrong), ()",
            "torch.randint(max(1, len(wrong) - 1), ()",
            why="randint's upper end isn't drawn anyway",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="the same generator must give the same pairs",
        ),
        Mistake(
            "deals answers out so that none comes twice",
            function=corrupt_by_shuffling,
            why="each answer is drawn by itself",
        ),
    ],
)
