"""Counts in plain English, for every message that has one."""

from __future__ import annotations


def counted(number: int | float, noun: str, plural: str = "") -> str:
    """A number with its noun, in the plural where it must be; the plural is given where it isn't the noun with an s.

    >>> counted(0, "attempt"), counted(1, "attempt"), counted(2, "attempt"), counted(1.0, "hour"), counted(1.5, "hour")
    ('0 attempts', '1 attempt', '2 attempts', '1 hour', '1.5 hours')
    >>> counted(1, "axis", "axes"), counted(2, "axis", "axes"), counted(1234567, "byte")
    ('1 axis', '2 axes', '1,234,567 bytes')
    """
    digits = f"{number:g}" if isinstance(number, float) else f"{number:,}"
    return f"{digits} {noun}" if number == 1 else f"{digits} {plural or noun + 's'}"
