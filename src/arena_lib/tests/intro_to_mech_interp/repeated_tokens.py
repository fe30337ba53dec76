"""Judge of repeated tokens.

Shapes:  tokens "batch seq" with seq = 1 + 2n.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.checking.reports.calls import value_text
from arena_lib.interp.heads.induction import generate_repeated_tokens
from arena_lib.tests.intro_to_mech_interp.small_models import BOS, make_model

__test__ = False

SOME_IDS = (2, 5, 6, 11)
"""A part of the vocabulary to draw from."""
MANY_ROWS = 40
"""Of so many rows it is counted how often each id was drawn; the smaller case expects 110 of each."""
BEGINS, OUTSIDE = "the first token of each row", "ids outside those given"
UNEVEN, TWICE = "ids drawn far too often or too seldom", "a generator that is used twice gives other tokens"
UNTOUCHED, SAME_SEED = "torch's own generator is unchanged", "a generator of the same seed gives the same tokens"
SECOND_IS_FIRST, REVERSED = "the second copy equals the first", "the second copy is the first reversed"


def token_cases(generator: torch.Generator) -> list[Case]:
    """A few rows, one row, enough draws to see all tokens, and part of the vocabulary."""
    models = {"small": make_model(generator), "larger": make_model(generator, d_vocab=17)}
    some = torch.tensor(SOME_IDS)
    calls: dict[str, tuple[str, int, int, Tensor | None]] = {
        "a few rows": ("small", 7, 3, None),
        "one row": ("larger", 12, 1, None),
        "many draws": ("larger", 19, 60, None),
        "part of the vocabulary": ("small", 11, 40, some),
    }
    return [
        Case(
            label=label,
            given={"model": models[which], "call": (seq_len, batch, ids)},
            axes={"tokens": "batch seq", "logits": "batch seq d_vocab"},
            call=f"model, {seq_len}, {batch}, {value_text(ids)}, generator",
        )
        for label, (which, seq_len, batch, ids) in calls.items()
    ]


def look_at_tokens(tokens: Any, case: Case) -> Observations:
    """What must hold of repeated tokens, whichever were drawn."""
    seq_len, batch, ids = case.given["call"]
    if not isinstance(tokens, Tensor) or tokens.is_floating_point():
        raise Unfit(f"Tokens are a tensor of integers: got {described(tokens)}. torch.full with an int makes one.")
    seen: Observations = {"tokens": torch.zeros_like(tokens)}  # for their shape and dtype
    if tokens.shape != (batch, 1 + 2 * seq_len):
        return seen
    first, second = tokens[:, 1 : 1 + seq_len], tokens[:, 1 + seq_len :]
    drawn = set(first.flatten().tolist())
    return seen | {
        BEGINS: tokens[:, 0].tolist(),
        REVERSED: torch.equal(first, second.flip(1)),
        "each token comes twice in a row": torch.equal(tokens[:, 1::2], tokens[:, 2::2]),
        "both copies hold the same tokens, in any order": torch.equal(first.sort().values, second.sort().values),
        SECOND_IS_FIRST: torch.equal(first, second),
        "all rows are the same": batch > 1 and bool((first == first[0]).all()),
        "tokens are in rising order in each row": bool((first.diff(dim=1) >= 0).all()),
        "each row has the same token everywhere": bool((first == first[:, :1]).all()),
        OUTSIDE: sorted(drawn - set(range(case.given["model"].cfg.d_vocab) if ids is None else ids.tolist())),
    }


def described(value: Any) -> str:
    """What a value is, as a learner reads it."""
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def drawn_tokens(function: Callable[..., Any], case: Case) -> Observations:
    """The tokens' structure, which ids were drawn and how often, and whether the generator decides."""
    model, (seq_len, batch, ids) = case.given["model"], case.given["call"]

    def draw(generator: torch.Generator | None) -> Any:
        return function(model, seq_len, batch, ids, generator)

    tokens = draw(seeded(0))
    seen = look_at_tokens(tokens, case)
    if tokens.shape != (batch, 1 + 2 * seq_len):
        return seen
    if batch >= MANY_ROWS:
        seen |= _frequencies(tokens[:, 1 : 1 + seq_len], model.cfg.d_vocab if ids is None else len(ids))
    seen["shape without a generator"] = tuple(function(model, seq_len, batch).shape)
    return seen | randomness(draw)


def randomness(draw: Callable[[torch.Generator | None], Any]) -> Observations:
    """Whether a generator alone decides what is drawn, and moves on; without one torch's own does both."""
    own = torch.get_rng_state()
    generator = seeded(0)
    first, second = draw(generator), draw(generator)
    is_untouched = torch.equal(own, torch.get_rng_state())
    torch.manual_seed(3)
    return {
        SAME_SEED: torch.equal(first, draw(seeded(0))),
        UNTOUCHED: is_untouched,
        TWICE: not torch.equal(first, second),
        "a generator of another seed gives other tokens": not torch.equal(first, draw(seeded(1))),
        "without a generator each call gives other tokens": not torch.equal(draw(None), draw(None)),
    }


def seeded(seed: int) -> torch.Generator:
    """A generator of this seed."""
    return torch.Generator().manual_seed(seed)


def _frequencies(drawn: Tensor, n_ids: int) -> Observations:
    """Which ids were drawn, and which of them far too often or too seldom: by more than 7 standard deviations."""
    ids, counts = drawn.unique(return_counts=True)
    share = drawn.numel() / n_ids
    # Among the first n_ids of a row: a row of permutations has none twice there.
    has_repeats = bool((drawn[:, :n_ids].sort(dim=1).values.diff(dim=1) == 0).any())
    return {
        "an id may occur twice in a copy": has_repeats,
        "the different ids that were drawn": ids.tolist(),
        UNEVEN: ids[(counts - share).abs() > 7 * share**0.5].tolist(),
    }


def tokens_by_choice(
    model: Any, seq_len: int, batch_size: int = 1, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Draws with multinomial, row by row, and repeats with tile."""
    ids = list(range(model.cfg.d_vocab)) if token_ids is None else token_ids.tolist()
    rows = []
    for _ in range(batch_size):
        chosen = torch.multinomial(torch.ones(len(ids)), seq_len, replacement=True, generator=generator)
        rows.append(torch.tensor([model.tokenizer.bos_token_id, *(ids[int(i)] for i in chosen.tile(2))]))
    return torch.stack(rows)


def tokens_in_place(
    model: Any, seq_len: int, batch_size: int = 1, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Fills a tensor, and draws with randint_like's sibling on the whole vocabulary or its part."""
    tokens = torch.full((batch_size, 2 * seq_len + 1), model.tokenizer.bos_token_id)
    high = model.cfg.d_vocab if token_ids is None else token_ids.numel()
    drawn = torch.empty(batch_size, seq_len, dtype=torch.int64).random_(0, high, generator=generator)
    tokens[:, 1:] = (drawn if token_ids is None else token_ids[drawn]).repeat(1, 2)
    return tokens


test_generate_repeated_tokens = exercise(
    reference=generate_repeated_tokens,
    cases=token_cases,
    observe=drawn_tokens,
    accepts=[tokens_by_choice, tokens_in_place],
    mistakes=[
        *instead_of(
            "[start, drawn, drawn]",
            {
                "[start, drawn[:, : seq_len // 2], drawn[:, : seq_len // 2]]": (
                    "uses seq_len for the length of the whole row",
                    "seq_len tokens are drawn, and stand twice: 1 + 2 seq_len in all",
                ),
                "[start, drawn.repeat(2, 1).reshape(batch_size, -1)]": (
                    "fills the second copy from another row",
                    "each row holds its own tokens twice: drawn.repeat(1, 2), or join drawn to itself with dim=1",
                ),
                "[drawn, drawn, start]": (
                    "puts the token that begins a text at the end",
                    "it comes first, before both copies",
                ),
                "[drawn, drawn]": (
                    "leaves out the first token, which begins every text",
                    "models have rarely seen a text without this token, and heads look at it when they have nothing else to do",
                ),
                "[start, drawn, start, drawn]": (
                    "starts the second copy with the first token too",
                    "the token that begins a text comes once, at the start of the row",
                ),
                "[start, drawn, drawn.flip(1)]": (
                    "writes the second copy from the last token to the first",
                    "the second copy has the same tokens in the same order",
                ),
                "[start, drawn, drawn.roll(1, dims=1)]": (
                    "writes the second copy in another order",
                    "the second copy has the same tokens in the same order",
                ),
                "[start, drawn, ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)]]": (
                    "draws the second half at random too",
                    "the second copy is the first again: draw once, and join it twice",
                ),
                "[start, drawn.repeat_interleave(2, dim=1)]": (
                    "repeats each token right after itself",
                    "the whole string comes first, and then the whole string again",
                ),
                "[start, drawn.repeat_interleave(2)]": (
                    "repeats each token right after itself, and all rows in one",
                    "drawn.repeat(1, 2) writes each row twice; repeat_interleave repeats single tokens, and without dim it flattens",
                    "RuntimeError",
                ),
                "[start, drawn.repeat(2)]": (
                    "gives repeat one number for two axes",
                    "repeat takes a number for each axis: drawn.repeat(1, 2)",
                    "RuntimeError",
                ),
                "[start, drawn[:, :1].expand(-1, 2 * seq_len)]": (
                    "draws one token for each row",
                    "every position is drawn independently: seq_len tokens for each row",
                ),
            },
        ),
        Mistake(
            "starts with another token than the tokenizer's",
            "lm.bos_token_id)",
            "0)",
            shows=lambda seen: any(set(observed[BEGINS]) != {BOS} for observed in seen),
            why="which token begins a text is the tokenizer's: model.tokenizer.bos_token_id",
        ),
        Mistake(
            "makes float tokens",
            ".to(lm.device)",
            ".to(lm.device).float()",
            why="token ids are integers: torch.full with an int makes one, torch.ones and torch.zeros don't",
        ),
        Mistake(
            "repeats along the batch instead of the positions",
            "dim=1",
            "dim=0",
            why="the copy follows in the same row, along the axis of positions",
            raises="RuntimeError",
        ),
        *instead_of(
            "ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)]",
            {
                "ids[torch.randint(0, len(ids), (batch_size, seq_len), "
                "generator=generator if token_ids is None else None)]": (
                    "ignores the generator where ids are given",
                    "with a generator of the same seed the same tokens must come, whatever the ids",
                ),
                "ids[torch.randint(0, len(ids), (batch_size, seq_len), "
                "generator=None if token_ids is None else generator)]": (
                    "ignores the generator where no ids are given",
                    "with a generator of the same seed the same tokens must come, whatever the ids",
                ),
                "ids[torch.randint(0, len(ids), (batch_size, seq_len), "
                "generator=generator or torch.Generator().manual_seed(0))]": (
                    "draws the same tokens whenever no generator is given",
                    "None stands for torch's own generator: hand it on as it comes",
                ),
                "ids[ids != lm.bos_token_id]"
                "[torch.randint(0, int((ids != lm.bos_token_id).sum()), (batch_size, seq_len), generator=generator)]": (
                    "never draws the token that begins a text",
                    "all ids are equally likely, this one too",
                ),
                "ids[torch.randint(0, len(ids), (1, seq_len), generator=generator)]": (
                    "draws one row only",
                    "batch_size rows are asked for, each drawn by itself",
                ),
                "ids[torch.randint(0, len(ids), (1, seq_len), generator=generator)].repeat(batch_size, 1)": (
                    "repeats the same tokens in all rows",
                    "each row has tokens of its own, drawn independently",
                ),
                "ids[torch.randint(1, len(ids), (batch_size, seq_len), generator=generator)]": (
                    "never draws the first id",
                    "all ids are equally likely, the first too",
                ),
                "ids[torch.randint(0, len(ids) - 1, (batch_size, seq_len), generator=generator)]": (
                    "never draws the last id",
                    "randint never draws its upper end, so the upper end is the number of ids",
                ),
                "torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)": (
                    "returns indices into token_ids instead of tokens",
                    "draw an index and look its id up: token_ids[index]",
                ),
                "ids[torch.rand(batch_size, len(ids), generator=generator).argsort(dim=1)[:, :seq_len]]": (
                    "draws each id at most once",
                    "every place is drawn independently of the others, so that ids come again: randint, not randperm",
                ),
                "ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=torch.manual_seed(0))]": (
                    "sets a fixed seed at each call",
                    "each call must draw new tokens: use the generator without seeding it",
                ),
            },
        ),
        Mistake(
            "draws ids that are not in token_ids",
            "torch.arange(lm.d_vocab) if token_ids is None else token_ids",
            "torch.arange(lm.d_vocab)",
            shows=lambda seen: any(observed[OUTSIDE] for observed in seen),
            why="if token_ids is given, only these ids may be drawn",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="a generator with the same seed must give the same tokens",
        ),
        Mistake(
            "seeds torch's own generator",
            "generator=generator",
            "generator=torch.manual_seed(generator.initial_seed()) if generator else None",
            shows=lambda seen: any(not observed[UNTOUCHED] and observed[SAME_SEED] for observed in seen),
            why="pass the generator to randint: torch's own generator must stay unchanged",
        ),
        Mistake(
            "seeds the generator again at each call",
            "generator=generator",
            "generator=generator.manual_seed(0) if generator else None",
            shows=lambda seen: not any(observed[TWICE] for observed in seen),
            why="a generator moves on with every draw, so that two calls draw different tokens",
        ),
        Mistake(
            "draws some ids more often than others",
            "torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)",
            "(len(ids) * torch.rand(batch_size, seq_len, generator=generator) ** 2).long()",
            shows=lambda seen: any(observed.get(UNEVEN) for observed in seen),
            why="all ids have the same probability: randint",
        ),
    ],
)
