"""What a configuration's numbers must be, and how settings are read from a command line.

Each check reads named fields of any dataclass, from its `__post_init__`.

Raises:  ConfigError for a number or a text that cannot work; UnknownNameError for a setting that isn't there.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_origin

from arena_lib.errors import ConfigError, UnknownNameError


def check_sizes(config: object, *names: str, least: int = 1) -> None:
    """Raise ConfigError unless each named field of `config` is a whole number of at least `least`."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(
                f"{type(config).__name__}.{name} must be a whole number of at least {least}: got {value!r}. "
                f"Pass {name}={max(least, 1)} or more."
            )


def check_numbers(config: object, *names: str, zero_works: bool = False) -> None:
    """Raise ConfigError unless each named field of `config` is above zero (or zero, where that works)."""
    for name in names:
        value = getattr(config, name)
        if not (0 < value < float("inf") or (zero_works and value == 0)):
            bound = "at least 0" if zero_works else "above 0"
            raise ConfigError(
                f"{type(config).__name__}.{name} must be finite and {bound}: got {value!r}. "
                f"Leave it out to get the default."
            )


def read_settings(texts: Sequence[str], kinds: Mapping[str, Any], kind_of_name: str = "setting") -> dict[str, Any]:
    """Read settings as they are written on a command line, each "name=value", by the types of their fields.

    >>> read_settings(["lr=1", "is_scaled=False", "widths=(8, 16)"], {"lr": float, "is_scaled": bool, "widths": tuple})
    {'lr': 1.0, 'is_scaled': False, 'widths': (8, 16)}
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"a setting must be written name=value: got {text!r}. Write for example lr=1e-3.")
        if name not in kinds:
            raise UnknownNameError(kind_of_name, name, kinds)
        settings[name] = _read_value(name, value, kinds[name])
    return settings


def _read_value(name: str, text: str, kind: Any) -> Any:
    if kind is str or get_origin(kind) is Literal:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"{name} must be a number, True, False, None or a tuple: got {text!r}.") from error
    is_fraction = isinstance(value, int) and not isinstance(value, bool) and kind in (float, float | None)
    return float(value) if is_fraction else value
