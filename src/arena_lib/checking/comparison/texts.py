"""Strings and shapes as short, printable text; without torch, so that the command line starts fast."""

import re
from collections.abc import Iterable, Sequence

NO_EXCEPTION = "without an exception"
"""What came in place of an exception that must be raised."""
RETURN_MISSING = "is there a `return` on every path?"
"""What a learner is asked whose code gave None."""
MAX_TEXT = 80
"""Characters kept of a learner's string, name or key."""
THINGS = {
    "seq": "position",
    "d_vocab": "token",
    "n_ctx": "position",
    "n_comp": "component",
    "n_feats": "feature",
    "n_inst": "instance",
    "n_envs": "environment",
    "n_classes": "class",
    "n_axes": "axis",
    "n_params": "parameter",
    "n_iters": "iteration",
}
"""What an axis counts, where its name doesn't say so; an axis `n_layers` counts layers."""


def clean(text: str, limit: int = MAX_TEXT) -> str:
    r"""One printable line of at most `limit` characters.

    >>> clean("two\nlines")
    'two lines'
    """
    text = str.__str__(text)[: 4 * limit]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def quote(text: str, limit: int = MAX_TEXT) -> str:
    r"""A string as Python would write it, shortened.

    >>> quote("a\n")
    "'a\\n'"
    """
    text = str.__str__(text)
    return repr(text) if len(text) <= limit else repr(text[: limit - 3]) + "..."


def shape_text(shape: Iterable[int], axes: tuple[str, ...] = ()) -> str:
    """A shape with the words for its axes, where they are known.

    >>> shape_text((2, 3), ("batch", "seq")), shape_text((4,)), shape_text(())
    ('(batch 2, seq 3)', '(4,)', '()')
    """
    sizes = tuple(shape)
    if axes and len(axes) == len(sizes):
        return "(" + ", ".join(f"{axis} {size}" for axis, size in zip(axes, sizes, strict=True)) + ")"
    return str(sizes)


def thing(axis: str) -> str | None:
    """What an axis counts, in the singular; None where its entries have no name, as those of d_model.

    >>> [thing(axis) for axis in ("n_layers", "layer", "seq", "d_vocab", "d_model", "batch", "seq_q", "n_across", "n_entries")]
    ['layer', 'layer', 'position', 'token', None, None, None, None, 'entry']
    """
    if axis in THINGS:
        return THINGS[axis]
    if axis.startswith("n_") and axis.endswith("s") and not axis.endswith("ss"):
        return re.sub("ies$", "ys", axis)[2:-1].replace("_", " ")
    return axis if axis.isalpha() and axis.islower() and axis != "batch" and len(axis) > 1 else None


def plural(word: str) -> str:
    """Several of what an axis counts.

    >>> plural("layer"), plural("class"), plural("axis"), plural("entry"), plural("day")
    ('layers', 'classes', 'axes', 'entries', 'days')
    """
    if word.endswith("is"):
        return f"{word[:-2]}es"
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search("[^aeiou]y$", word) else f"{word}s"


def coordinate(axis: str, index: object) -> str:
    """A place along an axis, by what the axis counts rather than by the name of its size.

    >>> coordinate("n_layers", 0), coordinate("seq", 4), coordinate("d_model", 2), coordinate("axis 1", 3)
    ('layer 0', 'position 4', 'd_model = 2', 'axis 1 = 3')
    """
    word = thing(axis)
    return f"{word} {index}" if word else f"{axis} = {index}"


def coordinates(axes: Sequence[str], index: Iterable[int]) -> str:
    """A place along every axis.

    >>> coordinates(("batch", "n_heads"), (1, 2))
    'batch = 1, head 2'
    """
    return ", ".join(coordinate(axis, i) for axis, i in zip(axes, index, strict=True))


def both(first: str, second: str) -> str:
    """Two axes in words, also where they have one name, or only numbers.

    >>> both("seq_q", "seq_k"), both("n_datasets", "n_datasets"), both("axis 0", "axis 1")
    ('seq_q and seq_k', 'n_datasets (rows) and n_datasets (columns)', '0 and 1')
    """
    if first == second:
        return f"{first} (rows) and {second} (columns)"
    return f"{first.removeprefix('axis ')} and {second.removeprefix('axis ')}"
