"""Judges of part 1 of section 2.4: rewards that count, and rewards made comparable."""

import re

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.rlhf.rewards import characters, moods, scaling
from arena_lib.storyworld.lexicon import BAD_MOODS, GOOD_MOODS

__test__ = False

STORY = "Mary saw Tom. Tom was glad. He left."


def count_cases(generator: torch.Generator) -> list[Case]:
    """Full stops and other characters, also those that mean something in a pattern."""
    calls: dict[str, tuple[list[str], *tuple[str, ...]]] = {
        "full stops": ([STORY, "Nobody", "Well... no."],),
        "one text": (["A. B"],),
        "an empty text among others": (["", "a.b", ".", ".."],),
        "no texts": ([],),
        "a letter": (["Tom told Tina.", "To", "at the top"], "t"),
        "a capital letter": (["Tom told Tina.", "To", "at the top"], "T"),
        "spaces": (["one two  three", " ", "none", " a"], " "),
        "question marks": (["Who? Tom.", "Why??"], "?"),
    }
    return [Case(label=label, args=args, axes={"output": "batch"}) for label, args in calls.items()]


def count_by_comparing(generated_sample: list[str], char: str = ".") -> Tensor:
    """Character by character."""
    counts = torch.zeros(len(generated_sample))
    for i, text in enumerate(generated_sample):
        counts[i] = sum(letter == char for letter in text)
    return counts


def count_by_splitting(generated_sample: list[str], char: str = ".") -> Tensor:
    """A text with n such characters falls into n + 1 pieces."""
    return torch.tensor([len(text.split(char)) - 1 for text in generated_sample], dtype=torch.float32)


EACH_COUNT = "float(text.count(char))"

test_reward_fn_char_count = exercise(
    reference=characters.reward_fn_char_count,
    cases=count_cases,
    accepts=[count_by_comparing, count_by_splitting],
    mistakes=[
        *instead_of(
            EACH_COUNT,
            {
                "text.count(char)": ("gives whole numbers", "rewards are floats: torch.tensor of floats"),
                "float(char in text)": ("gives 1 however often it occurs", "each time that it occurs counts"),
                "float(len(text.split(char)))": (
                    "counts the pieces between the characters",
                    "n characters cut a text into n + 1 pieces",
                ),
                'float(text.count("."))': ("always counts full stops", "char says what is counted"),
                "float(len(text))": ("counts all characters", "only char counts"),
                "text.count(char) / max(len(text), 1)": (
                    "gives the share of the characters",
                    "how often it occurs is asked for, whatever the length of the text",
                ),
                "float(text.lower().count(char.lower()))": (
                    "takes capital and small letters for the same",
                    'they are two characters: "T" is not "t"',
                ),
                "float(text.endswith(char))": ("looks at the end alone", "each time that it occurs counts"),
                "float(sum(char in word for word in text.split()))": (
                    "counts the words that have it",
                    'each time that it occurs counts, so "..." three times',
                ),
                "float(len([piece for piece in text.split(char) if piece]))": (
                    "counts the pieces that aren't empty",
                    "n characters cut a text into n + 1 pieces, some of which may be empty",
                ),
                'float(len(__import__("re").findall(__import__("re").escape(char) + "+", text)))': (
                    "counts several in a row once",
                    'each time that it occurs counts, so "..." three times',
                ),
                "-float(text.count(char))": ("turns the sign round", "a reward is larger where char occurs more often"),
                'float(len(__import__("re").findall(char, text)))': (
                    "reads char as a pattern",
                    'in a pattern "." stands for any character; here it is a full stop: str.count, or re.escape',
                ),
                'float("".join(generated_sample).count(char))': (
                    "counts in all texts together",
                    "each text has a reward of its own",
                ),
            },
        ),
        *instead_of(
            'char: str = "."',
            {'char: str = " "': ("counts spaces where nothing is said", "the default is a full stop")},
        ),
    ],
)


def reward_cases(generator: torch.Generator) -> list[Case]:
    """Many and few rewards, far from 0, close together, all equal, and a single one."""
    draw = torch.randn(9, generator=generator, dtype=torch.float64)
    calls: dict[str, tuple[Tensor, *tuple[float, ...]]] = {
        "nine rewards": (3 * draw.float() + 5,),
        "two rewards": (torch.tensor([-1.0, 4.0]),),
        "very close together": (2e-5 * draw[:5].float(),),
        "a large eps": (0.5 * draw[:6].float() - 2, 0.3),
        "a small spread and a large eps": (0.1 * draw[:4].float(), 1.0),
        "all equal": (torch.full((7,), 2.0),),
        "a single reward": (torch.tensor([3.0]),),
        "in float64": (draw[:8] * 2 + 1, 1e-3),
    }
    return [Case(label=label, args=args, axes={"output": "batch"}) for label, args in calls.items()]


def normalize_by_sums(reward: Tensor, eps: float = 1e-5) -> Tensor:
    """Mean and spread written out."""
    n = reward.numel()
    centred = reward - reward.sum() / n
    return centred / ((centred.square().sum() / max(n - 1, 1)).sqrt() + eps)


def normalize_by_mean_of_squares(reward: Tensor, eps: float = 1e-5) -> Tensor:
    """From the spread with n to that with n - 1."""
    if reward.shape[0] == 1:
        return torch.zeros_like(reward)
    n = len(reward)
    std = torch.std(reward, correction=0) * (n / (n - 1)) ** 0.5
    return reward.sub(reward.mean()).div(std.add(eps))


DIVIDED = "centred / (reward.std() + eps)"

test_normalize_reward = exercise(
    reference=scaling.normalize_reward,
    cases=reward_cases,
    accepts=[normalize_by_sums, normalize_by_mean_of_squares],
    mistakes=[
        *instead_of(
            DIVIDED,
            {
                "centred / (reward.var() + eps)": ("divides by the variance", "std is the root of the variance"),
                "centred / (reward.std(correction=0) + eps)": (
                    "takes the spread with n",
                    "std is torch's, which divides the squares by n - 1",
                ),
                "centred / (reward.var() + eps).sqrt()": (
                    "adds eps under the root",
                    "eps is added to std, after the root",
                ),
                "centred / reward.std()": ("leaves eps out", "where all rewards are equal, std is 0, and 0 / 0 is NaN"),
                "centred / reward.std() + eps": ("adds eps to the result", "eps is added to std: mind the brackets"),
                "centred / reward.std().clamp(min=eps)": ("takes eps as a bound for std", "eps is added to std"),
                "centred / (reward.std() + 1e-5)": ("always takes 1e-5 for eps", "eps is an argument"),
                "centred / (reward.abs().mean() + eps)": (
                    "divides by the mean size",
                    "rewards are divided by their standard deviation",
                ),
                "centred / (centred.abs().max() + eps)": (
                    "divides by the largest distance from the mean",
                    "rewards are divided by their standard deviation",
                ),
                "centred": ("does not divide by std", "the result has standard deviation 1"),
                "reward / (reward.std() + eps)": ("does not subtract the mean", "the result has mean 0"),
                "(reward - reward.min()) / (reward.max() - reward.min() + eps)": (
                    "scales to 0 ... 1",
                    "mean 0 and standard deviation 1 are asked for",
                ),
                "(centred / (reward.std() + eps)).float()": (
                    "rounds to float32",
                    "the result has the dtype of the rewards",
                ),
                "(centred / (reward.std() + eps)).clamp(-1, 1)": ("clips the result", "nothing is clipped"),
            },
        ),
        *instead_of(
            "len(reward) < 2",
            {
                "not len(reward)": (
                    "gives NaN for a single reward",
                    "with n - 1 = 0 std is NaN; the result is 0 then, so ask for the length first",
                ),
            },
        ),
        *instead_of(
            "centred if len(reward) < 2",
            {
                "reward if len(reward) < 2": (
                    "gives a single reward back as it is",
                    "a single reward is its own mean, so the result is 0",
                ),
            },
        ),
        *instead_of(
            "centred = reward - reward.mean()",
            {
                "centred = reward - reward.median()": ("subtracts the median", "the mean is subtracted"),
                "centred = reward.mean() - reward": ("turns the sign round", "better than the mean is above 0"),
            },
        ),
        Mistake(
            "writes into the rewards",
            "centred = reward - reward.mean()",
            "centred = reward.sub_(reward.mean())",
            why="no argument is changed: - makes a new tensor, -= and sub_ don't",
            shows=changes_an_argument,
        ),
        *instead_of(
            "eps: float = 1e-5",
            {
                "eps: float = 1e-8": ("takes 1e-8 for eps where nothing is said", "the default is 1e-5"),
                "eps: float = 1e-4": ("takes 1e-4 for eps where nothing is said", "the default is 1e-5"),
            },
        ),
    ],
)


def mood_cases(generator: torch.Generator) -> list[Case]:
    """Every mood word, words repeated, with punctuation, near misses, and texts without any."""
    calls = {
        "three stories": [STORY, "Tom felt lonely and upset.", "Mary sat. Then she left."],
        "each good word": [f"Mary was {word}." for word in GOOD_MOODS],
        "each bad word": [f"He felt {word}, not tired" for word in BAD_MOODS] + ["He felt"],
        "good and bad in one text": ["Tom was glad but lonely.", "angry upset glad", "worried, thankful, cheerful"],
        "the same word again and again": ["glad glad glad glad glad glad", "gloomy gloomy gloomy angry"],
        "long and short texts": ["glad " + "Tom had a box. " * 7, "glad", "pleased and"],
        "words that only contain one": ["gladly", "Mary was unpleased.", "a hungry man, angrily glad"],
        "punctuation beside a word": ['"glad", (pleased) and upset!', "lonely? angry; glad: glad"],
        "after not": ["not glad", "Mary was not lonely but pleased."],
        "one empty text": [""],
        "no texts": [],
    }
    return [Case(label=label, args=(texts,), axes={"output": "batch"}) for label, texts in calls.items()]


def moods_by_pattern(generated_sample: list[str]) -> Tensor:
    """By patterns with the edges of words."""
    good, bad = (re.compile(rf"\b({'|'.join(words)})\b") for words in (GOOD_MOODS, BAD_MOODS))
    counts = [len(good.findall(text)) - len(bad.findall(text)) for text in generated_sample]
    return torch.tensor(counts, dtype=torch.float32) / 4


def moods_by_loop(generated_sample: list[str]) -> Tensor:
    """Adds up a quarter for each word."""
    rewards = torch.zeros(len(generated_sample))
    for i, text in enumerate(generated_sample):
        for word in re.split(r"\W+", text):
            rewards[i] += 0.25 if word in GOOD_MOODS else -0.25 if word in BAD_MOODS else 0.0
    return rewards


WORTH = "(n_good - n_bad) / WORDS_PER_UNIT"
GOOD = "n_good = sum(word in GOOD_MOODS for word in words)"
BAD = "n_bad = sum(word in BAD_MOODS for word in words)"

test_reward_fn_good_moods = exercise(
    reference=moods.reward_fn_good_moods,
    cases=mood_cases,
    accepts=[moods_by_pattern, moods_by_loop],
    mistakes=[
        *instead_of(
            WORTH,
            {
                "float(n_good - n_bad)": ("does not divide by 4", "four words are worth 1"),
                "(n_good - n_bad) * WORDS_PER_UNIT": ("multiplies by 4", "four words are worth 1"),
                "float((n_good - n_bad) // WORDS_PER_UNIT)": (
                    "rounds to whole numbers",
                    "one word is worth a quarter: / divides, // rounds down",
                ),
                "(n_good - n_bad) / max(len(words), 1)": (
                    "divides by the length of the text",
                    "the difference is divided by 4, however long the text is",
                ),
                "(n_good - n_bad) / max(n_good + n_bad, 1)": (
                    "divides by the number of mood words",
                    "the difference is divided by 4, however many moods there are",
                ),
                "min((n_good - n_bad) / WORDS_PER_UNIT, 1.0)": ("stops at 1", "there is no highest reward"),
                "max(n_good - n_bad, 0) / WORDS_PER_UNIT": (
                    "never goes below 0",
                    "more bad than good words are worth less than nothing",
                ),
                "(n_bad - n_good) / WORDS_PER_UNIT": (
                    "turns the sign round",
                    "good words are added, bad words subtracted",
                ),
                "n_good / WORDS_PER_UNIT": ("leaves the bad words out", "each bad word takes one away"),
                "-n_bad / WORDS_PER_UNIT": ("leaves the good words out", "each good word adds one"),
                "(n_good + n_bad) / WORDS_PER_UNIT": ("adds the bad words", "each bad word takes one away"),
                "(n_good - n_bad) / len(GOOD_MOODS)": (
                    "divides by the number of good moods in the lexicon",
                    "the difference is divided by 4: WORDS_PER_UNIT",
                ),
                "(n_good - n_bad) / len([*GOOD_MOODS, *BAD_MOODS])": (
                    "divides by the number of moods in the lexicon",
                    "the difference is divided by 4: WORDS_PER_UNIT",
                ),
                "n_good - n_bad / WORDS_PER_UNIT": (
                    "divides the bad words alone",
                    "the difference is divided: it needs brackets",
                ),
                "float((n_good > n_bad) - (n_good < n_bad)) / WORDS_PER_UNIT": (
                    "asks only whether there are more good words",
                    "how many more there are counts",
                ),
            },
        ),
        *instead_of(
            "words = split_words(text)",
            {
                "words = set(split_words(text))": (
                    "counts each word once",
                    "a word that stands there twice counts twice, and that is how this reward is hacked",
                ),
                "words = text.split()": (
                    "misses words beside punctuation",
                    '"glad." is the word glad and a full stop: split_words takes them apart',
                ),
                'words = split_words(" ".join(generated_sample))': (
                    "counts in all texts together",
                    "each text has a reward of its own",
                ),
                'words = [word for before, word in zip(("", *split_words(text)), split_words(text)) if before != "not"]': (
                    'leaves out words after "not"',
                    'the words before don\'t matter: "not glad" counts as good',
                ),
            },
        ),
        Mistake(
            "counts words that only contain a mood",
            f"{GOOD}\n        {BAD}",
            "n_good = sum(text.count(mood) for mood in GOOD_MOODS)\n"
            "        n_bad = sum(text.count(mood) for mood in BAD_MOODS)",
            why='"gladly" is another word than "glad": compare whole words',
        ),
    ],
)
