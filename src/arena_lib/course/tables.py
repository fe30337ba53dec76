"""Plain tables for people, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), indent: str = "") -> str:
    """Rows in columns as wide as their widest cell; the last column may be as long as it likes.

    >>> print(format_table([["a", "1"], ["bcd", "22"]], header=["x", "n"]))
    x    n
    a    1
    bcd  22
    """
    every = [list(header), *map(list, rows)] if header else list(map(list, rows))
    widths = [max(len(row[column]) for row in every) for column in range(len(every[0]))] if every else []
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in every]
    return "\n".join((indent + line).rstrip() for line in lines)
