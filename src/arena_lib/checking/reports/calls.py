"""A case's call as a learner would write it: valid Python where its values are short, and described where they aren't.

Raises:  nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.describing import describe, number, with_article, written_out

MOST_ENTRIES = 12
"""An integer tensor is written out up to this many entries."""
MOST_FLOATS = 8
"""A float tensor of at most one axis is written out up to this many entries."""
WIDTH = 120
"""Another value is written out up to this many characters."""


def call_text(name: str, parameters: Sequence[str], case: Case) -> str:
    """The call of a case: `parameters` are the names of the reference's, those that can be given by position first.

    A call that an author wrote whole, from the name on, stays as it is.

    >>> call_text("sample", ["prompt", "n"], Case(label="", args=("ab", 3), kwargs={"seed": 1}))
    "sample(prompt='ab', n=3, seed=1)"
    >>> call_text("Sampler", [], Case(label="", call="Sampler(model).sample('ab', 3)"))
    "Sampler(model).sample('ab', 3)"
    """
    if case.call.startswith(f"{name}("):
        return case.call
    if not case.args and not case.kwargs:
        return f"{name}({named(case.call, parameters)})"
    by_observer = {
        key: value
        for key, value in case.given.items()
        if key in parameters[len(case.args) :] and key not in case.kwargs and value is not None
    }
    has_names = len(case.args) <= len(parameters)
    texts = [value_text(value) for value in case.args]
    by_position = [f"{key}={text}" for key, text in zip(parameters, texts, strict=False)] if has_names else texts
    by_name = [f"{key}={value_text(value)}" for key, value in {**case.kwargs, **by_observer}.items()]
    return f"{name}({', '.join([*by_position, *by_name])})"


def named(arguments: str, parameters: Sequence[str]) -> str:
    """Arguments as an author wrote them, with the parameter's name before each value that doesn't speak for itself.

    What follows a keyword gets one too, as Python asks for it.

    >>> named("model, 7, None, generator", ["model", "seq_len", "ids", "generator"])
    'model, seq_len=7, ids=None, generator=generator'
    >>> named("4 texts, model, layer=2", ["texts", "model", "layer"])
    '4 texts, model, layer=2'
    """
    texts, has_keyword = [], False
    for i, text in enumerate(_split(arguments)):
        is_keyword = re.match(r"\w+=(?!=)", text) is not None
        needs_name = (has_keyword or _is_value(text)) and not is_keyword and i < len(parameters)
        texts.append(f"{parameters[i]}={text}" if needs_name else text)
        has_keyword = has_keyword or is_keyword or needs_name
    return ", ".join(texts)


def _split(arguments: str) -> Iterable[str]:
    """The arguments, parted at the commas outside of brackets."""
    depth, text = 0, ""
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            yield text.strip()
            text = ""
        else:
            text += character
    if text.strip():
        yield text.strip()


def _is_value(text: str) -> bool:
    """Whether the text is a value, such as 7 or [(1, 2)], rather than a name or words."""
    try:
        return ast.literal_eval(text) is not ...
    except (ValueError, SyntaxError):
        return False


def value_text(value: Any) -> str:
    """A value of our own cases: written out if it is short, described if it is not."""
    if isinstance(value, torch.Tensor):
        return _tensor_text(value)
    text = repr(value)
    if len(text) <= WIDTH and " at 0x" not in text and "tensor(" not in text:
        return text
    return written_out(value, WIDTH) or _fields_text(value) or describe(value)


def _tensor_text(tensor: torch.Tensor) -> str:
    if tensor.device.type != "cpu" or tensor.is_complex():
        return describe(tensor)
    if not tensor.is_floating_point():
        return f"tensor({tensor.tolist()})" if tensor.numel() <= MOST_ENTRIES else describe(tensor)
    if tensor.ndim > 1 or tensor.numel() > MOST_FLOATS:
        return describe(tensor)
    texts = [_float_text(entry) for entry in tensor.flatten().tolist()]
    return f"tensor([{', '.join(texts)}])" if tensor.ndim else f"tensor({texts[0]})"


def _float_text(value: float) -> str:
    """A float as Python writes it, with few digits, so that it can't be taken for an integer."""
    text = number(value)
    return text if re.search(r"[.en]", text) else f"{text}."


def _fields_text(value: Any) -> str | None:
    """A data class by its fields, or at least by their names, rather than as an object of some type."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return None
    fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    name = type(value).__name__
    texts = {key: value_text(content) for key, content in fields.items()}
    text = ", ".join(f"{key}={'...' if text.endswith(' object') else text}" for key, text in texts.items())
    if len(text) <= 2 * WIDTH:
        return f"{name}({text})"
    return f"{with_article(name)} with {', '.join(fields)}"
