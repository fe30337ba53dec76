"""Cards as text: values in TOML's form."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def format_lines(values: Mapping[str, Any]) -> str:
    """Keys and values as TOML, a line each; whole numbers with underscores, as in 1_000_000.

    >>> print(format_lines({"name": "tiny", "parameters": 12345, "curve": [[1, 0.5]]}), end="")
    name = "tiny"
    parameters = 12_345
    curve = [[1, 0.5]]
    """
    return "".join(f"{key} = {_format_value(value)}\n" for key, value in values.items())


def compute_sha256(file: Path) -> str:
    """The hash that a card says of a weight file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _format_value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return json.dumps(value, ensure_ascii=False)
