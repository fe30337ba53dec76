"""Strings and shapes as short, printable text; without torch, so that the command line starts fast."""

from collections.abc import Iterable

MAX_TEXT = 80
"""Characters kept of a learner's string, name or key."""


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
