"""What Python code says of names, without running it: those that it reads, those that it gives a value."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator


def read_names(source: str) -> set[str]:
    r"""The names of its module and of builtins that the code reads; local variables of functions aren't among them.

    >>> sorted(read_names("def f(x):\n    y = x + OFFSET\n    return abs(y)\n"))
    ['OFFSET', 'abs']
    """
    return {
        symbol.get_name()
        for table in _tables(symtable.symtable(source, "source", "exec"))
        for symbol in table.get_symbols()
        if symbol.is_referenced() and symbol.is_global()
    }


def assigned_names(source: str) -> set[str]:
    """The names that the code assigns, imports or defines at its left margin."""
    symbols = symtable.symtable(source, "source", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def first_line(node: ast.stmt) -> int:
    """The first line of a statement, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
