"""Judges of Python in small steps: a comprehension and a generator."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.fundamentals.puzzles import python_basics
from arena_lib.tests.prerequisites.tensors import calls

__test__ = False


def texts_cases(generator: torch.Generator) -> list[Case]:
    """Capital letters, line ends, words within words, nothing at all."""
    return calls(
        {
            "words that come again": ("the cat and the dog and the bird",),
            "capital letters": ("To be or not to BE",),
            "several spaces and lines": ("  one two\n\ntwo   one\tone ",),
            "a word within a word": ("a banana a ban",),
            "no words": ("",),
        }
    )


def counts(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """The dictionary, and the order of its words."""
    counted = function(*case.args)
    if not isinstance(counted, dict):
        raise Unfit(f"count_words must return a dictionary: got {type(counted).__name__}. Write {{word: number}}.")
    return {"output": dict(counted), "words in order": list(counted)}


test_count_words = exercise(
    reference=python_basics.count_words,
    cases=texts_cases,
    observe=counts,
    accepts=[
        lambda text: dict(Counter(text.lower().split())),
        lambda text: {word: text.lower().split().count(word) for word in dict.fromkeys(text.lower().split())},
    ],
    mistakes=[
        *instead_of(
            "text.lower().split()",
            {
                "text.split()": ("tells capital letters from small ones", "capital letters count as small ones"),
                'text.lower().split(" ")': (
                    "splits at every single space",
                    "split() without an argument splits at any run of spaces and line ends",
                ),
                "text.upper().split()": ("makes all letters capital", "the words are in small letters"),
                "list(text.lower())": ("counts letters", "words are what spaces separate"),
            },
        ),
        *instead_of(
            "words.count(word) for word in words",
            {
                "text.lower().count(word) for word in words": (
                    "counts a word within other words",
                    "the list's count compares whole words, the text's count doesn't",
                ),
                "words.count(word) for word in sorted(words)": (
                    "sorts the words",
                    "the words come in the order in which they first appear",
                ),
                "1 for word in words": ("counts each word once", "how often each occurs is asked for"),
                "words.count(word) / len(words) for word in words": ("gives shares", "counts are whole numbers"),
            },
        ),
    ],
)


class Watched(list[int]):
    """A list that counts how many of its items were read."""

    n_read = 0

    def __getitem__(self, index: Any) -> Any:
        self.n_read += len(range(*index.indices(len(self)))) if isinstance(index, slice) else 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[int]:
        for item in super().__iter__():
            self.n_read += 1
            yield item


def items_cases(generator: torch.Generator) -> list[Case]:
    """A shorter last piece, pieces that fit, one piece, no items, pieces of one."""
    return calls(
        {
            "a shorter last piece": ([5, 6, 7, 8, 9], 2),
            "pieces that fit": ([1, 2, 3, 4, 5, 6], 3),
            "fewer than a piece": ([4, 2], 5),
            "no items": ([], 3),
            "pieces of one": ([3, 1], 1),
        }
    )


def pieces(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """All pieces, and how far it has read when the first one is there."""
    items, size = Watched(case.args[0]), case.args[1]
    made = function(items, size)
    n_before = items.n_read
    if not isinstance(made, Iterator):
        raise Unfit(
            f"in_batches must give its pieces one at a time: got {type(made).__name__}. Write yield, not return."
        )
    first = list(itertools.islice(made, 1))
    reads_no_further = items.n_read <= size + 1
    given = first + list(made)
    return {
        "items read before a piece is asked for": n_before,
        "the first piece reads no further than it must": reads_no_further,
        "pieces": [list(piece) for piece in given],
        "types of the pieces": sorted({"list" if isinstance(piece, list) else type(piece).__name__ for piece in given}),
    }


def by_appending(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Item by item."""
    piece: list[int] = []
    for item in items:
        piece.append(item)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece


def in_so_many_pieces(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`size` pieces, or fewer; stops with a ValueError where there is nothing to cut."""
    length = -(-len(items) // size)
    for start in range(0, len(items), length):
        yield items[start : start + length]


def every_so_many(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`size` pieces of items that lie apart."""
    for start in range(min(size, len(items))):
        yield items[start::size]


def by_index(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """With a loop that counts by hand."""
    start = 0
    while start < len(items):
        yield items[start : start + size]
        start += size


test_in_batches = exercise(
    reference=python_basics.in_batches,
    cases=items_cases,
    observe=pieces,
    accepts=[by_index, by_appending, lambda items, size: (items[i : i + size] for i in range(0, len(items), size))],
    mistakes=[
        *instead_of(
            "range(0, len(items), size)",
            {
                "range(0, len(items) - size + 1, size)": (
                    "drops the last, shorter piece",
                    "the last piece may be shorter, and comes too",
                ),
                "range(0, len(items))": ("moves on by one item", "the next piece begins `size` items later"),
                "range(0, len(items) + 1, size)": ("may end with an empty piece", "a piece has at least one item"),
                "range(0, min(size, len(items)), size)": ("stops after the first piece", "all items come"),
                "[*range(0, len(items), size)][::-1]": ("begins at the end", "the pieces come in order"),
            },
        ),
        *instead_of(
            "items[start : start + size]",
            {
                "items[start : start + size + 1]": (
                    "takes one item too many",
                    "a slice [a : b] has b - a items: the end isn't included",
                ),
                "items[start:size]": ("ends at `size`", "the end of the slice is start + size"),
                "tuple(items[start : start + size])": (
                    "gives tuples",
                    "the pieces of a list are lists: a slice is one",
                ),
            },
        ),
        Mistake(
            "makes a list of all pieces",
            "    for start in range(0, len(items), size):\n        yield items[start : start + size]",
            "    return iter([items[start : start + size] for start in range(0, len(items), size)])",
            why="a generator cuts a piece when it is asked for: use yield",
        ),
        *(
            Mistake("takes `size` for the number of pieces", function=wrong, why="each piece has `size` items")
            for wrong in (in_so_many_pieces, every_so_many)
        ),
    ],
)
