"""How good an explanation is: a judge who has only the explanation says on which texts the latent is active.

    detection   texts without marks: on which of them is the latent active anywhere?
    fuzzing     texts with marks: in which of them are the marks at tokens on which it is active?

Detection asks whether the explanation knows the texts, fuzzing whether it knows the tokens. Half of a judge's answers are
right by chance where half of the texts are, so the score is the balanced accuracy: the mean of the share of right answers
among texts that are and among texts that aren't.

Shapes:  tokens "n_texts seq" -> for each latent a dictionary
Raises:  ConfigError for numbers of examples that cannot work; UnknownNameError for a latent or a kind of task that isn't
         there; what `examples` raises.
Source:  Paulo et al. 2024, arXiv:2410.13928, section 3.2 (detection and fuzzing); Karvonen et al. 2025,
         arXiv:2503.09532, section on automated interpretability (several examples in one prompt).
Differs: the most active examples are shown to the explainer and the judge gets others; the wording is our own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from arena_lib.core.progress import progress
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.analysis.activations.examples import Example
from arena_lib.saes.analysis.activations.histograms import LatentActivations, collect_activations
from arena_lib.saes.analysis.activations.texts import Texts
from arena_lib.saes.analysis.autointerp.explaining import (
    BEGINNING,
    CLOSING,
    EXPLAINER,
    OPENING,
    Ask,
    Messages,
    mark_tokens,
    number_texts,
    read_explanation,
    remove_thinking,
    to_messages,
)
from arena_lib.saes.analysis.places import check_latents, token_texts
from arena_lib.saes.autoencoders.base import SAE

Task = Literal["detection", "fuzzing"]
JUDGE = {
    "detection": "You are given an explanation of what a latent of a language model is active on, and numbered texts. Say on "
    "which of the texts the latent is active, on at least one token.",
    "fuzzing": "You are given an explanation of what a latent of a language model is active on, and numbered texts in which "
    f"tokens are marked {OPENING}like this{CLOSING}. Say in which of the texts the marked tokens fit the explanation.",
}
"""What a judge is told first."""
ANSWER_FORM = 'Answer with their numbers, separated by commas, such as "2, 5", or with "None". Write nothing else.'


@dataclass(frozen=True, kw_only=True)
class AutoInterpConfig:
    """How many examples are shown and judged."""

    latent_idxs: tuple[int, ...]
    """The latents to explain."""
    task: Task = "detection"
    """What the judge is asked."""
    n_shown: int = 10
    """The most activating examples, which the explainer sees."""
    n_active: int = 7
    """Examples for the judge on which the latent is active (of fuzzing: marked where it is)."""
    n_inactive: int = 7
    """Examples for the judge on which it isn't (of fuzzing: marked elsewhere)."""
    buffer: int = 8
    """Tokens on each side of an example's own."""
    seed: int = 0
    """Of the choice of examples, and of their order."""

    def __post_init__(self) -> None:
        for name in ("n_shown", "n_active", "n_inactive"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1: got {getattr(self, name)}. Show some examples.")
        if self.buffer < 0:
            raise ConfigError(f"buffer can't be below 0: got {self.buffer}. Pass 0 for the token alone.")
        if self.task not in get_args(Task):
            raise UnknownNameError("task of a judge", str(self.task), get_args(Task))


@dataclass(frozen=True)
class ScoringExample:
    """A text for the judge, and the right answer."""

    text: str
    is_right: bool


def score_predictions(predicted: set[int], truth: Sequence[bool]) -> dict[str, float]:
    """How a judge did, who named the numbers `predicted` (from 1) of texts of which `truth` says which are right.

    `accuracy` is the share of texts judged right, `balanced_accuracy` the mean of the shares among those that are
    right and those that aren't. There must be both kinds.

    >>> score_predictions({1, 2}, [True, False, False, False])
    {'accuracy': 0.75, 'balanced_accuracy': 0.8333333333333333}
    """
    if all(truth) or not any(truth):
        raise ConfigError(
            f"there must be texts that are right and texts that aren't: got {sum(truth)} right of {len(truth)}. Add others."
        )
    is_hit = [(i in predicted) == right for i, right in enumerate(truth, start=1)]
    shares = [
        sum(hit for hit, right in zip(is_hit, truth, strict=True) if right == kind) / sum(r == kind for r in truth)
        for kind in (True, False)
    ]
    return {"accuracy": sum(is_hit) / len(truth), "balanced_accuracy": sum(shares) / 2}


def parse_predictions(answer: str, n_examples: int) -> set[int] | None:
    """The numbers of the texts, from 1 to `n_examples`, that a judge's answer names; None where it can't be read.

    An answer that begins with the word "none", in small or capital letters, names no text, whatever follows. In any
    other answer each whole number from 1 to `n_examples` names a text. "2-4", "2–4" and "2 to 4" on one line, with or
    without spaces, name 3 as well. A number with a decimal point, such as 0.5, isn't the number of a text. If no text is
    named, the word "none" anywhere in the answer means an empty set, and without it the answer can't be read.

    >>> parse_predictions("Texts 2, 5 and 40.", 9), parse_predictions("1 to 3", 9)
    ({2, 5}, {1, 2, 3})
    >>> parse_predictions("None of the 9 texts.", 9), parse_predictions("I can't say.", 9)
    (set(), None)
    """
    words = answer.strip().lower()
    if re.match(r"none\b", words):
        return set()
    number = r"(?<![\d.])(\d+)(?!\d|\.\d)"
    named = {int(digits) for digits in re.findall(number, words)}
    for first, last in re.findall(rf"{number} *(?:-|–|to) *{number}", words):
        named |= set(range(int(first), min(int(last), n_examples) + 1))
    named &= set(range(1, n_examples + 1))
    return named if named or re.search(r"\bnone\b", words) else None


class AutoInterp:
    """Explains latents and scores the explanations, with one model (or script) that explains and one that judges."""

    def __init__(
        self,
        cfg: AutoInterpConfig,
        model: Any,
        sae: SAE,
        tokens: Texts,
        *,
        explainer: Ask,
        judge: Ask | None = None,
        hook_name: str | None = None,
    ) -> None:
        self.cfg, self.model, self.sae, self.tokens, self.hook_name = cfg, model, sae, tokens, hook_name
        self.explainer, self.judge = explainer, judge or explainer
        check_latents(sae, cfg.latent_idxs)

    def run(self, debug: bool = False) -> dict[int, dict[str, Any]]:
        """For each latent its `explanation`, `accuracy` and `balanced_accuracy`, or why it was `skipped`.

        A latent is skipped if it isn't active on enough tokens. Where a judge's answer cannot be read, it counts as
        naming no text, and `is_readable` is False. With `debug` the messages and answers are in the result as well.
        """
        acts = collect_activations(self.model, self.sae, self.tokens, self.cfg.latent_idxs, hook_name=self.hook_name)
        return {
            latent_idx: self._interpret(latent_idx, acts[latent_idx], debug)
            for latent_idx in progress(list(self.cfg.latent_idxs), "interpreting latents")
        }

    def get_generation_prompts(self, examples: Sequence[Example]) -> Messages:
        """What the explainer is told: the examples, with every token marked that is at least half as active as the most."""
        marked = [
            mark_tokens(example.str_tokens, [act >= max(example.activations) / 2 > 0 for act in example.activations])
            for example in examples
        ]
        user = "The texts:\n\n" + number_texts(marked)
        return to_messages({"system": EXPLAINER, "user": user, "assistant": BEGINNING})

    def get_scoring_prompts(self, explanation: str, scoring_examples: Sequence[ScoringExample]) -> Messages:
        """What the judge is told: its task, the explanation, and the numbered texts, without the right answers."""
        texts = number_texts([example.text for example in scoring_examples])
        system = f"{JUDGE[self.cfg.task]} {ANSWER_FORM}"
        user = f"The explanation: the latent is active on {explanation}\n\nThe texts:\n\n{texts}"
        return to_messages({"system": system, "user": user})

    def gather_examples(
        self, acts: LatentActivations, generator: torch.Generator
    ) -> tuple[list[Example], list[ScoringExample]] | None:
        """The examples to show, and those to judge in random order; None if there aren't enough.

        The judge's are drawn from the activations that aren't shown. No two of them, shown or judged, have their token
        within `buffer` of one another.
        """
        cfg = self.cfg
        by_size = acts.values.argsort(descending=True, stable=True).tolist()
        shown = _take_apart(acts, by_size, cfg.n_shown, cfg.buffer, [])
        rest = [by_size[i] for i in torch.randperm(len(by_size), generator=generator).tolist()]
        n_judged = cfg.n_active + (cfg.n_inactive if cfg.task == "fuzzing" else 0)
        judged = _take_apart(acts, [i for i in rest if i not in set(shown)], n_judged, cfg.buffer, shown)
        if len(shown) < cfg.n_shown or len(judged) < n_judged:
            return None
        examples = [acts.example(i, cfg.buffer) for i in judged]
        if cfg.task == "fuzzing":
            examples.sort(key=_has_inactive)  # where all tokens are active, only the right ones can be marked
            scoring = [_mark_active(example) for example in examples[: cfg.n_active]]
            scoring += [_mark_elsewhere(example, generator) for example in examples[cfg.n_active :]]
        else:
            scoring = [ScoringExample("".join(example.str_tokens), True) for example in examples]
            scoring += _draw_inactive(acts, cfg, generator)
        if sum(not example.is_right for example in scoring) < cfg.n_inactive:
            return None
        order = torch.randperm(len(scoring), generator=generator).tolist()
        return [acts.example(i, cfg.buffer) for i in shown], [scoring[i] for i in order]

    def _interpret(self, latent_idx: int, acts: LatentActivations, debug: bool) -> dict[str, Any]:
        """One latent's entry in the result."""
        gathered = self.gather_examples(acts, make_generator(self.cfg.seed))
        if gathered is None:
            return {"skipped": f"active on {len(acts.values)} tokens: too few examples that lie apart"}
        shown, judged = gathered
        asked = self.get_generation_prompts(shown)
        explanation = read_explanation(self.explainer(asked))
        scoring = self.get_scoring_prompts(explanation, judged)
        answer = self.judge(scoring)
        predicted = parse_predictions(remove_thinking(answer), len(judged))
        truth = [example.is_right for example in judged]
        result: dict[str, Any] = {
            "explanation": explanation,
            **score_predictions(predicted or set(), truth),
            "predicted": sorted(predicted or set()),
            "truth": [i for i, right in enumerate(truth, start=1) if right],
            "is_readable": predicted is not None,
        }
        return result | ({"explaining": asked, "judging": scoring, "answer": answer} if debug else {})


# -- examples for the judge -------------------------------------------------------------------------


def _take_apart(acts: LatentActivations, order: Sequence[int], n: int, buffer: int, others: Sequence[int]) -> list[int]:
    """The first n activations in this order whose tokens lie more than `buffer` from one another and from the others."""
    taken: list[int] = []
    places = [(int(acts.rows[i]), int(acts.positions[i])) for i in others]
    for i in order:
        row, position = int(acts.rows[i]), int(acts.positions[i])
        if all(row != a or abs(position - b) > buffer for a, b in places):
            taken.append(i)
            places.append((row, position))
        if len(taken) == n:
            break
    return taken


def _draw_inactive(acts: LatentActivations, cfg: AutoInterpConfig, generator: torch.Generator) -> list[ScoringExample]:
    """Windows of texts on none of whose tokens the latent is active; from texts as they come, in random order."""
    reading, drawn = acts.reading, []
    for row in torch.randperm(len(reading.texts), generator=generator).tolist():
        text = reading.texts[row]
        position = int(torch.randint(len(text), (), generator=generator))
        start, stop = max(position - cfg.buffer, 0), position + cfg.buffer + 1
        active = acts.positions[acts.rows == row]
        if not bool(((active >= start) & (active < stop)).any()) and bool(reading.is_counted[row][start:stop].any()):
            drawn.append(ScoringExample("".join(token_texts(reading.lm, text[start:stop].tolist())), False))
        if len(drawn) == cfg.n_inactive:
            break
    return drawn


def _mark_active(example: Example) -> ScoringExample:
    """The text, marked at its own token."""
    is_marked = [i == example.position for i in range(len(example.str_tokens))]
    return ScoringExample(mark_tokens(example.str_tokens, is_marked), True)


def _has_inactive(example: Example) -> bool:
    return min(example.activations) <= 0


def _mark_elsewhere(example: Example, generator: torch.Generator) -> ScoringExample:
    """The text, marked at a token on which the latent isn't active; if it is on all of them, right after all."""
    inactive = [i for i, act in enumerate(example.activations) if act <= 0]
    if not inactive:
        return _mark_active(example)
    marked = inactive[int(torch.randint(len(inactive), (), generator=generator))]
    return ScoringExample(mark_tokens(example.str_tokens, [i == marked for i in range(len(example.str_tokens))]), False)
