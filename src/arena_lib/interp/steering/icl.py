"""In-context learning: prompts of pairs that follow one rule, the last of them left open.

    Q: hot
    A: cold

    Q: big
    A:

Shapes:  pairs of words -> prompts and the answers that should follow; answers -> token ids "batch".
Raises:  ConfigError where there are too few pairs; TokenError for an answer that is several tokens long.
Source:  Brown et al. 2020, arXiv:2005.14165, for the prompts; Todd et al. 2023, arXiv:2310.15213, sections 2.1
         and 2.3, for corrupted ones.
Differs: no demonstration shares a word with the question; each corrupted answer is one of another pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.errors import ConfigError, TokenError
from arena_lib.wording import counted

Pair = tuple[str, str]
"""A word, and the word that should follow it."""


@dataclass(frozen=True, kw_only=True)
class ICLFormat:
    """How pairs are written down; `{x}` and `{y}` stand for the two words."""

    question: str = "Q: {x}\nA:"
    """A pair's first word, up to where its answer begins."""
    answer: str = " {y}"
    """A pair's second word, with the space in front that its token has."""
    separator: str = "\n\n"
    """Between one pair and the next."""
    start: str = ""
    """In front of everything."""


QUESTION_ANSWER = ICLFormat()
"""`Q: hot`, `A: cold`, as real models have seen it."""
RULE_LIST = ICLFormat(question=" {x}:", separator=",", start="<|endoftext|>")
"""` hot: cold, big: small`, as Storyworld writes its lists; its models read texts from an end-of-text token on."""


def make_prompt(word_pairs: Sequence[Pair], form: ICLFormat = QUESTION_ANSWER) -> tuple[str, str]:
    """Two texts: a prompt that shows all pairs but the last and ends with the last one's question, and its answer.

    The prompt is joined of these, with nothing else in between: `form.start`; for each pair but the last its
    question, its answer and `form.separator`; at the end the last pair's question. A pair's question is
    `form.question.format(x=first_word)` and its answer `form.answer.format(y=second_word)`; the answer that is
    returned is written so too. A single pair makes a prompt without examples. `word_pairs` stays as it is.

    >>> make_prompt([("hot", "cold"), ("big", "small")], ICLFormat(question="{x} ->", separator="; "))
    ('hot -> cold; big ->', ' small')
    >>> make_prompt([("hot", "cold"), ("big", "small")], ICLFormat(question="{x}=", answer="<{y}>", separator=" "))
    ('hot=<cold> big=', '<small>')
    """
    *shown, (asked, expected) = word_pairs
    written = [form.question.format(x=x) + form.answer.format(y=y) + form.separator for x, y in shown]
    prompt = form.start + "".join(written) + form.question.format(x=asked)
    return prompt, form.answer.format(y=expected)


def corrupt_pairs(
    word_pairs: Sequence[Pair], answers: Sequence[str], generator: torch.Generator | None = None
) -> list[Pair]:
    """The same pairs with wrong answers, apart from the last pair, which is the question and stays.

    Each pair but the last keeps its first word and gets an answer drawn from `answers`, all with the same
    chance except its own right answer, which is never drawn. Each is drawn by itself, so an answer may occur
    twice. Draw with `generator` (`torch.randint(n, (), generator=generator)`), and leave the arguments as
    they are.
    """
    corrupted = []
    for word, right in word_pairs[:-1]:
        wrong = [answer for answer in answers if answer != right]
        drawn = int(torch.randint(len(wrong), (), generator=generator))
        corrupted.append((word, wrong[drawn]))
    return [*corrupted, word_pairs[-1]]


class ICLSequence:
    """A few pairs as one prompt, the last pair open."""

    def __init__(self, word_pairs: Sequence[Pair], form: ICLFormat = QUESTION_ANSWER) -> None:
        self.word_pairs, self.form = list(word_pairs), form

    def __len__(self) -> int:
        return len(self.word_pairs)

    def __getitem__(self, idx: int) -> Pair:
        return self.word_pairs[idx]

    def __repr__(self) -> str:
        return f"ICLSequence({self.prompt()!r} -> {self.completion()!r})"

    def prompt(self) -> str:
        """The text that a model reads."""
        return make_prompt(self.word_pairs, self.form)[0]

    def completion(self) -> str:
        """The answer that it should give, with its space."""
        return make_prompt(self.word_pairs, self.form)[1]


class ICLDataset:
    """`size` prompts of one task, each with `n_prepended` pairs in front of the one that is asked.

    The questions go through `word_pairs` in random order, as often as needed; the pairs shown come from
    `demonstrations` (by default `word_pairs` too) and share no word with the question. With `bidirectional`
    each pair is turned round half of the time (for opposites). `corrupted` gives the pairs shown wrong answers.

    >>> pairs = [("hot", "cold"), ("big", "small"), ("wet", "dry")]
    >>> sorted(ICLDataset(pairs, size=3, n_prepended=1, bidirectional=False).completions)
    [' cold', ' dry', ' small']
    """

    def __init__(
        self,
        word_pairs: Sequence[Pair],
        size: int,
        n_prepended: int,
        bidirectional: bool = True,
        seed: int = 0,
        corrupted: bool = False,
        *,
        form: ICLFormat = QUESTION_ANSWER,
        demonstrations: Sequence[Pair] | None = None,
    ) -> None:
        self.word_pairs = [(x, y) for x, y in word_pairs]
        self.demonstrations = self.word_pairs if demonstrations is None else [(x, y) for x, y in demonstrations]
        self.size, self.n_prepended, self.bidirectional = size, n_prepended, bidirectional
        self.seed, self.corrupted, self.form = seed, corrupted, form
        if size < 1 or not self.word_pairs:
            raise ConfigError(
                f"a data set must have a prompt and a pair: got size {size} and {counted(len(self.word_pairs), 'pair')}. "
                "Give at least one of each."
            )
        drawing = torch.Generator().manual_seed(seed)
        pairs = [self._draw(idx, drawing) for idx in _shuffled_over_and_over(len(self.word_pairs), size, drawing)]
        if corrupted:
            spoiling = torch.Generator().manual_seed(seed)
            answers = sorted({word for pair in self.demonstrations for word in (pair if bidirectional else pair[1:])})
            pairs = [corrupt_pairs(of_prompt, answers, spoiling) for of_prompt in pairs]
        self.seqs = [ICLSequence(of_prompt, form) for of_prompt in pairs]
        self.prompts = [seq.prompt() for seq in self.seqs]
        self.completions = [seq.completion() for seq in self.seqs]

    def _draw(self, question: int, generator: torch.Generator) -> list[Pair]:
        """The pairs of one prompt, the question last."""
        asked = self.word_pairs[question]
        others = [pair for pair in self.demonstrations if not set(pair) & set(asked)]
        if len(others) < self.n_prepended:
            raise ConfigError(
                f"{counted(self.n_prepended, 'pair')} in front of ({asked[0]!r}, {asked[1]!r}) must share no word with it: got "
                f"{len(others)} of that kind among {len(self.demonstrations)}. Give more pairs, or lower n_prepended."
            )
        chosen = torch.randperm(len(others), generator=generator)[: self.n_prepended].tolist()
        turned = torch.rand(self.n_prepended + 1, generator=generator) < 0.5
        pairs = [*(others[idx] for idx in chosen), asked]
        return [
            (y, x) if self.bidirectional and is_turned else (x, y)
            for (x, y), is_turned in zip(pairs, turned, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.seqs)

    def __getitem__(self, idx: int) -> ICLSequence:
        return self.seqs[idx]

    def __repr__(self) -> str:
        return f"ICLDataset({counted(len(self), 'prompt')}, the first is {self.seqs[0]!r})"

    def create_corrupted_dataset(self) -> "ICLDataset":
        """The same prompts with wrong answers in front of the question; question and right answer stay."""
        return self._again(self.n_prepended, corrupted=True)

    def create_zero_shot_dataset(self) -> "ICLDataset":
        """The same kind of data set with nothing in front of the question."""
        return self._again(0, corrupted=False)

    def _again(self, n_prepended: int, *, corrupted: bool) -> "ICLDataset":
        return ICLDataset(
            self.word_pairs,
            self.size,
            n_prepended,
            self.bidirectional,
            self.seed,
            corrupted,
            form=self.form,
            demonstrations=self.demonstrations,
        )


def _shuffled_over_and_over(n: int, size: int, generator: torch.Generator) -> list[int]:
    """`size` numbers below n: each once in random order, then each once more, and so on."""
    rounds = [torch.randperm(n, generator=generator) for _ in range(-(-size // n))]
    return [int(idx) for idx in torch.cat(rounds)[:size]]


def answer_tokens(tokenizer: Any, completions: Sequence[str]) -> Int[Tensor, " batch"]:
    """The token of each answer, which must be one token: the model is asked for it in one step."""
    ids = [tokenizer(answer, add_special_tokens=False).input_ids for answer in completions]
    for answer, tokens in zip(completions, ids, strict=True):
        if len(tokens) != 1:
            pieces = tokenizer.convert_ids_to_tokens(tokens)
            raise TokenError(
                f"an answer must be one token: got {answer!r}, which is {len(tokens)}: {pieces}. "
                "Choose words that this tokenizer has whole, with the space in front."
            )
    return torch.tensor([tokens[0] for tokens in ids])


def decode_each(tokenizer: Any, tokens: Int[Tensor, " batch"]) -> list[str]:
    """The text of each token by itself, where `batch_decode` would take one axis for one text."""
    return [tokenizer.decode([int(token)]) for token in tokens]


def decode_texts(tokenizer: Any, tokens: Int[Tensor, "batch seq"]) -> list[str]:
    """Each row as a text, special tokens left out."""
    return [tokenizer.decode(row, skip_special_tokens=True) for row in tokens]


def accuracy(guesses: Sequence[str], completions: Sequence[str]) -> float:
    """The share of guesses that are the answers asked for."""
    if len(guesses) != len(completions) or not completions:
        raise ConfigError(
            f"there must be a guess for each answer: got {len(guesses)} and {len(completions)}. Use the same data set."
        )
    return sum(guess == answer for guess, answer in zip(guesses, completions, strict=True)) / len(completions)
