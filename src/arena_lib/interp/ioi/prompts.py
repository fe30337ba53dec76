"""The data set of indirect object identification, and its ABC counterpart with three unrelated names.

A prompt names two people, lets one of them give something, and stops where the other's name must come:
"When Mary and John went to the park, John gave the ball to". The one who gets it is the indirect object
(IO); the giver is the subject, named twice (S1, S2). In form ABBA the IO is named first, in BABA the subject.

Shapes:  toks "batch seq"; every position and answer "batch"; answer_tokens "batch 2" (IO, then S).
Raises:  TokenError for a name of several tokens, or one that also stands in the sentence; ConfigError for
         templates without a slot, or fewer names than a prompt needs; ShapeError for prompts that must align.
Source:  Wang et al. 2022, arXiv:2211.00593, section 2.1 (task, data set) and appendix A (templates; p_ABC).
Differs: the sentences are ours. The templates of each list have one length and their names in the same
         places, so that positions align across the whole data set; templates of other lengths may be
         passed, and are padded on the right. ABC names are never those of the prompt they stand in for.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError, TokenError, UnknownNameError
from arena_lib.storyworld import lexicon
from arena_lib.transformer.fast.text.tokens import TextModel
from arena_lib.wording import counted

SLOTS = ("A", "B", "S", "place", "object")
"""What a template must have: the first and the second who are named, the giver, where, and what is given."""


@dataclass(frozen=True, kw_only=True)
class IOIWords:
    """What prompts are made of. A template ends where the answer must come."""

    templates: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[str, ...]
    objects: tuple[str, ...]

    def __post_init__(self) -> None:
        for template in self.templates:
            slots = sorted(name for _, name, _, _ in string.Formatter().parse(template) if name)
            if slots != sorted(SLOTS):
                raise ConfigError(
                    f"a template must have each of {{{'}, {'.join(SLOTS)}}} once: got {template!r} with {slots}. "
                    "{A} and {B} are who is together, {S} is the giver."
                )
        if not (self.templates and self.places and self.objects):
            raise ConfigError("prompts need at least one template, place and object: got an empty list. Add some.")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


STORYWORLD = IOIWords(
    templates=(
        "When {A} and {B} went to the {place}, {S} gave the {object} to",
        "After {A} and {B} came to the {place}, {S} handed the {object} to",
        "When {A} and {B} sat in the {place}, {S} passed the {object} to",
        "As {A} and {B} walked through the {place}, {S} threw the {object} to",
        "Because {A} and {B} were in the {place}, {S} showed the {object} to",
        "When {A} and {B} went to the {place}, {S} offered a {object} to",
    ),
    names=lexicon.TRAIN_NAMES,
    places=lexicon.PLACES,
    objects=tuple(thing for thing in lexicon.THINGS if thing[0] not in "aeiou"),
)
"""For the models that speak Storyworld."""

ENGLISH = IOIWords(
    templates=(
        "When {A} and {B} met at the {place}, {S} gave a {object} to",
        "After {A} and {B} walked to the {place}, {S} handed a {object} to",
        "While {A} and {B} rested at the {place}, {S} passed a {object} to",
        "Because {A} and {B} worked at the {place}, {S} showed a {object} to",
        "Once {A} and {B} arrived at the {place}, {S} offered a {object} to",
        "As {A} and {B} drove to the {place}, {S} lent a {object} to",
    ),
    names=_words(
        """Mary John Anna Peter Emma Paul Alice James Clara David Julia Robert Laura Thomas Sarah Henry Ruth George Lucy
        Frank Helen Simon Maria Daniel Jane Kevin Kate Brian Linda Edward Diana Jason Susan Jacob Karen Eric Nancy Adam
        Emily Martin Rachel Walter Amy Arthur Martha Albert Grace Carl Tina Harry Lisa Fred Ella Bruce Jack Tom Sam
        Max Leo"""
    ),
    places=("school", "store", "park", "station", "church", "hospital", "office", "restaurant", "library", "market"),
    objects=("book", "ring", "bottle", "key", "letter", "drink", "ball", "ticket", "basket", "cup"),
)
"""For models of real English."""


@dataclass(frozen=True, kw_only=True)
class IOIPrompt:
    """One prompt by its parts. `giver` is `subject` in IOI prompts and a third name in ABC prompts."""

    template_idx: int
    template: str
    io: str
    subject: str
    giver: str
    is_io_first: bool
    """Form ABBA."""
    place: str
    object: str

    @property
    def text(self) -> str:
        """The prompt, up to where the answer must come."""
        first, second = (self.io, self.subject) if self.is_io_first else (self.subject, self.io)
        return self.template.format(A=first, B=second, S=self.giver, place=self.place, object=self.object)


class IOIDataset:
    """Prompts as tokens, with the position of each role in each prompt.

    `word_idx` maps "IO", "S1", "S2" (the names), "IO-1", "IO+1", "S1-1", "S1+1", "S2-1", "S2+1" (their
    neighbours), "start" (the first token) and "end" (the last, where the answer is predicted) to positions
    "batch". Shorter prompts are padded after "end", where a causal model can't look from "end".
    """

    def __init__(
        self,
        prompts: Sequence[IOIPrompt],
        tokenizer: Any,
        *,
        prepend_bos: bool = True,
        device: str | torch.device = "cpu",
    ) -> None:
        if not prompts:
            raise ConfigError("a data set must have a prompt: got none. Ask for at least one.")
        self.prompts, self.tokenizer = tuple(prompts), tokenizer
        self.prepend_bos, self.device = prepend_bos, device
        encoder = TextModel()
        encoder.tokenizer = tokenizer
        bos = getattr(tokenizer, "bos_token_id", None)
        start = [bos] if prepend_bos and bos is not None else []
        rows = [start + encoder.encode(prompt.text) for prompt in prompts]
        longest = max(map(len, rows))
        pad = next((i for i in (getattr(tokenizer, "eos_token_id", None), bos) if i is not None), 0)
        padded = [row + [pad] * (longest - len(row)) for row in rows]
        self.toks: Int[Tensor, "batch seq"] = torch.tensor(padded, device=device)
        names = {name for prompt in prompts for name in (prompt.io, prompt.subject, prompt.giver)}
        ids = {name: encoder.to_single_token(f" {name}") for name in sorted(names)}
        self.io_tokens: Int[Tensor, " batch"] = torch.tensor([ids[p.io] for p in prompts], device=device)
        self.s_tokens: Int[Tensor, " batch"] = torch.tensor([ids[p.subject] for p in prompts], device=device)
        self.word_idx = {role: at.to(device) for role, at in _find_roles(prompts, rows, ids).items()}

    def __len__(self) -> int:
        """How many prompts there are."""
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"IOIDataset({counted(len(self), 'prompt')} of up to {counted(self.toks.shape[1], 'token')}: {self.prompts[0].text!r} ...)"

    @cached_property
    def sentences(self) -> list[str]:
        """The prompts as texts."""
        return [prompt.text for prompt in self.prompts]

    @property
    def answer_tokens(self) -> Int[Tensor, "batch 2"]:
        """The right answer (IO) and the wrong one (S) of each prompt."""
        return torch.stack([self.io_tokens, self.s_tokens], dim=1)

    @property
    def groups(self) -> Int[Tensor, " batch"]:
        """The index of each prompt's template."""
        return torch.tensor([prompt.template_idx for prompt in self.prompts], device=self.device)

    @property
    def seq_labels(self) -> list[str]:
        """A label for each position, the first prompt's tokens, for figures of aligned data sets."""
        return [str(self.tokenizer.decode([token])) for token in self.toks[0].tolist()]

    def at(self, role: str) -> Int[Tensor, " batch"]:
        """The position of a role in each prompt."""
        if role not in self.word_idx:
            raise UnknownNameError("role in a prompt", role, self.word_idx)
        return self.word_idx[role]

    def position(self, role: str) -> int:
        """The position of a role, where it is the same in all prompts."""
        found = self.at(role).unique().tolist()
        if len(found) != 1:
            raise ShapeError(
                f"{role} must stand at one position in all prompts: got positions {found}. "
                "Use templates that align and one form, or take at(role), one position for each prompt."
            )
        return int(found[0])

    def swap_givers(self) -> "IOIDataset":
        """The same sentences with the other person giving: what was the IO is now the subject."""
        return self._with(
            [replace(p, io=p.subject, subject=p.io, giver=p.io, is_io_first=not p.is_io_first) for p in self.prompts]
        )

    def swap_order(self) -> "IOIDataset":
        """The same people, giver and answer, with the other one named first: ABBA becomes BABA, and back."""
        return self._with([replace(prompt, is_io_first=not prompt.is_io_first) for prompt in self.prompts])

    def rename(self, generator: torch.Generator, names: Sequence[str]) -> "IOIDataset":
        """The same sentences and forms with two other people in place of each prompt's own."""
        prompts = []
        for prompt in self.prompts:
            io, subject = _draw_names([n for n in names if n not in (prompt.io, prompt.subject)], 2, generator)
            prompts.append(replace(prompt, io=io, subject=subject, giver=subject))
        return self._with(prompts)

    def abc(self, generator: torch.Generator, names: Sequence[str]) -> "IOIDataset":
        """The same sentences with three unrelated names, drawn from `names` less the prompt's own (p_ABC)."""
        prompts = []
        for prompt in self.prompts:
            io, subject, giver = _draw_names([n for n in names if n not in (prompt.io, prompt.subject)], 3, generator)
            prompts.append(replace(prompt, io=io, subject=subject, giver=giver))
        return self._with(prompts)

    def _with(self, prompts: Sequence[IOIPrompt]) -> "IOIDataset":
        return IOIDataset(prompts, self.tokenizer, prepend_bos=self.prepend_bos, device=self.device)


def make_ioi_dataset(
    tokenizer: Any,
    n_prompts: int,
    *,
    generator: torch.Generator,
    words: IOIWords = STORYWORLD,
    form: str = "mixed",
    prepend_bos: bool = True,
    device: str | torch.device = "cpu",
) -> IOIDataset:
    """Prompts from all templates in turn, each form equally often if `form` is "mixed"; names, places, objects drawn.

    `tokenizer` is that of the model that reads them, or the model itself.
    """
    if form not in ("ABBA", "BABA", "mixed"):
        raise ConfigError(f"form must be 'ABBA', 'BABA' or 'mixed': got {form!r}. ABBA names the IO first.")
    prompts = []
    for i in range(n_prompts):
        # Two neighbours share a template, so that templates and forms are balanced against each other.
        template_idx = (i // 2 if form == "mixed" else i) % len(words.templates)
        io, subject = _draw_names(words.names, 2, generator)
        prompts.append(
            IOIPrompt(
                template_idx=template_idx,
                template=words.templates[template_idx],
                io=io,
                subject=subject,
                giver=subject,
                is_io_first=form == "ABBA" or (form == "mixed" and i % 2 == 0),
                place=_draw(words.places, generator),
                object=_draw(words.objects, generator),
            )
        )
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    return IOIDataset(prompts, tokenizer, prepend_bos=prepend_bos, device=device)


def keep_single_tokens(tokenizer: Any, words: Iterable[str]) -> tuple[str, ...]:
    """Those of the words that are one token with a space in front."""
    encoder = TextModel()
    encoder.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    return tuple(word for word in words if len(encoder.encode(f" {word}")) == 1)


def _draw(words: Sequence[str], generator: torch.Generator) -> str:
    return words[int(torch.randint(len(words), (), generator=generator))]


def _draw_names(names: Sequence[str], n: int, generator: torch.Generator) -> list[str]:
    distinct = list(dict.fromkeys(names))
    if len(distinct) < n:
        raise ConfigError(f"{n} different names must be there to draw from: got {len(distinct)}. Pass more names.")
    return [distinct[i] for i in torch.randperm(len(distinct), generator=generator)[:n].tolist()]


def _find_roles(
    prompts: Sequence[IOIPrompt], rows: Sequence[Sequence[int]], ids: Mapping[str, int]
) -> dict[str, Int[Tensor, " batch"]]:
    """The position of every role in each row: names are found by their token."""
    found: dict[str, list[int]] = {"IO": [], "S1": [], "S2": []}
    for prompt, row in zip(prompts, rows, strict=True):
        found["IO"] += _places(prompt, row, ids, prompt.io, 1)
        if prompt.giver == prompt.subject:
            first, second = _places(prompt, row, ids, prompt.subject, 2)
        else:
            (first,), (second,) = (_places(prompt, row, ids, name, 1) for name in (prompt.subject, prompt.giver))
        found["S1"].append(first)
        found["S2"].append(second)
    roles = {role: torch.tensor(places) for role, places in found.items()}
    for role in ("IO", "S1", "S2"):
        roles |= {f"{role}-1": roles[role] - 1, f"{role}+1": roles[role] + 1}
    roles["start"] = torch.zeros(len(rows), dtype=torch.int64)
    roles["end"] = torch.tensor([len(row) - 1 for row in rows])
    return roles


def _places(prompt: IOIPrompt, row: Sequence[int], ids: Mapping[str, int], name: str, n_wanted: int) -> list[int]:
    places = [i for i, token in enumerate(row) if token == ids[name]]
    if len(places) != n_wanted:
        raise TokenError(
            f"the name {name!r} must be {n_wanted} of the prompt's tokens, each of them with a space in front: it is "
            f"{len(places)} in {prompt.text!r}. Use a name that is no other word of the sentence, and begin the "
            "template with another word."
        )
    return places
